"""The Google double against Google's own description of the API and Google's own client."""

from __future__ import annotations

import json
import random
import re
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from functools import cache
from http.client import IncompleteRead
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import google_auth_httplib2
import googleapiclient
import httplib2
import pytest
from google.auth import crypt, jwt
from google.oauth2 import service_account
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError

from calendar_sync_sandbox import ConnectionBroken, Fault, Sandbox, running
from tests.contract.conftest import START, Answer, Caller, ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

SCOPE = "https://www.googleapis.com/auth/calendar"
DANA = "dana.hale@example.org"
EVENTS = "/calendars/primary/events"
HOUR = timedelta(hours=1)
SILENT: dict[str, Any] = {"sendUpdates": "none"}
# The description names these values in prose only.
VALUES = {
    "status": {"confirmed", "tentative", "cancelled"},
    "transparency": {"opaque", "transparent"},
    "visibility": {"default", "public", "private", "confidential"},
    "responseStatus": {"needsAction", "declined", "tentative", "accepted"},
    "accessRole": {"owner"},
    "eventType": {
        "birthday", "default", "focusTime", "fromGmail", "outOfOffice", "workingLocation",
    },
}  # fmt: skip
FORMATS = {
    "date": r"\d{4}-\d\d-\d\d",
    "date-time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
}


# --- The description of the API as a judge -------------------------------------


@cache
def description() -> dict[str, Any]:
    folder = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    found: dict[str, Any] = json.loads((folder / "calendar.v3.json").read_text())
    return found


def faults_of(value: Any, schema: dict[str, Any], place: str = "$") -> list[str]:
    """Name every difference between a value and a schema of the description."""
    if "$ref" in schema:
        return faults_of(value, description()["schemas"][schema["$ref"]], place)
    kind = schema.get("type", "any")
    types: dict[str, type] = {
        "string": str, "boolean": bool, "array": list, "object": dict,
    }  # fmt: skip
    if kind == "integer":
        right = isinstance(value, int) and not isinstance(value, bool)
        return [] if right else [f"{place}: {value!r} is no integer"]
    if kind in types and not isinstance(value, types[kind]):
        return [f"{place}: {value!r} is no {kind}"]
    found: list[str] = []
    if kind == "string":
        pattern = FORMATS.get(schema.get("format", ""), "")
        if pattern and not re.fullmatch(pattern, value):
            found.append(f"{place}: {value!r} is no {schema['format']}")
        allowed = VALUES.get(place.rpartition(".")[2], set())
        if allowed and value not in allowed:
            found.append(f"{place}: {value!r} is not among {sorted(allowed)}")
    elif kind == "array":
        for number, item in enumerate(value):
            found += faults_of(item, schema["items"], f"{place}[{number}]")
    elif kind == "object":
        declared, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, item in value.items():
            inner = declared.get(name, others)
            if inner is None:
                found.append(f"{place}: {name} is not declared")
            else:
                found += faults_of(item, inner, f"{place}.{name}")
    return found


def check(value: Any, schema: str) -> None:
    assert faults_of(value, {"$ref": schema}) == []


def test_the_judge_finds_what_is_wrong() -> None:
    good = {"id": "abcde", "status": "confirmed", "sequence": 1, "start": {"date": "2026-03-02"}}
    assert faults_of(good, {"$ref": "Event"}) == []
    assert faults_of({**good, "startTime": "9"}, {"$ref": "Event"})
    assert faults_of({**good, "sequence": "1"}, {"$ref": "Event"})
    assert faults_of({**good, "status": "deleted"}, {"$ref": "Event"})
    assert faults_of({**good, "start": {"date": "2026-3-2"}}, {"$ref": "Event"})
    assert faults_of({**good, "attendees": [{"mail": "x"}]}, {"$ref": "Event"})


# --- Callers -------------------------------------------------------------------


def assertion(sandbox: Sandbox, **changes: Any) -> str:
    keyfile = sandbox.google.keyfile()
    issued = int(sandbox.clock.now().timestamp())
    claims = {
        "iss": keyfile["client_email"],
        "sub": DANA,
        "aud": keyfile["token_uri"],
        "scope": SCOPE,
        "iat": issued,
        "exp": issued + 3600,
        **changes,
    }
    signer = crypt.RSASigner.from_service_account_info(keyfile)  # type: ignore[no-untyped-call]
    return str(jwt.encode(signer, claims).decode())  # type: ignore[no-untyped-call]


def ask_token(sandbox: Sandbox, text: str) -> Answer:
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    form = urlencode({"grant_type": grant, "assertion": text}).encode()
    return Caller(sandbox, "/google")("POST", "/token", form)


def caller(sandbox: Sandbox, account: str = DANA) -> Caller:
    token = ask_token(sandbox, assertion(sandbox, sub=account)).body["access_token"]
    return Caller(sandbox, "/google/calendar/v3", token)


@pytest.fixture
def google(sandbox: Sandbox) -> Caller:
    sandbox.google.add_account(DANA, "America/New_York")
    return caller(sandbox)


def event(when: datetime = START + 24 * HOUR, /, **fields: Any) -> dict[str, Any]:
    times = {
        "start": {"dateTime": when.isoformat()},
        "end": {"dateTime": (when + HOUR).isoformat()},
    }
    return {"summary": "Busy", **times, **fields}


def token_of(google: Caller, **query: Any) -> str:
    return str(google("GET", EVENTS, **query).body["nextSyncToken"])


