"""A cluster beside an organisation on both platforms: edits, faults, and what must hold after."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bench.fill import BenchClock, fill_into
from bench.organisation import staff
from bench.setup import HMAC_KEY
from bench.stage import TEMPLATE
from sqlalchemy import Engine, create_engine, select, text

from calendar_sync.config.settings import parse
from calendar_sync.core.dag_ids import sync_of
from calendar_sync.core.model import Platform
from calendar_sync.state import Database, Store
from calendar_sync.state import tables as t
from calendar_sync.state.migrate import upgrade
from calendar_sync.state.runs import WELKIN
from calendar_sync_sandbox import Sandbox, running
from calendar_sync_sandbox.demo.world import Slot, User, World
from calendar_sync_sandbox.patience import Patience
from tests.e2e.cluster.cluster import ClusterAirflow, Redis, databases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers import PostgresServer

PLATFORMS = (Platform.GOOGLE, Platform.MICROSOFT)
DAGS = [sync_of(platform.value) for platform in PLATFORMS]
LOOK_SECONDS = 1.0
#: So many looks without anything that moves: twenty minutes on an idle machine.
LOOKS = 1200
SETTINGS: dict[str, Any] = {
    "time_zone": "America/New_York",
    "limits": {"welkin_requests_per_second": 100},
}


@dataclass
class Edit:
    """One edit; seconds of the monotonic clock. `source` is what its link is known by."""

    user: User
    slot: Slot
    visit: bool
    source: str
    made: float
    shown: float | None = None


@dataclass
class Stage:
    """Everything that runs, and all edits so far."""

    sandbox: Sandbox
    world: World
    airflow: ClusterAirflow
    redis: Redis
    server: PostgresServer
    database: Database
    of_airflow: Engine
    store: Store
    users: list[User]
    edits: list[Edit] = field(default_factory=list)
    before: dict[str, int] = field(default_factory=dict)

    # --- Edits ------------------------------------------------------------------------------------

    def edit(self, user: User, *, visit: bool) -> Edit:
        """A visit that is booked, or something that the user plans for themselves."""
        days, minutes = divmod(len(self.edits), 400)
        day = datetime.now(UTC).replace(hour=3, minute=0, second=0, microsecond=0)
        start = day + timedelta(days=20 + days, minutes=minutes)
        slot, made = Slot(start, start + timedelta(minutes=25)), time.monotonic()
        if visit:
            source = self.world.book(user, slot, TEMPLATE).event_id
        else:
            source = self.world.plan_privately(user, slot, "Private")
        self.edits.append(Edit(user, slot, visit, source, made))
        return self.edits[-1]

    def look(self) -> list[Edit]:
        """Note which edits the other side shows by now; returns those that it does not."""
        pending = {edit.source: edit for edit in self.edits if edit.shown is None}
        link = t.link.c
        query = select(link.source_id, link.event_id).where(
            link.state == "live", (link.source_id.in_(pending) | link.event_id.in_(pending))
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all() if pending else []
        for row in rows:
            for name in (row.source_id, row.event_id):
                if name in pending:
                    pending[name].shown = time.monotonic()
        return [edit for edit in pending.values() if edit.shown is None]

    # --- Waiting ----------------------------------------------------------------------------------

    def wait(self, done: Callable[[], bool], what: str, seen: Callable[[], object]) -> None:
        """Look until it is so; `seen` tells what moves meanwhile.

        Errors of servers that are being restarted are no answer.
        """
        patience = Patience(LOOKS)
        while True:
            moved: object = None
            with contextlib.suppress(Exception):
                if done():
                    return
                moved = seen()
            assert patience.left(moved), f"no {what}: {moved}"
            time.sleep(LOOK_SECONDS)

    def shows(self, edits: list[Edit]) -> None:
        """Wait until the other side shows these."""

        def pending() -> int:
            self.look()
            return sum(edit.shown is None for edit in edits)

        self.wait(lambda: not pending(), "convergence", lambda: (pending(), self.progress()))

    def settle(self) -> None:
        """Wait until all edits are shown, nobody has work, each run has ended and has its row."""
        self.shows(self.edits)
        self.wait(lambda: not self.open_runs(), "end of all runs", self.progress)
        self.wait(lambda: not self.marked(), "rest", self.progress)
        # On a slow machine Airflow may have ended a run, which is recorded after 15 minutes.
        self.wait(lambda: not self.unrecorded(), "record of each run", self.progress)

    def progress(self) -> object:
        """What moves while anything does: operations, and tasks of Airflow.

        From its database, as its API server is busy enough.
        """
        with self.database.read() as connection:
            last = connection.scalar(select(t.operation.c.id).order_by(t.operation.c.id.desc()))
        with self.of_airflow.connect() as connection:
            tasks = "SELECT state, count(*) FROM task_instance GROUP BY state ORDER BY state"
            return last, [tuple(row) for row in connection.execute(text(tasks))]

    def marked(self) -> list[str]:
        """Users with work."""
        states = self.store.marks.all()
        return [user_id for (user_id, _), state in states.items() if state.marked]

    def open_runs(self) -> list[str]:
        """Runs of Airflow that have not ended."""
        return [
            run["dag_run_id"] for d in DAGS for run in self.airflow.runs(d, "queued", "running")
        ]

    def noticing(self) -> bool:
        """All parts of noticing are at work."""
        now = datetime.now(UTC)
        names = [WELKIN, *(platform.value for platform in PLATFORMS)]
        return all(self.store.noticing.of(name).alive(now) for name in names)

    # --- What must hold ---------------------------------------------------------------------------

    def problems(self) -> list[str]:
        """What is lost, doubled or not recorded, after `settle`."""
        found = []
        for edit in self.edits:
            shown = self.world.mirrors if edit.visit else self.world.unavailable
            if (count := len(shown(edit.user, edit.slot))) != 1:
                found.append(f"{edit.user.account}: {count} of {edit}")
        told = self.world.summary()
        wanted = {
            "mirrors": self.before["mirrors"] + sum(edit.visit for edit in self.edits),
            "blocks": self.before["blocks"] + sum(not edit.visit for edit in self.edits),
            "duplicates": 0,
        }
        found += [f"{name}: {told[name]}, not {n}" for name, n in wanted.items() if told[name] != n]
        return found + self.unrecorded()

    def unrecorded(self) -> list[str]:
        """Runs of Airflow that have ended and have no row, or one that is still open."""
        found = []
        for platform, dag in zip(PLATFORMS, DAGS, strict=True):
            with self.database.read() as connection:
                query = select(t.sync_run.c.run_id).where(
                    t.sync_run.c.platform == platform.value, t.sync_run.c.ended_at.is_not(None)
                )
                known = set(connection.scalars(query))
            runs = self.airflow.runs(dag, "success", "failed", newest=10_000)
            found += [
                f"{dag}: no row of {r['dag_run_id']}" for r in runs if r["dag_run_id"] not in known
            ]
        return found


@contextlib.contextmanager
def open_stage(
    folder: Path,
    users: int,
    *,
    slots: int = 4,
    schedulers: int = 2,
    disk: Path | None = None,
    env: dict[str, str] | None = None,
) -> Iterator[Stage]:
    """Start everything with everybody in step, and wait until changes are noticed."""
    clock = BenchClock()
    sandbox = Sandbox(clock=clock)
    sandbox.welkin.rate_limit = None
    sandbox.google.unfriendly = sandbox.microsoft.unfriendly = False
    staff(sandbox, users, 2, clock.now(), PLATFORMS, light=True)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        server, of_airflow, of_state = stack.enter_context(databases(folder, disk))
        database = Database(of_state)
        stack.callback(database.close)
        upgrade(database)
        fill_into(sandbox, clock, database, PLATFORMS)
        clock.go_live()
        sandbox.requests.clear()
        store = Store(database, HMAC_KEY)
        store.config.save_settings(parse(SETTINGS), "tests", datetime.now(UTC))
        stack.enter_context(running(sandbox, folder / "sandbox"))
        world = World(folder / "sandbox")
        redis = Redis(folder)
        stack.callback(redis.stop)
        redis.start()
        airflow = ClusterAirflow(
            folder,
            of_airflow,
            redis.url,
            slots=slots,
            schedulers=schedulers,
            env={"CALENDAR_SYNC_DATABASE_URL": of_state, **(env or {})},
        )
        stack.enter_context(airflow)
        people = [user for one in PLATFORMS for user in world.users(one.value)]
        engine = create_engine(of_airflow, connect_args={"prepare_threshold": None})
        stack.callback(engine.dispose)
        made = Stage(sandbox, world, airflow, redis, server, database, engine, store, people)
        key = {"conn_type": "generic", "password": HMAC_KEY}
        for name, fields in {**world.connections, "calendar_sync_hmac_key": key}.items():
            airflow.add_connection(name, fields)
        for dag in DAGS:
            airflow.wait_dag(dag)
            airflow.unpause(dag)
        made.wait(made.noticing, "noticing", made.progress)
        made.wait(lambda: not made.open_runs(), "end of the first runs", made.progress)
        made.before = world.summary()
        yield made
