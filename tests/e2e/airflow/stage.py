"""An Airflow whose scheduler runs our DAGs, a sandbox over HTTPS, and the state between them."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import select

from calendar_sync.config.settings import parse
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.state import Database, Store
from calendar_sync.state import tables as t
from calendar_sync.state.migrate import upgrade
from calendar_sync_sandbox import Sandbox, running
from calendar_sync_sandbox.demo.world import Slot, User, World
from calendar_sync_sandbox.standalone import LOOK_EVERY, StandaloneAirflow, TaskInstance
from tests.servers import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "made-up-key-of-the-organisation"
SECRET = "made-up-secret-7731"
#: Seconds for what takes a few on an idle machine.
PATIENCE = 300.0
FULL = {"level": "full", "template": "{encounter_type}: {patient_first_name} {patient_last_name}"}
SETTINGS: dict[str, Any] = {
    "mirror_content": {
        "title": FULL,
        "description": FULL,
        "baa_confirmed": {"by": "Dana", "on": "2026-01-01"},
    },
    "polling": {"interval_seconds": 5},
    "limits": {"welkin_requests_per_second": 100, "max_cycle_writes": 1000},
}


@dataclass
class Stage:
    """Everything, and the users and runs of one platform."""

    folder: Path
    sandbox: Sandbox
    world: World
    airflow: StandaloneAirflow
    database: Database
    store: Store
    users: list[User]
    platform: str = "google"

    @property
    def dag_id(self) -> str:
        return f"{self.platform}_calendar_sync"

    def on(self, platform: str) -> Stage:
        """The same stage, with the users and runs of another platform."""
        return replace(self, platform=platform, users=self.world.users(platform))

    def slot(self, number: int) -> Slot:
        """A time of its own for each edit."""
        day = datetime.now(UTC).replace(hour=15, minute=7, second=0, microsecond=0)
        start = day + timedelta(days=8 + number)
        return Slot(start, start + timedelta(minutes=34))

    def book(self, user: User, slot: Slot) -> None:
        self.world.book(user, slot, self.world.templates()[0])

    def run(self, **conf: Any) -> str:
        """Trigger a run, wait for its end, return its id."""
        run_id = self.airflow.trigger(self.dag_id, conf)
        self.airflow.wait_run(self.dag_id, run_id)
        return run_id

    def state(self, run_id: str) -> str:
        return self.airflow.run_state(self.dag_id, run_id)

    def tasks(self, run_id: str, task_id: str) -> list[TaskInstance]:
        return [
            task
            for task in self.airflow.task_instances(self.dag_id, run_id)
            if task.task_id == task_id
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
            for run in self.airflow.runs(self.dag_id, "success", "failed")
            if datetime.fromisoformat(run["end_date"]) >= since
        ]
        return [str(run["dag_run_id"]) for run in reversed(found)]

    def wait_idle(self) -> None:
        wait_idle(self.airflow, self.dag_id)

    def rest(self) -> None:
        """Switch the schedule off between two runs."""
        rest(self.airflow, self.dag_id)

    def settle(self, patience: float = 900) -> None:
        """Ask for runs until one has polled everybody and found no work, and let the DAG rest.

        For a stage whose runs look for changes themselves. A run that is asked for may find
        that another has the users, or that no poll is due.
        """
        begun, deadline = datetime.now(UTC), time.monotonic() + patience
        self.airflow.unpause(self.dag_id)
        while True:
            run = self.run()
            assert self.state(run) == "success", run
            states = [self.store.marks.of(*pair) for pair in self._pairs()]
            polled = all(s.last_poll_at and s.last_poll_at >= begun for s in states)
            if polled and not any(s.marked for s in states) and self.row(run).users == 0:
                return self.rest()
            assert time.monotonic() < deadline, states

    def _pairs(self) -> list[tuple[str, Platform]]:
        """Whoever is synced on the platform."""
        rows = self.store.config.mapping()
        return [
            (row.user_id, row.platform)
            for row in rows
            if row.enabled and row.platform == self.platform
        ]

    def wait(self, condition: Callable[[], bool], patience: float = PATIENCE) -> None:
        deadline = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < deadline, self.airflow.runs(self.dag_id)[:3]
            time.sleep(LOOK_EVERY)

    def operations(self, run_id: str) -> list[Any]:
        with self.database.read() as connection:
            # Runs of the schedule are named alike in each DAG.
            query = select(t.operation).where(
                t.operation.c.run_id == run_id, t.operation.c.platform == self.platform
            )
            return list(connection.execute(query))

    def row(self, run_id: str) -> Any:
        """What `record_run` wrote of a run."""
        with self.database.read() as connection:
            query = select(t.sync_run).where(
                t.sync_run.c.run_id == run_id, t.sync_run.c.platform == self.platform
            )
            return connection.execute(query).one()

    def writes_during(self, run_id: str) -> list[str]:
        """What was changed on either side while this run, and so no other, was running."""
        run = self.airflow.call("GET", f"/dags/{self.dag_id}/dagRuns/{quote(run_id, safe='')}")
        start, end = (datetime.fromisoformat(run[name]) for name in ("start_date", "end_date"))
        return [entry.kind for entry in self.sandbox.requests.writes() if start <= entry.at <= end]


def wait_idle(airflow: StandaloneAirflow, dag_id: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while active := airflow.runs(dag_id, "queued", "running"):
        assert time.monotonic() < deadline, active[:3]
        time.sleep(LOOK_EVERY)


def rest(airflow: StandaloneAirflow, dag_id: str) -> None:
    """Switch a DAG off between two runs.

    Airflow (3.3.2) leaves a run as it stands when its DAG is paused: one that has just begun
    would never end. Of one that is off already, a queued run would not begin either.
    """
    while not airflow.call("GET", f"/dags/{dag_id}")["is_paused"]:
        wait_idle(airflow, dag_id)
        airflow.pause(dag_id)
        time.sleep(1)
        if not airflow.runs(dag_id, "running"):
            return
        airflow.unpause(dag_id)


@contextlib.contextmanager
def open_stage(
    folder: Path,
    settings: dict[str, Any] | None = None,
    env: dict[str, str] | None = None,
    connections: dict[str, dict[str, Any]] | None = None,
    dags: Path | None = None,
) -> Iterator[Stage]:
    """Start everything, with the DAGs paused; what is given comes on top of what is usual.

    `dags` is another folder than the product's.
    """
    # Not the usual port: other tests may start an Airflow at the same moment.
    airflow = StandaloneAirflow(
        folder / "home",
        dags or REPOSITORY / "dags",
        plugins=REPOSITORY / "plugins",
        env=env,
        port=0,
    )
    with closing_state(airflow) as database:
        upgrade(database)
        with airflow:
            with stage_on(airflow, database, folder, settings, connections) as stage:
                yield stage
            # Nothing of it is needed any more: nobody waits for half a minute of farewells.
            airflow.stop(patience=1)
        assert airflow.program is not None
        assert airflow.program.members == []


@contextlib.contextmanager
def closing_state(airflow: StandaloneAirflow) -> Iterator[Database]:
    """The state database of an Airflow, where it is by default."""
    database = Database(f"sqlite:///{airflow.home}/calendar_sync.db")
    try:
        yield database
    finally:
        database.close()


@contextlib.contextmanager
def stage_on(
    airflow: StandaloneAirflow,
    database: Database,
    folder: Path,
    settings: dict[str, Any] | None = None,
    connections: dict[str, dict[str, Any]] | None = None,
) -> Iterator[Stage]:
    """Beside an Airflow that runs: sandbox, settings, mapping, connections.

    Dana, Mira and Ilse are on Google, Teo is on Microsoft, Ruben is on both.
    """
    sandbox = Sandbox(client_secret=SECRET)
    # Above what the settings allow: the sync keeps to its own limit and never meets this one.
    sandbox.welkin.rate_limit = 200
    sandbox.organise(users=5, encounters=4, microsoft="half")
    store = Store(database, KEY)
    with running(sandbox, folder / "sandbox"):
        world = World(folder / "sandbox")
        now = datetime.now(UTC)
        store.config.save_settings(parse({**SETTINGS, **(settings or {})}), "tests", now)
        mapped = [
            MappedUser(user.welkin_id, platform, user.account.lower())
            for platform in Platform
            for user in world.users(platform.value)
        ]
        store.config.edit_mapping(lambda _: mapped, "tests", now)
        for name, fields in {**world.connections, **(connections or {})}.items():
            airflow.add_connection(name, fields)
        key = {"conn_type": "generic", "password": KEY}
        airflow.add_connection("calendar_sync_hmac_key", key)
        stage = Stage(folder, sandbox, world, airflow, database, store, world.users())
        airflow.wait_dag(stage.dag_id)
        yield stage
