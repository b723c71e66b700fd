"""A removal is believed when the server says so, never because something was not found once."""

import asyncio
from collections.abc import Callable

import pytest

from calendar_sync.core.model import LinkState, Platform
from calendar_sync.operations.unsync import Unsynced, disable, standing, unsync
from calendar_sync.sync.services import Services
from tests.engine.cycle.stage import Stage, mail

Make = Callable[..., Stage]
SELF = mail("dana")
EVENT = r"/events/[^/]+$"


def take_back(s: Stage) -> list[Unsynced]:
    """Un-sync everybody."""

    async def work(services: Services) -> list[Unsynced]:
        rows = standing(services.store, [s.platform])
        disable(services, rows, "tests")
        revision = services.store.config.revision()
        return await unsync(services, revision, rows, run_id="u", owner="u")

    found: list[Unsynced] = asyncio.run(s.with_services(work))
    return found


BOTH = pytest.mark.parametrize("platform", list(Platform), ids=str)


@BOTH
@pytest.mark.parametrize("method", ["DELETE", "GET"])
def test_a_cancelled_visit_goes_though_a_replica_denies_its_mirror_once(
    stage: Make, platform: Platform, method: str
) -> None:
    s = stage(platform=platform)
    visit = s.visit()
    s.run()
    s.welkin.cancel_event(visit.event_id)
    s.fault(platform.value, "status", "DELETE", EVENT, times=1, code=404)
    if method == "GET":
        s.fault(platform.value, "status", "GET", EVENT, times=1, code=404)
        s.run()
        # Made less than a minute ago: both answers may lag.
        s.clock.advance(seconds=20)
        s.run()
    s.later()
    assert s.mirror_times() == []
    s.in_step()


@BOTH
def test_a_mirror_that_two_wrong_answers_have_hidden_goes_with_the_daily_comparison(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    visit = s.visit()
    s.run()
    s.welkin.cancel_event(visit.event_id)
    for method in ("DELETE", "GET"):
        s.fault(platform.value, "status", method, EVENT, times=None, code=404)
    s.later()
    s.sandbox.faults.clear()
    assert len(s.mirror_times()) == 1
    assert s.links("dana", LinkState.DELETED)
    s.later(hours=29)
    assert s.mirror_times() == []
    assert s.store.runs.pending() == []
    s.in_step()


@BOTH
def test_a_block_that_two_wrong_answers_have_hidden_goes_with_the_daily_comparison(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    event = s.busy(days=5)
    s.run()
    s.calendar.delete_event(SELF, event)
    for method in ("DELETE", "GET"):
        s.fault("welkin", "status", method, EVENT, times=None, code=404)
    s.later()
    s.sandbox.faults.clear()
    assert len(s.blocks()) == 1
    s.later(hours=29)
    assert s.blocks() == []
    assert s.store.runs.pending() == []
    s.in_step()


@BOTH
def test_a_visit_that_is_taken_back_meanwhile_stands_once(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform)
    visit = s.meeting()
    s.run()
    s.welkin.cancel_event(visit.id)
    for method in ("DELETE", "GET"):
        s.fault(platform.value, "status", method, EVENT, times=None, code=404)
    s.later()
    s.sandbox.faults.clear()
    s.welkin.uncancel_event(visit.id)
    s.later()
    s.later(hours=29)
    assert s.mirror_times() == [(s.at(0, 9), s.at(0, 10))]
    s.in_step()


@BOTH
def test_one_item_that_cannot_be_removed_holds_up_nothing_else(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    visits = [s.visit(days=day) for day in (1, 2)]
    s.run()
    [first, _] = sorted(s.calendar.mirrors(SELF), key=lambda seen: str(seen.start))
    for visit in visits:
        s.welkin.cancel_event(visit.event_id)
    s.visit(days=3)
    s.fault(platform.value, "status", "DELETE", f"/events/{first.id}$", times=None, code=404)
    s.later(again=4)
    assert s.mirror_times() == [(s.at(1, 9), s.at(1, 10)), (s.at(3, 9), s.at(3, 10))]
    assert s.state().failures == 0
    s.sandbox.faults.clear()
    s.later(hours=2)
    assert s.mirror_times() == [(s.at(3, 9), s.at(3, 10))]
    s.in_step()


@BOTH
def test_leavers_and_former_accounts_are_cleared_though_a_replica_denies_it(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    s.visit()
    s.busy()
    s.run()
    s.calendar.add_account(mail("other"))
    s.remap(dana={"account": mail("other")})
    s.fault(platform.value, "status", "DELETE", EVENT, times=1, code=404)
    s.fault("welkin", "status", "DELETE", EVENT, times=1, code=404)
    s.later()
    s.later()
    assert (len(s.mirror_times()), len(s.mirror_times("other")), s.blocks()) == (0, 1, [])
    s.remap("dana")
    s.fault(platform.value, "status", "DELETE", EVENT, times=1, code=404)
    s.later()
    s.later()
    assert s.mirror_times("other") == []


def test_a_cancellation_that_welkin_denies_is_not_reported_as_done(stage: Make) -> None:
    s = stage(settings={"mirror_deleted": "cancel"})
    visit = s.meeting()
    s.run()
    s.calendar.delete_event(SELF, s.calendar.mirrors(SELF)[0].id)
    s.fault("welkin", "status", "PATCH", EVENT, times=None, code=404)
    s.later()
    assert not s.welkin.events[visit.id].status.startswith("CANCEL")
    assert ("mirror_deleted", "refused_and_restored") in s.conflicts()
    s.sandbox.faults.clear()
    s.clock.advance(minutes=2)
    assert s.mirror_times() == [(s.at(1, 9), s.at(1, 10))]


@BOTH
def test_un_sync_waits_for_what_is_denied_though_it_was_made_a_moment_ago(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    s.visit()
    s.run()
    for method in ("DELETE", "GET"):
        s.fault(platform.value, "status", method, EVENT, times=1, code=404)
    [result] = take_back(s)
    assert result.clean, result
    assert s.mirror_times() == []
