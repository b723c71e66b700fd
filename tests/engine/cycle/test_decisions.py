"""What a person decides about a conflict is what the next run does, and no more."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from calendar_sync.core.errors import ConfigurationError, LeaseHeld
from calendar_sync.core.model import Direction, LinkState, Platform
from calendar_sync.insight.attention import (
    Choice,
    count_conflicts,
    decisions,
    open_conflicts,
    parked_items,
)
from calendar_sync.operations.deciding import decide, try_again
from calendar_sync.state import tables as t
from tests.engine.cycle.stage import Stage, mail

Make = Callable[..., Stage]
SELF = mail("dana")
AUTHOR = "airflow:jo"
REPORT = {"mirror_moved": "report", "mirror_deleted": "report", "both_changed": "report"}
BOTH = pytest.mark.parametrize("platform", list(Platform))


def only(s: Stage) -> str:
    [mirror] = s.calendar.mirrors(SELF)
    return str(mirror.id)


def choose(s: Stage, choice: Choice) -> None:
    [found] = open_conflicts(s.store, s.clock.now())
    decide(s.store, found.id, choice, AUTHOR, s.clock.now())
    assert open_conflicts(s.store, s.clock.now()) == []


def moved(s: Stage) -> None:
    s.visit()
    s.run()
    s.calendar.move_event(SELF, only(s), s.at(2, 12), s.at(2, 13))
    s.later()
    assert s.mirror_times() == [(s.at(2, 12), s.at(2, 13))]


@BOTH
def test_welkin_applied_again_puts_a_moved_mirror_back(stage: Make, platform: Platform) -> None:
    s = stage(settings=REPORT, platform=platform)
    moved(s)
    choose(s, Choice.REAPPLY_WELKIN)
    s.later()
    assert s.mirror_times() == [(s.at(1, 9), s.at(1, 10))]
    assert s.conflicts() == [("mirror_moved", "reported")]
    assert count_conflicts(s.store) == 0
    assert s.wrote(service="welkin") == []
    s.in_step()


@BOTH
def test_welkin_applied_again_makes_a_deleted_mirror_again(stage: Make, platform: Platform) -> None:
    s = stage(settings=REPORT, platform=platform)
    s.visit()
    s.run()
    s.calendar.delete_event(SELF, only(s))
    s.later()
    assert s.mirror_times() == []
    choose(s, Choice.REAPPLY_WELKIN)
    s.later()
    assert s.mirror_times() == [(s.at(1, 9), s.at(1, 10))]
    s.in_step()


def test_welkin_applied_again_ends_a_reported_double_change(stage: Make) -> None:
    s = stage(settings=REPORT)
    visit = s.visit()
    s.run()
    s.google.move_event(SELF, only(s), s.at(2, 12), s.at(2, 13))
    s.move(visit.event_id, 3, 9)
    s.later()
    assert s.conflicts() == [("both_changed", "reported")]
    choose(s, Choice.REAPPLY_WELKIN)
    s.later()
    assert s.mirror_times() == [(s.at(3, 9), s.at(3, 10))]
    s.in_step()


def test_a_mirror_parked_after_three_restores_comes_back_and_is_counted_from_zero(
    stage: Make,
) -> None:
    s = stage()
    s.visit(days=5)
    s.run()
    for _ in range(4):
        s.google.delete_event(SELF, only(s))
        s.later()
    assert s.mirrors() == []
    choose(s, Choice.REAPPLY_WELKIN)
    s.later()
    s.google.delete_event(SELF, only(s))
    s.later()
    assert len(s.mirrors()) == 1
    s.in_step()


def test_left_as_it_is_nothing_is_written(stage: Make) -> None:
    s = stage(settings=REPORT)
    moved(s)
    before = s.position
    choose(s, Choice.ACCEPT)
    s.later(again=2)
    assert s.wrote(before) == []
    assert s.mirror_times() == [(s.at(2, 12), s.at(2, 13))]


def test_a_newer_edit_after_a_decision_is_a_conflict_again(stage: Make) -> None:
    s = stage(settings=REPORT)
    moved(s)
    choose(s, Choice.ACCEPT)
    s.google.move_event(SELF, only(s), s.at(4, 12), s.at(4, 13))
    s.later()
    assert count_conflicts(s.store) == 1


@pytest.mark.parametrize("how", ["moved", "deleted"])
def test_the_calendar_applied_again_restores_a_block(stage: Make, how: str) -> None:
    s = stage(settings={"block_time": {"block_edited": "accept"}})
    s.busy()
    s.run()
    [block] = s.blocks()
    s.move(block.id, 2, 8) if how == "moved" else s.welkin.delete_event(block.id)
    s.later()
    choose(s, Choice.REAPPLY_CALENDAR)
    s.later()
    assert s.block_times() == [(s.at(1, 14), s.at(1, 15))]
    s.in_step()


def test_what_is_settled_can_only_be_dismissed(stage: Make) -> None:
    s = stage()
    s.visit()
    s.run()
    s.google.move_event(SELF, only(s), s.at(2, 12), s.at(2, 13))
    s.later()
    [found] = open_conflicts(s.store, s.clock.now())
    assert found.choices == (Choice.DISMISS,)
    with pytest.raises(ConfigurationError, match="not possible"):
        decide(s.store, found.id, Choice.REAPPLY_WELKIN, AUTHOR, s.clock.now())
    before = s.position
    choose(s, Choice.DISMISS)
    s.later()
    assert s.wrote(before) == []
    with pytest.raises(ConfigurationError, match="no longer open"):
        decide(s.store, found.id, Choice.DISMISS, AUTHOR, s.clock.now())


def test_a_mirror_of_the_past_or_of_another_direction_is_not_made_again(stage: Make) -> None:
    s = stage(settings=REPORT)
    moved(s)
    s.store.config.save_settings(
        s.store.config.revision().settings.model_copy(
            update={"direction": {Platform.GOOGLE: Direction.CALENDAR_TO_WELKIN}}
        ),
        "tests",
        s.clock.now(),
    )
    [found] = open_conflicts(s.store, s.clock.now())
    assert found.choices == (Choice.ACCEPT,)
    s.store.config.save_settings(s.store.config.revision_of(0).settings, "tests", s.clock.now())
    [found] = open_conflicts(s.store, s.clock.now())
    assert found.choices == (Choice.ACCEPT, Choice.REAPPLY_WELKIN)
    [found] = open_conflicts(s.store, s.clock.now() + timedelta(days=30))
    assert found.choices == (Choice.ACCEPT,)


def test_while_a_cycle_runs_nothing_is_changed_under_it(stage: Make) -> None:
    s = stage(settings=REPORT)
    moved(s)
    [found] = open_conflicts(s.store, s.clock.now())
    [link] = s.links("dana", LinkState.LIVE)
    lease = s.store.leases.take(s.ids["dana"], "a worker", s.clock.now())
    with pytest.raises(LeaseHeld):
        decide(s.store, found.id, Choice.REAPPLY_WELKIN, AUTHOR, s.clock.now())
    assert s.links("dana", LinkState.LIVE) == [link]
    assert count_conflicts(s.store) == 1
    s.store.leases.release(lease, s.clock.now())
    choose(s, Choice.REAPPLY_WELKIN)


def test_every_decision_is_recorded_with_its_author_and_sealed(stage: Make) -> None:
    s = stage(settings=REPORT)
    moved(s)
    choose(s, Choice.REAPPLY_WELKIN)
    s.later()
    [one] = decisions(s.store)
    assert (one.author, one.choice, one.account) == (AUTHOR, "reapply_welkin", SELF)
    s.store.audit.seal("tests", s.clock.now())
    assert s.store.audit.verify() == []
    with s.database.write() as connection:
        connection.execute(
            t.operation.update().where(t.operation.c.step == "decision").values(run_id="else")
        )
    assert s.store.audit.verify() != []


def test_a_parked_item_is_tried_again_at_once(stage: Make) -> None:
    s = stage()
    s.fault("google", "status", "POST", "/events", code=400, times=None)
    s.visit(days=3)
    s.later(again=4)
    [item] = parked_items(s.store)
    s.sandbox.faults.clear()
    s.later()
    assert s.mirrors() == []
    try_again(s.store, item.user_id, item.platform, item.step, item.source, AUTHOR, s.clock.now())
    s.later()
    assert len(s.mirrors()) == 1
    assert parked_items(s.store) == []
    with pytest.raises(ConfigurationError, match="retried already"):
        try_again(
            s.store, item.user_id, item.platform, item.step, item.source, AUTHOR, s.clock.now()
        )
    with s.database.read() as connection:
        tried = select(func.count()).where(t.operation.c.reason == "try_again")
        assert connection.scalar(tried) == 1
