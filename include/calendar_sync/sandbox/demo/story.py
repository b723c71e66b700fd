"""The story: one edit after the other, each followed to the other side through real DAG runs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from calendar_sync.sandbox.demo.checks import run_problems
from calendar_sync.sandbox.demo.stage import DAG_ID
from calendar_sync.sandbox.demo.world import Slot, WorldError
from calendar_sync.sandbox.standalone import FINAL_STATES, AirflowError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from calendar_sync.sandbox.demo.world import User, World
    from calendar_sync.sandbox.standalone import StandaloneAirflow, TaskInstance

#: A title that must never leave the calendar it is in.
PRIVATE_TITLE = "Dentist, private 7731"
#: How long an edit may take; far above what it does take, far below five minutes.
PATIENCE = 90.0


class StepError(RuntimeError):
    """The other side does not show what it must."""


@dataclass(frozen=True)
class Step:
    """What happened, how long it took, and what was wrong, if anything."""

    edit: str
    seen: str
    seconds: float
    error: str = ""


class Story:
    """Plays the steps and keeps their results.

    Args:
        world: both sides.
        airflow: where the DAG runs.
        report: called with each finished step.
    """

    def __init__(
        self, world: World, airflow: StandaloneAirflow, report: Callable[[Step], None]
    ) -> None:
        self.world = world
        self.airflow = airflow
        self.steps: list[Step] = []
        #: Ids of the runs that were meant to fail.
        self.failing: list[str] = []
        self._report = report
        # When the current step began, for measuring and for telling its runs from earlier ones.
        self._began = time.monotonic()
        self._edited = datetime.now(UTC)
        users = world.users()
        self.dana, self.eli, self.fay, self.gil = users[:4]
        self._template = world.templates()[0]
        # A weekday well inside both windows, at minutes that nobody else uses.
        day = datetime.now(UTC).replace(hour=15, minute=7, second=0, microsecond=0)
        day += timedelta(days=7 if day.weekday() < 5 else 9)
        self._morning = Slot(day, day + timedelta(minutes=34))
        # Booked long ago, as far as the story goes: part of the first fill.
        self.visit = world.book(self.eli, self.visit_slot, self._template)

    def slot(self, number: int) -> Slot:
        """A time of its own for each step."""
        return self._morning + timedelta(days=number // 4, minutes=60 * (number % 4))

    @property
    def visit_slot(self) -> Slot:
        """When the visit takes place that is moved and handed over."""
        return self.slot(0)

    # --- The steps ------------------------------------------------------------

    def play(self) -> None:
        """Play everything; a step that fails does not keep the later ones from being played."""
        # The scheduler's own first run may have begun already: it is part of the first fill.
        self._step("first fill", "all mirrors and blocks are there", self._first_fill, wait=False)
        if self.steps[-1].error:
            return
        booked = self.slot(1)
        self._step("encounter booked in Welkin", "mirror in Google", lambda: self._book(booked))
        self._step("personal block made in Google", "unavailable in Welkin", self._block)
        self._step("encounter cancelled", "mirror is gone", lambda: self._cancel(booked))
        moved = self.visit_slot + timedelta(minutes=20)
        self._step("encounter moved", "same mirror, new time", lambda: self._move(moved))
        self._step("another host", "mirror changed calendars", lambda: self._hand_over(moved))
        self._step("cancellation undone", "a new mirror", lambda: self._uncancel(booked))
        self._step("mirror dragged in Google", "put back", lambda: self._drag(moved))
        self._step("one user's access revoked", "only that task fails", self._revoke)
        self._step("another user's next edit", "still syncs", self._others_go_on)
        self._step("access restored", "the missing mirror is there", self._restore)

    def _first_fill(self) -> float:
        deadline = self._began + 180
        before: tuple[int, int] | None = None
        self.airflow.trigger(DAG_ID)
        while True:
            self._wait_idle(deadline - time.monotonic())
            summary = self.world.summary()
            counts = (summary["mirrors"], summary["blocks"])
            if counts == before and all(counts):
                if self._failed():
                    raise StepError(self._outcome())
                return time.monotonic() - self._began
            before = counts
            self.airflow.trigger(DAG_ID)

    def _book(self, slot: Slot) -> float:
        self.booking = self.world.book(self.dana, slot, self._template)
        seconds = self._follow(lambda: len(self.world.mirrors(self.dana, slot)) == 1)
        self.first_mirror = self.world.mirrors(self.dana, slot)[0]
        return seconds

    def _block(self) -> float:
        slot = self.slot(2)
        self.world.plan_privately(self.dana, slot, PRIVATE_TITLE)
        seconds = self._follow(lambda: len(self.world.unavailable(self.dana, slot)) == 1)
        if PRIVATE_TITLE in str(self.world.unavailable(self.dana, slot)):
            raise StepError("the title of a private event is in Welkin")
        return seconds

    def _cancel(self, slot: Slot) -> float:
        self.world.cancel(self.booking)
        return self._follow(lambda: not self.world.mirrors(self.dana, slot))

    def _move(self, slot: Slot) -> float:
        old = self._only_mirror(self.eli, self.visit_slot)
        self.world.reschedule(self.visit, slot)
        seconds = self._follow(lambda: len(self.world.mirrors(self.eli, slot)) == 1)
        if self.world.mirrors(self.eli, self.visit_slot):
            raise StepError("a mirror is left at the old time")
        if self.world.mirrors(self.eli, slot)[0]["id"] != old["id"]:
            raise StepError("the mirror was replaced, not moved")
        return seconds

    def _hand_over(self, slot: Slot) -> float:
        self.world.hand_over(self.visit, self.fay)
        return self._follow(
            lambda: (
                not self.world.mirrors(self.eli, slot)
                and len(self.world.mirrors(self.fay, slot)) == 1
            )
        )

    def _uncancel(self, slot: Slot) -> float:
        self.world.uncancel(self.booking)
        seconds = self._follow(lambda: len(self.world.mirrors(self.dana, slot)) == 1)
        if self.world.mirrors(self.dana, slot)[0]["id"] == self.first_mirror["id"]:
            raise StepError("a deleted mirror came back instead of a new one")
        return seconds

    def _drag(self, slot: Slot) -> float:
        mirror = self._only_mirror(self.fay, slot)
        elsewhere = slot + timedelta(hours=5)
        self.world.drag(self.fay, mirror["id"], elsewhere)
        seconds = self._follow(
            lambda: [event["id"] for event in self.world.mirrors(self.fay, slot)] == [mirror["id"]]
        )
        if self.world.mirrors(self.fay, elsewhere):
            raise StepError("a mirror is left where it was dragged to")
        return seconds

    def _revoke(self) -> float:
        slot = self.slot(4)
        self.world.revoke(self.gil)
        self.world.book(self.gil, slot, self._template)
        self.world.book(self.dana, slot, self._template)
        seconds = self._follow(
            lambda: len(self.world.mirrors(self.dana, slot)) == 1 and bool(self._failed()),
            succeeds=False,
        )
        failed = self._failed()
        if len(failed) != 1 or not _concerns(failed[0], self.gil):
            raise StepError(f"failed, instead of one task: {_names(failed)}")
        if self.world.mirrors(self.gil, slot):
            raise StepError("a revoked calendar was written to")
        self.failing = [run["dag_run_id"] for run in self._failed_runs()]
        return seconds

    def _others_go_on(self) -> float:
        slot = self.slot(5)
        self.world.book(self.dana, slot, self._template)
        return self._follow(lambda: len(self.world.mirrors(self.dana, slot)) == 1)

    def _restore(self) -> float:
        slot = self.slot(4)
        self.world.restore(self.gil)
        # By name, as an operator would who knows that it works again: no back-off then.
        return self._follow(
            lambda: len(self.world.mirrors(self.gil, slot)) == 1,
            conf={"users": [self.gil.welkin_id]},
        )

    def _only_mirror(self, user: User, slot: Slot) -> dict[str, Any]:
        mirrors = self.world.mirrors(user, slot)
        if len(mirrors) != 1:
            raise StepError(f"{len(mirrors)} mirrors before the edit, instead of one")
        return mirrors[0]

    # --- Following an edit ------------------------------------------------------

    def _step(self, edit: str, seen: str, act: Callable[[], float], *, wait: bool = True) -> None:
        started = time.monotonic()
        try:
            if wait:
                self._wait_idle()
            self._began = time.monotonic()
            self._edited = datetime.now(UTC)
            step = Step(edit, seen, act())
        except (StepError, WorldError, AirflowError, LookupError, ValueError) as error:
            step = Step(edit, seen, time.monotonic() - started, str(error) or repr(error))
        self.steps.append(step)
        self._report(step)

    def _follow(
        self,
        visible: Callable[[], bool],
        *,
        conf: dict[str, Any] | None = None,
        succeeds: bool = True,
    ) -> float:
        """Run the DAG until the edit is visible; return the seconds since the step began."""
        deadline = self._began + PATIENCE
        self.airflow.trigger(DAG_ID, conf)
        while not visible():
            if time.monotonic() > deadline:
                raise StepError(f"not seen within {PATIENCE:.0f} s; {self._outcome()}")
            # A run may have come before the account's next poll was due.
            if not self._active():
                self.airflow.trigger(DAG_ID, conf)
            time.sleep(0.3)
        seconds = time.monotonic() - self._began
        self._wait_idle()
        if succeeds and self._failed():
            raise StepError(self._outcome())
        return seconds

    def _active(self) -> bool:
        return bool(self.airflow.runs(DAG_ID, "queued", "running"))

    def _wait_idle(self, patience: float = PATIENCE) -> None:
        """Wait until no run is queued or running, so that none began before the next edit."""
        deadline = time.monotonic() + patience
        while self._active():
            if time.monotonic() > deadline:
                raise StepError("the runs do not end")
            time.sleep(0.3)

    def _failed(self) -> list[TaskInstance]:
        """The failed tasks of all runs that have ended since the step began."""
        return [
            task
            for run in self._failed_runs()
            for task in self.airflow.task_instances(DAG_ID, run["dag_run_id"])
            if task.state in ("failed", "upstream_failed")
        ]

    def _failed_runs(self) -> list[dict[str, Any]]:
        return [
            run
            for run in self.airflow.runs(DAG_ID, "failed")
            if datetime.fromisoformat(run["end_date"]) >= self._edited
        ]

    def _outcome(self) -> str:
        failed = self._failed()
        return f"failed: {_names(failed)}" if failed else "no task failed"

    def review(self) -> None:
        """Look at all runs once more, as the last step; the DAG is paused."""
        self._step("all runs of the story", "each one recorded", self._all_closed, wait=False)

    def _all_closed(self) -> float:
        # Queued ones wait for as long as the DAG is paused.
        while self.airflow.runs(DAG_ID, "running"):
            if time.monotonic() > self._began + PATIENCE:
                raise StepError("a run does not end")
            time.sleep(0.3)
        runs = {
            run["dag_run_id"]: (
                run["state"],
                self.airflow.task_instances(DAG_ID, run["dag_run_id"]),
            )
            for run in self.airflow.runs(DAG_ID, *FINAL_STATES, newest=1000)
        }
        if problems := run_problems(runs, self.failing):
            raise StepError("; ".join(problems))
        return time.monotonic() - self._began

    def failed_users(self) -> int:
        """Users that a last run leaves failing, newly or still."""
        run = self.airflow.trigger(DAG_ID)
        self.airflow.wait_run(DAG_ID, run, PATIENCE)
        return sum(
            task.state == "failed" or "failing" in (task.label or "")
            for task in self.airflow.task_instances(DAG_ID, run)
        )


def _concerns(task: TaskInstance, user: User) -> bool:
    return (
        task.task_id == "sync_user"
        and task.map_index >= 0
        and any(name in (task.label or "") for name in (user.account, user.welkin_id))
    )


def _names(tasks: Sequence[TaskInstance]) -> str:
    return ", ".join(f"{task.task_id}[{task.map_index}] {task.label or ''}" for task in tasks)
