"""What a cycle is going to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from calendar_sync.core.model.calendar import CalendarEvent, Draft, Source
from calendar_sync.core.model.links import Link
from calendar_sync.core.model.times import Span


class Step(StrEnum):
    """What an action does, or what did not work about an item."""

    CREATE_MIRROR = "create_mirror"
    UPDATE_MIRROR = "update_mirror"
    DELETE_MIRROR = "delete_mirror"
    CREATE_BLOCK = "create_block"
    UPDATE_BLOCK = "update_block"
    DELETE_BLOCK = "delete_block"
    RESCHEDULE = "reschedule"  # the appointment itself, after its mirror was moved by hand
    ADOPT_MIRROR = "adopt_mirror"  # what a creation came to: it was there already
    ADOPT_BLOCK = "adopt_block"
    CANCEL = "cancel"  # the appointment itself, after its mirror was deleted by hand
    NOTE = "note"  # changes the link only, no request
    READ = "read"  # never planned: an item that could not be read is counted under this name
    FOLLOW = "follow"  # likewise a calendar's list of changes


#: No operation of the record has one of these.
UNRECORDED = frozenset({Step.NOTE, Step.READ, Step.FOLLOW})


@dataclass(frozen=True, slots=True)
class Action:
    """One step for one item, with the rule that asked for it.

    `link` is the stored link, None for a first creation; `calendar` is where `event` was read.
    `adopts` is the id of a block that stands already. `becomes` are the link's new values where
    only the row changes (`Step.NOTE`). `absence` marks removals that rest on absence alone.
    """

    step: Step
    reason: str
    source: Source
    span: Span
    link: Link | None = None
    draft: Draft | None = None
    event: CalendarEvent | None = None
    calendar: str = ""
    becomes: Mapping[str, object] = field(default_factory=dict)
    absence: bool = False
    restore: bool = False
    adopts: str = ""

    @property
    def writes_calendar(self) -> bool:
        """The request goes to the external calendar."""
        return self.step in {Step.CREATE_MIRROR, Step.UPDATE_MIRROR, Step.DELETE_MIRROR}

    @property
    def writes_welkin(self) -> bool:
        """The request goes to Welkin."""
        blocks = {Step.CREATE_BLOCK, Step.UPDATE_BLOCK, Step.DELETE_BLOCK}
        return self.step in blocks or self.writes_back

    @property
    def writes_back(self) -> bool:
        """An edit of a mirror becomes an edit of its appointment."""
        return self.step in {Step.RESCHEDULE, Step.CANCEL}


@dataclass(frozen=True, slots=True)
class Conflict:
    """Something that a person should see: what happened and what was decided."""

    kind: str
    source: Source
    decision: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Actions that wait for a person's approval of their `digest`, and why they are held."""

    reason: str
    digest: str
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An item about which nothing can be decided: it is left as it is, and shown by its `code`.

    `step` is what would most likely have been done. `detail` is the place of a bug.
    """

    step: Step
    source: Source
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a cycle is going to do, and what it must not do yet.

    `doubted` counts items whose reading may be older than our own last write: nothing is decided
    about them, and the user is looked at again. About those `refused` nothing can be decided.
    """

    actions: tuple[Action, ...]
    conflicts: tuple[Conflict, ...] = ()
    holds: tuple[Hold, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    doubted: int = 0
    refused: tuple[Refusal, ...] = ()

    @property
    def held(self) -> tuple[Action, ...]:
        """All actions that wait for approval."""
        return tuple(action for hold in self.holds for action in hold.actions)
