"""Cursors, the rows of feeds that were read before, and the index of encounters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from calendar_sync.core.model import Encounter
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database

_BATCH = 500

# Made once: see links.py. A pass without any news asks for all of them.
_CURSOR = select(t.cursor).where(
    t.cursor.c.scope == bindparam("of"),
    t.cursor.c.owner == bindparam("whose"),
    t.cursor.c.calendar == bindparam("in"),
)
_CURSORS = select(t.cursor).where(
    t.cursor.c.scope == bindparam("of"),
    t.cursor.c.owner.in_(bindparam("owners", expanding=True)),
)
_MOVE = update(t.cursor).where(
    t.cursor.c.scope == bindparam("of"),
    t.cursor.c.owner == bindparam("whose"),
    t.cursor.c.calendar == bindparam("in"),
    t.cursor.c.position == bindparam("before"),
)
_CURSOR_KEY = ("scope", "owner", "calendar")
_CURSOR_VALUES = ("position", "shape", "window_end", "updated_at")
_HELD_CURSOR = (
    select(t.cursor.c.position)
    .where(t.cursor.c.scope == bindparam("of"), t.cursor.c.owner == bindparam("whose"))
    .with_for_update()
)
_SEEN = select(t.feed_seen).where(
    t.feed_seen.c.feed == bindparam("feed"),
    t.feed_seen.c.item_id.in_(bindparam("ids", expanding=True)),
)
_FORGET_SEEN = delete(t.feed_seen).where(t.feed_seen.c.seen_at < bindparam("before"))
_ENCOUNTERS = select(t.encounter_index).where(
    t.encounter_index.c.event_id.in_(bindparam("ids", expanding=True))
)
_SEEN_KEY, _SEEN_VALUES = ("feed", "item_id"), ("updated_at", "seen_at", "settled")


@dataclass(frozen=True)
class Cursor:
    """A stored position. `shape` names the request and the settings that it belongs to.

    `saved_at` is when it was last stored: that is when the last read from it ended.
    """

    position: str
    shape: str
    window_end: datetime | None = None
    saved_at: datetime | None = None


@dataclass(frozen=True)
class Moved:
    """A cursor's new position, and the one that it was read from."""

    owner: str
    calendar: str
    before: str
    position: str


@dataclass(frozen=True)
class Seen:
    """An item of a feed: its `updatedAt`, and when this was first shown.

    It is settled once a cycle has certainly read data that is not older than the item.
    """

    updated_at: str
    seen_at: datetime
    settled: bool


