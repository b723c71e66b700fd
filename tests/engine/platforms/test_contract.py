"""What `CalendarPlatform` promises, asserted once and kept by every adapter."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from calendar_sync.adapters.http import waiting_at_most
from calendar_sync.core.errors import (
    BadItem,
    CursorExpired,
    Duplicate,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    RateLimited,
    TenantMisconfigured,
    TransientError,
    UserUnavailable,
)
from calendar_sync.core.identity import Identity
from calendar_sync.core.model import (
    Availability,
    CalendarEvent,
    Changes,
    Draft,
    Platform,
    Removed,
    Row,
    SeriesSet,
    Span,
    Tombstone,
    Window,
)
from calendar_sync.core.ports import CalendarPlatform
from calendar_sync_sandbox.faults import Fault
from tests.harness import World

if TYPE_CHECKING:
    from calendar_sync_sandbox.calendars import CalendarWorld

ME, WHERE = "dana@example.org", "primary"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MARKER, KEY = "tag.0123456789abcdef01234567", "abcde01234abcde01234abcde01234ab"
IDENTITY = Identity("key", "demo/live")
#: What never leaves, whatever is asked for.
LISTS = {Platform.GOOGLE: "google.events.list", Platform.MICROSOFT: "microsoft.events.delta"}


class Desk:
    """One mailbox on one platform, its owner and an adapter that looks at it."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.world = World()
        self.people: CalendarWorld = self.world.calendars(platform)
        self.people.add_account(ME, "America/New_York")
        today = self.world.clock.now().replace(minute=0)
        self.window = Window(today - 30 * DAY, today + 100 * DAY)

    def ask(self, work: Callable[[CalendarPlatform], Awaitable[Any]]) -> Any:
        return asyncio.run(self.world.with_services(lambda s: work(s.platforms[self.platform])))

    def living(self, cursor: str | None = None) -> list[CalendarEvent]:
        return live(self.changes(cursor).events)

    def changes(self, cursor: str | None = None, calendar: str = WHERE) -> Changes:
        found = self.ask(lambda p: p.changes(ME, calendar, cursor, self.window))
        assert isinstance(found, Changes)
        return found

    def event(self, event_id: str) -> CalendarEvent | Tombstone | None:
        found: CalendarEvent | Tombstone | None = self.ask(lambda p: p.event(ME, WHERE, event_id))
        return found

    def series(self, series_id: str) -> SeriesSet:
        found = self.ask(lambda p: p.series(ME, WHERE, series_id, self.window))
        assert isinstance(found, SeriesSet)
        return found

    def create(self, draft: Draft, key: str = KEY, marker: str = MARKER) -> CalendarEvent:
        made = self.ask(lambda p: p.create_mirror(ME, WHERE, key, marker, draft))
        assert isinstance(made, CalendarEvent)
        return made

    def update(self, event_id: str, draft: Draft, etag: str | None = None) -> CalendarEvent:
        made = self.ask(lambda p: p.update_mirror(ME, WHERE, event_id, MARKER, draft, etag))
        assert isinstance(made, CalendarEvent)
        return made

    def delete(self, event_id: str) -> None:
        self.ask(lambda p: p.delete_mirror(ME, WHERE, event_id))

    def mirror(self, key: str = KEY, marker: str = MARKER) -> CalendarEvent | None:
        found: CalendarEvent | None = self.ask(lambda p: p.mirror(ME, WHERE, key, marker))
        return found

    def at(self, days: int, hour: int = 14) -> datetime:
        return (self.world.clock.now() + days * DAY).replace(hour=hour, minute=0, tzinfo=UTC)

    def plan(self, days: int = 1, title: str = "Dentist", **more: Any) -> str:
        return self.people.plan(ME, self.at(days), self.at(days) + HOUR, title, **more)

    def day(self, days: int) -> date:
        return self.at(days).date()

    def fault(self, kind: str, method: str = "*", path: str = "", **more: Any) -> Fault:
        return self.world.sandbox.faults.add(Fault(self.platform.value, kind, method, path, **more))


def live(rows: Iterable[Row]) -> list[CalendarEvent]:
    return [row for row in rows if isinstance(row, CalendarEvent)]


