"""What a series of Google's promises in a window."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from calendar_sync.adapters.google.parse import parse_event
from calendar_sync.adapters.recurrence import promises
from calendar_sync.core.model import CalendarEvent, Removed, Window, zone_or_none


def may_have_instances(row: Any, window: Window) -> bool:
    """False only when the series is deleted, or its rule gives nothing in the window."""
    event = parse_event(row)
    if event is None or isinstance(event, Removed):
        return False
    lines = row.get("recurrence") if isinstance(row, Mapping) else None
    if not isinstance(event, CalendarEvent) or not isinstance(lines, list):
        return True
    start = row.get("start")
    name = start.get("timeZone") if isinstance(start, Mapping) else None
    zone = zone_or_none(name if isinstance(name, str) else None)
    if zone is None and not event.span.all_day:
        return True  # where its days are meant is not known
    return promises([str(line) for line in lines], event.span, window, zone or UTC)
