"""The steps of the story: those of one platform, and those of a person with a mailbox on each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from calendar_sync_sandbox.demo.runs import StepError
from calendar_sync_sandbox.demo.stage import StageError
from calendar_sync_sandbox.demo.world import PLATFORMS, Slot, WorldError
from calendar_sync_sandbox.patience import Patience
from calendar_sync_sandbox.processes import ProgramError
from calendar_sync_sandbox.standalone import AirflowError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from calendar_sync_sandbox.demo.runs import Runs, Waiting
    from calendar_sync_sandbox.demo.world import User, World
    from calendar_sync_sandbox.standalone import TaskInstance

#: What may be wrong with a step.
TROUBLE = (
    StepError, StageError, WorldError, AirflowError, ProgramError, LookupError, ValueError,
)  # fmt: skip
#: A title that must never leave the calendar it is in.
PRIVATE_TITLE = "Dentist, private 7731"
#: So many looks at the first fill in a row that found work and showed nothing new are too many.
IDLE_RUNS = 12


@dataclass(frozen=True)
class DemoStep:
    """What happened, how long it took, and what was wrong, if anything."""

    platform: str
    edit: str
    seen: str
    seconds: float
    error: str = ""


class Act:
    """Some steps, one after the other.

    Args:
        platform: as the table shows it.
        world: all sides.
        runs: of the DAGs that the edits go through.
        keep: called with each finished step.
    """

    #: How many steps it plays.
    LENGTH: int

    def __init__(
        self, platform: str, world: World, runs: Runs, keep: Callable[[DemoStep], None]
    ) -> None:
        self.platform = platform
        self.world = world
        self.runs = runs
        #: The edit that is followed now; empty between two of them.
        self.current = ""
        self._keep = keep
        self._template = world.templates()[0]
        # A weekday well inside both windows, at minutes that no other event has.
        day = datetime.now(UTC).replace(hour=15, minute=7, second=0, microsecond=0)
        day += timedelta(days=7 if day.weekday() < 5 else 9)
        self._morning = Slot(day, day + timedelta(minutes=34))

    def slot(self, number: int) -> Slot:
        """A time of its own for each step."""
        return self._morning + timedelta(days=number // 4, minutes=60 * (number % 4))

    def step(
        self, edit: str, seen: str, act: Callable[[], Waiting[float]], *, wait: bool = True
    ) -> Waiting[bool]:
        """Play one step and keep what came of it; the value says whether it went well.

        Once nothing moves any more, no further step is played.
        """
        if self.runs.stuck and wait:
            return False
        self.runs.begin()
        self.current, error = edit, ""
        try:
            if wait:
                yield from self.runs.settle()
                self.runs.begin()
            seconds = yield from act()
        except TROUBLE as caught:
            seconds, error = self.runs.seconds, str(caught) or repr(caught)
        self.current = ""
        self._keep(DemoStep(self.platform, edit, seen, seconds, error))
        return not error


class OnePlatform(Act):
    """What is played on each platform, with users who are on no other.

    Args:
        users: at least four of them.
    """

    LENGTH = 11

    def __init__(
        self,
        platform: str,
        world: World,
        runs: Runs,
        keep: Callable[[DemoStep], None],
        users: Sequence[User],
    ) -> None:
        super().__init__(PLATFORMS[platform], world, runs, keep)
        self._mirrors = f"{platform}_mirrors"
        self._users = users
        self.dana, self.eli, self.fay, self.gil = users[:4]
        self.visit_slot = self.slot(0)
        # Booked long ago, as far as the story goes: part of the first fill.
        self.visit = world.book(self.eli, self.visit_slot, self._template)

    def play(self) -> Waiting[None]:
        """Play everything; a step that fails does not keep the later ones from being played."""
        # The scheduler's own first run may have begun already: it is part of the first fill.
        filled = yield from self.step(
            "first fill", "all mirrors and blocks are there", self._first_fill, wait=False
        )
        if not filled:
            return
        step, here = self.step, self.platform
        booked = self.slot(1)
        moved = self.visit_slot + timedelta(minutes=20)
        yield from step(
            "encounter booked in Welkin", f"mirror in {here}", lambda: self._book(booked)
        )
        yield from step(f"personal block made in {here}", "unavailable in Welkin", self._block)
        yield from step("encounter cancelled", "mirror is gone", lambda: self._cancel(booked))
        yield from step("encounter moved", "same mirror, new time", lambda: self._move(moved))
        yield from step("another host", "mirror changed calendars", lambda: self._hand_over(moved))
        yield from step("cancellation undone", "a new mirror", lambda: self._uncancel(booked))
        yield from step(f"mirror dragged in {here}", "put back", lambda: self._drag(moved))
        yield from step("one user's access revoked", "only that task fails", self._revoke)
        yield from step("another user's next edit", "still syncs", self._others_go_on)
        yield from step("access restored", "the missing mirror is there", self._restore)

    def review(self) -> Waiting[None]:
        """Look at all runs once more, as the last step; the DAG is paused."""
        yield from self.step(
            "all runs of the story", "each one recorded", self.runs.all_closed, wait=False
        )

    def _first_fill(self) -> Waiting[float]:
        yield from self.runs.first()
        patience = Patience(IDLE_RUNS)
        while True:
            yield from self.runs.settle()
            seconds = self.runs.seconds
            over = yield from self.runs.nobody_has_work()
            if self.runs.failed():
                raise StepError(self.runs.outcome())
            mirrors = self.world.summary()[self._mirrors]
            blocks = [self.world.blocks(user) for user in self._users]
            if over:
                break
            if not patience.left((mirrors, blocks)):
                raise StepError(f"{IDLE_RUNS} looks found work and nothing was made")
        if not (mirrors and all(blocks)):
            raise StepError(f"{mirrors} mirrors, and blocks of each user: {blocks}")
        return seconds

    def _book(self, slot: Slot) -> Waiting[float]:
        self.booking = self.world.book(self.dana, slot, self._template)
        seconds = yield from self.runs.follow(lambda: len(self.world.mirrors(self.dana, slot)) == 1)
        self.first_mirror = self.world.mirrors(self.dana, slot)[0]
        return seconds

    def _block(self) -> Waiting[float]:
        slot = self.slot(2)
        self.world.plan_privately(self.dana, slot, PRIVATE_TITLE)
        seconds = yield from self.runs.follow(
            lambda: len(self.world.unavailable(self.dana, slot)) == 1
        )
        if PRIVATE_TITLE in str(self.world.unavailable(self.dana, slot)):
            raise StepError("the title of a private event is in Welkin")
        return seconds

    def _cancel(self, slot: Slot) -> Waiting[float]:
        self.world.cancel(self.booking)
        return (yield from self.runs.follow(lambda: not self.world.mirrors(self.dana, slot)))

    def _move(self, slot: Slot) -> Waiting[float]:
        old = self._only_mirror(self.eli, self.visit_slot)
        self.world.reschedule(self.visit, slot)
        seconds = yield from self.runs.follow(lambda: len(self.world.mirrors(self.eli, slot)) == 1)
        if self.world.mirrors(self.eli, self.visit_slot):
            raise StepError("a mirror is left at the old time")
        if self.world.mirrors(self.eli, slot)[0]["id"] != old["id"]:
            raise StepError("the mirror was replaced, not moved")
        return seconds

    def _hand_over(self, slot: Slot) -> Waiting[float]:
        self.world.hand_over(self.visit, self.fay)
        return (
            yield from self.runs.follow(
                lambda: (
                    not self.world.mirrors(self.eli, slot)
                    and len(self.world.mirrors(self.fay, slot)) == 1
                )
            )
        )

    def _uncancel(self, slot: Slot) -> Waiting[float]:
        self.world.uncancel(self.booking)
        seconds = yield from self.runs.follow(lambda: len(self.world.mirrors(self.dana, slot)) == 1)
        if self.world.mirrors(self.dana, slot)[0]["id"] == self.first_mirror["id"]:
            raise StepError("a deleted mirror came back instead of a new one")
        return seconds

    def _drag(self, slot: Slot) -> Waiting[float]:
        mirror = self._only_mirror(self.fay, slot)
        elsewhere = slot + timedelta(hours=5)
        self.world.drag(self.fay, mirror["id"], elsewhere)
        seconds = yield from self.runs.follow(
            lambda: [event["id"] for event in self.world.mirrors(self.fay, slot)] == [mirror["id"]]
        )
        if self.world.mirrors(self.fay, elsewhere):
            raise StepError("a mirror is left where it was dragged to")
        return seconds

    def _revoke(self) -> Waiting[float]:
        slot = self.slot(4)
        # Until it is restored: the user is tried again in whichever run the back-off comes due.
        self.runs.excuse(lambda task: _concerns(task, self.gil))
        self.world.revoke(self.gil)
        self.world.book(self.gil, slot, self._template)
        self.world.book(self.dana, slot, self._template)
        seconds = yield from self.runs.follow(
            lambda: len(self.world.mirrors(self.dana, slot)) == 1 and bool(self.runs.excused())
        )
        if self.world.mirrors(self.gil, slot):
            raise StepError("a revoked calendar was written to")
        return seconds

    def _others_go_on(self) -> Waiting[float]:
        slot = self.slot(5)
        self.world.book(self.dana, slot, self._template)
        return (yield from self.runs.follow(lambda: len(self.world.mirrors(self.dana, slot)) == 1))

    def _restore(self) -> Waiting[float]:
        slot = self.slot(4)
        self.world.restore(self.gil)
        self.runs.end_excuses()
        # By name, as an operator would who knows that it works again: no back-off then.
        self.runs.trigger({"users": [self.gil.welkin_id]})
        return (yield from self.runs.follow(lambda: len(self.world.mirrors(self.gil, slot)) == 1))

    def _only_mirror(self, user: User, slot: Slot) -> dict[str, Any]:
        mirrors = self.world.mirrors(user, slot)
        if len(mirrors) != 1:
            raise StepError(f"{len(mirrors)} mirrors before the edit, instead of one")
        return mirrors[0]


class BothPlatforms(Act):
    """The steps with one person who has a mailbox on each platform.

    Args:
        mailboxes: both of them.
    """

    LENGTH = 2

    def __init__(
        self, world: World, runs: Runs, keep: Callable[[DemoStep], None], mailboxes: Sequence[User]
    ) -> None:
        super().__init__("both", world, runs, keep)
        self._mailboxes = mailboxes

    def play(self) -> Waiting[None]:
        """Play everything."""
        yield from self.step(
            "encounter of someone on both", "a mirror in each calendar", self._book
        )
        yield from self.step(
            "personal block made in each", "one block each, no copies", self._blocks
        )

    def _book(self) -> Waiting[float]:
        slot = self.slot(1)
        self.world.book(self._mailboxes[0], slot, self._template)
        return (
            yield from self.runs.follow(
                lambda: all(len(self.world.mirrors(user, slot)) == 1 for user in self._mailboxes)
            )
        )

    def _blocks(self) -> Waiting[float]:
        slots = [self.slot(2 + number) for number, _ in enumerate(self._mailboxes)]
        for user, slot in zip(self._mailboxes, slots, strict=True):
            self.world.plan_privately(user, slot, PRIVATE_TITLE)
        someone = self._mailboxes[0]

        def blocks() -> list[int]:
            return [len(self.world.unavailable(someone, slot)) for slot in slots]

        seconds = yield from self.runs.follow(lambda: blocks() == [1, 1])
        # Once more now that the blocks are there: none may be taken for an appointment.
        yield from self.runs.nobody_has_work()
        events = [
            [len(self.world.events(user, slot)) for slot in slots] for user in self._mailboxes
        ]
        if events != [[1, 0], [0, 1]] or blocks() != [1, 1]:
            raise StepError(f"events in each calendar: {events}; blocks: {blocks()}")
        if PRIVATE_TITLE in str([self.world.unavailable(someone, slot) for slot in slots]):
            raise StepError("the title of a private event is in Welkin")
        return seconds


def _concerns(task: TaskInstance, user: User) -> bool:
    return (
        task.task_id == "sync_user"
        and task.map_index >= 0
        and any(name in (task.label or "") for name in (user.account, user.welkin_id))
    )
