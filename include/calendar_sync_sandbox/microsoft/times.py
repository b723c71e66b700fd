"""Times as Graph reads and writes them: a local time without an offset, and the name of a zone.

https://learn.microsoft.com/graph/api/resources/datetimetimezone
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from tzlocal.windows_tz import tz_win, win_tz

from calendar_sync_sandbox.microsoft.errors import GraphError, bad_property

Json = dict[str, Any]
When = datetime | date | dict[str, Any]
CUSTOM_ZONES = ("tzone://Microsoft/Custom", "Customized Time Zone")
DAY = timedelta(days=1)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,7}))?)?(Z|[+-]\d\d:\d\d)?$"
)


@lru_cache(maxsize=1)
def _listed() -> frozenset[str]:
    """The IANA names that Graph accepts beside the Windows ones."""
    return frozenset(win_tz.values())


@lru_cache(maxsize=512)
def zone(name: str) -> ZoneInfo:
    """Return the zone of a Windows name or of a listed IANA name.

    Raises:
        GraphError: 400 for any other name.
    """
    if name in win_tz:
        return ZoneInfo(win_tz[name])
    if name in _listed():
        return ZoneInfo(name)
    raise GraphError(
        400,
        "TimeZoneNotSupportedException",
        f"A valid TimeZone value must be specified: {name[:60]}",
    )


@lru_cache(maxsize=512)
def windows_name(iana: str) -> str:
    """Return the Windows name of an IANA name, ``UTC`` where there is none."""
    return tz_win.get(iana, "UTC")


def named(name: str) -> str:
    """Return the name under which a zone is kept: Windows names and custom ones as they are."""
    return name if name in win_tz or name in CUSTOM_ZONES else windows_name(name)


@dataclass(frozen=True, slots=True)
class Span:
    """When an event takes place.

    Attributes:
        start: moment in UTC; local midnight of the first day for a whole day.
        end: moment in UTC, exclusive.
        all_day: whether these are days.
        zone_name: name of the zone that the start was given in.
        end_zone_name: the same of the end.
        zone: zone to compute with.
    """

    start: datetime
    end: datetime
    all_day: bool
    zone_name: str
    end_zone_name: str
    zone: ZoneInfo

    @property
    def first_day(self) -> date:
        """The day on which it begins, in its own zone."""
        return self.start.astimezone(self.zone).date()

    @property
    def hour(self) -> time:
        """When it begins, in its own zone."""
        return self.start.astimezone(self.zone).time()

    @property
    def days(self) -> int:
        """How many days it lasts."""
        return (self.end.astimezone(self.zone).date() - self.first_day).days

    def on(self, day: date) -> Span:
        """Return the same span beginning on another day of its zone."""
        wall = self.start.astimezone(self.zone).time()
        start = datetime.combine(day, wall, self.zone).astimezone(UTC)
        if self.all_day:
            end = midnight(day + self.days * DAY, self.zone)
        else:
            end = start + (self.end - self.start)
        return Span(start, end, self.all_day, self.zone_name, self.end_zone_name, self.zone)

    def touches(self, low: datetime, high: datetime) -> bool:
        """Whether it lies in a window; an event without length counts at its moment."""
        if self.start == self.end:
            return low <= self.start < high
        return self.end > low and self.start < high


def midnight(day: date, where: ZoneInfo) -> datetime:
    """Return the moment at which a day begins."""
    return datetime.combine(day, time(), where).astimezone(UTC)


def read_span(sent: Json, old: Span | None = None) -> Span:
    """Read start, end and isAllDay of a request body, what is missing from the old span.

    Raises:
        GraphError: 400 when they are missing, unreadable or contradict each other.
    """
    all_day = sent.get("isAllDay", old.all_day if old else False)
    if not isinstance(all_day, bool):
        raise bad_property("isAllDay is true or false.")
    start = _read(sent.get("start"), "start") or _kept(old, "start")
    end = _read(sent.get("end"), "end") or _kept(old, "end")
    if all_day:
        _check_days(start, end)
    if end[0] < start[0]:
        raise GraphError(
            400,
            "ErrorPropertyValidationFailure",
            "The end of the event is before its start.",
        )
    return Span(start[0], end[0], all_day, named(start[1]), named(end[1]), start[2])


def _check_days(start: tuple[datetime, str, ZoneInfo], end: tuple[datetime, str, ZoneInfo]) -> None:
    walls = [moment.astimezone(where).time() for moment, _, where in (start, end)]
    if any(wall != time() for wall in walls) or named(start[1]) != named(end[1]):
        raise bad_property("An event of whole days begins and ends at midnight of one time zone.")
    first = start[0].astimezone(start[2]).date()
    if end[0].astimezone(end[2]).date() <= first:
        raise bad_property("An event of whole days lasts at least 24 hours.")


def _kept(old: Span | None, which: str) -> tuple[datetime, str, ZoneInfo]:
    if old is None:
        raise bad_property(f"The required property '{which}' is missing.")
    if which == "start":
        return old.start, old.zone_name, old.zone
    return old.end, old.end_zone_name, old.zone


def _read(value: Any, which: str) -> tuple[datetime, str, ZoneInfo] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("dateTime"), str):
        raise bad_property(f"'{which}' needs a dateTime.")
    if unknown := value.keys() - {"dateTime", "timeZone", "@odata.type"}:
        raise bad_property(f"'{which}' has no {sorted(unknown)[0]}.")
    name = value.get("timeZone") or "UTC"
    if not isinstance(name, str):
        raise bad_property(f"The time zone of '{which}' is a name.")
    where = zone(name)
    moment = parse(value["dateTime"])
    if moment is None:
        raise bad_property(f"'{which}' is no date and time.")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=where)
    try:
        return moment.astimezone(UTC), name, where
    except OverflowError:
        raise bad_property(f"'{which}' is too far away.") from None


def parse(text: str) -> datetime | None:
    """Parse a time; naive when it has no offset, None when it is not a time."""
    match = _TIME.match(text)
    if match is None:
        return None
    fraction = f".{match[3][:6]}" if match[3] else ""
    offset = (match[4] or "").replace("Z", "+00:00")
    try:
        return datetime.fromisoformat(f"{match[1]}T{match[2] or '00:00:00'}{fraction}{offset}")
    except ValueError:
        return None


def local(moment: datetime, where: ZoneInfo) -> str:
    """Write a moment on the clock of a zone, with seven digits of a second."""
    wall = moment.astimezone(where)
    return wall.replace(tzinfo=None).isoformat(timespec="microseconds") + "0"


def stamp7(moment: datetime) -> str:
    """Write a moment in UTC with seven digits of a second and ``Z``."""
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "0Z"


def span_of(start: When, end: When, iana: str, *, all_day: bool = False) -> Span:
    """Return the span that a person means; the zone is that of the calendar.

    JSON of the API may name a custom zone, which is computed with the calendar's own; ``all_day``
    says of JSON that it means days.
    """
    if isinstance(start, dict) and isinstance(end, dict):
        return _span_of_json(start, end, iana, all_day)
    where = ZoneInfo(iana)
    name = windows_name(iana)
    if isinstance(start, datetime) and isinstance(end, datetime):
        return Span(start.astimezone(UTC), end.astimezone(UTC), False, name, name, where)
    if isinstance(start, dict) or isinstance(end, dict) or isinstance(start, datetime):
        raise TypeError("start and end are both moments, both days, or both JSON")
    last = end.date() if isinstance(end, datetime) else end
    return Span(midnight(start, where), midnight(last, where), True, name, name, where)


def span_after(old: Span, start: When | None, end: When | None, iana: str) -> Span:
    """Return the span that a person gives an event; what is not said stays."""
    if start is None and end is None:
        return old
    days = (old.first_day, old.first_day + old.days * DAY)
    kept: tuple[When, When] = days if old.all_day else (old.start, old.end)
    return span_of(
        kept[0] if start is None else start,
        kept[1] if end is None else end,
        iana,
        all_day=old.all_day,
    )


def _span_of_json(start: Json, end: Json, iana: str, all_day: bool) -> Span:
    known: Json = {"isAllDay": all_day}
    for which, value in (("start", start), ("end", end)):
        name = value.get("timeZone") or "UTC"
        if name in CUSTOM_ZONES:
            name = windows_name(iana)
        known[which] = {**value, "timeZone": name if name in win_tz else windows_name(name)}
    span = read_span(known)
    if start.get("timeZone") in CUSTOM_ZONES:
        name = start["timeZone"]
        return Span(span.start, span.end, span.all_day, name, name, span.zone)
    return span
