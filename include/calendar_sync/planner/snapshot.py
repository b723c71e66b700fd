"""What the planner looks at: both sides of one (user, platform) as one cycle has read them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from calendar_sync.core.identity import GENERATIONS, Identity
from calendar_sync.core.model import (
    KEEPS_MEETING,
    SETTLING,
    AnyLink,
    Appointment,
    BlockLink,
    CalendarEvent,
    Direction,
    Draft,
    Link,
    LinkState,
    LookUp,
    Meeting,
    MirrorLink,
    Platform,
    Removed,
    Row,
    SeriesSet,
    Source,
    Span,
    Unreadable,
    Window,
    exceeds,
)

# A reading that is older than our own last write is recognised by its version, so it is doubted for
# longer than an item that is only not found.
LONGEST_LAG = timedelta(minutes=10)


@dataclass(frozen=True)
class Doubt:
    """An item whose reading may be older than our own write: the next cycle decides about it."""

    source: Source


@dataclass(frozen=True)
class BlockSeen:
    """A block as Welkin showed it; `hash` is of its content.

    `external_id` is empty unless we gave it.
    """

    event_id: str
    span: Span
    hash: str
    cancelled: bool
    version: str = ""
    external_id: str = ""


@dataclass(frozen=True)
class CalendarView:
    """One calendar of the account.

    `events` are all events of the listed window (`full`) or those that changed since the cursor.
    `series` are the instances of series that were read as a whole. `lookups` are the results of
    reading events and series by their ids; `events` lacks those that could not be read, and nothing
    is decided about them.
    `hashes` are of mirrors and of all other events with our marker, by event id. `ours` are the ids
    of events with our marker.
    """

    name: str
    holds_mirrors: bool
    counts_as_busy: bool
    full: bool
    events: Mapping[str, CalendarEvent | Removed]
    series: Mapping[str, SeriesSet] = field(default_factory=dict)
    lookups: Mapping[str, LookUp] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    ours: frozenset[str] = frozenset()

    def asked(self, *outcomes: LookUp) -> frozenset[str]:
        """Events and series whose reading by id had one of these results."""
        return frozenset(key for key, outcome in self.lookups.items() if outcome in outcomes)

    @cached_property
    def gone(self) -> frozenset[str]:
        """Not found by their ids."""
        return self.asked(LookUp.MISSING, LookUp.DOUBTED)

    @cached_property
    def denied(self) -> frozenset[str]:
        """Could not be read, and are tried again."""
        return self.asked(LookUp.DENIED, LookUp.DOUBTED)

    @cached_property
    def closed(self) -> frozenset[str]:
        """Could not be read so often that they are parked."""
        return self.asked(LookUp.CLOSED)

    @cached_property
    def living(self) -> Mapping[str, CalendarEvent]:
        """The events that exist."""
        return {key: one for key, one in self.events.items() if isinstance(one, CalendarEvent)}

    @cached_property
    def undecided(self) -> frozenset[str]:
        """Events and series that could not be read: nothing is decided about them."""
        instances = (one for found in self.series.values() for one in found.instances)
        unread = {one.id for one in instances if isinstance(one, Unreadable)}
        return self.denied | self.closed | self.asked(LookUp.UNREADABLE) | unread

    @cached_property
    def partial_series(self) -> frozenset[str]:
        """Series that could not be read as a whole; single instances of them may be known."""
        unknown = {key for key, found in self.series.items() if not found.known}
        return self.denied | self.closed | unknown


@dataclass(frozen=True)
class View:
    """Everything that one plan depends on.

    `appointments` holds every appointment of the complete window read, and those fetched by id.
    `absent` are Welkin ids that a GET has confirmed as missing. `drafts` are the mirrors' contents
    by appointment id, `identity` makes our ids and hashes. `approved` are digests of actions that a
    person has approved, `level` is the detail level allowed now. `unreadable` are ids of Welkin
    events of which nothing else could be read: nothing is decided about them.
    `written_back` are appointments that edits of mirrors have changed within a day;
    `encounters_move` says that this Welkin tenant lets encounters be rescheduled.
    `claimed_elsewhere` are blocks of the user's other platform and mirrors of other users;
    `other_blocks_known` says that these are all blocks of the other platform. `kept_elsewhere` are
    that platform's links of blocks that it keeps, or has let a person delete, by meeting.
    `recorded_mirrors` are events that the audit log names as mirrors of this user.
    """

    user_id: str
    platform: Platform
    account: str
    now: datetime
    zone: ZoneInfo
    direction: Direction
    mirror_window: Window
    block_window: Window
    list_window: Window
    appointments: Mapping[str, Appointment]
    drafts: Mapping[str, Draft]
    blocks: Mapping[str, BlockSeen]
    absent: frozenset[str]
    calendars: tuple[CalendarView, ...]
    links: tuple[Link, ...]
    identity: Identity
    level: str
    unreadable: frozenset[str] = frozenset()
    approved: frozenset[str] = frozenset()
    written_back: frozenset[str] = frozenset()
    encounters_move: bool = False
    claimed_elsewhere: frozenset[str] = frozenset()
    other_blocks_known: bool = True
    kept_elsewhere: Mapping[Meeting, BlockLink] = field(default_factory=dict)
    recorded_mirrors: frozenset[str] = frozenset()

    def place(self, calendar: str) -> tuple[str, Platform, str, str]:
        """Whose a new link is, and where."""
        return self.user_id, self.platform, self.account, calendar

    def marker(self, appointment_id: str) -> str:
        """The mark of an appointment's mirror."""
        return self.identity.marker(self.user_id, appointment_id)

    def external_ids(self, calendar: str, source: Source) -> frozenset[str]:
        """All ids that a block of this event may have been given."""
        place = (self.platform, self.user_id, self.account, calendar, source)
        generations = range(1, GENERATIONS + 1)
        return frozenset(self.identity.block_external_id(*place, each) for each in generations)

    @cached_property
    def mirror_links(self) -> dict[str, MirrorLink]:
        """Mirror links by appointment id."""
        return {link.appointment_id: link for link in self.links if isinstance(link, MirrorLink)}

    @cached_property
    def block_links(self) -> dict[tuple[str, Source], BlockLink]:
        """Block links by calendar and source."""
        return {
            (link.calendar, link.source): link for link in self.links if isinstance(link, BlockLink)
        }

    @cached_property
    def keeping(self) -> tuple[BlockLink, ...]:
        """Links of blocks for meetings that other calendars may have, too."""
        return tuple(
            link
            for link in self.block_links.values()
            if link.state in KEEPS_MEETING and link.event_uid
        )

    @cached_property
    def kept_somewhere(self) -> frozenset[Meeting]:
        """Meetings for which one of the user's calendars keeps a block."""
        busy = {calendar.name for calendar in self.calendars if calendar.counts_as_busy}
        here = (link.meeting for link in self.keeping if link.calendar in busy)
        return frozenset((*self.kept_elsewhere, *here))

    @cached_property
    def kept_in_doubt(self) -> frozenset[Meeting]:
        """Meetings of calendars of this account whose event has changed since the last read."""
        changed = {one.name: one.events.keys() for one in self.calendars if not one.full}
        return frozenset(
            link.meeting
            for link in self.keeping
            if not changed.get(link.calendar, frozenset()).isdisjoint(
                (link.event_id, link.source.id)
            )
        )

    @cached_property
    def mirror_ids(self) -> frozenset[str]:
        """Ids of all mirrors that ever were: none of them is an external event."""
        return frozenset(link.mirror_id for link in self.mirror_links.values())

    def live(self, kind: type[AnyLink], calendar: str | None = None) -> list[AnyLink]:
        """Live links of one type (in one calendar)."""
        return [
            link
            for link in self.links
            if isinstance(link, kind)
            and link.state is LinkState.LIVE
            and (calendar is None or link.calendar == calendar)
        ]

    @cached_property
    def standing_mirrors(self) -> list[MirrorLink]:
        """Links of mirrors that exist or may exist: an interrupted creation counts."""
        states = {LinkState.LIVE, LinkState.INTENT}
        return [link for link in self.mirror_links.values() if link.state in states]

    @cached_property
    def closed_mirrors(self) -> dict[str, MirrorLink]:
        """Links whose mirrors we have deleted, by the mirrors' ids."""
        closed = {
            link.mirror_id: link
            for link in self.links
            if isinstance(link, MirrorLink) and link.state is LinkState.DELETED
        }
        for link in self.mirror_links.values():
            if link.state is not LinkState.DELETED:
                closed.pop(link.mirror_id, None)
        closed.pop("", None)
        return closed

    @cached_property
    def mirror_by_mark(self) -> dict[str, MirrorLink]:
        """Links by the marks that their mirrors carry: there, past, or deleted."""
        return {
            self.marker(link.appointment_id): link
            for link in self.mirror_links.values()
            if link.state in {LinkState.LIVE, LinkState.RETIRED, LinkState.DELETED}
        }

    @cached_property
    def appointment_by_mark(self) -> dict[str, Appointment]:
        """Appointments that were read, by the marks that their mirrors carry."""
        return {self.marker(one.id): one for one in self.appointments.values()}

    @cached_property
    def unlinked(self) -> dict[str, list[CalendarEvent]]:
        """Existing events with our marker but without a link, where mirrors go, by that marker."""
        found: dict[str, list[CalendarEvent]] = {}
        for calendar in self.calendars:
            for event in calendar.living.values() if calendar.holds_mirrors else ():
                unknown = event.id in calendar.ours and event.id not in self.mirror_ids
                if unknown and event.marker and event.series_id is None:
                    found.setdefault(event.marker, []).append(event)
        return found

    def is_external(self, event: Row, calendar: CalendarView) -> bool:
        """It has neither our marker nor a link, and its series (if any) is not a mirror."""
        own = event.id in self.mirror_ids or event.series_id in self.mirror_ids
        return not own and event.id not in calendar.ours

    @cached_property
    def too_detailed_mirrors(self) -> list[MirrorLink]:
        """Links of retired mirrors that show more than is allowed now."""
        return [
            link
            for link in self.mirror_links.values()
            if link.state is LinkState.RETIRED and exceeds(link.level, self.level)
        ]

    def outdated(self, link: Link, version: str) -> bool:
        """What was read is older than our own last write: the server lags."""
        return link.written_within(LONGEST_LAG, self.now) and "" != version < link.version

    def settling(self, link: Link) -> bool:
        """Written so recently that "not found" may be the answer of a server that lags."""
        return link.written_within(SETTLING, self.now)

    @cached_property
    def appointment_times(self) -> Mapping[Span, Span]:
        """The times of the user's appointments where blocks are made, and of their mirrors.

        By each of them, the time of the appointment.
        """
        found = [
            appointment
            for appointment in self.appointments.values()
            if not appointment.cancelled
            and self.user_id in appointment.event.user_ids
            and appointment.event.span.overlaps(self.block_window, self.zone)
        ]
        own = {one.event.span: one.event.span for one in found}
        mirrors = {
            self.drafts[one.id].span: one.event.span for one in found if one.id in self.drafts
        }
        return mirrors | own

    def past(self, span: Span) -> bool:
        """The span has ended."""
        return span.instants(self.zone)[1] <= self.now


def found_mirror(view: View, event_id: str, calendar: str, span: Span) -> MirrorLink:
    """A link for a mirror that had none; it is stored once the mirror has been deleted."""
    return MirrorLink(
        *view.place(calendar),
        appointment_id=event_id,
        mirror_id=event_id,
        span=span,
        generation=1,
        state=LinkState.LIVE,
    )


def found_block(view: View, block: BlockSeen) -> BlockLink:
    """The same for a block; its calendar is not known."""
    return BlockLink(
        *view.place(""),
        source=Source(block.event_id),
        block_id=block.event_id,
        span=block.span,
        generation=1,
        state=LinkState.LIVE,
    )