def weekly(sandbox: Sandbox, **fields: Any) -> dict[str, Any]:
    start = START + 24 * HOUR
    return sandbox.google.add_series(DANA, "FREQ=WEEKLY", start, start + HOUR, **fields)


WINDOW: dict[str, Any] = {
    "singleEvents": "true",
    "timeMin": "2026-03-01T00:00:00Z",
    "timeMax": "2026-04-30T00:00:00Z",
}


# --- Everything sent is what Google declares -----------------------------------


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"showDeleted": "true"},
        {"singleEvents": "true", "timeMin": "2025-01-01T00:00:00Z"},
        {**WINDOW, "orderBy": "startTime", "showDeleted": "true", "timeZone": "Asia/Kolkata"},
    ],
    ids=["masters", "deleted", "expanded", "ordered"],
)
def test_lists_of_every_awkward_kind_are_as_declared(
    sandbox: Sandbox, query: dict[str, Any]
) -> None:
    sandbox.organise(users=1, encounters=2)
    answer = caller(sandbox)("GET", EVENTS, maxResults=2500, **query)
    check(answer.body, "Events")
    assert len(answer.body["items"]) > 30
    kinds = {item.get("eventType") for item in answer.body["items"]}
    assert kinds >= VALUES["eventType"]


def test_single_answers_are_as_declared(sandbox: Sandbox, google: Caller) -> None:
    series = weekly(sandbox)
    made = google("POST", EVENTS, event(extendedProperties={"private": {"a": "b"}}), **SILENT)
    for answer in (
        made,
        google("GET", f"{EVENTS}/{made.body['id']}"),
        google("PUT", f"{EVENTS}/{made.body['id']}", event(summary="New"), **SILENT),
        google("PATCH", f"{EVENTS}/{made.body['id']}", {"location": "Here"}, **SILENT),
    ):
        check(answer.body, "Event")
        assert answer.body["kind"] == "calendar#event"
    check(google("GET", f"{EVENTS}/{series['id']}/instances", maxResults=5).body, "Events")
    check(google("GET", "/users/me/calendarList").body, "CalendarList")
    check(google("GET", "/calendars/primary").body, "Calendar")


def test_errors_are_as_declared(google: Caller) -> None:
    answer = google("GET", f"{EVENTS}/unknown")
    assert answer.status == answer.body["error"]["code"] == 404
    for item in answer.body["error"]["errors"]:
        check({"domain": item["domain"], "reason": item["reason"]}, "Error")


def test_every_parameter_that_the_double_knows_is_declared(google: Caller) -> None:
    methods = description()["resources"]["events"]["methods"]
    path = {"calendarId", "eventId"}
    for name in set(methods["list"]["parameters"]) - path:
        query: dict[str, Any] = {name: "?"}
        answer = google("GET", EVENTS, **query)
        unknown = answer.status == 400 and "Unknown parameter" in answer.raw.decode()
        assert not unknown, name
    assert google("GET", EVENTS, updatedSince="?").status == 400


# --- Google's own client -------------------------------------------------------


@pytest.fixture(scope="module")
def live() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    sandbox.google.add_account(DANA, "Europe/Berlin")
    with running(sandbox):
        yield sandbox


@contextmanager
def googles_client(live: Sandbox) -> Iterator[Any]:
    """Open Google's own client, as Dana, on a sandbox that is served."""
    keyfile = live.google.keyfile()
    credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
        keyfile, scopes=[SCOPE], subject=DANA
    )
    plain = httplib2.Http(ca_certs=str(live.ca))
    http = google_auth_httplib2.AuthorizedHttp(credentials, http=plain)
    # The client writes parameters of its own into the description.
    document = {**deepcopy(description()), "rootUrl": f"{live.root}/google/"}
    document["baseUrl"] = document["rootUrl"] + document["servicePath"]
    with build_from_document(document, http=http) as service:
        yield service
    plain.close()


@pytest.fixture
def client(live: Sandbox) -> Iterator[Any]:
    with googles_client(live) as service:
        yield service.events()


def test_googles_client_reads_and_writes(client: Any) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    body = event(now, id="0123456789abcdefghijkv")
    made = client.insert(calendarId="primary", body=body, sendUpdates="none").execute()
    assert made["id"] == body["id"]
    assert datetime.fromisoformat(made["start"]["dateTime"]) == now
    read = client.get(calendarId=DANA, eventId=made["id"]).execute()
    assert read == made
    with pytest.raises(HttpError, match="already exists"):
        client.insert(calendarId="primary", body=body).execute()


def test_googles_client_pages_and_follows_a_sync_token(client: Any) -> None:
    now = datetime.now(UTC)
    for number in range(5):
        client.insert(calendarId="primary", body=event(now, id=f"page{number}")).execute()
    ids, token = [], None
    request = client.list(calendarId="primary", singleEvents=True, maxResults=2)
    while request is not None:
        answer = request.execute()
        ids += [item["id"] for item in answer["items"]]
        token = answer.get("nextSyncToken")
        request = client.list_next(request, answer)
    assert {f"page{number}" for number in range(5)} <= set(ids)
    assert len(ids) == len(set(ids))

    client.delete(calendarId="primary", eventId="page3", sendUpdates="none").execute()
    changed = client.list(
        calendarId="primary", singleEvents=True, maxResults=2, syncToken=token
    ).execute()
    assert changed["items"] == [{"id": "page3", "status": "cancelled"}]


