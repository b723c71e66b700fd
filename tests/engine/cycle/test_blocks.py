"""Rules 5 to 8b: busy time in the calendar becomes neutral leave in Welkin."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from tests.engine.cycle.stage import DAY, EASTERN, Stage, mail

Make = Callable[..., Stage]
SELF = mail("dana")
DECLINE = {"autoDeclineMode": "declineNone"}


def answered(answer: str) -> dict[str, Any]:
    boss = "boss@partner.example"
    guests = [
        {"email": boss, "organizer": True, "responseStatus": "accepted"},
        {"email": SELF, "responseStatus": answer},
    ]
    return {"attendees": guests, "organizer": {"email": boss}, "creator": {"email": boss}}


def test_an_external_event_becomes_a_neutral_block(stage: Make) -> None:
    s = stage()
    s.busy(summary="Dentist", description="root canal", location="Elm Street")
    s.run()
    [block] = s.blocks()
    assert (block.start, block.end) == (s.at(1, 14), s.at(1, 15))
    assert (block.type, block.status, block.title) == ("LEAVE", "SCHEDULED", "Busy")
    assert block.color
    assert block.host_id == s.ids["dana"]
    assert [p.role for p in block.participants] == ["psm"]
    assert not block.description
    s.in_step()


@pytest.mark.parametrize(
    ("blocking", "fields"),
    [
        (True, {}),
        (True, {"eventType": "focusTime", "focusTimeProperties": DECLINE}),
        (True, {"eventType": "outOfOffice", "outOfOfficeProperties": DECLINE}),
        (True, {"eventType": "fromGmail"}),
        (True, {"visibility": "private"}),
        (True, answered("accepted")),
        (False, answered("needsAction")),
        (False, answered("declined")),
        (False, answered("tentative")),
        (False, {"status": "tentative"}),
        (False, {"transparency": "transparent"}),
        (
            False,
            {
                "eventType": "workingLocation",
                "visibility": "public",
                "transparency": "transparent",
                "workingLocationProperties": {"type": "homeOffice", "homeOffice": {}},
            },
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_makes_busy(stage: Make, blocking: bool, fields: dict[str, Any]) -> None:
    s = stage()
    s.busy(**fields)
    s.run()
    assert len(s.blocks()) == int(blocking)
    s.in_step()


def test_tentative_blocks_when_the_settings_say_so(stage: Make) -> None:
    s = stage(settings={"block_time": {"tentative": True}})
    s.busy(status="tentative")
    s.run()
    assert len(s.blocks()) == 1


def test_ignored_creators_organizers_and_uids_do_not_block(stage: Make) -> None:
    rules = {"creators": ["*@Other.example"], "organizers": ["boss@*"], "ical_uids": ["copy-*"]}
    s = stage(settings={"block_time": {"ignore_external": rules}})
    s.busy(hour=9, creator={"email": "robot@other.EXAMPLE"})
    s.busy(hour=11, organizer={"email": "boss@partner.example"})
    s.busy(hour=13, iCalUID="copy-17@somewhere")
    s.busy(hour=15)
    s.run()
    assert s.block_times() == [(s.at(1, 15), s.at(1, 16))]


def test_no_blocks_when_block_time_is_off_and_those_made_before_go(stage: Make) -> None:
    s = stage()
    s.busy()
    s.run()
    assert len(s.blocks()) == 1
    s.document = {"block_time": {"enabled": False}}
    s.later()
    assert s.blocks() == []


def test_blocks_begin_today_and_end_with_their_window(stage: Make) -> None:
    s = stage()
    s.busy(days=-1)
    s.busy(days=0, hour=8)
    s.busy(days=119)
    s.busy(days=125)
    s.run()
    assert [block.start for block in s.blocks()] == [s.at(0, 8), s.at(119, 14)]


def test_an_event_beyond_the_window_is_blocked_when_it_comes_near(stage: Make) -> None:
    s = stage()
    s.busy(days=125)
    s.run()
    s.clock.advance(days=6)
    s.run()
    s.run()
    assert len(s.blocks()) == 1


def test_moved_in_the_calendar_the_block_moves(stage: Make) -> None:
    s = stage()
    event = s.busy()
    s.run()
    [before] = s.blocks()
    s.google.move_event(SELF, event, s.at(2, 16), s.at(2, 18))
    s.later()
    [after] = s.blocks()
    assert after.id == before.id
    assert s.block_times() == [(s.at(2, 16), s.at(2, 18))]
    s.in_step()


@pytest.mark.parametrize("how", ["deleted", "freed", "declined", "tentative"])
def test_no_longer_busy_the_block_goes(stage: Make, how: str) -> None:
    s = stage()
    event = s.busy(**answered("accepted"))
    s.run()
    assert len(s.blocks()) == 1
    if how == "deleted":
        s.google.delete_event(SELF, event)
    elif how == "freed":
        s.google.patch_event(SELF, event, transparency="transparent")
    else:
        s.google.respond(SELF, event, how)
    s.later()
    assert s.blocks() == []
    s.in_step()


def test_busy_again_it_gets_a_new_block(stage: Make) -> None:
    s = stage()
    event = s.busy()
    s.run()
    s.google.patch_event(SELF, event, transparency="transparent")
    s.later()
    s.google.patch_event(SELF, event, transparency="opaque")
    s.later()
    assert len(s.blocks()) == 1
    s.in_step()


def test_a_future_block_is_deleted_and_one_that_has_begun_is_cancelled(stage: Make) -> None:
    s = stage()
    future, running = s.busy(days=2), s.busy(days=0, hour=10)
    s.run()
    assert len(s.blocks()) == 2
    s.google.delete_event(SELF, future)
    s.google.delete_event(SELF, running)
    before = s.position
    s.later()
    assert s.blocks() == []
    assert sorted(s.wrote(before, "welkin")) == [
        "welkin.events.delete 204",
        "welkin.events.patch 200",
    ]


def test_a_retitled_event_writes_nothing_into_welkin(stage: Make) -> None:
    s = stage()
    event = s.busy(summary="Dentist")
    s.run()
    before = s.position
    s.google.patch_event(SELF, event, summary="Lawyer", description="new")
    s.later()
    assert s.wrote(before) == []


def test_the_title_enters_welkin_only_when_the_settings_say_so(stage: Make) -> None:
    s = stage(settings={"block_time": {"block_title": "event_title"}})
    event = s.busy(summary="Dentist")
    s.run()
    assert [block.title for block in s.blocks()] == ["Dentist"]
    s.google.patch_event(SELF, event, summary="Lawyer")
    s.later()
    assert [block.title for block in s.blocks()] == ["Lawyer"]
    s.in_step()


# --- days ---------------------------------------------------------------------------------------


def test_an_all_day_event_blocks_from_midnight_to_midnight_of_the_users_zone(stage: Make) -> None:
    s = stage()
    s.google.add_event(SELF, start=s.day(3), end=s.day(5))
    s.run()
    [block] = s.blocks()
    assert block.all_day
    assert (block.start, block.end) == (s.at(3, 0), s.at(5, 0))
    s.in_step()


@pytest.mark.parametrize("days", [6, 244], ids=["23 hours", "25 hours"])
def test_an_all_day_event_on_the_day_the_clocks_change(stage: Make, days: int) -> None:
    s = stage(settings={"windows": {"blocks_future_days": 300}})
    assert s.at(days + 1, 0).utcoffset() != s.at(days, 0).utcoffset()
    s.google.add_event(SELF, start=s.day(days), end=s.day(days + 1))
    s.run()
    assert s.block_times() == [(s.at(days, 0), s.at(days + 1, 0))]
    s.in_step()


def test_all_day_events_can_be_written_as_times_or_ignored(stage: Make) -> None:
    s = stage(settings={"block_time": {"all_day_write": "timed"}})
    s.google.add_event(SELF, start=s.day(3), end=s.day(4))
    s.run()
    [block] = s.blocks()
    assert not block.all_day
    assert (block.start, block.end) == (s.at(3, 0), s.at(4, 0))
    s.in_step()
    s.document = {"block_time": {"all_day": "ignore"}}
    s.later()
    assert s.blocks() == []


def test_a_free_all_day_event_does_not_block(stage: Make) -> None:
    s = stage()
    s.google.add_event(SELF, start=s.day(3), end=s.day(4), transparency="transparent")
    s.run()
    assert s.blocks() == []


def test_an_all_day_event_that_becomes_timed_changes_its_block(stage: Make) -> None:
    s = stage()
    event = s.google.add_event(SELF, start=s.day(3), end=s.day(4))["id"]
    s.run()
    s.google.move_event(SELF, event, s.at(3, 9), s.at(3, 10))
    s.later()
    [block] = s.blocks()
    assert not block.all_day
    assert (block.start, block.end) == (s.at(3, 9), s.at(3, 10))
    s.in_step()


@pytest.mark.parametrize("length", [0, -1])
def test_an_event_without_length_never_blocks(stage: Make, length: int) -> None:
    s = stage()
    s.google.add_event(SELF, start=s.at(1, 14), end=s.at(1, 14 + length))
    result = s.run()
    assert s.blocks() == []
    assert result.failed == []


# --- series -------------------------------------------------------------------------------------


def test_each_instance_of_a_series_has_its_block(stage: Make) -> None:
    s = stage()
    s.series()
    s.run()
    assert [block.start for block in s.blocks()] == [s.at(days, 14) for days in range(1, 6)]
    s.in_step()


def test_a_moved_and_a_deleted_instance_change_only_their_blocks(stage: Make) -> None:
    s = stage()
    series = s.series()
    s.run()
    s.google.move_instance(SELF, series, s.at(2, 14), s.at(2, 17), s.at(2, 18))
    s.google.delete_instance(SELF, series, s.at(4, 14))
    before = s.position
    s.later()
    assert [block.start for block in s.blocks()] == [
        s.at(1, 14), s.at(2, 17), s.at(3, 14), s.at(5, 14),
    ]  # fmt: skip
    assert sorted(s.wrote(before)) == ["welkin.events.delete 204", "welkin.events.patch 200"]
    s.in_step()


def test_a_moved_series_moves_its_blocks_instead_of_making_new_ones(stage: Make) -> None:
    s = stage()
    series = s.series()
    s.run()
    ids = {block.id for block in s.blocks()}
    before = s.position
    s.google.move_event(SELF, series, s.at(1, 16), s.at(1, 17))
    s.later()
    assert [block.start for block in s.blocks()] == [s.at(days, 16) for days in range(1, 6)]
    assert {block.id for block in s.blocks()} == ids
    assert set(s.wrote(before)) == {"welkin.events.patch 200"}
    s.in_step()


def test_a_shortened_series_loses_the_blocks_of_its_end(stage: Make) -> None:
    s = stage()
    series = s.series()
    s.run()
    s.google.patch_event(SELF, series, recurrence=["RRULE:FREQ=DAILY;COUNT=2"])
    s.later()
    assert [block.start for block in s.blocks()] == [s.at(1, 14), s.at(2, 14)]
    s.in_step()


@pytest.mark.parametrize("lost", [False, True], ids=["tombstones", "no tombstone"])
def test_a_deleted_series_frees_all_its_time(stage: Make, lost: bool) -> None:
    s = stage()
    series = s.series()
    s.run()
    s.google.lose_tombstones = lost
    s.google.delete_event(SELF, series)
    s.later()
    s.later(hours=29)
    assert s.blocks() == []
    s.in_step()


def test_a_single_event_becomes_a_series_and_back(stage: Make) -> None:
    s = stage()
    event = s.busy()
    s.run()
    s.google.patch_event(SELF, event, recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    s.later()
    assert [block.start for block in s.blocks()] == [s.at(days, 14) for days in (1, 2, 3)]
    s.google.patch_event(SELF, event, recurrence=None)
    s.later()
    assert [block.start for block in s.blocks()] == [s.at(1, 14)]
    s.in_step()


def test_an_endless_series_ends_with_the_window(stage: Make) -> None:
    s = stage()
    s.series(rule="FREQ=WEEKLY")
    s.run()
    assert len(s.blocks()) == 17
    s.in_step()


def test_of_a_very_long_series_the_nearest_instances_are_blocked_and_the_rest_shown(
    stage: Make,
) -> None:
    s = stage(settings={"block_time": {"instances_per_series": 10}})
    s.series(rule="FREQ=DAILY;COUNT=30")
    s.run()
    assert [block.start for block in s.blocks()] == [s.at(days, 14) for days in range(1, 11)]
    assert ("series_too_long", "nearest_only") in s.conflicts()
    s.in_step()


def test_an_all_day_series_of_days(stage: Make) -> None:
    s = stage()
    s.google.add_series(SELF, "FREQ=WEEKLY;COUNT=3", s.day(2), s.day(3))
    s.run()
    assert [(block.start, block.all_day) for block in s.blocks()] == [
        (s.at(days, 0), True) for days in (2, 9, 16)
    ]
    s.in_step()


# --- several calendars ----------------------------------------------------------------------------


def test_named_calendars_count_as_busy(stage: Make) -> None:
    s = stage()
    other = s.google.add_calendar(SELF, "Team").id
    s.document = {"calendars": {"google": {"busy": ["primary", other]}}}
    s.busy(hour=14)
    s.busy(hour=16, calendar=other)
    s.run()
    assert [block.start for block in s.blocks()] == [s.at(1, 14), s.at(1, 16)]
    s.in_step()
    s.document = {}
    s.later()
    assert [block.start for block in s.blocks()] == [s.at(1, 14)]


def test_one_meeting_that_stands_in_two_busy_calendars(stage: Make) -> None:
    # Google gives an invitation the same id in every calendar that was invited.
    s = stage("dana", "ruben")
    other = s.google.add_calendar(SELF, "Team").id
    s.document = {"calendars": {"google": {"busy": ["primary", other]}}}
    s.busy(id="sharedmeeting1")
    s.busy(id="sharedmeeting1", calendar=other)
    s.visit("ruben")
    result = s.run()
    assert result.failed == []
    assert set(s.block_times()) == {(s.at(1, 14), s.at(1, 15))}
    assert len(s.mirrors("ruben")) == 1
    s.google.delete_event(SELF, "sharedmeeting1")
    s.later()
    assert set(s.block_times()) == {(s.at(1, 14), s.at(1, 15))}
    s.google.delete_event(SELF, "sharedmeeting1", calendar=other)
    s.later()
    assert s.blocks() == []


# --- blocks edited in Welkin (8b) -----------------------------------------------------------------


def test_a_block_moved_in_welkin_is_put_back_and_shown(stage: Make) -> None:
    s = stage()
    s.busy()
    s.run()
    [block] = s.blocks()
    s.move(block.id, 2, 8)
    s.later()
    assert s.block_times() == [(s.at(1, 14), s.at(1, 15))]
    assert s.conflicts() == [("block_edited", "restored")]
    s.in_step()


@pytest.mark.parametrize("how", ["deleted", "cancelled"])
def test_a_block_removed_in_welkin_comes_back(stage: Make, how: str) -> None:
    s = stage()
    s.busy()
    s.run()
    [block] = s.blocks()
    s.welkin.delete_event(block.id) if how == "deleted" else s.welkin.cancel_event(block.id)
    s.later()
    assert s.block_times() == [(s.at(1, 14), s.at(1, 15))]
    assert s.conflicts() == [("block_edited", "restored")]
    s.in_step()


@pytest.mark.parametrize("how", ["moved", "deleted"])
def test_a_block_edited_in_welkin_is_accepted_when_the_settings_say_so(
    stage: Make, how: str
) -> None:
    s = stage(settings={"block_time": {"block_edited": "accept"}})
    event = s.busy()
    s.run()
    [block] = s.blocks()
    s.move(block.id, 2, 8) if how == "moved" else s.welkin.delete_event(block.id)
    before = s.position
    s.later()
    assert s.wrote(before) == []
    assert s.conflicts() == [("block_edited", "accepted")]
    s.in_step()
    s.google.move_event(SELF, event, s.at(3, 9), s.at(3, 10))
    s.later()
    assert s.block_times() == [(s.at(3, 9), s.at(3, 10))]


def test_a_block_removed_again_and_again_is_left_to_a_person(stage: Make) -> None:
    s = stage()
    s.busy(days=5)
    s.run()
    for _ in range(3):
        [block] = s.blocks()
        s.welkin.delete_event(block.id)
        s.later()
    [block] = s.blocks()
    s.welkin.delete_event(block.id)
    s.later()
    assert s.blocks() == []
    assert s.conflicts() == [("block_edited", "parked")]


def test_the_busy_minutes_agree_over_a_season_of_awkward_events(stage: Make) -> None:
    s = stage()
    s.sandbox.organise(users=1, encounters=0)
    asyncio.run(s.map_everybody())
    s.run()
    [account] = [a for a in s.google.accounts if a != SELF]
    [user] = [u for u in s.welkin.users if u != s.ids["dana"]]
    low, high = s.at(0, 0), s.clock.now() + 120 * DAY
    wanted: set[int] = set()
    for event in s.google.expanded(account, low, high):
        if busy(event, account):
            start, end = (moment_of(event[side]) for side in ("start", "end"))
            wanted |= minutes(start, end, low, high)
    found: set[int] = set()
    for block in s.welkin.blocks_of(user, "calsync-"):
        found |= minutes(block.start, block.end, low, high)
    assert found == wanted


def busy(event: dict[str, Any], account: str) -> bool:
    own = [g for g in event.get("attendees", []) if g["email"].lower() == account.lower()]
    answer = own[0].get("responseStatus") if own else None
    return (
        event["status"] == "confirmed"
        and event.get("transparency") != "transparent"
        and event.get("eventType") not in {"workingLocation", "birthday"}
        and answer not in {"declined", "tentative"}
        and (answer != "needsAction" or event["organizer"].get("self", False))
        and "calendarSync" not in event.get("extendedProperties", {}).get("private", {})
    )


def moment_of(value: dict[str, str]) -> datetime:
    """An instant in UTC; a day begins at midnight on the east coast."""
    if "dateTime" in value:
        return datetime.fromisoformat(value["dateTime"]).astimezone(UTC)
    return datetime.combine(date.fromisoformat(value["date"]), time(), EASTERN).astimezone(UTC)


def minutes(start: datetime, end: datetime, low: datetime, high: datetime) -> set[int]:
    if end <= start or end <= low or start >= high:
        return set()
    step = timedelta(minutes=1)
    count = int((end - start) / step)
    return {int((start + step * n).timestamp()) // 60 for n in range(count)}
