"""What a series of Google's promises in a window."""

from collections.abc import Mapping
from typing import Any

from calendar_sync.google.parse import parse_event
from calendar_sync.model import Window
from calendar_sync.recurrence import promises


def may_have_instances(row: Any, window: Window) -> bool:
    """False only when the series is deleted, or its rule gives nothing in the window."""
    event = parse_event(row)
    if event is None or event.deleted:
        return False
    lines = row.get("recurrence") if isinstance(row, Mapping) else None
    if event.span is None or not isinstance(lines, list):
        return True
    return promises([str(line) for line in lines], event.span, window)
