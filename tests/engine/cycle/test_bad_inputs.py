"""Events that no one should make, and people do: in both directions, beside a healthy one."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from calendar_sync.core.model import Direction
from tests.engine.cycle.stage import DAY, HOUR, Stage, mail
from tests.harness import VirtualClock

Make = Callable[..., Stage]
SELF = mail("dana")
FULL = {
    "mirror_content": {
        "title": {"level": "full", "template": "{patient_first_name} {patient_last_name}"},
        "description": {"level": "full", "template": "{patient_first_name} at {location}"},
        "baa_confirmed": {"by": "Dana", "on": "2026-01-01"},
    }
}
TITLES = [
    "",
    " ",
    "x" * 1024,
    "x" * 10_000,
    "🦷 👩‍⚕️ 🏳️‍🌈",
    "\u202etnemtnioppa",
    "مراجعة",
    "Nul\x00byte",
    "<script>alert(1)</script>",
    '=HYPERLINK("https://evil.example";"x")',
    "Two\r\nlines",
    "\ud83d half",
    "{patient_first_name}%s${x}",
    "'; DROP TABLE link;--",
]


# --- titles ---------------------------------------------------------------------------------------


def test_any_name_of_a_patient_makes_a_mirror_that_stays_in_step(stage: Make) -> None:
    s = stage(settings=FULL)
    for days, name in enumerate(TITLES, 1):
        s.visit(days=days, patient_id=s.welkin.add_patient(name, name).id)
    s.visit(days=20, patient_id=s.welkin.add_patient("Avery", "Poole").id)
    result = s.run()
    assert result.failed == []
    *odd, plain = [mirror["summary"] for mirror in s.mirrors()]
    assert plain == "Avery Poole"
    assert len(odd) == len(TITLES)
    assert [
        title for title in odd if not 0 < len(title) <= 1024 or {"\x00", "\r"} & set(title)
    ] == []
    s.in_step()


def test_any_title_of_an_event_makes_a_block_that_stays_in_step(stage: Make) -> None:
    s = stage(settings={"block_time": {"block_title": "event_title"}})
    events = [s.busy(days=days, summary=title) for days, title in enumerate(TITLES, 1)]
    s.busy(days=20, summary="Plain")
    result = s.run()
    assert result.failed == []
    *odd, plain = [block.title for block in s.blocks()]
    assert plain == "Plain"
    assert len(odd) == len(TITLES)
    bad = {"\x00", "\r", "\n"}
    assert [title for title in odd if not 0 < len(title) <= 200 or bad & set(title)] == []
    for event, title in zip(events, TITLES, strict=True):
        s.google.patch_event(SELF, event, summary=title + "!")
    s.later()
    assert s.state().failures == 0
    s.in_step()


def test_an_event_without_a_title_and_an_appointment_with_null(stage: Make) -> None:
    s = stage(settings={**FULL, "block_time": {"block_title": "event_title"}})
    s.busy()
    s.welkin.book_event(s.ids["dana"], s.at(2, 9), s.at(2, 10), title="x")
    s.welkin.change_event(next(iter(s.welkin.events)), title=None)
    s.run()
    assert [block.title for block in s.blocks()] == ["Busy"]
    assert [mirror["summary"] for mirror in s.mirrors()] == ["Appointment"]
    s.in_step()


# --- length ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [0, -1, -60, -1500])
def test_what_ends_before_it_begins_has_no_counterpart_and_stops_nothing(
    stage: Make, minutes: int
) -> None:
    s = stage()
    end = s.at(1, 14) + timedelta(minutes=minutes)
    event = s.google.add_event(SELF, start=s.at(1, 14), end=end)["id"]
    visit = s.welkin.book_event(s.ids["dana"], s.at(1, 9), s.at(1, 9) + timedelta(minutes=minutes))
    s.visit(days=2)
    s.busy(days=2)
    result = s.run()
    assert result.failed == []
    assert len(s.mirrors()) == len(s.blocks()) == 1
    # Put right, both get their counterpart.
    s.google.move_event(SELF, event, s.at(1, 14), s.at(1, 15))
    s.move(visit.id, 1, 9)
    s.later()
    assert len(s.mirrors()) == len(s.blocks()) == 2
    # And made empty again (Google would refuse that), the mirror goes.
    s.welkin.move_event(visit.id, s.at(1, 9), s.at(1, 9))
    s.later()
    assert len(s.mirrors()) == 1
    s.in_step()


def test_events_of_many_weeks_are_one_event(stage: Make) -> None:
    s = stage()
    begin, end = s.at(-10, 22), s.at(45, 6)
    event = s.google.add_event(SELF, start=begin, end=end)["id"]
    s.google.add_event(SELF, start=s.day(-3), end=s.day(30))
    s.welkin.book_event(s.ids["dana"], begin, end)
    s.run()
    assert s.block_times() == [(begin, end), (s.at(-3, 0), s.at(30, 0))]
    assert s.mirror_times() == [(begin, end)]
    s.google.move_event(SELF, event, begin, end + 7 * DAY)
    s.later()
    assert s.block_times()[0] == (begin, end + 7 * DAY)
    s.in_step()


@pytest.mark.parametrize("micro", [1_000, 500_000, 999_000])
def test_ends_between_two_seconds_are_equal_on_both_sides(stage: Make, micro: int) -> None:
    s = stage()
    part = timedelta(microseconds=micro)
    s.welkin.book_event(s.ids["dana"], s.at(1, 9) + part, s.at(1, 10) + part)
    start = {"dateTime": (s.at(1, 14) + part).isoformat()}
    s.google.add_event(SELF, start=start, end={"dateTime": (s.at(1, 15) + part).isoformat()})
    s.run()
    assert s.mirror_times() == [(s.at(1, 9), s.at(1, 10))]
    assert s.block_times() == [(s.at(1, 14), s.at(1, 15))]
    s.in_step()


def test_less_than_a_second_is_nothing(stage: Make) -> None:
    s = stage()
    s.welkin.book_event(s.ids["dana"], s.at(1, 9), s.at(1, 9) + timedelta(milliseconds=400))
    result = s.run()
    assert result.failed == []
    assert s.mirrors() == []
    s.in_step()


# --- days and zones -------------------------------------------------------------------------------

FAR = ["Pacific/Kiritimati", "Etc/GMT+12", "Pacific/Chatham", "Asia/Kathmandu", "Africa/Cairo"]


@pytest.mark.parametrize("zone", FAR)
def test_whole_days_at_the_ends_of_the_earth_stay_on_their_dates(stage: Make, zone: str) -> None:
    s = stage("far", zone=zone)
    place = ZoneInfo(zone)
    s.google.accounts[mail("far")].time_zone = zone
    first = date(2026, 3, 10)

    def midnight(day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=place).astimezone(UTC)

    s.google.add_event(mail("far"), start=first, end=first + 2 * DAY)
    for end in (midnight(first + DAY), midnight(first + DAY) - timedelta(milliseconds=1)):
        s.welkin.book_event(s.ids["far"], midnight(first), end, all_day=True, time_zone=zone)
    s.run()
    assert s.block_times("far") == [(midnight(first), midnight(first + 2 * DAY))]
    dates = [(m["start"]["date"], m["end"]["date"]) for m in s.mirrors("far")]
    assert dates == [("2026-03-10", "2026-03-11")] * 2
    s.in_step()


# Clocks go forward on this day and back on that one; in Cairo and Santiago at midnight.
CHANGES = [
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Africa/Cairo", date(2026, 4, 24)),
    ("America/Santiago", date(2026, 9, 6)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Pacific/Kiritimati", date(2026, 3, 8)),
]


@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_a_whole_day_on_which_the_clocks_change(stage: Make, zone: str, day: date) -> None:
    clock = VirtualClock(datetime(day.year, day.month, day.day, 12, tzinfo=UTC) - 4 * DAY)
    s = stage("far", zone=zone, clock=clock)
    place = ZoneInfo(zone)
    begin = datetime(day.year, day.month, day.day, tzinfo=place).astimezone(UTC)
    after = day + DAY
    end = datetime(after.year, after.month, after.day, tzinfo=place).astimezone(UTC)
    s.google.add_event(mail("far"), start=day, end=day + DAY)
    s.google.add_series(mail("far"), "FREQ=DAILY;COUNT=3", day - DAY, day)
    s.welkin.book_event(s.ids["far"], begin, end, all_day=True, time_zone=zone)
    s.run()
    assert s.block_times("far").count((begin, end)) == 2
    assert len(s.blocks("far")) == 4
    [mirror] = s.mirrors("far")
    assert (mirror["start"], mirror["end"]) == (
        {"date": day.isoformat()},
        {"date": after.isoformat()},
    )
    s.in_step()


@pytest.mark.parametrize("fold", [0, 1])
def test_hours_that_come_twice_and_hours_that_do_not_come(stage: Make, fold: int) -> None:
    s = stage(clock=VirtualClock(datetime(2026, 10, 28, 15, tzinfo=UTC)))
    place = ZoneInfo("America/New_York")
    twice = datetime(2026, 11, 1, 1, 30, tzinfo=place, fold=fold)
    start, end = twice.astimezone(UTC), twice.astimezone(UTC) + HOUR
    s.google.add_event(SELF, start=start, end=end)
    s.welkin.book_event(s.ids["dana"], start, end)
    s.run()
    assert s.block_times() == s.mirror_times() == [(start, end)]
    s.in_step()
    s.clock.advance(days=130)
    missing = {"dateTime": "2027-03-14T02:30:00", "timeZone": "America/New_York"}
    until = {"dateTime": "2027-03-14T04:00:00", "timeZone": "America/New_York"}
    s.google.add_event(SELF, start=missing, end=until)
    s.run()
    [block] = [block for block in s.blocks() if block.start > start + DAY]
    assert block.end == datetime(2027, 3, 14, 8, tzinfo=UTC)
    assert block.start in {datetime(2027, 3, 14, hour, 30, tzinfo=UTC) for hour in (6, 7)}
    s.in_step()


def test_a_daily_series_at_an_hour_that_is_missing_once(stage: Make) -> None:
    s = stage()
    zone = {"timeZone": "America/New_York"}
    start, end = ({"dateTime": f"2026-03-07T0{h}:00", **zone} for h in ("2:30", "3:30"))
    s.google.add_series(SELF, "FREQ=DAILY;COUNT=3", start, end)
    s.run()
    assert len(s.blocks()) == 3
    assert [(block.end - block.start) for block in s.blocks()] == [HOUR] * 3
    s.in_step()


# --- series ---------------------------------------------------------------------------------------


def test_exceptions_before_the_start_of_a_series(stage: Make) -> None:
    s = stage()
    early = s.at(1, 14) - 3 * DAY
    lines = [
        "RRULE:FREQ=DAILY;COUNT=4",
        f"EXDATE:{early.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        f"EXDATE:{s.at(3, 14).astimezone(UTC):%Y%m%dT%H%M%SZ}",
        f"RDATE:{early.astimezone(UTC):%Y%m%dT%H%M%SZ}",
    ]
    series = s.google.add_series(SELF, lines, s.at(1, 14), s.at(1, 15))["id"]
    s.run()
    assert [block.start for block in s.blocks()] == [s.at(day, 14) for day in (1, 2, 4)]
    # One instance is dragged to before the first, another to before today.
    s.google.move_instance(SELF, series, s.at(4, 14), s.at(0, 18), s.at(0, 19))
    s.google.move_instance(SELF, series, s.at(2, 14), s.at(-5, 9), s.at(-5, 10))
    s.later()
    assert [block.start for block in s.blocks()] == [s.at(0, 18), s.at(1, 14)]
    s.in_step()


def test_ten_thousand_instances_are_no_reason_to_stop(stage: Make) -> None:
    s = stage(
        settings={
            "block_time": {"instances_per_series": 20},
            "windows": {"blocks_future_days": 3, "mirrors_future_days": 3},
        }
    )
    s.google.add_series(
        SELF, "FREQ=MINUTELY;INTERVAL=2;COUNT=10000", s.at(0, 12), s.at(0, 12) + HOUR / 60
    )
    s.busy(days=2)
    s.visit()
    result = s.run()
    assert result.failed == []
    assert len(s.blocks()) == 20 + 1
    assert ("series_too_long", "nearest_only") in s.conflicts()
    assert len(s.mirrors()) == 1
    s.in_step()


def test_a_series_without_an_end_that_began_long_ago(stage: Make) -> None:
    s = stage()
    start = s.at(0, 14) - timedelta(days=364 * 5)
    s.google.add_series(SELF, "FREQ=WEEKLY", start, start + HOUR)
    s.run()
    assert 17 <= len(s.blocks()) <= 18
    s.in_step()


# --- kinds and answers ----------------------------------------------------------------------------


def kinds(**properties: Any) -> dict[str, Any]:
    return {"transparency": "transparent", "visibility": "public", **properties}


@pytest.mark.parametrize(
    ("blocks", "fields"),
    [
        (0, kinds(eventType="birthday", recurrence=["RRULE:FREQ=YEARLY"])),
        (0, {"eventType": "birthday", "recurrence": ["RRULE:FREQ=YEARLY"]}),
        (0, kinds(eventType="workingLocation", workingLocationProperties={"type": "homeOffice"})),
        (1, {}),
    ],
    ids=["birthday", "opaque birthday", "working location", "plain"],
)
def test_whole_days_of_every_kind(stage: Make, blocks: int, fields: dict[str, Any]) -> None:
    s = stage()
    s.google.add_event(SELF, start=s.day(3), end=s.day(4), **fields)
    s.run()
    assert len(s.blocks()) == blocks
    s.in_step()


@pytest.mark.parametrize("answers", [("declined", "accepted"), ("accepted", "declined")])
def test_an_invitation_blocks_by_the_owners_answer_and_by_no_other(
    stage: Make, answers: tuple[str, str]
) -> None:
    s = stage()
    guests = [
        {"email": SELF, "responseStatus": answers[0]},
        {"email": "guest@partner.example", "responseStatus": answers[1]},
    ]
    boss = {"email": "boss@partner.example"}
    event = s.busy(attendees=guests, organizer=boss)
    s.run()
    assert len(s.blocks()) == int(answers[0] == "accepted")
    s.google.respond(SELF, event, answers[1])
    s.later()
    assert len(s.blocks()) == int(answers[1] == "accepted")
    s.in_step()


# --- people ---------------------------------------------------------------------------------------


def test_addresses_in_capitals_are_the_same_mailbox(stage: Make) -> None:
    s = stage()
    s.visit()
    s.busy()
    s.run()
    before = s.position
    s.remap(dana={"account": "Dana@Example.ORG"})
    s.later()
    assert s.wrote(before) == []
    s.busy(days=2)
    s.visit(days=2)
    s.later()
    assert len(s.mirrors()) == len(s.blocks()) == 2
    s.in_step()


def test_two_users_whose_addresses_lead_to_one_mailbox_disturb_no_one_else(stage: Make) -> None:
    s = stage("dana", "ruben")
    # An alias that nobody can tell from an address.
    s.google.accounts["r.example@example.org"] = s.google.accounts[SELF]
    s.remap(ruben={"account": "r.example@example.org"})
    s.visit("dana", days=1)
    s.visit("ruben", days=2)
    s.busy("dana", days=3)
    s.run()
    s.later()
    assert len(s.mirrors("dana")) == 2
    assert [len(s.blocks(name)) for name in ("dana", "ruben")] == [1, 1]
    s.in_step()
    s.remap("ruben")
    s.later()
    assert s.mirror_times("dana") == [(s.at(1, 9), s.at(1, 10))]
    assert s.blocks("ruben") == []


def test_a_user_who_has_left_welkin_stops_no_other_user(stage: Make) -> None:
    s = stage("dana", "ruben")
    s.visit("dana")
    s.visit("ruben")
    s.run()
    s.welkin.deactivate_user(s.ids["ruben"])
    s.visit("dana", days=2)
    s.busy("ruben", days=2)
    s.later(hours=25)
    result = s.later()
    assert result.failed == []
    assert len(s.mirrors("dana")) == 2
    s.in_step("dana")


def test_a_deleted_mailbox_keeps_its_rows_and_is_written_no_more(stage: Make) -> None:
    s = stage("dana", "ruben")
    s.visit("ruben")
    s.run()
    s.google.delete_account(mail("ruben"))
    s.visit("ruben", days=2)
    before = s.position
    s.later(again=6, hours=2)
    assert s.state("ruben").error_code == "google_account_refused"
    assert s.wrote(before) == []
    assert len(s.links("ruben")) == 1
    assert s.state("dana").failures == 0


@pytest.mark.parametrize("direction", list(Direction))
def test_awkward_events_in_a_one_way_sync_write_one_side_only(
    stage: Make, direction: Direction
) -> None:
    s = stage()
    s.one_way("dana", direction)
    s.google.add_event(SELF, start=s.at(1, 14), end=s.at(1, 13))
    s.welkin.book_event(s.ids["dana"], s.at(1, 9), s.at(1, 8))
    s.visit(days=2)
    s.busy(days=2, summary="=1+1\x00")
    s.run()
    assert len(s.mirrors()) == int(direction.writes_calendar)
    assert len(s.blocks()) == int(direction.writes_welkin)
    s.in_step()
