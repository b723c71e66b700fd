"""An idle poll of many accounts as others would write it, beside ours.

Each library is used as its documentation shows (`others/poll.py`), in an environment of its own.

`python -m bench --comparison` measures this alone and replaces its section of the page.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.servers import REPOSITORY

from bench import cases
from bench.cases import Case
from bench.measure import BenchError, Measurement, Spread, difference
from bench.microsoft import FAR_SECONDS
from bench.page import HEADINGS, machine, median_wall, row, table, wrapped
from bench.results import Results
from bench.stage import Stage
from calendar_sync.core.model import Platform

if TYPE_CHECKING:
    from pathlib import Path

    from bench.scale import Scale

HEADING = "## Beside other libraries"
OTHERS = REPOSITORY / "bench" / "others"
OURS = "this project"
LIBRARIES = {
    Platform.GOOGLE: ("gcal_sync", "google-api-python-client"),
    Platform.MICROSOFT: ("msgraph-sdk",),
}


def measure(folder: Path, scale: Scale) -> Results:
    """Both platforms one after the other, the libraries in turns with ours."""
    results = Results.begin(scale)
    python = _environment(folder / "others-venv")
    results.versions |= pins()
    # An idle poll is the same whatever the calendars hold.
    arguments = ("--users", str(scale.accounts), "--encounters", "2", "--light", "--filled")
    for platform, libraries in LIBRARIES.items():
        with contextlib.ExitStack() as open_:
            stage = Stage(folder / f"others-{platform}", *arguments, platforms=(platform,))
            open_.enter_context(stage)
            accounts = [user.account for user in stage.users]
            (stage.folder / "accounts.json").write_text(json.dumps(accounts))
            cases.say(f"made: {len(accounts):,} accounts, {stage.story}")
            running = [open_.enter_context(Other(python, one, stage)) for one in libraries]
            # As theirs: tokens are at hand from here on.
            stage.let_time_pass()
            stage.measure("poll")
            for seconds in (0.0, FAR_SECONDS):
                stage.world.answer_after(platform, seconds)
                results.add(*_turns(stage, running, platform, seconds, scale.idle_runs))
    return results


def _turns(
    stage: Stage, running: list[Other], platform: Platform, seconds: float, runs: int
) -> list[Case]:
    far = f", answers after {seconds * 1000:.0f} ms" if seconds else ""

    def case(name: str) -> Case:
        return Case(f"{platform}_{name}_{bool(far)}", f"{name}{far}")

    ours, theirs = case(OURS), {other: case(other.library) for other in running}
    for _ in range(runs):
        stage.let_time_pass()
        cases.note(ours, stage.measure("poll"))
        if ours.any.outcome["marked"]:
            raise BenchError(f"idle accounts have work: {ours.any.outcome}")
        for other, measured in theirs.items():
            cases.note(measured, other.round())
    return [ours, *theirs.values()]


class Other:
    """A process with one library, after its first round."""

    def __init__(self, python: Path, library: str, stage: Stage) -> None:
        self.library, self._stage = library, stage
        self._command = [str(python), str(OTHERS / "poll.py"), library, str(stage.folder)]

    def __enter__(self) -> Other:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        first = self._told()
        cases.say(f"{self.library}: {first['first']:,} events in the first round")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def _told(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"{self.library} ended with {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def round(self) -> Measurement:
        """One idle poll of everybody."""
        assert self._process.stdin is not None
        before = self._stage.world.counts()
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        told = self._told()
        if told["outcome"]["changed"]:
            raise BenchError(f"{self.library}: idle accounts have changes: {told}")
        requests = difference(self._stage.world.counts(), before)
        return Measurement(told["wall"], told["cpu"], told["memory_mb"], requests)


def _environment(folder: Path) -> Path:
    """The Python of a virtual environment with the other libraries."""
    python = folder / "bin" / "python"
    pinned = str(OTHERS / "requirements.txt")
    for command in (
        ["venv", "--python", sys.executable, str(folder)],
        ["pip", "install", "--compile-bytecode", "--python", str(python), "--requirement", pinned],
    ):
        uv = [sys.executable, "-m", "uv", "--quiet", *command]
        done = subprocess.run(uv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"the other libraries cannot be installed:\n{done.stderr[-2000:]}")
    return python


def pins() -> dict[str, str]:
    """The versions of the other libraries."""
    lines = (OTHERS / "requirements.txt").read_text().splitlines()
    parts = (line.partition("==") for line in lines)
    return {name: version for name, _, version in parts if version}


def section(results: Results) -> str:
    """A table for each platform."""
    accounts = results.scale.accounts
    versions = ", ".join(f"{name} {results.versions[name]}" for name in pins())
    lines = []
    for platform, libraries in LIBRARIES.items():
        for far in (False, True):
            ours = results.cases[f"{platform}_{OURS}_{far}"]
            for library in libraries:
                theirs = results.cases[f"{platform}_{library}_{far}"]
                lines.append(
                    f"- {theirs.title}: {median_wall(theirs) / median_wall(ours):.1f} times our "
                    f"time, {_cpu(theirs) / _cpu(ours):.1f} times our CPU time."
                )
    parts = [
        HEADING,
        f"""Measured on {results.date} on {machine(results)} (load {results.load_before:.1f} before
the start): an idle poll of {accounts:,} accounts, written with the library as its documentation
shows, 16 requests at once ([poll.py](../bench/others/poll.py)), in turns with ours. Tokens and
positions are at hand. Theirs are polls alone: no database, no Welkin, no rate limit, no retry by
our rules. Versions: {versions}.""",
        *(
            table(HEADINGS, [row(c) for key, c in results.cases.items() if key.startswith(of)])
            for of in LIBRARIES
        ),
        "\n".join(lines),
    ]
    return "\n\n".join(wrapped(part) for part in parts) + "\n"


def _cpu(case: Case) -> float:
    return Spread.of(run.cpu for run in case.runs).median
