"""The audit log: an append-only record of every external write, sealed against later changes.

Each operation has a keyed hash over itself and the operation before it in its cycle. `seal` adds
the last hashes of all finished cycles to one chain. Its newest value goes to the run's log and, if
the deployment names one, to a place outside (`seals.py`). `verify` finds a changed byte and a
removed row; if the newest rows were removed from all tables, only a seal kept outside shows it.
"""

import hashlib
import hmac
import json
import uuid
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Self

from sqlalchemy import Connection, Dialect, Row, Select, func, insert, inspect, select, type_coerce
from sqlalchemy.types import TypeEngine

from calendar_sync.core.model import MappedUser, Platform, Step, iso
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database

SEAL_OVERLAP = timedelta(hours=1)
SEAL_LOCK = 0x5EA1
# The step and outcome of people's decisions: the reason is what was decided, and the author is in
# the column of the run.
DECISION, RECORDED = "decision", "recorded"
# The step of a failed cycle; the outcome is its code.
TRY = "sync"
#: The name of the fact, outside of the audit log, that the log has been started.
BEGUN = "audit"
#: How many problems a check returns, and how many operations it keeps in memory at a time.
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

    @classmethod
    def of(cls, mapped: MappedUser, run_id: str) -> Self:
        """A new one, of this user in this run."""
        user_id, platform = mapped.user_id, mapped.platform.value
        return cls(uuid.uuid4().hex, run_id, user_id, platform, mapped.account, mapped.revision)


