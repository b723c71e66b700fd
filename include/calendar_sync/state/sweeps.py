"""What sweeps have seen: a keyed hash of the busy times of each calendar, and what changed since.

No times are stored. Changes are counted, as marks are: a poll notes the count before it asks, and
stores it when the calendar has answered, so that a change seen meanwhile is not lost.
"""

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime

from sqlalchemy import Connection, bindparam, case, delete, func, select, update

from calendar_sync.state import tables as t
from calendar_sync.state.database import Database

BATCH = 500
Key = tuple[str, str, int]

_OF = select(t.swept).where(t.swept.c.user_id.in_(bindparam("users", expanding=True)))
_OPEN = t.swept.c.changes > t.swept.c.polled
_BY_USER = select(
    t.swept.c.user_id,
    func.min(case((t.swept.c.part == 0, t.swept.c.seen_at))).label("seen_at"),
    func.count(case((t.swept.c.part == 0, 1))).label("calendars"),
    func.max(t.swept.c.account).label("account"),
    func.sum(case((_OPEN, 1), else_=0)).label("open"),
    func.max(t.swept.c.changes).label("changes"),
).group_by(t.swept.c.user_id)


@dataclass(frozen=True)
class SweptCalendar:
    """One part of a calendar's future, as a sweep saw it on a day (UTC)."""

    user_id: str
    calendar: str
    part: int
    account: str
    hash: str
    day: date
    seen_at: datetime
    changes: int = 0
    polled: int = 0

    @property
    def key(self) -> Key:
        """Which calendar, and which part."""
        return self.user_id, self.calendar, self.part


@dataclass(frozen=True)
class SweptUser:
    """All calendars of one user: since when none was seen later, and whether one has changed."""

    account: str
    seen_at: datetime | None
    calendars: int
    changed: bool


class SweepStore:
    """Reads and writes `swept`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def calendars(self, user_ids: Iterable[str]) -> dict[Key, SweptCalendar]:
        """What was seen of these users' calendars."""
        wanted, found = sorted(set(user_ids)), {}
        with self._database.read() as connection:
            for first in range(0, len(wanted), BATCH):
                for row in connection.execute(_OF, {"users": wanted[first : first + BATCH]}):
                    one = SweptCalendar(**row._mapping)
                    found[one.key] = one
        return found

    def users(self) -> dict[str, SweptUser]:
        """Everybody who was ever seen."""
        with self._database.read() as connection:
            return {
                row.user_id: SweptUser(row.account, row.seen_at, row.calendars, bool(row.open))
                for row in connection.execute(_BY_USER)
            }

    def changed(self) -> list[str]:
        """Users with a change that waits for its poll."""
        with self._database.read() as connection:
            return list(connection.scalars(select(t.swept.c.user_id).where(_OPEN).distinct()))

    def save(self, connection: Connection, seen: Collection[SweptCalendar]) -> None:
        """Store what was seen; `changes` of one that exists is added to its count."""
        if not seen:
            return
        insert = self._database.insert(t.swept)
        new = insert.excluded
        statement = insert.on_conflict_do_update(
            index_elements=["user_id", "calendar", "part"],
            set_={
                **{name: new[name] for name in ("account", "hash", "day", "seen_at")},
                "changes": t.swept.c.changes + new.changes,
            },
        )
        rows = sorted(seen, key=lambda one: one.key)
        connection.execute(statement, [asdict(one) for one in rows])

    def counts(self, user_ids: Iterable[str]) -> dict[Key, int]:
        """How many changes were seen of these users' calendars: before they are polled."""
        return {key: one.changes for key, one in self.calendars(user_ids).items()}

    def polled(self, connection: Connection, counts: Iterable[tuple[Key, int]]) -> None:
        """Polls have looked into so many changes."""
        table = t.swept
        statement = (
            update(table)
            .where(
                table.c.user_id == bindparam("user"),
                table.c.calendar == bindparam("in"),
                table.c.part == bindparam("number"),
            )
            .values(polled=bindparam("count"))
        )
        rows = [
            {"user": user, "in": calendar, "number": part, "count": count}
            for (user, calendar, part), count in sorted(counts)
        ]
        if rows:
            connection.execute(statement, rows)

    def forget(self, before: datetime) -> int:
        """Drop what no sweep has seen since then: of users who left, or after sweeps ended."""
        with self._database.write() as connection:
            return connection.execute(delete(t.swept).where(t.swept.c.seen_at < before)).rowcount