def draft(span: Span, title: str = "Busy", description: str = "") -> Draft:
    content = IDENTITY.mirror_hash(title, description, span)
    return Draft(title, description, span, "US/Eastern", "busy/busy", content)


@pytest.fixture(params=list(Platform))
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    made = Desk(request.param)
    yield made
    assert made.world.sandbox.requests.mail_risk == [], "a request could have sent mail"
    made.world.database.close()


def hour(desk: Desk, days: int = 1) -> Span:
    return Span(desk.at(days, 9), desk.at(days, 10))


# --- lists ----------------------------------------------------------------------------------------


def test_everything_at_first_then_only_what_changed(desk: Desk) -> None:
    kept, gone = desk.plan(1), desk.plan(2)
    first = desk.changes()
    assert first.full
    assert {event.id for event in first.events} == {kept, gone}
    assert desk.changes(first.cursor).events == ()
    desk.people.delete_event(ME, gone)
    desk.people.rename(ME, kept, "other")
    second = desk.changes(first.cursor)
    assert not second.full
    assert {row.id: isinstance(row, Removed) for row in second.events} == {kept: False, gone: True}
    assert desk.changes(second.cursor).events == ()


def test_a_full_list_holds_every_instance_with_the_start_that_the_rule_gives(desk: Desk) -> None:
    series = desk.people.plan_series(ME, "FREQ=DAILY;COUNT=4", desk.at(1), desk.at(1) + HOUR, "x")
    found = [event for event in desk.living() if not event.is_master]
    assert {event.series_id for event in found} == {series}
    assert {event.span for event in found} == {
        Span(desk.at(1 + days), desk.at(1 + days) + HOUR) for days in range(4)
    }
    assert len({event.source for event in found}) == 4


def test_more_than_a_page_is_read_to_its_end(desk: Desk) -> None:
    starts = [desk.at(1 + number % 90, number % 20) for number in range(600)]
    ids = {desk.people.plan(ME, start, start + HOUR, "x") for start in starts}
    first = desk.changes()
    assert {event.id for event in first.events} == ids
    for event_id in ids:
        desk.people.rename(ME, event_id, "y")
    assert {event.id for event in desk.changes(first.cursor).events} == ids


def test_an_event_outside_the_window_is_no_part_of_a_full_list(desk: Desk) -> None:
    desk.plan(200)
    across = desk.people.plan(ME, desk.window.start - HOUR, desk.window.start + HOUR, "across")
    assert {event.id for event in desk.changes().events} == {across}


def test_what_moves_out_of_the_window_is_reported(desk: Desk) -> None:
    moved = desk.plan(1)
    first = desk.changes()
    desk.people.move_event(ME, moved, desk.at(300), desk.at(300) + HOUR)
    (told,) = desk.changes(first.cursor).events
    assert told.id == moved
    now = desk.event(moved)
    assert isinstance(now, CalendarEvent)
    assert now.span == Span(desk.at(300), desk.at(300) + HOUR)


def test_an_expired_or_foreign_cursor_asks_for_a_full_read(desk: Desk) -> None:
    first = desk.changes()
    desk.people.expire_sync_tokens(ME)
    for cursor in (first.cursor, "nonsense"):
        with pytest.raises(CursorExpired):
            desk.changes(cursor)


@pytest.mark.parametrize("kind", ["no_cursor", "html", "empty_200", "truncated_json"])
def test_a_list_that_cannot_be_read_to_its_end_is_an_error(desk: Desk, kind: str) -> None:
    first = desk.changes()
    desk.fault(kind, "*", "", times=None)
    for cursor in (None, first.cursor):
        with pytest.raises(TransientError):
            desk.changes(cursor)


def test_an_unknown_calendar_is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.changes(calendar="AAMk-nowhere@group.calendar.google.com")


def test_another_calendar_of_the_mailbox_is_a_list_of_its_own(desk: Desk) -> None:
    made: Any = desk.people
    other = made.add_calendar(ME, "Team").id
    there = desk.people.plan(ME, desk.at(1), desk.at(2), "x", calendar=other)
    desk.plan(3)
    assert [event.id for event in desk.changes(calendar=other).events] == [there]


