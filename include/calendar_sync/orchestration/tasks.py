"""The bodies of the DAGs' tasks.

Everything that is returned, raised or logged here is free of patient data: opaque ids, staff
accounts, counts and codes.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError

from calendar_sync.changes import Found
from calendar_sync.changes import find_changed_users as find
from calendar_sync.clock import SystemClock
from calendar_sync.errors import (
    ConfigurationError,
    PlatformStopped,
    SyncError,
    UnexpectedError,
    UsersFailed,
)
from calendar_sync.model import Platform
from calendar_sync.orchestration.connections import load_secrets
from calendar_sync.passes import UserOutcome, sync_users
from calendar_sync.passes import record_run as record
from calendar_sync.redaction import describe, install
from calendar_sync.runtime import open_services
from calendar_sync.services import Services
from calendar_sync.state import Database, Store
from calendar_sync.state.config import Revision
from calendar_sync.state.migrate import require_current

Value = TypeVar("Value")
LONGEST_LABEL = 240


class StateUnavailable(Exception):
    """The state database did not answer: Airflow may try the task once more."""


def find_changed_users(
    platform: str, *, users: Sequence[str] = (), full_comparison: bool = False
) -> list[list[str]]:
    """Groups of Welkin user ids that have work.

    Raises:
        SyncError: nobody can be synced now; the code says why.
    """

    async def work(services: Services, revision: Revision) -> Found:
        return await find(
            services, revision, Platform(platform), users=users, full_comparison=full_comparison
        )

    found = _run(work)
    install().info(
        "%s: %d polled, %d with work, %d waiting after a failure",
        platform,
        found.polled,
        found.marked,
        found.waiting,
    )
    if found.fault:
        raise PlatformStopped(detail=f"{platform}: {found.fault}")
    return [list(group) for group in found.groups]


def sync_group(
    platform: str, group: Sequence[str], *, run_id: str, owner: str, dry_run: bool = False
) -> list[UserOutcome]:
    """Run the cycles of one group."""

    async def work(services: Services, revision: Revision) -> list[UserOutcome]:
        return await sync_users(
            services,
            revision,
            Platform(platform),
            group,
            run_id=run_id,
            owner=owner,
            dry_run=dry_run,
        )

    outcomes = _run(work)
    for outcome in outcomes:
        level = "warning" if outcome.status == "failed" else "info"
        getattr(install(), level)("%s", outcome.label)
    return outcomes


def raise_failures(outcomes: Sequence[UserOutcome], *, insist: bool) -> None:
    """Fail the task for users that failed; `insist` for named users and cleared tasks.

    Raises:
        UsersFailed: names opaque ids, accounts and codes.
    """
    failed = [
        outcome
        for outcome in outcomes
        if outcome.status == "failed" and (insist or not outcome.attention)
    ]
    if failed:
        names = "; ".join(
            f"{o.account or '-'} ({o.user_id}): {o.code} {o.detail}".rstrip() for o in failed
        )
        raise UsersFailed(detail=names)


def group_label(outcomes: Sequence[UserOutcome]) -> str:
    """What the run history shows: one user's line, or the sum of a group."""
    if len(outcomes) == 1:
        text = outcomes[0].label
    else:
        working = [o.label for o in outcomes if o.result.writes or o.status == "failed"]
        text = f"{len(outcomes)} users: " + ("; ".join(working) or "in step")
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"


def outcome_rows(pushed: Any) -> list[dict[str, Any]]:
    """All outcome rows in what `xcom_pull` gave: nothing, one list, or one a mapped task."""
    if isinstance(pushed, dict):
        return [pushed]
    if pushed is None or isinstance(pushed, str):
        return []
    return [row for part in pushed for row in outcome_rows(part)]


def record_run(
    platform: str, run_id: str, started_at: datetime, rows: Sequence[dict[str, Any]]
) -> str:
    """Write the run's row and seal its operations; returns the seal."""
    with _guarded():
        secrets = load_secrets()
        database = _database()
        try:
            store = Store(database, secrets.hmac_key)
            now = SystemClock().now()
            seal = record(store, Platform(platform), run_id, started_at, rows, now)
        finally:
            database.close()
    install().info("audit seal %s", seal or "(nothing to seal)")
    return seal


def _run(work: Callable[[Services, Revision], Awaitable[Value]]) -> Value:
    """Open everything, do the work in an event loop of its own, close everything."""

    async def main() -> Value:
        database = _database()
        try:
            secrets = load_secrets()
            revision = Store(database, secrets.hmac_key).config.revision()
            async with open_services(secrets, database, revision.settings.limits) as services:
                return await work(services, revision)
        finally:
            database.close()

    with _guarded():
        return asyncio.run(main())


def _database() -> Database:
    database = Database()
    require_current(database)
    return database


@contextlib.contextmanager
def _guarded() -> Iterator[None]:
    """No exception of a library leaves a task: its text may hold what must not be logged."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(error.code, detail=error.detail) from None
    except SyncError:
        raise
    except DBAPIError as error:
        raise StateUnavailable(type(error.orig).__name__) from None
    except Exception as error:
        raise UnexpectedError(detail=describe(error)) from None
