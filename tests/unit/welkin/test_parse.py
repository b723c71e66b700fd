"""From Welkin's JSON to our values, whatever it sends."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from calendar_sync.adapters.welkin import BlockDraft
from calendar_sync.adapters.welkin.parse import (
    UnreadableObject,
    parse_encounter,
    parse_event,
    parse_user,
    welkin_time,
)
from calendar_sync.core.model import Encounter, Span, WelkinUser

EASTERN = ZoneInfo("America/New_York")
START, END = "2026-03-02T15:00:00.000Z", "2026-03-02T16:00:00.000Z"
ROW: dict[str, Any] = {
    "id": "w1", "externalId": None, "eventTitle": "Team huddle", "startDateTime": START,
    "localStartDateTime": "2026-03-02T07:00:00.000-08:00", "endDateTime": END,
    "allDayEvent": False, "duration": 3600, "eventType": "APPOINTMENT", "eventStatus": "Scheduled",
    "eventMode": "IN-PERSON", "hostId": "h", "timezone": "US/Pacific", "additionalInfo": None,
    "updatedAt": "2026-02-24T18:33:03.921Z",
    "participants": [
        {"id": "1", "participantId": "h", "participantRole": "psm", "deleted": False},
        {"id": "2", "participantId": "u", "participantRole": "PSM"},
        {"id": "3", "participantId": "p", "participantRole": "patient", "firstName": "Pat",
         "lastName": "Example"},
        {"id": "4", "participantId": "g", "participantRole": "psm", "deleted": True},
    ],
}  # fmt: skip


def row(**changes: Any) -> dict[str, Any]:
    return {**ROW, **changes}


def test_a_recorded_event() -> None:
    found = parse_event(ROW, EASTERN)
    start = datetime(2026, 3, 2, 15, tzinfo=UTC)
    assert found.span == Span(start, start + timedelta(hours=1))
    assert (found.id, found.host_id, found.kind, found.mode) == (
        "w1",
        "h",
        "APPOINTMENT",
        "IN_PERSON",
    )
    assert found.user_ids == {"h", "u"}
    assert [(p.first_name, p.last_name) for p in found.patients] == [("Pat", "Example")]
    assert not found.cancelled
    assert found.time_zone == "US/Pacific"


def test_three_keys_are_enough() -> None:
    found = parse_event({"id": "w1", "startDateTime": START, "endDateTime": END}, EASTERN)
    assert (found.kind, found.cancelled, found.user_ids, found.patients) == (
        "APPOINTMENT", False, frozenset(), (),
    )  # fmt: skip


@pytest.mark.parametrize(
    "bad",
    [
        None, [], "text", {}, {"id": "w1"}, row(id=None), row(id=""), row(id=7),
        row(startDateTime=None), row(endDateTime="soon"), row(startDateTime=17),
        row(startDateTime="2026-03-02T15:00:00"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_less_is_unreadable_and_named_by_its_id_only(bad: Any) -> None:
    with pytest.raises(UnreadableObject) as caught:
        parse_event(bad, EASTERN)
    assert str(caught.value) in {"", "w1"}


@pytest.mark.parametrize(
    ("status", "cancelled"),
    [
        ("CANCELLED", True), ("Cancelled", True), ("CANCELED", True), (" canceled ", True),
        ("SCHEDULED", False), ("Scheduled", False), (None, False), ("COMPLETED", False),
        ("MISSED", False), ("POSTPONED?", False), (7, False), ("", False),
    ],
)  # fmt: skip
def test_only_cancelled_is_cancelled(status: Any, cancelled: bool) -> None:
    assert parse_event(row(eventStatus=status), EASTERN).cancelled is cancelled


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("ENCOUNTER", "ENCOUNTER"), ("group-therapy", "GROUP_THERAPY"), ("Leave", "LEAVE"),
        (None, "APPOINTMENT"), ("SEANCE", "APPOINTMENT"), (3, "APPOINTMENT"),
    ],
)  # fmt: skip
def test_kinds(kind: Any, known: str) -> None:
    assert parse_event(row(eventType=kind), EASTERN).kind == known


@pytest.mark.parametrize(
    ("info", "location"),
    [
        ({"location": "Elm Street"}, "Elm Street"), ('{"location": "Elm Street"}', "Elm Street"),
        ({"remarks": "x"}, None), ("Elm Street", None), ("{", None), ("[]", None), (None, None),
        ({"location": 7}, None), ([], None),
    ],
)  # fmt: skip
def test_locations(info: Any, location: str | None) -> None:
    assert parse_event(row(additionalInfo=info), EASTERN).location == location


@pytest.mark.parametrize("people", [None, "x", [None, 7, "x"], [{}], {"a": 1}])
def test_participants_of_any_shape(people: Any) -> None:
    assert parse_event(row(participants=people), EASTERN).user_ids == {"h"}


@pytest.mark.parametrize(
    "text",
    ["2026-03-02T15:00:00Z", "2026-03-02T15:00:00.123456Z", "2026-03-02T10:00:00-05:00",
     "2026-03-02T15:00:00.999999999Z"],
)  # fmt: skip
def test_any_precision_and_offset(text: str) -> None:
    start = parse_event(row(startDateTime=text), EASTERN).span.start
    assert start == datetime(2026, 3, 2, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "zone", "first", "after"),
    [
        # Midnight to midnight in the event's own zone, exclusive or to the last millisecond.
        ("2026-03-02T08:00:00.000Z", "2026-03-03T08:00:00.000Z", "US/Pacific", 2, 3),
        ("2026-03-02T08:00:00.000Z", "2026-03-03T07:59:59.999Z", "US/Pacific", 2, 3),
        # In the user's zone, where the event names none.
        ("2026-03-02T05:00:00.000Z", "2026-03-04T05:00:00.000Z", None, 2, 4),
        # In UTC.
        ("2026-03-02T00:00:00.000Z", "2026-03-03T00:00:00.000Z", None, 2, 3),
        ("2026-03-02T00:00:00.000Z", "2026-03-02T23:59:59.999Z", None, 2, 3),
        # Not midnight anywhere: the day on which it starts.
        ("2026-03-02T15:00:00.000Z", "2026-03-02T16:00:00.000Z", None, 2, 3),
        # A day always lasts.
        ("2026-03-02T08:00:00.000Z", "2026-03-02T08:00:00.000Z", "US/Pacific", 2, 3),
    ],
)
def test_all_day(start: str, end: str, zone: str | None, first: int, after: int) -> None:
    found = parse_event(
        row(allDayEvent=True, startDateTime=start, endDateTime=end, timezone=zone), EASTERN
    )
    assert found.span == Span(date(2026, 3, first), date(2026, 3, after))


@budget(deadline=None, max_examples=400)
@given(
    st.dates(date(2020, 1, 1), date(2035, 1, 1)),
    st.integers(1, 20),
    st.sampled_from(sorted(available_timezones() - {"localtime"})),
    st.booleans(),
)
def test_an_all_day_block_reads_back_as_it_was_written(
    first: date, days: int, name: str, flag: bool
) -> None:
    span, zone = Span(first, first + timedelta(days=days)), ZoneInfo(name)
    body = BlockDraft("u", span, zone, "Busy", all_day_flag=flag).body()
    found = parse_event({"id": "b", "timezone": name, **body}, zone)
    if flag:
        assert found.span == span
    assert found.span.instants(zone) == span.instants(zone)


@pytest.mark.parametrize(
    "name", ["Africa/Cairo", "America/Havana", "America/Asuncion", "Asia/Beirut"]
)
def test_days_that_begin_at_one_because_midnight_is_missing(name: str) -> None:
    zone = ZoneInfo(name)
    gaps = [
        day
        for day in (date(2015, 1, 1) + timedelta(days=n) for n in range(3650))
        if datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC).astimezone(zone).hour
    ]
    assert gaps
    for day in gaps:
        for span in (Span(day - timedelta(days=1), day), Span(day, day + timedelta(days=1))):
            body = BlockDraft("u", span, zone, "Busy", all_day_flag=True).body()
            assert parse_event({"id": "b", "timezone": name, **body}, zone).span == span


ENCOUNTER: dict[str, Any] = {
    "id": "e1",
    "jsonBody": {
        "calendarEventId": "w1", "templateName": "etmp-a", "type": "etmp-b", "status": "Draft",
        "title": "Zyxwanda", "notes": "secret",
    },
}  # fmt: skip


def test_encounters_keep_four_words() -> None:
    assert parse_encounter(ENCOUNTER) == Encounter("w1", "e1", "etmp-a", "DRAFT")
    body = {"id": "e2", "currentScheduledAppointment": {"id": "w2"}, "type": "etmp-b"}
    assert parse_encounter({"jsonBody": body}) == Encounter("w2", "e2", "etmp-b", "")


@pytest.mark.parametrize(
    "bad",
    [None, [], {}, {"id": "e"}, {"id": "e", "jsonBody": "x"}, {"id": "e", "jsonBody": {}},
     {"jsonBody": {"calendarEventId": "w"}},
     {"id": "e", "jsonBody": {"currentScheduledAppointment": "x"}}],
    ids=str,
)  # fmt: skip
def test_encounters_without_appointment_or_shape_are_dropped(bad: Any) -> None:
    assert parse_encounter(bad) is None


USER = {
    "id": "u1", "email": "Dana@Example.org", "timezone": "US/Eastern", "userState": "ACTIVE",
    "enabled": True, "applicationAccess": {"instanceAccesses": [{"instanceName": "live"}]},
}  # fmt: skip


def test_users() -> None:
    assert parse_user(USER, "live") == WelkinUser("u1", "dana@example.org", "US/Eastern", True)
    inactive = [
        parse_user(USER, "test"),
        parse_user({**USER, "userState": "INACTIVE"}, "live"),
        parse_user({**USER, "enabled": False}, "live"),
        parse_user({**USER, "applicationAccess": None}, "live"),
        parse_user({"id": "u1"}, "live"),
    ]
    assert not any(user is None or user.active for user in inactive)
    assert parse_user({}, "live") is None
    assert parse_user("x", "live") is None


@given(st.datetimes(timezones=st.timezones(), min_value=datetime(1971, 1, 1)))
def test_times_are_sent_in_the_only_form_that_welkin_takes(value: datetime) -> None:
    text = welkin_time(value)
    assert len(text) == 24
    assert text[19] == "."
    assert text.endswith("Z")
    assert abs(datetime.fromisoformat(text) - value) < timedelta(milliseconds=1)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*ROW, "other"]), json_values))
def test_no_json_breaks_the_reader(changes: dict[str, Any]) -> None:
    try:
        found = parse_event(row(**changes), EASTERN)
    except UnreadableObject:
        return
    assert found.id


@given(st.dictionaries(st.sampled_from([*ENCOUNTER["jsonBody"], "id"]), json_values), json_values)
def test_no_json_breaks_the_reader_of_encounters(body: dict[str, Any], whole: Any) -> None:
    found = parse_encounter({"id": "e1", "jsonBody": {**ENCOUNTER["jsonBody"], **body}})
    assert found is None or found.event_id
    parse_encounter(whole)
    parse_user(whole, "live")
