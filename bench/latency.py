"""How long until the other side shows an edit, under a real scheduler and triggerer.

Edits are made at random moments. When each was noticed and written is read from the state
database, when its run was created and its task started from Airflow.

`python -m bench --latency` measures a small organisation alone and replaces its section of the
page, `--latency-large` a large one.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import select
from tests.servers import REPOSITORY

from bench.cases import say
from bench.measure import PYTHONPATH, BenchError, difference, load
from bench.processes import Watch
from bench.results import Results
from bench.setup import FLOOR_FILE, HMAC_KEY
from bench.stage import TEMPLATE, Stage
from calendar_sync.core.dag_ids import sync_of
from calendar_sync.core.model import Platform
from calendar_sync.state import Database
from calendar_sync.state import tables as t
from calendar_sync.state.noticing import NoticingStore
from calendar_sync_sandbox.patience import Patience
from calendar_sync_sandbox.standalone import StandaloneAirflow

if TYPE_CHECKING:
    from pathlib import Path

    from bench.scale import Scale
    from calendar_sync_sandbox.demo.world import Slot, User

PLATFORMS = (Platform.GOOGLE, Platform.MICROSOFT)
#: Runs each minute as where there is no triggerer; noticing in the triggerer; that and push.
TIMETABLE, NOTICING, PUSH = "timetable", "noticing", "push"
VARIANTS = {TIMETABLE: "off", NOTICING: "on", PUSH: "on"}
#: Airflow's own defaults, where the sandbox's Airflow is quicker than that.
AIRFLOW = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "300",
}
#: All else is as shipped: what is measured here are seconds.
SHIPPED: dict[str, Any] = {"limits": {"welkin_requests_per_second": 5}}
#: Whose edit it is, where it shows, and the step of the sync that makes it.
DIRECTIONS = {("welkin", one.value): "create_mirror" for one in PLATFORMS} | {
    (one.value, "welkin"): "create_block" for one in PLATFORMS
}
SMALL, SMALL_EVERY = 25, 12.0
#: An edit waits for a user of whom none in its direction is followed. Where that is longer than so
#: many seconds for more than this share of at least so many edits, they were not made at random
#: moments.
LATE_SECONDS, LATE_SHARE, FEW = 2.0, 0.1, 20
SHARE_A_MINUTE = 0.05
FLOOR = "floor"
LOOK_SECONDS = 0.2
#: Asking Airflow costs it CPU time.
ASK_SECONDS = 1.0
#: So long may nothing move.
PATIENCE_SECONDS = 900


#: Edits that are not on the other side yet, by direction and user.
Pending = dict[tuple[str, str, str], "tuple[Edit, Slot, User]"]


@dataclass
class Edit:
    """One edit: epoch seconds of what became of it; `noticed` is missing where it was not seen."""

    source: str
    target: str
    user_id: str
    made: float
    written: float = 0.0
    noticed: float | None = None
    created: float = 0.0
    started: float = 0.0
    run_id: str = ""

    @property
    def platform(self) -> str:
        """Whose DAG syncs it."""
        return self.target if self.source == "welkin" else self.source


@dataclass
class Idle:
    """Some minutes in which nobody edits anything; CPU seconds by what Airflow's processes do."""

    seconds: float
    runs: int
    tasks: int
    cpu: dict[str, float]
    requests: dict[str, int]

    @property
    def days(self) -> float:
        """How many of these make a day."""
        return 86_400 / self.seconds


@dataclass
class Part:
    """One variant with one organisation."""

    users: int
    variant: str
    load: float
    edits: list[Edit] = field(default_factory=list)
    idle: Idle | None = None
    #: Seconds from an event to the end of the only task of an empty DAG.
    floor: list[float] = field(default_factory=list)
    #: The same Airflow while the DAGs were still switched off.
    off: Idle | None = None


@dataclass
class Latency:
    """Everything that was measured, with what is needed to read it."""

    date: str
    edits: int
    machine: dict[str, str]
    parts: list[Part] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write everything, so that the page can be written again without measuring."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> Latency:
        """Read what `save` wrote."""
        stored = json.loads(path.read_text())
        stored["parts"] = [
            Part(
                **{
                    **part,
                    "edits": [Edit(**edit) for edit in part["edits"]],
                    **{name: Idle(**part[name]) for name in ("idle", "off") if part[name]},
                }
            )
            for part in stored["parts"]
        ]
        return cls(**stored)


