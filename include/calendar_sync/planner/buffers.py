"""The times of blocks and mirrors: those of their sources, and the buffers around them.

Blocks: rule 7. Mirrors: rule 4.
"""

from collections.abc import Iterable, Iterator
from itertools import compress, product

from calendar_sync.config.buffers import Buffer
from calendar_sync.config.sections import matches
from calendar_sync.config.settings import BlockTime, MirrorContent
from calendar_sync.core.model import NOTHING_AROUND, Appointment, Around, CalendarEvent, Span


def around(event: CalendarEvent, rules: BlockTime) -> Around:
    """Of the buffers that apply to the event, the longest before and the longest after."""
    return _longest(_applying(event, rules))


def block_span(event: CalendarEvent, rules: BlockTime) -> Span:
    """The time that the event's block has."""
    return around(event, rules).widen(event.span)


def around_visit(appointment: Appointment, content: MirrorContent) -> Around:
    """What the mirror has around the appointment: of buffers that apply, the longest."""
    buffers, name = content.buffers, appointment.type_name
    some = (one for pattern, one in buffers.types.items() if matches(name, (pattern.strip(),)))
    found = _longest((buffers.every_visit, *some))
    span = appointment.event.span
    # What cannot be longer has nothing around it.
    return found if found.widen(span) != span else NOTHING_AROUND


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
