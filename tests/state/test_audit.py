"""The record of external writes: whole, or it says where it is not."""

import tracemalloc
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from calendar_sync.model import Platform
from calendar_sync.passes import record_run
from calendar_sync.state import Database, Store
from calendar_sync.state import tables as t
from calendar_sync.state.audit import AuditStore, CycleLog, Operation
from tests.state.conftest import NOW


def write(store: Store, cycle: str, count: int = 3, *, minutes: int = 0) -> None:
    log = CycleLog(cycle, "run", "u1", "google", "dana@example.org", 1)
    for number in range(count):
        operation = Operation(
            "create_mirror", "wanted", f"a{number}", f"m{number}", "primary", "busy", "ok", 7
        )
        with store.database.write() as connection:
            end = store.audit.append(connection, log, operation, NOW + timedelta(minutes=minutes))
        log.seq, log.head = end


def run(store: Store, name: str, *, minutes: int = 0) -> str:
    now = NOW + timedelta(minutes=minutes)
    return record_run(store, Platform.GOOGLE, name, now, [], now)


@pytest.fixture
def full(store: Store) -> Store:
    for number in range(3):
        write(store, f"c{number}", minutes=number * 90)
        write(store, f"d{number}", 1, minutes=number * 90)
        run(store, f"r{number}", minutes=number * 90 + 1)
    return store


def test_a_whole_record_has_no_problems(full: Store) -> None:
    assert full.audit.verify() == []
    assert full.audit.verify("") == []


def test_nothing_new_is_not_sealed_again(full: Store) -> None:
    assert run(full, "again", minutes=500) == run(full, "and again", minutes=501)
    assert full.audit.verify() == []


def test_an_operation_added_to_a_sealed_cycle_is_sealed_with_the_next_run(store: Store) -> None:
    write(store, "c", 2)
    before = run(store, "r1")
    log = CycleLog("c", "run", "u1", "google", "dana@example.org", 1)
    with store.database.read() as connection:
        last = connection.execute(select(t.operation).order_by(t.operation.c.seq.desc())).first()
    assert last is not None
    log.seq, log.head = last.seq, last.hash
    with store.database.write() as connection:
        store.audit.append(connection, log, Operation("x", "y", "a", "m", "p", "", "ok", 1), NOW)
    assert run(store, "r2") != before
    assert store.audit.verify() == []


@pytest.mark.parametrize(
    "column",
    ["at", "run_id", "user_id", "account", "calendar", "step", "reason", "source_id", "remote_id",
     "level", "mapping_revision", "outcome", "milliseconds", "hash", "platform"],
)  # fmt: skip
def test_a_changed_value_is_found(full: Store, column: str) -> None:
    value: object = "x"
    if column == "at":
        value = NOW + timedelta(microseconds=1)
    elif column in {"mapping_revision", "milliseconds"}:
        value = 8
    with full.database.write() as connection:
        connection.execute(
            update(t.operation)
            .where(t.operation.c.cycle_id == "c1", t.operation.c.seq == 2)
            .values({column: value})
        )
    assert any("c1" in problem for problem in full.audit.verify())


@pytest.mark.parametrize("seq", [1, 2, 3])
def test_a_removed_row_is_found(full: Store, seq: int) -> None:
    table = t.operation
    with full.database.write() as connection:
        connection.execute(delete(table).where(table.c.cycle_id == "c1", table.c.seq == seq))
    assert full.audit.verify()


@pytest.mark.parametrize("what", ["operations", "operations and their seal", "seal", "first seal"])
def test_a_cut_tail_is_found(full: Store, what: str) -> None:
    with full.database.write() as connection:
        if "operations" in what:
            cycles = ["c2", "d2"]
            connection.execute(delete(t.operation).where(t.operation.c.cycle_id.in_(cycles)))
        if "seal" in what:
            ids = sorted(connection.scalars(select(t.audit_seal.c.id)))
            gone = ids[0] if what == "first seal" else ids[-1]
            connection.execute(delete(t.audit_seal).where(t.audit_seal.c.id == gone))
    assert full.audit.verify()


def test_a_cut_that_also_forgets_the_run_is_found_with_the_value_from_its_log(full: Store) -> None:
    with full.database.read() as connection:
        logged = connection.scalars(select(t.audit_seal.c.seal).order_by(t.audit_seal.c.id)).all()
    with full.database.write() as connection:
        connection.execute(delete(t.operation).where(t.operation.c.cycle_id.in_(["c2", "d2"])))
        connection.execute(delete(t.audit_seal).where(t.audit_seal.c.seal == logged[-1]))
        connection.execute(delete(t.sync_run).where(t.sync_run.c.run_id == "r2"))
    assert full.audit.verify(logged[0]) == []
    assert full.audit.verify(logged[-1]) == ["the expected seal is not part of the chain"]


def test_without_the_key_nobody_can_make_a_chain_that_fits(full: Store) -> None:
    assert Store(full.database, "another key").audit.verify()


def test_a_run_that_ends_during_the_check_is_not_accused(
    full: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another process; PostgreSQL shows each statement of a transaction another moment."""
    other, real = Database(full.database.url.render_as_string(False)), AuditStore._link
    done: list[str] = []

    def meanwhile(self: AuditStore, before: str, values: Mapping[str, Any]) -> str:
        if not done:
            done.append("once")
            write(Store(other, "audit key"), "later", minutes=300)
            run(Store(other, "audit key"), "later", minutes=301)
        return real(self, before, values)

    monkeypatch.setattr(AuditStore, "_link", meanwhile)
    assert full.audit.verify() == []
    assert done
    assert full.audit.verify() == []
    other.close()


def test_the_check_needs_little_memory_however_long_the_record_is(store: Store) -> None:
    rows: list[dict[str, Any]] = []
    for number in range(12_000):
        values = {
            **vars(Operation("create_mirror", "new", f"a{number}", "r", "p", "busy", "ok", 5)),
            "cycle_id": f"cycle-{number // 2:06}",
            "seq": number % 2 + 1,
            "at": NOW,
            "run_id": "run",
            "user_id": "ada",
            "platform": "google",
            "account": "ada@example.org",
            "mapping_revision": 1,
        }
        values["hash"] = store.audit._link(rows[-1]["hash"] if number % 2 else "", values)
        rows.append(values)
    for first in range(0, len(rows), 1000):
        with store.database.write() as connection:
            connection.execute(insert(t.operation), rows[first : first + 1000])
        run(store, f"r{first}")
    del rows
    tracemalloc.start()
    try:
        assert store.audit.verify() == []
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 3_000_000, f"{most / 1e6:.1f} MB"


def test_a_check_tells_of_so_many_problems_and_no_more(
    full: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("calendar_sync.state.audit.PROBLEMS", 4)
    assert len(Store(full.database, "another key").audit.verify()) == 4


def test_many_heads_are_looked_up_some_at_a_time(
    full: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("calendar_sync.state.audit.CHUNK", 3)
    assert full.audit.verify() == []
    with full.database.write() as connection:
        connection.execute(delete(t.operation).where(t.operation.c.cycle_id.in_(["c0", "d2"])))
    assert full.audit.verify() == ["operation c0/3 is missing", "operation d2/1 is missing"]
