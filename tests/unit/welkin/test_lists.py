"""Lists of Welkin, read whole whatever a tenant takes and whatever happens between two pages."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from calendar_sync.adapters.welkin import Welkin
from calendar_sync.core.errors import BadItem, TransientError
from calendar_sync.core.model import Window
from tests.engine.cycle.stage import DAY, HOUR, Stage

ZONE = ZoneInfo("America/New_York")


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.database.close()


def ask(stage: Stage, *work: Callable[[Welkin], Awaitable[Any]]) -> list[Any]:
    """One client does all the work, in turn."""

    async def everything(services: Any) -> list[Any]:
        return [await each(services.welkin) for each in work]

    return list(asyncio.run(stage.with_services(everything)))


def events(stage: Stage, days: int = 365) -> Callable[[Welkin], Awaitable[Any]]:
    now = stage.clock.now()
    window = Window(now - 30 * DAY, now + days * DAY)
    return lambda welkin: welkin.events([stage.ids["dana"]], window, ZONE)


def lists(stage: Stage, since: int, status: int) -> list[timedelta]:
    """Lengths of the windows that were answered so."""
    return [
        datetime.fromisoformat(entry.query["to"]) - datetime.fromisoformat(entry.query["from"])
        for entry in stage.sandbox.requests.since(since)
        if entry.kind == "welkin.events.list" and entry.status == status
    ]


def crowd(stage: Stage, number: int) -> list[str]:
    """So many appointments, the first ones made first."""
    made = []
    for step in range(number):
        start = stage.at(1, 0) + step * timedelta(minutes=20)
        made.append(stage.welkin.book_event(stage.ids["dana"], start, start + HOUR).id)
    return made


# --- windows that are too long ------------------------------------------------------------------


@pytest.mark.parametrize("days", [89, 31, 7, 2])
def test_a_window_refused_as_too_long_is_asked_in_halves_and_the_size_is_remembered(
    stage: Stage, days: int
) -> None:
    visits = {stage.visit(days=n).event_id for n in (1, 100, 200, 300)}
    stage.welkin.habits.longest_window = timedelta(days=days)
    before = stage.position
    stage.welkin.rate_limit = None
    both = events(stage, 330)
    first, again = ask(stage, both, both)
    assert set(first[0]) == set(again[0]) == visits
    good = lists(stage, before, 200)
    assert max(good) <= timedelta(days=days)
    assert max(good) > timedelta(days=days) / 2
    refused = lists(stage, before, 400)
    # Each of the five chunks of the first read may find out by itself; the second read knows.
    assert 0 < len(refused) <= 2 * 5 * 7
    half = stage.position
    ask(stage, both)
    assert len(lists(stage, half, 400)) == len(refused)  # a new client learns anew
    assert sum(good, timedelta(0)) == 2 * timedelta(days=362)


def test_what_is_refused_for_another_reason_ends_at_a_day_and_teaches_nothing(
    stage: Stage,
) -> None:
    stage.visit()
    fault = stage.fault("welkin", "status", "GET", "/calendar/events$", code=400, times=None)

    async def refused(welkin: Welkin) -> None:
        with pytest.raises(BadItem):
            await events(stage)(welkin)
        stage.sandbox.faults.clear()

    before = stage.position
    _, found = ask(stage, refused, events(stage))
    assert len(found[0]) == 1
    assert fault.struck < 100
    assert len(lists(stage, before, 200)) == 5


def test_a_day_that_is_too_long_is_an_error_of_the_read_and_not_an_empty_window(
    stage: Stage,
) -> None:
    stage.welkin.habits.longest_window = timedelta(hours=1)
    with pytest.raises(BadItem):
        ask(stage, events(stage))


# --- order ---------------------------------------------------------------------------------------


def test_a_refused_order_is_left_out_and_not_asked_for_again(stage: Stage) -> None:
    made = crowd(stage, 250)
    stage.welkin.habits.sorts = False
    before = stage.position
    first, again = ask(stage, events(stage, 20), events(stage, 20))
    assert set(first[0]) == set(again[0]) == set(made)
    assert stage.asked("welkin.events.list", before, status=400) == 1
    unsorted = [e for e in stage.sandbox.requests.since(before) if "sort" not in e.query]
    assert len([e for e in unsorted if e.kind == "welkin.events.list"]) == 4


def test_a_refused_order_and_a_window_too_long_at_once(stage: Stage) -> None:
    visit = stage.visit(days=200)
    stage.welkin.habits.sorts = False
    stage.welkin.habits.longest_window = timedelta(days=31)
    assert set(ask(stage, events(stage))[0][0]) == {visit.event_id}


def test_the_audit_is_read_without_an_order_too(stage: Stage) -> None:
    stage.welkin.habits.sorts = False
    event, begun = stage.meeting(), stage.clock.now()
    stage.welkin.delete_event(event.id)
    until = begun + timedelta(minutes=1)
    assert ask(stage, lambda w: w.deleted_events(begun, until)) == [{event.id}]


# --- pages of a set that changes -----------------------------------------------------------------


def between_pages(stage: Stage, kind: str, act: Callable[[], None]) -> None:
    """Once, after the first page of this kind has been answered."""
    done: list[bool] = []

    def after() -> None:
        last = list(stage.sandbox.requests)[-1]
        if last.kind == kind and last.query.get("page") == "0" and not done:
            done.append(True)
            act()

    stage.transport.after_request = after


def test_a_row_skipped_because_another_was_deleted_is_found_by_counting(stage: Stage) -> None:
    made = crowd(stage, 250)
    between_pages(stage, "welkin.events.list", lambda: stage.welkin.delete_event(made[0]))
    [(found, _)] = ask(stage, events(stage, 20))
    assert set(found) == set(made[1:])


def test_a_row_added_between_two_pages_is_there_and_none_twice(stage: Stage) -> None:
    made = crowd(stage, 250)
    between_pages(stage, "welkin.events.list", lambda: made.extend(crowd(stage, 1)))
    [(found, _)] = ask(stage, events(stage, 20))
    assert set(found) == set(made)


def test_pages_without_any_order_are_not_believed_while_they_miss_rows(stage: Stage) -> None:
    crowd(stage, 450)
    stage.welkin.habits.sorts = False
    stage.welkin.habits.shuffles = True
    with pytest.raises(TransientError, match="welkin_unstable_pages"):
        ask(stage, events(stage, 20))


def test_an_encounter_skipped_between_two_pages_is_found_by_counting(stage: Stage) -> None:
    visits = [stage.visit(days=1 + n // 10, hour=8 + n % 10) for n in range(210)]

    def delete() -> None:
        stage.welkin.delete_encounter(visits[0].id)

    between_pages(stage, "welkin.encounters.by_user", delete)
    [found] = ask(stage, lambda w: w.encounters_of(stage.ids["dana"]))
    assert set(found) == {visit.event_id for visit in visits[1:]}


@pytest.mark.parametrize("kind", ["repeated_page", "zero_events", "no_cursor"])
def test_a_damaged_page_of_encounters_is_not_a_short_list(stage: Stage, kind: str) -> None:
    visits = [stage.visit(days=1 + n // 10, hour=8 + n % 10) for n in range(210)]
    stage.fault("welkin", kind, "GET", "/encounters$", after=1 if kind == "repeated_page" else 0)
    try:
        [found] = ask(stage, lambda w: w.encounters_of(stage.ids["dana"]))
    except TransientError:
        return
    assert len(found) == len(visits)


def test_rows_that_are_counted_and_never_shown_are_not_waited_for(stage: Stage) -> None:
    visits = [stage.visit(days=day) for day in (1, 2)]
    stage.welkin.habits.overcounts = 3
    [found, staff] = ask(stage, lambda w: w.encounters_of(stage.ids["dana"]), lambda w: w.users())
    assert set(found) == {visit.event_id for visit in visits}
    assert [user.id for user in staff] == [stage.ids["dana"]]
    # Nothing at all where something is counted is no answer.
    for visit in visits:
        stage.welkin.delete_encounter(visit.id)
    with pytest.raises(TransientError, match="welkin_unstable_pages"):
        ask(stage, lambda w: w.encounters_of(stage.ids["dana"]))
