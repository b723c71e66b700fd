"""What a cycle must still read before it can plan.

An item counts as missing only after a GET by its id. When one instance of a series changes, the
whole series is read again, because calendars lose, omit and merge tombstones of instances.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from calendar_sync.core.model import (
    BlockLink,
    CalendarEvent,
    LinkState,
    LookUp,
    MirrorLink,
    Removed,
    Tombstone,
)
from calendar_sync.planner.snapshot import CalendarView, View

# The appointments of retired mirrors that show too much are read one by one, so many in a cycle.
TOO_DETAILED_A_CYCLE = 50
# Instances in these states follow what becomes of their series.
_LINKED = frozenset({LinkState.LIVE, LinkState.SHARED})
# Of a series that shows no instance although its rule has some, so many are read by their ids.
NEXT = 5


@dataclass(frozen=True)
class Questions:
    """Ids to GET in Welkin; per calendar, events to GET and series to read as a whole."""

    welkin_events: tuple[str, ...]
    calendar_events: Mapping[str, tuple[str, ...]]
    series: Mapping[str, tuple[str, ...]]

    @property
    def count(self) -> int:
        """Requests that the answers will cost at least."""
        asked = [*self.calendar_events.values(), *self.series.values()]
        return len(self.welkin_events) + sum(len(ids) for ids in asked)


def questions(view: View) -> Questions:
    """Ask for everything that a complete read lacks, and for series of which a part changed."""
    welkin: list[str] = []
    answered = view.appointments.keys() | view.blocks.keys() | view.absent | view.unreadable
    if view.direction.writes_calendar:
        welkin += _unanswered_mirrors(view, answered)
    for link in view.live(BlockLink):
        if link.block_id not in answered and link.span.overlaps(view.block_window, view.zone):
            welkin.append(link.block_id)
    events: dict[str, tuple[str, ...]] = {}
    series: dict[str, tuple[str, ...]] = {}
    for calendar in view.calendars:
        touched = _touched_series(view, calendar)
        if touched:
            series[calendar.name] = tuple(sorted(touched))
        missing = _missing_events(view, calendar)
        if missing:
            events[calendar.name] = tuple(sorted(missing))
    return Questions(tuple(sorted(set(welkin))), events, series)


def _unanswered_mirrors(view: View, answered: Set[str]) -> list[str]:
    """Appointments that were not read, of mirrors, and of retired mirrors that show too much."""
    asked = [
        link.appointment_id
        for link in view.standing_mirrors
        if link.appointment_id not in answered and link.span.overlaps(view.mirror_window, view.zone)
    ]
    too_detailed = [one for one in view.too_detailed_mirrors if one.appointment_id not in answered]
    room = max(0, TOO_DETAILED_A_CYCLE - len(view.too_detailed_mirrors) + len(too_detailed))
    return asked + [link.appointment_id for link in too_detailed[:room]]


def _without_block(view: View, calendar: CalendarView) -> list[BlockLink]:
    """Links of meetings here whose block no other calendar has any more, or may have no more."""
    if not view.direction.writes_welkin:
        return []
    kept = view.kept_somewhere - view.kept_in_doubt
    return [
        link
        for link in view.block_links.values()
        if link.state is LinkState.SHARED
        and link.calendar == calendar.name
        and link.meeting not in kept
        and link.span.overlaps(view.block_window, view.zone)
    ]


def _touched_series(view: View, calendar: CalendarView) -> set[str]:
    """Series of which a part came with this list of changes. A full read has every set already."""
    if calendar.full or not calendar.counts_as_busy:
        return set()
    by_event: dict[str, str] = {}
    linked: set[str] = set()
    for link in view.block_links.values():
        counts = link.calendar == calendar.name and link.state in _LINKED
        if counts and link.source.original_start:
            by_event[link.event_id] = link.source.id
            linked.add(link.source.id)
    touched = {
        link.source.id for link in _without_block(view, calendar) if link.source.original_start
    }
    for event in calendar.events.values():
        if not view.is_external(event, calendar):
            continue
        if event.series_id:
            touched.add(event.series_id)
        elif event.id in linked or event.is_master:
            touched.add(event.id)
        elif event.id in by_event:
            touched.add(by_event[event.id])
    return touched - calendar.series.keys() - calendar.undecided


def _of_doubtful_series(view: View, calendar: CalendarView) -> Iterator[str]:
    """Instances with blocks to read by their ids, where their series does not show them.

    - The series shows others: if one of these is still there, the list has lost rows.
    - The series shows none although its rule has some: they may have been deleted one by one.
    - The account has no such series (any more): the answer for the next instance counts for the
      others. If the user was invited to single instances, each of them is read.
    """
    for series, found in calendar.series.items():
        links = [
            link
            for link in view.live(BlockLink, calendar.name)
            if link.source.id == series and link.span.overlaps(view.block_window, view.zone)
        ]
        links.sort(key=lambda link: (view.past(link.span), *link.span.instants(view.zone)))
        master = calendar.events.get(series)
        if isinstance(master, Tombstone) or (isinstance(master, Removed) and found.missing):
            continue
        listed = {event.id for event in found.instances}
        ids = [link.event_id for link in links if link.event_id not in listed]
        asked = (calendar.gone | calendar.asked(LookUp.CONFIRMED)).intersection(ids)
        unread = [event_id for event_id in ids if event_id not in calendar.events]
        rows = any(event.series_id == series for event in calendar.events.values())
        if found.missing:
            yield from unread if asked or rows else unread[:1]
        elif not asked:
            lost = listed or not found.known
            yield from unread[: (1 if found.known else NEXT)] if lost else ()


def _events_of_blocks(view: View, calendar: CalendarView) -> set[str]:
    """What to read by id where a full read does not show the events of blocks.

    Of a series without any listed instance, the master is read first: its tombstone counts for all
    instances. If it is not found, the next instance is read, too, and counts for the others.
    """
    living = {event.series_id for event in calendar.living.values()}
    asked: set[str] = set()
    answered_for: set[str] = set()
    links = [
        link
        for link in view.live(BlockLink, calendar.name)
        if link.span.overlaps(view.block_window, view.zone)
    ]
    for link in sorted(links, key=lambda link: link.span.instants(view.zone)):
        series = link.source.id
        master = calendar.events.get(series)
        lives = series in living or series in calendar.living
        if lives or not link.source.original_start:
            asked.add(link.event_id)
        elif master is None and series not in calendar.gone:
            asked.add(series)
        elif master is None and series not in answered_for:
            answered_for.add(series)
            asked.add(link.event_id)
    return asked


def _missing_events(view: View, calendar: CalendarView) -> set[str]:
    """Events that a full read did not show although they have a link, or whose block is damaged."""
    mirrors = view.live(MirrorLink, calendar.name)
    unsure = {
        mirror.mirror_id
        for mirror in mirrors
        if isinstance(calendar.events.get(mirror.mirror_id), Removed)
    }
    # A mirror that a person has made a series is listed by its instances only.
    repeated = {event.series_id for event in calendar.events.values()}
    missing = {mirror.mirror_id for mirror in mirrors if mirror.mirror_id in repeated}
    if calendar.full:
        missing |= {m.mirror_id for m in mirrors if m.span.overlaps(view.list_window, view.zone)}
        missing |= _events_of_blocks(view, calendar)
    for link in view.block_links.values() if view.direction.writes_welkin else ():
        # An interrupted creation: the calendar may never mention this event again. And a duplicate
        # whose appointment has moved: it is not at the time of an appointment any more.
        waiting = link.state is LinkState.INTENT
        moved = link.state is LinkState.DUPLICATE and link.span not in view.appointment_times
        here = link.calendar == calendar.name and link.span.overlaps(view.block_window, view.zone)
        if (waiting or moved) and here:
            missing.add(link.event_id)
    for link in _without_block(view, calendar):
        # Instances come with their series, unless it cannot be read as a whole.
        if not link.source.original_start or link.source.id in calendar.partial_series:
            missing.add(link.event_id)
    for link in view.live(BlockLink, calendar.name):
        seen = view.blocks.get(link.block_id)
        damaged = link.block_id in view.absent or (
            seen is not None and (seen.cancelled or seen.hash != link.block_hash)
        )
        if damaged:
            missing.add(link.event_id)
    unsure.update(_unread(view, calendar))
    # Lists report events that left their window as deleted: each is confirmed by its id.
    confirmed = calendar.gone | calendar.asked(LookUp.CONFIRMED)
    missing |= set(_of_doubtful_series(view, calendar))
    asked = (missing - calendar.events.keys() - calendar.gone) | (unsure - confirmed)
    return asked - calendar.undecided


def _unread(view: View, calendar: CalendarView) -> Iterator[str]:
    """Events that matter here and that the list shows incompletely. A series is read as a whole."""
    partial = calendar.partial_series
    linked = {
        link.event_id
        for link in view.block_links.values()
        if not link.source.original_start or link.source.id in partial
    }
    for event in calendar.events.values():
        single = event.series_id in partial
        if (event.series_id and not single) or event.is_master:
            continue
        if isinstance(event, CalendarEvent):
            # A row without a version gives only the occurrence's time; the rest is in its series.
            bare = single and not event.version
            unsure = (event.unread or bare) and view.is_external(event, calendar)
        else:
            unsure = event.id in linked and not isinstance(event, Tombstone)
        if unsure:
            yield event.id
