"""What the planner looks at: both sides of one (user, platform) as one cycle has read them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from calendar_sync.core.model import (
    SETTLING,
    Appointment,
    CalendarEvent,
    Direction,
    Draft,
    Link,
    LinkKind,
    LinkState,
    Platform,
    SeriesSet,
    Source,
    Span,
    Window,
    exceeds,
)

# What is older than our own last write can be told from a newer edit, and is doubted for longer
# than what is merely not found.
LONGEST_LAG = timedelta(minutes=10)


@dataclass(frozen=True)
class Doubt:
    """An item that was read older than we wrote it: not decided now, looked at again."""

    source: Source


@dataclass(frozen=True)
class BlockSeen:
    """A block as Welkin showed it: its time, the hash of its content, cancelled or not.

    `external_id` is there where it is one that we gave.
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
    `series` are complete instance sets of touched series, `gone` are event ids that a GET has
    confirmed as missing, `fetched` those that a GET has returned. `denied` are those that a list
    has shown alive and a GET has not found, and events and series that the server would not show:
    they are looked at again. `closed` are those that it has not shown three times, `unreadable`
    those that are there and of which nothing else is known. `events` lacks all three, and nothing
    is decided about them.
    `hashes` are of mirrors, and of whatever has our marker, by event id. `ours` are ids of events
    with our marker.
    """

    name: str
    holds_mirrors: bool
    counts_as_busy: bool
    full: bool
    events: Mapping[str, CalendarEvent]
    series: Mapping[str, SeriesSet] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    fetched: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()
    hashes: Mapping[str, str] = field(default_factory=dict)
    ours: frozenset[str] = frozenset()
    unreadable: frozenset[str] = frozenset()

    @cached_property
    def undecided(self) -> frozenset[str]:
        """Events and series of which nobody knows now what they are."""
        instances = (one for found in self.series.values() for one in found.instances)
        unread = {one.id for one in instances if one.unreadable}
        return self.denied | self.closed | self.unreadable | unread

    @cached_property
    def partial_series(self) -> frozenset[str]:
        """Series of which single instances may be known, and the whole set is not."""
        unknown = {key for key, found in self.series.items() if not found.known}
        return self.denied | self.closed | unknown

    def tombstone(self, event_id: str) -> CalendarEvent | None:
        """What says that the event was deleted; None where it is merely not found.

        Where lists also say so of what has left their window, only both together are proof.
        """
        event = self.events.get(event_id)
        if event is None or not event.deleted or event.unread != (event_id in self.gone):
            return None
        return event


@dataclass(frozen=True)
class View:
    """Everything that one plan depends on.

    `appointments` holds every appointment of the complete window read, and those fetched by id.
    `absent` are Welkin ids that a GET has confirmed as missing. `drafts` are the mirrors' contents
    by appointment id, `block_hash` tells what the block of an external event should be. `approved`
    are digests of actions that a person has approved, `level` the detail level allowed now,
    `unreadable` Welkin ids of which only the id could be read: nothing is decided about them.
    `written_back` are appointments that edits of mirrors have changed within a day;
    `encounters_move` says that this Welkin has been shown to let encounters be rescheduled.
    `claimed_elsewhere` are blocks of the user's other platform and mirrors of other users; `alone`
    says that all of those blocks are known. `marker` tells the mark of an appointment's mirror,
    `external_ids` all ids that a block of an external event in a calendar may have been given,
    `made` are events that the record names as mirrors of this user.
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
    block_hash: Callable[[CalendarEvent], str]
    marker: Callable[[str], str]
    external_ids: Callable[[str, Source], frozenset[str]]
    event_uid: Callable[[CalendarEvent], str]
    level: str
    unreadable: frozenset[str] = frozenset()
    approved: frozenset[str] = frozenset()
    written_back: frozenset[str] = frozenset()
    encounters_move: bool = False
    claimed_elsewhere: frozenset[str] = frozenset()
    alone: bool = True
    made: frozenset[str] = frozenset()

    @cached_property
    def mirror_links(self) -> dict[str, Link]:
        """Mirror links by appointment id."""
        return {link.source.id: link for link in self.links if link.kind is LinkKind.MIRROR}

    @cached_property
    def block_links(self) -> dict[tuple[str, Source], Link]:
        """Block links by calendar and source."""
        return {
            (link.calendar, link.source): link for link in self.links if link.kind is LinkKind.BLOCK
        }

    @cached_property
    def mirror_ids(self) -> frozenset[str]:
        """Remote ids of all mirrors that ever were: none of them is an external event."""
        return frozenset(link.remote_id for link in self.mirror_links.values())

    def live(self, kind: LinkKind, calendar: str | None = None) -> list[Link]:
        """Live links of one kind (in one calendar)."""
        return [
            link
            for link in self.links
            if link.kind is kind
            and link.state is LinkState.LIVE
            and (calendar is None or link.calendar == calendar)
        ]

    @cached_property
    def standing_mirrors(self) -> list[Link]:
        """Mirrors that are there, or may be: an interrupted creation counts."""
        states = {LinkState.LIVE, LinkState.INTENT}
        return [link for link in self.mirror_links.values() if link.state in states]

    @cached_property
    def closed_mirrors(self) -> dict[str, Link]:
        """Links whose mirrors we have removed, by the mirrors' ids."""
        closed = {
            link.remote_id: link
            for link in self.links
            if link.kind is LinkKind.MIRROR and link.state is LinkState.DELETED
        }
        for link in self.mirror_links.values():
            if link.state is not LinkState.DELETED:
                closed.pop(link.remote_id, None)
        closed.pop("", None)
        return closed

    @cached_property
    def mirror_by_mark(self) -> dict[str, Link]:
        """Links by the marks that their mirrors carry: there, past, or removed."""
        return {
            self.marker(link.source.id): link
            for link in self.mirror_links.values()
            if link.state in {LinkState.LIVE, LinkState.RETIRED, LinkState.DELETED}
        }

    @cached_property
    def appointment_by_mark(self) -> dict[str, Appointment]:
        """Appointments that were read, by the marks that their mirrors carry."""
        return {self.marker(one.id): one for one in self.appointments.values()}

    @cached_property
    def unlinked(self) -> dict[str, list[CalendarEvent]]:
        """Events with our marker where mirrors go, alive and of no link, by that marker."""
        found: dict[str, list[CalendarEvent]] = {}
        for calendar in self.calendars:
            for event_id in calendar.ours if calendar.holds_mirrors else ():
                event = calendar.events[event_id]
                single = event.series_id is None and not event.deleted and event.span is not None
                if single and event.marker and event_id not in self.mirror_ids:
                    found.setdefault(event.marker, []).append(event)
        return found

    def is_external(self, event: CalendarEvent, calendar: CalendarView) -> bool:
        """Neither our marker nor a mirror link, nor an instance of a mirror that was repeated."""
        own = event.id in self.mirror_ids or event.series_id in self.mirror_ids
        return not own and event.id not in calendar.ours

    @cached_property
    def talkative_mirrors(self) -> list[Link]:
        """Retired mirrors that show more than is allowed now."""
        return [
            link
            for link in self.mirror_links.values()
            if link.state is LinkState.RETIRED and exceeds(link.level, self.level)
        ]

    def outdated(self, link: Link, version: str) -> bool:
        """What was read is older than our own last write: the server lags behind itself."""
        return link.written_within(LONGEST_LAG, self.now) and "" != version < link.version

    def settling(self, link: Link) -> bool:
        """Written so recently that its absence may be a lagging answer, too."""
        return link.written_within(SETTLING, self.now)

    @cached_property
    def twin_times(self) -> frozenset[Span]:
        """The times of the user's appointments where blocks are made."""
        return frozenset(
            appointment.event.span
            for appointment in self.appointments.values()
            if not appointment.cancelled
            and self.user_id in appointment.event.user_ids
            and appointment.event.span.overlaps(self.block_window, self.zone)
        )

    def past(self, span: Span) -> bool:
        """The span has ended."""
        return span.instants(self.zone)[1] <= self.now


def row_of(view: View, kind: LinkKind, remote_id: str, calendar: str, span: Span) -> Link:
    """A row for something that had none; it is stored once the removal has been done."""
    return Link(
        kind=kind,
        user_id=view.user_id,
        platform=view.platform,
        account=view.account,
        calendar=calendar,
        source=Source(remote_id),
        generation=1,
        state=LinkState.LIVE,
        remote_id=remote_id,
        span=span,
    )
