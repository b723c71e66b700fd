"""The steps of a test, and how each went."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from calendar_sync.core.codes import Code, SelfTestCode
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
    "leftovers": "remains of an earlier test are removed",
    "free_time": "two free times were found",
    "book": "a test appointment was created in Welkin",
    "mirrored": "the appointment is in the calendar",
    "shown": "the calendar shows only what the settings allow",
    "occupy": "a busy test event was created in the calendar",
    "blocked": "the user is unavailable in Welkin at that time",
    "release": "the test event was deleted",
    "unblocked": "the user is available in Welkin again",
    "cancel": "the test appointment was cancelled",
    "unmirrored": "the appointment is no longer in the calendar",
    "clean": "the test left nothing behind",
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
            code=error.code.value,
            advice=error.code.in_words,
        )


class NotInTime(SyncError):
    """What was waited for did not show."""

    code: Code = SelfTestCode.NOT_IN_TIME


class Differs(SyncError):
    """What the sync made is not what it should be; names the fields."""

    code: Code = SelfTestCode.DIFFERS


class Remains(SyncError):
    """Something that the test made could not be removed."""

    code: Code = SelfTestCode.REMAINS


class Interrupted(SyncError):
    """The user stopped the test."""

    code: Code = SelfTestCode.INTERRUPTED


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
