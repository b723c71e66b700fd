"""Cases 1 to 4: our own processes against the sandbox, without a scheduler."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench import least
from bench.measure import BenchError, Measurement
from bench.stage import Stage
from calendar_sync.core.model import Platform

if TYPE_CHECKING:
    from pathlib import Path

    from bench.least import Least
    from bench.scale import Scale

Say = Callable[[str], None]
BLOCKED_PER_USER = 80


@dataclass
class Case:
    """A measured case: its repetitions and the least that it could have asked."""

    key: str
    title: str
    runs: list[Measurement] = field(default_factory=list)
    least: Least | None = None

    @property
    def any(self) -> Measurement:
        """One repetition, for what is the same in all."""
        return self.runs[-1]


_STARTED = time.monotonic()


def say(text: str) -> None:
    """Progress, on standard error."""
    print(f"{time.monotonic() - _STARTED:7.1f} s  {text}", file=sys.stderr, flush=True)


def note(case: Case, run: Measurement, *, quiet: bool = False) -> None:
    """Keep a repetition and tell of it."""
    case.runs.append(run)
    if not quiet:
        took = f"{run.wall:.1f} s, {run.cpu:.1f} CPU-s, {run.memory_mb:.0f} MB"
        say(f"{case.title}: {took}, {run.total}")


def idle_polls(stage: Stage, scale: Scale) -> list[Case]:
    """Case 1, with tokens at hand and without."""
    accounts = scale.accounts
    cold = Case(
        "idle_cold",
        "idle poll, all tokens expired",
        least=least.idle(accounts),
    )
    warm = Case("idle", "idle poll", least=least.idle(accounts))
    for case, runs in ((cold, 2), (warm, scale.idle_runs)):
        for _ in range(runs):
            stage.let_time_pass()
            if case is cold:
                stage.forget_tokens()
            note(case, stage.measure("poll"))
            if case.any.outcome["marked"]:
                raise BenchError(f"idle accounts have work: {case.any.outcome}")
    return [warm, cold]


def changed_pass(stage: Stage, scale: Scale) -> Case:
    """Case 2: a pass in which some users have one change each."""
    case = Case("pass", f"pass, {scale.changed} of {scale.accounts:,} users changed")
    for _ in range(scale.pass_runs):
        stage.edit(scale.changed)
        stage.let_time_pass()
        note(case, stage.measure("pass"))
        if case.any.outcome["users"] != scale.changed or case.any.writes != scale.changed:
            raise BenchError(f"{scale.changed} changes, but {case.any.outcome}")
    case.least = least.changes(scale.accounts, scale.changed, scale.changed)
    return case


def first_fill(folder: Path, scale: Scale, platform: Platform = Platform.GOOGLE) -> Case:
    """Case 3: nothing is in step yet."""
    users, encounters = scale.fill_users, scale.encounters
    case = Case("fill", f"first fill, {users} users x {encounters} encounters")
    for number in range(scale.fill_runs):
        arguments = ("--users", str(users), "--encounters", str(encounters))
        with Stage(
            folder / f"{platform}-fill-{number}", *arguments, platforms=(platform,)
        ) as stage:
            note(case, stage.measure("pass"))
    lists = 1 if platform is Platform.GOOGLE else 2
    case.least = least.first_fill(users, users * encounters, case.any.writes, lists)
    return case


def many_rows(folder: Path, scale: Scale) -> list[Case]:
    """Case 4: one user with very many rows: the first fill, then one change."""
    rows = scale.rows
    filled = Case("rows", f"first fill of one user with {rows:,} rows")
    changed = Case("rows_change", f"one change of the user with {rows:,} rows")
    for number in range(scale.rows_runs):
        with Stage(folder / f"rows-{number}", "--rows", str(rows)) as stage:
            note(filled, stage.measure("pass"))
            stage.measure("pass")
            stage.edit(1)
            stage.let_time_pass()
            note(changed, stage.measure("pass"))
    filled.least = least.first_fill(1, rows // 2, filled.any.writes)
    changed.least = least.changes(1, 1, 1)
    return [filled, changed]
