"""What a series promises in a window, judged by dateutil in the series' own zone."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil import rrule
from hypothesis import given, settings
from hypothesis import strategies as st

from calendar_sync.adapters.microsoft.recurrence import may_have_instances
from calendar_sync.adapters.microsoft.zones import windows_name
from calendar_sync.core.model import Window

DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
FREQUENCIES: dict[str, Any] = {
    "daily": rrule.DAILY, "weekly": rrule.WEEKLY, "absoluteMonthly": rrule.MONTHLY,
    "relativeMonthly": rrule.MONTHLY, "absoluteYearly": rrule.YEARLY,
    "relativeYearly": rrule.YEARLY,
}  # fmt: skip
HOUR = timedelta(hours=1)
FIRST = datetime(2026, 3, 2, 9)
NO_END = {"type": "noEnd", "startDate": "2026-03-02", "endDate": "0001-01-01"}


def series(
    pattern: Any, bounds: Any = NO_END, start: datetime = FIRST, zone: str = "UTC", **changes: Any
) -> dict[str, Any]:
    """A master as Graph shows it: its times in UTC, its rule in its own zone."""
    name = windows_name(zone)
    begin = start.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)
    if isinstance(bounds, dict):
        bounds = {**bounds, "recurrenceTimeZone": name}
    return {
        "id": "m", "type": "seriesMaster", "originalStartTimeZone": name,
        "start": {"dateTime": f"{begin.isoformat()}.0000000", "timeZone": "UTC"},
        "end": {"dateTime": f"{(begin + HOUR).isoformat()}.0000000", "timeZone": "UTC"},
        "recurrence": {"pattern": pattern, "range": bounds}, **changes,
    }  # fmt: skip


def day(text: str, days: int = 1) -> Window:
    start = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return Window(start, start + timedelta(days=days))


DAILY = {"type": "daily", "interval": 1}
FAR = day("2030-01-01", 30)


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ({"type": "daily", "interval": 10}, "2026-03-12", "2026-03-17"),
        ({"type": "weekly", "interval": 1, "daysOfWeek": ["monday"], "firstDayOfWeek": "sunday"},
         "2026-03-09", "2026-03-12"),
        ({"type": "weekly", "interval": 2, "daysOfWeek": ["monday", "wednesday"]},
         "2026-03-18", "2026-03-11"),
        ({"type": "weekly", "interval": 1}, "2026-03-09", "2026-03-12"),
        ({"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 2}, "2026-04-02", "2026-04-10"),
        ({"type": "absoluteMonthly", "interval": 3, "dayOfMonth": 2}, "2026-06-02", "2026-05-02"),
        ({"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["monday"], "index": "first"},
         "2026-04-06", "2026-04-13"),
        ({"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["monday"], "index": "last"},
         "2026-04-27", "2026-04-20"),
        ({"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["monday"]},
         "2026-04-06", "2026-04-13"),
        ({"type": "absoluteYearly", "interval": 1, "month": 3, "dayOfMonth": 2},
         "2027-03-02", "2027-04-02"),
        ({"type": "relativeYearly", "interval": 1, "month": 3, "daysOfWeek": ["monday"],
          "index": "first"}, "2027-03-01", "2027-04-05"),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_patterns(pattern: Any, inside: str, outside: str) -> None:
    assert may_have_instances(series(pattern), day(inside))
    assert not may_have_instances(series(pattern), day(outside))


def test_of_several_days_the_index_counts_them_together() -> None:
    workdays = {
        "type": "relativeMonthly", "interval": 1, "daysOfWeek": DAYS[:5], "index": "second",
    }  # fmt: skip
    # The second working day of April 2026 is Thursday the 2nd, not one of a second week.
    assert may_have_instances(series(workdays), day("2026-04-02"))
    assert not may_have_instances(series(workdays), day("2026-04-12"))


@pytest.mark.parametrize(
    ("pattern", "start", "short"),
    [
        ({"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 31}, "2026-01-31", "2026-02-28"),
        ({"type": "absoluteMonthly", "interval": 3, "dayOfMonth": 30}, "2027-11-30", "2028-02-29"),
        ({"type": "absoluteYearly", "interval": 1, "month": 2, "dayOfMonth": 29}, "2024-02-29",
         "2025-02-28"),
    ],
)  # fmt: skip
def test_a_day_that_a_month_lacks_is_its_last(pattern: Any, start: str, short: str) -> None:
    # https://learn.microsoft.com/exchange/client-developer/web-service-reference/dayofmonth
    bounds = {"type": "endDate", "endDate": short}
    row = series(pattern, bounds, datetime.fromisoformat(f"{start}T09:00"))
    assert may_have_instances(row, day(short))
    assert not may_have_instances(row, day("2029-01-01", 300))


@pytest.mark.parametrize(
    ("bounds", "inside", "outside"),
    [
        ({"type": "numbered", "numberOfOccurrences": 3}, "2026-03-04", "2026-03-06"),
        ({"type": "endDate", "endDate": "2026-03-04"}, "2026-03-04", "2026-03-06"),
        ({"type": "noEnd", "endDate": "0001-01-01"}, "2036-03-04", "2026-02-25"),
        ({"type": None}, "2036-03-04", "2026-02-25"),
    ],
    ids=str,
)
def test_ends(bounds: Any, inside: str, outside: str) -> None:
    assert may_have_instances(series(DAILY, bounds), day(inside))
    assert not may_have_instances(series(DAILY, bounds), day(outside))


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("America/New_York", datetime(2026, 3, 2, 22)),  # a Tuesday in UTC
        ("Asia/Tokyo", datetime(2026, 3, 2, 7)),  # a Sunday in UTC
        ("Pacific/Kiritimati", datetime(2026, 3, 2, 13)),
    ],
)
@pytest.mark.parametrize(
    "pattern",
    [
        {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"]},
        {"type": "weekly", "interval": 2, "daysOfWeek": ["monday"], "firstDayOfWeek": "monday"},
        {"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 2},
        {"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["monday"], "index": "first"},
        {"type": "absoluteYearly", "interval": 1, "month": 3, "dayOfMonth": 2},
    ],
    ids=lambda pattern: pattern["type"],
)
def test_the_days_of_a_rule_are_those_of_its_zone(pattern: Any, zone: str, start: datetime) -> None:
    once = {"type": "numbered", "numberOfOccurrences": 1}
    begin = start.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    row = series(pattern, once, start, zone)
    assert may_have_instances(row, Window(begin, begin + HOUR))
    assert not may_have_instances(row, Window(begin + 3 * 24 * HOUR, begin + 99 * 24 * HOUR))


def test_days_of_a_series_need_no_zone() -> None:
    row = series(
        {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"]},
        {"type": "numbered", "numberOfOccurrences": 1},
        datetime(2026, 3, 2),
        "America/Los_Angeles",
        isAllDay=True,
    )
    row["end"] = {"dateTime": "2026-03-03T08:00:00.0000000", "timeZone": "UTC"}
    assert may_have_instances(row, day("2026-03-02"))
    assert not may_have_instances(row, day("2026-03-05", 30))


@pytest.mark.parametrize("row", [None, [], {}, "x", {"id": None}], ids=str)
def test_no_series_has_no_instances(row: Any) -> None:
    assert not may_have_instances(row, FAR)


ENDED = {"type": "numbered", "numberOfOccurrences": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"recurrence": None},
        {"recurrence": "x"},
        {"recurrence": {}},
        {"recurrence": {"pattern": DAILY}},
        {"recurrence": {"range": ENDED}},
        {"recurrence": {"pattern": "daily", "range": ENDED}},
        {"recurrence": {"pattern": ["daily"], "range": ENDED}},
        {"recurrence": {"pattern": {}, "range": ENDED}},
        {"recurrence": {"pattern": {"type": None}, "range": ENDED}},
        {"recurrence": {"pattern": {"type": "lunar"}, "range": ENDED}},
        {"recurrence": {"pattern": {"type": ["daily"]}, "range": ENDED}},
        {"recurrence": {"pattern": {**DAILY, "interval": "often"}, "range": ENDED}},
        {"recurrence": {"pattern": {**DAILY, "interval": -1}, "range": ENDED}},
        {"recurrence": {"pattern": {**DAILY, "interval": "0"}, "range": ENDED}},
        {"recurrence": {"pattern": {**DAILY, "interval": 0}, "range": ENDED}},
        {"recurrence": {"pattern": {"type": "absoluteMonthly", "dayOfMonth": 10**12},
                        "range": ENDED}},
        {"recurrence": {"pattern": {"type": "absoluteMonthly", "dayOfMonth": 0}, "range": ENDED}},
        {"recurrence": {"pattern": {"type": "absoluteYearly", "dayOfMonth": 2}, "range": ENDED}},
        {"recurrence": {"pattern": {"type": "relativeYearly", "daysOfWeek": DAYS, "month": 0},
                        "range": ENDED}},
        {"recurrence": {"pattern": DAILY, "range": "ended"}},
        {"recurrence": {"pattern": DAILY, "range": None}},
        {"recurrence": {"pattern": DAILY, "range": {"type": "numbered"}}},
        {"recurrence": {"pattern": DAILY, "range": {"type": "endDate"}}},
        {"recurrence": {"pattern": DAILY, "range": {"type": "endDate", "endDate": "soon"}}},
        {"recurrence": {"pattern": DAILY, "range": {"type": "numbered",
                                                    "numberOfOccurrences": "few"}}},
        {"recurrence": {"pattern": {"type": "weekly", "daysOfWeek": 7}, "range": ENDED}},
        {"recurrence": {"pattern": {"type": "weekly", "daysOfWeek": ["someday"]},
                        "range": ENDED}},
        {"recurrence": {"pattern": {"type": "relativeMonthly", "index": {}}, "range": ENDED}},
        {"recurrence": {"pattern": {"type": "absoluteMonthly", "dayOfMonth": "x"},
                        "range": ENDED}},
        {"start": None},
        {"end": {"dateTime": "soon"}},
    ],
    ids=str,
)  # fmt: skip
def test_in_doubt_there_may_be_some(change: dict[str, Any]) -> None:
    assert not may_have_instances(series(DAILY, ENDED), FAR)
    assert may_have_instances({**series(DAILY, ENDED), **change}, FAR)


@st.composite
def rules(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any], datetime, rrule.rrule]:
    """A pattern, its range, the local time of its first instance, and the same for dateutil."""
    kind = draw(st.sampled_from(sorted(FREQUENCIES)))
    interval = draw(st.integers(1, 4))
    base = draw(st.datetimes(datetime(2024, 1, 1), datetime(2026, 1, 1))).replace(
        second=0, microsecond=0
    )
    pattern: dict[str, Any] = {"type": kind, "interval": interval}
    same: dict[str, Any] = {"interval": interval}
    chosen = draw(st.lists(st.sampled_from(range(7)), min_size=1, max_size=7, unique=True))
    if kind == "weekly" or kind.startswith("relative"):
        pattern["daysOfWeek"] = [DAYS[number] for number in chosen]
        same["byweekday"] = chosen
    if kind == "weekly":
        start = draw(st.sampled_from(range(7)))
        pattern["firstDayOfWeek"], same["wkst"] = DAYS[start], start
    if kind.startswith("relative"):
        pattern["index"] = draw(st.sampled_from(sorted(WEEKS)))
        same["bysetpos"] = WEEKS[pattern["index"]]
    if kind.startswith("absolute"):
        pattern["dayOfMonth"] = same["bymonthday"] = draw(st.integers(1, 28))
    if kind.endswith("Yearly"):
        pattern["month"] = same["bymonth"] = draw(st.integers(1, 12))
    first = rrule.rrule(FREQUENCIES[kind], dtstart=base, count=1, **same)[0]
    bounds: dict[str, Any] = {"type": "noEnd", "startDate": first.date().isoformat()}
    end = draw(st.sampled_from(["noEnd", "numbered", "endDate"]))
    if end == "numbered":
        bounds |= {"type": end, "numberOfOccurrences": draw(st.integers(1, 12))}
        same["count"] = bounds["numberOfOccurrences"]
    if end == "endDate":
        last: date = (first + timedelta(days=draw(st.integers(0, 500)))).date()
        bounds |= {"type": end, "endDate": last.isoformat()}
        same["until"] = datetime.combine(last, datetime.max.time())
    return pattern, bounds, first, rrule.rrule(FREQUENCIES[kind], dtstart=first, **same)


@settings(max_examples=400)
@given(
    rules(),
    st.sampled_from(["UTC", "America/New_York", "Asia/Tokyo", "Pacific/Kiritimati", "Etc/GMT+12"]),
    st.integers(-40, 900),
    st.integers(1, 60),
)
def test_what_dateutil_finds_is_promised_and_hardly_more(
    rule: tuple[dict[str, Any], dict[str, Any], datetime, rrule.rrule], zone: str, after: int,
    length: int,
) -> None:  # fmt: skip
    pattern, bounds, first, same = rule
    start = (first + timedelta(days=after)).replace(tzinfo=UTC)
    window = Window(start, start + timedelta(days=length))
    found = may_have_instances(series(pattern, bounds, first, zone), window)
    limit = (window.end + timedelta(days=5)).replace(tzinfo=None)
    instances = [
        local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        for local in same.between(first, limit, inc=True)
    ]
    if any(moment < window.end and moment + HOUR > window.start for moment in instances):
        assert found
    slack = timedelta(days=3)
    if not any(window.start - slack < moment < window.end + slack for moment in instances):
        assert not found


atoms = (
    st.none()
    | st.booleans()
    | st.integers(-3, 40)
    | st.just(10**12)
    | st.text(max_size=5)
    | st.sampled_from(
        [*FREQUENCIES, *DAYS, *WEEKS, "numbered", "endDate", "noEnd", "2026-03-04", "0001-01-01"]
    )
)
values = atoms | st.lists(atoms, max_size=3)
PATTERN = ["type", "interval", "month", "dayOfMonth", "daysOfWeek", "firstDayOfWeek", "index"]
RANGE = ["type", "startDate", "endDate", "recurrenceTimeZone", "numberOfOccurrences"]


@given(
    st.dictionaries(st.sampled_from(PATTERN), values) | values,
    st.dictionaries(st.sampled_from(RANGE), values) | values,
)
def test_no_json_breaks_the_judgement(pattern: Any, bounds: Any) -> None:
    row = series(DAILY, recurrence={"pattern": pattern, "range": bounds})
    assert may_have_instances(row, day("2026-03-02")) in {True, False}
