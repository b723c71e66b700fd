"""From Graph's event resource to our values, and from a draft to a write."""

import html
from dataclasses import astuple, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_sync.adapters.microsoft.parse import (
    EXPAND,
    PROPERTY,
    SELECT,
    mirror_body,
    mirror_changes,
    parse_event,
)
from calendar_sync.core.identity import Identity
from calendar_sync.core.model import (
    Availability,
    CalendarEvent,
    Draft,
    Removed,
    Source,
    Span,
    Unreadable,
    iso,
)

ONE = Identity("key", "demo/live")
START = datetime(2026, 3, 2, 14, tzinfo=UTC)
HOUR = Span(START, START + timedelta(hours=1))
DAY = Span(date(2026, 3, 2), date(2026, 3, 3))
ROW: dict[str, Any] = {
    "@odata.etag": 'W/"7"', "id": "AAMk=", "type": "singleInstance", "subject": "Dentist",
    "body": {"contentType": "text", "content": "bring the card"},
    "start": {"dateTime": "2026-03-02T14:00:00.0000000", "timeZone": "UTC"},
    "end": {"dateTime": "2026-03-02T15:00:00.0000000", "timeZone": "UTC"},
    "originalStartTimeZone": "Eastern Standard Time", "isAllDay": False, "isCancelled": False,
    "showAs": "busy", "sensitivity": "normal", "iCalUId": "040000008200E0",
    "responseStatus": {"response": "organizer", "time": "0001-01-01T00:00:00Z"},
    "organizer": {"emailAddress": {"name": "O", "address": "o@example.org"}},
    "attendees": [], "seriesMasterId": None, "recurrence": None, "transactionId": None,
    "lastModifiedDateTime": "2026-03-01T09:00:00.1234567Z",
}  # fmt: skip


def row(**changes: Any) -> dict[str, Any]:
    return {**ROW, **changes}


def parsed(**changes: Any) -> Any:
    return parse_event(row(**changes))


def at(text: str, zone: Any = "UTC") -> dict[str, Any]:
    return {"dateTime": text, "timeZone": zone}


def test_an_event() -> None:
    found = parsed()
    assert found == CalendarEvent(
        id="AAMk=", etag='W/"7"', span=HOUR, title="Dentist", description="bring the card",
        ical_uid="040000008200E0", organizer="o@example.org",
        version="2026-03-01T09:00:00.1234567Z",
    )  # fmt: skip
    assert found.source == Source("AAMk=")


@pytest.mark.parametrize("bad", [None, [], {}, {"id": None}, {"id": 7}, {"id": ""}, "x", 7, True])
def test_without_an_id_it_is_nothing(bad: Any) -> None:
    assert parse_event(bad) is None


@pytest.mark.parametrize(
    "removed", [{"reason": "deleted"}, {"reason": "changed"}, {}, None, "x"], ids=str
)
def test_removed_may_mean_deleted_or_outside_the_window(removed: Any) -> None:
    found = parse_event({"@removed": removed, "id": "AAMk="}, listed=True)
    assert found == Removed("AAMk=")


def test_an_event_with_nothing_but_nulls_is_busy_at_no_known_time() -> None:
    found = parse_event({**dict.fromkeys([*ROW, *SELECT.split(",")]), "id": "x"})
    assert found == Unreadable("x")
    assert parse_event({"id": "x"}) == found


