"""Following the runs of DAGs, for several stories at a time.

Whatever waits is a generator that yields while it waits; `together` lets the stories take turns.
So there are no threads, and Ctrl-C ends all of them. Nothing here waits for a number of seconds:
a wait goes on as long as something moves.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from calendar_sync_sandbox.clock import RealClock
from calendar_sync_sandbox.demo.checks import run_problems
from calendar_sync_sandbox.patience import Patience
from calendar_sync_sandbox.standalone import FINAL_STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from calendar_sync_sandbox.clock import Clock
    from calendar_sync_sandbox.standalone import StandaloneAirflow, TaskInstance

Value = TypeVar("Value")
#: What a waiting generator is; its value comes at the end.
Waiting = Generator[None, None, Value]
PAUSE_SECONDS = 0.3
#: Looks that show no run begin or end: over a quarter of an hour, while Airflow ends each run
#: after ten minutes.
LOOKS = 3000
#: An edit has to be seen within five minutes, which is what the sync promises, or, where runs take
#: long, within so many that began after it.
PROMISE = timedelta(minutes=5)
ENOUGH_RUNS = 4
#: What a task's state is while a process works at it, or soon will whatever becomes of its DAG.
AT_WORK = frozenset({"queued", "running", "restarting"})


class StepError(RuntimeError):
    """The other side does not show what it must."""


def breathe() -> None:
    """Wait a moment between two looks."""
    time.sleep(PAUSE_SECONDS)


def together(stories: Iterable[Waiting[None]], pause: Callable[[], None] = breathe) -> None:
    """Play stories at the same time, until all have ended; `pause` comes between two turns."""
    ended = object()
    playing = list(stories)
    while playing := [story for story in playing if next(story, ended) is not ended]:
        pause()


@dataclass
class Excuse:
    """Tasks that may fail in the runs of a time; of one that goes on while `until` is None."""

    concerns: Callable[[TaskInstance], bool]
    since: datetime
    until: datetime | None = None

    def covers(self, run: dict[str, Any], task: TaskInstance) -> bool:
        """Whether this task of a run that has ended was meant to fail."""
        ended = _moment(run["end_date"]) < self.since
        late = self.until is not None and _moment(run["start_date"]) > self.until
        return not (ended or late) and self.concerns(task)


class Runs:
    """The runs of some DAGs since the current step began.

    Args:
        airflow: where they run.
        dag_ids: of which DAGs.
        clock: tells the time by which the runs are stamped.

    Attributes:
        stuck: nothing has changed for so long that waiting again is useless.
    """

    def __init__(
        self, airflow: StandaloneAirflow, dag_ids: Sequence[str], clock: Clock | None = None
    ) -> None:
        self.airflow = airflow
        self.dag_ids = tuple(dag_ids)
        self.clock = clock or RealClock()
        self.stuck = False
        self._excuses: list[Excuse] = []
        self.begin()

    def begin(self) -> None:
        """A step begins: it is measured from now on, and its runs are those that end from now."""
        self._edited = self.clock.now()

    @property
    def seconds(self) -> float:
        """Since the step began."""
        return (self.clock.now() - self._edited).total_seconds()

    def follow(self, visible: Callable[[], bool]) -> Waiting[float]:
        """Wait until an edit is visible; the value is the seconds since the step began.

        Nobody asks for a run here: whatever notices the edit does.

        Raises:
            StepError: it does not become visible in time, or a run has failed unasked.
        """
        patience = Patience(LOOKS)
        while not visible():
            active = self.active()
            if self._too_late():
                raise StepError(f"not seen within {self.seconds:.0f} s; {self.outcome()}")
            self._insist(patience, active)
            yield
        seconds = self.seconds
        yield from self.settle()
        if self.failed():
            raise StepError(self.outcome())
        return seconds

    def _too_late(self) -> bool:
        """The promised time is over, and enough runs have ended even for a slow machine."""
        return self.seconds > PROMISE.total_seconds() and all(
            sum(_moment(run["start_date"]) >= self._edited for run in self._ended(dag_id))
            >= ENOUGH_RUNS
            for dag_id in self.dag_ids
        )

    def trigger(self, conf: dict[str, Any] | None = None) -> None:
        """Ask for one run of each DAG."""
        for dag_id in self.dag_ids:
            self.airflow.trigger(dag_id, conf)

    def active(self) -> frozenset[tuple[str, str, str]]:
        """DAG, id and state of each run that is queued or running."""
        return frozenset(
            (dag_id, run["dag_run_id"], run["state"])
            for dag_id in self.dag_ids
            for run in self.airflow.runs(dag_id, "queued", "running")
        )

    def settle(self) -> Waiting[None]:
        """Wait until the runs that there are now have ended.

        Not until there is none: where they take long, the next one is ready when one ends.
        """
        active = self.active()
        awaited = {run[:2] for run in active}
        patience = Patience(LOOKS)
        while awaited & {run[:2] for run in active}:
            self._insist(patience, active)
            yield
            active = self.active()

    def _insist(self, patience: Patience, seen: object) -> None:
        if not patience.left(seen):
            self.stuck = True
            raise StepError("nothing has moved for long: no run has begun or ended")

    def first(self) -> Waiting[None]:
        """Wait until each DAG has had a run that nobody asked for."""
        patience = Patience(LOOKS)
        while not all(self._ended(dag_id) for dag_id in self.dag_ids):
            self._insist(patience, self.active())
            yield

    def nobody_has_work(self) -> Waiting[bool]:
        """Look by hand, with one run of each DAG; the value says whether it found nobody.

        Runs may overlap, and each leaves out whom another has in its hands: all that end meanwhile
        count.
        """
        since = self.clock.now()
        self.trigger()
        yield from self.settle()
        return not any(
            task.task_id == "sync_user" and task.map_index >= 0
            for dag_id in self.dag_ids
            for run in self._ended(dag_id)
            if _moment(run["end_date"]) >= since
            for task in self.airflow.task_instances(dag_id, run["dag_run_id"])
        )

    def excuse(self, concerns: Callable[[TaskInstance], bool]) -> Excuse:
        """From now on these tasks may fail, in whichever run, until the excuse is ended."""
        self._excuses.append(Excuse(concerns, since=self.clock.now()))
        return self._excuses[-1]

    def end_excuses(self) -> None:
        """Runs that begin from now on may not fail."""
        for excuse in self._excuses:
            excuse.until = excuse.until or self.clock.now()

    def failed(self) -> list[TaskInstance]:
        """The failed tasks of all runs that have ended since the step began, less the excused."""
        return [task for run, task in self._failures() if not self._excused(run, task)]

    def excused(self) -> list[TaskInstance]:
        """Those that were meant to fail."""
        return [task for run, task in self._failures() if self._excused(run, task)]

    def _excused(self, run: dict[str, Any], task: TaskInstance) -> bool:
        return any(excuse.covers(run, task) for excuse in self._excuses)

    def _failures(self) -> list[tuple[dict[str, Any], TaskInstance]]:
        return [
            (run, task)
            for dag_id in self.dag_ids
            for run in self.airflow.runs(dag_id, "failed")
            if _moment(run["end_date"]) >= self._edited
            for task in _failed(self.airflow.task_instances(dag_id, run["dag_run_id"]))
        ]

    def outcome(self) -> str:
        """Which tasks have failed, in words."""
        failed = self.failed()
        return f"failed: {names(failed)}" if failed else "no task failed"

    def rest(self) -> Waiting[None]:
        """Switch the schedule off, and wait until no task is at work any more.

        Airflow leaves a run as it stands when its DAG is paused: its other tasks wait.
        """
        if not self.stuck:
            yield from self.settle()
        patience = Patience(LOOKS)
        for dag_id in self.dag_ids:
            self.airflow.pause(dag_id)
            while not self.stuck and (
                busy := [
                    (run["dag_run_id"], task)
                    for run in self.airflow.runs(dag_id, "running")
                    for task in self.airflow.task_instances(dag_id, run["dag_run_id"])
                    if task.state in AT_WORK
                ]
            ):
                self._insist(patience, busy)
                yield

    def all_closed(self) -> Waiting[float]:
        """Look at all runs that have ever ended; nothing runs any more.

        Raises:
            StepError: one was not closed, or failed unasked.
        """
        for dag_id in self.dag_ids:
            # Runs of the schedule are named alike in each DAG, so one DAG after the other.
            runs, meant = {}, []
            for run in self._ended(dag_id):
                run_id, state = run["dag_run_id"], run["state"]
                tasks = self.airflow.task_instances(dag_id, run_id)
                runs[run_id] = state, tasks
                failed = _failed(tasks)
                if failed and all(self._excused(run, task) for task in failed):
                    meant.append(run_id)
                yield
            if problems := run_problems(runs, meant):
                raise StepError("; ".join(problems))
        return self.seconds

    def _ended(self, dag_id: str) -> list[dict[str, Any]]:
        return self.airflow.runs(dag_id, *FINAL_STATES, newest=1000)


def _failed(tasks: Iterable[TaskInstance]) -> list[TaskInstance]:
    return [task for task in tasks if task.state in ("failed", "upstream_failed")]


def _moment(text: str | None) -> datetime:
    # A run that was ended before it began has no start.
    return datetime.fromisoformat(text) if text else datetime.min.replace(tzinfo=UTC)


def names(tasks: Sequence[TaskInstance]) -> str:
    """Tasks in words."""
    return ", ".join(f"{task.task_id}[{task.map_index}] {task.label or ''}" for task in tasks)
