"""The operations as an audit log: filtered, paged by key, newest first."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, literal, or_, select

from calendar_sync.core.model import Platform, Step
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.audit import RECORDED

PAGE = 100
CHUNK = 2000
# Outcomes by the words of the filter: everything, what worked, what did not.
OK = "ok"
FAILED = "failed"


@dataclass(frozen=True)
class Asked:
    """Which operations; None and "" are all. `user` is a Welkin user id or an account.

    `outcome` is "ok", "failed" (anything but that and a person's decision) or a code; `since` is
    included, `until` is not. `before` is the number of the last operation of the page before.
    """

    user: str = ""
    platform: Platform | None = None
    step: Step | None = None
    outcome: str = ""
    run_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None


@dataclass(frozen=True)
class Entry:
    """One operation: an attempt to write something on either side."""

    id: int
    at: datetime
    user_id: str
    platform: str
    account: str
    calendar: str
    step: str
    reason: str
    source_id: str
    remote_id: str
    level: str
    outcome: str
    milliseconds: int
    run_id: str
    hash: str


@dataclass(frozen=True)
class ActivityPage:
    """Some of them; `next` is the `before` of the page after, None on the last."""

    entries: tuple[Entry, ...]
    next: int | None


_COLUMNS = tuple(t.operation.c[name] for name in Entry.__dataclass_fields__)


def page(store: Store, asked: Asked, size: int = PAGE) -> ActivityPage:
    """One page."""
    with store.database.read() as connection:
        where = _filters(asked, _of_user(connection, asked.user.strip()))
        query = select(*_COLUMNS).where(*where).order_by(t.operation.c.id.desc())
        rows = connection.execute(query.limit(size + 1)).all()
    entries = tuple(Entry(*row) for row in rows[:size])
    return ActivityPage(entries, entries[-1].id if len(rows) > size else None)


def every(store: Store, asked: Asked, most: int) -> Iterator[Entry]:
    """All of them, up to `most`, some at a time: no transaction stays open meanwhile."""
    before, left = asked.before, most
    while left > 0:
        size = min(CHUNK, left)
        found = page(store, replace_before(asked, before), size)
        yield from found.entries
        before, left = found.next, left - len(found.entries)
        if before is None:
            return


def replace_before(asked: Asked, before: int | None) -> Asked:
    """The same, further down."""
    return Asked(**{**vars(asked), "before": before})


def _of_user(connection: Connection, user: str) -> Iterator[ColumnElement[bool]]:
    """The operations of a Welkin user, or on an account, also under its former users."""
    table, account = t.operation.c, user.lower()
    if "@" not in user:
        if user:
            yield table.user_id == user
        return
    change = t.mapping_change.c
    held = [change[side]["account"].as_string() == account for side in ("before", "after")]
    ids = {user}
    ids |= set(connection.scalars(select(change.user_id).where(or_(*held))))
    mapped = t.user_mapping.c
    ids |= set(connection.scalars(select(mapped.user_id).where(mapped.account == account)))
    yield table.user_id.in_(sorted(ids))
    yield or_(table.user_id == user, func.lower(table.account) == account)


def _filters(asked: Asked, of_user: Iterable[ColumnElement[bool]]) -> Iterator[ColumnElement[bool]]:
    table = t.operation
    yield from of_user
    if asked.platform is not None:
        yield table.c.platform == asked.platform.value
    if asked.step is not None:
        yield table.c.step == asked.step.value
    if asked.outcome not in {"", OK, RECORDED}:
        # In the very words of the index of those that failed.
        for other in (OK, RECORDED):
            yield table.c.outcome != literal(other, literal_execute=True)
    if asked.outcome not in {"", FAILED}:
        yield table.c.outcome == asked.outcome
    if asked.run_id:
        yield table.c.run_id == asked.run_id
    if asked.since is not None:
        yield table.c.at >= asked.since
    if asked.until is not None:
        yield table.c.at < asked.until
    if asked.before is not None:
        yield table.c.id < asked.before
