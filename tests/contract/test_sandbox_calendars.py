"""Both platforms through the one face that the simulation and the demo use."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from calendar_sync_sandbox.calendars import CalendarWorld, Glimpse
from calendar_sync_sandbox.google.world import MARKER as GOOGLE_MARKER
from calendar_sync_sandbox.microsoft.world import MARKER as MICROSOFT_MARKER
from tests.contract.conftest import START, Caller

if TYPE_CHECKING:
    from calendar_sync_sandbox import Sandbox

DANA = "dana.hale@example.org"
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
FIRST = datetime(2026, 3, 3, 15, tzinfo=UTC)
PLATFORMS = ("google", "microsoft")


@pytest.fixture(params=PLATFORMS)
def world(request: pytest.FixtureRequest, sandbox: Sandbox) -> CalendarWorld:
    found: CalendarWorld = getattr(sandbox, request.param)
    found.add_account(DANA, "US/Eastern")
    return found


def only(world: CalendarWorld) -> Glimpse:
    (seen,) = world.glimpses(DANA)
    return seen


def test_an_event_is_seen_as_it_was_planned(world: CalendarWorld) -> None:
    event_id = world.plan(DANA, FIRST, FIRST + HOUR, "Dentist", private=True)
    assert only(world) == Glimpse(
        id=event_id,
        series_id=None,
        is_series=False,
        start=FIRST,
        end=FIRST + HOUR,
        title="Dentist",
        description="",
        marker=None,
        private=True,
        shown="busy",
        declined=False,
        guests=0,
    )
    world.rename(DANA, event_id, "Doctor")
    world.show_as(DANA, event_id, free=True)
    world.move_event(DANA, event_id, FIRST + HOUR, FIRST + 2 * HOUR)
    seen = only(world)
    assert (seen.title, seen.shown, seen.start) == ("Doctor", "free", FIRST + HOUR)
    world.show_as(DANA, event_id, free=False)
    assert only(world).shown == "busy"
    world.delete_event(DANA, event_id)
    assert world.glimpses(DANA) == []


def test_whole_days_are_dates(world: CalendarWorld) -> None:
    first = date(2026, 3, 7)
    event_id = world.plan(DANA, first, first + 2 * DAY, "Away", free=True)
    seen = only(world)
    assert (seen.start, seen.end, seen.shown) == (first, first + 2 * DAY, "free")
    world.move_event(DANA, event_id, FIRST, FIRST + HOUR)
    assert only(world).start == FIRST


@pytest.mark.parametrize(
    ("answer", "shown", "declined"),
    [("declined", "busy", True), ("tentative", "tentative", False), ("accepted", "busy", False)],
)
def test_answers_are_seen(world: CalendarWorld, answer: str, shown: str, declined: bool) -> None:
    event_id = world.plan(DANA, FIRST, FIRST + HOUR, "Review")
    world.respond(DANA, event_id, answer)
    seen = only(world)
    assert (seen.shown, seen.declined, seen.guests > 0) == (shown, declined, True)


def test_a_series_is_seen_whole_and_in_parts(world: CalendarWorld) -> None:
    series = world.plan_series(DANA, "FREQ=WEEKLY;COUNT=4", FIRST, FIRST + HOUR, "Choir")
    assert only(world).is_series
    window = (FIRST - DAY, FIRST + 60 * DAY)
    parts = world.expanded_glimpses(DANA, *window)
    assert [part.series_id for part in parts] == [series] * 4
    assert [part.original_start for part in parts] == [part.start for part in parts]
    # The clocks change before the second one.
    assert parts[1].start == FIRST + WEEK - HOUR
    world.move_event(DANA, parts[1].id, FIRST + 8 * DAY, FIRST + 8 * DAY + HOUR)
    world.delete_event(DANA, parts[2].id)
    parts = world.expanded_glimpses(DANA, *window)
    starts = {part.original_start: part.start for part in parts}
    assert len(starts) == 3
    assert starts[FIRST + WEEK - HOUR] == FIRST + 8 * DAY
    assert len(world.own(DANA)) == 2
    world.change_rule(DANA, series, "FREQ=WEEKLY;BYDAY=MO")
    parts = world.expanded_glimpses(DANA, *window)
    assert {part.start.weekday() for part in parts if part.series_id} >= {0}


def test_a_series_of_days(world: CalendarWorld) -> None:
    first = date(2026, 3, 7)
    world.plan_series(DANA, "FREQ=DAILY;COUNT=2", first, first + DAY, "On call")
    parts = world.expanded_glimpses(DANA, FIRST, FIRST + 30 * DAY)
    assert [(part.start, part.original_start) for part in parts] == [
        (first, first),
        (first + DAY, first + DAY),
    ]


def test_mirrors_are_distinguished_from_own_events(world: CalendarWorld, sandbox: Sandbox) -> None:
    world.plan(DANA, FIRST, FIRST + HOUR, "Dentist")
    marked: dict[str, Any]
    if world is sandbox.google:
        marked = {"extendedProperties": {"private": {GOOGLE_MARKER: "one"}}, "summary": "Visit"}
    else:
        rows = [{"id": MICROSOFT_MARKER, "value": "one"}]
        marked = {"singleValueExtendedProperties": rows, "subject": "Visit"}
    world.add_event(DANA, start=FIRST, end=FIRST + HOUR, **marked)
    assert [seen.title for seen in world.own(DANA)] == ["Dentist"]
    assert [(seen.title, seen.marker) for seen in world.mirrors(DANA)] == [("Visit", "one")]


def test_every_awkward_event_can_be_seen(sandbox: Sandbox) -> None:
    sandbox.organise(users=4, encounters=1, start=START, microsoft="half")
    for name in PLATFORMS:
        world: CalendarWorld = getattr(sandbox, name)
        for account in world.accounts:
            seen = world.glimpses(account)
            assert len(seen) >= 30
            assert {each.shown for each in seen} == {"busy", "tentative", "free"}
            assert any(each.declined for each in seen)
            assert any(each.private for each in seen)
            world.expanded_glimpses(account, START, START + 100 * DAY)


@pytest.mark.parametrize(
    ("share", "google", "microsoft"),
    [("none", "1111", "0000"), ("half", "1110", "0101"), ("all", "0000", "1111")],
)
def test_the_organisation_is_on_either_platform(
    sandbox: Sandbox, share: str, google: str, microsoft: str
) -> None:
    sandbox.organise(users=4, encounters=1, start=START, microsoft=share)  # type: ignore[arg-type]
    rows = sandbox.users()
    assert "".join(str(int(bool(row["google_account"]))) for row in rows) == google
    assert "".join(str(int(bool(row["microsoft_account"]))) for row in rows) == microsoft


def test_the_organisation_can_be_dealt_out(sandbox: Sandbox) -> None:
    sandbox.organise(users=3, encounters=1, start=START, microsoft=lambda number: number == 3)
    assert [bool(row["microsoft_account"]) for row in sandbox.users()] == [False, False, True]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_control_api_is_the_same_for_both(sandbox: Sandbox, platform: str) -> None:
    control = Caller(sandbox, "/_sandbox")
    getattr(sandbox, platform).add_account(DANA)
    one = f"/{platform}/accounts/{DANA}"
    times = {"start": FIRST.isoformat(), "end": (FIRST + HOUR).isoformat()}
    made = control("POST", f"{one}/plan", {**times, "title": "Dentist", "free": True}).body["id"]
    (seen,) = control("GET", f"{one}/glimpses").body
    assert (seen["id"], seen["title"], seen["shown"]) == (made, "Dentist", "free")
    assert seen["start"] == FIRST.isoformat()
    later = {"start": times["end"], "end": (FIRST + 2 * HOUR).isoformat()}
    moved = control("POST", f"{one}/events/{made}/move", later)
    assert (moved.status, moved.body["id"]) == (200, made)
    assert control("POST", f"{one}/events/{made}/rename", {"title": "Doctor"}).status == 200
    window = {"from_": FIRST.isoformat(), "to": (FIRST + DAY).isoformat()}
    assert [e["title"] for e in control("GET", f"{one}/expanded", **window).body] == ["Doctor"]
    day = {"start": "2026-03-07", "end": "2026-03-08"}
    whole = control("POST", f"{one}/events", day)
    assert whole.status == 200
    assert len(control("GET", f"{one}/events").body) == 2
    assert control("GET", f"{one}/mirrors").body == []
    assert control("DELETE", f"{one}/events/{whole.body['id']}").status == 200
    for verb in ("revoke", "restore", "suspend", "no_licence", "expire_sync_tokens"):
        assert control("POST", f"{one}/{verb}").status == 200
    assert control("POST", f"{one}/nonsense").status == 404


def test_sums_and_leaks_are_over_both(sandbox: Sandbox) -> None:
    control = Caller(sandbox, "/_sandbox")
    sandbox.welkin.add_user(DANA, "Dana", "Hale", "US/Eastern")
    first, last = "Zyxwanda", "Quaruzson"
    sandbox.welkin.add_patient(first, last)
    for world in (sandbox.google, sandbox.microsoft):
        world.add_account(DANA)
    rows = [{"id": MICROSOFT_MARKER, "value": "one"}]
    for _ in range(2):
        sandbox.microsoft.add_event(
            DANA,
            start=FIRST,
            end=FIRST + HOUR,
            subject="Visit",
            body={"contentType": "text", "content": f"{first} {last}"},
            singleValueExtendedProperties=rows,
        )
    marked = {"private": {GOOGLE_MARKER: "one"}}
    sandbox.google.add_event(DANA, start=FIRST, end=FIRST + HOUR, extendedProperties=marked)
    found = control("GET", "/summary").body
    assert (found["mirrors"], found["google_mirrors"], found["microsoft_mirrors"]) == (3, 1, 2)
    assert found["duplicates"] == 1
    leaks = control("GET", "/leaks").body
    assert {leak["field"] for leak in leaks} == {"body", "bodyPreview"}
