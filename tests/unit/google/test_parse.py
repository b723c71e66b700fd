"""From Google's event resource to our values, and from a draft to a write."""

from dataclasses import astuple, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_sync.adapters.google.parse import mirror_body, mirror_changes, parse_event
from calendar_sync.core.identity import Identity
from calendar_sync.core.model import (
    Availability,
    CalendarEvent,
    Draft,
    Source,
    Span,
    Tombstone,
    Unreadable,
)

ONE = Identity("key", "demo/live")
START = datetime(2026, 3, 2, 14, tzinfo=UTC)
ROW: dict[str, Any] = {
    "id": "g1", "status": "confirmed", "etag": '"7"', "summary": "Dentist",
    "start": {"dateTime": "2026-03-02T09:00:00-05:00", "timeZone": "America/New_York"},
    "end": {"dateTime": "2026-03-02T10:00:00-05:00", "timeZone": "America/New_York"},
    "iCalUID": "g1@google.com", "organizer": {"email": "o@example.org"},
    "creator": {"email": "c@example.org"}, "eventType": "default",
}  # fmt: skip


def row(**changes: Any) -> dict[str, Any]:
    return {**ROW, **changes}


def parsed(**changes: Any) -> Any:
    return parse_event(row(**changes))


def test_an_event() -> None:
    found = parsed()
    assert found.span == Span(START, START + timedelta(hours=1))
    assert (found.id, found.etag, found.title) == ("g1", '"7"', "Dentist")
    assert (found.organizer, found.creator, found.ical_uid) == (
        "o@example.org", "c@example.org", "g1@google.com",
    )  # fmt: skip
    assert found.source == Source("g1")
    flags = [found.unread, found.declined, found.informational, found.is_master]
    assert not any(flags)


@pytest.mark.parametrize("bad", [None, [], {}, {"id": None}, {"id": 7}, "x"])
def test_without_an_id_it_is_nothing(bad: Any) -> None:
    assert parse_event(bad) is None


def test_of_a_tombstone_only_the_id_is_certain() -> None:
    found = parse_event({"id": "g1", "status": "cancelled"})
    assert found == Tombstone("g1")
    original = {"dateTime": "2026-03-02T09:00:00-05:00"}
    found = parse_event(
        {
            "id": "g1_x",
            "status": "cancelled",
            "recurringEventId": "g1",
            "originalStartTime": original,
        }
    )
    assert found is not None
    assert found.source == Source("g1", "2026-03-02T14:00:00Z")


@pytest.mark.parametrize(
    ("changes", "availability"),
    [
        ({}, Availability.BUSY),
        ({"transparency": "opaque"}, Availability.BUSY),
        ({"transparency": "transparent"}, Availability.FREE),
        ({"status": "tentative"}, Availability.TENTATIVE),
        ({"attendees": [{"self": True, "responseStatus": "tentative"}]}, Availability.TENTATIVE),
        ({"attendees": [{"responseStatus": "tentative"}]}, Availability.BUSY),
        ({"attendees": [{"self": True, "responseStatus": "needsAction"}]}, Availability.TENTATIVE),
        ({"attendees": [{"responseStatus": "needsAction"}]}, Availability.BUSY),
        (
            {
                "attendees": [{"self": True, "responseStatus": "needsAction"}],
                "organizer": {"email": "o@example.org", "self": True},
            },
            Availability.BUSY,
        ),
        ({"status": "unheard of"}, Availability.BUSY),
    ],
)
def test_availability(changes: dict[str, Any], availability: Availability) -> None:
    assert parsed(**changes).availability is availability


