"""The Welkin double against the key sets and behaviours that were recorded of the real one."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from calendar_sync_sandbox import Fault, Sandbox, running
from calendar_sync_sandbox.clock import stamp
from tests.contract.conftest import START, Answer, Caller, ManualClock

if TYPE_CHECKING:
    from pathlib import Path

    from calendar_sync_sandbox.welkin.records import User

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SECRET = "sandbox-secret"
TOKEN = "/demo-care/admin/api_clients/ABCDEFGHIJKL"
HERE = "/demo-care/live"
EVENTS = HERE + "/calendar/events"
ADMIN = "/demo-care/admin"
WEEK: dict[str, Any] = {
    "from_": "2026-03-01T00:00:00.000Z",
    "to": "2026-03-09T00:00:00.000Z",
    "includeCancelled": "true",
}
EVENT_KEYS = {
    "id", "createdBy", "createdAt", "updatedBy", "updatedAt", "externalId", "externalIdUpdatedAt",
    "eventTitle", "eventDescription", "startDateTime", "localStartDateTime", "endDateTime",
    "localEndDateTime", "allDayEvent", "duration", "eventType", "eventStatus", "eventMode",
    "eventColor", "hostId", "timezone", "additionalInfo", "participants",
}  # fmt: skip
PARTICIPANT_KEYS = {
    "id", "participantId", "participantRole", "participationStatus", "attended", "timezone",
    "firstName", "lastName", "deleted", "hasAccess", "email", "phone", "gender", "birthDate",
    "enabled",
}  # fmt: skip
RECORD_KEYS = {
    "id", "created_at", "created_by", "created_by_name", "updated_at", "updated_by",
    "updated_by_name", "external_id", "external_guid", "source_id", "source_name", "source_type",
}  # fmt: skip
BODY_KEYS = RECORD_KEYS | {
    "type", "templateName", "templateTitle", "title", "description", "notes", "instruction",
    "status", "startDatetime", "endDatetime", "ownerUserId", "ownerUserName", "activeUserId",
    "activeUserName", "calendarEventId", "calendarEventStartDatetime",
    "localCalendarEventStartDatetime", "localStartDatetime", "localEndDatetime", "calendarEvent",
    "currentScheduledAppointment", "dispositionId", "local_created_at", "local_updated_at",
}  # fmt: skip
PAGE_KEYS = {
    "content", "pageable", "last", "totalElements", "totalPages", "first", "sort", "number",
    "numberOfElements", "size", "empty",
}  # fmt: skip
META_KEYS = {
    "page", "pageSize", "totalElements", "numberOfElements", "firstPage", "lastPage", "totalPages",
}  # fmt: skip


@pytest.fixture
def user(sandbox: Sandbox) -> User:
    return sandbox.welkin.add_user("Dana.Hale@example.org", "Dana", "Hale", "US/Pacific")


@pytest.fixture
def welkin(sandbox: Sandbox) -> Caller:
    """An authorised client that may ask as often as it likes."""
    sandbox.welkin.rate_limit = None
    return Caller(sandbox, "/welkin", token(sandbox).body["token"])


def token(sandbox: Sandbox, secret: str = SECRET) -> Answer:
    return Caller(sandbox, "/welkin")("POST", TOKEN, {"secret": secret})


def block(user: User, start: datetime = START + DAY, **fields: Any) -> dict[str, Any]:
    return {
        "startDateTime": stamp(start),
        "endDateTime": stamp(start + HOUR),
        "hostId": user.id,
        "participants": [{"participantId": user.id, "participantRole": "psm"}],
        **fields,
    }


# --- Shapes --------------------------------------------------------------------


def test_an_event_has_its_23_keys_and_a_participant_its_15(
    sandbox: Sandbox, welkin: Caller, user: User
) -> None:
    assert (len(EVENT_KEYS), len(PARTICIPANT_KEYS), len(BODY_KEYS)) == (23, 15, 36)
    encounter = sandbox.welkin.book_encounter(user.id, START + DAY, START + DAY + HOUR)
    listed = welkin("GET", EVENTS, **WEEK).body
    assert set(listed) == PAGE_KEYS
    assert set(listed["pageable"]) == {
        "sort", "pageSize", "pageNumber", "offset", "unpaged", "paged",
    }  # fmt: skip
    (event,) = listed["content"]
    assert set(event) == EVENT_KEYS
    assert [set(row) for row in event["participants"]] == [PARTICIPANT_KEYS, PARTICIPANT_KEYS]
    assert [row["participantRole"] for row in event["participants"]] == ["psm", "patient"]
    assert [row["enabled"] for row in event["participants"]] == [True, None]
    assert (event["duration"], event["eventType"]) == (3600, "ENCOUNTER")
    assert event["startDateTime"] == "2026-03-03T09:00:00.000Z"
    assert welkin("GET", f"{EVENTS}/{encounter.event_id}").body == event


def test_an_encounter_is_read_in_two_variants(sandbox: Sandbox, welkin: Caller, user: User) -> None:
    encounter = sandbox.welkin.book_encounter(user.id, START + DAY, START + DAY + HOUR)
    path = f"{HERE}/patients/{encounter.patient_id}/encounters"
    full = welkin("GET", f"{path}/{encounter.id}").body
    assert set(full) == {"id", "patientId", "cdtId", "version", "jsonBody", "cdtName"}
    assert set(full["jsonBody"]) == BODY_KEYS
    assert set(full["jsonBody"]["currentScheduledAppointment"]) == EVENT_KEYS
    listed = welkin("GET", path).body
    assert set(listed["metaInfo"]) == META_KEYS
    assert listed["data"] == [full]

    (by_user,) = welkin("GET", f"{HERE}/users/{user.id}/encounters").body["data"]
    assert set(by_user["jsonBody"]) == BODY_KEYS - RECORD_KEYS | {"patientInfo"}
    assert (by_user["cdtId"], by_user["version"], by_user["cdtName"]) == (None, None, None)


def test_lists_of_users_templates_and_schedules(
    sandbox: Sandbox, welkin: Caller, user: User
) -> None:
    nameless = sandbox.welkin.add_user("no.zone@example.org", None, None, None)
    listed = welkin("GET", f"{ADMIN}/users", size=1000).body
    assert set(listed["metaInfo"]) == META_KEYS
    assert [row["id"] for row in listed["data"]] == [user.id, nameless.id]
    assert not {"timezone", "firstName", "lastName"} & set(listed["data"][1])
    assert welkin("GET", f"{ADMIN}/users", search="dana").body["metaInfo"]["totalElements"] == 1
    assert welkin("GET", f"{ADMIN}/users/{user.id}", type="ID").body["email"] == user.email
    assert welkin("GET", f"{ADMIN}/users/{user.id}").status == 404
    templates = welkin("GET", f"{HERE}/formations/current/encounters").body
    assert {"etmp-follow-up"} <= {template["name"] for template in templates}
    sandbox.welkin.book_event(user.id, START, START + HOUR)
    (schedule,) = welkin("GET", f"{HERE}/calendar/psm-schedules", psmIds=user.id, **WEEK).body
    assert schedule["psmId"] == user.id
    assert [event["eventId"] for event in schedule["events"]] == list(sandbox.welkin.events)


def test_work_hours_are_a_bare_array_without_users_who_have_no_rules(
    sandbox: Sandbox, welkin: Caller
) -> None:
    ids = [f"d0c70000-0000-4000-8000-00000000000{number}" for number in (1, 2)]
    for number, user_id in enumerate(ids):
        sandbox.welkin.add_user(f"u{number}@example.org", id=user_id)
    path = f"{HERE}/calendar/work-hours"
    (row,) = welkin("GET", path, psmIds=",".join(ids), **WEEK).body
    assert row["psmId"] == ids[1]
    assert {day["day"] for day in row["details"][0]["daysInfo"]} == {1, 2, 3, 4, 5}
    assert welkin("GET", path, **WEEK).status == 400


def test_errors_are_arrays(welkin: Caller) -> None:
    answer = welkin("GET", f"{EVENTS}/unknown")
    assert answer.status == 404
    assert [set(item) for item in answer.body] == [
        {"errorCode", "componentType", "message", "details"}
    ]
    missing = welkin("GET", f"{HERE}/patients/nobody/encounters/nothing")
    assert (missing.status, missing.reason) == (404, "DT_RECORD_NOT_FOUND")


# --- Access --------------------------------------------------------------------


def test_a_token_is_a_jwt_of_an_hour_by_the_sandboxs_clock(
    sandbox: Sandbox, clock: ManualClock
) -> None:
    answer = token(sandbox)
    assert set(answer.body) == {"clientName", "token", "enabled"}
    part = answer.body["token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert claims["exp"] == claims["iat"] + 3600 == int(START.timestamp()) + 3600
    caller = Caller(sandbox, "/welkin", answer.body["token"])
    clock.advance(3599)
    assert caller("GET", EVENTS, **WEEK).status == 200
    clock.advance(1)
    codes = set()
    for _ in range(20):
        refused = caller("GET", EVENTS, **WEEK)
        codes.add((refused.status, refused.reason))
        clock.advance(1)
    assert codes == {(401, "TOKEN_EXPIRED"), (401, "NOT_VALID_JSON_WEB_TOKEN")}


def test_a_wrong_secret_and_a_made_up_token_are_refused(sandbox: Sandbox) -> None:
    assert token(sandbox, "wrong").status == 401
    answer = Caller(sandbox, "/welkin", "made.up.token")("GET", EVENTS, **WEEK)
    assert (answer.status, answer.reason) == (401, "NOT_VALID_JSON_WEB_TOKEN")


def test_more_than_100_token_requests_block_the_client_for_5_minutes(
    sandbox: Sandbox, clock: ManualClock
) -> None:
    assert {token(sandbox).status for _ in range(100)} == {200}
    assert token(sandbox).status == 429
    clock.advance(299)
    assert token(sandbox).status == 429
    clock.advance(1)
    assert token(sandbox).status == 200


def test_above_5_requests_a_second_it_answers_429_without_advice(
    sandbox: Sandbox, clock: ManualClock
) -> None:
    caller = Caller(sandbox, "/welkin", token(sandbox).body["token"])
    assert [caller("GET", EVENTS, **WEEK).status for _ in range(6)] == [200] * 5 + [429]
    assert "retry-after" not in caller("GET", EVENTS, **WEEK).headers
    sandbox.welkin.retry_after = "2"
    assert caller("GET", EVENTS, **WEEK).headers["retry-after"] == "2"
    clock.advance(1)
    assert caller("GET", EVENTS, **WEEK).status == 200


def test_there_are_no_etags(sandbox: Sandbox, welkin: Caller, user: User) -> None:
    event = sandbox.welkin.book_event(user.id, START, START + HOUR)
    headers = welkin("GET", f"{EVENTS}/{event.id}").headers
    assert not {"etag", "last-modified"} & set(headers)


# --- Events --------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"from_": WEEK["from_"]},
        {"from_": "2026-03-01T00:00:00Z", "to": WEEK["to"]},
        {"from_": "2026-03-01T00:00:00.000000Z", "to": WEEK["to"]},
        {"from_": "2026-03-01T00:00:00.000+00:00", "to": WEEK["to"]},
        {**WEEK, "eventType": "MEETING"},
        {**WEEK, "sort": "updatedAt,desc"},
        {**WEEK, "includeCancelled": "1"},
    ],
)
def test_a_list_is_refused(welkin: Caller, query: dict[str, Any]) -> None:
    assert welkin("GET", EVENTS, **query).status == 400


def test_a_window_takes_what_overlaps_it(sandbox: Sandbox, welkin: Caller, user: User) -> None:
    end = datetime.fromisoformat("2026-03-09T00:00:00+00:00")
    long = sandbox.welkin.book_event(user.id, START - 9 * DAY, START)
    late = sandbox.welkin.book_event(user.id, end - HOUR, end + HOUR)
    sandbox.welkin.book_event(user.id, end, end + HOUR)
    found = welkin("GET", EVENTS, **WEEK).body["content"]
    assert [event["id"] for event in found] == [long.id, late.id]


def test_lists_filter_and_page(sandbox: Sandbox, welkin: Caller, user: User) -> None:
    other = sandbox.welkin.add_user("milo@example.org")
    for number in range(5):
        start = START + number * HOUR
        event = sandbox.welkin.book_event(user.id, start, start + HOUR)
    sandbox.welkin.book_event(other.id, START, START + HOUR, "LEAVE")
    sandbox.welkin.cancel_event(event.id)

    def total(**query: Any) -> int:
        return int(welkin("GET", EVENTS, **{**WEEK, **query}).body["totalElements"])

    assert total() == 6
    assert total(participantIds=f"{user.id},{other.id}") == 6
    assert total(participantIds=user.id) == 5
    assert total(participantIds=user.id, includeCancelled="false") == 4
    assert total(eventType="LEAVE") == 1
    last = welkin("GET", EVENTS, **WEEK, size=4, page=1, sort="createdAt,asc").body
    assert (last["last"], last["totalPages"], last["numberOfElements"]) == (True, 2, 2)


def test_a_bare_event_has_nulls(welkin: Caller, user: User) -> None:
    made = welkin("POST", EVENTS, block(user))
    assert made.status == 201
    names = ("eventTitle", "eventType", "eventStatus", "eventMode", "eventColor", "timezone")
    assert {made.body[name] for name in names} == {None}
    assert made.body["externalIdUpdatedAt"] == made.body["createdAt"]


def test_an_external_id_is_unique_and_finds_its_event(
    welkin: Caller, user: User, clock: ManualClock
) -> None:
    made = welkin("POST", EVENTS, block(user, externalId="calsync-1", eventType="LEAVE")).body
    assert welkin("GET", f"{EVENTS}/calsync-1", type="EXTERNAL_ID").body == made
    assert welkin("POST", EVENTS, block(user, externalId="calsync-1")).status == 400
    assert welkin("PATCH", f"{EVENTS}/{made['id']}", {"externalId": "calsync-1"}).status == 200
    assert welkin("DELETE", f"{EVENTS}/{made['id']}").status == 204
    assert welkin("GET", f"{EVENTS}/calsync-1", type="EXTERNAL_ID").status == 404
    assert welkin("POST", EVENTS, block(user, externalId="calsync-1")).status == 201


@pytest.mark.parametrize(
    "fields",
    [
        {"localStartDateTime": "2026-03-03T09:00:00.000Z"},
        {"startDateTime": "2026-03-03T09:00:00Z"},
        {"endDateTime": "2026-03-01T09:00:00.000Z"},
        {"eventType": "ENCOUNTER"},
        {"eventType": "VACATION"},
        {"hostId": "nobody"},
        {"hostId": []},
        {"participants": []},
        {"participants": [{"participantId": "nobody", "participantRole": "psm"}]},
        {"eventTitle": 5},
        {"allDayEvent": "yes"},
    ],
)
def test_an_event_is_refused(
    sandbox: Sandbox, welkin: Caller, user: User, fields: dict[str, Any]
) -> None:
    assert welkin("POST", EVENTS, {**block(user), **fields}).status == 400
    assert sandbox.welkin.events == {}


def test_the_host_takes_part(sandbox: Sandbox, welkin: Caller, user: User) -> None:
    other = sandbox.welkin.add_user("milo@example.org")
    assert welkin("POST", EVENTS, block(user, hostId=other.id)).status == 400


def test_a_patch_answers_the_whole_event_and_always_moves_its_stamp(
    welkin: Caller, user: User
) -> None:
    made = welkin("POST", EVENTS, block(user, eventTitle="Busy", eventType="LEAVE")).body
    for change in ({"eventTitle": "Busy"}, {"eventStatus": "CANCELLED"}):
        patched = welkin("PATCH", f"{EVENTS}/{made['id']}", change).body
        assert patched["updatedAt"] > made["updatedAt"]
        same = EVENT_KEYS - {"updatedAt", *change}
        assert {name: patched[name] for name in same} == {name: made[name] for name in same}


def test_a_put_replaces(welkin: Caller, user: User) -> None:
    made = welkin("POST", EVENTS, block(user, eventTitle="Busy")).body
    assert welkin("PUT", f"{EVENTS}/{made['id']}", {"eventTitle": "B"}).status == 400
    replaced = welkin("PUT", f"{EVENTS}/{made['id']}", block(user, START + 2 * DAY)).body
    assert replaced["eventTitle"] is None
    assert replaced["startDateTime"] == stamp(START + 2 * DAY)


def test_deleting_a_future_event_leaves_nothing_but_an_audit_row(
    welkin: Caller, user: User
) -> None:
    made = welkin("POST", EVENTS, block(user)).body
    answer = welkin("DELETE", f"{EVENTS}/{made['id']}")
    assert (answer.status, answer.raw) == (204, b"")
    assert welkin("GET", f"{EVENTS}/{made['id']}").status == 404
    assert welkin("DELETE", f"{EVENTS}/{made['id']}").status == 404
    assert welkin("GET", f"{HERE}/export/CALENDAR_EVENT").body["data"] == []
    (row,) = welkin("GET", f"{ADMIN}/audit-data", entity="CALENDAR", instance="live").body["data"]
    assert (row["sourceId"], row["eventSubtype"]) == (made["id"], "CALENDAR_EVENT_DELETED")


def test_deleting_a_past_event_cancels_it_once(welkin: Caller, user: User) -> None:
    made = welkin("POST", EVENTS, block(user, START - DAY)).body
    stamps = set()
    for _ in range(2):
        assert welkin("DELETE", f"{EVENTS}/{made['id']}").status == 204
        left = welkin("GET", f"{EVENTS}/{made['id']}").body
        assert left["eventStatus"] == "CANCELLED"
        stamps.add(left["updatedAt"])
    assert len(stamps) == 1
    assert welkin("GET", f"{ADMIN}/audit-data").body["data"] == []


def test_the_audit_can_be_closed(sandbox: Sandbox, welkin: Caller) -> None:
    sandbox.welkin.audit_enabled = False
    answer = welkin("GET", f"{ADMIN}/audit-data")
    assert (answer.status, answer.reason) == (403, "ACCESS_FOR_API_CLIENT_RESTRICTED")


# --- Encounters ----------------------------------------------------------------


def test_notes_move_the_events_stamp_and_nothing_else(
    sandbox: Sandbox, welkin: Caller, user: User, clock: ManualClock
) -> None:
    encounter = sandbox.welkin.book_encounter(user.id, START + DAY, START + DAY + HOUR)
    before = welkin("GET", f"{EVENTS}/{encounter.event_id}").body
    clock.advance(60)
    sandbox.welkin.touch_encounter_notes(encounter.id)
    after = welkin("GET", f"{EVENTS}/{encounter.event_id}").body
    changed = {name for name in EVENT_KEYS if before[name] != after[name]}
    assert changed <= {"updatedAt", "updatedBy"}
    assert "updatedAt" in changed
    path = f"{HERE}/patients/{encounter.patient_id}/encounters/{encounter.id}"
    body = welkin("GET", path).body["jsonBody"]
    assert body["currentScheduledAppointment"] == after
    assert body["calendarEvent"] == before


def test_a_cancelled_or_deleted_encounter_leaves_its_event_scheduled(
    sandbox: Sandbox, welkin: Caller, user: User
) -> None:
    encounter = sandbox.welkin.book_encounter(user.id, START + DAY, START + DAY + HOUR)
    path = f"{HERE}/patients/{encounter.patient_id}/encounters/{encounter.id}"

    def status() -> tuple[str, str]:
        event = welkin("GET", f"{EVENTS}/{encounter.event_id}").body
        return welkin("GET", path).body["jsonBody"]["status"], event["eventStatus"]

    assert status() == ("DRAFT", "SCHEDULED")
    sandbox.welkin.cancel_encounter(encounter.id)
    assert status() == ("CANCELLED", "SCHEDULED")
    sandbox.welkin.uncancel_encounter(encounter.id)
    assert status() == ("DRAFT", "SCHEDULED")
    assert welkin("PATCH", path, {"status": "CANCELLED"}).status == 200
    assert status() == ("CANCELLED", "SCHEDULED")
    assert welkin("DELETE", path).status == 200
    assert welkin("GET", path).status == 404
    assert welkin("GET", f"{EVENTS}/{encounter.event_id}").body["eventStatus"] == "SCHEDULED"


def test_an_encounter_is_created_and_moved_with_its_event(
    sandbox: Sandbox, welkin: Caller, user: User
) -> None:
    patient = sandbox.welkin.add_patient("Zyxa", "Qanary")
    people = [
        {"participantId": user.id, "participantRole": "psm"},
        {"participantId": patient.id, "participantRole": "patient"},
    ]
    path = f"{HERE}/patients/{patient.id}/encounters"
    appointment = {**block(user), "participants": people}
    sent = {"templateName": "etmp-follow-up", "currentScheduledAppointment": appointment}
    made = welkin("POST", path, sent)
    assert made.status == 201
    event = made.body["jsonBody"]["currentScheduledAppointment"]
    assert (event["eventType"], event["eventStatus"], event["eventMode"]) == (
        "ENCOUNTER", "SCHEDULED", "VIDEO",
    )  # fmt: skip
    moved = {**appointment, "startDateTime": stamp(START + DAY - HOUR)}
    answer = welkin("PATCH", f"{path}/{made.body['id']}", {"currentScheduledAppointment": moved})
    assert answer.body["jsonBody"]["calendarEventStartDatetime"] == moved["startDateTime"]
    assert answer.body["jsonBody"]["updated_by_name"] == "API_CLIENT:ABCDEFGHIJKL"


def test_a_tenant_may_not_let_encounters_be_moved(
    sandbox: Sandbox, welkin: Caller, user: User
) -> None:
    encounter = sandbox.welkin.book_encounter(user.id, START + DAY, START + DAY + HOUR)
    sandbox.welkin.encounter_moves = False
    path = f"{EVENTS}/{encounter.event_id}"
    times = {name: block(user, START + 2 * DAY)[name] for name in ("startDateTime", "endDateTime")}
    assert welkin("PATCH", path, times).status == 400
    assert welkin("PATCH", path, {"eventColor": "grey"}).status == 200


def test_people_come_and_go(sandbox: Sandbox, welkin: Caller, user: User) -> None:
    milo = sandbox.welkin.add_user("milo@example.org")
    event = sandbox.welkin.book_event(user.id, START + DAY, START + DAY + HOUR)

    def seen_by(person: User) -> int:
        query = {**WEEK, "participantIds": person.id}
        return int(welkin("GET", EVENTS, **query).body["totalElements"])

    sandbox.welkin.add_participant(event.id, milo.id)
    assert (seen_by(user), seen_by(milo)) == (1, 1)
    sandbox.welkin.remove_participant(event.id, milo.id)
    assert (seen_by(user), seen_by(milo)) == (1, 0)
    sandbox.welkin.set_host(event.id, milo.id)
    assert (seen_by(user), seen_by(milo)) == (0, 1)
    sandbox.welkin.deactivate_user(milo.id)
    row = welkin("GET", f"{ADMIN}/users/{milo.id}", type="ID").body
    assert (row["userState"], row["enabled"]) == ("INACTIVE", False)
    (row,) = welkin("GET", f"{EVENTS}/{event.id}").body["participants"]
    assert row["enabled"] is False


def test_a_finalised_encounters_event_cannot_be_changed(
    sandbox: Sandbox, welkin: Caller, user: User
) -> None:
    encounter = sandbox.welkin.book_encounter(user.id, START, START + HOUR)
    sandbox.welkin.finalize_encounter(encounter.id)
    assert welkin("PATCH", f"{EVENTS}/{encounter.event_id}", {"eventColor": "x"}).status == 400


def test_masked_patients_have_stars_for_names(sandbox: Sandbox, welkin: Caller, user: User) -> None:
    patient = sandbox.welkin.add_patient("Zyxa", "Qanary", masked=True)
    sandbox.welkin.book_encounter(user.id, START, START + HOUR, patient_id=patient.id)
    raw = welkin("GET", EVENTS, **WEEK).raw.decode()
    assert "*****" in raw
    assert "Zyxa" not in raw


# --- Exports -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["CALENDAR_EVENT", "ENCOUNTER"])
def test_an_export_is_walked_by_its_cursor(
    sandbox: Sandbox, welkin: Caller, user: User, name: str
) -> None:
    wanted = []
    for number in range(7):
        start = START + number * DAY
        encounter = sandbox.welkin.book_encounter(user.id, start, start + HOUR)
        wanted.append(encounter.event_id if name == "CALENDAR_EVENT" else encounter.id)
    found: list[str] = []
    query: dict[str, Any] = {"pageSize": 3}
    while True:
        body = welkin("GET", f"{HERE}/export/{name}", **query).body
        assert set(body) == {"data", "cursor"}
        assert set(body["cursor"]) == {"start", "end", "pageSize", "hasNext"}
        assert len(body["data"]) <= 3
        found += [row["id"] for row in body["data"]]
        query["start"] = body["cursor"]["end"]
        if not body["cursor"]["hasNext"]:
            break
    # The boundary is inclusive, so the last row of a page comes again.
    assert list(dict.fromkeys(found)) == wanted
    assert len(found) > len(wanted)


def test_an_export_brings_changed_and_cancelled_rows_again(
    sandbox: Sandbox, welkin: Caller, user: User, clock: ManualClock
) -> None:
    first = sandbox.welkin.book_event(user.id, START + DAY, START + DAY + HOUR)
    second = sandbox.welkin.book_event(user.id, START + DAY, START + DAY + HOUR)
    clock.advance(60)
    start = stamp(clock.now())
    assert welkin("GET", f"{HERE}/export/CALENDAR_EVENT", start=start).body["data"] == []
    sandbox.welkin.cancel_event(first.id)
    (row,) = welkin("GET", f"{HERE}/export/CALENDAR_EVENT", start=start).body["data"]
    assert (row["id"], row["eventStatus"]) == (first.id, "CANCELLED")
    whole = welkin("GET", f"{HERE}/export/CALENDAR_EVENT").body["data"]
    assert [row["id"] for row in whole] == [second.id, first.id]
    assert welkin("GET", f"{HERE}/export/CALENDAR_EVENT", start="yesterday").status == 400


# --- Faults, the organisation, the control API -----------------------------------


def test_an_answer_can_be_lost_after_the_event_was_made(
    sandbox: Sandbox, welkin: Caller, user: User
) -> None:
    sandbox.faults.add(Fault("welkin", "status", "POST", code=504, committed=True))
    answer = welkin("POST", EVENTS, block(user))
    assert answer.status == 504
    assert isinstance(answer.body, list)
    assert len(sandbox.welkin.events) == 1


def test_pages_can_be_repeated_and_emptied(sandbox: Sandbox, welkin: Caller, user: User) -> None:
    for number in range(3):
        sandbox.welkin.book_event(user.id, START + number * HOUR, START + number * HOUR + HOUR)
    first = welkin("GET", EVENTS, **WEEK, size=2).body
    sandbox.faults.add(Fault("welkin", "repeated_page", "GET"))
    assert welkin("GET", EVENTS, **WEEK, size=2, page=1).body == first
    sandbox.faults.add(Fault("welkin", "zero_events", "GET"))
    empty = welkin("GET", EVENTS, **WEEK).body
    assert (empty["content"], empty["totalElements"]) == ([], 0)


def test_an_organisation_is_the_same_for_the_same_seed() -> None:
    def build(seed: int) -> tuple[Any, ...]:
        sandbox = Sandbox(clock=ManualClock(), seed=seed)
        sandbox.organise(users=5, encounters=8)
        events = [(e.id, e.start, e.type, e.title) for e in sandbox.welkin.events.values()]
        return events, sandbox.users(), sandbox.canaries

    assert build(1) == build(1)
    assert build(1) != build(2)


def test_an_organisation_has_what_breaks_a_sync() -> None:
    sandbox = Sandbox(clock=ManualClock())
    sandbox.organise()
    people = sandbox.users()
    assert len(people) == 25
    assert all(row["google_account"] for row in people)
    emails = [str(row["email"]) for row in people]
    assert any(email != email.lower() for email in emails)
    assert any("+" in email for email in emails)
    assert {None, "US/Pacific", "Europe/Berlin"} <= {row["time_zone"] for row in people}
    events = sandbox.welkin.events.values()
    assert {e.type for e in events} == {"ENCOUNTER", "APPOINTMENT", "GROUP_THERAPY", "LEAVE", None}
    assert {e.status for e in events} >= {"SCHEDULED", "Scheduled", "CANCELLED", None}
    assert {e.status for e in sandbox.welkin.encounters.values()} == {"DRAFT", "CANCELLED"}
    assert any(patient.masked for patient in sandbox.welkin.patients.values())
    assert all(event.updated < START for event in events)


def test_the_control_api_plays_a_person_and_sums_up(sandbox: Sandbox, user: User) -> None:
    sandbox.google.add_account("dana.hale@example.org")
    control = Caller(sandbox, "/_sandbox")
    times = {"start": "2026-03-03T10:00:00+00:00", "end": "2026-03-03T11:00:00+00:00"}
    booked = control("POST", "/welkin/encounters", {"host_id": user.id, **times}).body
    later = {"start": "2026-03-03T12:00:00+00:00", "end": "2026-03-03T13:00:00+00:00"}
    assert control("POST", f"/welkin/events/{booked['event_id']}/move", later).status == 200
    assert control("POST", f"/welkin/encounters/{booked['encounter_id']}/cancel").status == 200
    assert sandbox.welkin.events[booked["event_id"]].start.hour == 12
    assert sandbox.welkin.encounters[booked["encounter_id"]].status == "CANCELLED"
    assert control("POST", "/welkin/encounters", {"host_id": "nobody", **times}).status == 404
    assert control("POST", "/welkin/encounters", {"host_id": user.id}).status == 404

    account = "/google/accounts/dana.hale@example.org"
    (name, *_) = sorted(sandbox.canaries)
    marker = {"private": {"calendarSync": "one"}}
    for _ in range(2):
        mirror = {"summary": f"Visit of {name}", "extendedProperties": marker, **times}
        made = control("POST", f"{account}/events", mirror).body
    for number in range(2):
        start = START + DAY
        sandbox.welkin.store_event(
            host_id=user.id,
            start=start,
            end=start + HOUR,
            type="LEAVE",
            participants=[(user.id, "psm")],
            external_id=f"calsync-{number}",
        )
    assert control("GET", "/summary").body == {
        "users": 1,
        "mirrors": 2,
        "google_mirrors": 2,
        "microsoft_mirrors": 0,
        "blocks": 2,
        "duplicates": 2,
        "canary_leaks": 2,
    }
    assert len(control("GET", "/welkin/blocks", user_id=user.id).body) == 2
    assert control("DELETE", f"{account}/events/{made['id']}").status == 200
    assert len(control("GET", f"{account}/mirrors").body) == 1
    assert control("POST", f"{account}/revoke").status == 200
    assert sandbox.google.account("dana.hale@example.org").state == "revoked"


def test_the_control_api_arms_faults_and_shows_requests(sandbox: Sandbox, welkin: Caller) -> None:
    control = Caller(sandbox, "/_sandbox")
    fault = {"service": "welkin", "kind": "status", "path": "events$", "code": 503}
    assert control("POST", "/faults", fault).status == 200
    assert control("POST", "/faults", {"kind": "nonsense"}).status == 400
    assert welkin("GET", EVENTS, **WEEK).status == 503
    control("POST", "/faults", fault)
    control("DELETE", "/faults")
    assert welkin("GET", EVENTS, **WEEK).status == 200
    assert control("GET", "/requests/counts").body == {"welkin.events.list": 2, "welkin.token": 1}
    shown = control("GET", "/requests", since=1).body
    assert [entry["status"] for entry in shown] == [503, 200]


def test_serving_writes_what_airflow_needs(sandbox: Sandbox, tmp_path: Path) -> None:
    with running(sandbox, tmp_path) as (root, ca):
        written = json.loads((tmp_path / "connections.json").read_text())
        assert root.startswith("https://localhost:")
        assert ca.read_text().startswith("-----BEGIN CERTIFICATE-----")
    welkin = written["welkin_default"]
    assert (welkin["conn_type"], welkin["host"]) == ("welkin", f"{root}/welkin")
    assert welkin["extra"]["verify"] == str(ca)
    google = written["google_calendar_default"]["extra"]
    assert google["api_root"] == f"{root}/google"
    assert json.loads(google["keyfile_dict"])["token_uri"] == f"{root}/google/token"
