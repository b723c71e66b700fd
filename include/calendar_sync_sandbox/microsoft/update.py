"""PATCH of an event, of a series, or of one occurrence.

https://learn.microsoft.com/graph/api/event-update
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from calendar_sync_sandbox.microsoft import writes
from calendar_sync_sandbox.microsoft.errors import GraphError, bad_property
from calendar_sync_sandbox.microsoft.store import Change
from calendar_sync_sandbox.microsoft.times import read_span

if TYPE_CHECKING:
    from calendar_sync_sandbox.microsoft.store import Mailbox, Version
    from calendar_sync_sandbox.microsoft.times import Json, Span
    from calendar_sync_sandbox.microsoft.world import MicrosoftWorld

TIMES = ("start", "end", "isAllDay")
NEIGHBOURS = timedelta(days=370)


def patch(
    world: MicrosoftWorld, mailbox: Mailbox, version: Version, day: date | None, sent: Json
) -> Version:
    """Carry a PATCH out and return the new state of the event or of the series.

    Raises:
        GraphError: 400 with the reason.
    """
    writes.check_names(sent, creating=False)
    fields = writes.read_fields(sent)
    properties = writes.read_properties(sent)
    if day is not None:
        if sent.get("recurrence") is not None:
            raise bad_property("One occurrence has no recurrence.")
        change = _changed(world, version, day, sent)
        change.fields.update(fields)
        change.properties.update(properties)
        return world.keep_exception(mailbox, version, day, change)
    span = version.span
    if any(name in sent for name in TIMES):
        span = read_span(sent, version.span)
    new = {**version.fields, **fields}
    if "recurrence" in sent:
        new["recurrence"], span = writes.settled(sent["recurrence"], span)
    elif version.is_series and span != version.span:
        # The pattern stays; the range begins where the series now does.
        rule = version.fields["recurrence"]
        spread = {**rule["range"], "startDate": span.first_day.isoformat()}
        new["recurrence"], span = writes.begun({**rule, "range": spread}, span)
    return world.rewrite(mailbox, version, new, span, {**version.properties, **properties})


def _changed(world: MicrosoftWorld, version: Version, day: date, sent: Json) -> Change:
    """Start from what an occurrence is now, at the times that were sent."""
    instance = version.instance(day)
    if instance is None:
        raise GraphError(404)
    span = instance.span
    if any(name in sent for name in TIMES):
        span = read_span(sent, span)
        _check_neighbours(version, day, span)
    old = instance.change
    fields = dict(old.fields) if old else {}
    properties = dict(old.properties) if old else {}
    return Change(fields, span, world.clock.now(), properties)


def _check_neighbours(version: Version, day: date, span: Span) -> None:
    """Refuse an occurrence that would pass the one before or after it, or share its day."""
    around = (span.start - NEIGHBOURS, span.start + NEIGHBOURS)
    first, last = span.start.astimezone(version.span.zone).date(), span.end
    for other in version.instances(*around):
        if other.day == day:
            continue
        held = other.span.start.astimezone(version.span.zone).date()
        crosses = held >= first if other.day < day else held <= first or last > other.span.start
        if crosses:
            raise GraphError(
                400,
                "ErrorOccurrenceCrossingBoundary",
                "Modified occurrence is crossing or overlapping adjacent occurrence.",
            )