def measure(folder: Path, scale: Scale, path: Path) -> Latency:
    """A small organisation in all variants; each part is kept in `path` as soon as it is there."""
    users = min(SMALL, scale.accounts)
    return _measure(folder, scale, path, users, SMALL_EVERY, scale.idle_minutes)


def measure_large(folder: Path, scale: Scale, path: Path) -> Latency:
    """A large one, in which some change each minute."""
    often = 60 / (scale.accounts * SHARE_A_MINUTE) * len(DIRECTIONS)
    return _measure(folder, scale, path, scale.accounts, min(SMALL_EVERY, often), 0)


def _measure(
    folder: Path, scale: Scale, path: Path, users: int, every: float, idle_minutes: float
) -> Latency:
    about = Results.begin(scale)
    found = Latency(about.date, scale.edits, about.machine)
    arguments = ("--users", str(users), "--encounters", str(scale.encounters), "--filled")
    with Stage(folder / f"latency-{users}", *arguments, platforms=PLATFORMS) as stage:
        say(f"made: {users:,} users on both platforms, {stage.story}")
        # Whichever is there has been kept if a later one fails.
        for variant in (NOTICING, PUSH, TIMETABLE):
            # Push changes nothing for an organisation in which nobody edits anything.
            idle = 0 if variant == PUSH else idle_minutes
            found.parts.append(measure_part(stage, variant, scale.edits, every, idle))
            found.parts.sort(key=lambda part: list(VARIANTS).index(part.variant))
            found.save(path)
    return found


def measure_part(stage: Stage, variant: str, edits: int, every: float, idle_minutes: float) -> Part:
    """Start an Airflow and measure one variant.

    Args:
        stage: everybody is in step.
        variant: see `VARIANTS`.
        edits: so many in each direction.
        every: mean seconds between two of one direction.
        idle_minutes: how long nothing happens before; 0 to leave that out.
    """
    part = Part(len(stage.users), variant, load())
    with contextlib.ExitStack() as running:
        stage.configure(**SHIPPED)
        if variant == PUSH:
            address = running.enter_context(stage.receiver())
            stage.configure(**SHIPPED, push={"address": address})
        runs = running.enter_context(Runs(stage, variant))
        if idle_minutes and variant == NOTICING:
            part.off = runs.watch(idle_minutes * 60)
            say(f"{part.users} users, switched off: {part.off}")
        runs.switch_on()
        runs.edits(1, 0.0)  # Forks the executor's workers, gets tokens.
        if idle_minutes:
            part.idle = runs.idle(idle_minutes * 60)
            say(f"{part.users} users, {variant}, idle: {part.idle}")
        part.edits = runs.edits(edits, every)
        if variant == NOTICING:
            part.floor = runs.floor(min(20, edits))
    for (source, target), found in by_direction(part).items():
        took = sorted(edit.written - edit.made for edit in found)
        say(f"{part.users} users, {variant}, {source} to {target}: {[round(s, 1) for s in took]}")
    return part


def by_direction(part: Part) -> dict[tuple[str, str], list[Edit]]:
    """The edits of each direction."""
    return {
        (source, target): [e for e in part.edits if (e.source, e.target) == (source, target)]
        for source, target in DIRECTIONS
    }


