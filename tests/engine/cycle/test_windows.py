"""How much of a calendar one request may ask for is learnt, not believed."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from calendar_sync.state.runs import WELKIN, WINDOW_DAYS
from tests.engine.cycle.stage import Stage

Make = Callable[..., Stage]


def far(s: Stage) -> None:
    """Visits in the first and in the last part of the window."""
    s.visit(days=2)
    s.visit(days=300)


def one_change(s: Stage) -> int:
    """Window requests that one change costs; everything is in step afterwards."""
    visit = s.visit(days=3)
    s.later(again=2)
    before = s.position
    s.move(visit.event_id, 4, 9)
    s.later()
    asked = s.asked("welkin.events.list", before)
    assert (s.at(4, 9), s.at(4, 10)) in s.mirror_times()
    return asked


def learnt(s: Stage) -> object:
    return s.store.runs.facts(WELKIN).get(WINDOW_DAYS)


def test_a_window_that_answers_as_its_parts_do_costs_one_request_from_then_on(stage: Make) -> None:
    s = stage()
    far(s)
    s.run()
    assert learnt(s) == 398
    assert one_change(s) == 1


def test_daily_comparisons_go_on_in_parts(stage: Make) -> None:
    s = stage()
    far(s)
    s.run()
    before = s.position
    s.run(full=True)
    assert s.asked("welkin.events.list", before) == 5


def test_without_anything_far_away_nothing_is_concluded(stage: Make) -> None:
    s = stage()
    s.visit(days=2)
    s.run()
    assert learnt(s) is None
    assert one_change(s) == 5
    s.visit(days=300)
    s.later(hours=25)
    assert learnt(s) == 398


def test_a_window_that_is_cut_off_silently_is_not_trusted(stage: Make) -> None:
    s = stage()
    s.welkin.habits.cuts_windows = timedelta(days=180)
    far(s)
    s.run()
    assert learnt(s) is None
    assert one_change(s) == 5
    assert len(s.mirrors()) == 3


def test_a_window_that_is_cut_off_later_is_found_within_a_week(stage: Make) -> None:
    s = stage()
    far(s)
    s.run()
    s.welkin.habits.cuts_windows = timedelta(days=180)
    s.visit(days=250)
    s.later(again=2)
    s.later(hours=29)
    assert len(s.mirrors()) == 3, "the daily comparison asks in parts"
    s.later(hours=24 * 7)
    assert learnt(s) is None
    s.in_step()


def test_a_refused_window_is_remembered_at_the_length_that_works(stage: Make) -> None:
    s = stage()
    s.welkin.habits.longest_window = timedelta(days=200)
    far(s)
    s.run()
    assert learnt(s) == 198
    assert one_change(s) == 3


def test_a_tenant_that_takes_even_less_is_not_asked_for_more_every_time(stage: Make) -> None:
    s = stage()
    s.welkin.habits.longest_window = timedelta(days=50)
    far(s)
    s.run()
    assert learnt(s) == 45
    before = s.position
    assert one_change(s) == 9
    assert s.asked("welkin.events.list", before, status=400) == 0


@pytest.mark.parametrize("code", [400, 403])
def test_a_user_whom_welkin_hides_stops_no_other_user(stage: Make, code: int) -> None:
    s = stage("dana", "ruben")
    hidden = min(s.ids, key=lambda name: s.ids[name])
    other = max(s.ids, key=lambda name: s.ids[name])
    s.visit(other, days=2)
    s.visit(other, days=300)
    s.welkin.habits.hides = frozenset({s.ids[hidden]})
    s.welkin.habits.hides_with = code
    s.run()
    s.later()
    assert len(s.mirrors(other)) == 2
    assert learnt(s) == 398
    s.welkin.audit_enabled = False
    visit = s.visit(other, days=3)
    s.later()
    s.welkin.delete_event(visit.event_id)
    s.later(again=11, minutes=1)
    assert len(s.mirrors(other)) == 2, "the sweep goes on, too"
