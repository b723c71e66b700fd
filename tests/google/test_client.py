"""Google Calendar behind the common interface, against the sandbox."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from calendar_sync.errors import (
    CursorExpired,
    Duplicate,
    NotFound,
    PreconditionFailed,
    TenantMisconfigured,
    TransientError,
    UserUnavailable,
)
from calendar_sync.model import Draft, Platform, Span, Window
from tests.cycle.stage import DAY, HOUR, Stage, mail

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


def test_everything_then_only_what_changed(stage: Stage) -> None:
    kept, gone = stage.busy(days=1), stage.busy(days=2)
    stage.series(rule="FREQ=WEEKLY;COUNT=4")
    first = changes(stage)
    assert first.full
    assert len(first.events) == 6
    assert not changes(stage, first.cursor).events
    stage.google.delete_event(ME, gone)
    stage.google.patch_event(ME, kept, summary="other")
    second = changes(stage, first.cursor)
    assert not second.full
    assert {event.id: event.deleted for event in second.events} == {kept: False, gone: True}


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


def test_an_expired_or_foreign_cursor_asks_for_a_full_read(stage: Stage) -> None:
    first = changes(stage)
    stage.google.expire_sync_tokens(ME)
    for cursor in (first.cursor, "nonsense"):
        with pytest.raises(CursorExpired):
            changes(stage, cursor)


def test_a_list_without_cursor_or_without_json_is_an_error(stage: Stage) -> None:
    for kind in ("no_cursor", "html", "empty_200", "truncated_json"):
        stage.fault("google", kind, "GET", "/events", times=None)
        with pytest.raises(TransientError):
            changes(stage)
        stage.sandbox.faults.clear()


def test_one_event_its_tombstone_and_none(stage: Stage) -> None:
    event = stage.busy()
    assert not ask(stage, lambda g: g.event(ME, WHERE, event)).deleted
    stage.google.delete_event(ME, event)
    assert ask(stage, lambda g: g.event(ME, WHERE, event)).deleted
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


@pytest.mark.parametrize("how", ["revoke", "suspend", "delete_account", "no_licence"])
def test_an_account_out_of_use_concerns_this_user_only(stage: Stage, how: str) -> None:
    getattr(stage.google, how)(ME)
    with pytest.raises(UserUnavailable) as caught:
        changes(stage)
    assert caught.value.detail == ME


def test_an_unknown_calendar_is_not_found(stage: Stage) -> None:
    with pytest.raises(NotFound):
        ask(
            stage,
            lambda g: g.changes(ME, "c_nowhere@group.calendar.google.com", None, window(stage)),
        )


def test_the_api_switched_off_concerns_everybody(stage: Stage) -> None:
    stage.google.api_enabled = False
    with pytest.raises(TenantMisconfigured):
        changes(stage)


def test_calendar_and_event_ids_are_quoted(stage: Stage) -> None:
    assert ask(stage, lambda g: g.event(ME, WHERE, "a?b=c#d")) is None
    assert stage.sandbox.requests[-1].kind == "google.events.get"
