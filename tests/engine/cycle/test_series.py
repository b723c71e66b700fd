"""Series: whole sets are compared, and what cannot be read is not believed."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from calendar_sync.core.model import Platform
from calendar_sync.insight.attention import parked_items
from tests.engine.cycle.stage import Stage, mail

Make = Callable[..., Stage]
ME = mail("dana")
both = pytest.mark.parametrize("platform", list(Platform), ids=str)


def test_a_series_moved_to_other_days_and_back_in_part_keeps_one_block_an_instance(
    stage: Make,
) -> None:
    s = stage()
    series = s.series(rule="FREQ=WEEKLY;BYDAY=TU;COUNT=3")
    s.run()
    assert len(s.blocks()) == 3
    s.google.patch_event(mail("dana"), series, recurrence=["RRULE:FREQ=WEEKLY;BYDAY=WE;COUNT=3"])
    s.later()
    assert len(s.blocks()) == 3
    s.google.patch_event(mail("dana"), series, recurrence=["RRULE:FREQ=WEEKLY;BYDAY=TU,WE;COUNT=6"])
    s.later()
    assert len({block.start for block in s.blocks()}) == 6
    s.in_step()


@pytest.mark.parametrize("kind", ["status", "zero_events"])
def test_a_series_whose_instances_cannot_be_read_keeps_its_blocks(stage: Make, kind: str) -> None:
    s = stage()
    series = s.series(rule="FREQ=DAILY;COUNT=40")
    s.run()
    before = s.block_times()
    s.google.patch_event(mail("dana"), series, summary="Another name")
    details = {"code": 400} if kind == "status" else {}
    s.fault("google", kind, "GET", "/instances", times=1, **details)
    s.later()
    assert s.block_times() == before
    s.later(again=2)
    s.in_step()
    assert s.block_times() == before


def test_a_series_that_ends_early_frees_the_rest_without_asking_anybody(stage: Make) -> None:
    s = stage()
    series = s.series(rule="FREQ=DAILY;COUNT=40")
    s.run()
    s.google.patch_event(mail("dana"), series, recurrence=["RRULE:FREQ=DAILY;COUNT=2"])
    s.later()
    assert len(s.blocks()) == 2
    s.google.delete_event(mail("dana"), series)
    s.later()
    assert s.blocks() == []
    assert s.conflicts() == []


@both
@pytest.mark.parametrize("count", [1, 5, 40])
def test_one_empty_answer_to_the_instances_of_a_series_is_not_believed(
    stage: Make, platform: Platform, count: int
) -> None:
    s = stage(platform=platform)
    series = s.series(rule=f"FREQ=DAILY;COUNT={count}")
    s.run()
    before = s.block_times()
    assert len(before) == count
    s.calendar.rename(ME, series, "Another name")
    s.fault(platform.value, "zero_events", "GET", "/instances", times=1)
    since = s.position
    s.later(rounds=1)
    assert (s.block_times(), s.wrote(since)) == (before, [])
    assert s.state().marked
    s.later()
    assert (s.block_times(), s.wrote(since)) == (before, [])
    s.in_step()


@both
def test_a_series_that_shows_nothing_for_ever_keeps_its_blocks_and_is_shown(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    series = s.series()
    s.run()
    before = s.block_times()
    s.calendar.rename(ME, series, "Another name")
    s.fault(platform.value, "zero_events", "GET", "/instances", times=None)
    s.later(again=3)
    assert s.block_times() == before
    assert [item.code for item in parked_items(s.store, platform)] == ["series_incomplete"]
    assert not s.state().marked
    s.sandbox.faults.clear()
    s.later(again=2, hours=2)
    assert s.block_times() == before
    assert parked_items(s.store, platform) == []
    s.in_step()


@both
def test_a_new_series_whose_first_answer_is_empty_is_blocked_with_the_next(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    s.run()
    s.series(rule="FREQ=DAILY;COUNT=4")
    s.fault(platform.value, "zero_events", "GET", "/instances", times=1)
    s.later(again=2)
    assert len(s.block_times()) == 4
    s.in_step()


@both
def test_the_last_instances_of_a_series_may_be_deleted_one_by_one(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    series = s.series(rule="FREQ=DAILY;COUNT=3")
    s.run()
    for day in (1, 2, 3):
        calendar: Any = s.calendar
        calendar.delete_instance(ME, series, s.at(day, 14))
        s.later()
        assert len(s.block_times()) == 3 - day
    assert not s.state().marked
    assert parked_items(s.store, platform) == []
    s.in_step()


@both
def test_a_page_of_instances_that_lost_rows_is_not_believed(
    stage: Make, platform: Platform
) -> None:
    """An instance that is not listed, and there by its own name, says that rows are missing."""
    s = stage(platform=platform)
    series = s.series(rule="FREQ=DAILY;COUNT=6")
    s.run()
    before = s.block_times()
    s.calendar.rename(ME, series, "Another name")
    cut(s, series, 2)
    s.later(rounds=1)
    assert s.block_times() == before
    s.later()
    assert s.block_times() == before
    s.in_step()


def cut(s: Stage, series: str, rows: int) -> None:
    """The next answer to the series' instances lacks all rows but the first ones."""
    inner = s.transport.handle_async_request

    async def handle(request: httpx.Request) -> httpx.Response:
        answer = await inner(request)
        if not request.url.path.endswith("/instances"):
            return answer
        s.transport.handle_async_request = inner  # type: ignore[method-assign]
        body = json.loads(await answer.aread())
        name = "items" if "items" in body else "value"
        body[name] = body[name][:rows]
        return httpx.Response(200, json=body)

    s.transport.handle_async_request = handle  # type: ignore[method-assign]
