"""The steps of a test, and how each went."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from calendar_sync.core.advice import advice
from calendar_sync.core.errors import SyncError


class StepState(StrEnum):
    """How a step stands."""

    WAITING = "waiting"
    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    LEFT_OUT = "left out"
    NOT_REACHED = "not reached"


#: Every step by name, in order, with what it shows when it is good.
STEPS: Mapping[str, str] = {
    "leftovers": "nothing is left of an earlier test",
    "free_time": "two free times are found",
    "book": "an appointment is made in Welkin",
    "mirrored": "its mirror is in the calendar",
    "shown": "the mirror says what the detail level allows, no more",
    "occupy": "a busy event is made in the calendar",
    "blocked": "Welkin shows the user unavailable then",
    "release": "the busy event is removed",
    "unblocked": "Welkin shows the time free again",
    "cancel": "the appointment is cancelled",
    "unmirrored": "its mirror is gone",
    "clean": "nothing of the test is left",
}


@dataclass(frozen=True)
class SelfTestStep:
    """One step; `code` and `advice` say what went wrong."""

    name: str
    text: str
    state: StepState = StepState.WAITING
    seconds: float | None = None
    detail: str = ""
    code: str = ""
    advice: str = ""

    def failed(self, error: SyncError, seconds: float) -> "SelfTestStep":
        """The step after this error."""
        return replace(
            self,
            state=StepState.FAILED,
            seconds=seconds,
            detail=error.detail,
            code=error.code,
            advice=WORDS.get(error.code) or advice(error.code),
        )


class NotInTime(SyncError):
    """What was waited for did not show."""

    code = "not_in_time"


class Differs(SyncError):
    """What the sync made is not what it should be; names the fields."""

    code = "differs"


class Remains(SyncError):
    """Something that the test made could not be removed."""

    code = "remains"


class Interrupted(SyncError):
    """Somebody stopped the test."""

    code = "interrupted"


#: Advice for the codes that only a test knows.
WORDS: Mapping[str, str] = {
    NotInTime.code: "the change did not reach the other side in time: `calendar-sync explain` says "
    "how the sync judges it; is the DAG of this platform on, and does it run?",
    Differs.code: "the named fields are not as the settings say: report it, and do not go live",
    Remains.code: "the sync, or the next `calendar-sync test`, removes it once both sides answer",
    Interrupted.code: "stopped by hand",
    "no_free_time": "the user has no quarter of an hour free: name another one with --user",
    "mirrored_all_the_same": "the type filter excludes it: report it, and do not go live",
    "blocked_all_the_same": "a setting excludes it: report it",
}


@dataclass
class Progress:
    """The steps of one running test; `tell` hears of every change."""

    steps: dict[str, SelfTestStep] = field(
        default_factory=lambda: {name: SelfTestStep(name, text) for name, text in STEPS.items()}
    )

    def leave_out(self, reason: str, *names: str) -> None:
        """These steps make no sense here; the first reason stays."""
        for name in names:
            if self.steps[name].state is StepState.WAITING:
                self.steps[name] = replace(
                    self.steps[name], state=StepState.LEFT_OUT, detail=reason
                )


@dataclass(frozen=True)
class Report:
    """How the test of one (user, platform) ended."""

    user_id: str
    account: str
    platform: str
    direction: str
    how: str
    chosen: str
    seconds: float
    steps: tuple[SelfTestStep, ...]

    @property
    def failed(self) -> SelfTestStep | None:
        """The first step that failed."""
        return next((step for step in self.steps if step.state is StepState.FAILED), None)

    @property
    def passed(self) -> bool:
        """All steps that make sense here went well."""
        return all(step.state in {StepState.OK, StepState.LEFT_OUT} for step in self.steps)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        failed = self.failed
        return {
            **{key: value for key, value in vars(self).items() if key != "steps"},
            "steps": [{**vars(step), "state": step.state.value} for step in self.steps],
            "result": "pass" if self.passed else "fail",
            "failed_step": failed.name if failed is not None else None,
        }
