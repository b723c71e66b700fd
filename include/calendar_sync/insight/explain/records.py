"""What the state database holds about single items and users. Reads only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from calendar_sync.core.model import Platform
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.items import REFUSED_PAUSE, TRANSIENT_PAUSE, TRIES_BEFORE_PARKING

NEWEST = 10


@dataclass(frozen=True)
class ParkedItem:
    """An item that did not work: how often it was tried, why, and when it is tried again."""

    step: str
    source_id: str
    code: str
    tries: int
    last_at: datetime
    next_at: datetime

    @property
    def parked(self) -> bool:
        """Tried so often that it is left alone until `next_at`."""
        return self.tries >= TRIES_BEFORE_PARKING


@dataclass(frozen=True)
class ConflictRow:
    """Something that a person should see."""

    kind: str
    source_id: str
    decision: str
    times: int
    last_at: datetime


@dataclass(frozen=True)
class OperationRow:
    """One line of the audit."""

    at: datetime
    step: str
    reason: str
    source_id: str
    level: str
    outcome: str


def parked_items(
    store: Store,
    user_id: str,
    platform: Platform,
    source_id: str | None = None,
    original_start: str | None = None,
) -> list[ParkedItem]:
    """Of one user, or of one item of theirs; the newest first."""
    item = {"source_id": source_id, "original_start": original_start}
    rows = _rows(store, t.parked_item, user_id, platform, item, t.parked_item.c.last_at)
    return [
        ParkedItem(
            row.step,
            row.source_id,
            row.code,
            row.tries,
            row.last_at,
            row.last_at + (TRANSIENT_PAUSE if row.transient else REFUSED_PAUSE),
        )
        for row in rows
    ]


def conflicts(
    store: Store,
    user_id: str,
    platform: Platform,
    now: datetime,
    source_id: str | None = None,
    original_start: str | None = None,
) -> list[ConflictRow]:
    """Open ones, newest first; of those that end by themselves, what lasts."""
    item = {"source_id": source_id, "original_start": original_start}
    rows = _rows(store, t.conflict, user_id, platform, item, t.conflict.c.last_at)
    return [
        ConflictRow(row.kind, row.source_id, row.decision, row.times, row.last_at)
        for row in rows
        if row.dismissed_at is None and (row.ends_at is None or row.ends_at > now)
    ]


def operations(
    store: Store,
    user_id: str,
    platform: Platform,
    source_id: str | None = None,
    remote_id: str | None = None,
    newest: int = NEWEST,
) -> list[OperationRow]:
    """The newest writes, the newest first."""
    item = {"source_id": source_id, "remote_id": remote_id}
    rows = _rows(store, t.operation, user_id, platform, item, t.operation.c.id, newest)
    return [
        OperationRow(row.at, row.step, row.reason, row.source_id, row.level, row.outcome)
        for row in rows
    ]


def last_run(store: Store, platform: Platform) -> datetime | None:
    """When a run on this platform last ended."""
    query = select(func.max(t.sync_run.c.ended_at)).where(t.sync_run.c.platform == platform.value)
    with store.database.read() as connection:
        ended: datetime | None = connection.scalar(query)
    return ended


def _rows(
    store: Store,
    table: Any,
    user_id: str,
    platform: Platform,
    item: Mapping[str, str | None],
    order: Any,
    most: int | None = None,
) -> Iterable[Any]:
    query = select(table).where(table.c.user_id == user_id, table.c.platform == platform.value)
    for column, value in item.items():
        if value is not None:
            query = query.where(table.c[column] == value)
    with store.database.read() as connection:
        return connection.execute(query.order_by(order.desc()).limit(most)).all()
