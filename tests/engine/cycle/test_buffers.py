"""Buffers (rule 7) with both services: what is around an event blocks, too, and nothing is lost."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from calendar_sync.core.model import LinkState, Platform
from calendar_sync.state import tables as t
from calendar_sync.sync.services import Services
from tests.engine.cycle.stage import Stage, mail
from tests.engine.cycle.test_restore import lose_state

Make = Callable[..., Stage]
ME = mail("dana")
QUARTER = timedelta(minutes=15)
both = pytest.mark.parametrize("platform", list(Platform), ids=str)
TRAVEL = {
    "buffers": {
        "with_place": {"before_minutes": 15, "after_minutes": 15},
        "online": {"before_minutes": 15},
    }
}


def place(platform: Platform, name: str) -> dict[str, Any]:
    return {"location": name if platform is Platform.GOOGLE else {"displayName": name}}


def conference(platform: Platform) -> dict[str, Any]:
    if platform is Platform.GOOGLE:
        return {"hangoutLink": "https://meet.google.com/abc-defg-hij"}
    return {"isOnlineMeeting": True, **place(platform, "Microsoft Teams Meeting")}


@both
def test_an_event_with_a_place_is_longer_in_welkin(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform, settings={"block_time": TRAVEL})
    s.busy(days=1)
    away = s.busy(days=2, **place(platform, "Elm Street 12"))
    s.busy(days=3, **conference(platform))
    s.busy(days=4, **place(platform, "https://zoom.us/j/123"))
    s.visit(days=5)
    s.run()
    plain, there, online, address = s.block_times()
    assert plain == (s.at(1, 14), s.at(1, 15))
    assert there == (s.at(2, 14) - QUARTER, s.at(2, 15) + QUARTER)
    assert online == (s.at(3, 14) - QUARTER, s.at(3, 15))
    assert address == (s.at(4, 14) - QUARTER, s.at(4, 15))
    s.in_step()
    s.calendar.move_event(ME, away, s.at(2, 9), s.at(2, 10))
    s.later()
    assert s.block_times()[1] == (s.at(2, 9) - QUARTER, s.at(2, 10) + QUARTER)
    s.calendar.patch_event(ME, away, **place(platform, ""))
    s.later()
    assert s.block_times()[1] == (s.at(2, 9), s.at(2, 10))
    s.in_step()


@both
def test_buffers_reach_events_that_were_read_before_they_were_set(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    s.busy(**place(platform, "Elm Street 12"))
    s.calendar.plan_series(ME, "FREQ=DAILY;COUNT=2", s.at(3, 14), s.at(3, 15), "Course")
    s.run()
    s.document = {"block_time": TRAVEL}
    s.later()
    assert s.block_times()[0] == (s.at(1, 14) - QUARTER, s.at(1, 15) + QUARTER)
    s.document = {"block_time": {"buffers": {"every_event": {"after_minutes": 15}}}}
    s.later()
    assert s.block_times() == [(s.at(day, 14), s.at(day, 15) + QUARTER) for day in (1, 3, 4)]
    s.document = {}
    s.later()
    assert s.block_times() == [(s.at(day, 14), s.at(day, 15)) for day in (1, 3, 4)]
    s.in_step()


@both
@pytest.mark.parametrize("stores_ids", [True, False])
def test_a_lost_state_finds_blocks_with_buffers_again(
    stage: Make, platform: Platform, stores_ids: bool
) -> None:
    s = stage(platform=platform, settings={"block_time": TRAVEL})
    s.busy(**place(platform, "Elm Street 12"))
    s.run()
    [block] = s.blocks()
    if not stores_ids:
        # The id of another generation than we know.
        block.external_id = "calsync-" + "0" * 24
    lose_state(s)
    s.later(again=2)
    assert [one.id for one in s.blocks()] == [block.id]
    assert s.block_times() == [(s.at(1, 14) - QUARTER, s.at(1, 15) + QUARTER)]
    s.in_step()


@both
def test_an_interrupted_creation_is_found_with_its_buffer(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform, settings={"block_time": TRAVEL})
    s.busy(**place(platform, "Elm Street 12"))
    s.fault("welkin", "timeout_after", "POST", "/calendar/events$", times=1)
    s.run()
    s.later(again=2)
    assert s.block_times() == [(s.at(1, 14) - QUARTER, s.at(1, 15) + QUARTER)]
    assert len(s.links("dana", LinkState.LIVE)) == 1
    s.in_step()


@both
def test_the_location_is_kept_nowhere(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform, settings={"block_time": TRAVEL})
    s.busy(**place(platform, "Secret Street 12"))
    s.run()
    with s.database.read() as connection:
        for table in t.metadata.sorted_tables:
            assert "Secret" not in repr(connection.execute(table.select()).all()), table.name


@pytest.mark.parametrize(
    ("platform", "shape"),
    [(Platform.GOOGLE, "5dc66566826854e2"), (Platform.MICROSOFT, "ff0d433ef8243a79")],
)
def test_asking_for_locations_voids_no_cursor(stage: Make, platform: Platform, shape: str) -> None:
    """The shapes of the release before: where buffers are not set, no calendar is read again."""
    s = stage(platform=platform)

    async def found(services: Services) -> str:
        return str(services.platforms[platform].shape)

    assert asyncio.run(s.with_services(found)) == shape
