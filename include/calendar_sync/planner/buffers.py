"""The time of a block: that of its event, and the buffers around it (rule 7)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import compress, product

from calendar_sync.config.buffers import Buffer
from calendar_sync.config.settings import BlockTime
from calendar_sync.core.model import CalendarEvent, Span


@dataclass(frozen=True)
class Around:
    """Minutes before and after an event that its block takes, too."""

    before: int
    after: int

    def widen(self, span: Span) -> Span:
        """The time of the block. Whole days stay, and so do times at the ends of all time."""
        if not (isinstance(span.start, datetime) and isinstance(span.end, datetime)):
            return span
        try:
            start = span.start - timedelta(minutes=self.before)
            return Span(start, span.end + timedelta(minutes=self.after))
        except OverflowError:
            return span


def around(event: CalendarEvent, rules: BlockTime) -> Around:
    """Of the buffers that apply to the event, the longest before and the longest after."""
    return _longest(_applying(event, rules))


def block_span(event: CalendarEvent, rules: BlockTime) -> Span:
    """The time that the event's block has."""
    return around(event, rules).widen(event.span)


def possible(rules: BlockTime) -> set[Around]:
    """Whatever may be around an event of which only the time is known."""
    buffers = rules.buffers
    some = (buffers.with_place, buffers.online, buffers.out_of_office)
    return {
        _longest((buffers.every_event, *compress(some, chosen)))
        for chosen in product((False, True), repeat=len(some))
    }


def _applying(event: CalendarEvent, rules: BlockTime) -> Iterator[Buffer]:
    buffers = rules.buffers
    yield buffers.every_event
    if event.has_place:
        yield buffers.with_place
    if event.online:
        yield buffers.online
    if event.out_of_office:
        yield buffers.out_of_office


def _longest(buffers: Iterable[Buffer]) -> Around:
    found = [(one.before_minutes, one.after_minutes) for one in buffers]
    return Around(max(before for before, _ in found), max(after for _, after in found))
