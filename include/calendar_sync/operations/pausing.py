"""Pausing the sync of one user for some days, by the user or for them; recorded with the author."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from calendar_sync.core.codes import RequestCode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import MappedUser, Platform, iso
from calendar_sync.state import Store
from calendar_sync.sync.pauses import end_pauses

SHORTEST, LONGEST = 1, 14
#: What was decided, as the audit log has it; its item is when the pause ends.
PAUSED, RESUMED = "sync_paused", "sync_resumed"


def pause(store: Store, user_id: str, days: int, author: str, now: datetime) -> datetime:
    """Pause a user on all platforms, from now on for so many days; returns when it ends.

    For one who is paused already, the days count from now on, too.

    Raises:
        ConfigurationError: that is not 1 to 14 days, or the user is not mapped, or disabled.
    """
    if not SHORTEST <= days <= LONGEST:
        raise ConfigurationError(
            detail=f"a pause lasts {SHORTEST} to {LONGEST} days, not {days}: choose another number"
        )
    rows = store.config.mapping(users=[user_id])
    mapped = [row for row in rows if row.enabled]
    if not mapped:
        what = "disabled in the mapping" if rows else "not mapped"
        raise ConfigurationError(
            RequestCode.NOT_MAPPED, detail=f"there is no sync to pause: {user_id} is {what}"
        )
    until = now + timedelta(days=days)
    with store.database.write() as connection:
        store.pauses.begin(connection, user_id, until, author, now)
        _record(store, connection, mapped, PAUSED, until, author, now)
    return until


def resume(store: Store, user_id: str, author: str, now: datetime) -> None:
    """End the pause of a user before its time; the next runs compare everything.

    Raises:
        ConfigurationError: the user is not paused.
    """
    if not any(store.pauses.of(user_id, platform, now) for platform in Platform):
        raise ConfigurationError(
            RequestCode.NOT_PAUSED, detail=f"there is no pause to end: {user_id} is not paused"
        )
    rows = store.config.mapping(users=[user_id])
    with store.database.write() as connection:
        store.pauses.end(connection, user_id, now)
        _record(store, connection, rows, RESUMED, now, author, now)
    for platform in Platform:
        end_pauses(store, platform, now)


def _record(
    store: Store,
    connection: Connection,
    rows: list[MappedUser],
    what: str,
    until: datetime,
    author: str,
    now: datetime,
) -> None:
    when = iso(until.replace(microsecond=0))
    for row in rows:
        user = (row.user_id, row.platform, row.account)
        store.audit.append_decision(connection, author, *user, what, when, now)