def test_googles_client_updates_only_what_it_has_read(client: Any) -> None:
    body = event(datetime.now(UTC), id="matched0")
    made = client.insert(calendarId="primary", body=body).execute()
    request = client.update(calendarId="primary", eventId="matched0", body={**body, "summary": "B"})
    request.headers["If-Match"] = made["etag"]
    assert request.execute()["summary"] == "B"
    with pytest.raises(HttpError) as refused:
        request.execute()
    assert refused.value.resp.status == 412


def test_googles_client_reads_the_instances_of_a_series(client: Any) -> None:
    times = {
        "start": {"dateTime": "2027-03-25T09:00:00", "timeZone": "Europe/Berlin"},
        "end": {"dateTime": "2027-03-25T10:00:00", "timeZone": "Europe/Berlin"},
    }
    body = {"id": "series00", "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=3"], **times}
    client.insert(calendarId="primary", body=body, sendUpdates="none").execute()
    found = client.instances(calendarId="primary", eventId="series00").execute()["items"]
    # The clocks change on the Sunday after the first one.
    assert [item["id"] for item in found] == [
        "series00_20270325T080000Z",
        "series00_20270401T070000Z",
        "series00_20270408T070000Z",
    ]
    assert found[1]["start"]["dateTime"] == "2027-04-01T09:00:00+02:00"


def test_over_https_a_lost_answer_is_a_broken_connection(live: Sandbox, client: Any) -> None:
    live.faults.add(Fault("google", "reset_after", "POST", "/events", times=None))
    try:
        with pytest.raises(IncompleteRead):
            client.insert(calendarId="primary", body=event(id="lost0")).execute(num_retries=0)
    finally:
        live.faults.clear()
    assert client.get(calendarId="primary", eventId="lost0").execute()["status"] == "confirmed"


# --- Tokens --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"sub": "nobody@example.org"}, 400, "invalid_grant"),
        ({"sub": "nobody"}, 400, "invalid_request"),
        ({"scope": SCOPE + " https://www.googleapis.com/auth/drive"}, 401, "unauthorized_client"),
        ({"iss": "other@example.org"}, 400, "invalid_grant"),
        ({"aud": "https://example.org/token"}, 400, "invalid_grant"),
        ({"exp": int(START.timestamp()) - 1}, 400, "invalid_grant"),
        ({"exp": int(START.timestamp()) + 7200}, 400, "invalid_grant"),
    ],
    ids=["user", "address", "scope", "issuer", "audience", "expired", "long"],
)
def test_a_token_is_refused(
    sandbox: Sandbox, changes: dict[str, Any], status: int, error: str
) -> None:
    sandbox.google.add_account(DANA)
    answer = ask_token(sandbox, assertion(sandbox, **changes))
    assert (answer.status, answer.body["error"]) == (status, error)


def test_a_forged_signature_is_refused(sandbox: Sandbox) -> None:
    sandbox.google.add_account(DANA)
    head, claims, seal = assertion(sandbox).split(".")
    answer = ask_token(sandbox, f"{head}.{claims}.{seal[:-8]}AAAAAAAA")
    assert answer.body["error"] == "invalid_grant"


def test_a_token_lives_an_hour(google: Caller, clock: ManualClock) -> None:
    clock.advance(3599)
    assert google("GET", EVENTS).status == 200
    clock.advance(1)
    answer = google("GET", EVENTS)
    assert (answer.status, answer.reason) == (401, "authError")


def test_a_revoked_account_gets_no_token_until_it_is_restored(
    sandbox: Sandbox, google: Caller
) -> None:
    sandbox.google.revoke(DANA)
    assert google("GET", EVENTS).status == 401
    assert ask_token(sandbox, assertion(sandbox)).body["error"] == "invalid_grant"
    sandbox.google.restore(DANA)
    assert caller(sandbox)("GET", EVENTS).status == 200


def test_faults_of_the_whole_tenant(sandbox: Sandbox, google: Caller) -> None:
    sandbox.google.api_enabled = False
    assert google("GET", EVENTS).reason == "accessNotConfigured"
    sandbox.google.api_enabled = True
    sandbox.google.delegation.missing = True
    assert ask_token(sandbox, assertion(sandbox)).status == 401
    assert google("GET", EVENTS).status == 200


def test_a_scope_for_reading_does_not_write(sandbox: Sandbox) -> None:
    sandbox.google.add_account(DANA)
    text = assertion(sandbox, scope=f"{SCOPE}.events.readonly")
    google = Caller(sandbox, "/google/calendar/v3", ask_token(sandbox, text).body["access_token"])
    assert google("GET", EVENTS).status == 200
    answer = google("POST", EVENTS, event())
    assert (answer.status, answer.reason) == (403, "insufficientPermissions")


def test_a_user_without_licence_is_no_calendar_user(sandbox: Sandbox, google: Caller) -> None:
    sandbox.google.no_licence(DANA)
    answer = google("GET", EVENTS)
    assert (answer.status, answer.reason) == (403, "notACalendarUser")


def test_another_users_calendar_does_not_exist(sandbox: Sandbox, google: Caller) -> None:
    sandbox.google.add_account("milo@example.org")
    assert google("GET", "/calendars/milo@example.org/events").status == 404


# --- Writing -------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["welkin1", "ABCDE", "abcd", "ab-cde", "a" * 1025])
def test_ids_have_an_alphabet_and_a_length(google: Caller, bad: str) -> None:
    assert google("POST", EVENTS, event(id=bad)).status == 400


