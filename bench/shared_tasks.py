"""A run with some changed users: as shipped, and as it was at first.

At first each user had a task of their own, and each task imported what it needs. Now they share as
many tasks as run at the same time, and the scheduler has imported it before.

`python -m bench --shared` measures this alone and replaces its section of the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.cases import Case, note, say
from bench.measure import BenchError, Spread
from bench.page import machine, median_wall, met, table, wrapped
from bench.results import Results
from bench.scheduler import OURS, Scheduler
from bench.stage import Stage

if TYPE_CHECKING:
    from pathlib import Path

    from bench.scale import Scale

HEADING = "## A run with fifty changed users"
SHIPPED, FIRST = "as shipped", "a task for each user, nothing imported before"
#: Starts of an Airflow of each variant, in turns, and runs of each.
ROUNDS, RUNS = 2, 2
#: Promised.
TIMES = 2.0


def measure(folder: Path, scale: Scale) -> Results:
    """Both variants in turns, on one organisation."""
    results = Results.begin(scale)
    cases = {name: Case(name, name) for name in (SHIPPED, FIRST)}
    arguments = ("--users", str(scale.accounts), "--encounters", "2", "--light", "--filled")
    with Stage(folder / "shared", *arguments) as stage:
        say(f"made: {scale.accounts:,} accounts, {stage.story}")
        for number in range(ROUNDS):
            for name, case in cases.items():
                _runs(stage, case, scale.changed, f"airflow-{[*cases].index(name)}-{number}")
    results.add(*cases.values())
    return results


def _runs(stage: Stage, case: Case, changed: int, folder: str) -> None:
    first = case.key == FIRST
    # At first 200 were the most; 0 is what Airflow runs at the same time.
    stage.configure(limits={"max_user_tasks": 200 if first else 0})
    scheduler = Scheduler.prepare(stage, folder, preload=not first)
    with scheduler.airflow:
        scheduler.connect(OURS)
        for number in range(RUNS + 1):
            stage.edit(changed)
            stage.let_time_pass()
            run = scheduler.run(OURS)
            scheduler.expect_writes(run, changed)
            if first and run.outcome["tasks"] != changed + 2:
                raise BenchError(f"{changed} users, but {run.outcome['tasks']} tasks")
            # The first one forks the executor's workers, and gets the tokens.
            if number:
                note(case, run)


def section(results: Results) -> str:
    """A table, and what was promised."""
    accounts, changed = results.scale.accounts, results.scale.changed
    rows = [
        (
            case.title,
            str(len(case.runs)),
            f"{case.any.outcome['tasks']}",
            Spread.of(run.wall for run in case.runs).text(),
            Spread.of(run.cpu for run in case.runs).text(),
            Spread.of(sum(run.outcome["cpu"].values()) for run in case.runs).text(),
        )
        for case in results.cases.values()
    ]
    times = median_wall(results.cases[FIRST]) / median_wall(results.cases[SHIPPED])
    parts = [
        HEADING,
        f"""Measured on {results.date} on {machine(results)} (load {results.load_before:.1f} before
the start), under one Airflow (LocalExecutor, 8 tasks at once, SQLite), {changed} of
{accounts:,} Google accounts with a change each; all accounts are polled by the run itself. From the
creation of a run to its end; variants in turns, {ROUNDS} starts of an Airflow each.""",
        table(
            ("", "runs", "tasks", "wall, s", "CPU of tasks, s", "CPU of all of Airflow, s"), rows
        ),
        table(
            ("", "target", "measured", ""),
            [("faster than at first", f">= {TIMES:g} x", f"{times:.1f} x", met(times >= TIMES))],
        ),
    ]
    return "\n\n".join(wrapped(part) for part in parts) + "\n"