# --- Does it make busy? -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "availability"),
    [
        ({"showAs": "free"}, Availability.FREE),
        ({"showAs": "workingElsewhere"}, Availability.FREE),
        ({"showAs": "busy"}, Availability.BUSY),
        ({"showAs": "oof"}, Availability.BUSY),
        ({"showAs": "unknown"}, Availability.BUSY),
        ({"showAs": "unheard of"}, Availability.BUSY),
        ({"showAs": None}, Availability.BUSY),
        ({"showAs": ["free"]}, Availability.BUSY),
        ({"showAs": {"free": 1}}, Availability.BUSY),
        ({"showAs": "tentative"}, Availability.TENTATIVE),
        ({"responseStatus": {"response": "tentativelyAccepted"}}, Availability.TENTATIVE),
        ({"responseStatus": {"response": "accepted"}}, Availability.BUSY),
        ({"responseStatus": {"response": "notResponded"}}, Availability.TENTATIVE),
        ({"showAs": "free", "responseStatus": {"response": "notResponded"}}, Availability.FREE),
        ({"responseStatus": {"response": "none"}}, Availability.BUSY),
        ({"responseStatus": {"response": None}}, Availability.BUSY),
        ({"responseStatus": None}, Availability.BUSY),
        ({"showAs": "free", "responseStatus": {"response": "tentativelyAccepted"}},
         Availability.FREE),
        ({"isCancelled": True}, Availability.FREE),
        ({"isCancelled": True, "showAs": "oof"}, Availability.FREE),
        ({"isCancelled": None}, Availability.BUSY),
        ({"isCancelled": "true"}, Availability.BUSY),
    ],
    ids=str,
)  # fmt: skip
def test_availability(changes: dict[str, Any], availability: Availability) -> None:
    assert parsed(**changes).availability is availability


def test_versions_sort_by_time_however_many_digits_they_have() -> None:
    told = [
        "2026-03-02T14:00:00Z",
        "2026-03-02T14:00:00.0000001Z",
        "2026-03-02T14:00:00.41Z",
        "2026-03-02T14:00:00.4167529Z",
        "2026-03-02T14:00:01Z",
    ]
    found = [parse_event({"id": "x", "lastModifiedDateTime": text}) for text in told]
    versions = [event.version for event in found if event is not None]
    assert versions == sorted(set(versions))
    assert len(versions) == len(told)
    nothing = parse_event({"id": "x", "lastModifiedDateTime": None})
    assert nothing is not None
    assert nothing.version == ""


def test_only_the_own_answer_declines() -> None:
    assert parsed(responseStatus={"response": "declined"}).declined
    guest = {"type": "required", "status": {"response": "declined"}}
    found = parsed(attendees=[guest])
    assert found.has_attendees
    assert not found.declined


@pytest.mark.parametrize(
    ("sensitivity", "private"),
    [("normal", False), ("personal", False), ("private", True), ("confidential", True),
     ("unheard of", False), (None, False), (7, False), (["private"], False), ({}, False)],
    ids=str,
)  # fmt: skip
def test_sensitivity(sensitivity: Any, private: bool) -> None:
    assert parsed(sensitivity=sensitivity).private is private


def test_a_delta_shows_no_markers_so_what_is_private_must_be_read() -> None:
    for sensitivity, unread in (("private", True), ("confidential", True), ("normal", False)):
        found = parse_event(row(sensitivity=sensitivity), listed=True)
        assert isinstance(found, CalendarEvent)
        assert found.unread is unread
        assert not parsed(sensitivity=sensitivity).unread


# --- Times ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "instant"),
    [
        (at("2026-03-02T14:00:00.0000000"), START),
        (at("2026-03-02T14:00:00.9999999"), START),
        (at("2026-03-02T14:00:00"), START),
        (at("2026-03-02T14:00"), START),
        (at("2026-03-02T14:00:00Z"), START),
        (at("2026-03-02T09:00:00-05:00", "Tokyo Standard Time"), START),
        (at("2026-03-02T09:00:00.0000000", "Eastern Standard Time"), START),
        (at("2026-03-02T09:00:00.0000000", "America/New_York"), START),
        (at("2026-07-02T10:00:00", "Eastern Standard Time"), datetime(2026, 7, 2, 14, tzinfo=UTC)),
        (at("2026-03-02T19:45:00", "Nepal Standard Time"), START),
        (at("2026-03-03T04:00:00", "Line Islands Standard Time"), START),
        (at("2026-03-02T14:00:00", "tzone://Microsoft/Custom"), START),
        (at("2026-03-02T14:00:00", "Customized Time Zone"), START),
        (at("2026-03-02T14:00:00", "no such zone"), START),
        (at("2026-03-02T14:00:00", ""), START),
        (at("2026-03-02T14:00:00", None), START),
        (at("2026-03-02T14:00:00", ["UTC"]), START),
        (at("2026-03-02T14:00:00", "../../etc/passwd"), START),
        ({"dateTime": "2026-03-02T14:00:00"}, START),
    ],
    ids=str,
)
def test_a_local_time_and_its_zone_are_an_instant_of_whole_seconds(
    moment: Any, instant: datetime
) -> None:
    later = at("2026-12-31T00:00:00")
    assert parsed(start=moment, end=later).span == Span(instant, datetime(2026, 12, 31, tzinfo=UTC))