class AuditStore:
    """Writes and checks the audit log."""

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

    def append_decision(
        self,
        connection: Connection,
        author: str,
        user_id: str,
        platform: Platform,
        account: str,
        decision: str,
        about: str,
        now: datetime,
    ) -> None:
        """Add what a person has decided about one user; `about` is the item or the value."""
        log = CycleLog(uuid.uuid4().hex, author[:255], user_id, platform.value, account, 0)
        operation = Operation(DECISION, decision, about, "", "", "", RECORDED, 0)
        self.append(connection, log, operation, now)

    def of_run(self, run_id: str, platform: Platform) -> list[Row[Any]]:
        """User, step and outcome of all operations of a run."""
        table = t.operation.c
        query = select(table.user_id, table.step, table.outcome).where(
            table.run_id == run_id, table.platform == platform.value
        )
        with self._database.read() as connection:
            return list(connection.execute(query))

    def written_back(self, user_id: str, platform: Platform, since: datetime) -> frozenset[str]:
        """Appointments that edits of this user's mirrors have changed since then."""
        table = t.operation
        query = select(table.c.source_id).where(
            table.c.user_id == user_id,
            table.c.platform == platform.value,
            table.c.at >= since,
            table.c.step.in_([Step.RESCHEDULE.value, Step.CANCEL.value]),
            table.c.outcome == "ok",
        )
        with self._database.read() as connection:
            return frozenset(connection.scalars(query))

    def mirrors_made(self, user_id: str, platform: str, ids: Collection[str]) -> frozenset[str]:
        """Those of these events that we made as mirrors of this user, in any of their accounts."""
        row = t.operation.c
        query = select(row.remote_id).where(
            row.user_id == user_id,
            row.platform == platform,
            row.step == "create_mirror",
            row.outcome == "ok",
            row.remote_id.in_(sorted(ids)[:CHUNK]),
        )
        with self._database.read() as connection:
            return frozenset(connection.scalars(query))

    def seal(self, run_id: str, now: datetime) -> str:
        """Add the last hashes that have no seal yet to the chain; returns its newest value."""
        with self._database.write() as connection:
            if not self._database.is_sqlite:
                # One seal at a time; the lock ends with the transaction.
                connection.execute(select(func.pg_advisory_xact_lock(SEAL_LOCK)))
            last = connection.execute(
                _lenient(t.audit_seal).order_by(t.audit_seal.c.id.desc()).limit(1)
            ).one_or_none()
            before = last.seal if last is not None and isinstance(last.seal, str) else ""
            # Only what is recent can be unsealed: a cycle ends long before the overlap does.
            recent = last is not None and isinstance(last.at, datetime)
            since = last.at - SEAL_OVERLAP if last is not None and recent else None
            heads = self._heads(connection, since)
            known: dict[str, int] = {}
            query = _lenient(t.audit_seal)
            if since is not None:
                query = query.where(t.audit_seal.c.at > since - SEAL_OVERLAP)
            for row in connection.execute(query):
                # Manipulated rows are found by the verification and do not stop a run.
                for cycle_id, seq, _ in _heads_of(row.heads) or ():
                    known[cycle_id] = max(seq, known.get(cycle_id, 0))
            new = [
                [cycle_id, seq, head]
                for cycle_id, (seq, head) in sorted(heads.items())
                if seq > known.get(cycle_id, 0)
            ]
            if not new:
                return before
            if last is None:
                begun = self._database.insert(t.platform_state).on_conflict_do_nothing()
                connection.execute(begun, {"platform": BEGUN, "facts": {"at": iso(now)}})
            seal = self._mac(before, json.dumps(new))
            connection.execute(
                insert(t.audit_seal).values(at=now, run_id=run_id, heads=new, seal=seal)
            )
            return seal

    def newest(self) -> tuple[str, str]:
        """The newest seal and the run that made it; empty before the first."""
        query = _lenient(t.audit_seal).order_by(t.audit_seal.c.id.desc()).limit(1)
        with self._database.snapshot(any_text=True) as connection:
            if not inspect(connection).has_table(t.audit_seal.name):
                return "", ""
            row = connection.execute(query).one_or_none()
        return (_shown(row.seal), _shown(row.run_id)) if row is not None else ("", "")

    def verify(self, expected_seal: str | Iterable[str] | None = None) -> list[str]:
        """The problems of the audit log, at most `PROBLEMS`; empty if it is complete.

        Each run stored the seal that it reached: all of them must still be part of the chain, and
        so must `expected_seal`, one or more values that were kept outside (in a run's log, or in
        the place that the deployment names). One moment is read, row by row: runs continue, and the
        log may be larger than the memory. Wrong values in rows are returned, not raised.
        """
        if expected_seal is None or isinstance(expected_seal, str):
            expected_seal = [expected_seal] if expected_seal else []
        expected = list(dict.fromkeys(expected_seal))
        with (
            self._database.snapshot(any_text=True) as connection,
            closing(self._problems(connection, expected)) as found,
        ):
            return list(islice(found, PROBLEMS))

    def _problems(self, connection: Connection, expected: Sequence[str]) -> Generator[str]:
        missing = [*_missing_columns(connection)]
        yield from missing
        if not missing:
            yield from self._unfit_operations(connection)
            yield from self._unfit_seals(connection, expected)
            yield from _runs_without_operations(connection)

    def _unfit_operations(self, connection: Connection) -> Iterator[str]:
        query = _lenient(t.operation).order_by(t.operation.c.cycle_id, t.operation.c.seq)
        cycle, seq, head = "", 0, ""
        for row in _streamed(connection, query):
            if row.cycle_id != cycle:
                seq, head = 0, ""
            values = {key: value for key, value in row._mapping.items() if key != "id"}
            if row.seq != seq + 1 or row.hash != self._link(head, values):
                yield f"operation {_shown(row.cycle_id)}/{_shown(row.seq)} does not fit"
            cycle, head = row.cycle_id, row.hash
            seq = row.seq if isinstance(row.seq, int) else seq + 1

    def _unfit_seals(self, connection: Connection, expected: Sequence[str]) -> Iterator[str]:
        # Seals that runs have reached, each with one of them, until the chain is found to have it.
        reached: dict[str, str] = {}
        first = connection.scalar(select(func.min(t.audit_seal.c.id)))
        begun = connection.scalar(
            _lenient(t.audit_seal, "at").where(t.audit_seal.c.id == first).limit(1)
        )
        for row in _streamed(connection, _lenient(t.sync_run, "run_id", "ended_at", "summary")):
            noted = row.summary.get("seal", "") if isinstance(row.summary, dict) else None
            if not isinstance(noted, str):
                yield f"what run {_shown(row.run_id)} noted cannot be read"
            elif noted:
                reached[noted] = row.run_id
            elif _before(begun, row.ended_at):
                yield f"run {_shown(row.run_id)} no longer names its seal"
        looked_for = set(expected)
        if first is None:
            ours = t.platform_state.c.platform == BEGUN
            facts = connection.scalar(_lenient(t.platform_state, "facts").where(ours))
            if facts is not None:
                at = facts.get("at") if isinstance(facts, dict) else facts
                yield f"the audit log is empty, but its first seal was made at {_shown(at)}"
        seal = ""
        some: list[tuple[str, int, str]] = []
        for row in _streamed(connection, _lenient(t.audit_seal).order_by(t.audit_seal.c.id)):
            heads = _heads_of(row.heads)
            if heads is None:
                yield f"seal {_shown(row.id)} does not name what it seals"
            if not isinstance(row.at, datetime):
                yield f"seal {_shown(row.id)} has no time"
            seal = self._mac(seal, json.dumps(row.heads, default=repr))
            if seal != row.seal:
                blank = "" if row.seal else ": it is blank"
                yield f"seal {_shown(row.id)} does not fit{blank}"
                seal = row.seal if isinstance(row.seal, str) else ""
            else:
                looked_for.discard(seal)
            reached.pop(seal, None)
            some += heads or ()
            while len(some) >= CHUNK:
                yield from _missing(connection, some[:CHUNK])
                del some[:CHUNK]
        yield from _missing(connection, some)
        for run_id in reached.values():
            yield f"the seal of run {_shown(run_id)} is missing"
        if looked_for:
            which = "the expected seal is" if len(expected) == 1 else "an expected seal is"
            yield f"{which} not part of the chain"

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
        # What is written is always text or a number; what is read may be anything.
        return self._mac(before, json.dumps(fields, sort_keys=True, default=repr))

    def _mac(self, before: str, text: str) -> str:
        raw = f"{before}\n{text}".encode("utf-8", "surrogatepass")
        return hmac.new(self._key, raw, hashlib.sha256).hexdigest()[:40]