def test_every_page_and_poll_is_asked_for_in_the_same_words(desk: Desk) -> None:
    """A cursor is void when it is used with other parameters than those it was got with."""
    first = desk.changes()
    desk.changes(first.cursor)
    desk.changes(first.cursor)
    lists = [e for e in desk.world.sandbox.requests if e.kind == LISTS[desk.platform]]
    varying = {"timeMin", "timeMax", "syncToken", "pageToken"}
    varying |= {"startDateTime", "endDateTime", "$deltatoken", "$skiptoken"}
    assert len({tuple(sorted(e.query.items() - {(k, e.query[k]) for k in varying & e.query.keys()}))
                for e in lists}) == 1  # fmt: skip
    assert len(lists) == 3


# --- what an event says ---------------------------------------------------------------------------


def test_busy_tentative_free_private_and_declined(desk: Desk) -> None:
    plain, free = desk.plan(1), desk.plan(2, free=True)
    private, declined, perhaps = desk.plan(3, private=True), desk.plan(4), desk.plan(5)
    desk.people.respond(ME, declined, "declined")
    desk.people.respond(ME, perhaps, "tentative")
    events = {event.id: event for event in desk.living()}
    assert events[plain].availability is Availability.BUSY
    assert events[free].availability is Availability.FREE
    assert events[perhaps].availability is Availability.TENTATIVE
    assert [events[key].private for key in (plain, private)] == [False, True]
    assert [events[key].declined for key in (plain, declined)] == [False, True]
    assert events[plain].marker is None


def test_days_are_days(desk: Desk) -> None:
    one = desk.people.plan(ME, desk.day(3), desk.day(4), "Day off")
    many = desk.people.plan(ME, desk.day(5), desk.day(19), "Holiday")
    events = {event.id: event for event in desk.living()}
    assert events[one].span == Span(desk.day(3), desk.day(4))
    assert events[many].span == Span(desk.day(5), desk.day(19))


@pytest.mark.parametrize("title", ["Zahnarzt 🦷 & co", "<b>x</b>", "x" * 200, "Two\r\nlines", ""])
def test_titles_of_any_kind_are_read(desk: Desk, title: str) -> None:
    made = desk.plan(1, title)
    (event,) = desk.living()
    assert event.id == made
    assert event.title.split() == title.split()


def test_one_event_and_none(desk: Desk) -> None:
    made = desk.plan()
    found = desk.event(made)
    assert isinstance(found, CalendarEvent)
    assert (found.id, found.unread) == (made, False)
    desk.people.delete_event(ME, made)
    gone = desk.event(made)
    assert gone is None or isinstance(gone, Tombstone)
    assert desk.event("nothing1") is None
    assert desk.event("a?b=c#d/e") is None, "an id is one segment of the path, whatever it holds"


def test_a_version_sorts_after_the_one_before(desk: Desk) -> None:
    made = desk.plan()
    versions = []
    for number in range(3):
        desk.world.clock.advance(1.5)
        desk.people.rename(ME, made, f"title {number}")
        found = desk.event(made)
        assert found is not None
        versions.append(found.version)
    assert versions == sorted(set(versions))


# --- series ---------------------------------------------------------------------------------------


def test_the_set_of_a_series_is_what_takes_place(desk: Desk) -> None:
    series = desk.people.plan_series(ME, "FREQ=DAILY;COUNT=5", desk.at(1), desk.at(1) + HOUR, "x")
    before = {event.source for event in desk.series(series).instances}
    made: Any = desk.people
    made.delete_instance(ME, series, desk.at(2))
    made.move_instance(ME, series, desk.at(3), desk.at(3, 17), desk.at(3, 18))
    found = desk.series(series)
    assert found.known
    assert {event.span.start for event in live(found.instances)} == {
        desk.at(1), desk.at(3, 17), desk.at(4), desk.at(5),
    }  # fmt: skip
    assert {event.source for event in found.instances} < before, "moved, an instance stays the same"


