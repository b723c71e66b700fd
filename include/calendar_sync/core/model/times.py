"""Time: instants are aware datetimes in UTC, all-day spans are plain dates."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from calendar_sync.core.plurals import plural

# A server may answer for so long as if the last write had not been made.
SETTLING = timedelta(seconds=60)
# The first and last datetimes in Python: times beyond them are cut to them.
FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


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
class Around:
    """Minutes before and after something that take time, too."""

    before: int = 0
    after: int = 0

    def widen(self, span: Span) -> Span:
        """The longer span. Whole days stay, and so do times at the ends of all time."""
        return self._moved(span, -1)

    def narrow(self, span: Span) -> Span:
        """The span that was made longer. One that is too short ends before it starts."""
        return self._moved(span, 1)

    def _moved(self, span: Span, sign: int) -> Span:
        if not (isinstance(span.start, datetime) and isinstance(span.end, datetime)):
            return span
        try:
            start = span.start + sign * timedelta(minutes=self.before)
            return Span(start, span.end - sign * timedelta(minutes=self.after))
        except OverflowError:
            return span

    def __bool__(self) -> bool:
        """There are some."""
        return bool(self.before or self.after)

    def __str__(self) -> str:
        """In words: `15 minutes before, 1 minute after`; empty for none."""
        sides = ((self.before, "before"), (self.after, "after"))
        return ", ".join(f"{plural(count, 'minute')} {side}" for count, side in sides if count)


NOTHING_AROUND = Around()


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
    """A date becomes the instant of its midnight in `zone`; an instant stays.

    The first midnight of all comes before the first instant in half of the zones: it is that one.
    """
    if isinstance(value, datetime):
        return value
    try:
        return datetime(value.year, value.month, value.day, tzinfo=zone).astimezone(UTC)
    except OverflowError:
        return FIRST if value.year == FIRST.year else LAST


def local(value: datetime, zone: ZoneInfo) -> datetime:
    """The instant by the clocks of `zone`; in UTC where those have no such year."""
    try:
        return value.astimezone(zone)
    except (OverflowError, ValueError):
        return value.astimezone(UTC)


def iso(value: datetime | date) -> str:
    """`2026-03-02T14:00:00Z` (fractions only where there are any) or `2026-03-02`."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat()


def parse_iso(text: str) -> datetime | date:
    """Any ISO 8601 date, or instant with an offset; fractions beyond microseconds are cut.

    Raises ValueError for anything else, an instant without an offset included, and one that UTC
    cannot hold (the last evening of 9999 in America).
    """
    if len(text) == 10:
        return date.fromisoformat(text)
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueError("an instant needs an offset")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("beyond the years that UTC has") from None


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