@pytest.mark.parametrize(
    "broken",
    [None, "2026-03-02T14:00:00", [], {}, 7, at("soon"), {"dateTime": None}, {"dateTime": []},
     {"dateTime": 20260302}, at("2026-02-30T00:00:00"),
     at("0001-01-01T00:00:00", "Tokyo Standard Time"),
     at("9999-12-31T23:59:59", "Pacific Standard Time"), at("0001-01-01T00:00:00+14:00")],
    ids=str,
)  # fmt: skip
def test_without_both_ends_there_is_no_time(broken: Any) -> None:
    assert isinstance(parsed(start=broken), Unreadable)
    assert isinstance(parsed(end=broken), Unreadable)
    assert isinstance(parsed(start=broken, isAllDay=True), Unreadable)


def test_all_day_events_are_dates_with_an_exclusive_end() -> None:
    midnights = {"start": at("2026-03-02T00:00:00.0000000"), "end": at("2026-03-03T00:00:00")}
    assert parsed(**midnights, isAllDay=True).span == DAY
    week = parsed(**{**midnights, "end": at("2026-03-09T00:00:00")}, isAllDay=True).span
    assert week == Span(date(2026, 3, 2), date(2026, 3, 9))
    # A day that is not marked as such is a time like any other.
    timed = parsed(**midnights).span
    assert timed is not None
    assert not timed.all_day
    assert getattr(parsed(**midnights, isAllDay="true"), "span", None) != DAY


SHIFTED = [
    ("Eastern Standard Time", "America/New_York"),
    ("Hawaiian Standard Time", "Pacific/Honolulu"),
    ("Dateline Standard Time", "Etc/GMT+12"),
    ("India Standard Time", "Asia/Kolkata"),
    ("Nepal Standard Time", "Asia/Kathmandu"),
    ("Tokyo Standard Time", "Asia/Tokyo"),
    ("Chatham Islands Standard Time", "Pacific/Chatham"),
    ("Line Islands Standard Time", "Pacific/Kiritimati"),
    ("Pacific/Kiritimati", "Pacific/Kiritimati"),
    ("GMT Standard Time", "Europe/London"),
]


@pytest.mark.parametrize(("name", "zone"), SHIFTED)
@given(day=st.dates(date(2010, 1, 1), date(2040, 1, 1)), length=st.integers(1, 40))
def test_days_that_the_utc_preference_has_shifted_are_the_days_of_their_zone(
    name: str, zone: str, day: date, length: int
) -> None:
    days = Span(day, day + timedelta(days=length))
    start, end = (moment.replace(tzinfo=None) for moment in days.instants(ZoneInfo(zone)))
    found = parsed(
        start=at(f"{start.isoformat()}.0000000"),
        end=at(f"{end.isoformat()}.0000000"),
        isAllDay=True,
        originalStartTimeZone=name,
    )
    assert found.span == days


@pytest.mark.parametrize(
    ("start", "zone"),
    [
        ("2026-03-02T05:00:00", "tzone://Microsoft/Custom"),  # New York
        ("2026-03-02T10:00:00", "Customized Time Zone"),  # Honolulu
        ("2026-03-01T15:00:00", "tzone://Microsoft/Custom"),  # Tokyo
        ("2026-03-01T23:00:00", None),  # Paris
    ],
)
def test_days_of_an_unknown_zone_are_those_of_the_nearest_midnight(
    start: str, zone: str | None
) -> None:
    begin = datetime.fromisoformat(start)
    end = at((begin + timedelta(days=1)).isoformat())
    assert parsed(start=at(start), end=end, isAllDay=True, originalStartTimeZone=zone).span == DAY


def test_days_at_the_ends_of_time_are_none() -> None:
    for moment in (at("9999-12-31T23:00:00"), at("0001-01-01T05:00:00")):
        zone = "Dateline Standard Time"
        found = parsed(start=moment, end=moment, isAllDay=True, originalStartTimeZone=zone)
        assert isinstance(found, Unreadable) or found.span.all_day