def test_a_deleted_id_stays_taken(google: Caller) -> None:
    assert google("POST", EVENTS, event(id="abcde")).status == 200
    assert google("DELETE", f"{EVENTS}/abcde").status == 204
    again = google("DELETE", f"{EVENTS}/abcde")
    assert (again.status, again.reason) == (410, "deleted")
    duplicate = google("POST", EVENTS, event(id="abcde"))
    assert (duplicate.status, duplicate.reason) == (409, "duplicate")
    assert google("GET", f"{EVENTS}/abcde").body["status"] == "cancelled"
    assert google("DELETE", f"{EVENTS}/unknown").status == 404


def test_a_full_update_drops_what_it_omits_and_a_patch_does_not(google: Caller) -> None:
    google("POST", EVENTS, event(id="abcde", location="Here", description="D"))
    patched = google("PATCH", f"{EVENTS}/abcde", {"description": None}).body
    assert patched["location"] == "Here"
    assert "description" not in patched
    assert "location" not in google("PUT", f"{EVENTS}/abcde", event()).body


def test_an_update_of_a_deleted_event_brings_it_back_only_when_it_says_so(google: Caller) -> None:
    google("POST", EVENTS, event(id="abcde"))
    google("DELETE", f"{EVENTS}/abcde")
    assert google("PUT", f"{EVENTS}/abcde", event()).body["status"] == "cancelled"
    back = google("PUT", f"{EVENTS}/abcde", event(status="confirmed")).body
    assert back["status"] == "confirmed"


def test_an_etag_moves_with_the_content_only(google: Caller) -> None:
    first = google("POST", EVENTS, event(id="abcde")).body
    same = google("PUT", f"{EVENTS}/abcde", event()).body
    assert (same["etag"], same["updated"]) == (first["etag"], first["updated"])
    other = google("PUT", f"{EVENTS}/abcde", event(summary="Other")).body
    assert other["etag"] != first["etag"]
    stale = google("DELETE", f"{EVENTS}/abcde", None, {"if-match": first["etag"]})
    assert (stale.status, stale.reason) == (412, "conditionNotMet")
    unchanged = google("GET", f"{EVENTS}/abcde", None, {"if-none-match": other["etag"]})
    assert (unchanged.status, unchanged.raw) == (304, b"")


@pytest.mark.parametrize(
    "fields",
    [
        {"end": {"dateTime": START.isoformat()}},
        {"start": {"date": "2026-03-02"}},
        {"start": {"dateTime": "0001-01-01T00:00:00Z"}},
        {"start": {"dateTime": "2026-03-02T09:00:00"}},
        {"start": {"dateTime": "2026-03-02T09:00:00", "timeZone": "Pacific Standard Time"}},
        {"start": {"date": "2026-03-02", "dateTime": "2026-03-02T09:00:00Z"}},
        {"recurrence": ["RRULE:FREQ=WEEKLY"]},
        {"recurrence": ["FREQ=WEEKLY"]},
        {"status": "booked"},
        {"eventType": "fromGmail"},
        {"eventType": "workingLocation"},
        {"extendedProperties": {"private": {"k" * 45: "v"}}},
        {"extendedProperties": {"private": {"k": "v" * 1025}}},
        {"extendedProperties": {"private": {f"k{n}": "v" for n in range(301)}}},
        {"extendedProperties": {"private": {"k": 1}}},
        {"attendees": [{"displayName": "No address"}]},
    ],
)
def test_an_event_is_refused(google: Caller, fields: dict[str, Any]) -> None:
    answer = google("POST", EVENTS, event(START, **fields))
    assert answer.status == 400
    assert google("GET", EVENTS).body["items"] == []


def test_an_empty_span_has_a_reason_of_its_own(google: Caller) -> None:
    answer = google("POST", EVENTS, event(end=event()["start"]))
    assert answer.reason == "timeRangeEmpty"


def test_times_come_back_in_the_calendars_zone_to_the_second(google: Caller) -> None:
    start = {"dateTime": "2026-07-01T09:00:00.789+02:00", "timeZone": "Europe/Berlin"}
    end = {"dateTime": "2026-07-01T10:00:00", "timeZone": "Europe/Berlin"}
    made = google("POST", EVENTS, {"start": start, "end": end}).body
    assert made["start"] == {"dateTime": "2026-07-01T03:00:00-04:00", "timeZone": "Europe/Berlin"}
    assert made["end"]["dateTime"] == "2026-07-01T04:00:00-04:00"


@pytest.mark.parametrize("value", ["false", "None", "no"])
def test_send_updates_is_an_enumeration(google: Caller, value: str) -> None:
    assert google("POST", EVENTS, event(), sendUpdates=value).status == 400


def test_a_guest_may_not_move_an_event(sandbox: Sandbox, google: Caller) -> None:
    elsewhere = {"email": "host@partner.example"}
    made = sandbox.google.add_event(DANA, start=START, end=START + HOUR, organizer=elsewhere)
    answer = google("PUT", f"{EVENTS}/{made['id']}", event())
    assert (answer.status, answer.reason) == (403, "forbiddenForNonOrganizer")


def test_writes_that_could_send_mail_are_noted(sandbox: Sandbox, google: Caller) -> None:
    google("POST", EVENTS, event(id="silent"), **SILENT)
    assert sandbox.requests.mail_risk == []
    google("POST", EVENTS, event(id="unsaid"))
    google("POST", EVENTS, event(id="guests", attendees=[{"email": "a@example.org"}]), **SILENT)
    assert len(sandbox.requests.mail_risk) == 2
    sandbox.faults.add(Fault("google", "status", "DELETE", code=503))
    google("DELETE", f"{EVENTS}/silent")
    assert len(sandbox.requests.mail_risk) == 3


# --- Lists and sync tokens -----------------------------------------------------


