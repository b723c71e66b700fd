"""Does a recurrence rule promise anything in a window? Only to judge an empty answer."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from calendar_sync.google.parse import parse_event
from calendar_sync.model import Window


def may_have_instances(row: Any, window: Window) -> bool:
    """False only when the series is deleted, or its rule gives nothing in the window.

    Cancelled exceptions are not known here: a rule whose every instance was cancelled one by one
    counts as promising.
    """
    event = parse_event(row)
    if event is None or event.deleted:
        return False
    lines = row.get("recurrence") if isinstance(row, Mapping) else None
    if event.span is None or not isinstance(lines, list):
        return True
    start, end = event.span.instants(ZoneInfo("UTC"))
    length = max(end - start, timedelta(0))
    try:
        rule = rrulestr("\n".join(map(str, lines)), dtstart=start, forceset=True)
        first = rule.after(window.start - length - timedelta(days=1), inc=True)
    except (ValueError, TypeError):
        return True
    return isinstance(first, datetime) and first < window.end + timedelta(days=1)