# --- Series -----------------------------------------------------------------------------------


def test_a_bare_occurrence_of_a_delta_has_not_been_moved() -> None:
    bare = {
        "id": "o1", "type": "occurrence", "seriesMasterId": "m1", "@odata.etag": 'W/"1"',
        "start": at("2026-03-02T14:00:00.0000000"), "end": at("2026-03-02T15:00:00.0000000"),
    }  # fmt: skip
    found = parse_event(bare, listed=True)
    assert isinstance(found, CalendarEvent)
    assert found.source == Source("m1", "2026-03-02T14:00:00Z")
    assert (found.span, found.is_master, found.unread) == (HOUR, False, False)


@pytest.mark.parametrize("kind", ["occurrence", "exception"])
@pytest.mark.parametrize(
    ("original", "canonical"),
    [
        ("2026-03-01T09:30:00Z", "2026-03-01T09:30:00Z"),
        ("2026-03-01T09:30:00.0000000Z", "2026-03-01T09:30:00Z"),
        ("2026-03-01T09:30:00.7654321Z", "2026-03-01T09:30:00Z"),
        ("2026-03-01T04:30:00-05:00", "2026-03-01T09:30:00Z"),
        ("2026-03-01", "2026-03-01"),
        # Missing or unreadable: the instance's own start.
        (None, "2026-03-02T14:00:00Z"),
        ("", "2026-03-02T14:00:00Z"),
        ("soon", "2026-03-02T14:00:00Z"),
        ("2026-03-01T09:30:00", "2026-03-02T14:00:00Z"),
        ("0001-01-01T00:00:00+14:00", "2026-03-02T14:00:00Z"),
        (7, "2026-03-02T14:00:00Z"),
        ({}, "2026-03-02T14:00:00Z"),
    ],
    ids=str,
)
def test_the_original_start_is_canonical(kind: str, original: Any, canonical: str) -> None:
    found = parsed(type=kind, seriesMasterId="m1", originalStart=original)
    assert found.source == Source("m1", canonical)


def test_an_instance_without_any_time_has_no_original_start() -> None:
    found = parsed(type="occurrence", seriesMasterId="m1", start=None)
    assert found == Unreadable(found.id, found.etag, "m1", version=found.version)
    assert found.source == Source("m1", "")


@pytest.mark.parametrize(
    ("original", "zone"),
    [
        (None, "UTC"),
        ("soon", "UTC"),
        ("2026-03-01", "UTC"),
        ("2026-03-01T00:00:00Z", "UTC"),
        ("2026-03-01T00:00:00.0000000Z", "Tokyo Standard Time"),
        ("2026-03-01T05:00:00Z", "Eastern Standard Time"),
        ("2026-02-28T10:00:00Z", "Line Islands Standard Time"),
        ("0001-01-01T05:00:00Z", "Dateline Standard Time"),
    ],
)
def test_a_day_of_a_series_has_a_date_for_the_original_start(
    original: str | None, zone: str
) -> None:
    found = parsed(
        type="exception", seriesMasterId="m1", isAllDay=True, originalStart=original,
        originalStartTimeZone=zone, start=at("2026-03-02T00:00:00"), end=at("2026-03-03T00:00:00"),
    )  # fmt: skip
    unread = original is None or original == "soon" or original.startswith("0001")
    assert found.source == Source("m1", "2026-03-02" if unread else "2026-03-01")


def test_a_master_is_no_instance_of_itself() -> None:
    found = parsed(type="seriesMaster", seriesMasterId=None, originalStart="2026-03-02T14:00:00Z")
    assert found.is_master
    assert (found.series_id, found.original_start) == (None, None)
    assert found.source == Source("AAMk=")


@pytest.mark.parametrize("kind", ["singleInstance", None, "unheard of", 7, [], {}], ids=str)
def test_every_other_type_is_single(kind: Any) -> None:
    found = parsed(type=kind, seriesMasterId="m1", originalStart="2026-03-02T14:00:00Z")
    assert (found.series_id, found.original_start, found.is_master) == (None, None, False)


# --- Texts ------------------------------------------------------------------------------------

