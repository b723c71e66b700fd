"""Who notices changes, whether that works, and which run was asked for.

One row for each part of noticing: `welkin` for its feeds, `google` and `microsoft` for polls. A
part is one process's at a time, by a lease. Two that believe to have it at once do no harm: marks
only grow, and a position moves on only from where it was read.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, or_, select, update

from calendar_sync.state import tables as t
from calendar_sync.state.database import Database

LEASE = timedelta(seconds=45)
#: Noticing that has shown no success for so long stands still: a run does its work.
ALIVE = timedelta(seconds=90)
#: A run that was asked for and has not come is asked for again, less and less often.
ASK_AGAIN, ASK_AGAIN_AT_LAST = timedelta(seconds=15), timedelta(minutes=5)
#: Two runs that are asked for are so far apart, where one has just collected its users.
RUNS_APART = timedelta(seconds=2)
#: Where no run has come for so long, the DAG is paused or broken: its accounts are left alone.
RESTS_AFTER = timedelta(minutes=16)
#: Runs come every five minutes at least: after a longer time the DAG was switched off, or new.
A_BREAK = timedelta(minutes=6)

_OF = select(t.noticing).where(t.noticing.c.name == bindparam("of"))


@dataclass(frozen=True)
class Noticing:
    """One part. `run_at` is when a run of the platform last collected users.

    `expected_since`: the runs of the DAG say that a triggerer should do this, without a break
    since then. `asks` counts the runs asked for since one came.
    """

    name: str
    owner: str = ""
    expires_at: datetime | None = None
    heartbeat_at: datetime | None = None
    error_code: str | None = None
    requests: Mapping[str, int] = field(default_factory=dict)
    asked_at: datetime | None = None
    asks: int = 0
    run_at: datetime | None = None
    expected_since: datetime | None = None

    def alive(self, now: datetime) -> bool:
        """It has looked, successfully, not long ago."""
        return self.heartbeat_at is not None and now - self.heartbeat_at < ALIVE

    def rests(self, now: datetime) -> bool:
        """No run of the DAG has come for long: it is paused, or broken."""
        return self.run_at is None or now - self.run_at >= RESTS_AFTER

    def may_ask(self, now: datetime) -> bool:
        """A run may be asked for: none is awaited, or it should have come by now."""
        if self.asks:
            again = min(ASK_AGAIN * 2 ** min(self.asks - 1, 8), ASK_AGAIN_AT_LAST)
            return self.asked_at is None or now - self.asked_at >= again
        return self.run_at is None or now - self.run_at >= RUNS_APART


class NoticingStore:
    """Reads and writes `noticing`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, name: str) -> Noticing:
        """One part; a fresh one where nobody has noticed anything yet."""
        with self._database.read() as connection:
            row = connection.execute(_OF, {"of": name}).one_or_none()
        return Noticing(**row._mapping) if row is not None else Noticing(name)

    def take(self, name: str, owner: str, now: datetime) -> bool:
        """Have this part for another 45 s; False where another process has it."""
        table, row = t.noticing, self.of(name)
        if row.expires_at is not None and row.expires_at > now and row.owner not in {owner, ""}:
            return False
        mine = or_(
            table.c.owner.in_([owner, ""]),
            table.c.expires_at.is_(None),
            table.c.expires_at <= now,
        )
        with self._database.write() as connection:
            if row.expires_at is None:
                self._ensure(connection, name)
            taken = connection.execute(
                update(table)
                .where(table.c.name == name, mine)
                .values(owner=owner, expires_at=now + LEASE)
            )
            return taken.rowcount == 1

    def release(self, name: str, owner: str) -> None:
        """Let another process have it at once."""
        table = t.noticing
        with self._database.write() as connection:
            connection.execute(
                update(table)
                .where(table.c.name == name, table.c.owner == owner)
                .values(owner="", expires_at=None)
            )

    def beat(self, name: str, now: datetime, requests: Mapping[str, int]) -> None:
        """It has looked; `requests` are those since the last call, by kind."""
        self._told(name, requests, heartbeat_at=now, error_code=None)

    def failed(self, name: str, code: str, requests: Mapping[str, int]) -> None:
        """It could not look."""
        self._told(name, requests, error_code=code[:64])

    def asked(self, platform: str, now: datetime) -> None:
        """A run was asked for."""
        table = t.noticing
        with self._database.write() as connection:
            self._ensure(connection, platform)
            connection.execute(
                update(table)
                .where(table.c.name == platform)
                .values(asked_at=now, asks=table.c.asks + 1)
            )

    def run_came(self, platform: str, now: datetime, *, expected: bool) -> None:
        """A run of the platform collects its users."""
        table, before = t.noticing, self.of(platform)
        since = before.expected_since
        if since is None or before.run_at is None or now - before.run_at >= A_BREAK:
            since = now
        with self._database.write() as connection:
            self._ensure(connection, platform)
            connection.execute(
                update(table)
                .where(table.c.name == platform)
                .values(run_at=now, asks=0, expected_since=since if expected else None)
            )

    def take_requests(self, *names: str) -> Counter[str]:
        """The requests of these parts since the last call, for the record of a run."""
        table, total = t.noticing, Counter[str]()
        with self._database.write() as connection:
            for name in names:
                row = connection.execute(_OF.with_for_update(), {"of": name}).one_or_none()
                if row is not None and row.requests:
                    total.update(row.requests)
                    connection.execute(
                        update(table).where(table.c.name == name).values(requests={})
                    )
        return total

    def _told(self, name: str, requests: Mapping[str, int], **values: Any) -> None:
        table = t.noticing
        with self._database.write() as connection:
            self._ensure(connection, name)
            if requests:
                row = connection.execute(_OF.with_for_update(), {"of": name}).one()
                values["requests"] = dict(Counter(row.requests) + Counter(requests))
            connection.execute(update(table).where(table.c.name == name).values(**values))

    def _ensure(self, connection: Any, name: str) -> None:
        row = self._database.insert(t.noticing).on_conflict_do_nothing()
        connection.execute(row, {"name": name, "requests": {}})
