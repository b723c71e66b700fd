"""The record of external writes: whole, or it says where it is not."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from calendar_sync.model import Platform
from calendar_sync.passes import record_run
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.audit import CycleLog, Operation
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
