"""What a series of Microsoft's promises in a window.

https://learn.microsoft.com/graph/api/resources/patternedrecurrence
"""

from collections.abc import Mapping
from typing import Any

from calendar_sync.microsoft.parse import parse_event
from calendar_sync.model import Window
from calendar_sync.recurrence import promises

_FREQUENCIES = {
    "daily": "DAILY",
    "weekly": "WEEKLY",
    "absoluteMonthly": "MONTHLY",
    "relativeMonthly": "MONTHLY",
    "absoluteYearly": "YEARLY",
    "relativeYearly": "YEARLY",
}
_WEEKS = {"first": "1", "second": "2", "third": "3", "fourth": "4", "last": "-1"}


def may_have_instances(row: Any, window: Window) -> bool:
    """False only when there is no such series, or its rule gives nothing in the window."""
    event = parse_event(row)
    if event is None:
        return False
    recurrence = row.get("recurrence")
    if event.span is None or not isinstance(recurrence, Mapping):
        return True
    try:
        line = _rule(recurrence["pattern"], recurrence["range"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return True
    return promises([line], event.span, window)


def _rule(pattern: Mapping[str, Any], bounds: Mapping[str, Any]) -> str:
    """The same as RFC 5545 writes it."""
    parts = {"FREQ": _FREQUENCIES[pattern["type"]], "INTERVAL": str(pattern.get("interval") or 1)}
    days = [str(day)[:2].upper() for day in pattern.get("daysOfWeek") or ()]
    week = _WEEKS.get(pattern.get("index") or "", "1")
    if pattern["type"] == "weekly" and days:
        parts["BYDAY"] = ",".join(days)
        parts["WKST"] = str(pattern.get("firstDayOfWeek") or "sunday")[:2].upper()
    elif pattern["type"].startswith("relative"):
        parts["BYDAY"] = ",".join(f"{week}{day}" for day in days)
    elif pattern["type"].startswith("absolute") and pattern.get("dayOfMonth"):
        parts["BYMONTHDAY"] = str(pattern["dayOfMonth"])
    if pattern["type"].endswith("Yearly") and pattern.get("month"):
        parts["BYMONTH"] = str(pattern["month"])
    if bounds.get("type") == "numbered":
        parts["COUNT"] = str(bounds["numberOfOccurrences"])
    elif bounds.get("type") == "endDate":
        parts["UNTIL"] = str(bounds["endDate"]).replace("-", "") + "T235959Z"
    return ";".join(f"{key}={value}" for key, value in parts.items())