def test_a_sync_token_brings_what_changed_and_nothing_else(
    sandbox: Sandbox, google: Caller
) -> None:
    for name in ("kept0", "moved0", "gone0"):
        google("POST", EVENTS, event(id=name))
    token = token_of(google)
    assert google("GET", EVENTS, syncToken=token).body["items"] == []
    sandbox.google.move_event(DANA, "moved0", START + 48 * HOUR, START + 49 * HOUR)
    sandbox.google.delete_event(DANA, "gone0")
    answer = google("GET", EVENTS, syncToken=token).body
    assert [item["id"] for item in answer["items"]] == ["moved0", "gone0"]
    assert answer["items"][1] == {"id": "gone0", "status": "cancelled"}
    later = answer["nextSyncToken"]
    assert google("GET", EVENTS, syncToken=later).body["items"] == []


@pytest.mark.parametrize(
    "query",
    [
        {"timeMin": "2026-03-01T00:00:00Z"},
        {"timeMax": "2026-03-01T00:00:00Z"},
        {"updatedMin": "2026-03-01T00:00:00Z"},
        {"q": "x"},
        {"iCalUID": "x"},
        {"orderBy": "updated"},
        {"privateExtendedProperty": "a=b"},
        {"sharedExtendedProperty": "a=b"},
        {"showDeleted": "false"},
        {"singleEvents": "true"},
    ],
    ids=lambda query: next(iter(query)),
)
def test_what_may_not_come_with_a_sync_token(google: Caller, query: dict[str, Any]) -> None:
    assert google("GET", EVENTS, syncToken=token_of(google), **query).status == 400


def test_an_expired_sync_token_is_gone(sandbox: Sandbox, google: Caller) -> None:
    token = token_of(google)
    sandbox.google.expire_sync_tokens(DANA)
    answer = google("GET", EVENTS, syncToken=token)
    assert (answer.status, answer.reason) == (410, "fullSyncRequired")
    assert google("GET", EVENTS, syncToken="nonsense").status == 400


def test_a_filtered_list_gives_no_sync_token(google: Caller) -> None:
    marked = event(extendedProperties={"private": {"calendarSync": "one"}})
    google("POST", EVENTS, marked)
    google("POST", EVENTS, event())
    answer = google("GET", EVENTS, privateExtendedProperty="calendarSync=one").body
    assert len(answer["items"]) == 1
    assert "nextSyncToken" not in answer


def test_the_window_is_frozen_in_the_token(sandbox: Sandbox, google: Caller) -> None:
    token = token_of(google, **WINDOW)
    inside = google("POST", EVENTS, event()).body["id"]
    google("POST", EVENTS, event(START + timedelta(days=300)))
    answer = google("GET", EVENTS, syncToken=token, singleEvents="true").body
    assert [item["id"] for item in answer["items"]] == [inside]


def test_bounds_of_the_window_are_exclusive(google: Caller) -> None:
    google("POST", EVENTS, event(START))
    end = (START + HOUR).isoformat()
    assert google("GET", EVENTS, timeMin=end).body["items"] == []
    assert google("GET", EVENTS, timeMax=START.isoformat()).body["items"] == []
    assert len(google("GET", EVENTS, timeMax=end).body["items"]) == 1


@pytest.mark.parametrize("bad", ["2026-03-01", "2026-03-01T00:00:00", "soon"])
def test_a_bound_needs_an_offset(google: Caller, bad: str) -> None:
    assert google("GET", EVENTS, timeMin=bad).status == 400


def test_an_empty_page_may_come_first(google: Caller) -> None:
    sizes = set()
    for number in range(9):
        google("POST", EVENTS, event(id=f"event{number}"))
        ids: list[str] = []
        page: dict[str, Any] = {}
        while "nextSyncToken" not in page:
            query: dict[str, Any] = {"pageToken": page["nextPageToken"]} if page else {}
            page = google("GET", EVENTS, maxResults=2, **query).body
            assert ("nextPageToken" in page) != ("nextSyncToken" in page)
            ids += [item["id"] for item in page["items"]]
            sizes.add(len(page["items"]))
        assert sorted(ids) == [f"event{n}" for n in range(number + 1)]
    assert sizes == {0, 1, 2}


def test_pages_do_not_see_what_changes_between_them(google: Caller) -> None:
    for number in range(4):
        google("POST", EVENTS, event(id=f"event{number}"))
    first = google("GET", EVENTS, maxResults=3).body
    google("DELETE", f"{EVENTS}/event0")
    ids = [item["id"] for item in first["items"]]
    token = first["nextPageToken"]
    while token:
        page = google("GET", EVENTS, maxResults=3, pageToken=token).body
        ids += [item["id"] for item in page["items"]]
        token = page.get("nextPageToken")
    assert sorted(ids) == [f"event{n}" for n in range(4)]
    changed = google("GET", EVENTS, maxResults=3, syncToken=page["nextSyncToken"]).body["items"]
    assert changed == [{"id": "event0", "status": "cancelled"}]


def test_fields_choose_what_comes(google: Caller) -> None:
    google("POST", EVENTS, event(id="abcde"))
    answer = google("GET", EVENTS, fields="items(id,start/dateTime),nextSyncToken").body
    assert set(answer) == {"items", "nextSyncToken"}
    assert answer["items"] == [{"id": "abcde", "start": {"dateTime": "2026-03-03T04:00:00-05:00"}}]
    assert "nextSyncToken" not in google("GET", EVENTS, fields="items/id").body
    assert google("GET", EVENTS, fields="items(id").status == 400


# --- Series --------------------------------------------------------------------


