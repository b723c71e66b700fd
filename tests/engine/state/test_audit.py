"""The record of external writes: whole, or it says where it is not."""

import tracemalloc
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from calendar_sync.core.model import Platform
from calendar_sync.state import Database, Store
from calendar_sync.state import tables as t
from calendar_sync.state.audit import AuditStore, CycleLog, Operation
from calendar_sync.sync.runner import store_run
from tests.engine.state.conftest import NOW


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
    return store_run(store, Platform.GOOGLE, name, now, [], now)


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


def test_without_the_key_no_chain_that_fits_can_be_made(full: Store) -> None:
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


# --- what somebody may have written in the database -----------------------------


def sql(store: Store, *statements: str) -> None:
    with store.database.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


SHAPES = {
    "heads: null": "UPDATE audit_seal SET heads = 'null'",
    "heads: a number": "UPDATE audit_seal SET heads = '7'",
    "heads: a list of numbers": "UPDATE audit_seal SET heads = '[1, 2]'",
    "heads: lists of wrong parts": """UPDATE audit_seal SET heads = '[["c1", "2", 3], []]'""",
    "heads: a mapping": """UPDATE audit_seal SET heads = '{"c1": 3}'""",
    "summary: null": "UPDATE sync_run SET summary = 'null'",
    "summary: a list": "UPDATE sync_run SET summary = '[]'",
    "summary: a seal that is none": """UPDATE sync_run SET summary = '{"seal": {"a": [1]}}'""",
    "summary: done is a list": """UPDATE sync_run SET summary = '{"seal": "", "done": [1]}'""",
    "seals: blank": "UPDATE audit_seal SET seal = ''",
    "seals: blank in the runs": """UPDATE sync_run SET summary = '{"seal": ""}'""",
    "seals: gone from the runs": "UPDATE sync_run SET summary = '{}'",
    "hashes: blank": "UPDATE operation SET hash = ''",
    "numbers": "UPDATE operation SET seq = seq * -7",
}
SQLITE_SHAPES = {
    "heads: no JSON": "UPDATE audit_seal SET heads = 'x'",
    "heads: bytes": "UPDATE audit_seal SET heads = X'ff00fe'",
    "heads: a deep list": "UPDATE audit_seal SET heads = '" + "[" * 9999 + "]" * 9999 + "'",
    "times: words": "UPDATE operation SET at = 'yesterday'",
    "times of seals: words": "UPDATE audit_seal SET at = 'yesterday'",
    "times of runs: words": "UPDATE sync_run SET ended_at = 'yesterday', summary = '[]'",
    "numbers: words": "UPDATE operation SET seq = 'one' || id",
    "text: bytes": "UPDATE operation SET account = X'ff00fe'",
    "text: bytes that are called text": "UPDATE operation SET account = CAST(X'ff00fe' AS TEXT)",
    "seals: bytes": "UPDATE audit_seal SET seal = X'ff00fe'",
    "a table: gone": "DROP TABLE audit_seal",
    "a column: gone": "ALTER TABLE operation DROP COLUMN milliseconds",
}


@pytest.mark.parametrize("shape", [*SHAPES, *SQLITE_SHAPES])
def test_whatever_is_in_the_rows_is_reported_and_not_raised(full: Store, shape: str) -> None:
    if shape in SQLITE_SHAPES and not full.database.is_sqlite:
        pytest.skip("PostgreSQL keeps the types of columns")
    sql(full, SHAPES.get(shape) or SQLITE_SHAPES[shape])
    found = full.audit.verify()
    assert found
    assert all(line.isprintable() for line in found)


@pytest.mark.parametrize("shape", [one for one in SHAPES if "numbers" not in one])
def test_a_spoilt_row_stops_no_run(full: Store, shape: str) -> None:
    sql(full, SHAPES[shape])
    write(full, "later", minutes=400)
    assert len(run(full, "later", minutes=401)) == 40
    assert full.audit.verify()


def test_what_is_wrong_is_said(full: Store) -> None:
    sql(full, "UPDATE audit_seal SET seal = '' WHERE id = 2")
    assert "seal 2 does not fit: it is blank" in full.audit.verify()
    sql(full, """UPDATE sync_run SET summary = '{"seal": ""}' WHERE run_id = 'r2'""")
    assert "run r2 no longer names its seal" in full.audit.verify()
    sql(full, "UPDATE audit_seal SET heads = '[3]' WHERE id = 3")
    assert "seal 3 does not name what it seals" in full.audit.verify()


def test_an_emptied_record_is_found_while_the_runs_are_there(full: Store) -> None:
    row = {"user_id": "u", "status": "ok", "done": {"create_mirror": 3, "noted": 1}}
    store_run(full, Platform.GOOGLE, "busy", NOW, [row], NOW)
    sql(full, "DELETE FROM operation", "DELETE FROM audit_seal")
    assert "the seal of run r1 is missing" in full.audit.verify()
    sql(full, """UPDATE sync_run SET summary = '{"seal": "", "done": {"create_mirror": 3}}'""")
    told = "run r1 made 3 writes, but the audit log has none of them"
    assert told in full.audit.verify()


def test_a_record_that_was_emptied_with_its_runs_is_found(full: Store) -> None:
    sql(full, "DELETE FROM operation", "DELETE FROM audit_seal", "DELETE FROM sync_run")
    [told] = full.audit.verify()
    assert told.startswith("the audit log is empty, but its first seal was made at 2026-03-02T")


def test_all_seals_that_were_kept_are_looked_for(full: Store) -> None:
    with full.database.read() as connection:
        kept = connection.scalars(select(t.audit_seal.c.seal).order_by(t.audit_seal.c.id)).all()
    assert full.audit.verify(kept) == []
    assert full.audit.newest() == (kept[-1], "r2")
    assert full.audit.verify([*kept, "0" * 40]) == ["an expected seal is not part of the chain"]


def test_a_seal_that_was_only_written_down_is_no_part_of_the_chain(full: Store) -> None:
    """Whoever has the database, and not the key, knows the seal that is looked for, perhaps."""
    seal = full.audit.newest()[0]
    sql(
        full,
        "DELETE FROM operation",
        "DELETE FROM sync_run",
        "DELETE FROM audit_seal WHERE id < 3",
        "UPDATE audit_seal SET heads = '[]'",
    )
    assert "the expected seal is not part of the chain" in full.audit.verify(seal)
