"""What a series of Microsoft's promises in a window.

https://learn.microsoft.com/graph/api/resources/patternedrecurrence
"""

from collections.abc import Mapping
from typing import Any

from calendar_sync.adapters.microsoft.parse import parse_event
from calendar_sync.adapters.microsoft.zones import zone_of
from calendar_sync.adapters.recurrence import promises
from calendar_sync.core.model import CalendarEvent, Window

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
    if not isinstance(event, CalendarEvent) or not isinstance(recurrence, Mapping):
        return True
    try:
        line = _rule(recurrence["pattern"], recurrence["range"])
        zone = recurrence["range"].get("recurrenceTimeZone") or row.get("originalStartTimeZone")
        return promises([line], event.span, window, zone_of(zone))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return True


def _rule(pattern: Mapping[str, Any], bounds: Mapping[str, Any]) -> str:
    """The same as RFC 5545 writes it."""
    interval = _number(pattern.get("interval", 1), 999)
    parts = {"FREQ": _FREQUENCIES[pattern["type"]], "INTERVAL": str(interval)}
    days = [str(day)[:2].upper() for day in pattern.get("daysOfWeek") or ()]
    week = _WEEKS.get(pattern.get("index") or "", "1")
    if pattern["type"] == "weekly" and days:
        parts["BYDAY"] = ",".join(days)
        parts["WKST"] = str(pattern.get("firstDayOfWeek") or "sunday")[:2].upper()
    elif pattern["type"].startswith("relative"):
        # One of all these days together, not one of each.
        parts |= {"BYDAY": ",".join(days), "BYSETPOS": week}
    elif pattern["type"].startswith("absolute"):
        # A shorter month has its last day instead.
        last = _number(pattern["dayOfMonth"], 31)
        parts["BYMONTHDAY"] = ",".join(str(day) for day in range(min(last, 28), last + 1))
        parts["BYSETPOS"] = "-1"
    if pattern["type"].endswith("Yearly"):
        parts["BYMONTH"] = str(_number(pattern["month"], 12))
    if bounds.get("type") == "numbered":
        parts["COUNT"] = str(bounds["numberOfOccurrences"])
    elif bounds.get("type") == "endDate":
        parts["UNTIL"] = str(bounds["endDate"]).replace("-", "")
    return ";".join(f"{key}={value}" for key, value in parts.items())


def _number(value: Any, most: int) -> int:
    if not isinstance(value, int) or not 1 <= value <= most:
        raise ValueError("no such number")
    return value
