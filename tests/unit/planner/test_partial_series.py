"""Series whose whole set is not known: each instance that is shown speaks for itself."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from calendar_sync.core.model import CalendarEvent, Removed, SeriesSet, Source, Step, Tombstone
from calendar_sync.planner import questions
from tests.unit.planner.views import Little, absences, event, instance, span, tombstone

HOURS = (24, 48, 72)
REFUSED = "refused"
EMPTY = SeriesSet((), known=False, doubted=True)
NOWHERE = SeriesSet((), known=False)


def rows(version: str = "v1") -> list[CalendarEvent]:
    return [instance("s1", span(hour), version=version) for hour in HOURS]


def touched(state: SeriesSet | None, shown: Iterable[CalendarEvent | Removed] = ()) -> Little:
    """Three instances have blocks; a delta then shows these rows of a series in this state."""
    little = Little().add(*rows())
    little.run()
    little.full = False
    little.events.clear()
    if state is None:
        little.denied.add("s1")
    else:
        little.series["s1"] = state
    return little.add(*shown)


def steps(little: Little) -> list[Step]:
    return [action.step for action in little.plan().actions]


def asked(little: Little) -> tuple[str, ...]:
    return questions(little.view()).calendar_events.get("primary", ())


states = pytest.mark.parametrize("state", [None, EMPTY, NOWHERE], ids=[REFUSED, "empty", "missing"])


@states
def test_an_instance_that_is_shown_is_followed_and_the_others_stay(
    state: SeriesSet | None,
) -> None:
    moved = replace(rows()[0], span=span(30))
    little = touched(state, [moved])
    [action] = little.plan().actions
    assert (action.step, action.source, action.span) == (
        Step.UPDATE_BLOCK,
        moved.source,
        span(30),
    )
    little.events.clear()
    little.add(replace(moved, id="another id"))
    assert [action.source for action in little.plan().actions] == [moved.source]


@states
def test_an_instance_that_was_deleted_loses_its_block_alone(state: SeriesSet | None) -> None:
    little = touched(state, [tombstone(rows()[1])])
    if state is NOWHERE:
        little.gone.add(rows()[2].id)
        little.add(rows()[0])
    assert set(steps(little)) == {Step.DELETE_BLOCK}
    assert len(steps(little)) == (2 if state is NOWHERE else 1)


@pytest.mark.parametrize("state", [None, EMPTY], ids=[REFUSED, "empty"])
def test_nothing_shown_is_nothing_decided(state: SeriesSet | None) -> None:
    assert steps(touched(state)) == []


def test_a_series_that_is_not_there_goes_as_a_whole_where_its_next_instance_does() -> None:
    little = touched(NOWHERE)
    assert asked(little) == (rows()[0].id,)
    little.gone.add(rows()[0].id)
    assert asked(little) == tuple(sorted(row.id for row in rows()[1:]))
    made = little.plan()
    assert absences(made.actions) == [True] * 3


def test_a_series_that_is_not_there_stays_where_its_next_instance_is_not_shown() -> None:
    little = touched(NOWHERE)
    little.denied.add(rows()[0].id)
    assert steps(little) == []
    assert little.plan().doubted == 1


def test_who_was_invited_to_some_is_asked_about_each() -> None:
    little = touched(NOWHERE, [rows()[1]])
    assert asked(little) == tuple(sorted((rows()[0].id, rows()[2].id)))


@pytest.mark.parametrize("unread", [False, True])
def test_the_masters_tombstone_answers_for_a_series_unless_it_only_left_the_window(
    unread: bool,
) -> None:
    little = touched(EMPTY, [Removed("s1") if unread else Tombstone("s1")])
    assert steps(little) == [] if unread else [Step.DELETE_BLOCK] * 3
    assert bool(asked(little)) is unread
    little.series["s1"] = NOWHERE
    assert steps(little) == [Step.DELETE_BLOCK] * 3
    assert asked(little) == ()


def test_of_an_empty_set_a_few_are_asked_and_no_more() -> None:
    little = Little().add(*(instance("s1", span(24 * n)) for n in range(1, 12)))
    little.run()
    little.full = False
    little.events.clear()
    little.series["s1"] = EMPTY
    first = asked(little)
    assert len(first) == 5
    little.gone.add(first[0])
    assert asked(little) == ()


def test_one_of_those_that_vanished_from_a_set_is_asked() -> None:
    little = touched(SeriesSet(tuple(rows()[:1])))
    assert asked(little) == (rows()[1].id,)
    little.gone.add(rows()[1].id)
    assert asked(little) == ()
    assert steps(little) == [Step.DELETE_BLOCK] * 2


def test_of_a_set_that_is_empty_by_its_rule_nothing_is_asked() -> None:
    assert asked(touched(SeriesSet(()))) == ()


def test_a_bare_occurrence_of_a_series_that_is_not_there_is_read_by_name() -> None:
    little = touched(NOWHERE, [rows("")[0]])
    assert rows()[0].id in asked(little)
    little.series["s1"] = SeriesSet(tuple(rows()))
    assert asked(little) == ()


def test_an_event_beside_it_is_none_of_its_matter() -> None:
    little = touched(EMPTY, [event("x1", span(50))])
    assert [action.source for action in little.plan().actions] == [Source("x1")]


def test_rows_of_a_series_that_was_not_read_decide_nothing() -> None:
    little = touched(EMPTY)
    little.series.clear()
    little.add(replace(rows()[0], span=span(30)))
    assert steps(little) == []


def test_an_event_that_is_not_found_although_no_list_tells_of_it_is_looked_at_again() -> None:
    little = Little().add(event("x1", span(24)))
    little.run()
    little.full = False
    little.events.clear()
    little.gone.add("x1")
    assert steps(little) == []
    assert little.plan().doubted == 1