OUTLOOK = (
    '<html><head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8">\r\n'
    '<meta name="Generator" content="Microsoft Exchange Server">\r\n'
    "<title>Not shown</title>\r\n<!-- converted from text -->\r\n"
    "<style><!-- .EmailQuote { margin-left: 1pt; padding-left: 4pt } --></style></head>\r\n"
    '<body>\r\n<font size="2"><span style="font-size:11pt;"><div class="PlainText">{}</div>'
    "</span></font>\r\n</body>\r\n</html>\r\n"
)


def wrapped(text: str) -> str:
    """What Exchange makes of a plain text."""
    lines = html.escape(text).replace("  ", " &nbsp;").split("\n")
    return OUTLOOK.replace("{}", "<br>\r\n".join(lines))


def words(content: Any, kind: Any = "html") -> list[str]:
    found: str = parsed(body={"contentType": kind, "content": content}).description
    return found.split()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (wrapped("one\ntwo  three"), "one two three"),
        (wrapped("a <b> & \"c\" 'd'"), "a <b> & \"c\" 'd'"),
        (wrapped("gr\u00fc\u00df \U0001f469\u200d\u2695\ufe0f"),
         "gr\u00fc\u00df \U0001f469\u200d\u2695\ufe0f"),
        (wrapped(""), ""),
        ("<p>one</p><p>two</p>", "one two"),
        ("<div>one</div><div>two<br/>three</div>", "one two three"),
        ("<ul><li>one<li>two</ul>", "one two"),
        ("<table><tr><td>one</td></tr><tr><td>two</td></tr></table>", "one two"),
        ("<b>o</b>ne", "one"),
        ("one&nbsp;two&#160;three\u00a0four", "one two three four"),
        ("&amp;&lt;&#128512;&#x1F600;&eacute;&unheard;", "&<\U0001f600\U0001f600\u00e9&unheard;"),
        ("<script>var a = '<p>no</p>'</script>yes", "yes"),
        ("<style>p { color: red }</style>yes", "yes"),
        ("</style></head>yes", "yes"),
        ("<!--[if mso]><p>no</p><![endif]-->yes", "yes"),
        ("<![if !mso]>yes<![endif]>", "yes"),
        ("<?xml:namespace prefix = o />yes", "yes"),
        ("<p>unclosed <b>one", "unclosed one"),
        ("a < b > c", "a < b > c"),
        ("half \ud83d", "half \ud83d"),
        ("no markup\r\nat all", "no markup at all"),
    ],
    ids=ascii,
)  # fmt: skip
def test_the_words_of_a_page(content: str, expected: str) -> None:
    assert words(content) == expected.split()


@pytest.mark.parametrize(
    "content", ["<![foo[bar", "<![", "<!foo", "<!DOCTYPE [<!x", "<", "</", "&#"]
)
def test_a_broken_page_is_read_as_far_as_it_goes(content: str) -> None:
    for page in (f"<p>one</p>{content}", f"<p>one</p>{content}<p>two</p>"):
        assert "".join(words(page)).startswith("one")


@pytest.mark.parametrize("kind", ["text", None, "unheard of", 7, []], ids=str)
def test_what_is_not_said_to_be_a_page_is_taken_as_it_is(kind: Any) -> None:
    found = parsed(body={"contentType": kind, "content": "\r\n<b>a</b>\r\n&amp; b\n\r\n"})
    assert found.description == "<b>a</b>\n&amp; b"


@pytest.mark.parametrize(
    "body",
    [None, "x", [], {}, 7, {"content": None}, {"content": 7, "contentType": "html"},
     {"content": ""}],
    ids=str,
)  # fmt: skip
def test_without_a_body_there_is_no_text(body: Any) -> None:
    assert parsed(body=body).description == ""


@pytest.mark.parametrize("title", [None, 7, [], {}, ""], ids=str)
def test_without_a_subject_the_title_is_empty(title: Any) -> None:
    assert parsed(subject=title).title == ""


@pytest.mark.parametrize(
    "text", ["\ud800", "\udfff half", "\U0001f600", "\u0000", "e\u0301"], ids=ascii
)
def test_texts_of_any_kind_have_a_hash(text: str) -> None:
    found = parsed(subject=text, body={"contentType": "text", "content": text})
    assert found.title == text
    assert len(ONE.event_hash(found)) == 32


