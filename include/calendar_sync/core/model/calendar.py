"""What an external calendar has, and what a mirror shall say."""

from dataclasses import dataclass, field
from enum import StrEnum

from calendar_sync.core.model.times import Span


class Availability(StrEnum):
    """What an event says about its owner's time."""

    BUSY = "busy"
    TENTATIVE = "tentative"
    FREE = "free"


@dataclass(frozen=True, slots=True, repr=False)
class CalendarEvent:
    """One event instance of an external calendar, or the tombstone of one.

    `original_start` is the canonical text of the start that a series' rule gives this instance;
    None for single events. `span` is None on tombstones. `marker` is our private property.
    `version` is when the calendar last changed it: texts that sort by time. `unread` is a row of a
    list that does not show everything: of a live event the marker is not known, and a tombstone may
    merely mean that the event has left the window. A GET by id tells. `source_url` is where the
    event says that it comes from (Google only). `key` is what its creation was sent under, where
    ids are not ours (Microsoft only).
    """

    id: str
    etag: str | None = None
    deleted: bool = False
    span: Span | None = None
    series_id: str | None = None
    original_start: str | None = None
    is_master: bool = False
    availability: Availability = Availability.BUSY
    declined: bool = False
    informational: bool = False
    private: bool = False
    personal: bool = False
    has_attendees: bool = False
    title: str = ""
    description: str = ""
    marker: str | None = None
    ical_uid: str | None = None
    organizer: str | None = None
    creator: str | None = None
    source_url: str | None = None
    version: str = ""
    unread: bool = False
    key: str | None = None

    def __repr__(self) -> str:
        """Only what may stand in a log."""
        return f"CalendarEvent(id={self.id!r}, deleted={self.deleted})"

    @property
    def unreadable(self) -> bool:
        """It is there, and when is not known: nothing can be decided about it."""
        return self.span is None and not self.deleted

    @property
    def source(self) -> "Source":
        """The key by which a block refers to this instance."""
        if self.series_id:
            return Source(self.series_id, self.original_start or "")
        return Source(self.id, "")


@dataclass(frozen=True, slots=True)
class Source:
    """The item at the other end of a link.

    A mirror's is the Welkin event (`original_start` empty); a block's is the series or event id
    and, inside a series, the canonical original start.
    """

    id: str
    original_start: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a calendar reported: since a cursor, or everything in a window (`full`)."""

    events: tuple[CalendarEvent, ...]
    cursor: str
    full: bool


@dataclass(frozen=True, slots=True)
class SeriesSet:
    """All instances of one series inside a window.

    `known` is False where the calendar answered 404 for the series itself: then an empty set rests
    on absence alone (who was invited to single occurrences has those, and no series); and where
    this may not be the whole set (`doubted`): nothing was shown although the rule promises
    something, or something else shows an instance that the set lacks.
    """

    instances: tuple[CalendarEvent, ...]
    known: bool = True
    doubted: bool = field(default=False, compare=False)

    @property
    def missing(self) -> bool:
        """There is no such series for this account (any more)."""
        return not (self.known or self.doubted)


@dataclass(frozen=True, slots=True, repr=False)
class Draft:
    """The content of a mirror: the only text that leaves Welkin (made by `privacy`)."""

    title: str
    description: str
    span: Span
    time_zone: str
    level: str
    hash: str

    def __repr__(self) -> str:
        """Only what may stand in a log."""
        return f"Draft(level={self.level!r}, hash={self.hash!r})"
