"""What a cycle is going to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from calendar_sync.core.codes import Code
from calendar_sync.core.model.calendar import CalendarEvent, Draft, Source
from calendar_sync.core.model.conflicts import ConflictDecision, ConflictKind
from calendar_sync.core.model.links import BlockLink, Link, MirrorLink
from calendar_sync.core.model.times import Span
from calendar_sync.core.model.welkin import Appointment


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

# Actions. Each has a `reason` (the rule that asked for it), its `step` and `source`, the time that
# it is about (`span`), the stored `link`, and `content`, which names what it would write: a refused
# item is tried again with other content. `restore` undoes what a person has changed; `absence`
# marks deletions only because the other side was not found.


@dataclass(frozen=True, slots=True)
class _OfAppointment:
    """What an appointment asks for, and what its mirror should say."""

    reason: str
    appointment: Appointment
    draft: Draft

    @property
    def source(self) -> Source:
        return Source(self.appointment.id)

    @property
    def span(self) -> Span:
        return self.appointment.event.span

    @property
    def content(self) -> str:
        return self.draft.hash


@dataclass(frozen=True, slots=True)
class CreateMirror(_OfAppointment):
    """`link` is that of an earlier mirror."""

    step: ClassVar = Step.CREATE_MIRROR
    link: MirrorLink | None
    restore: bool = False


@dataclass(frozen=True, slots=True)
class UpdateMirror(_OfAppointment):
    """`event` is the mirror, where it was read."""

    step: ClassVar = Step.UPDATE_MIRROR
    link: MirrorLink
    event: CalendarEvent | None = None
    restore: bool = False


@dataclass(frozen=True, slots=True)
class Reschedule(_OfAppointment):
    """The appointment is moved, because its mirror, `event`, was moved by hand."""

    step: ClassVar = Step.RESCHEDULE
    link: MirrorLink
    event: CalendarEvent

    @property
    def span(self) -> Span:
        """Where it goes: the mirror has what we wrote around the appointment."""
        return self.link.around.narrow(self.event.span)

    def instead(self) -> UpdateMirror:
        """The mirror is restored, if the edit must not reach Welkin."""
        return UpdateMirror(
            self.reason, self.appointment, self.draft, self.link, self.event, restore=True
        )


@dataclass(frozen=True, slots=True)
class Cancel(_OfAppointment):
    """The appointment is cancelled, because its mirror was deleted by hand."""

    step: ClassVar = Step.CANCEL
    link: MirrorLink

    def instead(self) -> CreateMirror:
        """The mirror is created again, if the edit must not reach Welkin."""
        return CreateMirror(self.reason, self.appointment, self.draft, self.link, restore=True)


@dataclass(frozen=True, slots=True)
class _OfEvent:
    """What an event asks for; `span` is the time of its block."""

    reason: str
    event: CalendarEvent
    span: Span
    content: str

    @property
    def source(self) -> Source:
        return self.event.source


@dataclass(frozen=True, slots=True)
class CreateBlock(_OfEvent):
    """`calendar` is where the event was read, `adopts` the id of a block that exists already."""

    step: ClassVar = Step.CREATE_BLOCK
    calendar: str
    link: BlockLink | None
    restore: bool = False
    adopts: str = ""


@dataclass(frozen=True, slots=True)
class UpdateBlock(_OfEvent):
    """The block of `link` becomes that of the event."""

    step: ClassVar = Step.UPDATE_BLOCK
    link: BlockLink
    restore: bool = False


@dataclass(frozen=True, slots=True)
class _OfLink:
    """Concerns an existing link."""

    reason: str
    link: Link

    @property
    def source(self) -> Source:
        return self.link.source

    @property
    def span(self) -> Span:
        return self.link.span

    @property
    def content(self) -> str:
        return self.link.name[:60]


@dataclass(frozen=True, slots=True)
class DeleteMirror(_OfLink):
    """The mirror is deleted."""

    step: ClassVar = Step.DELETE_MIRROR
    link: MirrorLink
    absence: bool = False


@dataclass(frozen=True, slots=True)
class DeleteBlock(_OfLink):
    """The block is deleted; `then` is the link afterwards, if it is not simply closed."""

    step: ClassVar = Step.DELETE_BLOCK
    link: BlockLink
    absence: bool = False
    then: BlockLink | None = None


@dataclass(frozen=True, slots=True)
class ChangeLink(_OfLink):
    """`link` is stored, and no request is made."""

    step: ClassVar = Step.NOTE


WriteBack = Reschedule | Cancel
Removal = DeleteMirror | DeleteBlock
WithDraft = CreateMirror | UpdateMirror | WriteBack
CalendarWrite = CreateMirror | UpdateMirror | DeleteMirror
WelkinWrite = CreateBlock | UpdateBlock | DeleteBlock | WriteBack
Write = CalendarWrite | WelkinWrite
Action = Write | ChangeLink


@dataclass(frozen=True, slots=True)
class Conflict:
    """Something that a person should see: what happened and what was decided."""

    kind: ConflictKind
    source: Source
    decision: ConflictDecision


@dataclass(frozen=True, slots=True)
class Overlap:
    """A visit is booked over busy time; `ends_at` is when the visit is over."""

    appointment_id: str
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """Actions that wait until a person approves their `digest`, and why they are held."""

    reason: str
    digest: str
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An item that cannot be decided: it is left unchanged, and shown with its `code`.

    `step` is what would most likely have been done. `detail` is the place of a bug.
    """

    step: Step
    source: Source
    code: Code
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a cycle is going to do, and what it must not do yet.

    `doubted` counts items whose reading may be older than our own last write: nothing is decided
    about them, and the user is synced again. Nothing can be decided about those `refused`.
    `overlaps` are all visits that lie over a block.
    """

    actions: tuple[Action, ...]
    conflicts: tuple[Conflict, ...] = ()
    holds: tuple[Hold, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    doubted: int = 0
    refused: tuple[Refusal, ...] = ()
    overlaps: tuple[Overlap, ...] = ()

    @property
    def held(self) -> tuple[Action, ...]:
        """All actions that wait for approval."""
        return tuple(action for hold in self.holds for action in hold.actions)
