"""Rules 5 to 8: from the account's busy time to blocks in Welkin."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from calendar_sync.config.settings import BlockTime, Settings
from calendar_sync.core.model import (
    STANDING,
    WITHOUT_BLOCK,
    BlockLink,
    CalendarEvent,
    ChangeLink,
    Conflict,
    ConflictDecision,
    ConflictKind,
    CreateBlock,
    DeleteBlock,
    Direction,
    LinkState,
    Meeting,
    Removed,
    Row,
    Source,
    Span,
    Step,
    Tombstone,
    UpdateBlock,
)
from calendar_sync.planner.buffers import block_span
from calendar_sync.planner.busy import why_not_busy
from calendar_sync.planner.duplicates import Duplicates
from calendar_sync.planner.guard import guarded
from calendar_sync.planner.meetings import Beside, covered, kept_after
from calendar_sync.planner.mirror_text import block_title
from calendar_sync.planner.mirrors import Decision, left_behind, restored_too_often
from calendar_sync.planner.snapshot import CalendarView, Doubt, View

_LISTED = frozenset({LinkState.LIVE, LinkState.INTENT, LinkState.SHARED})
_NO_BLOCK = WITHOUT_BLOCK | {LinkState.INTENT, LinkState.DELETED}


def plan_blocks(view: View, settings: Settings) -> Iterator[Decision]:
    """One block for each busy instance of a calendar that counts, none for anything else."""
    if not view.direction.writes_welkin:
        links = view.live(BlockLink)
        for link in links:
            if link.block_id in view.absent:
                yield _change("block_gone", link, LinkState.DELETED)
        for link in view.block_links.values():
            if link.state is LinkState.SHARED:
                yield _change("not_in_direction", link, LinkState.DELETED)
        yield from left_behind(view, (one for one in links if one.block_id not in view.absent))
        return
    busy = {calendar.name for calendar in view.calendars if calendar.counts_as_busy}
    for link in view.live(BlockLink):
        wanted = settings.block_time.enabled and link.calendar in busy
        yield from guarded(Step.UPDATE_BLOCK, link.source, _live(view, link, wanted=wanted))
    for link in view.block_links.values():
        wanted = settings.block_time.enabled and link.calendar in busy
        yield from guarded(Step.UPDATE_BLOCK, link.source, _known(view, link, wanted=wanted))
    if not settings.block_time.enabled:
        return
    duplicates = Duplicates(view, settings)
    yield from _all_calendars(view, settings, duplicates)
    if duplicates.held:
        yield Conflict(ConflictKind.DUPLICATES, Source(view.user_id), ConflictDecision.HELD)


def _all_calendars(view: View, settings: Settings, duplicates: Duplicates) -> Iterator[Decision]:
    """The busy calendars one after the other: a meeting in several of them has one block."""

    def planned(calendar: CalendarView, beside: Beside) -> tuple[Decision, ...]:
        return tuple(_CalendarBlocks(view, settings, calendar, duplicates, beside).plan())

    busy = [calendar for calendar in view.calendars if calendar.counts_as_busy]
    # What a later one has must be known first: it is planned as if it were alone.
    alone = [kept_after(view, one.name, planned(one, Beside()), new=False) for one in busy[1:]]
    before: dict[Meeting, BlockLink | None] = {}
    for number, calendar in enumerate(busy):
        after = {meeting: link for kept in alone[number:] for meeting, link in kept.items()}
        decisions = planned(calendar, Beside(before, after))
        before |= kept_after(view, calendar.name, decisions)
        yield from decisions


def _live(view: View, link: BlockLink, *, wanted: bool) -> Iterator[Decision]:
    if view.past(link.span) and not link.span.overlaps(view.block_window, view.zone):
        if not _moved_out_of_the_past(view, link):
            yield _change("left_the_window", link, LinkState.RETIRED)
    elif not wanted:
        yield from _remove(view, link, "not_wanted_by_settings")


def _known(view: View, link: BlockLink, *, wanted: bool) -> Iterator[Decision]:
    if not wanted:
        yield from _forget(view, link)
    ended = link.state in {LinkState.LIVE, LinkState.RETIRED} and view.past(link.span)
    outside = ended and not link.span.overlaps(view.block_window, view.zone)
    if outside and _moved_out_of_the_past(view, link):
        yield DeleteBlock("block_edited", link)


def _forget(view: View, link: BlockLink) -> Iterator[Decision]:
    """The settings no longer want blocks of this calendar: what was begun or held ends, too."""
    if link.state is LinkState.INTENT:
        yield from _remove(view, link, "not_wanted_by_settings")
    elif link.state in WITHOUT_BLOCK:
        yield _change("not_wanted_by_settings", replace(link, block_id=""), LinkState.DELETED)


def _moved_out_of_the_past(view: View, link: BlockLink) -> bool:
    """A person has moved a past block to where it takes time again."""
    seen = view.blocks.get(link.block_id)
    if seen is None or seen.cancelled or seen.hash == link.block_hash:
        return False
    if view.outdated(link, seen.version):
        return False
    return seen.span.overlaps(view.block_window, view.zone)


def why_no_block(view: View, rules: BlockTime, event: CalendarEvent) -> str | None:
    """The rule by which an event of a busy calendar gets no block; None when it gets one.

    Of a series that is too long, only the instances that `nearest` chooses get one.
    """
    objection = why_not_busy(event, rules, view.zone)
    if objection is None and not block_span(event, rules).overlaps(view.block_window, view.zone):
        return "outside_window"
    return objection


def nearest(
    view: View, rules: BlockTime, wanted: Mapping[Source, CalendarEvent]
) -> dict[Source, CalendarEvent]:
    """Of a series that is too long: so many instances, those nearest to now."""

    def distance(event: CalendarEvent) -> float:
        return abs((_start(view, event) - view.now).total_seconds())

    chosen = sorted(wanted.values(), key=distance)[: rules.instances_per_series]
    return {event.source: event for event in chosen}


class _CalendarBlocks:
    """The blocks of one calendar: what should be there against what is linked."""

    def __init__(
        self,
        view: View,
        settings: Settings,
        calendar: CalendarView,
        duplicates: Duplicates,
        beside: Beside,
    ) -> None:
        self.view = view
        self.beside = beside
        self.duplicates = duplicates
        self.rules = settings.block_time
        self.calendar = calendar
        self._partial = calendar.partial_series
        self._rows: dict[str, list[Row]] = {}
        self._living = {event.series_id for event in calendar.living.values()}

    def plan(self) -> Iterator[Decision]:
        for event_id in self.calendar.denied:
            yield Doubt(Source(event_id))
        singles, series = self._groups()
        links = self._links_in_reach(singles, series)
        for event_id, event in singles.items():
            decisions = self._group(event_id, [event], links.pop(event_id, []))
            yield from guarded(Step.CREATE_BLOCK, event.source, decisions)
        for series_id, instances in series.items():
            decisions = self._group(series_id, instances, links.pop(series_id, []))
            yield from guarded(Step.CREATE_BLOCK, Source(series_id), decisions)
        for series_id, rows in self._rows.items():
            if series_id in self._partial:
                decisions = self._alone(rows, links.pop(series_id, []))
                yield from guarded(Step.CREATE_BLOCK, Source(series_id), decisions)
        for source_id, left in links.items():
            yield from guarded(Step.DELETE_BLOCK, Source(source_id), self._match({}, left))

    def _group(
        self, source_id: str, events: Iterable[Row], links: list[BlockLink]
    ) -> Iterator[Decision]:
        """One event, or the instances of one series."""
        wanted = self._busy(events)
        if len(wanted) > self.rules.instances_per_series:
            wanted = nearest(self.view, self.rules, wanted)
            yield Conflict(
                ConflictKind.SERIES_TOO_LONG, Source(source_id), ConflictDecision.NEAREST_ONLY
            )
        yield from self._match(wanted, links)

    def _alone(self, rows: Iterable[Row], links: list[BlockLink]) -> Iterator[Decision]:
        """Instances of a series whose set is not known: each is decided about on its own."""
        yield from self._match(self._busy(rows), links)

    def _groups(self) -> tuple[dict[str, Row], dict[str, Iterable[Row]]]:
        """Events of this read that stand alone, and complete sets of series, by id."""
        singles: dict[str, Row] = {}
        series: dict[str, list[Row]] = defaultdict(list)
        complete: dict[str, Iterable[Row]] = {
            series_id: found.instances
            for series_id, found in self.calendar.series.items()
            if found.known
        }
        for event in self.calendar.events.values():
            if not self.view.is_external(event, self.calendar):
                continue
            if event.series_id:
                series[event.series_id].append(event)
            elif event.id not in {*complete, *self._partial} and not event.is_master:
                singles[event.id] = event
        if self.calendar.full:
            complete = {**series, **complete}
        self._rows = {key: rows for key, rows in series.items() if key not in complete}
        return singles, complete

    def _links_in_reach(
        self, singles: Mapping[str, object], series: Mapping[str, object]
    ) -> dict[str, list[BlockLink]]:
        """Links that this read can decide about, by series or event id.

        A list of changes decides only about its own events and series, a full read about all.
        """
        reach: dict[str, list[BlockLink]] = defaultdict(list)
        for (calendar, source), link in self.view.block_links.items():
            if calendar != self.calendar.name or link.event_id in self.calendar.undecided:
                continue
            if source.id in self._partial and source.id not in series:
                if self._shown(link):
                    reach[source.id].append(link)
                continue
            part_of_read = (
                source.id in series
                or (source.id in singles and not source.original_start)
                or link.event_id in self.calendar.gone
            )
            if part_of_read or (self.calendar.full and self._must_be_listed(link)):
                reach[source.id].append(link)
        return reach

    def _shown(self, link: BlockLink) -> bool:
        """This read shows the instance, or that it is gone; its series is not known as a whole."""
        calendar, series = self.calendar, link.source.id
        rows = self._rows.get(series, [])
        if link.event_id in calendar.events.keys() | calendar.gone:
            return True
        if any(row.source == link.source for row in rows):
            return True
        master, found = calendar.events.get(series), calendar.series.get(series)
        missing = found is not None and found.missing
        if isinstance(master, Removed):
            return missing or isinstance(master, Tombstone)
        if not missing or any(isinstance(row, CalendarEvent) for row in rows):
            return False
        # There is no such series: the instance that was read by its id counts for the others.
        return not any(
            other.source.id == series and other.event_id in calendar.undecided
            for other in self.view.block_links.values()
        )

    def _must_be_listed(self, link: BlockLink) -> bool:
        return link.state in _LISTED and link.span.overlaps(self.view.block_window, self.view.zone)

    def _busy(self, events: Iterable[Row]) -> dict[Source, CalendarEvent]:
        return {
            event.source: event
            for event in events
            if isinstance(event, CalendarEvent)
            and why_no_block(self.view, self.rules, event) is None
        }

    def _match(
        self, wanted: dict[Source, CalendarEvent], links: list[BlockLink]
    ) -> Iterator[Decision]:
        """Keep what fits, pair vanished events with new ones in order of time, add, delete."""
        by_source = {link.source: link for link in links}
        new = []
        for source, event in wanted.items():
            link = by_source.pop(source, None)
            none = link is None or link.state in _NO_BLOCK
            interrupted = link is not None and link.state is LinkState.INTENT
            if none and not interrupted and self.duplicates.holds(event):
                yield from self._hold(event, link)
            elif covered(self.view, self.rules, event, link, self.beside):
                yield from self._share(event, link)
            elif link is None or none:
                new.append((event, link))
            elif link.state is LinkState.DISMISSED:
                if self._span(event) != link.span:
                    new.append((event, link))
            else:
                yield from self._keep(event, link)
        for link in by_source.values():
            if link.state in WITHOUT_BLOCK and not self._only_not_found(link):
                yield _change("no_block_wanted", link, LinkState.DELETED)
        left = [
            link
            for link in by_source.values()
            if link.state not in WITHOUT_BLOCK and self._must_be_listed(link)
        ]
        left.sort(key=lambda link: link.span.instants(self.view.zone))
        new.sort(key=lambda pair: _start(self.view, pair[0]))
        while new and left and _movable(left[0], new[0], self.view):
            link, (event, _) = left.pop(0), new.pop(0)
            yield self._update(event, link, "instance_moved")
        for event, link in new:
            yield self._create(event, link)
        for link in left:
            yield from self._vanished(link)

    def _only_not_found(self, link: BlockLink) -> bool:
        """Not found by its id, which may be the answer of a calendar that fails for a while.

        No later list of changes would tell of the event; a full read decides.
        """
        seen = (self.calendar.events.get(key) for key in (link.event_id, link.source.id))
        known = any(isinstance(row, Removed) for row in seen) or self.calendar.full
        return link.event_id in self.calendar.gone and not known

    def _keep(self, event: CalendarEvent, link: BlockLink) -> Iterator[Decision]:
        view = self.view
        seen = view.blocks.get(link.block_id)
        lagging = seen is not None and view.outdated(link, seen.version)
        if lagging or (link.block_id in view.absent and view.settling(link)):
            yield Doubt(link.source)
            return
        lost = link.block_id in view.absent or (seen is not None and seen.cancelled)
        edited = lost or (seen is not None and seen.hash != link.block_hash)
        span = self._span(event)
        # A past block may be edited, unless the edit takes time in the future.
        over = view.past(span) and (lost or seen is None or view.past(seen.span))
        own = seen is not None and seen.span == span and not lost
        content, uid = self._content(event), view.identity.event_uid(event)
        if edited and own and content != link.wanted_hash:
            # Most likely our own write whose answer was lost: no conflict.
            yield self._update(event, link, "changed")
        elif edited and not over:
            yield from self._damaged(event, link, lost=lost)
        elif content != link.wanted_hash or span != link.span:
            yield self._update(event, link, "changed")
        elif link.state is LinkState.RETIRED:
            yield _change("back_in_the_window", link, LinkState.LIVE)
        elif uid not in ("", link.event_uid):
            yield ChangeLink("identified", replace(link, event_uid=uid))

    def _damaged(self, event: CalendarEvent, link: BlockLink, *, lost: bool) -> Iterator[Decision]:
        """A person edited or deleted the block in Welkin (rule 8)."""
        view = self.view
        seen = view.blocks.get(link.block_id)
        decision = ConflictDecision.RESTORED
        if view.direction is Direction.BIDIRECTIONAL and self.rules.block_edited == "accept":
            decision = ConflictDecision.ACCEPTED
        elif restored_too_often(view, link):
            decision = ConflictDecision.PARKED
        if decision is ConflictDecision.RESTORED:
            step = self._create(event, link) if lost else self._update(event, link, "")
            yield replace(step, reason="block_edited", restore=True)
        elif lost or seen is None:
            yield _change("block_edited", link, LinkState.DISMISSED)
        else:
            yield ChangeLink("block_edited", replace(link, block_hash=seen.hash))
        # One way, a restored block is not shown; one that is left as it is, is shown.
        if view.direction is Direction.BIDIRECTIONAL or decision is ConflictDecision.PARKED:
            yield Conflict(ConflictKind.BLOCK_EDITED, link.source, decision)

    def _hold(self, event: CalendarEvent, link: BlockLink | None) -> Iterator[ChangeLink]:
        """Remember the duplicate at its own time, without a block."""
        if link is None or link.state is not LinkState.DUPLICATE or link.span != event.span:
            place = self.view.place(self.calendar.name)
            link = link or BlockLink(*place, source=event.source, span=event.span)
            held = replace(link, span=event.span, event_id=event.id)
            yield _change("twin", held, LinkState.DUPLICATE)

    def _share(self, event: CalendarEvent, link: BlockLink | None) -> Iterator[Decision]:
        """The meeting needs no block of this calendar."""
        span, uid = self._span(event), self.view.identity.event_uid(event)
        place = self.view.place(self.calendar.name)
        known = link or BlockLink(*place, source=event.source, span=span)
        shared = replace(known, span=span, event_id=event.id, event_uid=uid, state=LinkState.SHARED)
        if link is not None and link.state in STANDING:
            yield from _remove(self.view, link, "shared", then=shared)
        elif shared != link:
            yield ChangeLink("shared", shared)

    def _vanished(self, link: BlockLink) -> Iterator[Decision]:
        """The instance is no longer there, or no longer busy."""
        events = self.calendar.events
        event, master = events.get(link.event_id), events.get(link.source.id)
        found = self.calendar.series.get(link.source.id)
        if any(isinstance(row, Removed) for row in (event, master)):
            reason, absence = "event_deleted", False
        elif found is not None and found.known:
            listed = any(instance.id == link.event_id for instance in found.instances)
            reason, absence = "not_busy" if listed else "instance_gone", False
        elif event is not None:
            reason, absence = "not_busy", False
        elif found is not None:
            # The series shows nothing, or is not there, and the instance itself is not found.
            reason, absence = "instance_gone", True
        elif not self.calendar.full:
            # Not found, but the list of changes does not mention it: one of them is wrong.
            yield Doubt(link.source)
            return
        else:
            # Not found by its id. If its series has other instances, the series has changed.
            alive = link.source.id in self._living
            reason, absence = "instance_gone" if alive else "event_gone", not alive
        yield from _remove(self.view, link, reason, absence=absence)

    def _create(self, event: CalendarEvent, link: BlockLink | None) -> CreateBlock:
        span, content = self._span(event), self._content(event)
        return CreateBlock("busy", event, span, content, self.calendar.name, link)

    def _update(self, event: CalendarEvent, link: BlockLink, reason: str) -> UpdateBlock:
        return UpdateBlock(reason, event, self._span(event), self._content(event), link)

    def _span(self, event: CalendarEvent) -> Span:
        return block_span(event, self.rules)

    def _content(self, event: CalendarEvent) -> str:
        """Names what the block of this event should be."""
        span, write = self._span(event), ""
        if span.all_day:
            # Days are written as moments: if the user's zone changes, the block changes, too.
            span, write = Span(*span.instants(self.view.zone)), self.rules.all_day_write
        return self.view.identity.hash("block", str(span), block_title(event, self.rules), write)


def _movable(link: BlockLink, pair: tuple[CalendarEvent, BlockLink | None], view: View) -> bool:
    """The block is still in Welkin, and the new instance has no link of its own."""
    seen = view.blocks.get(link.block_id)
    lost = link.block_id in view.absent or (seen is not None and seen.cancelled)
    return link.state is LinkState.LIVE and pair[1] is None and not lost


def _remove(
    view: View,
    link: BlockLink,
    reason: str,
    *,
    absence: bool = False,
    then: BlockLink | None = None,
) -> Iterator[Decision]:
    seen = view.blocks.get(link.block_id)
    if link.block_id in view.absent and view.settling(link):
        yield Doubt(link.source)  # written a moment ago: it may exist
    elif link.block_id in view.absent or (seen is not None and seen.cancelled):
        yield ChangeLink(reason, then or replace(link, state=LinkState.DELETED))
    else:
        yield DeleteBlock(reason, link, absence, then)


def _change(reason: str, link: BlockLink, state: LinkState) -> ChangeLink:
    return ChangeLink(reason, replace(link, state=state))


def _start(view: View, event: CalendarEvent) -> datetime:
    return event.span.instants(view.zone)[0]
