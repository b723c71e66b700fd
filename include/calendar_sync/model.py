"""What the rest of the package talks about: frozen values without behaviour of their own.

Instants are aware datetimes in UTC. All-day spans are plain dates. Patient data appears only in
`Appointment` and `Draft`, which live in memory during a cycle and are never stored or printed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

# A server may answer for so long as if the last write had not been made.
SETTLING = timedelta(seconds=60)


class Platform(StrEnum):
    """The external calendar systems."""

    GOOGLE = "google"
    MICROSOFT = "microsoft"


class Direction(StrEnum):
    """Which sides are written."""

    WELKIN_TO_CALENDAR = "welkin_to_calendar"
    CALENDAR_TO_WELKIN = "calendar_to_welkin"
    BIDIRECTIONAL = "bidirectional"

    @property
    def writes_calendar(self) -> bool:
        """Mirrors are kept."""
        return self is not Direction.CALENDAR_TO_WELKIN

    @property
    def writes_welkin(self) -> bool:
        """Blocks are kept."""
        return self is not Direction.WELKIN_TO_CALENDAR


class DetailLevel(StrEnum):
    """How much of an appointment a mirror may show."""

    BUSY = "busy"
    TYPE = "type"
    FULL = "full"


def exceeds(level: str, allowed: str) -> bool:
    """Title or description of `level` ("full/busy") shows more than `allowed` permits."""
    order = [each.value for each in DetailLevel]
    pairs = zip(level.split("/"), allowed.split("/"), strict=True)
    return any(order.index(one) > order.index(other) for one, other in pairs)


@dataclass(frozen=True, slots=True)
class Span:
    """Start (inclusive) and end (exclusive): two instants in UTC, or two dates for all-day."""

    start: datetime | date
    end: datetime | date

    @property
    def all_day(self) -> bool:
        """Both ends are dates."""
        return not isinstance(self.start, datetime)

    def instants(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Both ends as UTC instants; dates begin and end at midnight in `zone`."""
        return instant(self.start, zone), instant(self.end, zone)

    def empty(self, zone: ZoneInfo) -> bool:
        """Zero or negative length: no calendar accepts such an event."""
        start, end = self.instants(zone)
        return end <= start

    def overlaps(self, window: "Window", zone: ZoneInfo) -> bool:
        """Some part of the span lies inside the window."""
        start, end = self.instants(zone)
        return start < window.end and end > window.start

    def __str__(self) -> str:
        """Canonical text, also what the state database stores: two ISO values and a slash."""
        return f"{iso(self.start)}/{iso(self.end)}"

    @classmethod
    def parse(cls, text: str) -> "Span":
        """Read what `str` wrote."""
        start, end = text.split("/")
        return cls(parse_iso(start), parse_iso(end))


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time between two UTC instants."""

    start: datetime
    end: datetime


def instant(value: datetime | date, zone: ZoneInfo) -> datetime:
    """A date becomes the instant of its midnight in `zone`; an instant stays."""
    if isinstance(value, datetime):
        return value
    return datetime(value.year, value.month, value.day, tzinfo=zone).astimezone(UTC)


def iso(value: datetime | date) -> str:
    """`2026-03-02T14:00:00Z` (fractions only where there are any) or `2026-03-02`."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat()


def parse_iso(text: str) -> datetime | date:
    """Any ISO 8601 date, or instant with an offset; fractions beyond microseconds are cut.

    Raises ValueError for anything else, an instant without an offset included.
    """
    if len(text) == 10:
        return date.fromisoformat(text)
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueError("an instant needs an offset")
    return value.astimezone(UTC)


def to_second(value: datetime) -> datetime:
    """Calendars keep whole seconds: cut the rest, so that both sides compare equal."""
    return value.replace(microsecond=0)


