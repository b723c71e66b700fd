"""Users of whom only busy times are read: blocks come and go, and no event is ever asked for."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Direction, Platform
from calendar_sync_sandbox.google.delegation import SCOPE
from calendar_sync_sandbox.microsoft.directory import READ_CALENDARS
from tests.engine.cycle.stage import HOUR, Stage, mail

Make = Callable[..., Stage]
both = pytest.mark.parametrize("platform", list(Platform))
ONLY_BUSY = {"block_time": {"source": "free_busy"}}
#: All that a free/busy question is called in the request log.
ASKED = {"google.freebusy.query", "microsoft.schedule.get"}


def make(stage: Make, platform: Platform, *names: str, **more: Any) -> Stage:
    """An organisation that has given no right but the least."""
    s = stage(*(names or ("dana",)), platform=platform, settings=ONLY_BUSY | more)
    s.google.delegation.authorised_scopes = frozenset({SCOPE + "calendar.freebusy"})
    s.microsoft.directory.roles = {READ_CALENDARS}
    return s


@both
def test_busy_times_are_blocked_with_the_least_rights(stage: Make, platform: Platform) -> None:
    s = make(stage, platform)
    s.meeting()
    s.busy(hour=14)
    s.busy(days=80, hour=9)
    s.run()
    assert s.block_times() == [(s.at(1, 14), s.at(1, 15)), (s.at(80, 9), s.at(80, 10))]
    assert s.mirror_times() == []
    kinds = {e.kind for e in s.sandbox.requests if e.service == platform.value}
    assert kinds <= ASKED | {"google.token", "microsoft.discovery", "microsoft.token"}
    s.in_step()


@both
def test_blocks_follow_what_changes(stage: Make, platform: Platform) -> None:
    s = make(stage, platform)
    kept = s.busy(hour=14)
    moved = s.busy(days=2, hour=9)
    s.run()
    s.calendar.move_event(mail("dana"), moved, s.at(2, 16), s.at(2, 17))
    s.calendar.move_event(mail("dana"), kept, s.at(1, 14), s.at(1, 16))
    s.busy(days=3)
    s.later(again=3)
    assert s.block_times() == [
        (s.at(1, 14), s.at(1, 16)),
        (s.at(2, 16), s.at(2, 17)),
        (s.at(3, 14), s.at(3, 15)),
    ]
    s.calendar.delete_event(mail("dana"), kept)
    s.later(again=3)
    assert len(s.block_times()) == 2
    s.in_step()


@both
def test_touching_events_have_one_block(stage: Make, platform: Platform) -> None:
    s = make(stage, platform)
    s.busy(hour=13)
    s.busy(hour=14)
    s.busy(hour=14)
    s.run()
    assert s.block_times() == [(s.at(1, 13), s.at(1, 15))]


@both
def test_nothing_new_costs_a_few_questions_and_no_cycle(stage: Make, platform: Platform) -> None:
    s = make(stage, platform)
    s.busy()
    s.run()
    s.later(again=2)
    before = s.position
    s.later()
    assert s.wrote(before, "welkin") == []
    asked = [e for e in s.sandbox.requests.since(before) if e.kind in ASKED]
    assert len(asked) == 3, "sixty days each"
    assert s.asked("welkin.events.list", before) == 0


@both
def test_a_long_absence_keeps_its_block_while_time_goes_by(stage: Make, platform: Platform) -> None:
    s = make(stage, platform)
    s.calendar.add_event(mail("dana"), start=s.at(-20, 9), end=s.at(20, 9))
    s.run()
    [first] = s.blocks()
    for _ in range(10):
        s.clock.advance(days=1)
        s.run()
    [block] = s.blocks()
    assert (block.id, block.end) == (first.id, s.at(10, 9))
    s.in_step()


def test_a_sudden_emptiness_asks_before_it_deletes_everything(stage: Make) -> None:
    s = make(stage, Platform.GOOGLE)
    events = [s.busy(days=day) for day in range(1, 41)]
    s.run()
    assert len(s.blocks()) == 40
    for event in events:
        s.calendar.delete_event(mail("dana"), event)
    s.later(again=3)
    assert len(s.blocks()) == 40
    assert [one.count for one in s.store.runs.pending()] == [40]


@both
def test_an_account_that_hides_its_times_fails_alone(stage: Make, platform: Platform) -> None:
    s = make(stage, platform, "dana", "ruben")
    for name in s.ids:
        s.busy(name)
    if platform is Platform.GOOGLE:
        s.google.account(mail("ruben")).state = "suspended"
    else:
        s.microsoft.hidden.add(mail("ruben"))
    s.run()
    assert [len(s.blocks(name)) for name in s.ids] == [1, 0]
    assert s.state("dana").failures == 0
    assert s.state("ruben").failures > 0 or s.state("ruben").poll_error


@both
def test_one_profile_may_show_busy_times_alone(stage: Make, platform: Platform) -> None:
    s = stage("dana", "ruben", platform=platform, settings={"profiles": {"busy": ONLY_BUSY}})
    s.remap(ruben={"profile": "busy", "direction": Direction.BIDIRECTIONAL})
    for name in s.ids:
        s.meeting(name)
        s.busy(name)
    s.run()
    assert [len(s.mirror_times(name)) for name in s.ids] == [1, 0]
    assert [len(s.blocks(name)) for name in s.ids] == [1, 1]
    s.in_step()


@both
def test_events_are_read_again_when_that_is_wanted(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform, settings=ONLY_BUSY)
    s.meeting()
    s.busy()
    s.busy(hour=15)
    s.run()
    assert len(s.blocks()) == 1
    s.document = {}
    s.later(again=3)
    assert s.block_times() == [(s.at(1, 14), s.at(1, 15)), (s.at(1, 15), s.at(1, 16))]
    assert len(s.mirror_times()) == 1
    s.in_step()


def test_the_end_of_the_window_moves_with_time(stage: Make) -> None:
    s = make(
        stage,
        Platform.GOOGLE,
        block_time={"source": "free_busy"},
        windows={"blocks_future_days": 30},
    )
    start = s.at(60, 9)
    s.calendar.add_event(mail("dana"), start=start, end=start + HOUR)
    s.run()
    assert s.blocks() == []
    s.clock.advance(days=40)
    s.run(full=True)
    assert [(b.start, b.end) for b in s.blocks()] == [(start, start + timedelta(hours=1))]


def test_the_self_test_needs_a_user_with_events(stage: Make) -> None:
    from calendar_sync.operations.selftest.choose import choose

    s = make(stage, Platform.GOOGLE)
    s.run()
    with pytest.raises(ConfigurationError, match="free_busy"):
        choose(s.store, [Platform.GOOGLE], None, None, s.clock.now())
