"""The fault table: what goes wrong on the way, and that everything is in step afterwards."""

import contextlib
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from calendar_sync.core.errors import SyncError
from calendar_sync.core.model import Platform
from calendar_sync.insight.activity import Asked
from calendar_sync.insight.activity import page as activity_page
from tests.engine.cycle.stage import Stage, mail
from tests.harness import Killed

Make = Callable[..., Stage]
SELF = mail("dana")
VERBS = {"google": ("GET", "POST", "PATCH", "DELETE"), "welkin": ("GET", "POST", "PATCH", "DELETE")}
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("reset_before", {}),
    ("reset_after", {}),
    ("timeout_before", {}),
    ("timeout_after", {}),
    ("truncated_json", {}),
    ("html", {}),
    ("html", {"code": 502}),
    ("empty_200", {}),
    ("token_expired", {}),
    ("status", {"code": 500}),
    ("status", {"code": 503, "retry_after": 7}),
    ("status", {"code": 504, "committed": True}),
    ("status", {"code": 429, "retry_after": 3}),
    ("status", {"code": 429, "retry_after": "date:9"}),
    ("status", {"code": 429, "retry_after": "soon"}),
    ("status", {"code": 429, "retry_after": 10**12}),
    ("status", {"code": 429}),
]


def everything(s: Stage) -> tuple[list[Any], list[Any]]:
    """A scenario that uses every verb on both sides; two visits and two blocks remain."""
    gone, moved = s.visit(days=1), s.visit(days=2)
    free, shifted = s.busy(days=1), s.busy(days=2)
    s.later()
    s.welkin.delete_event(gone.event_id)
    s.move(moved.event_id, 3, 9)
    s.visit(days=4)
    s.google.delete_event(SELF, free)
    s.google.move_event(SELF, shifted, s.at(3, 14), s.at(3, 15))
    s.busy(days=4)
    wanted = [(s.at(day, 9), s.at(day, 10)) for day in (3, 4)]
    blocked = [(s.at(day, 14), s.at(day, 15)) for day in (3, 4)]
    return wanted, blocked


def settle(s: Stage, passes: int = 5) -> None:
    for _ in range(passes):
        try:
            s.later(hours=2)
        except SyncError:
            continue


@pytest.mark.spread
@pytest.mark.parametrize("service", ["google", "welkin"])
@pytest.mark.parametrize(("kind", "details"), KINDS, ids=lambda value: str(value))
def test_whatever_breaks_everything_is_in_step_soon_and_no_conflict_is_made_up(
    stage: Make, service: str, kind: str, details: dict[str, Any]
) -> None:
    s = stage()
    s.run()
    wanted, blocked = everything(s)
    # Each absurd Retry-After is obeyed for six hours: once for each verb is a day.
    absurd = details.get("retry_after") == 10**12
    times = 1 if absurd else 2
    faults = [s.fault(service, kind, method, times=times, **details) for method in VERBS[service]]
    settle(s, 15 if absurd else 5)
    assert all(fault.struck for fault in faults)
    s.sandbox.faults.clear()
    assert s.mirror_times() == wanted
    assert s.block_times() == blocked
    assert s.conflicts() == []
    s.in_step()


@pytest.mark.spread
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("request_number", range(1, 34, 3))
def test_killed_at_any_request_the_next_run_ends_in_the_same_state(
    stage: Make, request_number: int, after: bool
) -> None:
    s = stage()
    s.run()
    wanted, blocked = everything(s)
    s.clock.advance(minutes=2)
    s.transport.kill_at = s.transport.count + request_number
    s.transport.kill_after = after
    with contextlib.suppress(Killed):
        s.run()
    s.transport.revive()
    s.clock.advance(minutes=2)
    s.run()
    s.later()
    assert s.mirror_times() == wanted
    assert s.block_times() == blocked
    s.in_step()