def test_days_of_a_series_are_days_and_keep_their_names(desk: Desk) -> None:
    series = desk.people.plan_series(ME, "FREQ=WEEKLY;COUNT=3", desk.day(2), desk.day(3), "On call")
    found = live(desk.series(series).instances)
    assert {event.span for event in found} == {
        Span(desk.day(2 + 7 * n), desk.day(3 + 7 * n)) for n in range(3)
    }
    assert {event.original_start for event in found} == {
        desk.day(2 + 7 * n).isoformat() for n in range(3)
    }
    assert {event.source for event in found} == {
        event.source for event in desk.changes().events if not event.is_master
    }


def test_a_series_that_is_over_or_gone_has_no_instances(desk: Desk) -> None:
    past = desk.people.plan_series(ME, "FREQ=DAILY;COUNT=3", desk.at(-90), desk.at(-90) + HOUR, "x")
    assert desk.series(past) == SeriesSet((), known=True)
    gone = desk.people.plan_series(ME, "FREQ=WEEKLY", desk.at(1), desk.at(1) + HOUR, "x")
    desk.people.delete_event(ME, gone)
    assert desk.series(gone).instances == ()
    assert desk.series("never1there") == SeriesSet((), known=False)


def test_a_series_whose_instances_are_lost_on_the_way_is_in_doubt(desk: Desk) -> None:
    series = desk.people.plan_series(ME, "FREQ=WEEKLY", desk.at(1), desk.at(1) + HOUR, "x")
    desk.fault("zero_events", "GET", "/instances")
    assert desk.series(series) == SeriesSet((), known=False)


@pytest.mark.parametrize("code", [400, 404])
def test_a_living_series_whose_instances_are_refused_is_not_empty(desk: Desk, code: int) -> None:
    series = desk.people.plan_series(ME, "FREQ=WEEKLY", desk.at(1), desk.at(1) + HOUR, "x")
    desk.fault("status", "GET", "/instances", code=code)
    with pytest.raises(TransientError):
        desk.series(series)


def test_what_is_no_series_any_more_is_its_own_only_instance(desk: Desk) -> None:
    single = desk.plan()
    assert [event.id for event in desk.series(single).instances] == [single]


def test_a_deleted_instance_makes_its_series_known(desk: Desk) -> None:
    """Which row tells of it differs; from each of them the series can be named."""
    series = desk.people.plan_series(ME, "FREQ=DAILY;COUNT=5", desk.at(1), desk.at(1) + HOUR, "x")
    first = desk.changes()
    made: Any = desk.people
    made.delete_instance(ME, series, desk.at(2))
    told = desk.changes(first.cursor).events
    assert series in {event.series_id for event in told} | {e.id for e in told if e.is_master}


# --- mirrors --------------------------------------------------------------------------------------


def test_a_mirror_is_private_busy_without_guests_and_read_back_as_it_was_meant(desk: Desk) -> None:
    wanted = draft(hour(desk), "Visit: Follow-up", "In person\nRoom 7  & more <ok>")
    made = desk.create(wanted)
    assert (made.marker, made.private, made.availability) == (MARKER, True, Availability.BUSY)
    assert not made.has_attendees
    assert IDENTITY.event_hash(made) == wanted.hash
    read = desk.event(made.id)
    assert isinstance(read, CalendarEvent)
    assert (IDENTITY.event_hash(read), read.marker) == (wanted.hash, MARKER)
    (listed,) = desk.living()
    assert (IDENTITY.event_hash(listed), listed.marker) == (wanted.hash, MARKER)
    (seen,) = desk.people.mirrors(ME)
    assert (seen.guests, seen.private, seen.shown) == (0, True, "busy")


def test_a_mirror_listed_by_a_cursor_has_the_same_content(desk: Desk) -> None:
    first = desk.changes()
    wanted = draft(hour(desk), "Visit", "Line one\nLine two")
    made = desk.create(wanted)
    (told,) = desk.living(first.cursor)
    assert told.id == made.id
    assert IDENTITY.event_hash(told) == wanted.hash
    assert told.marker == MARKER or told.unread, "or it says that the marker was not shown"


def test_a_mirror_of_whole_days(desk: Desk) -> None:
    wanted = draft(Span(desk.day(3), desk.day(5)))
    made = desk.create(wanted)
    assert IDENTITY.event_hash(made) == wanted.hash
    timed = desk.update(made.id, draft(hour(desk, 3)), made.etag)
    assert timed.span == hour(desk, 3)
    assert desk.update(made.id, wanted, timed.etag).span == wanted.span


