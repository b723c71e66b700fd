"""Which users have work, and how each one's sync is doing.

A mark raises `mark_seq` in the database. A cycle notes the value at its start and, when it is
done, sets `done_seq` to that value: a mark set meanwhile stays. No clock is compared.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, exists, func, literal, or_, select, update

from calendar_sync.core.model import Platform
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database, insert_of

FIRST_RETRY = timedelta(minutes=1)
LAST_RETRY = timedelta(hours=6)
ATTENTION_AFTER = 3
BATCH = 500

# Made once: see links.py. Every pass asks several times.
_ALL = select(t.user_sync)
_OF_PLATFORM = _ALL.where(t.user_sync.c.platform == bindparam("of"))
_OF = _OF_PLATFORM.where(t.user_sync.c.user_id == bindparam("user"))
_WANTED = _OF_PLATFORM.where(
    t.user_sync.c.mark_seq > t.user_sync.c.done_seq,
    or_(t.user_sync.c.retry_at.is_(None), t.user_sync.c.retry_at <= bindparam("now")),
)
_FREE = _WANTED.where(
    or_(
        t.user_sync.c.taken_until.is_(None),
        t.user_sync.c.taken_until <= bindparam("now"),
        t.user_sync.c.taken_by == bindparam("run"),
    ),
    ~exists().where(
        t.lease.c.user_id == t.user_sync.c.user_id,
        t.lease.c.owner != "",
        t.lease.c.expires_at > bindparam("now"),
    ),
)
_TAKE = (
    update(t.user_sync)
    .where(t.user_sync.c.user_id == bindparam("user"), t.user_sync.c.platform == bindparam("of"))
    .values(taken_by=bindparam("run"), taken_until=bindparam("until"))
)
_ROW = update(t.user_sync).where(
    t.user_sync.c.user_id == bindparam("user"), t.user_sync.c.platform == bindparam("of")
)
_WAITING = select(func.count()).where(
    t.user_sync.c.platform == bindparam("of"),
    t.user_sync.c.mark_seq > t.user_sync.c.done_seq,
    t.user_sync.c.retry_at > bindparam("now"),
)
_LOCKED = (
    select(t.user_sync.c.user_id)
    .where(
        t.user_sync.c.user_id.in_(bindparam("users", expanding=True)),
        t.user_sync.c.platform.in_(bindparam("platforms", expanding=True)),
    )
    .order_by(t.user_sync.c.user_id, t.user_sync.c.platform)
    .with_for_update()
)
_NOW = bindparam("now", type_=t.user_sync.c.marked_at.type)
_UNMARKED = t.user_sync.c.mark_seq <= t.user_sync.c.done_seq
_POLLED = (
    update(t.user_sync)
    .where(
        t.user_sync.c.platform == bindparam("of"),
        t.user_sync.c.user_id.in_(bindparam("users", expanding=True)),
    )
    .values(
        last_poll_at=_NOW,
        poll_error=None,
        poll_failed_at=None,
        last_success_at=case((_UNMARKED, _NOW), else_=t.user_sync.c.last_success_at),
    )
)
# A mark, or the request for a comparison, that came meanwhile stays.
_STILL = t.user_sync.c.mark_seq > bindparam("seq")
_DONE = _ROW.values(
    done_seq=bindparam("seq"),
    marked_at=case((_STILL, _NOW), else_=None),
    retry_at=None,
    failures=0,
    error_code=None,
    failing_since=None,
    attention=False,
    last_success_at=_NOW,
)
_COMPARED = _DONE.values(
    next_full_at=case(
        (_STILL, t.user_sync.c.next_full_at),
        else_=bindparam("next", type_=t.user_sync.c.next_full_at.type),
    ),
    full_because=case((_STILL, t.user_sync.c.full_because), else_=""),
    compared_at=_NOW,
)
# Why a user is compared fully: it was requested, or it is the daily comparison.
ASKED, DAILY = "asked", "daily"

Pair = tuple[str, Platform]


@dataclass(frozen=True)
class UserSync:
    """The state of one (user, platform)."""

    user_id: str
    platform: Platform
    mark_seq: int = 0
    done_seq: int = 0
    marked_at: datetime | None = None
    retry_at: datetime | None = None
    failures: int = 0
    error_code: str | None = None
    failing_since: datetime | None = None
    attention: bool = False
    last_success_at: datetime | None = None
    last_poll_at: datetime | None = None
    poll_error: str | None = None
    poll_failed_at: datetime | None = None
    next_full_at: datetime | None = None
    full_because: str = ""
    compared_at: datetime | None = None
    taken_by: str = ""
    taken_until: datetime | None = None

    @property
    def marked(self) -> bool:
        """There is work."""
        return self.mark_seq > self.done_seq

    @property
    def daily(self) -> bool:
        """Only the daily comparison is due: all that it finds was not reported as a change."""
        return self.full_because == DAILY and self.mark_seq == self.done_seq + 1

    def waiting(self, now: datetime) -> bool:
        """The pause after a failure is not over."""
        return self.retry_at is not None and self.retry_at > now


class MarkStore:
    """Reads and writes `user_sync`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def mark(self, connection: Connection, pairs: Iterable[Pair], now: datetime) -> None:
        """Give work to these users, inside the caller's transaction."""
        pairs = list(dict.fromkeys(pairs))
        if not pairs:
            return
        rows = [
            {
                "user_id": user_id,
                "platform": platform.value,
                "mark_seq": 1,
                "done_seq": 0,
                "marked_at": now,
                "failures": 0,
                "attention": False,
            }
            for user_id, platform in sorted(pairs)
        ]
        connection.execute(_mark_in(self._database.is_sqlite), rows)

    def lock(self, connection: Connection, pairs: Collection[Pair]) -> None:
        """Lock the rows, always in the same order: no two processes wait for each other."""
        platforms = sorted({platform.value for _, platform in pairs})
        users = sorted({user_id for user_id, _ in pairs})
        for first in range(0, len(users), BATCH):
            named = {"users": users[first : first + BATCH], "platforms": platforms}
            connection.execute(_LOCKED, named).all()

    def ensure(self, connection: Connection, pairs: Iterable[Pair]) -> None:
        """Rows for users who have none yet, without work."""
        rows = [
            {"user_id": user_id, "platform": platform.value, "mark_seq": 0, "done_seq": 0}
            for user_id, platform in sorted(pairs)
        ]
        if rows:
            statement = self._database.insert(t.user_sync).on_conflict_do_nothing()
            connection.execute(statement, rows)

    def compare_fully(
        self,
        connection: Connection,
        pairs: Iterable[Pair],
        now: datetime,
        because: str = ASKED,
    ) -> None:
        """The next cycle of these users lists everything."""
        for pair in pairs:
            connection.execute(_ROW, of_pair(pair, next_full_at=now, full_because=because))

    def mark_mapped(self, connection: Connection, revision: int, now: datetime) -> None:
        """Mark all users whose row came with this revision, for a full read.

        One statement, however many there are. Disabled rows are not marked.
        """
        table, rows = t.user_sync, t.user_mapping.c
        moment = literal(now, table.c.marked_at.type)
        mapped = (
            select(
                rows.user_id,
                rows.platform,
                literal(1),
                literal(0),
                moment,
                moment,
                literal(ASKED, table.c.full_because.type),
            )
            .where(rows.revision == revision, rows.enabled)
            # The order in which all others lock these rows.
            .order_by(rows.user_id, rows.platform)
        )
        full = ("next_full_at", "full_because")
        names = ["user_id", "platform", "mark_seq", "done_seq", "marked_at", *full]
        insert = self._database.insert(table)
        statement = insert.from_select(names, mapped).on_conflict_do_update(
            index_elements=["user_id", "platform"],
            set_=_marked_again(insert) | {name: insert.excluded[name] for name in full},
        )
        connection.execute(statement)

    def of(self, user_id: str, platform: Platform) -> UserSync:
        """One user's state; a fresh one for a user without a row."""
        with self._database.read() as connection:
            row = connection.execute(_OF, {"user": user_id, "of": platform.value}).one_or_none()
        return _state(row) if row is not None else UserSync(user_id, platform)

    def all(self, platform: Platform | None = None) -> dict[Pair, UserSync]:
        """Everybody's state."""
        query, named = (_ALL, {}) if platform is None else (_OF_PLATFORM, {"of": platform.value})
        with self._database.read() as connection:
            states = [_state(row) for row in connection.execute(query, named)]
        return {(state.user_id, state.platform): state for state in states}

    def wanted(self, platform: Platform, now: datetime) -> list[UserSync]:
        """Who is marked and does not wait after a failure."""
        named = {"of": platform.value, "now": now}
        with self._database.read() as connection:
            return [_state(row) for row in connection.execute(_WANTED, named)]

    def free(self, platform: Platform, now: datetime, run_id: str = "") -> list[UserSync]:
        """Those of them whom neither another run nor a cycle has in its hands."""
        named = {"of": platform.value, "now": now, "run": run_id}
        with self._database.read() as connection:
            return [_state(row) for row in connection.execute(_FREE, named)]

    def waiting(self, platform: Platform, now: datetime) -> int:
        """How many are marked and wait after a failure."""
        with self._database.read() as connection:
            return connection.scalar(_WAITING, {"of": platform.value, "now": now}) or 0

    def take(self, pairs: Mapping[Pair, datetime], run_id: str) -> None:
        """These users are among the tasks of this run: until then no other run takes them."""
        rows = [
            {"user": user_id, "of": platform.value, "run": run_id, "until": until}
            for (user_id, platform), until in sorted(pairs.items())
        ]
        if rows:
            with self._database.write() as connection:
                connection.execute(_TAKE, rows)

    def give_back(self, pair: Pair, run_id: str) -> None:
        """A task of this run has the user, or is done: what comes after is any run's."""
        state = self.of(*pair)
        if state.taken_until is None or state.taken_by != run_id:
            return
        mine = _ROW.where(t.user_sync.c.taken_by == bindparam("run"))
        with self._database.write() as connection:
            connection.execute(mine, of_pair(pair, run=run_id, taken_until=None))

    def some(self, platform: Platform, user_ids: Iterable[str]) -> dict[Pair, UserSync]:
        """The states of these users."""
        wanted, found = sorted(set(user_ids)), {}
        with self._database.read() as connection:
            for first in range(0, len(wanted), BATCH):
                query = _OF_PLATFORM.where(t.user_sync.c.user_id.in_(wanted[first : first + BATCH]))
                for row in connection.execute(query, {"of": platform.value}):
                    found[row.user_id, platform] = _state(row)
        return found

    def done(
        self,
        connection: Connection,
        pair: Pair,
        seq: int,
        now: datetime,
        next_full_at: datetime | None,
    ) -> None:
        """A successful cycle that began at `seq`. A mark that was set since then stays."""
        if next_full_at is None:
            connection.execute(_DONE, of_pair(pair, seq=seq, now=now))
        else:
            connection.execute(_COMPARED, of_pair(pair, seq=seq, now=now, next=next_full_at))

    def failed(self, pair: Pair, code: str, now: datetime, pause: float | None) -> UserSync:
        """A failed cycle: the user waits, a little longer each time, at most six hours.

        `pause` is what the server asked for, in seconds.
        """
        before = self.of(*pair)
        failures = before.failures + 1
        wait = min(FIRST_RETRY * 2 ** min(before.failures, 12), LAST_RETRY)
        if pause is not None:
            wait = max(timedelta(seconds=pause), timedelta(seconds=5))
        with self._database.write() as connection:
            values = {
                "failures": failures,
                "error_code": code[:64],
                "retry_at": now + wait,
                "failing_since": before.failing_since or now,
                "attention": failures >= ATTENTION_AFTER,
            }
            connection.execute(_ROW, of_pair(pair, **values))
        return self.of(*pair)

    def forgive(self, connection: Connection, platform: Platform, since: datetime) -> None:
        """Forget polls that failed since then, and the pauses after them."""
        table = t.user_sync
        connection.execute(
            update(table)
            .where(table.c.platform == platform.value, table.c.poll_failed_at >= since)
            .values(poll_error=None, poll_failed_at=None, retry_at=None)
        )

    def postpone(self, connection: Connection, pair: Pair, until: datetime) -> None:
        """Do not sync this user before this time: the server asks for it."""
        connection.execute(_ROW, of_pair(pair, retry_at=until))

    def hurry(self, connection: Connection, pairs: Collection[Pair], now: datetime) -> None:
        """Give work to these users for the next run, and forget the pause after a failure."""
        self.mark(connection, pairs, now)
        for pair in sorted(pairs):
            connection.execute(_ROW, of_pair(pair, retry_at=None))

    def begin_again(self, connection: Connection, pairs: Collection[Pair], now: datetime) -> None:
        """Give work to these users for a full comparison; they are late from now on only."""
        self.hurry(connection, pairs, now)
        self.compare_fully(connection, pairs, now)
        for pair in sorted(pairs):
            connection.execute(_ROW, of_pair(pair, marked_at=now))

    def in_step(
        self, connection: Connection, platform: Platform, user_ids: Iterable[str], now: datetime
    ) -> None:
        """A sweep has shown that nothing blocks them that did not before: as good as a poll."""
        table, users = t.user_sync, sorted(user_ids)
        for first in range(0, len(users), BATCH):
            connection.execute(
                update(table)
                .where(
                    table.c.platform == platform.value,
                    table.c.user_id.in_(users[first : first + BATCH]),
                    table.c.mark_seq <= table.c.done_seq,
                    table.c.poll_error.is_(None),
                    table.c.last_success_at.is_not(None),
                )
                .values(last_success_at=now)
            )

    def polled(
        self,
        connection: Connection,
        good: Collection[Pair],
        bad: Iterable[tuple[Pair, str]],
        *,
        now: datetime,
    ) -> None:
        """Record one round of polls; a poll without news is a successful sync, too."""
        for platform in Platform:
            users = sorted(user_id for user_id, of in good if of is platform)
            for first in range(0, len(users), BATCH):
                part = users[first : first + BATCH]
                connection.execute(_POLLED, {"of": platform.value, "users": part, "now": now})
        table = t.user_sync.c
        since = case((table.poll_error.is_(None), _NOW), else_=table.poll_failed_at)
        for pair, code in sorted(bad):
            failed = _ROW.values(last_poll_at=_NOW, poll_error=code, poll_failed_at=since)
            connection.execute(failed, of_pair(pair, now=now))


@cache
def _mark_in(is_sqlite: bool) -> Any:
    insert = insert_of(t.user_sync, is_sqlite)
    return insert.on_conflict_do_update(
        index_elements=["user_id", "platform"], set_=_marked_again(insert)
    )


def _marked_again(insert: Any) -> dict[str, Any]:
    """One mark more; the time of the first that is not done yet stays."""
    table = t.user_sync.c
    first = case((_UNMARKED, insert.excluded.marked_at), else_=table.marked_at)
    return {"mark_seq": table.mark_seq + 1, "marked_at": first}


def of_pair(pair: Pair, **values: Any) -> dict[str, Any]:
    """The values of a statement about rows of one (user, platform), `:user` and `:of`."""
    user_id, platform = pair
    return {"user": user_id, "of": platform.value, **values}


def _state(row: Row[Any]) -> UserSync:
    values = dict(row._mapping)
    values["platform"] = Platform(values["platform"])
    return UserSync(**values)
