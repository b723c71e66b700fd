"""One item that trips the rules up is refused; all others are planned as if it were not there."""

from dataclasses import replace
from typing import Any

import pytest

from calendar_sync.core.model import CalendarEvent, LookUp, SeriesSet, Unreadable
from calendar_sync.planner import blocks, duplicates, mirrors, orphans, plan, questions
from calendar_sync.planner import plan as planned
from tests.unit.planner.views import IDENTITY, ME, Little, appointment, event, instance, span, steps

TRIPS = [
    (mirrors, "judge", "a1"),
    (mirrors, "_wanted", "a1"),
    (blocks, "why_no_block", "x1"),
    (duplicates, "blocks_time", "x1"),
]


def busy_world() -> Little:
    little = Little().add(appointment("a1", span(20)), appointment("a2", span(22)))
    return little.add(event("x1", span(30)), event("x2", span(40)))


def trip(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, odd: str) -> None:
    inner = getattr(owner, name)

    def tripping(*args: Any) -> Any:
        if any(getattr(arg, "id", None) == odd for arg in args):
            raise ZeroDivisionError
        return inner(*args)

    monkeypatch.setattr(owner, name, tripping)


@pytest.mark.parametrize(("owner", "name", "odd"), TRIPS)
def test_the_others_are_planned_and_the_odd_one_is_named(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, odd: str
) -> None:
    little = busy_world()
    trip(monkeypatch, owner, name, odd)
    made = little.plan()
    sources = {action.source.id for action in made.actions}
    if owner is duplicates:
        assert sources == {"a1", "a2", "x1", "x2"}
        return
    assert sources == {"a1", "a2", "x1", "x2"} - {odd}
    [refused] = made.refused
    assert (refused.source.id, refused.code) == (odd, "unexpected")
    assert refused.detail.startswith("ZeroDivisionError at ")


def test_what_stands_for_an_odd_one_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    little = busy_world()
    little.settle()
    trip(monkeypatch, mirrors, "judge", "a1")
    trip(monkeypatch, blocks, "why_no_block", "x1")
    assert little.plan().actions == ()


def test_an_odd_instance_of_a_series_that_cannot_be_read_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    odd = instance("s1", span(30))
    little = busy_world().add(odd)
    little.full = False
    little.series["s1"] = SeriesSet((), known=False)
    trip(monkeypatch, blocks, "why_no_block", odd.id)
    made = little.plan()
    assert {action.source.id for action in made.actions} == {"a1", "a2", "x1", "x2"}
    assert [refused.source.id for refused in made.refused] == ["s1"]


def test_counting_goes_on_past_an_odd_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    little = busy_world()
    trip(monkeypatch, importlib.import_module("calendar_sync.planner.plan"), "judge", "a1")
    assert little.plan().skipped == {"refused": 1}


def test_an_odd_orphan_is_refused_and_not_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    little = Little().add(replace(appointment("a1", span(20)), encounter=None))
    marker = IDENTITY.marker(ME, "a1")
    little.add(CalendarEvent("m1", span=span(20), private=True, title="Busy", marker=marker))
    trip(monkeypatch, orphans, "judge", "a1")
    made = little.plan()
    assert [refused.source.id for refused in made.refused] == ["m1"]
    assert made.held == made.actions == ()


def test_a_mark_of_an_appointment_that_cannot_be_read_is_no_orphan() -> None:
    little = Little()
    marker = IDENTITY.marker(ME, "a1")
    little.add(CalendarEvent("m1", span=span(20), private=True, title="Busy", marker=marker))
    view = replace(little.view(), unreadable=frozenset({"a1"}))
    assert plan(view, little.rules).held == ()
    assert planned(little.view(), little.rules).held != ()


@pytest.mark.parametrize("full", [True, False])
def test_a_block_stays_while_its_event_cannot_be_read(*, full: bool) -> None:
    little = busy_world()
    little.settle()
    view = little.view()
    [calendar] = view.calendars
    left = {key: seen for key, seen in calendar.events.items() if key != "x1"}
    odd = replace(calendar, events=left, lookups={"x1": LookUp.UNREADABLE}, full=full)
    view = replace(view, calendars=(odd,))
    assert questions(view).count == 0
    assert steps(plan(view, little.rules)) == []


def test_the_block_of_an_instance_stays_while_that_cannot_be_read() -> None:
    first, second = span(30), span(54)
    little = Little().add(instance("s1", first), instance("s1", second))
    little.settle()
    little.full = False
    found = instance("s1", first)
    odd = Unreadable(found.id, series_id="s1", original_start=found.original_start)
    little.series["s1"] = SeriesSet((odd, instance("s1", second)))
    little.events = {"x": event("x", span(80), series_id="s1", original_start="x")}
    made = little.plan()
    assert "delete_block" not in {action.step for action in made.actions}
