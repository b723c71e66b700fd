"""The Graph double: events, their ids, times, bodies, series and extended properties."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from calendar_sync_sandbox.microsoft.world import MARKER
from tests.contract.conftest import START, ManualClock
from tests.contract.graph import (
    DANA,
    EVENTS,
    EXPAND,
    ME,
    PREFER,
    RUBEN,
    WINDOW,
    Graph,
    code,
    connect,
    event,
    faults_of,
    marker,
)

if TYPE_CHECKING:
    from calendar_sync_sandbox import Sandbox

HOUR = timedelta(hours=1)
FIND = "singleValueExtendedProperties/Any(ep: ep/id eq '{}' and ep/value eq '{}')"


# --- The judge -----------------------------------------------------------------


def test_the_judge_finds_what_is_wrong() -> None:
    good = {
        "id": "A",
        "showAs": "oof",
        "isAllDay": False,
        "seriesMasterId": None,
        "start": {"dateTime": "2026-03-02T09:00:00.0000000", "timeZone": "UTC"},
    }
    assert faults_of(good, "event") == []
    assert faults_of({**good, "showAs": "away"}, "event")
    assert faults_of({**good, "isAllDay": "no"}, "event")
    assert faults_of({**good, "title": "x"}, "event")
    assert faults_of({**good, "id": None}, "event")
    assert faults_of({**good, "start": {"dateTime": "2026-03-02T09:00:00"}}, "event")
    assert faults_of({**good, "attendees": [{"type": "boss"}]}, "event")
    assert faults_of({**good, "createdDateTime": "2026-03-02T09:00:00+01:00"}, "event")


def test_everything_awkward_is_as_declared(sandbox: Sandbox) -> None:
    sandbox.organise(users=2, encounters=1, start=START, microsoft="all")
    graph = connect(sandbox)
    wide = {"startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2027-01-01T00:00:00Z"}
    for account in sandbox.microsoft.accounts:
        one = f"/users/{account}"
        listed = graph("GET", f"{one}/events", None, PREFER, **{"$top": 999}).body["value"]
        viewed = graph("GET", f"{one}/calendarView", None, PREFER, **wide, **{"$top": 999})
        told = graph(
            "GET",
            f"{one}/calendarView/delta",
            None,
            {"prefer": "odata.maxpagesize=1000"},
            **wide,
        )
        assert len(listed) > 30
        assert len(viewed.body["value"]) > 100
        assert len(told.body["value"]) > 100
        kinds = {row["type"] for row in told.body["value"]}
        assert kinds == {"singleInstance", "seriesMaster", "occurrence", "exception"}
        zones = {row["originalStartTimeZone"] for row in listed}
        assert zones > {"tzone://Microsoft/Custom", "Customized Time Zone"}


# --- Creating ------------------------------------------------------------------


def test_a_created_event_is_read_back(graph: Graph) -> None:
    made = graph("POST", EVENTS, event(showAs="oof", sensitivity="private"), PREFER)
    assert made.status == 201
    read = graph("GET", f"{EVENTS}/{made.body['id']}", None, PREFER)
    assert read.body == made.body
    assert read.body["start"] == {"dateTime": "2026-03-03T10:00:00.0000000", "timeZone": "UTC"}
    assert read.body["type"] == "singleInstance"
    assert read.body["isOrganizer"] is True
    assert read.body["responseStatus"]["response"] == "organizer"
    assert read.body["@odata.etag"] == f'W/"{read.body["changeKey"]}"'
    assert "transactionId" not in read.body


def test_calendars_lie_under_three_names(sandbox: Sandbox, graph: Graph) -> None:
    other = sandbox.microsoft.add_calendar(DANA, "Other")
    calendars = graph("GET", f"{ME}/calendars").body["value"]
    assert [c["isDefaultCalendar"] for c in calendars] == [True, False]
    assert graph("GET", f"{ME}/calendar").body["id"] == calendars[0]["id"]
    assert graph("GET", f"{ME}/calendars/{other.id}").body["name"] == "Other"
    made = graph("POST", f"{ME}/calendars/{other.id}/events", event(), PREFER).body
    assert graph("GET", EVENTS).body["value"] == []
    listed = graph("GET", f"{ME}/calendars/{other.id}/events", None, PREFER).body["value"]
    assert [row["id"] for row in listed] == [made["id"]]
    assert graph("GET", f"{EVENTS}/{made['id']}", None, PREFER).status == 200
    elsewhere = f"{ME}/calendars/{calendars[0]['id']}/events/{made['id']}"
    assert code(graph("GET", elsewhere, None, PREFER)) == (404, "ErrorItemNotFound")
    assert graph("GET", f"{ME}/calendars/nonsense/events").status == 404
    guid = sandbox.microsoft.account(DANA).guid
    assert graph("GET", f"/users/{guid}/events/{made['id']}", None, PREFER).status == 200


def test_a_repeated_transaction_gives_the_same_event(
    sandbox: Sandbox, graph: Graph, clock: ManualClock
) -> None:
    sent = event(transactionId="once")
    first = graph("POST", EVENTS, sent, PREFER)
    again = graph("POST", EVENTS, {**sent, "subject": "Other"}, PREFER)
    assert (again.status, again.body["id"]) == (201, first.body["id"])
    assert again.body["transactionId"] == "once"
    assert again.body["subject"] == "Busy"
    in_other_mailbox = graph("POST", f"/users/{RUBEN}/events", sent, PREFER)
    assert in_other_mailbox.body["id"] != first.body["id"]
    sandbox.microsoft.duplicate_transaction = "refuse"
    assert code(graph("POST", EVENTS, sent)) == (409, "ErrorDuplicateTransactionId")
    sandbox.microsoft.duplicate_transaction = "return"
    clock.advance(301)
    assert graph("POST", EVENTS, sent, PREFER).body["id"] != first.body["id"]
    sandbox.microsoft.duplicate_transaction = "ignore"
    assert len(sandbox.microsoft.events_of(DANA)) == 2
    graph("POST", EVENTS, sent, PREFER)
    assert len(sandbox.microsoft.events_of(DANA)) == 3


def test_a_deleted_event_frees_its_transaction(graph: Graph) -> None:
    sent = event(transactionId="once")
    first = graph("POST", EVENTS, sent, PREFER).body
    graph("DELETE", f"{EVENTS}/{first['id']}", None, PREFER)
    assert graph("POST", EVENTS, sent, PREFER).body["id"] != first["id"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"showAs": "away"}, "RequestBodyRead"),
        ({"title": "x"}, "RequestBodyRead"),
        ({"isOrganizer": True}, "ErrorPropertyValidationFailure"),
        ({"start": None}, "ErrorPropertyValidationFailure"),
        ({"start": {"dateTime": "9 o'clock"}}, "ErrorPropertyValidationFailure"),
        (
            {"start": {"dateTime": "2026-03-09T10:00:00", "timeZone": "UTC"}},
            "ErrorPropertyValidationFailure",
        ),
        (
            {"start": {"dateTime": "2026-03-03T10:00:00", "timeZone": "America/Detroit"}},
            "TimeZoneNotSupportedException",
        ),
        ({"isAllDay": True}, "ErrorPropertyValidationFailure"),
        (
            {"attendees": [{"emailAddress": {"address": "a@b.example"}}] * 501},
            "ErrorPropertyValidationFailure",
        ),
        (
            {"singleValueExtendedProperties": [{"id": "x", "value": "y"}]},
            "ErrorInvalidPropertyRequest",
        ),
        ({"recurrence": {"pattern": {"type": "daily"}}}, "ErrorPropertyValidationFailure"),
    ],
)
def test_what_makes_no_sense_is_refused(
    graph: Graph, change: dict[str, Any], expected: str
) -> None:
    assert code(graph("POST", EVENTS, event(**change))) == (400, expected)


def test_malformed_requests_are_refused(graph: Graph) -> None:
    assert code(graph("POST", EVENTS, b"{")) == (400, "BadRequest")
    assert graph("POST", EVENTS, b"[]").status == 400
    assert graph("GET", EVENTS, **{"$skiptoken": "x"}).status == 400
    assert graph("GET", EVENTS, **{"$select": "title"}).status == 400
    assert graph("GET", EVENTS, **{"$expand": "attachments"}).status == 400
    assert graph("GET", EVENTS, **{"$orderby": "subject"}).status == 400
    assert graph("GET", EVENTS, **{"$filter": "subject eq 'x'"}).status == 400
    assert graph("GET", f"{ME}/calendarView").status == 400
    assert graph("GET", f"{ME}/nothing").status == 404
    assert graph("PUT", EVENTS).status == 405
    assert graph("GET", EVENTS, None, {"prefer": 'outlook.timezone="Nowhere"'}).status == 400


def test_attendees_are_a_risk_of_mail(sandbox: Sandbox, graph: Graph) -> None:
    guests = [{"emailAddress": {"address": "x@partner.example"}}]
    made = graph("POST", EVENTS, event(attendees=guests), PREFER).body
    assert len(sandbox.requests.mail_risk) == 1
    graph("POST", EVENTS, event(attendees=[]), PREFER)
    assert len(sandbox.requests.mail_risk) == 1
    graph("PATCH", f"{EVENTS}/{made['id']}", {"subject": "New"}, PREFER)
    graph("DELETE", f"{EVENTS}/{made['id']}", None, PREFER)
    assert len(sandbox.requests.mail_risk) == 3


# --- Preferences ---------------------------------------------------------------


def test_times_are_written_in_the_zone_asked_for(graph: Graph) -> None:
    sent = event()
    sent["start"]["timeZone"] = sent["end"]["timeZone"] = "W. Europe Standard Time"
    made = graph("POST", EVENTS, sent, PREFER).body
    assert made["start"]["dateTime"] == "2026-03-03T09:00:00.0000000"
    assert made["originalStartTimeZone"] == "W. Europe Standard Time"
    path = f"{EVENTS}/{made['id']}"
    pacific = 'IdType="ImmutableId",outlook.timezone="Pacific Standard Time"'
    read = graph("GET", path, None, {"prefer": pacific})
    assert read.body["start"] == {
        "dateTime": "2026-03-03T01:00:00.0000000",
        "timeZone": "Pacific Standard Time",
    }
    assert read.headers["preference-applied"] == pacific.replace(",", ", ")
    iana = 'outlook.timezone="Europe/Berlin", IdType="ImmutableId"'
    assert graph("GET", path, None, {"prefer": iana}).body["start"] == {
        "dateTime": "2026-03-03T10:00:00.0000000",
        "timeZone": "Europe/Berlin",
    }


def test_only_the_main_iana_name_of_a_zone_is_known(graph: Graph) -> None:
    for name, status in (("America/New_York", 201), ("US/Eastern", 400), ("UTC", 201)):
        sent = event()
        sent["start"]["timeZone"] = sent["end"]["timeZone"] = name
        assert graph("POST", EVENTS, sent).status == status


def test_several_prefer_headers_count_together(sandbox: Sandbox, graph: Graph) -> None:
    import asyncio

    made = graph("POST", EVENTS, event(body={"contentType": "text", "content": "x"}), PREFER).body
    parts: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        parts.append(message)

    names = ('IdType="ImmutableId"', 'outlook.body-content-type="text"')
    headers = [(b"prefer", name.encode()) for name in names]
    headers.append((b"authorization", f"Bearer {graph.token}".encode()))
    scope = {
        "type": "http",
        "method": "GET",
        "path": f"/microsoft/v1.0{EVENTS}/{made['id']}",
        "query_string": b"",
        "headers": headers,
    }
    asyncio.run(sandbox.app(scope, receive, send))
    assert parts[0]["status"] == 200
    assert dict(parts[0]["headers"])[b"preference-applied"].decode() == ", ".join(names)


def test_a_minimal_answer_has_no_body(graph: Graph) -> None:
    made = graph("POST", EVENTS, event(), PREFER).body
    prefer = {"prefer": 'return=minimal, IdType="ImmutableId"'}
    answer = graph("PATCH", f"{EVENTS}/{made['id']}", {"subject": "New"}, prefer)
    assert (answer.status, answer.raw) == (204, b"")


def test_text_comes_back_as_html_unless_asked_for(graph: Graph) -> None:
    body = {"contentType": "text", "content": "One <b>\nTwo & three"}
    made = graph("POST", EVENTS, event(body=body), PREFER).body
    assert made["body"]["contentType"] == "html"
    assert "One &lt;b&gt;<br>\r\nTwo &amp; three" in made["body"]["content"]
    assert made["bodyPreview"] == "One <b>\nTwo & three"
    prefer = {"prefer": PREFER["prefer"] + ', outlook.body-content-type="text"'}
    read = graph("GET", f"{EVENTS}/{made['id']}", None, prefer).body["body"]
    assert read == {"contentType": "text", "content": "One <b>\r\nTwo & three\r\n"}
    html = {"contentType": "html", "content": "<p>Hello &amp; bye</p>" + "x" * 300}
    graph("PATCH", f"{EVENTS}/{made['id']}", {"body": html}, PREFER)
    plain = graph("GET", f"{EVENTS}/{made['id']}", None, prefer).body
    assert plain["body"]["content"].startswith("Hello & bye")
    assert len(plain["bodyPreview"]) == 255


def test_select_and_expand(graph: Graph) -> None:
    made = graph("POST", EVENTS, event(**marker("One")), PREFER).body
    assert "singleValueExtendedProperties" not in made
    path = f"{EVENTS}/{made['id']}"
    read = graph("GET", path, None, PREFER, **{"$select": "subject,start", **EXPAND}).body
    assert read.keys() == {
        "@odata.context", "@odata.etag", "id", "subject", "start", "singleValueExtendedProperties",
    }  # fmt: skip
    assert read["singleValueExtendedProperties"] == [{"id": MARKER, "value": "One"}]
    other = {"$expand": "singleValueExtendedProperties($filter=id eq 'String 0x1234')"}
    assert "singleValueExtendedProperties" not in graph("GET", path, None, PREFER, **other).body


# --- Ids -----------------------------------------------------------------------


def test_each_kind_of_id_is_accepted_under_its_own_preference(graph: Graph) -> None:
    kept = graph("POST", EVENTS, event(), PREFER).body["id"]
    (changing,) = (row["id"] for row in graph("GET", EVENTS).body["value"])
    assert changing != kept
    assert graph("GET", f"{EVENTS}/{kept}", None, PREFER).status == 200
    assert graph("GET", f"{EVENTS}/{changing}").status == 200
    assert graph("GET", f"{EVENTS}/{kept}").status == 404
    assert graph("GET", f"{EVENTS}/{changing}", None, PREFER).status == 404
    assert {"=", "-", "_"} <= set(kept)
    assert {"=", "-", "_"} <= set(changing)


def test_an_id_minds_its_case_and_its_mailbox(graph: Graph) -> None:
    kept = graph("POST", EVENTS, event(), PREFER).body["id"]
    assert graph("GET", f"{EVENTS}/{kept.swapcase()}", None, PREFER).status == 404
    assert graph("GET", f"{EVENTS}/{kept[:-3]}", None, PREFER).status == 404
    assert graph("GET", f"/users/{RUBEN}/events/{kept}", None, PREFER).status == 404


def test_a_move_between_calendars_changes_the_other_kind_only(
    sandbox: Sandbox, graph: Graph
) -> None:
    kept = graph("POST", EVENTS, event(), PREFER).body["id"]
    (changing,) = (row["id"] for row in graph("GET", EVENTS).body["value"])
    other = sandbox.microsoft.add_calendar(DANA, "Other")
    sandbox.microsoft.move_to_calendar(DANA, kept, other.id)
    assert graph("GET", f"{EVENTS}/{kept}", None, PREFER).status == 200
    assert graph("GET", f"{EVENTS}/{changing}").status == 404
    (now,) = (row["id"] for row in graph("GET", f"{ME}/calendars/{other.id}/events").body["value"])
    assert now != changing


# --- Changing ------------------------------------------------------------------


def test_patch_merges(graph: Graph) -> None:
    made = graph("POST", EVENTS, event(**marker("One")), PREFER).body
    path = f"{EVENTS}/{made['id']}"
    changed = graph("PATCH", path, {"subject": "New", "showAs": "free"}, PREFER).body
    assert (changed["subject"], changed["showAs"]) == ("New", "free")
    assert changed["start"] == made["start"]
    assert changed["changeKey"] != made["changeKey"]
    same = graph("PATCH", path, {"subject": "New"}, PREFER).body
    assert same["changeKey"] == changed["changeKey"]
    graph("PATCH", path, marker("Two"), PREFER)
    read = graph("GET", path, None, PREFER, **EXPAND).body
    assert read["singleValueExtendedProperties"] == [{"id": MARKER, "value": "Two"}]
    assert graph("PATCH", path, {"transactionId": "x"}, PREFER).status == 400
    late = {"end": {"dateTime": "2026-03-03T12:00:00", "timeZone": "UTC"}}
    assert graph("PATCH", path, late, PREFER).body["end"]["dateTime"][11:13] == "12"
    early = {"end": {"dateTime": "2026-03-02T12:00:00", "timeZone": "UTC"}}
    assert graph("PATCH", path, early, PREFER).status == 400


def test_a_stale_etag_is_refused(graph: Graph) -> None:
    made = graph("POST", EVENTS, event(), PREFER).body
    path = f"{EVENTS}/{made['id']}"
    stale = {**PREFER, "if-match": made["@odata.etag"]}
    assert graph("PATCH", path, {"subject": "New"}, stale).status == 200
    assert code(graph("PATCH", path, {"subject": "Old"}, stale)) == (
        412,
        "ErrorIrresolvableConflict",
    )
    assert graph("DELETE", path, None, stale).status == 412
    fresh = graph("GET", path, None, PREFER).body["@odata.etag"]
    assert graph("DELETE", path, None, {**PREFER, "if-match": fresh}).status == 204
    assert code(graph("DELETE", path, None, PREFER)) == (404, "ErrorItemNotFound")
    assert code(graph("GET", path, None, PREFER)) == (404, "ErrorItemNotFound")
    assert code(graph("PATCH", path, {}, PREFER)) == (404, "ErrorItemNotFound")


def test_location_and_locations_go_together(graph: Graph) -> None:
    made = graph("POST", EVENTS, event(locations=[{"displayName": "A"}, {"displayName": "B"}]))
    assert made.body["location"]["displayName"] == "A"
    path = f"{EVENTS}/{made.body['id']}"
    changed = graph("PATCH", path, {"location": {"displayName": "C"}}).body
    assert [place["displayName"] for place in changed["locations"]] == ["C"]


# --- Finding -------------------------------------------------------------------


def test_a_marker_is_found_without_minding_case(graph: Graph) -> None:
    made = graph("POST", EVENTS, event(**marker("AbC")), PREFER).body
    graph("POST", EVENTS, event(**marker("other")), PREFER)
    graph("POST", EVENTS, event(), PREFER)
    for name, value in ((MARKER, "AbC"), (MARKER.upper(), "aBc")):
        found = graph("GET", EVENTS, None, PREFER, **{"$filter": FIND.format(name, value)})
        assert [row["id"] for row in found.body["value"]] == [made["id"]]
        assert "singleValueExtendedProperties" not in found.body["value"][0]
    query = {"$filter": FIND.format(MARKER, "abc"), **EXPAND}
    (row,) = graph("GET", f"{ME}/calendar/events", None, PREFER, **query).body["value"]
    assert row["singleValueExtendedProperties"][0]["value"] == "AbC"
    none = graph("GET", EVENTS, None, PREFER, **{"$filter": FIND.format(MARKER, "ab")})
    assert none.body["value"] == []
    uid = {"$filter": f"iCalUId eq '{made['iCalUId']}'"}
    assert [r["id"] for r in graph("GET", EVENTS, None, PREFER, **uid).body["value"]] == [
        made["id"]
    ]


def test_lists_come_in_pages(graph: Graph) -> None:
    for hour in range(1, 14):
        graph("POST", EVENTS, event(hour=hour))
    first = graph("GET", EVENTS)
    assert len(first.body["value"]) == 10
    rest = graph.follow(first.body["@odata.nextLink"], {"prefer": ""})
    assert len(rest.body["value"]) == 3
    assert "@odata.nextLink" not in rest.body
    sized = graph("GET", EVENTS, None, {"prefer": "odata.maxpagesize=4"})
    assert len(sized.body["value"]) == 4
    view = graph(
        "GET", f"{ME}/calendarView", **WINDOW, **{"$top": 5, "$orderby": "start/dateTime desc"}
    )
    hours = [row["start"]["dateTime"][11:13] for row in view.body["value"]]
    assert hours == ["13", "12", "11", "10", "09"]
    again = graph.follow(view.body["@odata.nextLink"])
    assert again.body["value"][0]["start"]["dateTime"][11:13] == "08"


def test_a_view_touches_its_window(graph: Graph) -> None:
    graph("POST", EVENTS, event(day=3, hour=10))
    query = {"startDateTime": "2026-03-03T10:30:00Z", "endDateTime": "2026-03-03T10:45:00Z"}
    assert len(graph("GET", f"{ME}/calendarView", **query).body["value"]) == 1
    after = {"startDateTime": "2026-03-03T11:00:00Z", "endDateTime": "2026-03-04T00:00:00Z"}
    assert graph("GET", f"{ME}/calendarView", **after).body["value"] == []
    local = {"startDateTime": "2026-03-03T05:00:00-05:00", "endDateTime": "2026-03-03T10:30"}
    assert len(graph("GET", f"{ME}/calendar/calendarView", **local).body["value"]) == 1
    wide = {"startDateTime": "2026-03-03T10:30:00Z", "endDateTime": "2036-03-03T10:45:00Z"}
    assert graph("GET", f"{ME}/calendarView", **wide).status == 400
    backwards = {"startDateTime": "2026-03-04T00:00:00Z", "endDateTime": "2026-03-03T00:00:00Z"}
    assert graph("GET", f"{ME}/calendarView", **backwards).status == 400


def test_reads_can_lag(sandbox: Sandbox, graph: Graph, clock: ManualClock) -> None:
    made = graph("POST", EVENTS, event(), PREFER).body
    clock.advance(60)
    graph("PATCH", f"{EVENTS}/{made['id']}", {"subject": "New"}, PREFER)
    sandbox.microsoft.lag_seconds = 30
    path = f"{EVENTS}/{made['id']}"
    assert graph("GET", path, None, PREFER).body["subject"] == "Busy"
    late = graph("POST", EVENTS, event(), PREFER).body
    assert graph("GET", f"{EVENTS}/{late['id']}", None, PREFER).status == 404
    assert len(graph("GET", EVENTS).body["value"]) == 1
    clock.advance(31)
    assert graph("GET", path, None, PREFER).body["subject"] == "New"
    assert len(graph("GET", EVENTS).body["value"]) == 2


# --- Whole days ----------------------------------------------------------------


def whole_day(zone: str, first: str = "2026-03-09", last: str = "2026-03-10") -> dict[str, Any]:
    return {
        "isAllDay": True,
        "start": {"dateTime": f"{first}T00:00:00", "timeZone": zone},
        "end": {"dateTime": f"{last}T00:00:00", "timeZone": zone},
    }


def test_whole_days_stay_at_midnight_or_shift(sandbox: Sandbox, graph: Graph) -> None:
    sent = event(**whole_day("Eastern Standard Time"))
    made = graph("POST", EVENTS, sent, PREFER).body
    path = f"{EVENTS}/{made['id']}"
    assert made["originalStartTimeZone"] == "Eastern Standard Time"
    sandbox.microsoft.all_day_shift = "none"
    assert graph("GET", path, None, PREFER).body["start"]["dateTime"][:19] == "2026-03-09T00:00:00"
    sandbox.microsoft.all_day_shift = "all"
    shifted = graph("GET", path, None, PREFER).body
    assert shifted["isAllDay"] is True
    assert shifted["start"]["dateTime"][:19] == "2026-03-09T04:00:00"
    home = {"prefer": 'IdType="ImmutableId", outlook.timezone="Eastern Standard Time"'}
    assert graph("GET", path, None, home).body["end"]["dateTime"][:19] == "2026-03-10T00:00:00"
    sandbox.microsoft.all_day_shift = "some"
    shifts = {
        sandbox.microsoft.shifts_days(sandbox.microsoft.add_account(f"p{n}@example.org"))
        for n in range(20)
    }
    assert shifts == {True, False}


def test_whole_days_keep_their_rules(graph: Graph) -> None:
    zone = "Eastern Standard Time"
    assert graph("POST", EVENTS, event(**whole_day(zone, last="2026-03-09"))).status == 400
    mixed = whole_day(zone)
    mixed["end"]["timeZone"] = "UTC"
    assert graph("POST", EVENTS, event(**mixed)).status == 400
    # The day on which the clocks go forward has 23 hours and is still a whole one.
    assert graph("POST", EVENTS, event(**whole_day(zone, "2026-03-08", "2026-03-09"))).status == 201
    made = graph("POST", EVENTS, event(), PREFER).body
    path = f"{EVENTS}/{made['id']}"
    assert graph("PATCH", path, {"isAllDay": True}, PREFER).status == 400
    assert graph("PATCH", path, whole_day("UTC"), PREFER).body["isAllDay"] is True
    timed = {**event(), "isAllDay": False}
    assert graph("PATCH", path, timed, PREFER).body["isAllDay"] is False


def test_a_person_may_use_zones_and_spans_that_no_client_may(
    sandbox: Sandbox, graph: Graph
) -> None:
    world = sandbox.microsoft
    wall = {"dateTime": "2026-03-04T09:00:00", "timeZone": "tzone://Microsoft/Custom"}
    world.add_event(DANA, start=wall, end=wall, subject="Old phone")
    world.add_event(DANA, start=START - 9 * HOUR, end=START - 9 * HOUR, subject="Past")
    old, past = graph("GET", EVENTS, None, PREFER).body["value"]
    assert old["originalStartTimeZone"] == "tzone://Microsoft/Custom"
    assert old["start"] == old["end"]
    assert old["start"]["dateTime"][:16] == "2026-03-04T14:00"
    assert past["start"]["dateTime"][:10] == "2026-03-02"
    first, last = (
        {"dateTime": f"2026-03-0{n}T00:00:00", "timeZone": "Tokyo Standard Time"} for n in (4, 5)
    )
    whole = world.add_event(DANA, start=first, end=last, isAllDay=True)
    assert world.glimpse(DANA, whole).start == date(2026, 3, 4)
    longer = world.patch_event(DANA, whole["id"], end=date(2026, 3, 6))
    assert world.glimpse(DANA, longer).end == date(2026, 3, 6)
    body = {"start": wall, "end": wall, "subject": "x"}
    assert code(graph("POST", EVENTS, body)) == (400, "TimeZoneNotSupportedException")