@pytest.mark.parametrize(
    "organizer",
    [None, "o@example.org", [], {"emailAddress": None}, {"emailAddress": "o@example.org"},
     {"emailAddress": {"address": 7}}, {"emailAddress": {}}],
    ids=str,
)  # fmt: skip
def test_without_an_address_there_is_no_organizer(organizer: Any) -> None:
    assert parsed(organizer=organizer).organizer is None


# --- Markers ----------------------------------------------------------------------------------


def properties(marker: str) -> list[Any]:
    return [{"id": PROPERTY, "value": marker}]


def test_the_marker_is_asked_for_by_the_id_under_which_it_is_written() -> None:
    written = mirror_body(draft(HOUR), "m")["singleValueExtendedProperties"]
    assert written == properties("m")
    assert f"'{PROPERTY}'" in EXPAND
    assert "singleValueExtendedProperties" not in SELECT


@pytest.mark.parametrize(
    ("found", "marker"),
    [
        (properties("m"), "m"),
        ([{"id": PROPERTY.upper(), "value": "m"}], "m"),
        ([{"id": PROPERTY.lower(), "value": "m"}], "m"),
        ([{"id": "String {0} Name other", "value": "x"}, *properties("m")], "m"),
        ([{"id": "String {0} Name calendarSync", "value": "x"}], None),
        ([None, 7, "x", [], {}, {"id": None}, *properties("m")], "m"),
        ([{"id": PROPERTY}], None),
        ([{"id": PROPERTY, "value": 7}], None),
        ([], None),
        (None, None),
        ({"id": PROPERTY, "value": "m"}, None),
        ("x", None),
    ],
    ids=str,
)
def test_markers(found: Any, marker: str | None) -> None:
    assert parsed(singleValueExtendedProperties=found).marker == marker


def test_a_marker_of_ours_is_known_as_such() -> None:
    marker = ONE.marker("u1", "e1")
    found = parsed(singleValueExtendedProperties=properties(marker))
    assert ONE.is_ours(found.marker)
    assert not ONE.is_ours(parsed().marker)


# --- Mirrors ----------------------------------------------------------------------------------


def draft(
    span: Span, zone: str = "US/Pacific", title: str = "Busy", description: str = "text"
) -> Draft:
    hash_ = ONE.mirror_hash(title, description, span)
    return Draft(title, description, span, zone, "busy/busy", hash_)


def test_a_mirror_is_private_and_busy_without_guests() -> None:
    assert mirror_body(draft(HOUR), "m") == {
        "subject": "Busy",
        "body": {"contentType": "text", "content": "text"},
        "start": {"dateTime": "2026-03-02T14:00:00", "timeZone": "UTC"},
        "end": {"dateTime": "2026-03-02T15:00:00", "timeZone": "UTC"},
        "isAllDay": False,
        "showAs": "busy",
        "sensitivity": "private",
        "attendees": [],
        "singleValueExtendedProperties": properties("m"),
    }


@pytest.mark.parametrize(
    ("reminder", "fields"),
    [
        ("default", {}),
        ("none", {"isReminderOn": False}),
        ("15", {"isReminderOn": True, "reminderMinutesBeforeStart": 15}),
    ],
)
def test_reminder_and_category_are_for_a_new_mirror(reminder: str, fields: dict[str, Any]) -> None:
    wanted = replace(draft(HOUR), reminder=reminder, colour="Visit")
    body = mirror_body(wanted, "m")
    names = {"isReminderOn", "reminderMinutesBeforeStart"}
    assert {name: body[name] for name in names & body.keys()} == fields
    assert body["categories"] == ["Visit"]
    assert not (names | {"categories"}) & mirror_changes(wanted, "m").keys()
    assert mirror_changes(replace(wanted, colours=()), "m")["categories"] == []


def test_location_and_status_are_kept_up_to_date() -> None:
    wanted = replace(draft(HOUR), location="Elm", tentative=True)
    for body in (mirror_body(wanted, "m"), mirror_changes(wanted, "m")):
        assert (body["location"], body["showAs"]) == ({"displayName": "Elm"}, "tentative")
    assert mirror_changes(replace(wanted, location=""), "m")["location"] == {"displayName": ""}