@pytest.mark.parametrize("kind", ["reset_after", "timeout_after"])
def test_a_create_whose_answer_is_lost_is_not_made_twice(stage: Make, kind: str) -> None:
    s = stage()
    s.visit()
    s.busy()
    s.fault("google", kind, "POST", "/events", times=1)
    s.fault("welkin", kind, "POST", "/calendar/events", times=1)
    s.run()
    assert len(s.mirrors()) == len(s.blocks()) == 1
    assert len([e for e in s.welkin.events.values() if e.type == "LEAVE"]) == 1
    assert s.asked("welkin.events.create") == 1
    s.in_step()


def test_a_mirror_that_exists_although_its_creation_failed_is_taken_over(stage: Make) -> None:
    s = stage()
    s.visit()
    s.fault("google", "status", "POST", "/events", code=503, committed=True, times=1)
    s.run()
    assert len(s.mirrors()) == 1
    assert s.asked("google.events.insert", status=409) == 1
    assert [link.generation for link in s.links()] == [1]


def test_an_expired_cursor_means_a_full_read_and_nothing_is_lost(stage: Make) -> None:
    s = stage()
    s.busy(hour=14)
    gone = s.busy(hour=16)
    s.visit()
    s.run()
    s.google.expire_sync_tokens(SELF)
    s.google.delete_event(SELF, gone)
    s.busy(hour=18)
    before = s.position
    s.later()
    assert s.asked("google.events.list", before, status=410) >= 1
    assert [block.start for block in s.blocks()] == [s.at(1, 14), s.at(1, 18)]
    assert len(s.mirrors()) == 1
    s.in_step()


def test_a_mirror_that_changed_while_it_was_written_is_read_and_written_again(stage: Make) -> None:
    s = stage()
    visit = s.visit()
    s.run()
    s.fault("google", "status", "PATCH", code=412, reason="conditionNotMet", times=1)
    s.move(visit.event_id, 2, 9)
    s.later()
    assert s.mirror_times() == [(s.at(2, 9), s.at(2, 10))]
    assert s.state().failures == 0
    s.in_step()


def test_a_mirror_that_keeps_changing_is_left_for_the_next_cycle(stage: Make) -> None:
    s = stage()
    visit = s.visit()
    s.run()
    s.fault("google", "status", "PATCH", code=412, reason="conditionNotMet", times=5)
    s.move(visit.event_id, 2, 9)
    s.later()
    s.later()
    assert s.mirror_times() == [(s.at(2, 9), s.at(2, 10))]


def test_a_list_without_a_cursor_is_not_believed(stage: Make) -> None:
    s = stage()
    s.busy()
    fault = s.fault("google", "no_cursor", "GET", "/events$", times=1)
    s.run()
    assert fault.struck == 1
    s.later(minutes=5)
    assert len(s.blocks()) == 1
    s.in_step()


@pytest.mark.parametrize("kind", ["repeated_page", "reordered_page"])
@pytest.mark.parametrize("service", ["google", "welkin"])
def test_repeated_and_reordered_pages_lose_nothing(stage: Make, service: str, kind: str) -> None:
    s = stage()
    for hour in range(8, 16):
        s.visit(days=1, hour=hour)
        s.busy(days=2, hour=hour)
    s.fault(service, kind, "GET", "/events$|/CALENDAR_EVENT", times=6, after=1)
    settle(s, 3)
    assert len(s.mirrors()) == len(s.blocks()) == 8
    s.sandbox.faults.clear()
    s.in_step()


