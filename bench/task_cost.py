"""What a mapped task costs beside an empty one, and how many users should share one.

CPU time of the executor's workers and the tasks, under a real Airflow with LocalExecutor. What a
run costs besides is left out: the difference between a run with many tasks and one with one.

`python -m bench --tasks` measures this alone and replaces its section of the page.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import certifi

from bench.cases import say
from bench.measure import BenchError, Spread
from bench.page import met, table, wrapped
from bench.results import Kept, Results
from bench.scheduler import OURS, Scheduler
from bench.stage import Stage

if TYPE_CHECKING:
    from bench.scale import Scale

HEADING = "## What a task costs"
EMPTY = "empty_mapped"
PRELOAD, PLAIN, COMPILES = "preload", "without preload", "without preload and bytecode"
VARIANTS = (PRELOAD, PLAIN, COMPILES)
NOTHING, IDLE, WRITE = "empty task", "nothing to do", "one write"
#: Starts of an Airflow of each variant, in turns.
ROUNDS = 3
#: Promised: CPU of a task with one write in empty tasks, with preload and without.
TIMES, TIMES_PLAIN = 2.0, 4.0
#: Values of `limits.max_user_tasks` that are tried with everybody changed, with so many slots.
PACKED = (2, 4, 8, 16, 31)
SLOTS = (2, 8)
#: So many slots, each with a core, are a matter of the model.
CLUSTER_SLOTS = 32


@dataclass
class TaskCosts(Kept):
    """CPU seconds of a task by variant and kind; seconds of a run by slots and its most tasks."""

    tasks: int
    cpu: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    packed: dict[str, dict[str, list[float]]] = field(default_factory=dict)


def measure(folder: Path, scale: Scale) -> TaskCosts:
    """All variants in turns, then how tasks are packed."""
    about = Results.begin(scale)
    found = TaskCosts(about.date, about.load_before, scale.tasks)
    arguments = ("--users", str(scale.tasks), "--encounters", "20", "--filled")
    with Stage(folder / "tasks", *arguments) as stage:
        for number in range(ROUNDS):
            for variant in VARIANTS:
                with _Airflow(stage, variant, number) as scheduler:
                    _one_of_each(scheduler, found, variant)
        for slots in SLOTS:
            with _Airflow(stage, PRELOAD, ROUNDS + slots, slots) as scheduler:
                for _ in range(ROUNDS):
                    for most in PACKED:
                        _packed(scheduler, found, slots, most)
    return found


class _Airflow:
    """A scheduler of this variant that has run everything once."""

    def __init__(self, stage: Stage, variant: str, number: int, slots: int = 8) -> None:
        folder = f"airflow-{VARIANTS.index(variant)}-{number}"
        self._scheduler = Scheduler.prepare(stage, folder, preload=variant == PRELOAD)
        # To read as many authorities as usual is a part of the cost.
        trusted = stage.folder / "authorities.pem"
        trusted.write_text(
            "\n".join(Path(each).read_text() for each in (certifi.where(), stage.folder / "ca.pem"))
        )
        self._scheduler.airflow.env |= {
            "SSL_CERT_FILE": str(trusted),
            "AIRFLOW__CORE__PARALLELISM": str(slots),
        }
        if variant == COMPILES:
            nowhere = stage.folder / folder / "bytecode"
            self._scheduler.airflow.env |= {
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONPYCACHEPREFIX": str(nowhere),
            }

    def __enter__(self) -> Scheduler:
        self._scheduler.airflow.__enter__()
        try:
            self._scheduler.connect(OURS, EMPTY, usual=True)
            # Forks the executor's workers, and gets the tokens.
            self._scheduler.run(EMPTY, {"tasks": 8})
            self._scheduler.run(OURS, {"users": _ids(self._scheduler.stage)})
        except BaseException:
            self._scheduler.airflow.stop()
            raise
        return self._scheduler

    def __exit__(self, *_: object) -> None:
        self._scheduler.airflow.stop()


def _ids(stage: Stage, count: int | None = None) -> list[str]:
    return [user.welkin_id for user in stage.users[:count]]


def _one_of_each(scheduler: Scheduler, found: TaskCosts, variant: str) -> None:
    stage, many = scheduler.stage, found.tasks
    # As shipped, so many users would share a few tasks.
    stage.configure(limits={"max_user_tasks": many})
    one, all_of_them = {"users": _ids(stage, 1)}, {"users": _ids(stage)}
    few = scheduler.run(EMPTY, {"tasks": 1}).cpu
    empty = (scheduler.run(EMPTY, {"tasks": many}).cpu - few) / (many - 1)
    few = scheduler.run(OURS, one).cpu
    run = scheduler.run(OURS, all_of_them)
    if run.outcome["tasks"] != many + 2:
        raise BenchError(f"{many} users, but {run.outcome['tasks']} tasks")
    idle = (run.cpu - few) / (many - 1)
    write = (_changed(scheduler, many) - _changed(scheduler, 1)) / (many - 1)
    for kind, cpu in ((NOTHING, empty), (IDLE, idle), (WRITE, write)):
        found.cpu.setdefault(variant, {}).setdefault(kind, []).append(cpu)
    say(f"{variant}: empty {empty:.2f}, nothing to do {idle:.2f}, one write {write:.2f} CPU-s")


def _changed(scheduler: Scheduler, count: int) -> float:
    """CPU of a run that finds so many changed users, as those of an event do: nobody is named."""
    scheduler.stage.edit(count)
    scheduler.stage.let_time_pass()
    run = scheduler.run(OURS)
    scheduler.expect_writes(run, count)
    if run.outcome["tasks"] != count + 2:
        raise BenchError(f"{count} changed users, but {run.outcome['tasks']} tasks")
    return run.cpu


def _packed(scheduler: Scheduler, found: TaskCosts, slots: int, most: int) -> None:
    """Everybody has changed."""
    stage = scheduler.stage
    stage.configure(limits={"max_user_tasks": most})
    stage.edit(found.tasks)
    run = scheduler.run(OURS, {"users": _ids(stage)})
    scheduler.expect_writes(run, found.tasks)
    found.packed.setdefault(str(slots), {}).setdefault(str(most), []).append(run.wall)
    say(f"{slots} slots, {found.tasks} users in {most} tasks at most: {run.wall:.1f} s")


@dataclass(frozen=True)
class Model:
    """A run takes `task` seconds for each wave of tasks, and `user` for each user of a slot."""

    task: float
    user: float

    @classmethod
    def of(cls, found: TaskCosts) -> Model:
        """Fitted where slots have a core each: with two."""
        slots = min(SLOTS)
        by_most = found.packed[str(slots)]
        waves = [math.ceil(int(most) / slots) for most in by_most]
        seconds = [Spread.of(times).median for times in by_most.values()]
        line = statistics.linear_regression(waves, seconds)
        return cls(line.slope, line.intercept / (found.tasks / slots))

    def run(self, users: int, tasks: int, slots: int) -> float:
        """Seconds of a run with so many tasks."""
        waves = math.ceil(tasks / slots)
        return waves * (self.task + math.ceil(users / tasks) * self.user)


def section(found: TaskCosts) -> str:
    """Both tables, and what was promised."""
    rows, kinds = [], (NOTHING, IDLE, WRITE)
    for variant, by_kind in found.cpu.items():
        spreads = [Spread.of(by_kind[kind]) for kind in kinds]
        ratio = f"{spreads[-1].median / spreads[0].median:.1f} x"
        rows.append((variant, *(spread.text(2) for spread in spreads), ratio))
    targets = []
    # The preload makes an empty task cheaper, too.
    against = {
        "in empty tasks, preload": (PRELOAD, PRELOAD, TIMES),
        "preload, in empty tasks without it": (PRELOAD, PLAIN, TIMES),
        "without preload, in empty tasks": (PLAIN, PLAIN, TIMES_PLAIN),
    }
    for words, (variant, other, most) in against.items():
        write = Spread.of(found.cpu[variant][WRITE]).median
        empty = Spread.of(found.cpu[other][NOTHING]).median
        name = f"a task with one write, {words}"
        targets.append(
            (name, f"<= {most:g} x", f"{write / empty:.1f} x", met(write <= most * empty))
        )
    model = Model.of(found)
    parts = [
        HEADING,
        f"""Measured on {found.date} (load {found.load:.1f} before the start) under a real Airflow
