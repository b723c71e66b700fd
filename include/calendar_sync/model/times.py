"""Time: instants are aware datetimes in UTC, all-day spans are plain dates."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

# A server may answer for so long as if the last write had not been made.
SETTLING = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Span:
    """Start (inclusive) and end (exclusive): two instants in UTC, or two dates for all-day."""

    start: datetime | date
    end: datetime | date

    @property
    def all_day(self) -> bool:
        """Both ends are dates."""
        return not isinstance(self.start, datetime)

    def instants(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Both ends as UTC instants; dates begin and end at midnight in `zone`."""
        return instant(self.start, zone), instant(self.end, zone)

    def empty(self, zone: ZoneInfo) -> bool:
        """Zero or negative length: no calendar accepts such an event."""
        start, end = self.instants(zone)
        return end <= start

    def overlaps(self, window: "Window", zone: ZoneInfo) -> bool:
        """Some part of the span lies inside the window."""
        start, end = self.instants(zone)
        return start < window.end and end > window.start

    def __str__(self) -> str:
        """Canonical text, also what the state database stores: two ISO values and a slash."""
        return f"{iso(self.start)}/{iso(self.end)}"

    @classmethod
    def parse(cls, text: str) -> "Span":
        """Read what `str` wrote."""
        start, end = text.split("/")
        return cls(parse_iso(start), parse_iso(end))


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time between two UTC instants."""

    start: datetime
    end: datetime


def whole_days(first: date, end: date) -> Span | None:
    """An all-day span; one that ends where it begins means that day, None where none follows."""
    try:
        return Span(first, end if end != first else first + timedelta(days=1))
    except OverflowError:
        return None


def instant(value: datetime | date, zone: ZoneInfo) -> datetime:
    """A date becomes the instant of its midnight in `zone`; an instant stays."""
    if isinstance(value, datetime):
        return value
    return datetime(value.year, value.month, value.day, tzinfo=zone).astimezone(UTC)


def iso(value: datetime | date) -> str:
    """`2026-03-02T14:00:00Z` (fractions only where there are any) or `2026-03-02`."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat()


def parse_iso(text: str) -> datetime | date:
    """Any ISO 8601 date, or instant with an offset; fractions beyond microseconds are cut.

    Raises ValueError for anything else, an instant without an offset included.
    """
    if len(text) == 10:
        return date.fromisoformat(text)
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueError("an instant needs an offset")
    return value.astimezone(UTC)


def to_second(value: datetime) -> datetime:
    """Calendars keep whole seconds: cut the rest, so that both sides compare equal."""
    return value.replace(microsecond=0)


def zone_or_none(name: str | None) -> ZoneInfo | None:
    """The zone of this IANA name (aliases too), None for an unknown or missing one."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
