"""Whole days and zones: a block follows its user's zone, and no name of a zone stops anybody."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from calendar_sync.core.model import Platform
from tests.engine.cycle.stage import DAY, Stage, mail

EVERYWHERE = pytest.mark.parametrize("platform", list(Platform))
TIMED = {"block_time": {"all_day_write": "timed"}}
FLAG = {"block_time": {"all_day_write": "flag"}}


def holiday(s: Stage, days: int = 10, length: int = 1) -> str:
    first = s.day(days)
    return s.calendar.plan(mail("dana"), first, first + timedelta(days=length), "Holiday")


def midnights(s: Stage, zone: str, days: int = 10) -> list[tuple[datetime, datetime]]:
    def midnight(day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)

    return [(midnight(s.day(days)), midnight(s.day(days + 1)))]


def moves_to(s: Stage, zone: str | None) -> None:
    s.welkin.users[s.ids["dana"]].time_zone = zone


@EVERYWHERE
@pytest.mark.parametrize("settings", [TIMED, FLAG])
def test_a_whole_day_block_follows_a_user_to_another_zone(
    platform: Platform, settings: dict[str, object]
) -> None:
    s = Stage(platform=platform, settings=settings)
    holiday(s)
    s.run()
    assert s.block_times() == midnights(s, "America/New_York")
    moves_to(s, "US/Pacific")
    s.later(hours=1, minutes=1)
    assert s.block_times() == midnights(s, "America/Los_Angeles")
    s.in_step()


@EVERYWHERE
@pytest.mark.parametrize("settings", [TIMED, FLAG])
def test_a_zone_that_becomes_known_later_is_followed(
    platform: Platform, settings: dict[str, object]
) -> None:
    s = Stage(platform=platform, settings=settings, zone=None)  # type: ignore[arg-type]
    holiday(s)
    s.run()
    moves_to(s, "Asia/Tokyo")
    s.later(hours=1, minutes=1)
    assert s.block_times() == midnights(s, "Asia/Tokyo")
    s.in_step()


@EVERYWHERE
@pytest.mark.parametrize("settings", [TIMED, FLAG])
def test_another_default_zone_moves_the_blocks_of_who_has_none(
    platform: Platform, settings: dict[str, object]
) -> None:
    s = Stage(platform=platform, settings=settings, zone=None)  # type: ignore[arg-type]
    holiday(s)
    s.run()
    s.document = settings | {"time_zone": "Pacific/Auckland"}
    s.later()
    assert s.block_times() == midnights(s, "Pacific/Auckland")
    s.in_step()


@EVERYWHERE
def test_another_name_of_the_same_zone_changes_nothing(platform: Platform) -> None:
    s = Stage(platform=platform)
    holiday(s)
    s.run()
    before = s.position
    moves_to(s, "America/New_York")
    s.later(hours=1, minutes=1)
    assert s.wrote(before) == []
    s.in_step()


@EVERYWHERE
def test_a_new_zone_does_not_touch_timed_blocks_and_mirrors(platform: Platform) -> None:
    s = Stage(platform=platform)
    s.busy(days=5)
    s.visit(days=6)
    s.run()
    before = s.position
    moves_to(s, "US/Pacific")
    s.later(hours=1, minutes=1)
    assert s.wrote(before) == []
    s.in_step()


@EVERYWHERE
def test_a_mirror_that_the_server_shifts_without_a_new_version_is_put_right(
    platform: Platform,
) -> None:
    s = Stage(platform=platform, settings={"mirror_moved": "reschedule"})
    visit = s.meeting(days=5)
    s.run()
    [(start, end)] = s.mirror_times()
    s.calendar.shift_mirrors(mail("dana"), timedelta(hours=1))
    assert s.mirror_times() == [(start + timedelta(hours=1), end + timedelta(hours=1))]
    s.later(days=1, hours=6)
    assert s.mirror_times() == [(start, end)]
    assert s.welkin.events[visit.id].start == start  # nobody moved anything
    assert s.conflicts() == []
    s.in_step()


@EVERYWHERE
def test_a_mirror_that_a_server_shifts_again_and_again_is_left_and_reported(
    platform: Platform,
) -> None:
    s = Stage(platform=platform)
    s.meeting(days=5)
    s.run()
    for _ in range(4):
        s.calendar.shift_mirrors(mail("dana"), timedelta(hours=1))
        s.clock.advance(minutes=2)
        s.run(full=True)
    assert ("mirror_moved", "parked") in s.conflicts()
    s.in_step()


@EVERYWHERE
@pytest.mark.parametrize("whole_day", [False, True])
def test_a_zone_that_the_calendar_service_does_not_know_refuses_no_mirror(
    platform: Platform, whole_day: bool
) -> None:
    s = Stage(platform=platform, zone="America/Coyhaique")
    s.calendar.unknown_zones = frozenset({"America/Coyhaique", "SA Eastern Standard Time"})
    first = s.day(7)
    start = s.at(7, 9).astimezone(UTC)
    if whole_day:
        start = datetime(first.year, first.month, first.day, 3, tzinfo=UTC)  # midnight there
    length = DAY if whole_day else timedelta(hours=1)
    visit = s.welkin.book_event(
        s.ids["dana"], start, start + length, all_day=whole_day, time_zone="America/Coyhaique"
    )
    s.run()
    wanted = (first, first + DAY) if whole_day else (start, start + length)
    assert s.mirror_times() == [wanted]
    s.in_step()
    s.welkin.move_event(visit.id, start + DAY, start + DAY + length)
    s.later()
    assert s.mirror_times() == [(wanted[0] + DAY, wanted[1] + DAY)]
    s.in_step()


@EVERYWHERE
@pytest.mark.parametrize("settings", [TIMED, FLAG])
def test_a_zone_that_welkin_does_not_know_refuses_no_block(
    platform: Platform, settings: dict[str, object]
) -> None:
    s = Stage(platform=platform, zone="America/Coyhaique", settings=settings)
    s.welkin.habits.unknown_zones = frozenset({"America/Coyhaique"})
    holiday(s)
    busy = s.busy(days=3)
    s.run()
    assert s.block_times()[1:] == midnights(s, "America/Coyhaique")
    assert s.block_times()[0][0] == s.at(3, 14)
    s.in_step()
    s.calendar.move_event(mail("dana"), busy, s.at(4, 14), s.at(4, 15))
    s.later()
    assert s.block_times()[0][0] == s.at(4, 14)
    s.in_step()


@EVERYWHERE
def test_a_whole_day_that_ends_where_it_begins_is_that_day(platform: Platform) -> None:
    s = Stage(platform=platform)
    day = s.day(10)
    event = s.calendar.plan(mail("dana"), day, day, "Holiday")
    s.run()
    assert s.block_times() == midnights(s, "America/New_York")
    s.in_step()
    s.calendar.delete_event(mail("dana"), event)
    s.later()
    assert s.block_times() == []


@EVERYWHERE
@pytest.mark.parametrize("how", ["private", "confidential", "personal"])
def test_the_title_of_a_private_event_does_not_enter_welkin(platform: Platform, how: str) -> None:
    if how == "personal" and platform is Platform.GOOGLE:
        how = "private"  # Google knows no personal events
    s = Stage(platform=platform, settings={"block_time": {"block_title": "event_title"}})
    field = "visibility" if platform is Platform.GOOGLE else "sensitivity"
    name = "summary" if platform is Platform.GOOGLE else "subject"
    s.busy("dana", 3, 14, **{field: how, name: "Oncologist"})
    event = s.busy("dana", 4, 14, **{name: "Budget"})
    s.run()
    assert [block.title for block in s.blocks()] == ["Busy", "Budget"]
    s.in_step()
    s.calendar.patch_event(mail("dana"), event, **{field: how})
    s.later()
    assert [block.title for block in s.blocks()] == ["Busy", "Busy"]
    s.in_step()
