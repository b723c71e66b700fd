"""Recurrence patterns of Graph, and the days on which a series takes place.

A series has at most one occurrence a day. The days are computed here with dates alone, so that
the double does not agree with its clients by sharing a library with them.
https://learn.microsoft.com/graph/api/resources/patternedrecurrence
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.microsoft.errors import GraphError, bad_property
from calendar_sync_sandbox.microsoft.times import named, zone

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]
DAY = timedelta(days=1)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
INDEXES = ("first", "second", "third", "fourth", "last")
PATTERNS = {
    "daily": (), "weekly": ("daysOfWeek",), "absoluteMonthly": ("dayOfMonth",),
    "relativeMonthly": ("daysOfWeek",), "absoluteYearly": ("dayOfMonth", "month"),
    "relativeYearly": ("daysOfWeek", "month"),
}  # fmt: skip
LAST_DAY = date(2200, 1, 1)
MAX_INSTANCES = 20_000
_ORDINALS = {
    sign + str(number): name for sign in ("", "+") for number, name in enumerate(INDEXES[:4], 1)
} | {"-1": "last"}
_CODES = dict(zip(("MO", "TU", "WE", "TH", "FR", "SA", "SU"), WEEKDAYS, strict=True))


def read_recurrence(sent: Any, start: date, zone_name: str) -> Json:
    """Check a patternedRecurrence of a request and fill in what it leaves out.

    Args:
        sent: the JSON.
        start: the day of the event's own start.
        zone_name: the zone of the event's own start.

    Raises:
        GraphError: 400 for a rule that makes no sense.
    """
    if not isinstance(sent, dict) or not isinstance(sent.get("pattern"), dict):
        raise bad_property("A recurrence needs a pattern and a range.")
    spread = sent.get("range")
    if not isinstance(spread, dict) or sent.keys() - {"pattern", "range", "@odata.type"}:
        raise bad_property("A recurrence needs a pattern and a range.")
    pattern = _read_pattern(sent["pattern"])
    return {"pattern": pattern, "range": _read_range(spread, start, zone_name)}


def _read_pattern(sent: Json) -> Json:
    kind = sent.get("type")
    if kind not in PATTERNS:
        raise bad_property("The pattern has no known type.")
    allowed = {
        "type", "interval", "month", "dayOfMonth", "daysOfWeek", "firstDayOfWeek", "index",
        "@odata.type",
    }  # fmt: skip
    if unknown := sent.keys() - allowed:
        raise bad_property(f"The pattern has no {sorted(unknown)[0]}.")
    pattern: Json = {
        "type": kind,
        "interval": sent.get("interval"),
        "month": sent.get("month") or 0,
        "dayOfMonth": sent.get("dayOfMonth") or 0,
        "daysOfWeek": sent.get("daysOfWeek") or [],
        "firstDayOfWeek": sent.get("firstDayOfWeek") or "sunday",
        "index": sent.get("index") or "first",
    }
    for name, low, high in (("interval", 1, 99), ("month", 0, 12), ("dayOfMonth", 0, 31)):
        value = pattern[name]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise bad_property(f"The pattern's {name} is out of range.")
    days = pattern["daysOfWeek"]
    if not isinstance(days, list) or not set(days) <= set(WEEKDAYS):
        raise bad_property("The pattern's daysOfWeek are unknown.")
    if pattern["firstDayOfWeek"] not in WEEKDAYS or pattern["index"] not in INDEXES:
        raise bad_property("The pattern's firstDayOfWeek or index is unknown.")
    for name in PATTERNS[kind]:
        if not pattern[name]:
            raise bad_property(f"A {kind} pattern needs {name}.")
    return pattern


def _read_range(sent: Json, start: date, zone_name: str) -> Json:
    allowed = {
        "type", "startDate", "endDate", "numberOfOccurrences", "recurrenceTimeZone", "@odata.type",
    }  # fmt: skip
    if unknown := sent.keys() - allowed:
        raise bad_property(f"The range has no {sorted(unknown)[0]}.")
    kind = sent.get("type")
    if kind not in ("noEnd", "endDate", "numbered"):
        raise bad_property("The range has no known type.")
    first = _day(sent.get("startDate"), "startDate")
    if first != start:
        raise bad_property("The range begins on another day than the event.")
    where = sent.get("recurrenceTimeZone")
    if where:
        zone(where)
    spread: Json = {
        "type": kind,
        "startDate": first.isoformat(),
        "endDate": "0001-01-01",
        "recurrenceTimeZone": named(where) if where else zone_name,
        "numberOfOccurrences": 0,
    }
    if kind == "endDate":
        last = _day(sent.get("endDate"), "endDate")
        if last < first:
            raise bad_property("The range ends before it begins.")
        spread["endDate"] = last.isoformat()
    elif kind == "numbered":
        number = sent.get("numberOfOccurrences")
        if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= 999:
            raise bad_property("The range's numberOfOccurrences is out of range.")
        spread["numberOfOccurrences"] = number
    return spread


def _day(value: Any, which: str) -> date:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        raise bad_property(f"The range's {which} is no date.")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise bad_property(f"The range's {which} is no date.") from None


def days(recurrence: Json, low: date, high: date) -> list[date]:
    """Return the days of a series from ``low`` to ``high``, both included, in order."""
    spread = recurrence["range"]
    first = date.fromisoformat(spread["startDate"])
    last = min(high, LAST_DAY)
    if spread["type"] == "endDate":
        last = min(last, date.fromisoformat(spread["endDate"]))
    left = spread["numberOfOccurrences"] if spread["type"] == "numbered" else MAX_INSTANCES
    found: list[date] = []
    skip = low if spread["type"] != "numbered" else first
    for day in _candidates(recurrence["pattern"], first, skip):
        if day > last or left <= 0:
            break
        left -= 1
        if day >= low:
            found.append(day)
    return found


def _candidates(pattern: Json, first: date, skip: date) -> Iterator[date]:
    """Yield the days of a pattern; those before ``skip`` may be left out."""
    kind, interval = pattern["type"], pattern["interval"]
    if kind == "daily":
        steps = max(0, (skip - first).days // interval)
        while True:
            yield first + steps * interval * DAY
            steps += 1
    elif kind == "weekly":
        opening = WEEKDAYS.index(pattern["firstDayOfWeek"])
        week = first - (first.weekday() - opening) % 7 * DAY
        week += max(0, (skip - week).days // (7 * interval)) * 7 * interval * DAY
        offsets = sorted((WEEKDAYS.index(d) - opening) % 7 for d in set(pattern["daysOfWeek"]))
        while True:
            for offset in offsets:
                if (day := week + offset * DAY) >= first:
                    yield day
            week += 7 * interval * DAY
    else:
        yearly = kind.endswith("Yearly")
        month = first.year * 12 + (pattern["month"] if yearly else first.month) - 1
        step = interval * (12 if yearly else 1)
        while month // 12 < LAST_DAY.year:
            day = _day_of_month(pattern, month // 12, month % 12 + 1)
            if day >= first:
                yield day
            month += step


def _day_of_month(pattern: Json, year: int, month: int) -> date:
    length = calendar.monthrange(year, month)[1]
    if pattern["type"].startswith("absolute"):
        # Exchange takes the last day of a month that has no such day.
        return date(year, month, min(pattern["dayOfMonth"], length))
    wanted = {WEEKDAYS.index(name) for name in pattern["daysOfWeek"]}
    matching = [
        day for n in range(1, length + 1) if (day := date(year, month, n)).weekday() in wanted
    ]
    index = pattern["index"]
    return matching[-1] if index == "last" else matching[INDEXES.index(index)]


def from_rrule(text: str, start: date, zone_name: str, hour: time = time.min) -> Json:
    """Return the recurrence that a person means with a rule of iCalendar.

    Args:
        text: the rule.
        start: the day of its first occurrence.
        zone_name: where that day is meant.
        hour: when it begins there.

    Raises:
        ValueError: for a rule that Outlook cannot keep as it is.
    """
    refused = ValueError(f"no pattern of Outlook: {text}")
    try:
        parts = dict(part.split("=", 1) for part in text.removeprefix("RRULE:").split(";"))
        pattern = _pattern_of(parts, start)
        spread: Json = {"type": "noEnd", "startDate": start.isoformat()}
        if "COUNT" in parts:
            spread |= {"type": "numbered", "numberOfOccurrences": int(parts.pop("COUNT"))}
        elif "UNTIL" in parts:
            last = _last_day(parts.pop("UNTIL"), zone_name, hour)
            spread |= {"type": "endDate", "endDate": last.isoformat()}
        if pattern is None or parts:
            raise refused
        return read_recurrence({"pattern": pattern, "range": spread}, start, zone_name)
    except (GraphError, KeyError, ValueError):
        raise refused from None


def _pattern_of(parts: dict[str, str], start: date) -> Json | None:
    """Take the pattern out of a rule's parts; None where there is none that means the same."""
    frequency = parts.pop("FREQ")
    by_day = [d for d in parts.pop("BYDAY", "").split(",") if d]
    week = _CODES[parts.pop("WKST", "MO")]
    every = {"interval": int(parts.pop("INTERVAL", "1"))}
    if frequency == "DAILY" and not by_day:
        return {"type": "daily", **every}
    if frequency == "WEEKLY":
        names = [_CODES[day] for day in by_day] or [WEEKDAYS[start.weekday()]]
        return {"type": "weekly", "daysOfWeek": names, "firstDayOfWeek": week, **every}
    if frequency not in ("MONTHLY", "YEARLY"):
        return None
    kind, yearly = frequency.capitalize(), frequency == "YEARLY"
    # The days of a year that names no month lie in all of them.
    anywhere = yearly and "BYMONTH" not in parts and (by_day or "BYMONTHDAY" in parts)
    month = int(parts.pop("BYMONTH")) if yearly and "BYMONTH" in parts else start.month
    if yearly:
        every["month"] = month
    if by_day:
        # Of several days Outlook takes the first together, and iCalendar each of them.
        index = _ORDINALS.get(by_day[0][:-2])
        if len(by_day) > 1 or index is None or anywhere:
            return None
        return {
            "type": f"relative{kind}", "daysOfWeek": [_CODES[by_day[0][-2:]]], "index": index,
            **every,
        }  # fmt: skip
    day = int(parts.pop("BYMONTHDAY", start.day))
    # Where a month is too short, Outlook takes its last day, and iCalendar none.
    shortest = calendar.monthrange(2026, month)[1] if yearly else 28
    if anywhere or not 1 <= day <= shortest:
        return None
    return {"type": f"absolute{kind}", "dayOfMonth": day, **every}


