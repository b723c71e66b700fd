"""The calls of the Welkin API, against the sandbox."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from calendar_sync.adapters.http import Failure
from calendar_sync.adapters.welkin import AuditUnavailable, BlockDraft, Welkin
from calendar_sync.adapters.welkin.errors import classify
from calendar_sync.core.errors import (
    BadItem,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    SyncError,
    TenantMisconfigured,
    TokenRejected,
    TransientError,
    UserUnavailable,
)
from calendar_sync.core.model import Span, Window
from tests.engine.cycle.stage import DAY, HOUR, Stage

ZONE = ZoneInfo("America/New_York")


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.database.close()


def ask(stage: Stage, work: Callable[[Welkin], Awaitable[Any]]) -> Any:
    return asyncio.run(stage.with_services(lambda services: work(services.welkin)))


def window(stage: Stage, days: int = 365) -> Window:
    now = stage.clock.now()
    return Window(now - 30 * DAY, now + days * DAY)


def draft(stage: Stage, days: int = 2, **more: Any) -> BlockDraft:
    start = stage.at(days, 14)
    span = Span(start, start + HOUR)
    return BlockDraft(
        stage.ids["dana"],
        **{"span": span, "zone": ZONE, "title": "Busy", "all_day_flag": True, **more},
    )


async def create(welkin: Welkin, wanted: BlockDraft) -> Any:
    """A block; one whose answer was lost is looked for by its `externalId`."""
    find = partial(welkin.event_by_external_id, "calsync-1", wanted.zone)
    return await welkin.create_block(wanted, "calsync-1", find)


def events(stage: Stage, days: int = 365) -> Any:
    return ask(stage, lambda w: w.events([stage.ids["dana"]], window(stage, days), ZONE))


def test_a_window_is_asked_in_chunks_of_ninety_days_with_cancelled_ones(stage: Stage) -> None:
    stage.visit(days=1)
    stage.visit(days=200)
    cancelled = stage.meeting(days=3)
    stage.welkin.cancel_event(cancelled.id)
    found, unreadable = events(stage)
    assert len(found) == 3
    assert found[cancelled.id].cancelled
    assert not unreadable
    lists = [e for e in stage.sandbox.requests if e.kind == "welkin.events.list"]
    assert len(lists) == 5
    assert all(e.query["includeCancelled"] == "true" for e in lists)
    assert all(len(e.query["from"]) == 24 for e in lists)


def test_an_event_across_the_border_of_two_chunks_is_found_once(stage: Stage) -> None:
    middle = stage.clock.now() - 31 * DAY + 90 * DAY
    event = stage.welkin.book_event(stage.ids["dana"], middle - HOUR, middle + HOUR)
    assert set(events(stage)[0]) == {event.id}


def test_all_pages_are_read(stage: Stage) -> None:
    for number in range(450):
        start = stage.at(1, 0) + number * timedelta(minutes=20)
        stage.welkin.book_event(stage.ids["dana"], start, start + HOUR)
    assert len(events(stage)[0]) == 450


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("kind", ["repeated_page", "zero_events", "no_cursor", "reordered_page"])
def test_pages_that_do_not_add_up_are_read_again_or_refused(
    stage: Stage, kind: str, after: int
) -> None:
    for number in range(250):
        start = stage.at(1, 0) + number * timedelta(minutes=20)
        stage.welkin.book_event(stage.ids["dana"], start, start + HOUR)
    stage.fault("welkin", kind, "GET", "/calendar/events$", after=after, times=1)
    found: dict[str, Any] = {}
    with contextlib.suppress(TransientError):
        found = events(stage, 20)[0]
    assert len(found or events(stage, 20)[0]) == 250


def test_html_instead_of_a_page_is_no_empty_window(stage: Stage) -> None:
    stage.visit()
    stage.fault("welkin", "html", "GET", "/calendar/events$", times=None)
    with pytest.raises(TransientError):
        events(stage)


def test_one_event_and_none(stage: Stage) -> None:
    event = stage.meeting()
    assert ask(stage, lambda w: w.event(event.id, ZONE)).id == event.id
    assert ask(stage, lambda w: w.event("d1c2b3a4-0000-4a4a-8b8b-000000000000", ZONE)) is None


@pytest.mark.parametrize("code", [401, 403, 400, 500, 429])
def test_nothing_but_404_means_none(stage: Stage, code: int) -> None:
    event = stage.meeting()
    stage.fault("welkin", "status", "GET", event.id, code=code, times=None)
    with pytest.raises(SyncError):
        ask(stage, lambda w: w.event(event.id, ZONE))


def test_a_block_is_made_found_moved_and_removed(stage: Stage) -> None:
    made = ask(stage, lambda w: create(w, draft(stage)))
    [block] = stage.blocks()
    assert (block.type, block.color, block.time_zone) == ("LEAVE", "grey", ZONE.key)
    assert made.external_id == "calsync-1"
    found = ask(stage, lambda w: w.event_by_external_id("calsync-1", ZONE))
    assert found.id == made.id
    assert ask(stage, lambda w: w.event_by_external_id("calsync-2", ZONE)) is None
    ask(stage, lambda w: w.update_block(made.id, draft(stage, 4)))
    assert stage.block_times() == [(stage.at(4, 14), stage.at(4, 15))]
    ask(stage, lambda w: w.remove_block(made.id, future=True))
    ask(stage, lambda w: w.remove_block(made.id, future=True))
    assert stage.blocks() == []


def test_a_running_block_is_cancelled(stage: Stage) -> None:
    made = ask(stage, lambda w: create(w, draft(stage, 0)))
    ask(stage, lambda w: w.remove_block(made.id, future=False))
    assert stage.welkin.events[made.id].status == "CANCELLED"
    with pytest.raises(NotFound):
        ask(stage, lambda w: w.update_block("d1c2b3a4-0000-4a4a-8b8b-000000000000", draft(stage)))


@pytest.mark.parametrize("kind", ["reset_after", "timeout_after", "truncated_json", "empty_200"])
def test_a_creation_whose_answer_is_lost_is_looked_up(stage: Stage, kind: str) -> None:
    stage.fault("welkin", kind, "POST", "/calendar/events", times=1)
    made = ask(stage, lambda w: create(w, draft(stage)))
    assert [block.id for block in stage.blocks()] == [made.id]
    assert stage.asked("welkin.events.create") == 1


@pytest.mark.parametrize("kind", ["reset_before", "timeout_before"])
def test_a_creation_that_does_not_show_is_not_sent_again_at_once(stage: Stage, kind: str) -> None:
    stage.fault("welkin", kind, "POST", "/calendar/events", times=1)
    with pytest.raises(OutcomeUnknown):
        ask(stage, lambda w: create(w, draft(stage)))
    assert stage.asked("welkin.events.create") == 1
    assert stage.asked("welkin.events.get") == 1


@pytest.mark.parametrize("title", ["Nul\x00byte", "\ud83d", "a\r\nb"])
def test_titles_are_made_fit(stage: Stage, title: str) -> None:
    ask(stage, lambda w: create(w, draft(stage, title="x" + title)))
    [block] = stage.blocks()
    assert block.title.isprintable()


def test_a_tests_appointment_is_one_persons_and_has_no_patient(stage: Stage) -> None:
    span = draft(stage).span
    dana = stage.ids["dana"]
    made = ask(
        stage, lambda w: w.create_test_appointment(dana, span, ZONE, "Sync test", "synctest-1")
    )
    event = stage.welkin.events[made.id]
    assert (event.type, event.title, event.external_id) == (
        "APPOINTMENT",
        "Sync test",
        "synctest-1",
    )
    assert [(p.participant_id, p.role) for p in event.participants] == [(dana, "psm")]
    assert (made.span, made.host_id, made.kind) == (span, dana, "APPOINTMENT")
    for _ in range(2):
        ask(stage, lambda w: w.delete_event(made.id))
    assert made.id not in stage.welkin.events


def test_a_tests_appointment_is_never_made_twice(stage: Stage) -> None:
    stage.fault("welkin", "timeout_after", "POST", "/calendar/events", times=1)
    span, dana = draft(stage).span, stage.ids["dana"]
    with pytest.raises(OutcomeUnknown):
        ask(stage, lambda w: w.create_test_appointment(dana, span, ZONE, "Sync test", None))
    assert len(stage.welkin.events) == 1


def test_encounters_of_a_host(stage: Stage) -> None:
    visits = [stage.visit(days=n) for n in range(1, 4)]
    found = ask(stage, lambda w: w.encounters_of(stage.ids["dana"]))
    assert {key: value.encounter_id for key, value in found.items()} == {
        visit.event_id: visit.id for visit in visits
    }


def test_exports_are_pages_with_a_position(stage: Stage) -> None:
    first = stage.meeting(days=1)
    stage.clock.advance(minutes=1)
    second = stage.meeting(days=2)
    page = ask(stage, lambda w: w.exported_events("2000-01-01T00:00:00.000Z", 100))
    assert [row.id for row in page.rows] == [first.id, second.id]
    assert not page.more
    page = ask(stage, lambda w: w.exported_events(page.end, 100))
    assert [row.id for row in page.rows] == [second.id]


@pytest.mark.parametrize("kind", ["no_cursor", "html", "truncated_json", "empty_200"])
def test_a_damaged_export_is_not_an_empty_one(stage: Stage, kind: str) -> None:
    stage.fault("welkin", kind, "GET", "/export/", times=None)
    with pytest.raises(TransientError):
        ask(stage, lambda w: w.exported_events("2000-01-01T00:00:00.000Z", 100))


def test_a_full_page_has_more_whatever_it_says(stage: Stage) -> None:
    for days in (1, 2):
        stage.meeting(days=days)
        stage.clock.advance(minutes=1)
    begin = "2000-01-01T00:00:00.000Z"
    assert ask(stage, lambda w: w.exported_events(begin, 1)).more
    assert ask(stage, lambda w: w.exported_events(begin, 2)).more
    assert not ask(stage, lambda w: w.exported_events(begin, 3)).more


def test_deletions_in_the_audit_and_without_it(stage: Stage) -> None:
    event, visit = stage.meeting(), stage.visit(hour=12)
    begun = stage.clock.now()
    stage.welkin.delete_event(event.id)
    stage.welkin.delete_encounter(visit.id)
    now = begun + timedelta(minutes=1)
    assert ask(stage, lambda w: w.deleted_events(begun, now)) == {event.id}
    assert ask(stage, lambda w: w.deleted_encounters(begun, now)) == {visit.id}
    stage.welkin.audit_enabled = False
    with pytest.raises(AuditUnavailable):
        ask(stage, lambda w: w.deleted_events(begun, now))


def test_users_with_zone_and_state(stage: Stage) -> None:
    ruben = stage.hire("ruben", None)
    stage.welkin.deactivate_user(ruben)
    found = {user.id: user for user in ask(stage, lambda w: w.users())}
    assert found[stage.ids["dana"]].time_zone == "US/Eastern"
    assert found[stage.ids["dana"]].active
    assert not found[ruben].active


def failure(status: int, body: Any = None, retry_after: float | None = None) -> Failure:
    return Failure(status, body, retry_after)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (failure(401, [{"errorCode": "TOKEN_EXPIRED"}]), TokenRejected),
        (failure(401, [{"errorCode": "NOT_VALID_JSON_WEB_TOKEN"}]), TokenRejected),
        (failure(401, [{"message": "x"}, {"errorCode": "TOKEN_EXPIRED"}]), TokenRejected),
        (failure(401, [{"errorCode": "OTHER"}]), TenantMisconfigured),
        (failure(401), TenantMisconfigured),
        (failure(403, [{"errorCode": "ACCESS_FOR_API_CLIENT_RESTRICTED"}]), UserUnavailable),
        (failure(404, [{"errorCode": "DT_RECORD_NOT_FOUND"}]), NotFound),
        (failure(404), NotFound),
        (failure(429, None, 7.0), RateLimited),
        (failure(408), TransientError),
        (failure(500), TransientError),
        (failure(503, {"message": "x"}), TransientError),
        (failure(400, [{"errorCode": "BAD"}]), BadItem),
        (failure(405), BadItem),
        (failure(409), BadItem),
        (failure(302), BadItem),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value.status),
)
def test_errors_by_the_reaction_that_they_need(given: Failure, kind: type[SyncError]) -> None:
    assert type(classify(given)) is kind


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        [None],
        [{}],
        {},
        "x",
        7,
        [{"errorCode": "Zyxwanda was here"}],
        [{"errorCode": "ZYXWANDA_QUUX"}],
        [{"errorCode": {"a": 1}}],
    ],
)
def test_no_text_of_an_answer_enters_an_error(body: Any) -> None:
    for status in (400, 401, 403, 404, 500):
        assert "zyxwanda" not in str(vars(classify(failure(status, body)))).lower()
