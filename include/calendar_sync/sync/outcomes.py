"""How the cycle of one user ended, in a row and in words."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from calendar_sync.core.codes import Code
from calendar_sync.core.plurals import plural
from calendar_sync.sync.cycle import CycleResult


class OutcomeStatus(StrEnum):
    """How it ended. The value is stored with the run, the words are shown."""

    words: str

    def __new__(cls, value: str, words: str = "") -> Self:
        """Keep the words beside the value."""
        made = str.__new__(cls, value)
        made._value_, made.words = value, words
        return made

    OK = "ok", "up to date"
    MORE = "more", "continues in the next run"
    #: Another process works on the user, or the time of the group is over.
    BUSY = "busy", "busy"
    IDLE = "idle", "nothing to do"
    #: A person has paused the sync of this user; nothing was read or written.
    PAUSED = "paused", "paused"
    FAILED = "failed", "failed"

    @property
    def ran(self) -> bool:
        """The cycle ran to its end."""
        return self in {OutcomeStatus.OK, OutcomeStatus.MORE}


_MIRRORS = {
    "create_mirror": "created",
    "adopt_mirror": "recovered",
    "update_mirror": "updated",
    "delete_mirror": "deleted",
}
_BLOCKS = {
    "create_block": "created",
    "adopt_block": "recovered",
    "update_block": "updated",
    "delete_block": "deleted",
}


@dataclass(frozen=True)
class UserOutcome:
    """How one user's cycle ended; `code` says why it failed, None if it did not."""

    user_id: str
    account: str
    status: OutcomeStatus
    code: Code | None = None
    attention: bool = False
    detail: str = ""
    result: CycleResult = field(default_factory=lambda: CycleResult("", ""))

    @property
    def failed(self) -> bool:
        """The cycle failed."""
        return self.status is OutcomeStatus.FAILED

    @property
    def label(self) -> str:
        """One line for the run history: `dana@example.org: 2 created, 1 updated`."""
        return f"{self.account or self.user_id}: {self._words()}"

    @property
    def row(self) -> dict[str, Any]:
        """The outcome as XCom and JSON carry it."""
        return {
            "user_id": self.user_id,
            "account": self.account,
            "status": self.status.value,
            "code": self.code.value if self.code else "",
            "done": {str(step): count for step, count in self.result.done.items()},
        }

    def _words(self) -> str:
        if self.failed:
            return f"{'still failing' if self.attention else self.status.words} ({self.code})"
        if not self.status.ran:
            return f"{self.status.words} {self.detail}".rstrip()
        result = self.result
        if result.plan is not None:
            return f"dry run, {plural(len(result.plan.actions), 'change')} planned"
        done = result.done
        words = [f"{done[step]} {word}" for step, word in _MIRRORS.items() if step in done]
        words += [
            f"{plural(done[step], 'busy block')} {word}"
            for step, word in _BLOCKS.items()
            if step in done
        ]
        if result.held:
            words.append(f"{result.held} waiting for approval")
        if result.refused or result.parked:
            words.append(f"{plural(result.refused + result.parked, 'write')} rejected")
        if self.status is OutcomeStatus.MORE or not words:
            words.append(self.status.words)
        return ", ".join(words)