with LocalExecutor, 8 tasks at once: CPU seconds of a mapped task and of the worker that starts it,
the mean of {found.tasks - 1} tasks, {ROUNDS} starts of an Airflow of each kind in turns. *Preload*
is the line for `airflow_local_settings.py` ([operations.md](operations.md#speed)).""",
        table(("", *kinds, "one write, in empty tasks"), rows),
        table(("", "target", "measured", ""), targets),
        f"""How many users should share a task: seconds of a run in which all {found.tasks} users
have changed, by `limits.max_user_tasks`. Users that share a task are synced four at a time
(`limits.user_concurrency`). The last column is a model, for as many cores as slots: two slots on
two cores take {model.task:.2f} s for each wave of tasks and {model.user:.2f} s for each user of a
slot. The default, as many tasks as there are slots, is the least waves with no slot idle.""",
        table(
            (
                "`limits.max_user_tasks`",
                *(f"{slots} slots, s" for slots in found.packed),
                f"{CLUSTER_SLOTS} slots, model, s",
            ),
            [
                (
                    str(most),
                    *(Spread.of(times[str(most)]).text() for times in found.packed.values()),
                    f"{model.run(found.tasks, most, CLUSTER_SLOTS):.1f}",
                )
                for most in PACKED
            ],
        ),
    ]
    return "\n\n".join(wrapped(part) for part in parts) + "\n"
