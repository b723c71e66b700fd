"""Lists of changes that are broken beside a calendar that can be read; calendars that vanish."""

from collections.abc import Callable

import httpx
import pytest

from calendar_sync.core.model import Platform
from calendar_sync.insight.attention import parked_items
from tests.engine.cycle.stage import Stage, mail

Make = Callable[..., Stage]
ME = mail("dana")
both = pytest.mark.parametrize("platform", list(Platform), ids=str)


def followed(request: httpx.Request) -> bool:
    """It asks what has changed since a cursor; or for a first cursor, which Graph gives apart."""
    return "syncToken" in request.url.params or request.url.path.endswith("/delta")


def break_lists(s: Stage, code: int) -> Callable[[], None]:
    """From now on no list of changes answers; returns what mends it."""
    inner = s.transport.handle_async_request

    async def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "GET" and followed(request):
            s.broken += 1  # type: ignore[attr-defined]
            return httpx.Response(code, json={"error": {"code": "UnknownError"}})
        return await inner(request)

    def mend() -> None:
        s.transport.handle_async_request = inner  # type: ignore[method-assign]

    s.broken = 0  # type: ignore[attr-defined]
    s.transport.handle_async_request = handle  # type: ignore[method-assign]
    return mend


def shown(s: Stage) -> list[tuple[str, str]]:
    return [(item.step, item.source.id) for item in parked_items(s.store, s.platform)]


@both
@pytest.mark.parametrize("code", [500, 504])
def test_a_calendar_that_can_be_read_is_in_step_although_its_changes_cannot(
    stage: Make, platform: Platform, code: int
) -> None:
    s = stage(platform=platform)
    s.run()
    mend = break_lists(s, code)
    s.clock.advance(minutes=2)
    event = s.busy(days=3)
    s.visit()
    s.later(minutes=3, again=6)
    assert len(s.block_times()) == len(s.mirror_times()) == 1
    assert shown(s) == [("follow", "primary")]
    state = s.state()
    assert (state.failures, state.attention, state.marked) == (0, False, False)
    # Less often, and each time the whole: what is new and what is gone.
    s.calendar.move_event(ME, event, s.at(4, 14), s.at(4, 15))
    s.later(minutes=4, again=4)
    assert s.block_times() == [(s.at(4, 14), s.at(4, 15))]
    before = s.position
    s.later(again=4)
    reads = [e for e in s.sandbox.requests.since(before) if e.service == platform.value]
    assert len(reads) <= 4
    s.calendar.delete_event(ME, event)
    s.later(minutes=4, again=4)
    assert s.block_times() == []
    # It works again: back to it, without anybody's help.
    mend()
    s.later(minutes=6, again=3)
    assert shown(s) == []
    s.busy(days=5)
    s.later()
    assert len(s.block_times()) == 1
    s.in_step()


def test_a_mailbox_whose_changes_never_could_be_read_is_filled(stage: Make) -> None:
    s = stage(platform=Platform.MICROSOFT)
    break_lists(s, 504)
    s.busy()
    s.visit()
    s.later(minutes=5, again=4)
    assert len(s.block_times()) == len(s.mirror_times()) == 1
    assert s.state().failures == 0
    assert shown(s) == [("follow", "primary")]


@both
def test_an_outage_of_everything_is_no_broken_list(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform)
    s.run()
    s.fault(platform.value, "status", code=503, times=None)
    s.later(minutes=3, again=6)
    assert shown(s) == []
    s.sandbox.faults.clear()
    s.busy()
    s.later(minutes=5)
    assert len(s.block_times()) == 1
    s.in_step()


# --- further calendars ----------------------------------------------------------------------------


def with_team(stage: Make, platform: Platform) -> tuple[Stage, str]:
    s = stage(platform=platform)
    team = str(s.calendar.add_calendar(ME, "Team").id)
    s.document = {"calendars": {platform.value: {"busy": ["primary", team]}}}
    s.busy(hour=14)
    s.busy(hour=16, calendar=team)
    s.run()
    assert len(s.block_times()) == 2
    return s, team


def hide(s: Stage, team: str) -> None:
    path = f"/calendars/{team}/"
    s.fault(s.platform.value, "status", "GET", path, code=404, times=None)


@both
def test_a_further_calendar_that_is_not_found_for_a_moment_keeps_its_blocks(
    stage: Make, platform: Platform
) -> None:
    s, team = with_team(stage, platform)
    before = s.block_times()
    hide(s, team)
    s.visit()
    s.busy(days=2)
    for _ in range(4):
        assert s.later(minutes=5).failed == []
    assert set(before) < set(s.block_times())
    assert len(s.mirror_times()) == 1
    assert shown(s) == [("read", team)]
    s.sandbox.faults.clear()
    s.busy(days=3, hour=16, calendar=team)
    s.later(minutes=5)
    assert len(s.block_times()) == 4
    assert shown(s) == []
    s.in_step()


@both
def test_a_further_calendar_that_stays_away_is_believed_to_be_gone(
    stage: Make, platform: Platform
) -> None:
    s, team = with_team(stage, platform)
    hide(s, team)
    if platform is Platform.MICROSOFT:
        s.fault("microsoft", "status", "GET", "/events/", code=404, times=None)
    s.later(minutes=10, again=5)
    assert len(s.block_times()) == 2
    s.later(minutes=10, again=4)
    assert s.block_times() == [(s.at(1, 14), s.at(1, 15))]
    assert shown(s) == []
    before = s.position
    s.later(again=3)
    reads = [e for e in s.sandbox.requests.since(before) if e.service == platform.value]
    assert len(reads) == 3, "asked for once a day from now on"


@both
def test_a_calendar_that_somebody_never_had_costs_nothing(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform)
    s.document = {"calendars": {platform.value: {"busy": ["primary", "nobody-has-this"]}}}
    s.busy()
    s.run()
    assert len(s.block_times()) == 1
    before = s.position
    s.later(again=3)
    assert len([e for e in s.sandbox.requests.since(before) if e.service == platform.value]) == 3
    assert shown(s) == []
