"""What a cycle may do for a user who has paused the sync: show less, and nothing else."""

from collections.abc import Iterator
from datetime import timedelta

from calendar_sync.core.model import (
    Action,
    ChangeLink,
    DeleteMirror,
    MirrorLink,
    Plan,
    Reschedule,
    UpdateMirror,
    exceeds,
)
from calendar_sync.planner.mirrors import WRITTEN_BEFORE
from calendar_sync.state.pauses import Pause

#: What could not be put right is tried again after this time.
AGAIN = timedelta(hours=1)


class Paused(Exception):
    """The user has paused the sync since the cycle began. Nothing more is written."""

    def __init__(self, pause: Pause) -> None:
        super().__init__()
        self.pause = pause


def only_less(made: Plan, level: str) -> Plan:
    """Of a plan, what is about mirrors that show more than this level, and makes them show less.

    A conflict about one of these is kept: the edit that is overwritten must be shown.
    """
    actions = tuple(_less(made, level))
    sources = {action.source for action in actions}
    conflicts = tuple(each for each in made.conflicts if each.source in sources)
    return Plan(actions, conflicts, doubted=made.doubted)


def _less(made: Plan, level: str) -> Iterator[Action]:
    for action in made.actions:
        if isinstance(action, ChangeLink):
            # Our own write, whose answer was lost: the link shows more than the mirror does.
            if isinstance(action.link, MirrorLink) and action.reason == WRITTEN_BEFORE:
                yield action
        elif isinstance(action, UpdateMirror | DeleteMirror | Reschedule) and exceeds(
            action.link.level, level
        ):
            yield action.instead() if isinstance(action, Reschedule) else action
