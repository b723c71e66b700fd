"""What only Google does: the rest is in tests/engine/platforms."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from calendar_sync.core.errors import (
    Duplicate,
    NotFound,
    PreconditionFailed,
)
from calendar_sync.core.model import CalendarEvent, Draft, Platform, Span, Tombstone, Window
from tests.engine.cycle.stage import DAY, HOUR, Stage, mail

ME, WHERE = mail("dana"), "primary"


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    assert made.sandbox.requests.mail_risk == []
    made.database.close()


def ask(stage: Stage, work: Callable[[Any], Awaitable[Any]]) -> Any:
    return asyncio.run(stage.with_services(lambda s: work(s.platforms[Platform.GOOGLE])))


def window(stage: Stage) -> Window:
    return Window(stage.clock.now() - 30 * DAY, stage.clock.now() + 100 * DAY)


def changes(stage: Stage, cursor: str | None = None) -> Any:
    return ask(stage, lambda g: g.changes(ME, WHERE, cursor, window(stage)))


def draft(stage: Stage, days: int = 1) -> Draft:
    start = stage.at(days, 9)
    return Draft("Busy", "", Span(start, start + HOUR), "US/Eastern", "busy/busy", "hash")


def test_every_list_has_the_same_shape(stage: Stage) -> None:
    first = changes(stage)
    changes(stage, first.cursor)
    one, other = [e.query for e in stage.sandbox.requests if e.kind == "google.events.list"]
    varying = {"timeMin", "timeMax", "syncToken", "pageToken"}
    assert {k: v for k, v in one.items() if k not in varying} == {
        k: v for k, v in other.items() if k not in varying
    }
    assert one["singleEvents"] == "true"
    assert "timeMin" not in other


def test_empty_pages_are_followed(stage: Stage) -> None:
    for number in range(60):
        stage.busy(days=1 + number // 8, hour=8 + number % 8)
    assert len(changes(stage).events) == 60


def test_one_event_its_tombstone_and_none(stage: Stage) -> None:
    event = stage.busy()
    assert isinstance(ask(stage, lambda g: g.event(ME, WHERE, event)), CalendarEvent)
    stage.google.delete_event(ME, event)
    assert isinstance(ask(stage, lambda g: g.event(ME, WHERE, event)), Tombstone)
    assert ask(stage, lambda g: g.event(ME, WHERE, "nothing1")) is None


def test_the_set_of_a_series(stage: Stage) -> None:
    series = stage.series(rule="FREQ=DAILY;COUNT=5")
    stage.google.delete_instance(ME, series, stage.at(2, 14))
    stage.google.move_instance(ME, series, stage.at(3, 14), stage.at(3, 17), stage.at(3, 18))

    def ask_set(key: str) -> Any:
        return ask(stage, lambda g: g.series(ME, WHERE, key, window(stage)))

    found = ask_set(series)
    assert found.known
    assert {event.span.start for event in found.instances} == {
        stage.at(1, 14), stage.at(3, 17), stage.at(4, 14), stage.at(5, 14),
    }  # fmt: skip
    stage.google.delete_event(ME, series)
    assert ask_set(series).instances == ()
    assert ask_set(series).known
    assert not ask_set("never1there").known
    single = stage.busy()
    assert [event.id for event in ask_set(single).instances] == [single]


def test_a_mirror_from_its_creation_to_its_end(stage: Stage) -> None:
    made = ask(stage, lambda g: g.create_mirror(ME, WHERE, "abcde0", "marker", draft(stage)))
    assert (made.id, made.marker, made.private) == ("abcde0", "marker", True)
    with pytest.raises(Duplicate):
        ask(stage, lambda g: g.create_mirror(ME, WHERE, "abcde0", "marker", draft(stage)))
    moved = ask(
        stage, lambda g: g.update_mirror(ME, WHERE, "abcde0", "marker", draft(stage, 3), made.etag)
    )
    assert moved.span == draft(stage, 3).span
    with pytest.raises(PreconditionFailed):
        ask(
            stage, lambda g: g.update_mirror(ME, WHERE, "abcde0", "marker", draft(stage), made.etag)
        )
    ask(stage, lambda g: g.update_mirror(ME, WHERE, "abcde0", "marker", draft(stage), None))
    ask(stage, lambda g: g.delete_mirror(ME, WHERE, "abcde0"))
    ask(stage, lambda g: g.delete_mirror(ME, WHERE, "abcde0"))
    ask(stage, lambda g: g.delete_mirror(ME, WHERE, "never0"))
    with pytest.raises(Duplicate):
        ask(stage, lambda g: g.create_mirror(ME, WHERE, "abcde0", "marker", draft(stage)))
    with pytest.raises(NotFound):
        ask(stage, lambda g: g.update_mirror(ME, WHERE, "never0", "marker", draft(stage), None))


def test_an_insert_whose_answer_is_lost_ends_as_a_duplicate(stage: Stage) -> None:
    stage.fault("google", "reset_after", "POST", "/events", times=1)
    with pytest.raises(Duplicate):
        ask(stage, lambda g: g.create_mirror(ME, WHERE, "abcde0", "marker", draft(stage)))


def test_calendar_and_event_ids_are_quoted(stage: Stage) -> None:
    assert ask(stage, lambda g: g.event(ME, WHERE, "a?b=c#d")) is None
    assert stage.sandbox.requests[-1].kind == "google.events.get"
