"""Following the runs of DAGs, for several stories at a time.

Whatever waits is a generator that yields while it waits; `together` lets the stories take turns.
So there are no threads, and Ctrl-C ends all of them.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from calendar_sync.sandbox.demo.checks import run_problems
from calendar_sync.sandbox.standalone import FINAL_STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from calendar_sync.sandbox.standalone import StandaloneAirflow, TaskInstance

Value = TypeVar("Value")
#: What a waiting generator is; its value comes at the end.
Waiting = Generator[None, None, Value]
#: How long an edit may take; far above what it does take, far below five minutes.
PATIENCE = 120.0
PAUSE_SECONDS = 0.3


class StepError(RuntimeError):
    """The other side does not show what it must."""


def together(stories: Iterable[Waiting[None]]) -> None:
    """Play stories at the same time, until all have ended."""
    ended = object()
    playing = list(stories)
    while playing:
        playing = [story for story in playing if next(story, ended) is not ended]
        time.sleep(PAUSE_SECONDS)


class Runs:
    """The runs of some DAGs since the current step began.

    Attributes:
        failing: ids of the runs that were meant to fail.
    """

    def __init__(self, airflow: StandaloneAirflow, dag_ids: Sequence[str]) -> None:
        self.airflow = airflow
        self.dag_ids = tuple(dag_ids)
        self.failing: list[str] = []
        self.begin()

    def begin(self) -> None:
        """A step begins: it is measured from now on, and its runs are those that end from now."""
        self._began = time.monotonic()
        self._edited = datetime.now(UTC)

    @property
    def seconds(self) -> float:
        """Since the step began."""
        return time.monotonic() - self._began

    def follow(
        self,
        visible: Callable[[], bool],
        *,
        conf: dict[str, Any] | None = None,
        succeeds: bool = True,
    ) -> Waiting[float]:
        """Run the DAGs until an edit is visible; the value is the seconds since the step began.

        Raises:
            StepError: it does not become visible in time, or a run has failed unasked.
        """
        self.trigger(conf)
        while not visible():
            if self.seconds > PATIENCE:
                raise StepError(f"not seen within {PATIENCE:.0f} s; {self.outcome()}")
            # A run may have come before the account's next poll was due.
            if not self.active():
                self.trigger(conf)
            yield
        seconds = self.seconds
        yield from self.wait_idle()
        if succeeds and self.failed():
            raise StepError(self.outcome())
        return seconds

    def trigger(self, conf: dict[str, Any] | None = None) -> None:
        """Ask for one run of each DAG."""
        for dag_id in self.dag_ids:
            self.airflow.trigger(dag_id, conf)

    def active(self) -> bool:
        """Whether a run is queued or running."""
        return any(self.airflow.runs(dag_id, "queued", "running") for dag_id in self.dag_ids)

    def wait_idle(self, patience: float = PATIENCE) -> Waiting[None]:
        """Wait until no run is queued or running, so that none began before the next edit."""
        deadline = time.monotonic() + patience
        while self.active():
            if time.monotonic() > deadline:
                raise StepError("the runs do not end")
            yield

    def last_had_work(self) -> bool:
        """Whether the last run of a DAG still found users with work, or there was none."""
        for dag_id in self.dag_ids:
            ended = self.airflow.runs(dag_id, "success", newest=1)
            if not ended:
                return True
            tasks = self.airflow.task_instances(dag_id, ended[0]["dag_run_id"])
            if any(task.task_id == "sync_user" and task.map_index >= 0 for task in tasks):
                return True
        return False

    def failed(self) -> list[TaskInstance]:
        """The failed tasks of all runs that have ended since the step began."""
        return [
            task
            for dag_id, run_id in self._failed_runs()
            for task in self.airflow.task_instances(dag_id, run_id)
            if task.state in ("failed", "upstream_failed")
        ]

    def excuse(self) -> None:
        """The runs that have failed in this step were meant to."""
        self.failing += [run_id for _, run_id in self._failed_runs()]

    def _failed_runs(self) -> list[tuple[str, str]]:
        return [
            (dag_id, run["dag_run_id"])
            for dag_id in self.dag_ids
            for run in self.airflow.runs(dag_id, "failed")
            if datetime.fromisoformat(run["end_date"]) >= self._edited
        ]

    def outcome(self) -> str:
        """Which tasks have failed, in words."""
        failed = self.failed()
        return f"failed: {names(failed)}" if failed else "no task failed"

    def all_closed(self) -> Waiting[float]:
        """Look at all runs there ever were; the DAGs are paused.

        Raises:
            StepError: one was not closed, or failed unasked.
        """
        for dag_id in self.dag_ids:
            # Queued ones wait for as long as the DAG is paused.
            while self.airflow.runs(dag_id, "running"):
                if self.seconds > PATIENCE:
                    raise StepError("a run does not end")
                yield
            # Runs of the schedule are named alike in each DAG, so one DAG after the other.
            runs = {
                run["dag_run_id"]: (
                    run["state"],
                    self.airflow.task_instances(dag_id, run["dag_run_id"]),
                )
                for run in self.airflow.runs(dag_id, *FINAL_STATES, newest=1000)
            }
            if problems := run_problems(runs, self.failing):
                raise StepError("; ".join(problems))
        return self.seconds


def names(tasks: Sequence[TaskInstance]) -> str:
    """Tasks in words."""
    return ", ".join(f"{task.task_id}[{task.map_index}] {task.label or ''}" for task in tasks)