def zone_or_none(name: str | None) -> ZoneInfo | None:
    """The zone of this IANA name (aliases too), None for an unknown or missing one."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


# --- Welkin -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Patient:
    """Patient data, for the detail level `full` only. Never stored, never printed."""

    first_name: str
    last_name: str

    def __repr__(self) -> str:
        """Say nothing, so that no log or traceback can."""
        return "Patient(…)"


@dataclass(frozen=True, slots=True, repr=False)
class WelkinEvent:
    """A Welkin calendar event, as much of it as the sync needs.

    `instants` are start and end as Welkin wrote them: an all-day event's may be at any hour.
    `version` is when Welkin last changed it: texts that sort by time.
    """

    id: str
    span: Span
    host_id: str | None
    user_ids: frozenset[str]
    kind: str = "APPOINTMENT"
    cancelled: bool = False
    external_id: str | None = None
    title: str | None = None
    patients: tuple[Patient, ...] = ()
    mode: str | None = None
    location: str | None = None
    time_zone: str | None = None
    instants: str = ""
    version: str = ""

    def __repr__(self) -> str:
        """Only what may stand in a log."""
        return f"WelkinEvent(id={self.id!r}, kind={self.kind!r}, cancelled={self.cancelled})"


MISSING = "MISSING"


@dataclass(frozen=True, slots=True)
class Encounter:
    """What the encounter index keeps of an encounter: nothing that a patient would mind."""

    event_id: str
    encounter_id: str
    template: str | None
    status: str

    @property
    def cancelled(self) -> bool:
        """Cancelled (in either spelling), deleted, or no longer listed anywhere."""
        return self.status in {"CANCELLED", "CANCELED", "DELETED", MISSING}


@dataclass(frozen=True, slots=True)
class Appointment:
    """A Welkin event that is a visit, joined with its encounter."""

    event: WelkinEvent
    encounter: Encounter | None
    source_hash: str

    @property
    def id(self) -> str:
        """Welkin's id of the calendar event."""
        return self.event.id

    @property
    def pending(self) -> bool:
        """An encounter's event whose encounter is not known yet: neither create nor remove."""
        return self.event.kind == "ENCOUNTER" and self.encounter is None

    @property
    def cancelled(self) -> bool:
        """Either side says so (the event, or its encounter)."""
        return self.event.cancelled or (self.encounter is not None and self.encounter.cancelled)

    @property
    def type_name(self) -> str:
        """The encounter template, or the plain event type."""
        if self.encounter is not None and self.encounter.template:
            return self.encounter.template
        return self.event.kind


@dataclass(frozen=True, slots=True)
class WelkinUser:
    """A member of staff."""

    id: str
    email: str
    time_zone: str | None
    active: bool


@dataclass(frozen=True, slots=True)
class MappedUser:
    """One row of the user mapping: a Welkin user and the account on one platform."""

    user_id: str
    platform: Platform
    account: str
    enabled: bool = True
    direction: Direction | None = None
    revision: int = 0


# --- the external calendar --------------------------------------------------------------------


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
    `version` is when the calendar last changed it: texts that sort by time.
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
    has_attendees: bool = False
    title: str = ""
    description: str = ""
    marker: str | None = None
    ical_uid: str | None = None
    organizer: str | None = None
    creator: str | None = None
    version: str = ""

    def __repr__(self) -> str:
        """Only what may stand in a log."""
        return f"CalendarEvent(id={self.id!r}, deleted={self.deleted})"

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
    on absence alone.
    """

    instances: tuple[CalendarEvent, ...]
    known: bool = True


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


# --- links ------------------------------------------------------------------------------------


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
    TWIN = "twin"  # looks like a copy of an appointment: no block until a person says so
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Link:
    """The stored tie between an item and what we made of it on the other side.

    `remote_id` is the mirror's id in the calendar, or the block's id in Welkin. `wanted_hash` is
    of the content that we meant to write, `remote_hash` of the content read back after the write,
    `source_hash` of the appointment. `version` is the other side's of our last write, `written_at`
    our own clock's time of it.
    """

    kind: LinkKind
    user_id: str
    platform: Platform
    account: str
    calendar: str
    source: Source
    generation: int
    state: LinkState
    remote_id: str
    span: Span
    id: int | None = None
    event_id: str = ""
    etag: str | None = None
    wanted_hash: str = ""
    remote_hash: str = ""
    source_hash: str = ""
    level: str = "busy/busy"
    restores: int = 0
    restored_at: datetime | None = None
    version: str = ""
    written_at: datetime | None = None


# --- plans ------------------------------------------------------------------------------------


class Step(StrEnum):
    """What an action does."""

    CREATE_MIRROR = "create_mirror"
    UPDATE_MIRROR = "update_mirror"
    DELETE_MIRROR = "delete_mirror"
    CREATE_BLOCK = "create_block"
    UPDATE_BLOCK = "update_block"
    DELETE_BLOCK = "delete_block"
    RESCHEDULE = "reschedule"  # the appointment itself, after its mirror was moved by hand
    CANCEL = "cancel"  # the appointment itself, after its mirror was deleted by hand
    NOTE = "note"  # changes the link only, no request


@dataclass(frozen=True, slots=True)
class Action:
    """One step for one item, with the rule that asked for it.

    `link` is the stored link, None for a first creation; `calendar` is where `event` was read.
    `becomes` are the link's new values where only the row changes (`Step.NOTE`). `absence` marks
    removals that rest on absence alone.
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
class Plan:
    """What a cycle is going to do, and what it must not do yet.

    `doubted` counts items whose reading may be older than our own last write: nothing is decided
    about them, and the user is looked at again.
    """

    actions: tuple[Action, ...]
    conflicts: tuple[Conflict, ...] = ()
    holds: tuple[Hold, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    doubted: int = 0

    @property
    def held(self) -> tuple[Action, ...]:
        """All actions that wait for approval."""
        return tuple(action for hold in self.holds for action in hold.actions)
