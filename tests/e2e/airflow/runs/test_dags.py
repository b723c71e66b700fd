"""The DAGs under a real scheduler, against the sandbox, at the level that shows names."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from calendar_sync.core.model import Platform
from calendar_sync.state import tables as t
from calendar_sync_sandbox import Fault
from calendar_sync_sandbox.demo.checks import contents, leaks
from calendar_sync_sandbox.demo.world import PLATFORMS
from calendar_sync_sandbox.standalone import AirflowError, StandaloneAirflow, TaskInstance
from tests.e2e.airflow.runs.conftest import DAG_ID
from tests.e2e.airflow.stage import KEY, SECRET, Stage

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow")]

PRIVATE = "Dentist, private 7731"
FIRST_FILL = re.compile(r"^[a-z.]+@example\.org: [1-9]\d* created, [1-9]\d* busy blocks? created$")


@pytest.fixture(scope="module")
def toy(stage: Stage) -> StandaloneAirflow:
    """With a DAG of which one task fails."""
    stage.airflow.wait_dag("toy")
    stage.airflow.unpause("toy")
    return stage.airflow


# --- Good runs ------------------------------------------------------------------


def test_the_first_run_fills_both_sides_and_its_labels_say_so(filled: Stage) -> None:
    first = filled.runs(datetime(2026, 1, 1, tzinfo=UTC))[0]
    assert filled.state(first) == "success"
    labels = sorted(task.label or "" for task in filled.tasks(first, "sync_user"))
    assert [label.split(":")[0] for label in labels] == sorted(u.account for u in filled.users)
    assert [label for label in labels if not FIRST_FILL.match(label)] == []
    summary = filled.world.summary()
    steps = Counter(operation.step for operation in filled.operations(first))
    assert steps["create_mirror"] == summary["mirrors"] > 4 * 4
    assert steps["create_block"] == summary["blocks"] > 4
    assert summary["duplicates"] == 0
    assert _sum(labels, "created") == summary["mirrors"]
    assert _sum(labels, "busy blocks? created") == summary["blocks"]
    row = filled.row(first)
    assert (row.users, row.failed, row.summary["statuses"]) == (4, 0, {"ok": 4})
    assert row.summary["done"] == dict(steps)
    assert f"audit seal {row.summary['seal']}" in filled.airflow.logs(DAG_ID, first, "record_run")


def _sum(labels: list[str], word: str) -> int:
    return sum(int(count) for label in labels for count in re.findall(rf"(\d+) {word}", label))


def test_a_run_in_which_nothing_happened_is_green(filled: Stage) -> None:
    run = filled.run()
    assert filled.state(run) == "success"
    assert [task.state for task in filled.tasks(run, "record_run")] == ["success"]
    assert filled.operations(run) == []
    assert filled.writes_during(run) == []
    assert filled.row(run).failed == 0


def test_edits_on_both_sides_reach_the_other(filled: Stage) -> None:
    dana, ruben = filled.users[:2]
    slot = filled.slot(0)
    begun = datetime.now(UTC)
    # An answer that holds patient data and that nobody wants: it must not be logged.
    filled.sandbox.faults.add(
        Fault("welkin", "status", code=503, message=min(filled.sandbox.canaries))
    )
    filled.book(dana, slot)
    filled.world.plan_privately(ruben, slot, PRIVATE)
    filled.run()
    filled.wait(lambda: filled.sandbox.faults.waiting() == [])
    # A run may have come before the account's next poll was due.
    while not filled.world.unavailable(ruben, slot):
        assert datetime.now(UTC) - begun < timedelta(seconds=60)
        filled.run()
    assert len(filled.world.mirrors(dana, slot)) == 1
    assert PRIVATE not in str(filled.world.unavailable(ruben, slot))
    labels = {task.label for run in filled.runs(begun) for task in filled.tasks(run, "sync_user")}
    assert f"{dana.account}: 1 created" in labels
    assert f"{ruben.account}: 1 busy block created" in labels
    assert {filled.state(run) for run in filled.runs(begun)} == {"success"}


def test_a_run_for_a_named_user_syncs_no_other(filled: Stage) -> None:
    dana, ruben = filled.users[:2]
    slot = filled.slot(1)
    filled.book(dana, slot)
    filled.book(ruben, slot)
    run = filled.run(users=[dana.welkin_id])
    assert filled.state(run) == "success"
    [task] = filled.tasks(run, "sync_user")
    assert task.label == f"{dana.account}: 1 created"
    assert {operation.user_id for operation in filled.operations(run)} == {dana.welkin_id}
    assert len(filled.world.mirrors(dana, slot)) == 1
    assert filled.world.mirrors(ruben, slot) == []
    filled.run()
    assert len(filled.world.mirrors(ruben, slot)) == 1


def test_a_dry_run_counts_and_writes_nothing(filled: Stage) -> None:
    mira = filled.users[2]
    slot = filled.slot(2)
    filled.book(mira, slot)
    run = filled.run(users=[mira.welkin_id], dry_run=True)
    assert filled.state(run) == "success"
    [task] = filled.tasks(run, "sync_user")
    assert task.label == f"{mira.account}: dry run, 1 change planned"
    assert filled.operations(run) == []
    assert filled.writes_during(run) == []
    assert filled.world.mirrors(mira, slot) == []
    filled.run()
    assert len(filled.world.mirrors(mira, slot)) == 1


# --- Failures -------------------------------------------------------------------


def test_a_revoked_user_fails_alone_and_turns_green_when_cleared(filled: Stage) -> None:
    dana, ilse = filled.users[0], filled.users[3]
    slot = filled.slot(3)
    begun = datetime.now(UTC)
    filled.world.revoke(ilse)
    filled.book(ilse, slot)
    filled.book(dana, slot)
    filled.run()
    filled.wait_idle()
    [failed] = [run for run in filled.runs(begun) if filled.state(run) == "failed"]
    task = filled.task_of(failed, ilse)
    assert task.state == "failed"
    assert task.try_number == 1
    assert re.fullmatch(rf"{re.escape(ilse.account)}: failed \(\w+\)", task.label or "")
    others = [other for other in filled.airflow.task_instances(DAG_ID, failed) if other != task]
    assert {other.state for other in others} == {"success"}
    assert [other.task_id for other in others].count("record_run") == 1
    assert filled.row(failed).failed == 1
    log = filled.airflow.logs(DAG_ID, failed, "sync_user", task.map_index)
    assert ilse.welkin_id in log
    assert ilse.account in log
    assert len(filled.world.mirrors(dana, slot)) == 1
    assert filled.world.mirrors(ilse, slot) == []

    filled.world.restore(ilse)
    waiting = filled.store.marks.of(ilse.welkin_id, Platform.GOOGLE)
    assert waiting.retry_at is not None
    assert waiting.retry_at > datetime.now(UTC)
    _clear(filled, failed, task)
    assert filled.airflow.wait_run(DAG_ID, failed) == "success"
    again = filled.task_of(failed, ilse)
    assert (again.state, again.try_number) == ("success", 2)
    assert again.label == f"{ilse.account}: 1 created"
    assert len(filled.world.mirrors(ilse, slot)) == 1
    # The last task ran again too, and its row tells how the run ended in the end.
    assert filled.row(failed).failed == 0
    healthy = filled.store.marks.of(ilse.welkin_id, Platform.GOOGLE)
    assert healthy.retry_at is None
    assert healthy.last_success_at is not None
    assert healthy.last_success_at < waiting.retry_at


def test_an_account_that_asks_for_an_hours_pause_delays_no_other(filled: Stage) -> None:
    dana, ilse = filled.users[0], filled.users[3]
    slot = filled.slot(9)
    throttled = Fault("google", "status", user=ilse.account, times=None, code=429, retry_after=3600)
    filled.sandbox.faults.add(throttled)
    filled.book(ilse, slot)
    filled.book(dana, slot)
    # A run that waited for an hour would not end.
    filled.run()
    filled.wait_idle()
    assert throttled.struck
    assert len(filled.world.mirrors(dana, slot)) == 1
    waiting = filled.store.marks.of(ilse.welkin_id, Platform.GOOGLE)
    assert waiting.retry_at is not None
    assert waiting.retry_at > datetime.now(UTC) + timedelta(minutes=50)
    # The next run does not even try: one user's hour costs nobody a task.
    again = filled.run()
    labels = [task.label or "" for task in filled.tasks(again, "sync_user")]
    assert not [label for label in labels if label.startswith(ilse.account)]
    filled.sandbox.faults.clear()
    named = filled.run(users=[ilse.welkin_id])
    assert filled.state(named) == "success"
    assert len(filled.world.mirrors(ilse, slot)) == 1


def _clear(stage: Stage, run_id: str, task: TaskInstance) -> None:
    """What the button "Clear task instance" does."""
    stage.airflow.call(
        "POST",
        f"/dags/{DAG_ID}/clearTaskInstances",
        {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": [[task.task_id, task.map_index]],
            "only_failed": False,
            "include_downstream": True,
            "reset_dag_runs": True,
        },
    )


def test_a_bug_fails_its_user_and_its_text_is_nowhere(filled: Stage) -> None:
    mira = filled.users[2]
    canary = max(filled.sandbox.canaries)
    with filled.database.write() as connection:
        connection.execute(
            text(
                "CREATE TRIGGER bug BEFORE INSERT ON operation "
                f"WHEN NEW.user_id = '{mira.welkin_id}' "
                f"BEGIN SELECT RAISE(ABORT, 'visit of {canary}'); END"
            )
        )
    filled.book(mira, filled.slot(4))
    run = filled.run(users=[mira.welkin_id])
    with filled.database.write() as connection:
        connection.execute(text("DROP TRIGGER bug"))
    assert filled.state(run) == "failed"
    [task] = filled.tasks(run, "sync_user")
    assert (task.state, task.try_number) == ("failed", 1)
    assert task.label == f"{mira.account}: failed (unexpected)"
    assert [last.state for last in filled.tasks(run, "record_run")] == ["success"]
    log = filled.airflow.logs(DAG_ID, run, "sync_user", task.map_index)
    assert "IntegrityError" in log
    assert canary not in log
    # The error is a line for people: who, what, and what to do, without frames.
    entries = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    [said] = [entry for entry in entries if entry.get("level") == "error"]
    assert mira.account in said["event"]
    assert "report it" in said["event"]
    assert "error_detail" not in said
    # What was written before the bug struck is found, not written twice.
    assert filled.state(filled.run(users=[mira.welkin_id])) == "success"
    assert len(filled.world.mirrors(mira, filled.slot(4))) == 1


def test_an_unknown_user_fails_the_run_at_once(filled: Stage) -> None:
    run = filled.run(users=["nobody-7731"])
    assert filled.state(run) == "failed"
    [find] = filled.tasks(run, "find_changed_users")
    assert (find.state, find.try_number) == ("failed", 1)
    assert "not mapped on google: nobody-7731" in filled.airflow.logs(
        DAG_ID, run, "find_changed_users"
    )
    assert [task.state for task in filled.tasks(run, "sync_user")] == ["upstream_failed"]
    assert [task.state for task in filled.tasks(run, "record_run")] == ["success"]


@pytest.mark.parametrize("conf", [{"users": "everybody"}, {"users": [1]}, {"dry_run": "yes"}])
def test_a_run_with_wrong_params_is_refused(stage: Stage, conf: dict[str, Any]) -> None:
    with pytest.raises(AirflowError) as refused:
        stage.airflow.trigger(DAG_ID, conf)
    assert refused.value.status == 400


def test_the_test_button_really_authenticates(stage: Stage) -> None:
    fields = dict(stage.world.connections["welkin_default"])
    body = {**fields, "extra": json.dumps(fields["extra"]), "connection_id": "to_be_tested"}
    assert stage.airflow.call("POST", "/connections/test", body) == {
        "status": True,
        "message": "Authenticated, and calendar events can be read",
    }
    answer = stage.airflow.call("POST", "/connections/test", {**body, "password": "wrong-7731"})
    assert answer["status"] is False
    assert answer["message"].startswith("welkin_unauthorized: ")
    assert "7731" not in answer["message"]


# --- Both platforms ---------------------------------------------------------------


def test_both_dags_at_once_sync_who_is_on_microsoft_and_who_is_on_both(filled: Stage) -> None:
    outlook = filled.on("microsoft")
    [ruben_there, teo] = outlook.users
    ruben = filled.users[1]
    assert ruben.welkin_id == ruben_there.welkin_id
    booked, private = filled.slot(10), filled.slot(11)
    begun = datetime.now(UTC)
    for user in (ruben, teo):
        filled.book(user, booked)
        filled.world.plan_privately(user, private, PRIVATE)
    outlook.airflow.wait_dag(outlook.dag_id)
    outlook.airflow.unpause(outlook.dag_id)

    def seen() -> list[int]:
        world = filled.world
        mirrors = [len(world.mirrors(user, booked)) for user in (ruben, ruben_there, teo)]
        return mirrors + [len(world.unavailable(user, private)) for user in (ruben, teo)]

    # Ruben is synced by one of them at a time: the other may have to come again.
    while seen() != [1] * 5:
        assert datetime.now(UTC) - begun < timedelta(seconds=120), seen()
        runs = [(dag, dag.airflow.trigger(dag.dag_id)) for dag in (filled, outlook)]
        assert {dag.airflow.wait_run(dag.dag_id, run) for dag, run in runs} == {"success"}
    outlook.rest()
    for dag in (filled, outlook):
        dag.wait_idle()
        assert {dag.state(run) for run in dag.runs(begun)} == {"success"}
    accounts = {
        (task.label or "").partition(":")[0]
        for run in outlook.runs(begun)
        for task in outlook.tasks(run, "sync_user")
    }
    assert accounts >= {user.account for user in outlook.users}
    for user in (ruben, teo):
        assert PRIVATE not in str(filled.world.unavailable(user, private))
    # What is private on one platform is a block in Welkin, and nothing on the other.
    assert filled.world.events(ruben_there, private) == []
    summary = filled.world.summary()
    assert summary["microsoft_mirrors"] > 2 * 4
    assert (summary["duplicates"], summary["canary_leaks"] > 0) == (0, True)


# --- What is left behind: keep these last -----------------------------------------


# --- How the tests and the demo speak to Airflow -------------------------------


def test_a_run_tells_what_happened_to_each_task(toy: StandaloneAirflow) -> None:
    run = toy.trigger("toy")
    assert toy.wait_run("toy", run) == "failed"
    tasks = toy.task_instances("toy", run)
    assert all(task.started and task.ended and task.started <= task.ended for task in tasks)
    assert sorted(
        (replace(task, started=None, ended=None) for task in tasks),
        key=lambda task: (task.task_id, task.map_index),
    ) == [
        TaskInstance("find", -1, "success", None, 1),
        TaskInstance("record", -1, "success", None, 1),
        TaskInstance("sync", 0, "success", "one: done", 1),
        TaskInstance("sync", 1, "failed", "two: done", 1),
    ]
    assert {(xcom["task_id"], str(xcom["value"])) for xcom in toy.xcoms("toy", run)} == {
        ("find", "['one', 'two']"),
        ("record", "recorded"),
    }
    assert "only two fails" in toy.logs("toy", run, "sync", 1)
    assert [entry["dag_run_id"] for entry in toy.runs("toy", "failed")] == [run]
    assert toy.runs("toy", "queued", "running") == []


def test_a_connection_is_stored_and_replaced(toy: StandaloneAirflow) -> None:
    toy.add_connection("there", {"conn_type": "http", "host": "a", "extra": {"x": 1}})
    toy.add_connection("there", {"conn_type": "http", "host": "b", "extra": {"x": 1}})
    assert toy.call("GET", "/connections/there")["host"] == "b"


def test_a_run_requested_during_a_long_transaction(toy: StandaloneAirflow) -> None:
    """SQLite has one writer; five seconds, its usual patience, pass soon on a slow machine."""
    with contextlib.closing(sqlite3.connect(toy.home / "airflow.db")) as other:
        other.execute("PRAGMA busy_timeout=60000")
        other.execute("BEGIN IMMEDIATE")
        asked: list[str] = []
        thread = threading.Thread(target=lambda: asked.append(toy.trigger("toy")))
        thread.start()
        time.sleep(7)
        assert not asked
        other.rollback()
        thread.join()
    assert toy.wait_run("toy", asked[0]) == "failed"


def test_every_run_was_closed(filled: Stage) -> None:
    filled.wait_idle()
    found = set()
    for dag in (filled.on(platform) for platform in PLATFORMS):
        for run in dag.airflow.runs(dag.dag_id, "success", "failed", newest=1000):
            tasks = dag.airflow.task_instances(dag.dag_id, run["dag_run_id"])
            states = Counter((task.task_id, task.state) for task in tasks)
            assert states["record_run", "success"] == 1, run["dag_run_id"]
            if run["state"] == "success":
                # `sync_user` is skipped when nobody has work.
                assert {task.state for task in tasks} <= {"success", "skipped"}
            found.add((dag.platform, run["dag_run_id"]))
    with filled.database.read() as connection:
        rows = connection.execute(select(t.sync_run.c.platform, t.sync_run.c.run_id))
        assert {tuple(row) for row in rows} == found


def test_the_audit_holds_together(filled: Stage) -> None:
    filled.wait_idle()
    with filled.database.read() as connection:
        runs = set(connection.scalars(select(t.operation.c.run_id)))
        seal = connection.scalar(
            select(t.audit_seal.c.seal).order_by(t.audit_seal.c.id.desc()).limit(1)
        )
    assert runs
    assert filled.store.audit.verify(expected_seal=seal) == []
    with filled.database.write() as connection:
        changed = connection.execute(text("UPDATE operation SET level = level || 'x' WHERE id = 1"))
        assert changed.rowcount == 1
    assert filled.store.audit.verify() != []
    with filled.database.write() as connection:
        connection.execute(
            text("UPDATE operation SET level = substr(level, 1, length(level) - 1) WHERE id = 1")
        )
    assert filled.store.audit.verify() == []


def test_patient_data_is_in_mirrors_and_nowhere_else(filled: Stage) -> None:
    filled.rest()
    # A test above put a canary into a trigger; dropped, it is still in the log of the changes.
    with contextlib.closing(sqlite3.connect(str(filled.database.url.database))) as raw:
        assert raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    canaries = [*sorted(filled.sandbox.canaries), PRIVATE]
    mirrors = [
        (user.account, json.dumps(filled.sandbox.google.mirrors_of(user.account)).encode())
        for user in filled.users
    ]
    assert {place.split(":")[0] for place in leaks(mirrors, canaries)} == {
        user.account for user in filled.users
    }
    airflow = filled.airflow
    places: list[tuple[str, bytes]] = [
        *contents(filled.folder, skip=frozenset({"sandbox"})),
        ("XComs", str(airflow.xcoms()).encode()),
    ]
    for path in (
        f"/dags/{DAG_ID}/dagRuns/~/taskInstances?limit=100",
        f"/dags/{DAG_ID}/dagRuns?limit=100",
        "/eventLogs?limit=100",
        "/importErrors",
    ):
        places.append((path, json.dumps(airflow.call("GET", path)).encode()))
    names = [name for name, _ in places]
    for expected in ("home/airflow.db (rows)", "home/calendar_sync.db (rows)", "standalone.log"):
        assert any(expected in name for name in names)
    logs = [name for name in names if f"dag_id={DAG_ID}" in name and name.endswith(".log")]
    assert len(logs) > 20
    assert leaks(places, canaries) == []
    # Secrets: encrypted where they are stored, and in no log.
    assert leaks(places, [SECRET, KEY, "BEGIN PRIVATE KEY"]) == []
    assert filled.sandbox.requests.mail_risk == []
    assert filled.world.summary()["duplicates"] == 0