class FeedStore:
    """Reads and writes positions, seen rows and encounters."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- cursors ------------------------------------------------------------------------------

    def cursor(self, scope: str, owner: str, calendar: str = "") -> Cursor | None:
        """One cursor."""
        named = {"of": scope, "whose": owner, "in": calendar}
        with self._database.read() as connection:
            row = connection.execute(_CURSOR, named).one_or_none()
        return _cursor(row) if row is not None else None

    def cursors(
        self, scope: str, owners: Iterable[str] | None = None
    ) -> dict[tuple[str, str], Cursor]:
        """The cursors of a platform, by user and calendar: of everybody, or of these users."""
        if owners is None:
            query = select(t.cursor).where(t.cursor.c.scope == scope)
            with self._database.read() as connection:
                rows = connection.execute(query).all()
            return {(row.owner, row.calendar): _cursor(row) for row in rows}
        wanted, found = sorted(set(owners)), {}
        with self._database.read() as connection:
            for first in range(0, len(wanted), _BATCH):
                named = {"of": scope, "owners": wanted[first : first + _BATCH]}
                for row in connection.execute(_CURSORS, named):
                    found[row.owner, row.calendar] = _cursor(row)
        return found

    def save_cursor(
        self,
        connection: Connection,
        scope: str,
        owner: str,
        cursor: Cursor,
        now: datetime,
        calendar: str = "",
    ) -> None:
        """Store a position, inside the caller's transaction."""
        connection.execute(
            self._database.upsert(t.cursor, _CURSOR_KEY, _CURSOR_VALUES),
            {
                "scope": scope,
                "owner": owner,
                "calendar": calendar,
                "position": cursor.position,
                "shape": cursor.shape,
                "window_end": cursor.window_end,
                "updated_at": now,
            },
        )

    def move_cursor(self, connection: Connection, scope: str, moved: Moved, now: datetime) -> None:
        """Move a position on, unless somebody has stored another one meanwhile."""
        connection.execute(
            _MOVE.values(position=moved.position, updated_at=now),
            {"of": scope, "whose": moved.owner, "in": moved.calendar, "before": moved.before},
        )

    def lock_cursor(self, connection: Connection, scope: str, owner: str) -> str | None:
        """Lock this position until the transaction ends; returns it."""
        position: str | None = connection.scalar(_HELD_CURSOR, {"of": scope, "whose": owner})
        return position

    # --- seen rows ----------------------------------------------------------------------------

    def seen(self, feed: str, ids: Iterable[str]) -> dict[str, Seen]:
        """Which of these items were shown before."""
        wanted = sorted(set(ids))
        found: dict[str, Seen] = {}
        if not wanted:
            return found
        with self._database.read() as connection:
            for first in range(0, len(wanted), _BATCH):
                named = {"feed": feed, "ids": wanted[first : first + _BATCH]}
                for row in connection.execute(_SEEN, named):
                    found[row.item_id] = Seen(row.updated_at, row.seen_at, row.settled)
        return found

    def remember(self, connection: Connection, feed: str, items: Mapping[str, Seen]) -> None:
        """Store the rows that were read, by item id."""
        if not items:
            return
        connection.execute(
            self._database.upsert(t.feed_seen, _SEEN_KEY, _SEEN_VALUES),
            [
                {
                    "feed": feed,
                    "item_id": key,
                    "updated_at": item.updated_at,
                    "seen_at": item.seen_at,
                    "settled": item.settled,
                }
                for key, item in sorted(items.items())
            ],
        )

    def forget_seen(self, connection: Connection, before: datetime) -> None:
        """Delete rows that are so old that no read shows them again."""
        connection.execute(_FORGET_SEEN, {"before": before})

    # --- encounter index ----------------------------------------------------------------------

    def encounters(self, event_ids: Iterable[str]) -> dict[str, Encounter]:
        """Encounters by the calendar event that they belong to."""
        wanted = sorted(set(event_ids))
        found: dict[str, Encounter] = {}
        if not wanted:
            return found
        with self._database.read() as connection:
            for first in range(0, len(wanted), _BATCH):
                part = wanted[first : first + _BATCH]
                for row in connection.execute(_ENCOUNTERS, {"ids": part}):
                    found[row.event_id] = Encounter(
                        row.event_id, row.encounter_id, row.template, row.status
                    )
        return found

    def encounters_by_id(self, encounter_ids: Iterable[str]) -> list[Encounter]:
        """Encounters by their own ids."""
        table, wanted = t.encounter_index, sorted(set(encounter_ids))
        found: list[Encounter] = []
        if not wanted:
            return found
        with self._database.read() as connection:
            for first in range(0, len(wanted), _BATCH):
                query = select(table).where(
                    table.c.encounter_id.in_(wanted[first : first + _BATCH])
                )
                found += [
                    Encounter(row.event_id, row.encounter_id, row.template, row.status)
                    for row in connection.execute(query)
                ]
        return found

    def add_encounters(self, connection: Connection, encounters: Iterable[Encounter]) -> None:
        """Insert those that are not there yet."""
        if rows := [_row(encounter) for encounter in encounters]:
            statement = self._database.insert(t.encounter_index)
            connection.execute(statement.on_conflict_do_nothing(), rows)

    def forget_encounters(self, connection: Connection, event_ids: Iterable[str]) -> None:
        """Delete the encounters of these events, so that they are read again."""
        if ids := sorted(set(event_ids)):
            table = t.encounter_index
            connection.execute(delete(table).where(table.c.event_id.in_(ids)))

    def save_encounters(self, connection: Connection, encounters: Iterable[Encounter]) -> None:
        """Insert or replace."""
        if rows := [_row(encounter) for encounter in encounters]:
            values = ("encounter_id", "template", "status")
            connection.execute(
                self._database.upsert(t.encounter_index, ("event_id",), values), rows
            )


def _cursor(row: Row[Any]) -> Cursor:
    return Cursor(row.position, row.shape, row.window_end, row.updated_at)


def _row(encounter: Encounter) -> dict[str, str | None]:
    return {
        "event_id": encounter.event_id,
        "encounter_id": encounter.encounter_id,
        # Cut to the columns' lengths: PostgreSQL refuses what SQLite lets through.
        "template": encounter.template[:255] if encounter.template else None,
        "status": encounter.status[:32],
    }