def test_a_subject_is_as_long_as_exchange_takes_it() -> None:
    assert mirror_body(draft(HOUR, title="x" * 300), "m")["subject"] == "x" * 255


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        ("US/Pacific", "Pacific Standard Time"),
        ("America/New_York", "Eastern Standard Time"),
        ("Asia/Calcutta", "India Standard Time"),
        ("Europe/Kyiv", "FLE Standard Time"),
        ("Pacific/Kiritimati", "Line Islands Standard Time"),
        ("UTC", "UTC"),
        ("no such zone", "UTC"),
        ("", "UTC"),
    ],
)
def test_days_are_midnights_of_the_zone_by_its_windows_name(zone: str, name: str) -> None:
    body = mirror_body(draft(DAY, zone), "m")
    assert body["start"] == {"dateTime": "2026-03-02T00:00:00", "timeZone": name}
    assert body["end"] == {"dateTime": "2026-03-03T00:00:00", "timeZone": name}
    assert body["isAllDay"] is True


def test_days_become_times_and_times_days_with_the_same_fields() -> None:
    assert mirror_body(draft(DAY), "m").keys() == mirror_body(draft(HOUR), "m").keys()


def test_an_unknown_zone_name_does_not_change_the_time() -> None:
    assert mirror_body(draft(HOUR, "no such zone"), "m") == mirror_body(draft(HOUR), "m")


instants = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(
    lambda value: value.replace(microsecond=0, tzinfo=UTC)
)
dates = st.dates(date(2000, 1, 1), date(2100, 1, 1))
# A mirror has a length: whole days that end where they begin are read as one day.
spans = st.one_of(st.builds(Span, instants, instants), st.builds(Span, dates, dates)).filter(
    lambda span: span.start != span.end
)
ZONES = ["US/Pacific", "Asia/Kathmandu", "Pacific/Kiritimati", "Etc/GMT+12", "nonsense", "UTC"]


def echo(body: dict[str, object], *, page: bool, shift: bool) -> dict[str, Any]:
    """A write as Graph gives it back: seven digits, UTC, other line ends, perhaps as a page."""
    text: Any = body["body"]
    content = text["content"].replace("\n", "\r\n") + "\r\n"
    if page:
        content = wrapped(text["content"])
    answer: dict[str, Any] = {**ROW, **body, "originalStartTimeZone": "UTC"}
    for key in ("start", "end"):
        written: Any = body[key]
        local = datetime.fromisoformat(written["dateTime"])
        if shift and body["isAllDay"]:
            zones = {"Pacific Standard Time": "America/Los_Angeles"}
            zones |= {name: zone for name, zone in SHIFTED if "/" not in name}
            zone = ZoneInfo(zones.get(written["timeZone"], "UTC"))
            local = local.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
            answer["originalStartTimeZone"] = written["timeZone"]
        answer[key] = at(f"{local.isoformat()}.0000000")
    answer["body"] = {"contentType": "html" if page else "text", "content": content}
    return answer


@given(
    spans, st.sampled_from(ZONES), st.text(max_size=40), st.text(max_size=40), st.booleans(),
    st.booleans(),
)  # fmt: skip
def test_a_mirror_reads_back_as_it_was_written(
    span: Span, zone: str, title: str, description: str, page: bool, shift: bool
) -> None:
    wanted = draft(span, zone, title, description)
    body = mirror_body(wanted, "m")
    found = parse_event(echo(body, page=page, shift=shift))
    assert isinstance(found, CalendarEvent)
    assert (found.span, found.marker) == (span, "m")
    assert ONE.event_hash(found) == wanted.hash


