"""What a mapped task costs beside an empty one, and how many users should share one.

CPU time of the executor's workers and the tasks, under a real Airflow with LocalExecutor. What a
run costs besides is left out: the difference between a run with many tasks and one with one.

`python -m bench --tasks` measures this alone and replaces its section of the page.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import certifi

from bench.cases import say
from bench.measure import BenchError, Spread
from bench.page import met, table, wrapped
from bench.results import Results
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
#: Values of `limits.max_user_tasks` that are tried with everybody changed.
PACKED = (2, 4, 8, 16, 31)


@dataclass
class TaskCosts:
    """CPU seconds of a task by variant and kind; seconds of a run by the most tasks it may have."""

    date: str
    load: float
    tasks: int
    cpu: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    packed: dict[str, list[float]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write everything, so that the page can be written again without measuring."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load_from(cls, path: Path) -> TaskCosts:
        """Read what `save` wrote."""
        return cls(**json.loads(path.read_text()))


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
        with _Airflow(stage, PRELOAD, ROUNDS) as scheduler:
            for _ in range(ROUNDS):
                for most in PACKED:
                    _packed(scheduler, found, most)
    return found


class _Airflow:
    """A scheduler of this variant that has run everything once."""

    def __init__(self, stage: Stage, variant: str, number: int) -> None:
        folder = f"airflow-{VARIANTS.index(variant)}-{number}"
        self._scheduler = Scheduler.prepare(stage, folder, preload=variant == PRELOAD)
        # To read as many authorities as usual is a part of the cost.
        trusted = stage.folder / "authorities.pem"
        trusted.write_text(
            "\n".join(Path(each).read_text() for each in (certifi.where(), stage.folder / "ca.pem"))
        )
        self._scheduler.airflow.env |= {"SSL_CERT_FILE": str(trusted)}
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
    return run.cpu


def _packed(scheduler: Scheduler, found: TaskCosts, most: int) -> None:
    """Everybody has changed."""
    stage = scheduler.stage
    stage.configure(limits={"max_user_tasks": most})
    stage.edit(found.tasks)
    run = scheduler.run(OURS, {"users": _ids(stage)})
    scheduler.expect_writes(run, found.tasks)
    found.packed.setdefault(str(most), []).append(run.wall)
    say(f"{found.tasks} changed users in {most} tasks at most: {run.wall:.1f} s")


def section(found: TaskCosts) -> str:
    """Both tables, and what was promised."""
    rows, kinds = [], (NOTHING, IDLE, WRITE)
    for variant, by_kind in found.cpu.items():
        spreads = [Spread.of(by_kind[kind]) for kind in kinds]
        ratio = f"{spreads[-1].median / spreads[0].median:.1f} x"
        rows.append((variant, *(spread.text(2) for spread in spreads), ratio))
    targets = []
    for variant, most in ((PRELOAD, TIMES), (PLAIN, TIMES_PLAIN)):
        write, empty = (Spread.of(found.cpu[variant][kind]).median for kind in (WRITE, NOTHING))
        name = f"a task with one write, {variant}, in empty tasks"
        targets.append(
            (name, f"<= {most:g} x", f"{write / empty:.1f} x", met(write <= most * empty))
        )
    parts = [
        HEADING,
        f"""Measured on {found.date} (load {found.load:.1f} before the start) under a real Airflow
with LocalExecutor, 8 tasks at once: CPU seconds of a mapped task and of the worker that starts it,
the mean of {found.tasks - 1} tasks, {ROUNDS} starts of an Airflow of each kind in turns. *Preload*
is the line for `airflow_local_settings.py` ([deploy.md](deploy.md)).""",
        table(("", *kinds, "one write, in empty tasks"), rows),
        table(("", "target", "measured", ""), targets),
        f"""How many users should share a task: seconds of a run in which all {found.tasks} users
have changed, by `limits.max_user_tasks`. Users that share a task are synced four at a time
(`limits.user_concurrency`).""",
        table(
            ("`limits.max_user_tasks`", "run, s"),
            [(most, Spread.of(seconds).text()) for most, seconds in found.packed.items()],
        ),
    ]
    return "\n\n".join(wrapped(part) for part in parts) + "\n"