def _streamed(connection: Connection, query: Select[Any]) -> Iterator[Row[Any]]:
    with connection.execute(query.execution_options(yield_per=CHUNK)) as rows:
        yield from rows


class _Lenient(TypeEngine[Any]):
    """A column's type; what cannot be read comes as an `_Unreadable` instead of an exception."""

    def __init__(self, kind: TypeEngine[Any]) -> None:
        self.kind = kind

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Each error becomes a value."""
        read = self.kind.dialect_impl(dialect).result_processor(dialect, coltype)

        def lenient(value: Any) -> Any:
            try:
                return read(value) if read is not None else value
            except Exception:
                return _Unreadable()

        return lenient


class _Unreadable:
    """A value of a wrong shape: equal to nothing, and always written the same way."""

    def __repr__(self) -> str:
        return "unreadable"


def _lenient(table: Any, *names: str) -> Select[Any]:
    """Columns of a table (all of them), whatever their values."""
    columns = [table.c[name] for name in names] or list(table.c)
    return select(*(type_coerce(one, _Lenient(one.type)).label(one.name) for one in columns))


def _missing_columns(connection: Connection) -> Iterator[str]:
    """The missing tables and columns of the audit log."""
    there = inspect(connection)
    for table in (t.operation, t.audit_seal, t.sync_run):
        if not there.has_table(table.name):
            yield f"the table {table.name} is missing"
            continue
        known = {column["name"] for column in there.get_columns(table.name)}
        for name in sorted({*table.c.keys()} - known):
            yield f"the column {name} of the table {table.name} is missing"


def _heads_of(value: Any) -> list[tuple[str, int, str]] | None:
    """The last hashes in a seal's row: cycle, number and hash; None if the shape is wrong."""
    shape = (str, int, str)
    if not isinstance(value, list):
        return None
    for head in value:
        if not isinstance(head, list) or tuple(type(part) for part in head) != shape:
            return None
    return [tuple(head) for head in value]


def _runs_without_operations(connection: Connection) -> Iterator[str]:
    """Runs that counted writes, none of which is in the audit log."""
    some: dict[str, int] = {}
    for row in _streamed(connection, _lenient(t.sync_run, "run_id", "summary")):
        done = row.summary.get("done") if isinstance(row.summary, dict) else None
        done = done if isinstance(done, dict) else {}
        count = sum(n for step, n in done.items() if step != "noted" and isinstance(n, int))
        if count > 0 and isinstance(row.run_id, str):
            some[row.run_id] = some.get(row.run_id, 0) + count
        if len(some) >= CHUNK:
            yield from _unknown_runs(connection, some)
            some = {}
    yield from _unknown_runs(connection, some)


def _unknown_runs(connection: Connection, counts: Mapping[str, int]) -> Iterator[str]:
    run_id = t.operation.c.run_id
    known = set(connection.scalars(select(run_id).distinct().where(run_id.in_(list(counts)))))
    for name in counts.keys() - known:
        yield f"run {_shown(name)} made {counts[name]} writes, but the audit log has none of them"


def _before(first: Any, second: Any) -> bool:
    """Both are times, in this order."""
    return isinstance(first, datetime) and isinstance(second, datetime) and first < second


def _shown(value: Any) -> str:
    """A value from a row on one line, whatever was written there."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
    return text if len(text) <= 255 else text[:254] + "…"


def _missing(connection: Connection, heads: Sequence[Sequence[Any]]) -> Iterator[str]:
    """The last operations of cycles that are missing or differ from what was sealed."""
    table = t.operation.c
    query = select(table.cycle_id, table.seq, table.hash)
    rows = connection.execute(query.where(table.cycle_id.in_({head[0] for head in heads})))
    there = {(row.cycle_id, row.seq): row.hash for row in rows}
    for cycle_id, seq, head in heads:
        if there.get((cycle_id, seq)) != head:
            yield f"operation {_shown(cycle_id)}/{seq} is missing"
