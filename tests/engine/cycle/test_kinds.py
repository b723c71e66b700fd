"""Kinds of busy time (rules 5, 7 and 8) with both services: out of office, working elsewhere."""

import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from calendar_sync.core.model import LinkState, Platform
from tests.engine.cycle.stage import DAY, Stage, mail
from tests.harness import Killed

Make = Callable[..., Stage]
ME = mail("dana")
both = pytest.mark.parametrize("platform", list(Platform), ids=str)


def away(platform: Platform) -> dict[str, Any]:
    if platform is Platform.MICROSOFT:
        return {"showAs": "oof"}
    decline = {"autoDeclineMode": "declineNone"}
    return {"eventType": "outOfOffice", "outOfOfficeProperties": decline}


@both
def test_a_block_says_that_its_user_is_out_of_office(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform)
    s.busy(days=1)
    s.busy(days=2, **away(platform))
    s.run()
    assert [block.title for block in s.blocks()] == ["Busy", "Busy"]
    s.document = {"block_time": {"out_of_office_title": "Out of office"}}
    s.later()
    assert [block.title for block in s.blocks()] == ["Busy", "Out of office"]
    s.in_step()


@both
def test_a_half_made_block_is_found_by_its_title_where_no_ids_are_stored(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform, settings={"block_time": {"out_of_office_title": "Out of office"}})
    s.welkin.habits.external_ids = "dropped"
    s.run()
    event = s.busy(**away(platform))
    s.clock.advance(minutes=2)

    def die() -> None:
        if s.asked("welkin.events.create", status=201):
            s.transport.dead = True
            raise Killed

    s.transport.after_request = die
    with contextlib.suppress(Killed):
        s.run()
    s.transport.after_request = s.note_blocks
    s.transport.revive()
    assert s.links("dana", LinkState.INTENT)
    s.calendar.delete_event(ME, event)
    s.later(again=3)
    leaves = [e for e in s.welkin.events.values() if e.type == "LEAVE" and not e.cancelled]
    assert leaves == []


def test_working_elsewhere_blocks_only_if_it_shall(stage: Make) -> None:
    s = stage(platform=Platform.MICROSOFT)
    s.busy(days=1, showAs="workingElsewhere")
    first = s.day(3)
    s.calendar.add_event(ME, start=first, end=first + DAY, showAs="workingElsewhere")
    s.run()
    assert s.blocks() == []
    s.document = {"block_time": {"working_elsewhere": "block"}}
    s.later()
    assert len(s.blocks()) == 2
    kinds = {"working_elsewhere": "ignore"}
    s.document = {"block_time": {"working_elsewhere": "block", "all_day_kinds": kinds}}
    s.later()
    assert s.block_times() == [(s.at(1, 14), s.at(1, 15))]
    s.document = {}
    s.later()
    assert s.blocks() == []
    s.in_step()


def test_days_out_of_office_block_where_other_days_do_not(stage: Make) -> None:
    kinds = {"out_of_office": "block"}
    s = stage(
        platform=Platform.MICROSOFT,
        settings={"block_time": {"all_day": "ignore", "all_day_kinds": kinds}},
    )
    for days, shown in ((3, "busy"), (5, "oof"), (7, "free")):
        first = s.day(days)
        s.calendar.add_event(ME, start=first, end=first + DAY, showAs=shown)
    s.run()
    assert s.block_times() == [(s.at(5, 0), s.at(5, 0) + timedelta(days=1))]
    s.in_step()


@both
def test_out_of_office_blocks_only_if_it_shall(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform)
    s.busy(days=1)
    s.busy(days=2, **away(platform))
    s.run()
    assert len(s.blocks()) == 2
    s.document = {"block_time": {"out_of_office": "ignore"}}
    s.later()
    assert s.block_times() == [(s.at(1, 14), s.at(1, 15))]
    s.document = {}
    s.later()
    assert len(s.blocks()) == 2
    s.in_step()


@both
def test_days_shown_as_free_block_only_if_they_shall(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform)
    s.calendar.plan(ME, s.at(2, 10), s.at(2, 11), "Tea", free=True)
    day = s.calendar.plan(ME, s.day(3), s.day(3) + DAY, "Away", free=True)
    s.run()
    assert s.blocks() == []
    s.document = {"block_time": {"all_day_kinds": {"free": "block"}}}
    s.later()
    assert s.block_times() == [(s.at(3, 0), s.at(3, 0) + timedelta(days=1))]
    s.calendar.respond(ME, day, "tentative")
    s.later()
    assert s.blocks() == []
    s.calendar.respond(ME, day, "accepted")
    s.later()
    assert len(s.blocks()) == 1
    s.document = {}
    s.later()
    assert s.blocks() == []
    s.in_step()


def test_a_working_location_never_blocks(stage: Make) -> None:
    s = stage(settings={"block_time": {"working_elsewhere": "block"}})
    s.busy(
        eventType="workingLocation",
        visibility="public",
        transparency="transparent",
        workingLocationProperties={"type": "homeOffice", "homeOffice": {}},
    )
    s.run()
    assert s.blocks() == []
