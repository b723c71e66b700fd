"""What an external calendar has, and what a mirror shall say."""

from dataclasses import astuple, dataclass, field
from enum import StrEnum

from calendar_sync.core.model.times import NOTHING_AROUND, Around, Span


class Availability(StrEnum):
    """What an event says about its owner's time."""

    BUSY = "busy"
    TENTATIVE = "tentative"
    FREE = "free"


@dataclass(frozen=True, slots=True)
class Source:
    """The item that a mirror or a block was made of.

    For a mirror it is the Welkin event (`original_start` is empty), for a block the event's id, or
    the series' id and the canonical original start.
    """

    id: str
    original_start: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Row:
    """One item of an external calendar, as a list or a look by its id shows it.

    `original_start` is the canonical text of the start that a series' rule gives this instance;
    None for single events. `marker` is our private property. `version` is when the calendar last
    changed the item: texts that sort by time. `key` is what its creation was sent under, where ids
    are not ours (Microsoft only).
    """

    id: str
    etag: str | None = None
    series_id: str | None = None
    original_start: str | None = None
    is_master: bool = False
    marker: str | None = None
    version: str = ""
    key: str | None = None

    def __repr__(self) -> str:
        """Only what may stand in a log."""
        return f"{type(self).__name__}(id={self.id!r})"

    @property
    def source(self) -> Source:
        """The key by which a block refers to this instance."""
        if self.series_id:
            return Source(self.series_id, self.original_start or "")
        return Source(self.id)


@dataclass(frozen=True, slots=True, repr=False)
class CalendarEvent(Row):
    """An existing event, or one instance of a series.

    `unread` is a row of a list that does not show everything: the marker is known only after a GET
    by its id. `source_url` is where the event says that it comes from (Google only).
    `chosen_free` and `working_elsewhere` (Microsoft only) events have the availability FREE, and
    their owner has decided so: they are not cancelled, and no invitations without an answer.
    `has_place` and `online` are what its location says (`core.places`); `location` is kept only of
    what may be a mirror. `colours` are its colour (Google) or its categories (Microsoft).
    """

    span: Span = field(kw_only=True)
    availability: Availability = Availability.BUSY
    declined: bool = False
    informational: bool = False
    private: bool = False
    personal: bool = False
    has_attendees: bool = False
    title: str = ""
    description: str = ""
    ical_uid: str | None = None
    organizer: str | None = None
    creator: str | None = None
    source_url: str | None = None
    chosen_free: bool = False
    working_elsewhere: bool = False
    has_place: bool = False
    online: bool = False
    out_of_office: bool = False
    unread: bool = False
    location: str = ""
    colours: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Unreadable(Row):
    """An existing event whose time cannot be read: nothing can be decided about it."""


@dataclass(frozen=True, slots=True, repr=False)
class Removed(Row):
    """A list reports the event as removed: it was deleted, or it only left the list's window."""

    def not_found(self) -> "Removed":
        """The row if its id is not found, either: that proves the deletion."""
        return Tombstone(*astuple(self))


@dataclass(frozen=True, slots=True, repr=False)
class Tombstone(Removed):
    """Proof that the event was deleted."""

    def not_found(self) -> Removed:
        """The row if its id is not found instead of deleted: the server contradicts itself."""
        return Removed(*astuple(self))


class LookUp(StrEnum):
    """The result of reading an event by its id, or a series as a whole.

    DOUBTED: not found, although a list has shown it. DENIED: the server returned an error. Both
    are read again. CLOSED: three errors, so it is parked. UNREADABLE: it exists.
    """

    CONFIRMED = "confirmed"
    MISSING = "missing"
    DOUBTED = "doubted"
    DENIED = "denied"
    CLOSED = "closed"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Changes:
    """What a calendar reported: since a cursor, or everything in a window (`full`)."""

    events: tuple[Row, ...]
    cursor: str
    full: bool


@dataclass(frozen=True, slots=True)
class SeriesSet:
    """All instances of one series inside a window.

    `known` is False if the calendar answered 404 for the series itself: then an empty set proves
    nothing (a user who was invited to single occurrences has those, and no series). It is also
    False if this may not be the whole set (`doubted`): it is empty although the rule of the series
    has instances, or another answer shows an instance that the set lacks.
    """

    instances: tuple[CalendarEvent | Unreadable, ...]
    known: bool = True
    doubted: bool = field(default=False, compare=False)

    @property
    def missing(self) -> bool:
        """There is no such series for this account (any more)."""
        return not (self.known or self.doubted)


@dataclass(frozen=True, slots=True, repr=False)
class Draft:
    """The content of a mirror: the only text that leaves Welkin (made by `mirror_text`).

    `span` is the time of the mirror: that of the appointment, and what is `around` it. `location`
    is a place or a join link; None is not ours to write. `colour` (on Microsoft a category) and
    `reminder` ("default", "none" or minutes) are for a new mirror; `colours` are what an update
    makes of those that the mirror has, None leaves them.
    """

    title: str
    description: str
    span: Span
    time_zone: str
    level: str
    hash: str
    location: str | None = None
    tentative: bool = False
    colour: str = ""
    colours: tuple[str, ...] | None = None
    reminder: str = "default"
    around: Around = NOTHING_AROUND

    def __repr__(self) -> str:
        """Only what may stand in a log."""
        return f"Draft(level={self.level!r}, hash={self.hash!r})"
