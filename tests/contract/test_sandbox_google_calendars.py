"""Calendars of the Google double, held against Google's own description of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from calendar_sync_sandbox.google.delegation import CALENDAR_SCOPES, LIST_SCOPES, MAKING_SCOPES
from tests.contract.conftest import Caller
from tests.contract.test_sandbox_google import (
    DANA,
    EVENTS,
    SCOPE,
    ask_token,
    assertion,
    caller,
    check,
    description,
    event,
)

if TYPE_CHECKING:
    from calendar_sync_sandbox import Sandbox

MILO = "milo.brandt@example.org"
LIST = "/users/me/calendarList"


@pytest.fixture
def google(sandbox: Sandbox) -> Caller:
    for email in (DANA, MILO):
        sandbox.google.add_account(email, "America/New_York")
    return caller(sandbox)


def with_scope(sandbox: Sandbox, name: str) -> Caller:
    text = assertion(sandbox, scope=SCOPE.removesuffix("calendar") + name)
    return Caller(sandbox, "/google/calendar/v3", ask_token(sandbox, text).body["access_token"])


def names(google: Caller, **query: object) -> list[str]:
    answer = google("GET", LIST, **query)
    check(answer.body, "CalendarList")
    return [row["summary"] for row in answer.body["items"]]


def test_verbs_paths_and_scopes_are_the_declared_ones() -> None:
    resources = description()["resources"]
    listed = resources["calendarList"]["methods"]["list"]
    assert (listed["httpMethod"], listed["path"]) == ("GET", "users/me/calendarList")
    assert set(listed["scopes"]) == LIST_SCOPES
    methods = resources["calendars"]["methods"]
    for name, verb, path, scopes in (
        ("insert", "POST", "calendars", MAKING_SCOPES),
        ("delete", "DELETE", "calendars/{calendarId}", MAKING_SCOPES),
        ("get", "GET", "calendars/{calendarId}", CALENDAR_SCOPES),
    ):
        assert (methods[name]["httpMethod"], methods[name]["path"]) == (verb, path)
        assert set(methods[name]["scopes"]) == scopes


def test_every_parameter_of_the_list_is_declared() -> None:
    from calendar_sync_sandbox.google.calendars import LISTS

    declared = description()["resources"]["calendarList"]["methods"]["list"]["parameters"]
    assert declared.keys() >= LISTS


def test_a_calendar_is_made_listed_used_and_deleted(sandbox: Sandbox, google: Caller) -> None:
    made = google("POST", "/calendars", {"summary": "Welkin"})
    assert made.status == 200
    check(made.body, "Calendar")
    assert (made.body["summary"], made.body["dataOwner"]) == ("Welkin", DANA)
    key = made.body["id"]
    [primary, entry] = google("GET", LIST).body["items"]
    assert ("dataOwner" in primary, entry["dataOwner"], entry["id"]) == (False, DANA, key)
    assert google("POST", f"/calendars/{key}/events", event()).status == 200
    assert google("GET", f"/calendars/{key}").body["summary"] == "Welkin"
    assert google("DELETE", f"/calendars/{key}").status == 204
    for method, path in (("GET", ""), ("GET", "/events"), ("DELETE", "")):
        assert google(method, f"/calendars/{key}{path}").status == 404
    assert names(google) == [DANA]


def test_two_may_have_one_name(google: Caller) -> None:
    ids = {google("POST", "/calendars", {"summary": "Welkin"}).body["id"] for _ in range(2)}
    assert len(ids) == 2
    assert names(google) == [DANA, "Welkin", "Welkin"]


def test_the_list_comes_in_pages_and_leaves_out_what_is_hidden(
    sandbox: Sandbox, google: Caller
) -> None:
    for number in range(3):
        sandbox.google.add_calendar(DANA, f"c{number}").hidden = number == 1
    assert names(google) == [DANA, "c0", "c2"]
    assert names(google, showHidden="true") == [DANA, "c0", "c1", "c2"]
    first = google("GET", LIST, maxResults=2).body
    assert "nextSyncToken" not in first
    assert names(google, maxResults=2, pageToken=first["nextPageToken"]) == ["c2"]
    assert google("GET", LIST, pageToken="nonsense").status == 400


def test_a_shared_calendar_names_its_owner(sandbox: Sandbox, google: Caller) -> None:
    key = sandbox.google.add_calendar(MILO, "Welkin").id
    sandbox.google.share_calendar(MILO, key, DANA)
    [_, entry] = google("GET", LIST).body["items"]
    assert (entry["accessRole"], entry["dataOwner"]) == ("owner", MILO)
    assert google("DELETE", f"/calendars/{key}").status == 403


@pytest.mark.parametrize(
    ("body", "reason"),
    [({}, "required"), ({"summary": " "}, "required"), ({"summary": "x" * 255}, "invalid")],
)
def test_a_name_is_needed_and_not_too_long(
    google: Caller, body: dict[str, str], reason: str
) -> None:
    answer = google("POST", "/calendars", body)
    assert (answer.status, answer.reason) == (400, reason)


def test_the_primary_calendar_cannot_be_deleted(google: Caller) -> None:
    assert google("DELETE", "/calendars/primary").status == 400
    assert google("GET", EVENTS).status == 200


@pytest.mark.parametrize(
    ("scope", "lists", "makes"),
    [
        ("calendar.events", 403, 403),
        ("calendar.calendarlist.readonly", 200, 403),
        ("calendar.app.created", 403, 200),
        ("calendar", 200, 200),
    ],
)
def test_each_needs_its_scope(
    sandbox: Sandbox, google: Caller, scope: str, lists: int, makes: int
) -> None:
    limited = with_scope(sandbox, scope)
    assert limited("GET", LIST).status == lists
    assert limited("POST", "/calendars", {"summary": "x"}).status == makes


def test_one_scope_deletes_only_what_the_client_has_made(sandbox: Sandbox, google: Caller) -> None:
    limited = with_scope(sandbox, "calendar.app.created")
    mine = limited("POST", "/calendars", {"summary": "x"}).body["id"]
    theirs = sandbox.google.add_calendar(DANA, "theirs").id
    assert limited("DELETE", f"/calendars/{theirs}").reason == "insufficientPermissions"
    assert limited("DELETE", f"/calendars/{mine}").status == 204
    assert google("DELETE", f"/calendars/{theirs}").status == 204