def test_empty_pages_with_a_successor_are_followed(stage: Make) -> None:
    s = stage()
    assert s.google.unfriendly
    for number in range(40):
        s.busy(days=1 + number // 8, hour=8 + number % 8)
    s.run()
    assert len(s.blocks()) == 40


def test_welkin_that_cannot_be_reached_fails_the_pass_and_nothing_else(stage: Make) -> None:
    s = stage()
    s.visit()
    s.run()
    s.fault("welkin", "status", code=503, times=None)
    with pytest.raises(SyncError):
        s.later()
    s.sandbox.faults.clear()
    s.later(minutes=5)
    s.in_step()


def test_a_failure_waits_longer_each_time_but_never_more_than_six_hours(stage: Make) -> None:
    s = stage()
    s.visit()
    s.run()
    s.visit()
    s.fault("welkin", "status", "GET", "/calendar/events", code=503, times=None)
    waits = []
    for _ in range(12):
        s.run()
        state = s.state()
        assert state.retry_at is not None
        waits.append(state.retry_at - s.clock.now())
        s.clock.advance((state.retry_at - s.clock.now()).total_seconds() + 1)
    assert all(after > before - timedelta(seconds=9) for before, after in pairwise(waits))
    assert waits[0] <= timedelta(minutes=1)
    assert timedelta(hours=5, minutes=59) < waits[-1] <= timedelta(hours=6)
    assert s.state().attention
    s.sandbox.faults.clear()
    s.run()
    assert len(s.mirrors()) == 2
    assert s.state().failures == 0


def test_an_absurd_retry_after_is_bounded(stage: Make) -> None:
    s = stage()
    s.run()
    s.visit()
    s.fault("google", "status", "POST", "/events", code=429, retry_after=10**9, times=None)
    s.later()
    retry_at = s.state().retry_at
    assert retry_at is not None
    assert retry_at - s.clock.now() <= timedelta(hours=6, minutes=1)


def test_a_short_retry_after_is_waited_for_within_the_cycle(stage: Make) -> None:
    s = stage()
    s.run()
    s.visit()
    s.fault("google", "status", "POST", "/events", code=429, retry_after=8, times=1)
    begun = s.clock.now()
    s.later(seconds=70)
    assert len(s.mirrors()) == 1
    assert s.state().failures == 0
    assert s.clock.now() - begun >= timedelta(seconds=78)


def test_a_token_that_expires_in_the_middle_of_a_read_is_renewed_once(stage: Make) -> None:
    s = stage()
    for number in range(30):
        s.busy(days=1 + number // 8, hour=8 + number % 8)
    s.fault("google", "token_expired", "GET", "/events$", times=1)
    s.fault("welkin", "token_expired", "GET", "/calendar/events$", after=2, times=1)
    result = s.run()
    assert result.failed == []
    assert len(s.blocks()) == 30
    assert s.asked("google.token") == 2


def test_a_block_that_vanished_before_its_removal_is_a_success(stage: Make) -> None:
    s = stage()
    event = s.busy()
    s.run()
    s.google.delete_event(SELF, event)
    s.fault("welkin", "status", "DELETE", code=404, times=1)
    s.later()
    assert s.state().failures == 0


@pytest.mark.parametrize("code", [404, 410])
def test_a_mirror_that_vanished_before_its_removal_is_a_success(stage: Make, code: int) -> None:
    s = stage()
    visit = s.visit()
    s.run()
    [mirror] = s.mirrors()
    s.google.delete_event(SELF, mirror["id"])
    s.welkin.cancel_event(visit.event_id)
    s.fault("google", "status", "DELETE", code=code, reason="deleted", times=1)
    s.later()
    assert s.state().failures == 0
    s.in_step()


@pytest.mark.parametrize("platform", list(Platform))
def test_every_try_that_failed_stands_in_the_users_timeline(
    stage: Make, platform: Platform
) -> None:
    s = stage("dana", "ruben", platform=platform)
    s.visit()
    s.run()
    s.calendar.revoke(SELF)
    for number in range(5):
        s.visit(days=2 + number)
        s.later(hours=7)
    assert s.state().failures == 5
    tried = activity_page(s.store, Asked(user=s.ids["dana"], outcome="failed")).entries
    assert [entry.reason for entry in tried] == [f"try {number}" for number in (5, 4, 3, 2, 1)]
    assert {(entry.step, entry.outcome) for entry in tried} == {("sync", s.state().error_code)}
    assert {entry.account for entry in tried} == {SELF}
    s.calendar.restore(SELF)
    s.later(hours=7)
    assert s.state().failures == 0
    assert activity_page(s.store, Asked(outcome="failed")).entries == tried
    s.store.audit.seal("run", s.clock.now())
    assert s.store.audit.verify() == []
