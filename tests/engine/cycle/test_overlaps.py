"""Visits over busy time (rule 8) with both services: listed while they last, nothing else."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from calendar_sync.core.identity import Identity
from calendar_sync.core.model import Appointment, Direction, Encounter, Platform, WelkinEvent
from calendar_sync.insight.attention import Choice, open_conflicts
from calendar_sync.insight.health.report import build
from calendar_sync.insight.overview import overview
from calendar_sync.insight.status import status
from calendar_sync.operations import deciding
from tests.engine.cycle.stage import HOUR, Stage, mail

Make = Callable[..., Stage]
ME = mail("dana")
both = pytest.mark.parametrize("platform", list(Platform), ids=str)
HALF = timedelta(minutes=30)


def listed(s: Stage) -> list[str]:
    """Visits over busy time, as the page shows them."""
    found = open_conflicts(s.store, s.clock.now())
    return [one.source.id for one in found if one.kind == "visit_over_busy"]


def meet(s: Stage, days: int, hour: int) -> str:
    """An event that begins half an hour after the full hour."""
    start = s.at(days, hour) + HALF
    return s.calendar.plan(ME, start, start + HOUR, "x")


@both
def test_a_visit_over_busy_time_is_listed_until_one_of_them_moves(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    visit = s.meeting(days=2, hour=9)
    s.meeting(days=3, hour=9)
    event = meet(s, 2, 9)
    s.busy(days=3, hour=9)
    s.run()
    assert listed(s) == [visit.id]
    assert s.conflicts() == [("visit_over_busy", "listed")]
    before = s.position
    s.later(again=3)
    assert listed(s) == [visit.id]
    assert s.wrote(before) == []
    s.calendar.move_event(ME, event, s.at(2, 15), s.at(2, 16))
    s.later()
    assert listed(s) == []
    s.move(visit.id, 2, 15)
    s.later()
    assert listed(s) == [], "exactly at the same time: a copy"
    s.calendar.move_event(ME, event, s.at(2, 15) + HALF, s.at(2, 16) + HALF)
    s.later()
    assert listed(s) == [visit.id]
    s.move(visit.id, 4, 15)
    s.later()
    assert listed(s) == []
    assert s.conflicts() == []
    s.in_step()


@both
def test_it_is_over_when_the_visit_is(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform)
    visit = s.meeting(days=1, hour=9)
    meet(s, 1, 9)
    s.run()
    [found] = open_conflicts(s.store, s.clock.now())
    assert (found.source.id, found.ends_at) == (visit.id, s.at(1, 10))
    assert listed(s) == [visit.id]
    assert open_conflicts(s.store, s.at(1, 10)) == []
    assert len(open_conflicts(s.store, s.at(1, 10) - timedelta(seconds=1))) == 1
    s.clock.advance(days=2)
    s.run()
    assert s.conflicts() == []


def test_it_is_counted_and_causes_no_alarm(stage: Make) -> None:
    s = stage()
    s.meeting(days=10, hour=9)
    meet(s, 10, 9)
    s.run()
    s.later(days=3)
    [entry] = status(s.store, s.clock.now())
    assert (entry.conflicts, entry.undecided, entry.overlaps) == (0, 0, 1)
    assert overview(s.store, s.store.config.revision().settings, s.clock.now()).overlaps == 1
    report = build(s.store, s.store.config.revision(), s.clock.now())
    assert "conflict" not in [item["kind"] for item in report.document["items"]]
    [platform] = report.document["platforms"]
    assert platform["conflicts_by_kind"] == {"visit_over_busy: listed": 1}


def test_what_a_person_has_dismissed_stays_so_until_it_is_over(stage: Make) -> None:
    s = stage()
    visit = s.meeting(days=2, hour=9)
    event = meet(s, 2, 9)
    s.run()
    [found] = open_conflicts(s.store, s.clock.now())
    assert found.choices == (Choice.DISMISS,)
    deciding.decide(s.store, found.id, Choice.DISMISS, "dana", s.clock.now())
    s.busy(days=5)
    s.later()
    assert listed(s) == []
    s.calendar.move_event(ME, event, s.at(2, 15), s.at(2, 16))
    s.later()
    s.calendar.move_event(ME, event, s.at(2, 9) + HALF, s.at(2, 10) + HALF)
    s.later()
    assert listed(s) == [visit.id]


@pytest.mark.parametrize("how", ["setting", "direction", "unmapped", "disabled"])
def test_nothing_stays_listed_that_is_no_longer_looked_at(stage: Make, how: str) -> None:
    s = stage("dana", "ruben")
    s.meeting(days=2, hour=9)
    meet(s, 2, 9)
    s.run()
    assert len(listed(s)) == 1
    if how == "setting":
        s.document = {"block_time": {"report_overlaps": False}}
    elif how == "direction":
        s.one_way("dana", Direction.WELKIN_TO_CALENDAR)
    elif how == "unmapped":
        s.remap("dana")
    else:
        s.remap(dana={"enabled": False})
    s.later()
    assert listed(s) == []


def test_a_visit_that_cannot_be_read_for_once_stays_listed(
    stage: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = stage()
    visit = s.meeting(days=2, hour=9)
    meet(s, 2, 9)
    s.run()
    made = Identity.appointment

    def odd(self: Identity, event: WelkinEvent, encounter: Encounter | None) -> Appointment:
        if event.id == visit.id:
            raise ValueError
        return made(self, event, encounter)

    monkeypatch.setattr(Identity, "appointment", odd)
    s.busy(days=4)
    s.later()
    assert listed(s) == [visit.id]