def _last_day(until: str, zone_name: str, hour: time) -> date:
    """Return the day, by the clocks of the series, on which a rule ends."""
    form = "%Y%m%dT%H%M%S" if "T" in until else "%Y%m%d"
    last = datetime.strptime(until.removesuffix("Z"), form)
    if until.endswith("Z"):
        last = last.replace(tzinfo=UTC).astimezone(zone(zone_name))
    early = "T" in until and last.time() < hour
    return last.date() - early * DAY


def begin(recurrence: Json) -> date:
    """Return the first day that the pattern has at or after the start of its range.

    Raises:
        GraphError: 400 when there is none.
    """
    first = date.fromisoformat(recurrence["range"]["startDate"])
    found = next(_candidates(recurrence["pattern"], first, first), None)
    last = recurrence["range"]["endDate"]
    if found is None or (
        recurrence["range"]["type"] == "endDate" and found > date.fromisoformat(last)
    ):
        raise bad_property("The series has no occurrence.")
    return found


def shifted(recurrence: Json, start: date) -> Json:
    """Return the rule of a series after its first day was moved: the pattern follows the day."""
    pattern = dict(recurrence["pattern"])
    if pattern["type"] == "weekly" and len(pattern["daysOfWeek"]) == 1:
        pattern["daysOfWeek"] = [WEEKDAYS[start.weekday()]]
    elif pattern["type"].startswith("absolute"):
        pattern["dayOfMonth"] = start.day
        if pattern["month"]:
            pattern["month"] = start.month
    spread = {**recurrence["range"], "startDate": start.isoformat()}
    if spread["type"] == "endDate" and spread["endDate"] < spread["startDate"]:
        spread["endDate"] = (start + 31 * DAY).isoformat()
    return {"pattern": pattern, "range": spread}
