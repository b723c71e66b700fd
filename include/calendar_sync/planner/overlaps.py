"""Visits that are booked over busy time (rule 8): they are listed, and nothing is changed.

An event at exactly the time of the visit, or of its mirror, does not count: it is a copy of it
(rule 5).
"""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime
from itertools import accumulate

from calendar_sync.config.settings import Settings
from calendar_sync.core.model import (
    Action,
    Appointment,
    Around,
    BlockLink,
    ChangeLink,
    CreateBlock,
    DeleteBlock,
    LinkState,
    Overlap,
    Span,
    UpdateBlock,
)
from calendar_sync.planner.buffers import possible
from calendar_sync.planner.snapshot import View

Time = tuple[datetime, datetime]


def overlaps(
    view: View, settings: Settings, visits: Iterable[Appointment], actions: Iterable[Action]
) -> tuple[Overlap, ...]:
    """Those of the visits that lie over a block, as it is once the actions are done."""
    rules, zone = settings.block_time, view.zone
    if not (rules.enabled and rules.report_overlaps and view.direction.writes_welkin):
        return ()
    buffers = possible(rules)
    busy = _Busy(span.instants(zone) for span in _blocks(view, actions))
    found = []
    for visit in visits:
        span = visit.event.span
        start, end = span.instants(zone)
        over = busy.over(start, end) if end > view.now else []
        if over and not _copies(view, visit, buffers).issuperset(over):
            found.append(Overlap(visit.id, end))
    return tuple(found)


def _copies(view: View, visit: Appointment, buffers: Iterable[Around]) -> set[Time]:
    """The times that the blocks of its copies may have."""
    draft = view.drafts.get(visit.id)
    spans = (visit.event.span, *([draft.span] if draft is not None else ()))
    return {one.widen(span).instants(view.zone) for span in spans for one in buffers}


class _Busy:
    """Times in order of their beginning, and how far those until then reach."""

    def __init__(self, times: Iterable[Time]) -> None:
        self._times = sorted(times)
        self._starts = [start for start, _ in self._times]
        self._reach: list[datetime] = list(accumulate((end for _, end in self._times), max))

    def over(self, start: datetime, end: datetime) -> list[Time]:
        """The times that overlap with this one."""
        count = bisect_left(self._starts, end)
        if not count or self._reach[count - 1] <= start:
            return []
        return [time for time in self._times[:count] if time[1] > start]


def _blocks(view: View, actions: Iterable[Action]) -> Iterable[Span]:
    found: dict[object, Span] = {link.id: link.span for link in view.live(BlockLink)}
    for action in actions:
        match action:
            case CreateBlock():
                found[action.calendar, action.source] = action.span
            case UpdateBlock():
                found[action.link.id] = action.span
            case DeleteBlock():
                found.pop(action.link.id, None)
            case ChangeLink(link=BlockLink() as link) if link.state is LinkState.LIVE:
                found[link.id] = link.span
            case ChangeLink():
                found.pop(action.link.id, None)
    return found.values()
