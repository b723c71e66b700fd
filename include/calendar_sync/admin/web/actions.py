"""Changes that pages and API make alike; each is written to the log with who asked for it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated

from pydantic import Field
from starlette.requests import Request

from calendar_sync.admin.web import live
from calendar_sync.admin.web.problems import Problem
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.codes import RequestCode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Choices, Platform
from calendar_sync.insight.user_state import UserState
from calendar_sync.insight.users import listed_user
from calendar_sync.operations import choosing, pausing
from calendar_sync.state import Store

logger = logging.getLogger(__name__)

#: How long a pause lasts, as forms and the API take it.
Days = Annotated[int, Field(ge=pausing.SHORTEST, le=pausing.LONGEST)]


def author(request: Request) -> str:
    """Who asks, for histories."""
    return f"airflow:{request.state.viewer.name}"[:255]


def sync_now(request: Request, store: Store, user_id: str, platform: Platform) -> None:
    """Mark a user for the next run and forget the back-off, as naming them to a run does.

    Raises:
        Problem: the sync does not know this user on this platform, or no longer syncs them.
    """
    now = SystemClock().now()
    rows = listed_user(store, store.config.revision().settings, user_id, now)
    state = next((row.state for row in rows if row.platform == platform), UserState.DISABLED)
    if state is UserState.DISABLED:
        raise Problem(404, f"The user is not mapped on {platform.value}, or is disabled.")
    if state is UserState.AWAY:
        raise Problem(409, "The user is inactive in Welkin, so nothing is synced.")
    if state is UserState.PAUSED:
        raise Problem(409, "The sync of this user is paused. End the pause first.")
    with store.database.write() as connection:
        store.marks.hurry(connection, [(user_id, platform)], now)
    logger.info("admin: %s asked to sync %s on %s", author(request), user_id, platform.value)


def pause(request: Request, store: Store, user_id: str, days: int) -> datetime:
    """Pause the sync of a user; returns when that ends.

    Raises:
        Problem: 404, there is no sync to pause; 409, that is no number of days for a pause; 503,
            there is no key for the audit log.
    """
    now = SystemClock().now()
    with _refused():
        until = pausing.pause(live.with_key(store), user_id, days, author(request), now)
    logger.info("admin: %s paused %s for %d days", author(request), user_id, days)
    return until


def choose(request: Request, store: Store, user_id: str, chosen: Choices) -> None:
    """Store what a person has chosen for their own calendar.

    Raises:
        Problem: 409, it is not offered; 503, there is no key for the audit log.
    """
    now = SystemClock().now()
    with _refused():
        choosing.choose(live.with_key(store), user_id, chosen, author(request), now)


def resume(request: Request, store: Store, user_id: str) -> None:
    """End the pause of a user.

    Raises:
        Problem: 409, the user is not paused; 503, there is no key for the audit log.
    """
    with _refused():
        pausing.resume(live.with_key(store), user_id, author(request), SystemClock().now())
    logger.info("admin: %s ended the pause of %s", author(request), user_id)


@contextmanager
def _refused() -> Iterator[None]:
    """What the operation refuses, as an answer: 404 for a user who is not mapped, 409 otherwise."""
    try:
        yield
    except ConfigurationError as error:
        status = 404 if error.code is RequestCode.NOT_MAPPED else 409
        raise Problem(status, f"{error.detail[:1].upper()}{error.detail[1:]}.") from None