@pytest.mark.parametrize(
    "edit",
    [
        {"subject": "Busy!"},
        {"body": {"contentType": "text", "content": "texts"}},
        {"end": at("2026-03-02T15:30:00")},
        {"start": at("2026-03-02T00:00:00"), "end": at("2026-03-03T00:00:00"), "isAllDay": True},
        {"showAs": "free"},
        {"showAs": "tentative"},
        {"sensitivity": "normal"},
        {"attendees": [{"emailAddress": {"address": "a@example.org"}}]},
        {"type": "seriesMaster"},
        {"isCancelled": True},
        {"location": {"displayName": "the pub"}},
    ],
    ids=str,
)
def test_an_edit_of_any_kind_is_noticed(edit: dict[str, Any]) -> None:
    answer = echo(mirror_body(draft(HOUR), "m"), page=False, shift=False)
    untouched, edited = parse_event(answer), parse_event({**answer, **edit})
    assert isinstance(untouched, CalendarEvent)
    assert isinstance(edited, CalendarEvent)
    assert ONE.event_hash(untouched) == draft(HOUR).hash
    assert ONE.event_hash(edited) != draft(HOUR).hash


# --- Any JSON at all --------------------------------------------------------------------------

KEYS = [*SELECT.split(","), "@odata.etag", "@removed", "singleValueExtendedProperties"]
INNER = ["dateTime", "timeZone", "contentType", "content", "response", "emailAddress", "address",
         "id", "value", "reason"]  # fmt: skip
ODD = ["0001-01-01T00:00:00", "9999-12-31T23:59:59.9999999", "2026-03-02T14:00:00+14:00", "html",
       "Line Islands Standard Time", "Pacific Standard Time", "America", "occurrence", "exception",
       "<![x[", "<p>", "\ud800", PROPERTY, "1900-01-01"]  # fmt: skip
atoms = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
json_values = st.recursive(
    atoms | st.sampled_from(ODD),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(INNER), inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(KEYS), json_values), st.booleans())
def test_no_json_breaks_the_reader(changes: dict[str, Any], listed: bool) -> None:
    found = parse_event(row(**changes), listed=listed)
    if found is not None:
        assert not ONE.is_ours(found.marker)
        assert found.source.id
        if isinstance(found, CalendarEvent):
            ONE.event_hash(found)
            assert Span.parse(str(found.span)) == found.span
            assert iso(found.span.start) <= iso(datetime.max.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("changes", "place", "online"),
    [
        ({}, False, False),
        ({"location": {"displayName": "Room 5; Room 6", "locationType": "default"}}, True, False),
        ({"location": {"displayName": ""}}, False, False),
        ({"location": {"displayName": None}}, False, False),
        ({"location": "Room 5"}, False, False),
        ({"isOnlineMeeting": True}, False, True),
        ({"isOnlineMeeting": "true"}, False, False),
        ({"location": {"displayName": "Microsoft Teams Meeting"}}, False, True),
        (
            {"isOnlineMeeting": True, "location": {"displayName": "Microsoft Teams; Room 5"}},
            True,
            True,
        ),
    ],
    ids=str,
)
def test_a_place_and_a_meeting_online(changes: dict[str, Any], place: bool, online: bool) -> None:
    found = parsed(**changes)
    assert (found.has_place, found.online) == (place, online)


def test_of_a_location_nothing_else_is_kept() -> None:
    assert "Elm" not in repr(astuple(parsed(location={"displayName": "Elm Street 12"})))


@pytest.mark.parametrize(
    ("shown", "away"), [("oof", True), ("busy", False), ("workingElsewhere", False), (None, False)]
)
def test_out_of_office(shown: Any, away: bool) -> None:
    assert parsed(showAs=shown).out_of_office is away


@pytest.mark.parametrize(
    ("changes", "decided"),
    [
        ({}, True),
        ({"isCancelled": True}, False),
        ({"responseStatus": {"response": "accepted"}}, True),
        ({"responseStatus": {"response": "notResponded"}}, False),
        ({"responseStatus": {"response": "tentativelyAccepted"}}, False),
    ],
)
def test_free_and_working_elsewhere_are_the_decision_of_the_owner(
    changes: dict[str, Any], decided: bool
) -> None:
    found = parsed(showAs="workingElsewhere", **changes)
    assert (found.availability, found.working_elsewhere) == (Availability.FREE, decided)
    assert not found.chosen_free
    found = parsed(showAs="free", **changes)
    assert (found.availability, found.chosen_free) == (Availability.FREE, decided)
    assert not found.working_elsewhere
    assert not parsed(showAs="busy", **changes).chosen_free