def test_a_series_has_a_moved_and_a_deleted_instance(sandbox: Sandbox, google: Caller) -> None:
    series = weekly(sandbox, summary="Team")["id"]
    # The clocks of New York change on 8 March, so the series begins an hour earlier in UTC.
    second, third = START + timedelta(days=8) - HOUR, START + timedelta(days=15) - HOUR
    token = token_of(google, **WINDOW)
    moved = sandbox.google.move_instance(DANA, series, second, second + HOUR, second + 2 * HOUR)
    sandbox.google.delete_instance(DANA, series, third)
    changed = google("GET", EVENTS, syncToken=token, singleEvents="true").body["items"]
    assert [item["status"] for item in changed] == ["confirmed", "cancelled"]
    assert changed[0]["id"] == moved["id"] == f"{series}_20260310T080000Z"
    assert set(changed[1]) == {"id", "status", "recurringEventId", "originalStartTime"}

    expanded = google("GET", EVENTS, **WINDOW, orderBy="startTime").body["items"]
    starts = [datetime.fromisoformat(item["start"]["dateTime"]) for item in expanded]
    assert second not in starts
    assert second + HOUR in starts
    assert third not in starts
    plain = google("GET", EVENTS).body["items"]
    assert {item["status"] for item in plain} == {"confirmed", "cancelled"}


def test_a_days_series_has_instances_by_date(sandbox: Sandbox, google: Caller) -> None:
    first = date(2026, 3, 7)
    series = sandbox.google.add_series(DANA, "FREQ=DAILY;COUNT=3", first, first + timedelta(days=1))
    found = google("GET", f"{EVENTS}/{series['id']}/instances").body["items"]
    assert [item["id"] for item in found] == [f"{series['id']}_2026030{day}" for day in (7, 8, 9)]
    one = google("GET", f"{EVENTS}/{found[1]['id']}").body
    assert one["start"] == {"date": "2026-03-08"}
    assert google("DELETE", f"{EVENTS}/{found[1]['id']}").status == 204
    left = google("GET", f"{EVENTS}/{series['id']}/instances").body["items"]
    assert len(left) == 2


def deletion_of_a_series(seed: int, *, unfriendly: bool) -> str:
    """Return what the tombstones of a deleted series look like under a seed."""
    sandbox = Sandbox(clock=ManualClock(), seed=seed)
    sandbox.google.unfriendly = unfriendly
    sandbox.google.add_account(DANA)
    series = weekly(sandbox)["id"]
    google = caller(sandbox)
    before = google("GET", EVENTS, **WINDOW).body
    sandbox.google.delete_event(DANA, series)
    token = before["nextSyncToken"]
    items = google("GET", EVENTS, syncToken=token, singleEvents="true").body["items"]
    assert items
    assert {item["status"] for item in items} == {"cancelled"}
    if [item["id"] for item in items] == [series]:
        return "merged"
    if any("recurringEventId" not in item for item in items):
        return "thinned"
    return "whole" if len(items) == len(before["items"]) else "lost"


def test_tombstones_of_a_series_get_lost_thinned_and_merged() -> None:
    seen = {deletion_of_a_series(seed, unfriendly=True) for seed in range(24)}
    assert seen == {"whole", "lost", "thinned", "merged"}
    friendly = {deletion_of_a_series(seed, unfriendly=False) for seed in range(6)}
    assert friendly == {"whole"}


def test_a_shortened_series_drops_its_changed_instances(sandbox: Sandbox, google: Caller) -> None:
    series = weekly(sandbox)["id"]
    late = START + timedelta(days=29) - HOUR
    moved = sandbox.google.move_instance(DANA, series, late, late + HOUR, late + 2 * HOUR)
    sandbox.google.patch_event(DANA, series, recurrence=["RRULE:FREQ=WEEKLY;COUNT=2"])
    expanded = google("GET", EVENTS, **WINDOW).body["items"]
    assert len(expanded) == 2
    assert google("GET", f"{EVENTS}/{moved['id']}").body["status"] == "cancelled"