def test_what_else_decides() -> None:
    assert parsed(attendees=[{"self": True, "responseStatus": "declined"}]).declined
    assert not parsed(attendees=[{"responseStatus": "declined"}]).declined
    assert parsed(attendees=[{}]).has_attendees
    for kind in ("workingLocation", "birthday"):
        assert parsed(eventType=kind).informational
    for other in ("focusTime", "outOfOffice", "fromGmail", "new", None):
        assert not parsed(eventType=other).informational
    assert parsed(recurrence=["RRULE:FREQ=DAILY"]).is_master
    for visibility, private in (("private", True), ("confidential", True), ("public", False)):
        assert parsed(visibility=visibility).private is private
    assert parsed(extendedProperties={"private": {"calendarSync": "m"}}).marker == "m"


@pytest.mark.parametrize(
    ("start", "end", "span"),
    [
        ({"date": "2026-03-02"}, {"date": "2026-03-03"}, Span(date(2026, 3, 2), date(2026, 3, 3))),
        (
            {"dateTime": "2026-03-02T09:00:00", "timeZone": "America/New_York"},
            {"dateTime": "2026-03-02T10:00:00.999Z"},
            Span(START, datetime(2026, 3, 2, 10, tzinfo=UTC)),
        ),
        ({"dateTime": "2026-03-02T09:00:00"}, {"dateTime": "2026-03-02T10:00:00"}, None),
        ({"dateTime": "2026-03-02T09:00:00", "timeZone": "tzone://Microsoft/Custom"}, {}, None),
        ({"date": "2026-03-02"}, {"dateTime": "2026-03-02T10:00:00Z"}, None),
        ({"date": "soon"}, {"date": "later"}, None),
        (None, None, None),
        ("x", [], None),
    ],
)
def test_times(start: Any, end: Any, span: Span | None) -> None:
    found = parsed(start=start, end=end)
    assert found.span == span if span else isinstance(found, Unreadable)


@pytest.mark.parametrize(
    "original", [{"date": "2026-03-02"}, {"dateTime": "2026-03-02T09:00:00-05:00"}]
)
def test_the_original_start_is_canonical(original: dict[str, str]) -> None:
    found = parsed(recurringEventId="s", originalStartTime=original).source
    assert found.original_start in {"2026-03-02", "2026-03-02T14:00:00Z"}


def draft(span: Span, zone: str = "US/Pacific") -> Draft:
    return Draft("Busy", "text", span, zone, "busy/busy", ONE.mirror_hash("Busy", "text", span))


instants = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(
    lambda value: value.replace(microsecond=0, tzinfo=UTC)
)
dates = st.dates(date(2000, 1, 1), date(2100, 1, 1))


@given(
    # A mirror has a length: whole days that end where they begin are read as one day.
    st.one_of(st.builds(Span, instants, instants), st.builds(Span, dates, dates)).filter(
        lambda span: span.start != span.end
    ),
    st.sampled_from(["US/Pacific", "Asia/Kathmandu", "Pacific/Kiritimati", "nonsense", "UTC"]),
)
def test_a_mirror_reads_back_as_it_was_written(span: Span, zone: str) -> None:
    body = mirror_body(draft(span, zone), "m")
    found = parse_event({"id": "g", **body})
    assert isinstance(found, CalendarEvent)
    assert (found.span, found.marker) == (span, "m")
    assert ONE.event_hash(found) == draft(span).hash


def test_a_mirror_is_private_and_opaque_without_guests() -> None:
    body = mirror_body(draft(Span(START, START + timedelta(hours=1))), "m")
    assert body["visibility"] == "private"
    assert body["transparency"] == "opaque"
    assert body["start"] == {"dateTime": "2026-03-02T06:00:00-08:00", "timeZone": "US/Pacific"}
    assert not {"attendees", "conferenceData", "location"} & body.keys()