def test_a_cursor_from_before_mirrors_had_locations_still_counts(desk: Desk) -> None:
    """What is shown of an event is no other list: not every calendar is read again for it."""

    async def shape(platform: CalendarPlatform) -> str:
        return platform.shape

    before = {Platform.GOOGLE: "5dc66566826854e2", Platform.MICROSOFT: "ff0d433ef8243a79"}
    assert desk.ask(shape) == before[desk.platform]


def test_an_update_replaces_what_a_person_changed(desk: Desk) -> None:
    wanted = draft(hour(desk))
    made = desk.create(wanted)
    desk.people.move_event(ME, made.id, desk.at(9), desk.at(9) + HOUR)
    desk.people.rename(ME, made.id, "mine")
    desk.people.show_as(ME, made.id, free=True)
    assert IDENTITY.event_hash(desk.update(made.id, wanted)) == wanted.hash
    desk.people.change_rule(ME, made.id, "FREQ=WEEKLY;COUNT=3")
    found = desk.event(made.id)
    assert isinstance(found, CalendarEvent)
    assert IDENTITY.event_hash(found) != wanted.hash, "repeated, it is not what was wanted"
    assert IDENTITY.event_hash(desk.update(made.id, wanted)) == wanted.hash
    (only,) = desk.people.mirrors(ME)
    assert not only.is_series


def test_an_update_of_another_version_is_refused(desk: Desk) -> None:
    made = desk.create(draft(hour(desk)))
    later = desk.update(made.id, draft(hour(desk, 2)), made.etag)
    assert later.etag != made.etag
    with pytest.raises(PreconditionFailed):
        desk.update(made.id, draft(hour(desk, 3)), made.etag)
    assert desk.update(made.id, draft(hour(desk, 3))).span == hour(desk, 3)


def test_a_mirror_that_is_gone_cannot_be_updated_and_need_not_be_deleted(desk: Desk) -> None:
    made = desk.create(draft(hour(desk)))
    desk.delete(made.id)
    assert desk.people.mirrors(ME) == []
    desk.delete(made.id)
    desk.delete("never0")
    with pytest.raises(NotFound):
        desk.update("never0", draft(hour(desk)))


def test_a_mirror_is_found_by_its_key_and_marker(desk: Desk) -> None:
    assert desk.mirror() is None
    made = desk.create(draft(hour(desk)))
    found = desk.mirror()
    assert found is not None
    assert (found.id, found.marker) == (made.id, MARKER)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reset_after"},
        {"kind": "timeout_after"},
        {"kind": "status", "code": 500, "committed": True},
        {"kind": "status", "code": 503, "committed": True, "retry_after": 1},
        {"kind": "truncated_json"},
        {"kind": "empty_200"},
    ],
    ids=lambda fault: fault["kind"] + str(fault.get("code", "")),
)
def test_a_creation_whose_answer_is_lost_makes_one_mirror(desk: Desk, fault: Any) -> None:
    desk.fault(method="POST", path="/events", **fault)
    try:
        desk.create(draft(hour(desk)))
    except (Duplicate, OutcomeUnknown):
        assert desk.mirror() is not None
    assert len(desk.people.mirrors(ME)) == 1


def test_a_creation_that_is_refused_for_now_is_sent_again(desk: Desk) -> None:
    desk.fault("status", "POST", "/events", code=429, retry_after=3)
    desk.create(draft(hour(desk)))
    assert len(desk.people.mirrors(ME)) == 1


# --- whom a failure concerns ----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["revoke", "suspend", "delete_account", "no_licence"])
def test_an_account_out_of_use_concerns_this_user_only(desk: Desk, how: str) -> None:
    first = desk.changes()
    getattr(desk.people, how)(ME)
    for cursor in (None, first.cursor):
        with pytest.raises(UserUnavailable) as caught:
            desk.changes(cursor)
        assert caught.value.detail == ME
    with pytest.raises(UserUnavailable):
        desk.create(draft(hour(desk)))


