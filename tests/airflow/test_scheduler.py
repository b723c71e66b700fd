"""The DAG under a real scheduler, against the sandbox over HTTPS, at the level that shows names.

Runs of the schedule come between those that the tests ask for, one at a time: what a run did is
told by its own tasks and operations, never by the order of runs.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from sqlalchemy import select, text

from calendar_sync.model import MappedUser, Platform
from calendar_sync.sandbox import Fault, Sandbox, running
from calendar_sync.sandbox.demo.checks import contents, leaks
from calendar_sync.sandbox.demo.world import Slot, User, World
from calendar_sync.sandbox.standalone import AirflowError, StandaloneAirflow, TaskInstance
from calendar_sync.settings import parse
from calendar_sync.state import Database, Store
from calendar_sync.state import tables as t
from calendar_sync.state.migrate import upgrade
from tests.servers import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow")]

DAG_ID = "google_calendar_sync"
KEY = "made-up-key-of-the-organisation"
SECRET = "made-up-secret-7731"
PRIVATE = "Dentist, private 7731"
FULL = {"level": "full", "template": "{encounter_type}: {patient_first_name} {patient_last_name}"}
SETTINGS: dict[str, Any] = {
    "details": {
        "title": FULL,
        "description": FULL,
        "baa_confirmed": {"by": "Dana", "on": "2026-01-01"},
    },
    "poll": {"interval_seconds": 5},
    "limits": {"welkin_requests_per_second": 100, "cycle_writes": 1000},
}
FIRST_FILL = re.compile(r"^[a-z.]+@example\.org: [1-9]\d* created, [1-9]\d* blocked$")


@dataclass
class Stage:
    """A sandbox, an Airflow, and the state between them."""

    folder: Path
    sandbox: Sandbox
    world: World
    airflow: StandaloneAirflow
    database: Database
    store: Store
    users: list[User]

    def slot(self, number: int) -> Slot:
        """A time of its own for each edit."""
        day = datetime.now(UTC).replace(hour=15, minute=7, second=0, microsecond=0)
        start = day + timedelta(days=8 + number)
        return Slot(start, start + timedelta(minutes=34))

    def book(self, user: User, slot: Slot) -> None:
        self.world.book(user, slot, self.world.templates()[0])

    def run(self, **conf: Any) -> str:
        """Trigger a run, wait for its end, return its id."""
        run_id = self.airflow.trigger(DAG_ID, conf)
        self.airflow.wait_run(DAG_ID, run_id)
        return run_id

    def state(self, run_id: str) -> str:
        return self.airflow.run_state(DAG_ID, run_id)

    def tasks(self, run_id: str, task_id: str) -> list[TaskInstance]:
        return [
            task for task in self.airflow.task_instances(DAG_ID, run_id) if task.task_id == task_id
        ]

    def task_of(self, run_id: str, user: User) -> TaskInstance:
        [task] = [
            task
            for task in self.tasks(run_id, "sync_user")
            if (task.label or "").startswith(f"{user.account}:")
        ]
        return task

    def runs(self, since: datetime) -> list[str]:
        """Runs that have ended since then, oldest first."""
        found = [
            run
            for run in self.airflow.runs(DAG_ID, "success", "failed")
            if datetime.fromisoformat(run["end_date"]) >= since
        ]
        return [str(run["dag_run_id"]) for run in reversed(found)]

    def wait_idle(self) -> None:
        self.wait(lambda: not self.airflow.runs(DAG_ID, "queued", "running"))

    def calm(self) -> None:
        """Wait until the schedule will start no run for a few seconds, and none is running."""
        while not 4 <= datetime.now(UTC).second <= 50:
            time.sleep(0.3)
        self.wait_idle()

    def wait(self, condition: Callable[[], bool], patience: float = 60) -> None:
        deadline = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < deadline, self.airflow.runs(DAG_ID)[:3]
            time.sleep(0.3)

    def operations(self, run_id: str) -> list[Any]:
        with self.database.read() as connection:
            rows = connection.execute(select(t.operation).where(t.operation.c.run_id == run_id))
            return list(rows)

    def row(self, run_id: str) -> Any:
        """What `record_run` wrote of a run."""
        with self.database.read() as connection:
            query = select(t.sync_run).where(t.sync_run.c.run_id == run_id)
            return connection.execute(query).one()

    def writes_during(self, run_id: str) -> list[str]:
        """What was changed on either side while this run, and so no other, was running."""
        run = self.airflow.call("GET", f"/dags/{DAG_ID}/dagRuns/{quote(run_id, safe='')}")
        start, end = (datetime.fromisoformat(run[name]) for name in ("start_date", "end_date"))
        return [entry.kind for entry in self.sandbox.requests.writes() if start <= entry.at <= end]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("scheduler")
    sandbox = Sandbox(client_secret=SECRET)
    # Above what the settings allow: the sync keeps to its own limit and never meets this one.
    sandbox.welkin.rate_limit = 200
    sandbox.organise(users=4, encounters=4)
    airflow = StandaloneAirflow(folder / "home", REPOSITORY / "dags")
    database = Database(f"sqlite:///{airflow.home}/calendar_sync.db")
    upgrade(database)
    store = Store(database, KEY)
    with running(sandbox, folder / "sandbox"):
        world = World(folder / "sandbox")
        now = datetime.now(UTC)
        store.config.save_settings(parse(SETTINGS), "tests", now)
        users = world.users()
        mapped = [MappedUser(u.welkin_id, Platform.GOOGLE, u.account.lower()) for u in users]
        store.config.replace_mapping(mapped, "tests", now)
        with airflow:
            for name, fields in world.connections.items():
                airflow.add_connection(name, fields)
            key = {"conn_type": "generic", "password": KEY}
            airflow.add_connection("calendar_sync_hmac_key", key)
            airflow.wait_dag(DAG_ID)
            yield Stage(folder, sandbox, world, airflow, database, store, users)
        assert airflow.program is not None
        assert airflow.program.members == []
    database.close()


@pytest.fixture(scope="module")
def filled(stage: Stage) -> Stage:
    """After the first fill."""
    stage.airflow.unpause(DAG_ID)
    # The schedule's own first run comes at once; it may be over before the next one.
    stage.wait(lambda: bool(stage.airflow.runs(DAG_ID, "success", "failed")), 120)
    stage.wait_idle()
    return stage


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
    assert _sum(labels, "blocked") == summary["blocks"]
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
    assert f"{ruben.account}: 1 blocked" in labels
    assert {filled.state(run) for run in filled.runs(begun)} == {"success"}


def test_a_run_for_a_named_user_syncs_nobody_else(filled: Stage) -> None:
    dana, ruben = filled.users[:2]
    slot = filled.slot(1)
    filled.calm()
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
    filled.calm()
    filled.book(mira, slot)
    run = filled.run(users=[mira.welkin_id], dry_run=True)
    assert filled.state(run) == "success"
    [task] = filled.tasks(run, "sync_user")
    assert task.label == f"{mira.account}: dry run, 1 to do"
    assert filled.operations(run) == []
    assert filled.writes_during(run) == []
    assert filled.world.mirrors(mira, slot) == []
    filled.run()
    assert len(filled.world.mirrors(mira, slot)) == 1


# --- Failures -------------------------------------------------------------------


def test_a_revoked_user_fails_alone_and_turns_green_when_cleared(filled: Stage) -> None:
    dana, teo = filled.users[0], filled.users[3]
    slot = filled.slot(3)
    filled.calm()
    begun = datetime.now(UTC)
    filled.world.revoke(teo)
    filled.book(teo, slot)
    filled.book(dana, slot)
    filled.run()
    filled.wait_idle()
    [failed] = [run for run in filled.runs(begun) if filled.state(run) == "failed"]
    task = filled.task_of(failed, teo)
    assert task.state == "failed"
    assert task.try_number == 1
    assert re.fullmatch(rf"{re.escape(teo.account)}: failed \(\w+\)", task.label or "")
    others = [other for other in filled.airflow.task_instances(DAG_ID, failed) if other != task]
    assert {other.state for other in others} == {"success"}
    assert [other.task_id for other in others].count("record_run") == 1
    assert filled.row(failed).failed == 1
    log = filled.airflow.logs(DAG_ID, failed, "sync_user", task.map_index)
    assert teo.welkin_id in log
    assert teo.account in log
    assert len(filled.world.mirrors(dana, slot)) == 1
    assert filled.world.mirrors(teo, slot) == []

    filled.world.restore(teo)
    waiting = filled.store.marks.of(teo.welkin_id, Platform.GOOGLE)
    assert waiting.retry_at is not None
    assert waiting.retry_at > datetime.now(UTC)
    _clear(filled, failed, task)
    assert filled.airflow.wait_run(DAG_ID, failed) == "success"
    again = filled.task_of(failed, teo)
    assert (again.state, again.try_number) == ("success", 2)
    assert again.label == f"{teo.account}: 1 created"
    assert len(filled.world.mirrors(teo, slot)) == 1
    # The last task ran again too, and its row tells how the run ended in the end.
    assert filled.row(failed).failed == 0
    healthy = filled.store.marks.of(teo.welkin_id, Platform.GOOGLE)
    assert healthy.retry_at is None
    assert healthy.last_success_at is not None
    assert healthy.last_success_at < waiting.retry_at


def test_an_account_that_asks_for_an_hour_delays_nobody_else(filled: Stage) -> None:
    dana, teo = filled.users[0], filled.users[3]
    slot = filled.slot(9)
    filled.calm()
    throttled = Fault("google", "status", user=teo.account, times=None, code=429, retry_after=3600)
    filled.sandbox.faults.add(throttled)
    filled.book(teo, slot)
    filled.book(dana, slot)
    begun = time.monotonic()
    filled.run()
    took = time.monotonic() - begun
    filled.wait_idle()
    assert throttled.struck
    assert len(filled.world.mirrors(dana, slot)) == 1
    assert took < 45, "a run that waits for one account holds back everybody's next run"
    waiting = filled.store.marks.of(teo.welkin_id, Platform.GOOGLE)
    assert waiting.retry_at is not None
    assert waiting.retry_at > datetime.now(UTC) + timedelta(minutes=50)
    # The next run does not even try: one user's hour costs nobody a task.
    again = filled.run()
    labels = [task.label or "" for task in filled.tasks(again, "sync_user")]
    assert not [label for label in labels if label.startswith(teo.account)]
    filled.sandbox.faults.clear()
    named = filled.run(users=[teo.welkin_id])
    assert filled.state(named) == "success"
    assert len(filled.world.mirrors(teo, slot)) == 1


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
    filled.calm()
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


# --- What is left behind: keep these last -----------------------------------------


def test_every_run_was_closed(filled: Stage) -> None:
    filled.wait_idle()
    runs = filled.airflow.runs(DAG_ID, newest=1000)
    for run in runs:
        tasks = filled.airflow.task_instances(DAG_ID, run["dag_run_id"])
        states = Counter((task.task_id, task.state) for task in tasks)
        assert states["record_run", "success"] == 1, run["dag_run_id"]
        if run["state"] == "success":
            # `sync_user` is skipped when nobody has work.
            assert {task.state for task in tasks} <= {"success", "skipped"}
        filled.row(run["dag_run_id"])
    with filled.database.read() as connection:
        recorded = set(connection.scalars(select(t.sync_run.c.run_id)))
    assert recorded == {run["dag_run_id"] for run in runs}


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
    filled.airflow.pause(DAG_ID)
    filled.wait_idle()
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
