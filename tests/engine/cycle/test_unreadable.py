"""What a server will not show is one item's matter: everything else of the user goes on."""

from collections.abc import Callable
from typing import Any

import pytest

from calendar_sync.core.model import Platform
from calendar_sync.insight.attention import parked_items
from tests.engine.cycle.stage import Stage, mail

Make = Callable[..., Stage]
ME = mail("dana")
REFUSALS: dict[str, dict[str, Any]] = {
    "403": {"kind": "status", "code": 403},
    "500": {"kind": "status", "code": 500},
    "busy": {"kind": "status", "code": 503, "retry_after": 1},
    "400": {"kind": "status", "code": 400},
    "unreadable": {"kind": "truncated_json"},
    "no event": {"kind": "status", "code": 200, "body": {"nothing": True}},
}
every_refusal = pytest.mark.parametrize("refusal", REFUSALS)
both = pytest.mark.parametrize("platform", list(Platform), ids=str)


def refuse(s: Stage, refusal: str, path: str) -> None:
    s.fault(s.platform.value, method="GET", path=path, times=None, **REFUSALS[refusal])


def parked(s: Stage) -> list[str]:
    return [f"{item.step} {item.source.id}" for item in parked_items(s.store, s.platform)]


def well(s: Stage) -> None:
    state = s.state()
    assert (state.failures, state.error_code, state.marked) == (0, None, False)


@pytest.mark.spread
@both
@every_refusal
def test_a_series_that_is_never_shown_keeps_its_blocks_and_holds_up_nothing_else(
    stage: Make, platform: Platform, refusal: str
) -> None:
    s = stage(platform=platform)
    series = s.series(rule="FREQ=DAILY;COUNT=4")
    s.run()
    before = s.block_times()
    refuse(s, refusal, "/instances")
    s.calendar.rename(ME, series, "Another name")
    s.visit(days=2)
    s.busy(days=3, hour=18)
    for _ in range(3):
        assert s.later().failed == []
    assert set(before) < set(s.block_times())
    assert len(s.block_times()) == 5
    assert len(s.mirror_times()) == 1
    assert parked(s) == [f"read {series}"]
    well(s)
    # The day's comparison lists everything: what it shows is known again.
    s.sandbox.faults.clear()
    s.calendar.change_rule(ME, series, "FREQ=DAILY;COUNT=2")
    s.later(again=2, hours=25)
    assert len(s.block_times()) == 3
    assert parked(s) == []
    s.in_step()


@pytest.mark.spread
@both
@every_refusal
def test_an_event_that_is_never_shown_keeps_its_block_and_holds_up_nothing_else(
    stage: Make, platform: Platform, refusal: str
) -> None:
    """Its block was deleted in Welkin, and nobody can say whether to put it back."""
    s = stage(platform=platform)
    event = s.busy(days=5)
    s.run()
    [block] = s.blocks()
    s.welkin.delete_event(block.id)
    refuse(s, refusal, f"/events/{event}$")
    s.visit(days=2)
    s.busy(days=3, hour=18)
    for _ in range(3):
        assert s.later().failed == []
    assert len(s.mirror_times()) == len(s.block_times()) == 1
    assert parked(s) == [f"read {event}"]
    well(s)
    s.sandbox.faults.clear()
    s.later(again=2, hours=24)
    assert len(s.block_times()) == 2
    assert parked(s) == []
    s.in_step()


@pytest.mark.spread
@both
@every_refusal
def test_what_a_comparison_misses_stays_until_it_is_shown_again(
    stage: Make, platform: Platform, refusal: str
) -> None:
    s = stage(platform=platform)
    s.visit(days=2)
    event = s.busy(days=5)
    s.run()
    mirror = s.calendar.mirrors(ME)[0].id
    for each in (event, mirror):
        s.calendar.delete_event(ME, each)
    s.calendar.expire_sync_tokens(ME)
    refuse(s, refusal, f"/events/({event}|{mirror})$")
    s.visit(days=3)
    for _ in range(3):
        assert s.later(minutes=5).failed == []
    assert len(s.block_times()) == 1
    assert len(s.mirror_times()) == 1, "the new visit's"
    assert sorted(parked(s)) == sorted([f"read {event}", f"read {mirror}"])
    well(s)
    s.sandbox.faults.clear()
    s.later(again=2, hours=24)
    assert (len(s.block_times()), len(s.mirror_times())) == (0, 2)
    assert parked(s) == []
    s.in_step()


@both
def test_at_the_first_fill_too(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform)
    series = s.series(rule="FREQ=DAILY;COUNT=4")
    s.visit()
    refuse(s, "403", f"/events/({series}|[^/]+/instances$)")
    assert s.run().failed == []
    assert (len(s.block_times()), len(s.mirror_times())) == (4, 1)
    well(s)


@both
def test_a_mailbox_that_is_closed_while_it_is_read_is_no_item(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    series = s.series()
    s.run()
    s.calendar.rename(ME, series, "Another name")
    refuse(s, "403", "/instances")
    # The list has answered; the look that asks whose refusal it was, does not.
    look = "/events$" if platform is Platform.GOOGLE else "/calendar$"
    listed = 2 if platform is Platform.GOOGLE else 0
    s.fault(platform.value, "status", "GET", look, code=403, times=None, after=listed)
    result = s.later()
    assert [outcome.user_id for outcome in result.failed] == [s.ids["dana"]]
    assert parked(s) == []
    s.sandbox.faults.clear()
    s.later(minutes=5)
    s.in_step()


@both
def test_a_series_that_changes_is_tried_again_at_once(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform)
    series = s.series(rule="FREQ=DAILY;COUNT=4")
    s.run()
    refuse(s, "500", "/instances")
    s.calendar.rename(ME, series, "Another name")
    s.later(again=3)
    assert parked(s) == [f"read {series}"]
    s.sandbox.faults.clear()
    s.calendar.change_rule(ME, series, "FREQ=DAILY;COUNT=2")
    s.later()
    assert len(s.block_times()) == 2
    assert parked(s) == []


@both
def test_a_mirror_that_may_not_be_written_holds_up_no_other(
    stage: Make, platform: Platform
) -> None:
    """Its refusal is not the mailbox's, which takes the others."""
    s = stage(platform=platform)
    visits = [s.meeting(days=day) for day in (2, 3, 4)]
    s.run()
    refused = next(each.id for each in s.calendar.mirrors(ME) if each.start == s.at(2, 9))
    s.fault(platform.value, "status", path=f"/events/{refused}$", code=403, times=None)
    for number, visit in enumerate(visits):
        s.move(visit.id, 2 + number, 16)
    s.later(again=5)
    assert sorted(start for start, _ in s.mirror_times()) == [s.at(2, 9), s.at(3, 16), s.at(4, 16)]
    assert [item.step for item in parked_items(s.store, platform)] == ["update_mirror"]
    well(s)
    s.sandbox.faults.clear()
    s.later(again=2, hours=2)
    assert [start for start, _ in s.mirror_times()] == [s.at(day, 16) for day in (2, 3, 4)]
    s.in_step()