class Runs:
    """An Airflow with the product's DAGs and the empty one, beside a stage."""

    def __init__(self, stage: Stage, variant: str) -> None:
        self.stage, self.variant = stage, variant
        folder = stage.folder / f"airflow-{variant}"
        dags = folder / "dags"
        shutil.copytree(REPOSITORY / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(REPOSITORY / "bench" / "dags" / "floor_dag.py", dags)
        self._events = folder / "events"
        self._events.touch()
        env = {
            "CALENDAR_SYNC_DATABASE_URL": f"sqlite:///{stage.state}",
            "CALENDAR_SYNC_TRIGGERER": VARIANTS[variant],
            "PYTHONPATH": PYTHONPATH,
            FLOOR_FILE: str(self._events),
            **AIRFLOW,
        }
        self.airflow = StandaloneAirflow(folder / "home", dags, env=env, port=0)
        self.database = Database(f"sqlite:///{stage.state}")
        self._dags = [sync_of(platform.value) for platform in PLATFORMS]
        self._random = random.Random(7)  # noqa: S311 - the same moments each time
        self._turn: dict[str, deque[User]] = {
            platform.value: deque(u for u in stage.users if u.platform == platform)
            for platform in PLATFORMS
        }

    def __enter__(self) -> Runs:
        self.airflow.__enter__()
        try:
            self._open()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.airflow.stop()
        self.database.close()

    def _open(self) -> None:
        connections = dict(self.stage.world.connections)
        connections["calendar_sync_hmac_key"] = {"conn_type": "generic", "password": HMAC_KEY}
        for name, fields in connections.items():
            self.airflow.add_connection(name, fields)
        for dag in [*self._dags, FLOOR]:
            self.airflow.wait_dag(dag)

    def switch_on(self) -> None:
        """All DAGs; then wait until everything works."""
        for dag in [*self._dags, FLOOR]:
            self.airflow.unpause(dag)
        self._wait(self._settled, "first run of each DAG")

    def _settled(self) -> tuple[bool, object]:
        """Each DAG has had a run, none is at work, and whoever should look for changes does."""
        active = [run["dag_run_id"] for d in self._dags for run in self._active(d)]
        ended = [len(self.airflow.runs(dag, "success", newest=100)) for dag in self._dags]
        now, noticing = datetime.now(UTC), NoticingStore(self.database)
        names = ["welkin", *(platform.value for platform in PLATFORMS)]
        beats = [noticing.of(name).alive(now) for name in names]
        channels = self.stage.world.channels() if self.variant == PUSH else len(self.stage.users)
        missing = len(self.stage.users) - channels
        done = all(ended) and not active and (all(beats) or self.variant == TIMETABLE)
        return done and missing <= 0, (active, ended, beats, missing)

    def _active(self, dag: str) -> list[dict[str, Any]]:
        return self.airflow.runs(dag, "queued", "running")

    def _wait(self, look: Any, what: str) -> None:
        patience = Patience(round(PATIENCE_SECONDS / ASK_SECONDS))
        while True:
            done, seen = look()
            if done:
                return
            if not patience.left(seen):
                raise BenchError(f"no {what}: {seen}")
            time.sleep(ASK_SECONDS)

    # --- Nothing happens --------------------------------------------------------------------------

    def idle(self, seconds: float) -> Idle:
        """Watch for so long how nothing happens, from the end of the runs before."""
        self._wait(self._settled, "end of the runs before")
        return self.watch(seconds)

    def watch(self, seconds: float) -> Idle:
        """What is used in so many seconds from now on."""
        assert self.airflow.program is not None
        before, begun = self.stage.world.counts(), datetime.now(UTC)
        started = time.monotonic()
        with Watch(self.airflow.program.session) as watch:
            time.sleep(seconds)
        took = time.monotonic() - started
        requests = difference(self.stage.world.counts(), before)
        runs = [
            (dag, run["dag_run_id"])
            for dag in self._dags
            for run in self.airflow.runs(dag, newest=1000)
            if run["start_date"] and _epoch(run["start_date"]) >= begun.timestamp()
        ]
        tasks = sum(len(self.airflow.task_instances(dag, run_id)) for dag, run_id in runs)
        return Idle(took, len(runs), tasks, watch.cpu, requests)

    # --- Edits ------------------------------------------------------------------------------------

    def edits(self, count: int, every: float) -> list[Edit]:
        """Make so many edits in each direction, and wait until the other side shows them all."""
        planned, late = self._planned(count, every), 0
        pending: Pending = {}
        done: list[tuple[Edit, Slot, User]] = []
        last = self._last_operation()
        patience = Patience(round(PATIENCE_SECONDS / LOOK_SECONDS))
        while planned or pending:
            now = time.time()
            while planned and planned[0][0] <= now:
                user = self._free_user(planned[0], pending)
                if user is None:
                    break
                moment, source, target = planned.popleft()
                late += now - moment > LATE_SECONDS
                pending[source, target, user.welkin_id] = self._edit(source, target, user)
            self._note_marks(pending)
            last = self._note_written(pending, done, last)
            if not patience.left((len(planned), len(done))):
                raise BenchError(f"not on the other side: {[one[0] for one in pending.values()]}")
            time.sleep(LOOK_SECONDS)
        self._wait(self._settled, "end of the runs")
        if len(done) >= FEW and late > LATE_SHARE * len(done):
            raise BenchError(f"{late} of {len(done)} edits waited for a free user")
        for edit, slot, user in done:
            self._check(edit, slot, user)
        self._note_runs([edit for edit, _, _ in done])
        return [edit for edit, _, _ in done]

    def _planned(self, count: int, every: float) -> deque[tuple[float, str, str]]:
        planned = []
        for source, target in DIRECTIONS:
            at = time.time()
            for _ in range(count):
                at += self._random.uniform(0, 2 * every)
                planned.append((at, source, target))
        return deque(sorted(planned))

    def _free_user(self, plan: tuple[float, str, str], pending: Pending) -> User | None:
        _, source, target = plan
        turn = self._turn[target if source == "welkin" else source]
        for _ in range(len(turn)):
            turn.rotate(-1)
            if (source, target, turn[0].welkin_id) not in pending:
                return turn[0]
        return None

    def _edit(self, source: str, target: str, user: User) -> tuple[Edit, Slot, User]:
        slot, made = self.stage.slot(), time.time()
        if source == "welkin":
            self.stage.world.book(user, slot, TEMPLATE)
        else:
            self.stage.world.plan_privately(user, slot, "Private")
        return Edit(source, target, user.welkin_id, made), slot, user

    def _note_marks(self, pending: Pending) -> None:
        table = t.user_sync.c
        query = select(table.user_id, table.platform, table.marked_at).where(
            table.mark_seq > table.done_seq
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        marks = {(user_id, platform): at.timestamp() for user_id, platform, at in rows if at}
        for edit, _, _ in pending.values():
            # A user who had work before keeps the older time: then it is not known.
            at = marks.get((edit.user_id, edit.platform), 0.0)
            if edit.noticed is None and at >= edit.made:
                edit.noticed = at

    def _last_operation(self) -> int:
        with self.database.read() as connection:
            query = select(t.operation.c.id).order_by(t.operation.c.id.desc()).limit(1)
            return connection.scalar(query) or 0

    def _note_written(
        self,
        pending: Pending,
        done: list[tuple[Edit, Slot, User]],
        last: int,
    ) -> int:
        table = t.operation.c
        with self.database.read() as connection:
            rows = connection.execute(
                select(t.operation).where(table.id > last).order_by(table.id)
            ).all()
        for row in rows:
            last = row.id
            for key in [key for key in pending if key[2] == row.user_id]:
                edit = pending[key][0]
                step = DIRECTIONS[edit.source, edit.target]
                if (row.outcome, row.platform, row.step) == ("ok", edit.platform, step):
                    edit.written, edit.run_id = row.at.timestamp(), row.run_id
                    done.append(pending.pop(key))
        return last

    def _check(self, edit: Edit, slot: Slot, user: User) -> None:
        shown = (
            self.stage.world.mirrors if edit.source == "welkin" else self.stage.world.unavailable
        )
        if len(shown(user, slot)) != 1:
            raise BenchError(f"the other side does not show {edit}")

    def _note_runs(self, edits: list[Edit]) -> None:
        accounts = {user.welkin_id: user.account for user in self.stage.users}
        for dag, run_id in sorted({(sync_of(edit.platform), edit.run_id) for edit in edits}):
            path = f"/dags/{dag}/dagRuns/{quote(run_id, safe='')}"
            created = _epoch(self.airflow.call("GET", path)["queued_at"])
            tasks = self.airflow.task_instances(dag, run_id)
            for edit in edits:
                if (sync_of(edit.platform), edit.run_id) != (dag, run_id):
                    continue
                edit.created = created
                starts = [
                    _epoch(task.started)
                    for task in tasks
                    if task.task_id == "sync_user"
                    and task.started
                    and f"{accounts[edit.user_id]}: " in (task.label or "")
                ]
                # A label of many users names some of them; their tasks start together.
                starts = starts or [
                    _epoch(task.started)
                    for task in tasks
                    if task.task_id == "sync_user" and task.started
                ]
                if not starts:
                    raise BenchError(f"no task of {run_id} synced anybody")
                edit.started = min(starts)

    # --- Airflow's own floor ----------------------------------------------------------------------

    def floor(self, count: int) -> list[float]:
        """Seconds from an event to the end of the empty DAG's task."""
        found = []
        for number in range(count):
            time.sleep(self._random.uniform(1, 4))
            begun = time.time()
            with self._events.open("a") as file:
                file.write("x\n")

            def ended(wanted: int = number + 1) -> tuple[bool, object]:
                states = [run["state"] for run in self.airflow.runs(FLOOR, newest=100)]
                return states.count("success") >= wanted, states

            self._wait(ended, "run of the empty DAG")
            [run] = self.airflow.runs(FLOOR, newest=1)
            [task] = self.airflow.task_instances(FLOOR, run["dag_run_id"])
            assert task.ended is not None
            found.append(_epoch(task.ended) - begun)
        return found


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
