"""Busy times of the Google double, held against Google's own description of the API."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from calendar_sync_sandbox.google.freebusy import FREEBUSY_SCOPES
from tests.contract.conftest import START, Answer, Caller, ManualClock
from tests.contract.test_sandbox_google import (
    DANA,
    EVENTS,
    HOUR,
    SCOPE,
    SILENT,
    ask_token,
    assertion,
    caller,
    check,
    description,
    event,
    weekly,
)

if TYPE_CHECKING:
    from calendar_sync_sandbox import Sandbox

MILO = "milo.brandt@example.org"
DAY = timedelta(days=1)


@pytest.fixture
def google(sandbox: Sandbox) -> Caller:
    for email in (DANA, MILO):
        sandbox.google.add_account(email, "America/New_York")
    return caller(sandbox)


def ask(google: Caller, *ids: str, days: float = 60, **changes: Any) -> Answer:
    body = {
        "timeMin": START.isoformat(),
        "timeMax": (START + days * DAY).isoformat(),
        "items": [{"id": each} for each in ids],
        **changes,
    }
    return google("POST", "/freeBusy", {k: v for k, v in body.items() if v is not None})


def busy(google: Caller, account: str = DANA, **changes: Any) -> list[tuple[datetime, datetime]]:
    answer = ask(google, account, **changes)
    assert answer.status == 200, answer.raw
    check(answer.body, "FreeBusyResponse")
    held = answer.body["calendars"][account]
    assert "errors" not in held
    return [
        (datetime.fromisoformat(each["start"]), datetime.fromisoformat(each["end"]))
        for each in held["busy"]
    ]


def hours(*pairs: tuple[float, float]) -> list[tuple[datetime, datetime]]:
    return [(START + begin * HOUR, START + end * HOUR) for begin, end in pairs]


# --- What Google declares ------------------------------------------------------


def test_path_verb_scopes_and_fields_are_the_declared_ones(google: Caller) -> None:
    declared = description()["resources"]["freebusy"]["methods"]["query"]
    assert (declared["httpMethod"], declared["path"]) == ("POST", "freeBusy")
    assert set(declared["scopes"]) == FREEBUSY_SCOPES
    answer = ask(
        google, DANA, "nobody@example.org", timeZone="Asia/Kolkata", calendarExpansionMax=50,
        groupExpansionMax=100,
    )  # fmt: skip
    check(answer.body, "FreeBusyResponse")
    assert answer.body["kind"] == "calendar#freeBusy"
    known = description()["schemas"]["FreeBusyRequest"]["properties"]
    assert known.keys() == {
        "timeMin", "timeMax", "timeZone", "items", "calendarExpansionMax", "groupExpansionMax",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "status"),
    [("calendar.freebusy", 200), ("calendar.readonly", 200), ("calendar.events", 403)],
)
def test_not_every_scope_is_enough(
    sandbox: Sandbox, google: Caller, name: str, status: int
) -> None:
    prefix = SCOPE.removesuffix("calendar")
    token = ask_token(sandbox, assertion(sandbox, scope=prefix + name)).body["access_token"]
    assert ask(Caller(sandbox, "/google/calendar/v3", token), DANA).status == status


# --- What is busy --------------------------------------------------------------


def test_busy_times_are_merged_and_cut(sandbox: Sandbox, google: Caller) -> None:
    for begin, end in hours((-1, 1), (3, 5), (4, 6), (6, 7), (9, 10), (4.5, 5)):
        sandbox.google.plan(DANA, begin, end, "Busy")
    # One of Google's own making, without any length.
    sandbox.google.add_event(DANA, start=START + 8 * HOUR, end=START + 8 * HOUR)
    assert busy(google, days=9.5 / 24) == hours((0, 1), (3, 7), (9, 9.5))
    sandbox.google.freebusy.cuts = False
    assert busy(google, days=9.5 / 24) == hours((-1, 1), (3, 7), (9, 10))
    # The bounds are exclusive.
    assert busy(google, days=3 / 24) == hours((-1, 1))


def test_what_takes_no_time_is_not_busy(sandbox: Sandbox, google: Caller) -> None:
    (begin, end), later = hours((1, 2))[0], hours((3, 4))[0]
    world = sandbox.google
    world.plan(DANA, begin, end, "Reading", free=True)
    world.respond(DANA, world.plan(DANA, begin, end, "Party"), "declined")
    world.delete_event(DANA, world.plan(DANA, begin, end, "Over"))
    place: dict[str, Any] = {
        "workingLocationProperties": {"type": "homeOffice"},
        "transparency": "transparent",
    }
    world.add_event(
        DANA, start=begin, end=end, eventType="workingLocation", visibility="public", **place
    )
    world.add_event(DANA, start=date(2026, 3, 3), end=date(2026, 3, 4), eventType="birthday")
    assert busy(google) == []
    world.respond(DANA, world.plan(DANA, *later, "Maybe"), "tentative")
    assert busy(google) == [later]


def test_an_unanswered_invitation_is_busy(sandbox: Sandbox, google: Caller) -> None:
    one = sandbox.google.plan(DANA, *hours((1, 2))[0], "Review")
    sandbox.google.respond(DANA, one, "needsAction")
    assert busy(google) == hours((1, 2))


def test_whole_days_are_those_of_the_calendars_zone(sandbox: Sandbox, google: Caller) -> None:
    # The clocks change in the night before: this day has 23 hours.
    sandbox.google.plan(DANA, date(2026, 3, 8), date(2026, 3, 9), "Away")
    (span,) = busy(google)
    assert [each.isoformat() for each in span] == [
        "2026-03-08T05:00:00+00:00", "2026-03-09T04:00:00+00:00",
    ]  # fmt: skip
    answer = ask(google, DANA, timeZone="America/New_York")
    assert answer.body["calendars"][DANA]["busy"] == [
        {"start": "2026-03-08T00:00:00-05:00", "end": "2026-03-09T00:00:00-04:00"}
    ]


def test_a_series_is_busy_where_it_takes_place(sandbox: Sandbox, google: Caller) -> None:
    series = weekly(sandbox)["id"]
    world, first = sandbox.google, START + DAY
    after = timedelta(days=7) - HOUR  # the clocks change before the second one
    assert [start for start, _ in busy(google, days=14)] == [first, first + after]
    world.move_instance(DANA, series, first + after, first + 2 * HOUR, first + 3 * HOUR)
    world.delete_instance(DANA, series, first)
    assert busy(google, days=14) == [(first + 2 * HOUR, first + 3 * HOUR)]


def test_the_times_tell_nothing_of_an_event(google: Caller) -> None:
    made = google("POST", EVENTS, event(summary="Chemotherapy"), **SILENT).body
    text = ask(google, DANA).raw.decode()
    assert "Chemotherapy" not in text
    assert made["id"] not in text


def test_an_edit_that_moves_nothing_changes_no_answer(sandbox: Sandbox, google: Caller) -> None:
    one = sandbox.google.plan(DANA, *hours((1, 4))[0], "Long")
    before = ask(google, DANA).body
    sandbox.google.rename(DANA, one, "Longer")
    sandbox.google.plan(DANA, *hours((2, 3))[0], "Within")
    assert ask(google, DANA).body == before


# --- Whose ---------------------------------------------------------------------


def test_colleagues_are_seen_and_others_are_not(sandbox: Sandbox, google: Caller) -> None:
    world = sandbox.google
    abroad, gone = "ada@partner.example", "gone@example.org"
    for email in (abroad, gone):
        world.add_account(email)
    world.suspend(gone)
    second = world.add_calendar(DANA, "Choir").id
    foreign = world.add_calendar(MILO, "Chess").id
    for account in (MILO, abroad, gone):
        world.plan(account, *hours((1, 2))[0], "Busy")
    world.plan(DANA, *hours((3, 4))[0], "Choir", calendar=second)
    asked = (DANA, "primary", MILO, MILO.upper(), second, foreign, abroad, gone, "nobody@x.example")
    answer = ask(google, *asked)
    check(answer.body, "FreeBusyResponse")
    found = answer.body["calendars"]
    assert list(found) == list(asked)
    # Each under the name by which it was asked for.
    assert {name for name in found if "errors" not in found[name]} == {
        DANA, "primary", MILO, MILO.upper(), second,
    }  # fmt: skip
    assert len(found[MILO]["busy"]) == len(found[MILO.upper()]["busy"]) == 1
    assert len(found[second]["busy"]) == 1
    assert found[DANA]["busy"] == []
    missing = {"errors": [{"domain": "global", "reason": "notFound"}], "busy": []}
    assert all(found[name] == missing for name in (foreign, abroad, gone, "nobody@x.example"))


def test_what_is_shown_is_a_setting_of_the_organisation(sandbox: Sandbox, google: Caller) -> None:
    def reason() -> str | None:
        errors = ask(google, MILO).body["calendars"][MILO].get("errors")
        return errors[0]["reason"] if errors else None

    assert reason() is None
    sandbox.google.freebusy.hidden.add(MILO)
    assert reason() == "notFound"
    sandbox.google.freebusy.hidden.clear()
    sandbox.google.freebusy.shared = False
    assert reason() == "notFound"
    assert "errors" not in ask(google, DANA).body["calendars"][DANA]
    sandbox.google.freebusy.shared = True
    sandbox.google.freebusy.broken.add(MILO)
    assert reason() == "internalError"


def test_fifty_calendars_are_answered_at_once(sandbox: Sandbox, google: Caller) -> None:
    people = [f"user{number}@example.org" for number in range(51)]
    for email in people:
        sandbox.google.add_account(email)
    found = ask(google, *people[:50]).body["calendars"]
    assert not any("errors" in each for each in found.values())
    found = ask(google, *people).body["calendars"]
    assert [name for name in people if "errors" in found[name]] == people[50:]
    assert found[people[50]]["errors"][0]["reason"] == "tooManyCalendarsRequested"
    found = ask(google, *people[:4], calendarExpansionMax=2).body["calendars"]
    assert [name for name in people[:4] if "errors" in found[name]] == people[2:4]
    # One that is asked for twice counts once.
    assert len(ask(google, DANA, DANA, MILO, calendarExpansionMax=2).body["calendars"]) == 2
    assert ask(google).body["calendars"] == {}


# --- What is refused -----------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"timeMin": None}, "required"),
        ({"timeMax": None}, "required"),
        ({"timeMin": "2026-03-02T09:00:00"}, "badRequest"),
        ({"timeMin": 7}, "badRequest"),
        ({"days": 0}, "timeRangeEmpty"),
        ({"days": -1}, "timeRangeEmpty"),
        ({"days": 91}, "timeRangeTooLong"),
        ({"timeZone": "Mars/Olympus"}, "invalid"),
        ({"timeZone": 5}, "invalid"),
        ({"calendarExpansionMax": 51}, "invalid"),
        ({"calendarExpansionMax": "5"}, "invalid"),
        ({"groupExpansionMax": 101}, "invalid"),
        ({"items": ["x"]}, "invalid"),
        ({"items": "x"}, "invalid"),
    ],
)
def test_a_bad_question_is_refused(google: Caller, changes: dict[str, Any], reason: str) -> None:
    answer = ask(google, DANA, **changes)
    assert (answer.status, answer.reason) == (400, reason)


def test_how_long_a_window_may_be_is_found_out(sandbox: Sandbox, google: Caller) -> None:
    assert ask(google, DANA, days=90).status == 200
    sandbox.google.freebusy.longest = timedelta(days=62)
    assert ask(google, DANA, days=63).reason == "timeRangeTooLong"
    assert ask(google, DANA, days=62).status == 200
    assert google("POST", "/freeBusy", b"[]").reason == "parseError"
    assert google("POST", "/freeBusy", b"{").reason == "parseError"


# --- Behind the times ----------------------------------------------------------


def test_an_answer_may_be_stale(sandbox: Sandbox, google: Caller, clock: ManualClock) -> None:
    one = sandbox.google.plan(DANA, *hours((1, 2))[0], "Dentist")
    clock.advance(120)
    sandbox.google.freebusy.lag_seconds = 60
    sandbox.google.move_event(DANA, one, *hours((5, 6))[0])
    series = sandbox.google.add_series(DANA, "FREQ=DAILY;COUNT=2", *hours((8, 9))[0])
    now = (START + timedelta(minutes=2)).isoformat()
    assert busy(google, timeMin=now, days=1) == hours((1, 2))
    # Reads of the calendar itself are not.
    assert len(google("GET", EVENTS).body["items"]) == 2
    clock.advance(60)
    assert busy(google, days=1) == hours((5, 6), (8, 9))
    sandbox.google.delete_event(DANA, series["id"])
    assert busy(google, days=1) == hours((5, 6), (8, 9))
    sandbox.google.freebusy.lag_seconds = 0
    assert busy(google, days=1) == hours((5, 6))


def test_a_question_is_no_write(sandbox: Sandbox, google: Caller) -> None:
    ask(google, DANA)
    assert sandbox.requests.writes() == []
    assert sandbox.requests[-1].kind == "google.freebusy.query"
