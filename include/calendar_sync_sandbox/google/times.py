"""Times as the Google Calendar API reads and writes them.

A moment comes as ``{"dateTime": RFC 3339, "timeZone": IANA}``, a day as ``{"date": yyyy-mm-dd}``;
seconds are the finest unit, and a moment is read back in the zone of the calendar.
https://developers.google.com/workspace/calendar/api/concepts/events-calendars
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from calendar_sync_sandbox.google.errors import GoogleError

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?([Zz]|[+-]\d\d:?\d\d)?$"
)


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """Return the zone of an IANA name.

    Raises:
        GoogleError: 400 for a name that no zone has.
    """
    if name not in _zone_names():
        raise GoogleError(400, "invalid", f"Invalid time zone definition: {name[:60]}")
    return ZoneInfo(name)


def parse_rfc3339(text: str) -> datetime | None:
    """Parse a time; naive when it has no offset, None when it is not a time; drops fractions."""
    match = _RFC3339.match(text)
    if match is None:
        return None
    offset = (match[3] or "").upper().replace("Z", "+00:00")
    try:
        return datetime.fromisoformat(f"{match[1]}T{match[2]}{offset}")
    except ValueError:
        return None


def write(moment: datetime, zone_name: str) -> str:
    """Write a moment with the offset that the zone has at that time."""
    text = moment.astimezone(zone(zone_name)).isoformat(timespec="seconds")
    return text[:-6] + "Z" if text.endswith("+00:00") else text


def moment_of(value: dict[str, Any], zone_name: str) -> datetime:
    """Return the UTC moment of a normalised start or end; a day begins at local midnight."""
    if "date" in value:
        day = date.fromisoformat(value["date"])
        return datetime.combine(day, time(), zone(zone_name)).astimezone(UTC)
    return datetime.fromisoformat(value["dateTime"]).astimezone(UTC)


def normalise(value: Any, which: str, zone_name: str) -> dict[str, Any]:
    """Check a start or end sent by a client and write it as the calendar stores it.

    Raises:
        GoogleError: 400 for a missing, contradictory or unreadable time.
    """
    if not isinstance(value, dict):
        raise GoogleError(400, "required", f"Missing {which} time.")
    day, moment = value.get("date"), value.get("dateTime")
    if (day is None) == (moment is None):
        raise GoogleError(400, "invalid" if day else "required", f"Invalid {which} time.")
    named = value.get("timeZone")
    if named is not None and not isinstance(named, str):
        raise GoogleError(400, "invalid", f"Invalid {which} time zone.")
    if named:
        zone(named)
    if day is not None:
        if not isinstance(day, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", day):
            raise GoogleError(400, "invalid", f"Invalid {which} date.")
        try:
            return {"date": date.fromisoformat(day).isoformat()}
        except ValueError:
            raise GoogleError(400, "invalid", f"Invalid {which} date.") from None
    parsed = parse_rfc3339(moment) if isinstance(moment, str) else None
    if parsed is None:
        raise GoogleError(400, "invalid", f"Invalid {which} time.")
    if parsed.tzinfo is None:
        if not named:
            raise GoogleError(400, "required", f"Missing time zone definition for {which} time.")
        parsed = parsed.replace(tzinfo=zone(named))
    try:
        return {"dateTime": write(parsed, zone_name), "timeZone": named or zone_name}
    except OverflowError:
        raise GoogleError(400, "invalid", f"Invalid {which} time.") from None


def from_python(value: datetime | date | dict[str, Any], zone_name: str) -> dict[str, Any]:
    """Write a Python moment, day or ready JSON as a start or end of this calendar."""
    if isinstance(value, dict):
        return normalise(value, "event", zone_name)
    if isinstance(value, datetime):
        return {"dateTime": write(value, zone_name), "timeZone": zone_name}
    return {"date": value.isoformat()}
