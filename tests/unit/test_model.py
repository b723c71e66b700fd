"""Spans, windows and instants."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_sync.core.model import (
    Appointment,
    CalendarEvent,
    Direction,
    Draft,
    Encounter,
    Patient,
    Row,
    Source,
    Span,
    WelkinEvent,
    Window,
    exceeds,
    instant,
    iso,
    parse_iso,
    to_second,
    zone_or_none,
)

EASTERN = ZoneInfo("America/New_York")
instants = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.timezones()).map(
    lambda value: value.astimezone(UTC)
)
days = st.dates(date(1970, 1, 2), date(2200, 1, 1))
spans = st.one_of(st.builds(Span, instants, instants), st.builds(Span, days, days))


@given(spans)
def test_a_span_reads_back_what_it_wrote(span: Span) -> None:
    assert Span.parse(str(span)) == span
    assert Span.parse(str(span)).all_day == span.all_day
    assert len(str(span)) <= 64


@given(st.one_of(instants, days))
def test_iso_text_reads_back(value: datetime | date) -> None:
    assert parse_iso(iso(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-03-02", date(2026, 3, 2)),
        ("2026-03-02T14:00:00Z", datetime(2026, 3, 2, 14, tzinfo=UTC)),
        ("2026-03-02T14:00:00.123456789Z", datetime(2026, 3, 2, 14, 0, 0, 123456, tzinfo=UTC)),
        ("2026-03-02T14:00:00.5+05:30", datetime(2026, 3, 2, 8, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-03-02T14:00:00-0800", datetime(2026, 3, 2, 22, tzinfo=UTC)),
    ],
)
def test_forms_of_iso(text: str, value: datetime | date) -> None:
    assert parse_iso(text) == value


@pytest.mark.parametrize("text", ["", "now", "2026-03-02T14:00:00", "2026-13-01", "14:00:00Z"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_iso(text)


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 8), 23), (date(2026, 11, 1), 25), (date(2026, 7, 1), 24)]
)
def test_a_day_has_as_many_hours_as_its_zone_gives_it(day: date, hours: int) -> None:
    start, end = Span(day, day + timedelta(days=1)).instants(EASTERN)
    assert end - start == timedelta(hours=hours)


def test_overlap_excludes_both_ends() -> None:
    window = Window(datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC))
    hour = timedelta(hours=1)
    assert not Span(window.start - hour, window.start).overlaps(window, EASTERN)
    assert Span(window.start - hour, window.start + hour).overlaps(window, EASTERN)
    assert not Span(window.end, window.end + hour).overlaps(window, EASTERN)
    # A day on the east coast begins five hours later than in UTC.
    assert Span(date(2026, 3, 1), date(2026, 3, 2)).overlaps(window, EASTERN)
    assert not Span(date(2026, 3, 3), date(2026, 3, 4)).overlaps(window, EASTERN)


@pytest.mark.parametrize("minutes", [0, -30])
def test_zero_and_negative_length_is_empty(minutes: int) -> None:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    assert Span(start, start + timedelta(minutes=minutes)).empty(EASTERN)
    assert not Span(start, start + timedelta(minutes=1)).empty(EASTERN)


def test_small_helpers() -> None:
    value = datetime(2026, 3, 2, 1, 2, 3, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert to_second(value).microsecond == 0
    assert instant(value, EASTERN) is value
    assert zone_or_none("US/Pacific") == ZoneInfo("US/Pacific")
    for name in (None, "", "Nowhere/Atall", "tzone://Microsoft/Custom", "../etc/passwd", "a\0b"):
        assert zone_or_none(name) is None


@pytest.mark.parametrize(
    ("direction", "calendar", "welkin"),
    [
        (Direction.BIDIRECTIONAL, True, True),
        (Direction.WELKIN_TO_CALENDAR, True, False),
        (Direction.CALENDAR_TO_WELKIN, False, True),
    ],
)
def test_directions(direction: Direction, calendar: bool, welkin: bool) -> None:
    assert (direction.writes_calendar, direction.writes_welkin) == (calendar, welkin)


def test_nothing_with_patient_data_says_it_when_printed() -> None:
    when = Span(date(2026, 3, 2), date(2026, 3, 3))
    patient = Patient("Zyxwanda", "Qanaryson")
    event = WelkinEvent(
        "w1", when, "h", frozenset({"h"}), title="Zyxwanda visit", patients=(patient,),
        location="Zyxwanda's home",
    )  # fmt: skip
    found = CalendarEvent("g1", span=when, title="Zyxwanda", description="Qanaryson")
    draft = Draft("Zyxwanda", "Qanaryson", when, "UTC", "full/full", "hash")
    appointment = Appointment(event, Encounter("w1", "e1", "etmp", "DRAFT"), "hash")
    for value in (patient, event, found, draft, appointment, [appointment], {"a": draft}):
        assert "Zyxwanda" not in f"{value!r} {value}"
        assert "Qanaryson" not in f"{value!r} {value}"


def test_the_source_of_an_instance_is_its_series_and_original_start() -> None:
    assert Row("x").source == Source("x")
    found = Row("s_2", series_id="s", original_start="2026-03-02T14:00:00Z")
    assert found.source == Source("s", "2026-03-02T14:00:00Z")


@pytest.mark.parametrize(
    ("level", "allowed", "more"),
    [
        ("busy/busy", "busy/busy", False),
        ("full/busy", "type/full", True),
        ("type/busy", "full/busy", False),
        ("busy/type", "full/busy", True),
        ("type/busy+place", "type/busy", True),
        ("type/busy+place", "full/full+link", True),
        ("type/busy+link", "type/busy+place+link", False),
        ("type/busy", "type/busy+link", False),
    ],
)
def test_a_level_exceeds_another_by_title_or_by_description(
    level: str, allowed: str, more: bool
) -> None:
    assert exceeds(level, allowed) is more