def test_an_unknown_account_concerns_no_other_user(desk: Desk) -> None:
    with pytest.raises(UserUnavailable):
        desk.ask(lambda p: p.changes("nobody@example.org", WHERE, None, desk.window))


def test_credentials_that_are_refused_concern_everybody(desk: Desk) -> None:
    if desk.platform is Platform.GOOGLE:
        desk.world.google.api_enabled = False
    else:
        desk.world.microsoft.directory.secret_state = "expired"
    with pytest.raises(TenantMisconfigured):
        desk.changes()


def test_a_token_that_has_become_invalid_is_replaced_once(desk: Desk) -> None:
    desk.changes()
    desk.fault("token_expired", "GET", "", times=1)
    assert desk.changes().full


@pytest.mark.parametrize("seconds", [30, 3000])
def test_a_long_pause_is_handed_on(desk: Desk, seconds: int) -> None:
    desk.fault("status", "GET", "/users|/events", code=429, retry_after=seconds, times=None)
    with pytest.raises(RateLimited) as caught:
        asyncio.run(
            desk.world.with_services(lambda s: _impatient(s.platforms[desk.platform], desk))
        )
    assert caught.value.retry_after == seconds


async def _impatient(platform: CalendarPlatform, desk: Desk) -> Any:
    with waiting_at_most(1.0):
        return await platform.changes(ME, WHERE, None, desk.window)


def test_content_that_is_refused_concerns_the_item_only(desk: Desk) -> None:
    desk.fault("status", "POST", "/events", code=400, reason="ErrorPropertyValidationFailure")
    with pytest.raises(BadItem):
        desk.create(draft(hour(desk)))


def test_no_error_repeats_what_the_server_said(desk: Desk) -> None:
    desk.fault("status", "*", "", code=400, times=None, reason="X", message="Zelda Canary, 1950")
    for attempt in (lambda: desk.changes(), lambda: desk.create(draft(hour(desk)))):
        with pytest.raises((UserUnavailable, BadItem, TenantMisconfigured)) as caught:
            attempt()
        assert "Canary" not in str(caught.value)


# --- what a test of the sync makes ----------------------------------------------------------------

MARK = "synctest-0123456789-0123456789abcdef"


def test_a_tests_event_is_busy_private_and_no_mirror(desk: Desk) -> None:
    span = hour(desk)
    made = desk.ask(lambda p: p.create_test_event(ME, WHERE, MARK, "Calendar sync test", span))
    [seen] = desk.people.own(ME)
    assert (seen.title, seen.start, seen.end) == ("Calendar sync test", span.start, span.end)
    assert (seen.shown, seen.private, seen.guests) == ("busy", True, 0)
    assert desk.people.mirrors(ME) == []
    [listed] = desk.living()
    assert (listed.id, listed.marker, listed.availability) == (made.id, None, Availability.BUSY)


def test_a_tests_events_are_found_by_their_mark_alone_and_removed(desk: Desk) -> None:
    span = hour(desk)
    desk.plan(1, "Calendar sync test")
    desk.create(draft(span))
    made = {
        desk.ask(lambda p: p.create_test_event(ME, WHERE, MARK, "Calendar sync test", span)).id
        for _ in range(2)
    }
    assert set(desk.ask(lambda p: p.test_events(ME, WHERE, MARK))) == made
    assert desk.ask(lambda p: p.test_events(ME, WHERE, MARK + "0")) == []
    for event_id in made | {"nobody-has-this"}:
        desk.ask(partial(_delete_test_event, event_id))
    assert desk.ask(lambda p: p.test_events(ME, WHERE, MARK)) == []
    assert len(desk.people.own(ME)) == len(desk.people.mirrors(ME)) == 1


async def _delete_test_event(event_id: str, platform: CalendarPlatform) -> None:
    await platform.delete_test_event(ME, WHERE, event_id)


def test_a_tests_event_is_never_made_twice(desk: Desk) -> None:
    desk.fault("timeout_after", "POST", "/events", times=1)
    with pytest.raises(OutcomeUnknown):
        desk.ask(lambda p: p.create_test_event(ME, WHERE, MARK, "x", hour(desk)))
    assert len(desk.ask(lambda p: p.test_events(ME, WHERE, MARK))) == 1
