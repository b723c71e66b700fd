"""`python -m calendar_sync_sandbox.demo`: plays the story and prints what came of it."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from calendar_sync_sandbox.demo.acts import PRIVATE_TITLE, DemoStep
from calendar_sync_sandbox.demo.checks import contents, leaks, totals
from calendar_sync_sandbox.demo.display import Display
from calendar_sync_sandbox.demo.runs import StepError, breathe
from calendar_sync_sandbox.demo.stage import (
    DAG_IDS,
    POLL_SECONDS,
    USERS,
    WELKIN_REQUESTS_PER_SECOND,
    Interrupts,
    Stage,
    StageError,
)
from calendar_sync_sandbox.demo.story import Story
from calendar_sync_sandbox.demo.world import PLATFORMS, WorldError
from calendar_sync_sandbox.processes import ProgramError
from calendar_sync_sandbox.standalone import USER, AirflowError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    #: Where something is, and what.
    Place = tuple[str, bytes]

REPOSITORY = Path(__file__).resolve().parents[3]
#: How often the display counts anew what was made.
LOOK_SECONDS = 3.0


class Demo:
    """One performance: what it prints, and its verdict."""

    def __init__(self, display: Display) -> None:
        self.display = display
        self._doing = ""
        self._story: Story | None = None
        self._made = ""
        self._looked = 0.0

    def say(self, text: str) -> None:
        """Print a line with the seconds since the start."""
        self.display.say(text)

    def tick(self) -> None:
        """Show what goes on; called while something is waited for."""
        doing = self._doing
        if self._story is not None and self._story.current:
            doing = f"{self._story.current} ({self._progress()})"
        self.display.going_on(doing)

    def _progress(self) -> str:
        story = self._story
        assert story is not None  # noqa: S101 - narrows the type
        # The sandbox is busy enough with the sync.
        if self.display.elapsed - self._looked > LOOK_SECONDS:
            self._looked = self.display.elapsed
            # The story finds out for itself where the sandbox does not answer.
            with contextlib.suppress(WorldError):
                made = story.world.made()
                self._made = "".join(f", {count} {name} made" for name, count in made.items())
        return f"{len(story.steps)} of {story.length} steps done{self._made}"

    def breathe(self) -> None:
        """Between two looks at the story."""
        self.tick()
        breathe()

    def prepare(self, stage: Stage) -> None:
        """Start everything and fill the state."""
        self._begin("starting Airflow: about 20 s on an idle machine")
        stage.start_airflow()
        self._begin("starting Welkin, Google and Microsoft (sandbox)")
        stage.start_sandbox()
        self._begin(
            f"preparing the state (polls every {POLL_SECONDS} s and {WELKIN_REQUESTS_PER_SECOND} "
            "requests/s to Welkin, instead of 60 and 5)"
        )
        stage.prepare_state()
        self._begin("waiting for Airflow")
        stage.open_airflow()
        self._begin(
            f"Airflow runs at {stage.airflow.url}; the first fill takes about a minute on an idle "
            "machine, the steps after it some seconds each"
        )

    def _begin(self, doing: str) -> None:
        self._doing = doing.partition(":")[0].partition(" (")[0]
        self.say(doing)

    def play(self, stage: Stage) -> bool:
        """Play the story and judge it."""
        story = self._story = Story(
            stage.world, stage.airflow, stage, self.report, pause=self.breathe
        )
        story.play()
        self._doing = "looking for failed users, duplicates and patient data"
        return self.verdict(stage, story)

    def report(self, step: DemoStep) -> None:
        """Print a finished step."""
        verdict = f"FAILED: {step.error}" if step.error else step.seen
        self.say(f"{step.platform}: {step.edit} -> {verdict} ({step.seconds:.1f} s)")

    def verdict(self, stage: Stage, story: Story) -> bool:
        """Check what must hold at the end; print the table and the last line."""
        failed_users = story.failed_users() if story.holds else 0
        # Nothing may write while the databases are searched.
        story.rest()
        story.review()
        summary = stage.world.summary()
        # Before the search, so that the table is searched too.
        self.display.print(self._table(story.steps))
        xcoms = str(stage.airflow.xcoms()).encode()
        printed = self.display.console.export_text(clear=False).encode()
        found = leaks(
            [
                *self._told(contents(stage.folder, skip=frozenset({"sandbox", "lock"}))),
                ("XComs", xcoms),
                ("printed output", printed),
            ],
            [*stage.world.canaries(), PRIVATE_TITLE],
        )
        for place in found:
            self.display.print(f"patient data in {place}")
        counts = totals(summary, len(found), failed_users)
        passed = (
            story.holds
            and counts["users"] == USERS
            and not any(counts[name] for name in ("duplicates", "canary_leaks", "failed_users"))
        )
        line = " ".join(f"{name}={count}" for name, count in counts.items())
        self.display.print(f"demo: {'PASS' if passed else 'FAIL'} {line}")
        return passed

    def _told(self, places: Iterable[Place]) -> Iterator[Place]:
        for place in places:
            self.tick()
            yield place

    def _table(self, steps: list[DemoStep]) -> Table:
        table = Table(box=box.ROUNDED if self.display.live else box.ASCII)
        table.add_column("platform")
        table.add_column("edit")
        table.add_column("on the other side")
        table.add_column("seconds", justify="right")
        table.add_column("")
        # They were played at the same time; each platform's are easier read in one piece.
        alone = PLATFORMS.values()
        for step in sorted(steps, key=lambda step: (step.platform not in alone, step.platform)):
            verdict = "FAILED" if step.error else "ok"
            table.add_row(step.platform, step.edit, step.seen, f"{step.seconds:.1f}", verdict)
        return table

    def stay(self, stage: Stage) -> None:
        """Keep everything running until it is interrupted."""
        airflow = stage.airflow
        # Ctrl-C is how this ends as planned, so that it is no failure.
        with contextlib.suppress(KeyboardInterrupt):
            for dag_id in DAG_IDS.values():
                airflow.unpause(dag_id)
            self.display.print(
                f"Airflow: {airflow.url}  user: {USER}  password: {airflow.password}\n"
                f"Pages:   {airflow.url}/calendar-sync/ (after the sign-in)\n"
                f"State:   AIRFLOW_HOME={airflow.home} calendar-sync status\n"
                f"Logs:    {stage.folder}\n"
                "Ctrl-C stops everything."
            )
            while airflow.program is not None and airflow.program.running:
                time.sleep(0.5)
            self.display.print("Airflow has ended")


def main() -> int:
    """Play the story; 0 when everything holds."""
    demo = Demo(Display())
    demo.display.print(
        "The demo plays the story of a sync on a real Airflow and stand-ins for Welkin, Google\n"
        "and Microsoft: about 4 minutes on two idle cores, longer on a busy machine.\n"
        "Ctrl-C stops it."
    )
    interrupts = Interrupts()
    interrupts.install()
    try:
        with Stage(REPOSITORY, REPOSITORY / ".demo", interrupts, demo.tick) as stage:
            passed = False
            try:
                demo.prepare(stage)
                passed = demo.play(stage)
            except (StageError, StepError, WorldError, AirflowError, ProgramError) as error:
                demo.display.print(f"{error}\ndemo: FAIL (see .demo for the logs)")
            # What has failed is left as it stands, for a look.
            if not ends_by_itself() and stage.runs:
                demo.stay(stage)
            return 0 if passed else 1
    except KeyboardInterrupt:
        demo.display.print("stopped")
        return 130
    except (StageError, ProgramError) as error:
        demo.display.print(f"{error}\ndemo: FAIL")
        return 1


def ends_by_itself() -> bool:
    """DEMO_EXIT says so; without it everything runs on until Ctrl-C, also after a failure."""
    return os.environ.get("DEMO_EXIT", "") not in ("", "0")


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m calendar_sync_sandbox.demo",
        description="Play the story of a sync; DEMO_EXIT=1 ends it by itself.",
    ).parse_args()
    sys.exit(main())
