"""The stored links between an item of one side and what we made of it on the other."""

from dataclasses import KW_ONLY, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, TypeVar

from calendar_sync.core.model.calendar import Source
from calendar_sync.core.model.times import NOTHING_AROUND, Around, Span
from calendar_sync.core.model.words import Platform, located


class LinkKind(StrEnum):
    """The stored word for the type of a link."""

    MIRROR = "mirror"
    BLOCK = "block"


class LinkState(StrEnum):
    """The life of a link. A row is never deleted, so that its generation is never used twice."""

    INTENT = "intent"  # about to be created; the other side may have it already
    LIVE = "live"
    RETIRED = "retired"  # left the window; what we made stays
    DISMISSED = "dismissed"  # deleted by hand and not to be restored
    DUPLICATE = "twin"  # an event that looks like a copy of an appointment: no block until decided
    SHARED = "shared"  # a meeting whose block another calendar of the user has
    DELETED = "deleted"


# States in which no block is wanted for now, and none stands.
WITHOUT_BLOCK = frozenset({LinkState.DUPLICATE, LinkState.SHARED})

# Ends the hash of an event that has guests. Whoever added them, no write may touch them.
GUESTS = "+guests"


def without_guests(content: str) -> str:
    """The hash of an event without its guests."""
    return content.removesuffix(GUESTS)


# States in which something of ours stands on the other side, or may.
STANDING = frozenset({LinkState.LIVE, LinkState.INTENT, LinkState.RETIRED})

# States in which this calendar has decided about the block of a meeting: no other one makes one.
KEEPS_MEETING = frozenset({LinkState.LIVE, LinkState.RETIRED, LinkState.DISMISSED})

#: Names an event, and the time of its block, whichever calendar the event is in.
Meeting = tuple[str, Span]


@dataclass(frozen=True, slots=True)
class _Link:
    """What both types of links have.

    `account` and `calendar` are where the mirror or the external event is, `span` is the time in
    Welkin: of the appointment, or of the block. `generation` counts the creations, `wanted_hash` is
    of the content that we meant to write. `version` is the other side's of our last write,
    `written_at` our own clock's time of it. `restores` were made since `restored_at`.
    """

    user_id: str
    platform: Platform
    account: str
    calendar: str
    _: KW_ONLY
    span: Span
    id: int | None = None
    generation: int = 0
    state: LinkState = LinkState.INTENT
    wanted_hash: str = ""
    version: str = ""
    written_at: datetime | None = None
    restores: int = 0
    restored_at: datetime | None = None

    def written_within(self, time: timedelta, now: datetime) -> bool:
        """We wrote, or began to, so recently."""
        return self.written_at is not None and now - self.written_at < time


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorLink(_Link):
    """An appointment in Welkin and its mirror in the user's calendar.

    `appointment_id` is that of the Welkin event (of a mirror that is found without a link and whose
    appointment is not known, the mirror's own id), `appointment_hash` of what it was when we last
    wrote. `mirror_id` is the event's id in the calendar, empty while it is not known;
    `creation_key` is what the latest creation was sent under. `mirror_hash` and `etag` are of the
    mirror as it was read back after the write, `level` is the detail level that it shows, `colour`
    the colour or category that it was given, `around` what it has before and after the appointment.
    """

    kind: ClassVar = LinkKind.MIRROR
    appointment_id: str
    appointment_hash: str = ""
    mirror_id: str = ""
    creation_key: str = ""
    mirror_hash: str = ""
    etag: str | None = None
    level: str = "busy/busy"
    colour: str = ""
    around: Around = NOTHING_AROUND

    @property
    def source(self) -> Source:
        """The appointment."""
        return Source(self.appointment_id)

    @property
    def name(self) -> str:
        """The mirror's id, or what is known of it after an interrupted creation."""
        return self.mirror_id or self.creation_key

    @property
    def located(self) -> bool:
        """We have written the location of the mirror."""
        return located(self.level)

    @property
    def mirror_span(self) -> Span:
        """The time of the mirror: that of the appointment, and what is around it."""
        return self.around.widen(self.span)

    def untouched(self, etag: str | None) -> bool:
        """A mirror with this etag is as our last write has left it."""
        return etag is not None and etag == self.etag


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockLink(_Link):
    """An external event in the user's calendar and its block in Welkin.

    `source` is the event, or its series and the original start; `event_id` is the event's own id,
    also within a series; `event_uid` names it, or its series, in any mailbox. (Of a block that is
    found without a link, `source` is the block's id.) `block_id` is that of the leave in Welkin,
    empty while it is not known; `external_id` is what the latest creation was sent with.
    `block_hash` is of the block as it was read back after the write.
    """

    kind: ClassVar = LinkKind.BLOCK
    source: Source
    event_id: str = ""
    event_uid: str = ""
    block_id: str = ""
    external_id: str = ""
    block_hash: str = ""

    @property
    def name(self) -> str:
        """The block's id, or what is known of it after an interrupted creation."""
        return self.block_id or self.external_id

    @property
    def meeting(self) -> Meeting:
        """Names the event and the time of its block, whichever calendar the event is in."""
        return self.event_uid, self.span


Link = MirrorLink | BlockLink
AnyLink = TypeVar("AnyLink", bound=Link)
