"""The append-only record of every external write, sealed against later changes.

Each operation carries a keyed hash over itself and the one before it in its cycle. `seal` ties
the heads of all finished cycles into one chain; its newest value goes to the run's log. `verify`
finds a changed byte, a removed row and a cut tail.
"""

import hashlib
import hmac
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select

from calendar_sync.model import iso
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database

SEAL_OVERLAP = timedelta(hours=1)
SEAL_LOCK = 0x5EA1
# Decisions of people stand in the record, too: step and outcome; the reason is what was decided,
# and the author stands in the place of the run.
DECISION, RECORDED = "decision", "recorded"
# So does every try to sync a user that failed as a whole; the outcome is its code.
TRY = "sync"
#: How many problems a check tells of, and how many operations it keeps in mind at a time.
PROBLEMS = 1000
CHUNK = 500
# Made once: see links.py.
_INSERT = insert(t.operation)


@dataclass(frozen=True)
class Operation:
    """One external write (or the attempt at it)."""

    step: str
    reason: str
    source_id: str
    remote_id: str
    calendar: str
    level: str
    outcome: str
    milliseconds: int


@dataclass
class CycleLog:
    """The chain of one cycle's operations."""

    cycle_id: str
    run_id: str
    user_id: str
    platform: str
    account: str
    mapping_revision: int
    seq: int = 0
    head: str = ""


class AuditStore:
    """Writes and checks the record."""

    def __init__(self, database: Database, key: str) -> None:
        self._database = database
        self._key = hashlib.sha256(b"audit" + key.encode()).digest()

    def append(
        self, connection: Connection, log: CycleLog, operation: Operation, now: datetime
    ) -> tuple[int, str]:
        """Add one operation, in the transaction that stores its link.

        Returns the chain's new end, for the log once the transaction is committed.
        """
        values: dict[str, Any] = {
            "cycle_id": log.cycle_id,
            "seq": log.seq + 1,
            "at": now,
            "run_id": log.run_id,
            "user_id": log.user_id,
            "platform": log.platform,
            "account": log.account,
            "mapping_revision": log.mapping_revision,
            **vars(operation),
        }
        values["hash"] = self._link(log.head, values)
        connection.execute(_INSERT, values)
        return values["seq"], values["hash"]

    def seal(self, run_id: str, now: datetime) -> str:
        """Tie all heads that no seal covers yet into the chain; returns its newest value."""
        with self._database.write() as connection:
            if not self._database.is_sqlite:
                # One seal at a time; the lock ends with the transaction.
                connection.execute(select(func.pg_advisory_xact_lock(SEAL_LOCK)))
            last = connection.execute(
                select(t.audit_seal).order_by(t.audit_seal.c.id.desc()).limit(1)
            ).one_or_none()
            before = last.seal if last is not None else ""
            # Only what is recent can be unsealed: a cycle ends long before the overlap does.
            since = last.at - SEAL_OVERLAP if last is not None else None
            heads = self._heads(connection, since)
            known: dict[str, int] = {}
            recent = select(t.audit_seal.c.heads)
            if since is not None:
                recent = recent.where(t.audit_seal.c.at > since - SEAL_OVERLAP)
            for row in connection.execute(recent):
                for cycle_id, seq, _ in row.heads:
                    known[cycle_id] = max(seq, known.get(cycle_id, 0))
            new = [
                [cycle_id, seq, head]
                for cycle_id, (seq, head) in sorted(heads.items())
                if seq > known.get(cycle_id, 0)
            ]
            if not new:
                return before
            seal = self._mac(before, json.dumps(new))
            connection.execute(
                insert(t.audit_seal).values(at=now, run_id=run_id, heads=new, seal=seal)
            )
            return seal

    def verify(self, expected_seal: str | None = None) -> list[str]:
        """What is wrong with the record; empty when it is whole, `PROBLEMS` when that or more is.

        Every run noted the seal that it reached: all of them must still be part of the chain, and
        so must `expected_seal`, a value from a run's log. One moment is looked at, a row at a time:
        runs go on, and the record may be larger than the memory.
        """
        with (
            self._database.snapshot() as connection,
            closing(self._problems(connection, expected_seal)) as found,
        ):
            return list(islice(found, PROBLEMS))

    def _problems(self, connection: Connection, expected: str | None) -> Generator[str]:
        yield from self._unfit_operations(connection)
        yield from self._unfit_seals(connection, expected)

    def _unfit_operations(self, connection: Connection) -> Iterator[str]:
        query = select(t.operation).order_by(t.operation.c.cycle_id, t.operation.c.seq)
        cycle, seq, head = "", 0, ""
        for row in _streamed(connection, query):
            if row.cycle_id != cycle:
                seq, head = 0, ""
            values = {key: value for key, value in row._mapping.items() if key != "id"}
            if row.seq != seq + 1 or row.hash != self._link(head, values):
                yield f"operation {row.cycle_id}/{row.seq} does not fit"
            cycle, seq, head = row.cycle_id, row.seq, row.hash

    def _unfit_seals(self, connection: Connection, expected: str | None) -> Iterator[str]:
        # Seals that runs have reached, each with one of them, until the chain is found to have it.
        reached: dict[str, str] = {}
        for row in _streamed(connection, select(t.sync_run.c.run_id, t.sync_run.c.summary)):
            reached[row.summary.get("seal", "")] = row.run_id
        looked_for = expected
        seal, some = "", []
        for row in _streamed(connection, select(t.audit_seal).order_by(t.audit_seal.c.id)):
            reached.pop(seal, None)
            looked_for = None if looked_for == seal else looked_for
            seal = self._mac(seal, json.dumps(row.heads))
            if seal != row.seal:
                yield f"seal {row.id} does not fit"
                seal = row.seal
            some += row.heads
            while len(some) >= CHUNK:
                yield from _missing(connection, some[:CHUNK])
                del some[:CHUNK]
        yield from _missing(connection, some)
        reached.pop(seal, None)
        for run_id in reached.values():
            yield f"the seal of run {run_id} is missing"
        if looked_for not in {None, seal}:
            yield "the expected seal is not part of the chain"

    def _heads(self, connection: Connection, since: datetime | None) -> dict[str, tuple[int, str]]:
        table = t.operation
        query = select(table.c.cycle_id, table.c.seq, table.c.hash)
        if since is not None:
            query = query.where(table.c.at > since)
        rows = connection.execute(query.order_by(table.c.cycle_id, table.c.seq))
        return {row.cycle_id: (row.seq, row.hash) for row in rows}

    def _link(self, before: str, values: Mapping[str, Any]) -> str:
        fields = {
            key: iso(value) if isinstance(value, datetime) else value
            for key, value in values.items()
            if key != "hash"
        }
        return self._mac(before, json.dumps(fields, sort_keys=True))

    def _mac(self, before: str, text: str) -> str:
        return hmac.new(self._key, f"{before}\n{text}".encode(), hashlib.sha256).hexdigest()[:40]


def _streamed(connection: Connection, query: Select[Any]) -> Iterator[Row[Any]]:
    with connection.execute(query.execution_options(yield_per=CHUNK)) as rows:
        yield from rows


def _missing(connection: Connection, heads: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Which of the sealed ends of cycles are not, or no longer, what was sealed."""
    table = t.operation.c
    query = select(table.cycle_id, table.seq, table.hash)
    rows = connection.execute(query.where(table.cycle_id.in_({head[0] for head in heads})))
    there = {(row.cycle_id, row.seq): row.hash for row in rows}
    for cycle_id, seq, head in heads:
        if there.get((cycle_id, seq)) != head:
            yield f"operation {cycle_id}/{seq} is missing"
