"""`python -m calendar_sync.sandbox.demo`: plays the story and prints what came of it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from calendar_sync.sandbox.demo.acts import PRIVATE_TITLE, Step
from calendar_sync.sandbox.demo.checks import contents, leaks, totals
from calendar_sync.sandbox.demo.stage import (
    DAG_IDS,
    POLL_SECONDS,
    USERS,
    WELKIN_REQUESTS_PER_SECOND,
    Interrupts,
    Stage,
    StageError,
)
from calendar_sync.sandbox.demo.story import Story
from calendar_sync.sandbox.demo.world import WorldError
from calendar_sync.sandbox.processes import ProgramError
from calendar_sync.sandbox.standalone import USER, AirflowError

REPOSITORY = Path(__file__).resolve().parents[4]


class Demo:
    """One performance: what it prints, and its verdict."""

    def __init__(self) -> None:
        # Recorded, since what was printed is searched for patient data too.
        self._ascii = not sys.stdout.isatty()
        self.console = Console(
            record=True,
            highlight=False,
            emoji=False,
            soft_wrap=True,
            width=100 if self._ascii else None,
        )
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line with the seconds since the start."""
        elapsed = time.monotonic() - self._started
        self.console.print(f"{elapsed:6.1f} s  {text}", markup=False)

    def prepare(self, stage: Stage) -> None:
        """Start everything and fill the state."""
        self.say("starting Airflow")
        stage.start_airflow()
        self.say("starting Welkin, Google and Microsoft (sandbox)")
        stage.start_sandbox()
        self.say(
            f"preparing the state (polls every {POLL_SECONDS} s and "
            f"{WELKIN_REQUESTS_PER_SECOND} requests/s to Welkin, instead of 60 and 5)"
        )
        stage.prepare_state()
        stage.open_airflow()
        self.say(f"Airflow runs at {stage.airflow.url}")

    def report(self, step: Step) -> None:
        """Print a finished step."""
        verdict = f"FAILED: {step.error}" if step.error else step.seen
        self.say(f"{step.platform}: {step.edit} -> {verdict} ({step.seconds:.1f} s)")

    def verdict(self, stage: Stage, story: Story) -> bool:
        """Check what must hold at the end; print the table and the last line."""
        failed_users = story.failed_users() if story.holds else 0
        # Nothing may write while the databases are searched.
        for dag_id in DAG_IDS.values():
            stage.airflow.pause(dag_id)
        story.review()
        summary = stage.world.summary()
        # Before the search, so that the table is searched too.
        self.console.print(self._table(story.steps))
        xcoms = str(stage.airflow.xcoms()).encode()
        printed = self.console.export_text(clear=False).encode()
        found = leaks(
            [
                *contents(stage.folder, skip=frozenset({"sandbox", "lock"})),
                ("XComs", xcoms),
                ("printed output", printed),
            ],
            [*stage.world.canaries(), PRIVATE_TITLE],
        )
        for place in found:
            self.console.print(f"patient data in {place}", markup=False)
        counts = totals(summary, len(found), failed_users)
        passed = (
            story.holds
            and counts["users"] == USERS
            and not any(counts[name] for name in ("duplicates", "canary_leaks", "failed_users"))
        )
        line = " ".join(f"{name}={count}" for name, count in counts.items())
        self.console.print(f"demo: {'PASS' if passed else 'FAIL'} {line}", markup=False)
        return passed

    def _table(self, steps: list[Step]) -> Table:
        table = Table(box=box.ASCII if self._ascii else box.ROUNDED)
        table.add_column("platform")
        table.add_column("edit")
        table.add_column("on the other side")
        table.add_column("seconds", justify="right")
        table.add_column("")
        # They were played at the same time; each platform's are easier read in one piece.
        for step in sorted(steps, key=lambda step: (step.platform == "both", step.platform)):
            verdict = "FAILED" if step.error else "ok"
            table.add_row(step.platform, step.edit, step.seen, f"{step.seconds:.1f}", verdict)
        return table

    def stay(self, stage: Stage) -> None:
        """Keep everything running until somebody ends it."""
        airflow = stage.airflow
        for dag_id in DAG_IDS.values():
            airflow.unpause(dag_id)
        self.console.print(
            f"Airflow: {airflow.url}  user: {USER}  password: {airflow.password}\n"
            f"Pages:   {airflow.url}/calendar-sync/ (after the sign-in; in the navigation, too)\n"
            f"State:   AIRFLOW_HOME={airflow.home} calendar-sync status\n"
            "Ctrl-C stops everything.",
            markup=False,
        )
        # Ctrl-C is how this ends as planned, so that it is no failure.
        with contextlib.suppress(KeyboardInterrupt):
            while airflow.program is not None and airflow.program.running:
                time.sleep(0.5)
            self.console.print("Airflow has ended")


def main() -> int:
    """Play the story; 0 when everything holds."""
    demo = Demo()
    interrupts = Interrupts()
    interrupts.install()
    try:
        with Stage(REPOSITORY, REPOSITORY / ".demo", interrupts) as stage:
            demo.prepare(stage)
            story = Story(stage.world, stage.airflow, demo.report)
            story.play()
            passed = demo.verdict(stage, story)
            if passed and not os.environ.get("DEMO_EXIT"):
                demo.stay(stage)
            return 0 if passed else 1
    except KeyboardInterrupt:
        demo.console.print("stopped")
        return 130
    except (StageError, WorldError, AirflowError, ProgramError) as error:
        demo.console.print(f"{error}", markup=False)
        demo.console.print("demo: FAIL (see .demo for the logs)", markup=False)
        return 1


if __name__ == "__main__":
    sys.exit(main())