def some_edit(sandbox: Sandbox, dice: random.Random, series: list[str]) -> None:
    """Do one thing that a person does in a calendar, seeded."""
    world = sandbox.google
    begin = START + timedelta(hours=dice.randint(-20 * 24, 60 * 24))
    singles = [e["id"] for e in world.events_of(DANA) if "recurrence" not in e]
    act = dice.choice(("add", "add", "series", "move", "delete", "one", "one", "shift", "until"))
    if act == "add" or (act in ("move", "delete") and not singles):
        world.add_event(DANA, start=begin, end=begin + HOUR)
    elif act == "series" or not series:
        rule = dice.choice(("FREQ=WEEKLY", "FREQ=DAILY;COUNT=6", "FREQ=WEEKLY;INTERVAL=2"))
        series.append(world.add_series(DANA, rule, begin, begin + HOUR)["id"])
    elif act == "move":
        world.move_event(DANA, dice.choice(singles), begin, begin + HOUR)
    elif act == "delete":
        victim = dice.choice([*singles, *series])
        world.delete_event(DANA, victim)
        if victim in series:
            series.remove(victim)
    elif act == "shift":
        world.move_event(DANA, dice.choice(series), begin, begin + HOUR)
    elif act == "until":
        world.patch_event(DANA, dice.choice(series), recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"])
    else:
        far = timedelta(days=400)
        found = [
            e["id"]
            for e in world.expanded(DANA, START - far, START + far)
            if "recurringEventId" in e
        ]
        if found and dice.random() < 0.5:
            world.delete_event(DANA, dice.choice(found))
        elif found:
            world.move_event(DANA, dice.choice(found), begin, begin + HOUR)


@pytest.mark.parametrize("seed", range(12))
def test_following_sync_tokens_leads_to_what_a_full_read_shows(seed: int) -> None:
    sandbox = Sandbox(clock=ManualClock(), seed=seed)
    sandbox.google.unfriendly = False
    sandbox.google.add_account(DANA)
    google = caller(sandbox)
    dice = random.Random(seed)  # noqa: S311 - reproducible, not secret
    low, high = (datetime.fromisoformat(WINDOW[name]) for name in ("timeMin", "timeMax"))
    series: list[str] = []
    known: dict[str, Any] = {}
    sync_token = token_of(google, **WINDOW)
    told = 0
    for _ in range(40):
        for _ in range(dice.randint(1, 3)):
            some_edit(sandbox, dice, series)
        changed = google("GET", EVENTS, singleEvents="true", syncToken=sync_token).body
        sync_token = changed["nextSyncToken"]
        told += len(changed["items"])
        for item in changed["items"]:
            known.pop(item["id"], None)
            if item["status"] != "cancelled":
                start, end = (datetime.fromisoformat(item[w]["dateTime"]) for w in ("start", "end"))
                if end > low and start < high:
                    known[item["id"]] = item
        full = google("GET", EVENTS, **WINDOW, maxResults=2500).body
        assert {item["id"]: item for item in full["items"]} == known
    assert told > 40


@pytest.mark.parametrize("seed", range(12))
def test_however_thin_tombstones_get_every_changed_series_is_named(seed: int) -> None:
    sandbox = Sandbox(clock=ManualClock(), seed=seed)
    sandbox.google.add_account(DANA)
    google = caller(sandbox)
    dice = random.Random(seed)  # noqa: S311 - reproducible, not secret
    series: list[str] = []
    known: dict[str, Any] = {}
    sync_token = token_of(google, **WINDOW)
    for _ in range(40):
        some_edit(sandbox, dice, series)
        changed = google("GET", EVENTS, singleEvents="true", syncToken=sync_token).body
        sync_token = changed["nextSyncToken"]
        page = google("GET", EVENTS, **WINDOW, maxResults=2500).body
        full = {item["id"]: item for item in page["items"]}
        ids = full.keys() | known.keys()
        touched = {i.split("_")[0] for i in ids if full.get(i) != known.get(i)}
        assert touched <= {item["id"].split("_")[0] for item in changed["items"]}
        known = full


def test_tombstones_can_be_lost_altogether(sandbox: Sandbox, google: Caller) -> None:
    series = weekly(sandbox)["id"]
    token = token_of(google, **WINDOW)
    sandbox.google.lose_tombstones = True
    sandbox.google.delete_event(DANA, series)
    assert google("GET", EVENTS, singleEvents="true", syncToken=token).body["items"] == []
    assert google("GET", EVENTS, **WINDOW).body["items"] == []


@pytest.mark.parametrize(
    ("lines", "days"),
    [
        (["RRULE:FREQ=DAILY;COUNT=3"], [3, 4, 5]),
        (["RRULE:FREQ=DAILY;UNTIL=20260305T090000Z"], [3, 4, 5]),
        (["RRULE:FREQ=DAILY;UNTIL=20260305T085959Z"], [3, 4]),
        (["RRULE:FREQ=DAILY;UNTIL=20260305"], [3, 4, 5]),
        (["RRULE:FREQ=DAILY;COUNT=3", "EXDATE:20260304T090000Z"], [3, 5]),
        (["RRULE:FREQ=DAILY;COUNT=3", "EXDATE;TZID=Europe/Berlin:20260304T100000"], [3, 5]),
        (["RRULE:FREQ=DAILY;COUNT=2", "RDATE:20260310T080000Z"], [3, 4, 10]),
        (["RDATE;TZID=America/New_York:20260306T040000,20260307T040000"], [3, 6, 7]),
        (["RRULE:FREQ=DAILY;COUNT=4", "EXRULE:FREQ=DAILY;INTERVAL=2;COUNT=2"], [4, 6]),
    ],
)
def test_recurrence_lines(google: Caller, lines: list[str], days: list[int]) -> None:
    fields = event(recurrence=lines)
    for which in ("start", "end"):
        fields[which]["timeZone"] = "America/New_York"
    made = google("POST", EVENTS, fields).body
    found = google("GET", f"{EVENTS}/{made['id']}/instances").body["items"]
    assert [datetime.fromisoformat(item["start"]["dateTime"]).day for item in found] == days


def test_one_instance_is_found_by_its_original_start(sandbox: Sandbox, google: Caller) -> None:
    series = weekly(sandbox)["id"]
    start = (START + 24 * HOUR).isoformat()
    path = f"{EVENTS}/{series}/instances"
    found = google("GET", path, originalStart=start, maxResults=10).body["items"]
    assert [item["id"] for item in found] == [f"{series}_20260303T090000Z"]
    again = google("GET", f"{EVENTS}/{found[0]['id']}/instances", maxResults=3).body
    assert len(again["items"]) == 3
    more = google("GET", path, maxResults=3, pageToken=again["nextPageToken"]).body
    assert more["items"][0]["id"] not in [item["id"] for item in again["items"]]


def test_a_further_calendar_is_a_calendar_of_its_own(sandbox: Sandbox, google: Caller) -> None:
    other = sandbox.google.add_calendar(DANA, "Visits").id
    made = google("POST", f"/calendars/{other}/events", event(id="abcde"))
    assert made.status == 200
    check(made.body, "Event")
    assert made.body["organizer"]["email"] == other
    assert google("GET", EVENTS).body["items"] == []
    listed = google("GET", "/users/me/calendarList").body["items"]
    assert [entry["id"] for entry in listed] == [DANA, other]
    assert len(sandbox.google.events_of(DANA)) == 1
    assert sandbox.google.events_of(DANA, "primary") == []


@pytest.mark.parametrize(
    ("kind", "properties", "more"),
    [
        (
            "workingLocation",
            {"workingLocationProperties": {"type": "homeOffice", "homeOffice": {}}},
            {"transparency": "transparent", "visibility": "public"},
        ),
        ("outOfOffice", {"outOfOfficeProperties": {"autoDeclineMode": "declineNone"}}, {}),
        ("focusTime", {"focusTimeProperties": {"autoDeclineMode": "declineNone"}}, {}),
    ],
)
def test_status_events_have_rules(
    sandbox: Sandbox, google: Caller, kind: str, properties: dict[str, Any], more: dict[str, Any]
) -> None:
    made = google("POST", EVENTS, event(eventType=kind, **properties, **more))
    assert made.status == 200
    check(made.body, "Event")
    assert google("PUT", f"{EVENTS}/{made.body['id']}", event(eventType="default")).status == 400
    wrong = {"transparency": "opaque" if more else "transparent"}
    assert google("POST", EVENTS, event(eventType=kind, **properties, **wrong)).status == 400
    other = sandbox.google.add_calendar(DANA, "Visits").id
    path = f"/calendars/{other}/events"
    assert google("POST", path, event(eventType=kind, **properties, **more)).status == 400


# --- Limits and faults ---------------------------------------------------------


def test_limits_can_be_switched_on(sandbox: Sandbox, google: Caller, clock: ManualClock) -> None:
    sandbox.google.user_limit = 2
    assert [google("GET", EVENTS).status for _ in range(3)] == [200, 200, 403]
    assert google("GET", EVENTS).reason == "userRateLimitExceeded"
    clock.advance(60)
    assert google("GET", EVENTS).status == 200


def test_reads_can_lag_behind_writes(sandbox: Sandbox, google: Caller, clock: ManualClock) -> None:
    sandbox.google.lag_seconds = 5
    google("POST", EVENTS, event(id="abcde"))
    assert google("GET", EVENTS).body["items"] == []
    assert google("GET", f"{EVENTS}/abcde").status == 404
    clock.advance(5)
    assert len(google("GET", EVENTS).body["items"]) == 1


@pytest.mark.parametrize(
    ("kind", "committed"),
    [("reset_before", 0), ("reset_after", 1), ("timeout_before", 0), ("timeout_after", 1)],
)
def test_a_broken_connection_says_when_it_broke(
    sandbox: Sandbox, google: Caller, kind: str, committed: int
) -> None:
    sandbox.faults.add(Fault("google", kind, "POST"))
    with pytest.raises(ConnectionBroken) as broken:
        google("POST", EVENTS, event())
    assert (broken.value.kind, broken.value.committed) == (kind.split("_")[0], bool(committed))
    assert len(sandbox.google.events_of(DANA)) == committed
    assert sandbox.requests[-1].status == 0


def test_faults_spoil_answers(sandbox: Sandbox, google: Caller, clock: ManualClock) -> None:
    google("POST", EVENTS, event(id="abcde"))

    def spoiled(kind: str, **details: Any) -> Answer:
        sandbox.faults.add(Fault("google", kind, "GET", "/events", **details))
        return google("GET", EVENTS)

    assert spoiled("empty_200").raw == b""
    assert spoiled("html").raw.startswith(b"<html")
    with pytest.raises(ValueError, match=r"delimiter|Unterminated|value"):
        _ = spoiled("truncated_json").body
    assert "nextSyncToken" not in spoiled("no_cursor").body
    assert spoiled("zero_events").body["items"] == []
    assert spoiled("zero_events").body["nextSyncToken"]
    refused = spoiled("status", code=403, reason="quotaExceeded", retry_after=3600)
    assert (refused.status, refused.reason) == (403, "quotaExceeded")
    assert refused.headers["retry-after"] == "3600"
    dated = spoiled("status", code=429, retry_after="date:60")
    assert dated.headers["retry-after"] == "Mon, 02 Mar 2026 09:01:00 GMT"
    spoiled("latency", seconds=7)
    assert clock.now() == START + timedelta(seconds=7)
    assert google("GET", EVENTS).status == 200
    assert spoiled("token_expired").status == 401


def test_a_fault_waits_for_its_turn_and_its_user(sandbox: Sandbox, google: Caller) -> None:
    sandbox.google.add_account("milo@example.org")
    milo = caller(sandbox, "milo@example.org")
    sandbox.faults.add(Fault("google", "status", user=DANA, after=1, times=2, code=500))
    assert [google("GET", EVENTS).status for _ in range(2)] == [200, 500]
    assert milo("GET", EVENTS).status == 200
    assert [google("GET", EVENTS).status for _ in range(2)] == [500, 200]


def test_the_log_holds_no_text(sandbox: Sandbox, google: Caller) -> None:
    google("GET", EVENTS, q="Patient name", maxResults=5)
    entry = sandbox.requests[-1]
    assert entry.kind == "google.events.list"
    assert entry.user == DANA
    assert entry.query == {"q": "*", "maxResults": "5"}
    assert sandbox.requests.count(kind="google.events.list") == 1