@pytest.mark.parametrize(
    ("reminder", "fields"),
    [
        ("default", {"useDefault": True}),
        ("none", {"useDefault": False}),
        ("15", {"useDefault": False, "overrides": [{"method": "popup", "minutes": 15}]}),
    ],
)
def test_reminder_and_colour_are_for_a_new_mirror(reminder: str, fields: dict[str, Any]) -> None:
    hour = Span(START, START + timedelta(hours=1))
    wanted = replace(draft(hour), reminder=reminder, colour="sage")
    body = mirror_body(wanted, "m")
    assert (body["reminders"], body["colorId"]) == (fields, "2")
    assert not {"reminders", "colorId"} & mirror_changes(wanted, "m").keys()
    assert mirror_changes(replace(wanted, colours=("tomato",)), "m")["colorId"] == "11"
    assert mirror_changes(replace(wanted, colours=()), "m")["colorId"] is None


def test_location_and_status_are_kept_up_to_date() -> None:
    hour = Span(START, START + timedelta(hours=1))
    wanted = replace(draft(hour), location="Elm", tentative=True)
    for body in (mirror_body(wanted, "m"), mirror_changes(wanted, "m")):
        assert (body["location"], body["status"]) == ("Elm", "tentative")
    assert mirror_changes(replace(wanted, location=""), "m")["location"] == ""


@pytest.mark.parametrize(
    ("color_id", "colours"), [("2", ("sage",)), ("99", ("99",)), (None, ()), (7, ())]
)
def test_colours_have_names(color_id: Any, colours: tuple[str, ...]) -> None:
    assert parsed(colorId=color_id).colours == colours


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [*ROW, "attendees", "extendedProperties", "recurrence", "originalStartTime"]
        ),
        json_values,
    )
)
def test_no_json_breaks_the_reader(changes: dict[str, Any]) -> None:
    found = parse_event(row(**changes))
    if found is not None:
        assert not ONE.is_ours(found.marker)
        if isinstance(found, CalendarEvent):
            ONE.event_hash(found)


@pytest.mark.parametrize(
    ("changes", "place", "online"),
    [
        ({}, False, False),
        ({"location": "Elm Street 12"}, True, False),
        ({"location": ["Elm Street 12"]}, False, False),
        ({"location": "https://zoom.us/j/1"}, False, True),
        ({"hangoutLink": "https://meet.google.com/abc"}, False, True),
        ({"hangoutLink": "https://meet.google.com/abc", "location": "Room 5"}, True, True),
        ({"conferenceData": {"entryPoints": [{"entryPointType": "video"}]}}, False, True),
        ({"conferenceData": {"createRequest": {}}}, False, False),
        ({"conferenceData": "x"}, False, False),
    ],
)
def test_a_place_and_a_meeting_online(changes: dict[str, Any], place: bool, online: bool) -> None:
    found = parsed(**changes)
    assert (found.has_place, found.online) == (place, online)


def test_of_a_location_nothing_else_is_kept() -> None:
    found = parsed(location="Elm Street 12", hangoutLink="https://meet.google.com/abc")
    assert "Elm" not in repr(astuple(found))
    assert "abc" not in repr(astuple(found))


@pytest.mark.parametrize(
    ("kind", "away"), [("outOfOffice", True), ("focusTime", False), ("default", False), (7, False)]
)
def test_out_of_office(kind: Any, away: bool) -> None:
    assert parsed(eventType=kind).out_of_office is away


@pytest.mark.parametrize(
    ("changes", "decided"),
    [
        ({}, True),
        ({"status": "tentative"}, False),
        ({"attendees": [{"self": True, "responseStatus": "accepted"}]}, True),
        ({"attendees": [{"self": True, "responseStatus": "tentative"}]}, False),
        ({"attendees": [{"self": True, "responseStatus": "needsAction"}]}, False),
        (
            {
                "attendees": [{"self": True, "responseStatus": "needsAction"}],
                "organizer": {"self": True},
            },
            True,
        ),
    ],
)
def test_free_is_the_decision_of_the_owner(changes: dict[str, Any], decided: bool) -> None:
    found = parsed(transparency="transparent", **changes)
    assert (found.availability, found.chosen_free) == (Availability.FREE, decided)
    assert not parsed(transparency="opaque", **changes).chosen_free
