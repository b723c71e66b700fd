"""When the instances of a series begin.

Rules run on the wall clock of the series' own zone, so a weekly visit stays at nine o'clock over a
change to summer time. https://developers.google.com/workspace/calendar/api/guides/recurringevents
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from calendar_sync_sandbox.google.errors import GoogleError
from calendar_sync_sandbox.google.times import moment_of, zone

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_INSTANCES = 20_000
_LINE = re.compile(r"(RRULE|EXRULE|RDATE|EXDATE)(;[^:]*)?:(.+)$", re.DOTALL)


def check(lines: Any) -> None:
    """Check the recurrence lines of a request.

    Raises:
        GoogleError: 400 for a line that no calendar understands.
    """
    if not isinstance(lines, list) or not lines:
        raise GoogleError(400, "invalid", "Invalid recurrence rule.")
    for line in lines:
        match = _LINE.match(line) if isinstance(line, str) else None
        if match is None:
            raise GoogleError(400, "invalid", "Invalid recurrence rule.")
        if match[1] in ("RRULE", "EXRULE"):
            try:
                rrulestr(_local_until(match[3], ZoneInfo("UTC")), dtstart=datetime(2026, 1, 1))
            except (ValueError, KeyError, TypeError):
                raise GoogleError(400, "invalid", "Invalid recurrence rule.") from None


def starts(body: dict[str, Any], calendar_zone: str, low: datetime, high: datetime) -> list[Any]:
    """Return the starts of a series' instances that touch the window.

    Args:
        body: a stored master.
        calendar_zone: zone in which a day of this calendar begins.
        low: instances that end at or before this moment are left out.
        high: instances that begin at or after it are left out.

    Returns:
        Dates for an all-day series, otherwise moments in UTC, in order.
    """
    all_day = "date" in body["start"]
    own_zone = zone(calendar_zone if all_day else body["start"]["timeZone"])
    length = moment_of(body["end"], calendar_zone) - moment_of(body["start"], calendar_zone)
    if all_day:
        first = datetime.combine(date.fromisoformat(body["start"]["date"]), time())
    else:
        first = moment_of(body["start"], calendar_zone).astimezone(own_zone).replace(tzinfo=None)
    margin = timedelta(days=1)
    floor = low.astimezone(own_zone).replace(tzinfo=None) - length - margin
    ceiling = high.astimezone(own_zone).replace(tzinfo=None) + margin
    found: list[Any] = []
    for wall in _walls(body["recurrence"], first, own_zone, floor, ceiling):
        begin = wall.replace(tzinfo=own_zone).astimezone(UTC)
        if all_day:
            # A day may last 23 or 25 hours; the end is a day, not a number of hours.
            days = (
                date.fromisoformat(body["end"]["date"]) - date.fromisoformat(body["start"]["date"])
            ).days
            end = (wall + timedelta(days=days)).replace(tzinfo=own_zone).astimezone(UTC)
        else:
            end = begin + length
        if begin < high and (end > low or (begin == end and begin >= low)):
            found.append(wall.date() if all_day else begin)
        if len(found) >= MAX_INSTANCES:
            break
    return found


def _walls(
    lines: list[str], first: datetime, own_zone: ZoneInfo, floor: datetime, ceiling: datetime
) -> Iterator[datetime]:
    extra: set[datetime] = set()
    excluded: set[datetime] = set()
    rules: list[str] = []
    banned: list[str] = []
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        name, options, value = match[1], match[2] or "", match[3]
        if name == "RRULE":
            rules.append(value)
        elif name == "EXRULE":
            banned.append(value)
        else:
            walls = {_wall(text, options, first, own_zone) for text in value.split(",")}
            (extra if name == "RDATE" else excluded).update(walls)
    seen: set[datetime] = {wall for wall in extra if floor <= wall <= ceiling}
    for rule in rules:
        parsed = rrulestr(_local_until(rule, own_zone), dtstart=first)
        seen.update(parsed.between(floor, ceiling, inc=True))
    if not rules and floor <= first <= ceiling:
        seen.add(first)
    for rule in banned:
        parsed = rrulestr(_local_until(rule, own_zone), dtstart=first)
        excluded.update(parsed.between(floor, ceiling, inc=True))
    yield from sorted(seen - excluded)


def _wall(text: str, options: str, first: datetime, own_zone: ZoneInfo) -> datetime:
    """Read one value of RDATE or EXDATE as wall time of the series."""
    named = re.search(r"TZID=([^;:]+)", options)
    day = datetime.strptime(text[:8], "%Y%m%d")
    if "T" not in text:
        return day.replace(hour=first.hour, minute=first.minute, second=first.second)
    wall = datetime.strptime(text[:15], "%Y%m%dT%H%M%S")
    if text.endswith("Z"):
        return wall.replace(tzinfo=UTC).astimezone(own_zone).replace(tzinfo=None)
    if named:
        return wall.replace(tzinfo=zone(named[1])).astimezone(own_zone).replace(tzinfo=None)
    return wall


def _local_until(rule: str, own_zone: ZoneInfo) -> str:
    """Put UNTIL on the wall clock of the series, where the rule runs; a day lasts to its end."""
    match = re.search(r"UNTIL=(\d{8})(?:T(\d{6})(Z?))?", rule)
    if match is None:
        return rule
    if match[2] is None:
        local = match[1] + "T235959"
    else:
        wall = datetime.strptime(match[1] + match[2], "%Y%m%d%H%M%S")
        if match[3]:
            wall = wall.replace(tzinfo=UTC).astimezone(own_zone).replace(tzinfo=None)
        local = wall.strftime("%Y%m%dT%H%M%S")
    return rule[: match.start()] + "UNTIL=" + local + rule[match.end() :]
