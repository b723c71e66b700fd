"""Servers that answer, for seconds, as if our last write had not been made."""

import contextlib
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.engine.cycle.stage import Stage, mail
from tests.harness import Killed
from tests.spread import third

Make = Callable[..., Stage]
SELF = mail("dana")


def lagging(s: Stage, seconds: float = 30.0) -> None:
    s.google.lag_seconds = s.welkin.read_lag_seconds = seconds


def settled(s: Stage) -> None:
    """The servers have caught up: everything is in step, and nobody is blamed for anything."""
    lagging(s, 0.0)
    s.later(again=2)
    assert s.conflicts() == []
    s.in_step()


def test_a_first_fill_over_several_cycles_makes_nothing_twice(stage: Make) -> None:
    s = stage(settings={"limits": {"max_cycle_writes": 5}})
    for number in range(12):
        s.visit(days=1 + number)
        s.busy(days=1 + number)
    lagging(s)
    s.later(again=12, seconds=5)
    assert len(s.mirrors()) == len(s.blocks()) == 12
    settled(s)
    assert len(s.mirrors()) == len(s.blocks()) == 12
    assert {link.generation for link in s.links()} == {1}


def test_a_full_comparison_right_after_a_write_believes_the_write(stage: Make) -> None:
    s = stage()
    visit, event = s.visit(), s.busy()
    s.run()
    s.later()
    lagging(s)
    s.move(visit.event_id, 2, 9)
    s.google.move_event(SELF, event, s.at(2, 14), s.at(2, 15))
    s.later(again=3, seconds=12)
    s.run(full=True)
    s.later(again=3, seconds=12)
    settled(s)
    assert s.mirror_times() == [(s.at(2, 9), s.at(2, 10))]
    assert s.block_times() == [(s.at(2, 14), s.at(2, 15))]


@pytest.mark.parametrize("side", ["mirror", "block"])
def test_what_is_deleted_right_after_we_wrote_it_is_restored_a_minute_later(
    stage: Make, side: str
) -> None:
    s = stage()
    s.visit()
    s.busy()
    s.run()
    if side == "mirror":
        s.google.delete_event(SELF, s.mirrors()[0]["id"])
    else:
        s.welkin.delete_event(s.blocks()[0].id)
    s.later(seconds=10)
    s.later(again=3, seconds=60)
    assert len(s.mirrors()) == len(s.blocks()) == 1
    assert [decision for _, decision in s.conflicts()] == ["restored"]
    s.in_step()


def test_a_clock_that_is_wrong_by_ten_minutes_doubts_nothing_for_ever(stage: Make) -> None:
    s = stage()
    s.visit()
    s.busy()
    s.run()
    s.welkin.backdate = timedelta(minutes=10)
    [block] = s.blocks()
    s.welkin.move_event(block.id, s.at(5, 9), s.at(5, 10))
    s.later(again=12, minutes=1)
    assert s.block_times() == [(s.at(1, 14), s.at(1, 15))]
    s.welkin.backdate = timedelta(0)
    s.in_step()


def test_what_a_feed_reported_before_the_window_read_showed_it_is_not_forgotten(
    stage: Make,
) -> None:
    s = stage()
    early, late = s.visit(days=1), s.visit(days=2)
    s.run()
    lagging(s)
    s.clock.advance(minutes=2)
    s.welkin.cancel_event(early.event_id)
    s.welkin.delete_event(late.event_id)
    s.visit(days=3)
    s.run()
    s.later(again=3, seconds=61)
    assert s.mirror_times() == [(s.at(3, 9), s.at(3, 10))]
    settled(s)


def test_looking_twice_costs_no_cycle_where_the_first_look_was_right(stage: Make) -> None:
    s = stage(settings={"encounter_types": {"exclude": ["etmp-follow-up"]}})
    s.run()
    s.later(again=2)
    s.visit(days=1)
    s.meeting(days=2)
    before = s.position
    s.later(again=6, seconds=61)
    assert s.asked("welkin.export.calendar_event", before) >= 6
    assert len(s.mirrors()) == 1
    one_window = 5  # requests of 90 days
    assert s.asked("welkin.events.list", before) == one_window


@pytest.mark.parametrize("request_number", third(range(1, 16)))
def test_killed_while_reads_lag_nothing_is_made_twice(stage: Make, request_number: int) -> None:
    s = stage()
    s.run()
    s.visit()
    s.busy()
    lagging(s)
    s.clock.advance(minutes=2)
    s.transport.kill_at, s.transport.kill_after = s.transport.count + request_number, True
    with contextlib.suppress(Killed):
        s.run()
    s.transport.revive()
    s.later(again=12, seconds=10)
    lagging(s, 0.0)
    s.later(again=2)
    assert len(s.mirrors()) == len(s.blocks()) == 1
    settled(s)


@pytest.mark.parametrize("kind", ["timeout_before", "timeout_after"])
def test_a_block_whose_answer_is_lost_while_reads_lag_is_made_once(stage: Make, kind: str) -> None:
    s = stage()
    s.run()
    s.busy()
    lagging(s)
    s.clock.advance(minutes=2)
    s.fault("welkin", kind, "POST", "/calendar/events")
    s.run()
    s.later(again=12, seconds=10)
    assert len(s.blocks()) == 1
    settled(s)


@pytest.mark.parametrize("request_number", third(range(1, 16)))
def test_a_block_whose_event_goes_before_it_shows_goes_too(
    stage: Make, request_number: int
) -> None:
    s = stage()
    s.run()
    event = s.busy()
    s.welkin.read_lag_seconds = 40.0
    s.clock.advance(minutes=2)
    s.transport.kill_at, s.transport.kill_after = s.transport.count + request_number, True
    with contextlib.suppress(Killed):
        s.run()
    s.transport.revive()
    s.google.delete_event(SELF, event)
    s.later(again=12, seconds=10)
    settled(s)
    assert s.blocks() == []


def test_an_appointment_is_rescheduled_although_the_read_back_lags(stage: Make) -> None:
    s = stage(settings={"mirror_moved": "reschedule"})
    s.meeting()
    s.run()
    s.later()
    [mirror] = s.mirrors()
    s.google.move_event(SELF, mirror["id"], s.at(3, 9), s.at(3, 10))
    s.welkin.read_lag_seconds = 30.0
    s.later()
    assert s.conflicts() == [("mirror_moved", "rescheduled")]
    s.later(again=2)
    s.welkin.read_lag_seconds = 0.0
    s.in_step()
    assert s.mirror_times() == [(s.at(3, 9), s.at(3, 10))]
