"""The stored ties between both sides."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from calendar_sync.core.model.calendar import Source
from calendar_sync.core.model.times import Span
from calendar_sync.core.model.words import Platform


class LinkKind(StrEnum):
    """Which side the linked item was made on."""

    MIRROR = "mirror"
    BLOCK = "block"


class LinkState(StrEnum):
    """The life of a link. A row is never deleted, so that its generation is never used twice."""

    INTENT = "intent"  # about to be created; the remote side may have it already
    LIVE = "live"
    RETIRED = "retired"  # left the window; the remote item stays
    DISMISSED = "dismissed"  # removed by hand and not to be restored
    TWIN = "twin"  # looks like a copy of an appointment: no block until a person decides
    DELETED = "deleted"


# Ends the hash of an event that has guests. Whoever added them, no write may touch them.
GUESTS = "+guests"


def without_guests(content: str) -> str:
    """The hash of an event without its guests."""
    return content.removesuffix(GUESTS)


# States in which something of ours stands on the other side, or may.
STANDING = frozenset({LinkState.LIVE, LinkState.INTENT, LinkState.RETIRED})


@dataclass(frozen=True, slots=True)
class Link:
    """The stored tie between an item and what we made of it on the other side.

    `remote_id` is the mirror's id in the calendar, or the block's id in Welkin, empty while it is
    not known; `creation_key` is what the latest creation was sent under. `wanted_hash` is
    of the content that we meant to write, `remote_hash` of the content read back after the write,
    `source_hash` of the appointment. `event_uid` names the external event in any mailbox.
    `version` is the other side's of our last write, `written_at` our own clock's time of it.
    """

    kind: LinkKind
    user_id: str
    platform: Platform
    account: str
    calendar: str
    source: Source
    span: Span
    generation: int = 0
    state: LinkState = LinkState.INTENT
    remote_id: str = ""
    creation_key: str = ""
    id: int | None = None
    event_id: str = ""
    event_uid: str = ""
    etag: str | None = None
    wanted_hash: str = ""
    remote_hash: str = ""
    source_hash: str = ""
    level: str = "busy/busy"
    restores: int = 0
    restored_at: datetime | None = None
    version: str = ""
    written_at: datetime | None = None

    @property
    def name(self) -> str:
        """The id on the other side, or what is known of it after an interrupted creation."""
        return self.remote_id or self.creation_key

    def untouched(self, etag: str | None) -> bool:
        """An item with this etag is as our last write has left it."""
        return etag is not None and etag == self.etag

    def written_within(self, time: timedelta, now: datetime) -> bool:
        """We wrote, or began to, so recently."""
        return self.written_at is not None and now - self.written_at < time
