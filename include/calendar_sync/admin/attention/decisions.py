"""Decisions about conflicts, parked items and approvals, as pages and API make them alike."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request

from calendar_sync.admin.web import live
from calendar_sync.admin.web.actions import author
from calendar_sync.admin.web.problems import Problem
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.dag_ids import GRANT, LEAVE
from calendar_sync.core.errors import ConfigurationError, LeaseHeld, LeaseLost
from calendar_sync.core.model import Platform, Source
from calendar_sync.insight.attention import Choice, OpenConflict
from calendar_sync.operations import approvals, deciding
from calendar_sync.orchestration.airflow_questions import close_questions
from calendar_sync.state import Store

logger = logging.getLogger(__name__)

BUSY = "This user is being synced. Try again in a moment."


def decide(request: Request, store: Store, number: int, choice: Choice) -> OpenConflict:
    """Close one conflict.

    Raises:
        Problem: 409, with the reason why it cannot be.
    """
    now = SystemClock().now()
    try:
        found = deciding.decide(live.with_key(store), number, choice, author(request), now)
    except ConfigurationError as error:
        raise Problem(409, f"{error.detail[:1].upper()}{error.detail[1:]}.") from None
    except (LeaseHeld, LeaseLost):
        raise Problem(409, BUSY) from None
    logger.info("admin: %s decided %s on conflict %s", author(request), choice.value, number)
    return found


def try_again(
    request: Request, store: Store, user_id: str, platform: Platform, step: str, source: Source
) -> None:
    """Have a parked item tried at once.

    Raises:
        Problem: 409, it is not parked (any more).
    """
    now = SystemClock().now()
    try:
        deciding.try_again(
            live.with_key(store), user_id, platform, step, source, author(request), now
        )
    except ConfigurationError as error:
        raise Problem(409, f"{error.detail[:1].upper()}{error.detail[1:]}.") from None


def grant(request: Request, store: Store, digests: Iterable[str]) -> dict[str, int]:
    """Approve each for 24 hours; how many users each concerns, 0 where nothing waits (any more)."""
    return _answer(request, store, digests, approvals.grant, GRANT)


def decline(request: Request, store: Store, digests: Iterable[str]) -> dict[str, int]:
    """Keep things as they are for a day; counts as `grant` does."""
    return _answer(request, store, digests, approvals.decline, LEAVE)


def _answer(
    request: Request,
    store: Store,
    digests: Iterable[str],
    answer: Callable[[Store, str, str, datetime], int],
    option: str,
) -> dict[str, int]:
    now, counts, store = SystemClock().now(), {}, live.with_key(store)
    for digest in dict.fromkeys(digests):
        counts[digest] = answer(store, digest, author(request), now)
        logger.info("admin: %s answered %s: %s", author(request), digest, option)
        if counts[digest]:
            _close_in_airflow(request, digest, option)
    return counts


def _close_in_airflow(request: Request, digest: str, option: str) -> None:
    """The same question may stand in Airflow's list of required actions."""
    viewer = request.state.viewer
    try:
        close_questions(digest, option, viewer.id, viewer.name)
    except SQLAlchemyError as error:
        # The answer is stored; what is left open in Airflow finds nothing to do.
        logger.warning("admin: a question in Airflow stays open: %s", type(error).__name__)
