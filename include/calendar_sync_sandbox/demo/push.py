"""The last act: calendars tell of edits themselves, and polls find what nobody has told."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from calendar_sync_sandbox.demo.acts import PRIVATE_TITLE, Act
from calendar_sync_sandbox.demo.runs import StepError
from calendar_sync_sandbox.demo.world import PLATFORMS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calendar_sync_sandbox.demo.acts import DemoStep
    from calendar_sync_sandbox.demo.runs import Runs, Waiting
    from calendar_sync_sandbox.demo.world import User, World

#: With push no poll comes within the minutes in which a step is played: what is seen was told.
RARE_POLL_SECONDS = 600
#: Without the receiver polls find the edit, which is not waited for as long as in production.
POLL_SECONDS = 30


class PushStage(Protocol):
    """What the act needs of the stage; polls come so often afterwards."""

    def begin_push(self, poll_seconds: int) -> None:
        """Start the receiver of notices, and let all who send or want them know of it."""

    def end_receiver(self, poll_seconds: int) -> None:
        """Nobody takes notices any more."""

    def restart_receiver(self) -> None:
        """Notices are taken again."""


class Push(Act):
    """Edits that are told, one on each platform, and one that is not.

    Args:
        stage: where the receiver runs.
        users: one of each platform.
    """

    LENGTH = 4

    def __init__(
        self,
        world: World,
        runs: Runs,
        keep: Callable[[DemoStep], None],
        stage: PushStage,
        users: Sequence[User],
    ) -> None:
        super().__init__("push", world, runs, keep)
        self._stage = stage
        self._users = users

    def play(self) -> Waiting[None]:
        """Play everything; without channels there is nothing to see."""
        switched = f"push on, polls every {RARE_POLL_SECONDS // 60} min"
        if not (yield from self.step(switched, "notices arrive", self._begin)):
            return
        for user in self._users:
            here = PLATFORMS[user.platform]
            yield from self.step(
                f"personal block made in {here}",
                "unavailable in Welkin, by push",
                partial(self._told, user),
            )
        last = self._users[-1]
        yield from self.step(
            f"receiver ended, polls every {POLL_SECONDS} s",
            f"{PLATFORMS[last.platform]} block found by a poll",
            partial(self._found, last),
        )

    def _begin(self) -> Waiting[float]:
        self._stage.begin_push(RARE_POLL_SECONDS)
        return (
            yield from self.runs.follow(
                lambda: all(self.world.listening(user) for user in self._users)
            )
        )

    def _told(self, user: User) -> Waiting[float]:
        before = self.world.told(user)
        seconds = yield from self._block(user, 6)
        try:
            # Its sender may have given up waiting for the answer, and repeats it.
            yield from self.runs.follow(lambda: self.world.told(user) > before)
        except StepError as error:
            raise StepError(f"no notice has arrived: {error}") from None
        return seconds

    def _found(self, user: User) -> Waiting[float]:
        self._stage.end_receiver(POLL_SECONDS)
        # The edit is what is measured.
        self.runs.begin()
        seconds = yield from self._block(user, 7)
        self._stage.restart_receiver()
        return seconds

    def _block(self, user: User, number: int) -> Waiting[float]:
        slot = self.slot(number)
        self.world.plan_privately(user, slot, PRIVATE_TITLE)
        return (yield from self.runs.follow(lambda: len(self.world.unavailable(user, slot)) == 1))
