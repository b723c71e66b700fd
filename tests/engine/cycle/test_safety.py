"""Rules 13 to 15: deletion guard, platform fault, parked items, isolation."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from calendar_sync.core.codes import SyncCode
from calendar_sync.core.model import LinkState, Platform
from calendar_sync.operations.approvals import decline, grant, waiting
from tests.engine.cycle.stage import HOUR, Stage, mail

Make = Callable[..., Stage]
SELF = mail("dana")


def full_house(s: Stage, count: int = 20) -> list[str]:
    """So many visits of Dana's; returns their events' ids."""
    return [s.visit(days=1 + n // 8, hour=8 + n % 8).event_id for n in range(count)]


def vanish(s: Stage, event_ids: list[str]) -> None:
    for event_id in event_ids:
        s.welkin.delete_event(event_id)


# --- deletion guard -------------------------------------------------------------------------------


def test_many_vanished_appointments_are_held_until_somebody_approves(stage: Make) -> None:
    s = stage()
    ids = full_house(s)
    s.run()
    vanish(s, ids[:15])
    s.visit(days=9)
    result = s.later()
    assert len(s.mirrors()) == 21
    assert result.outcomes[s.ids["dana"]].result.held == 15
    assert "waiting for approval" in result.outcomes[s.ids["dana"]].label
    approve(s)
    s.later()
    assert len(s.mirrors()) == 6
    s.in_step()


@pytest.mark.parametrize("platform", list(Platform))
def test_the_question_says_what_goes_for_whom_when_and_why(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform)
    ids = full_house(s)
    s.run()
    vanish(s, ids[:15])
    s.later()
    [one] = waiting(s.store)
    name = {"google": "Google", "microsoft": "Microsoft 365"}[platform.value]
    assert one.question == (
        f"Delete 15 synced events from {SELF}'s {name} calendar? "
        "Their appointments were not found in Welkin."
    )
    assert one.when(s.store.config.revision().settings.zone()) == f"{s.day(1)} to {s.day(2)}"
    assert "Nothing is deleted until you approve." in one.why
    # A "no" holds for a day, whatever is synced meanwhile; then it is asked again.
    assert decline(s.store, one.digest, "tests", s.clock.now()) == 1
    for _ in range(3):
        s.visit(days=9)
        s.later(hours=7)
        assert waiting(s.store) == []
    assert len(s.mirrors() if platform is Platform.GOOGLE else s.calendar.mirrors(SELF)) == 23
    s.visit(days=10)
    s.later(hours=7)
    assert [again.digest for again in waiting(s.store)] == [one.digest]


def approve(s: Stage) -> None:
    """As the command does it."""
    from calendar_sync.state import tables as t

    store, now = s.store, s.clock.now()
    with s.database.read() as connection:
        [digest] = connection.scalars(t.approval.select().with_only_columns(t.approval.c.digest))
    assert grant(store, digest, "tests", now) == 1
    with s.database.write() as connection:
        pair = (s.ids["dana"], Platform.GOOGLE)
        store.marks.mark(connection, [pair], now)
        store.marks.compare_fully(connection, [pair], now)


def test_an_approval_covers_the_removals_it_names_and_no_others(stage: Make) -> None:
    s = stage()
    ids = full_house(s, 30)
    s.run()
    vanish(s, ids[:15])
    s.later()
    approve(s)
    vanish(s, ids[15:18])
    s.later()
    assert len(s.mirrors()) == 30


def test_an_approval_lasts_a_day_and_is_asked_for_again(stage: Make) -> None:
    s = stage()
    ids = full_house(s)
    s.run()
    s.clock.advance(minutes=2)
    vanish(s, ids[:15])
    s.run()
    from calendar_sync.insight.status import status
    from calendar_sync.state import tables as t

    with s.database.read() as connection:
        [digest] = connection.scalars(t.approval.select().with_only_columns(t.approval.c.digest))
    grant(s.store, digest, "tests", s.clock.now())
    s.clock.advance(hours=25)
    s.run(full=True)
    assert len(s.mirrors()) == 20
    [entry] = status(s.store, s.clock.now())
    assert entry.approvals == 1


def test_ten_removals_need_no_approval(stage: Make) -> None:
    s = stage()
    ids = full_house(s)
    s.run()
    vanish(s, ids[:10])
    s.later()
    assert len(s.mirrors()) == 10


@pytest.mark.parametrize("what", ["cancelled", "encounters cancelled", "other host", "filter"])
def test_what_is_said_outright_does_not_trip_the_deletion_guard(stage: Make, what: str) -> None:
    s = stage("dana", "ruben")
    ids = full_house(s)
    s.run()
    for event_id in ids:
        encounter = s.welkin.encounter_of(event_id)
        assert encounter is not None
        if what == "cancelled":
            s.welkin.cancel_event(event_id)
        elif what == "encounters cancelled":
            s.welkin.cancel_encounter(encounter.id)
        elif what == "other host":
            s.welkin.set_host(event_id, s.ids["ruben"])
    if what == "filter":
        s.document = {"encounter_types": {"exclude": ["*"]}}
    s.later()
    assert s.mirrors("dana") == []
    assert len(s.mirrors("ruben")) == (20 if what == "other host" else 0)


def test_a_holiday_clean_up_of_the_calendar_does_not_trip_the_deletion_guard(stage: Make) -> None:
    s = stage()
    events = [s.busy(days=1 + n // 8, hour=8 + n % 8) for n in range(20)]
    s.run()
    for event in events:
        s.google.delete_event(SELF, event)
    s.later()
    assert s.blocks() == []


def test_welkin_answering_nothing_with_200_removes_no_mirror(stage: Make) -> None:
    s = stage()
    full_house(s, 4)
    s.busy()
    s.run()
    before = s.position
    s.fault("welkin", "zero_events", "GET", "/calendar/events$", times=20)
    s.run(full=True)
    assert len(s.mirrors()) == 4
    assert len(s.blocks()) == 1
    assert s.wrote(before) == []
    assert s.asked("welkin.events.get", before) == 5


def test_the_calendar_answering_nothing_with_200_removes_no_block(stage: Make) -> None:
    s = stage()
    s.busy()
    s.series()
    s.visit()
    s.run()
    before = s.position
    s.fault("google", "zero_events", "GET", "/events$", times=20)
    s.run(full=True)
    assert len(s.blocks()) == 6
    assert len(s.mirrors()) == 1
    assert s.wrote(before) == []


def test_many_404s_are_not_believed_while_a_living_event_is_denied_too(stage: Make) -> None:
    s = stage()
    ids = full_house(s, 8)
    s.run()
    vanish(s, ids[:6])
    s.fault("welkin", "status", "GET", "/calendar/events/", code=404, times=None)
    s.later()
    assert len(s.mirrors()) == 8
    assert s.state().failures == 1
    s.sandbox.faults.clear()
    s.later(minutes=10)
    assert len(s.mirrors()) == 2


# --- one bad item ---------------------------------------------------------------------------------


def test_a_refused_item_is_parked_after_three_tries_and_stops_no_other(stage: Make) -> None:
    s = stage()
    s.visit(hour=9)
    s.visit(hour=11)
    s.fault("google", "status", "POST", "/events", code=400, reason="invalid", times=3)
    s.run()
    s.later(again=3)
    assert s.asked("google.events.insert", status=400) == 3
    assert len(s.mirrors()) == 2


def parked(s: Stage) -> list[tuple[str, int, str]]:
    from calendar_sync.state import tables as t

    with s.database.read() as connection:
        rows = connection.execute(t.parked_item.select()).all()
    return [(row.step, row.tries, row.code) for row in rows]


def test_a_parked_item_is_tried_again_when_it_changes(stage: Make) -> None:
    s = stage()
    visit = s.visit()
    fault = s.fault("google", "status", "POST", "/events", code=400, reason="invalid", times=None)
    s.run()
    s.later(again=5)
    # Three tries; the first of each pass might have meant the name of the zone.
    assert fault.struck == 3 + 2
    assert parked(s) == [("create_mirror", 3, "google_refused")]
    assert not s.state().marked
    s.sandbox.faults.clear()
    s.move(visit.event_id, 2, 9)
    s.later()
    assert len(s.mirrors()) == 1
    assert parked(s) == []


def test_a_block_that_welkin_refuses_is_parked(stage: Make) -> None:
    s = stage()
    s.busy(hour=14)
    event = s.busy(hour=16)
    s.run()
    [_, second] = s.blocks()
    s.fault("welkin", "status", "PATCH", second.id, code=409, reason="OVERLAP", times=None)
    s.google.move_event(SELF, event, s.at(1, 18), s.at(1, 19))
    s.busy(hour=20)
    s.later(again=4)
    assert s.block_times() == [(s.at(1, h), s.at(1, h + 1)) for h in (14, 16, 20)]
    assert parked(s) == [("update_block", 3, "welkin_refused")]


@pytest.mark.parametrize("code", [500, 409, 404])
def test_an_item_that_fails_again_and_again_does_not_hold_up_the_others(
    stage: Make, code: int
) -> None:
    s = stage()
    poison, other = s.visit(days=1), s.visit(days=5)
    s.run()
    [first, _] = s.mirrors()
    s.fault("google", "status", "PATCH", first["id"], code=code, times=None)
    s.move(poison.event_id, 1, 12)
    s.move(other.event_id, 5, 12)
    before = s.position
    for _ in range(4):
        s.later(minutes=30)
    assert (s.at(5, 12), s.at(5, 13)) in s.mirror_times()
    # Neither may it be tried without end.
    assert s.asked("google.events.patch", before, status=code) < 40


def test_an_event_of_welkin_that_cannot_be_read_does_not_hold_up_the_others(stage: Make) -> None:
    s = stage()
    bad, good = s.meeting(hour=9), s.meeting(hour=11)
    s.run()
    spoil(s, bad.id)
    s.move(good.id, 2, 11)
    s.later(again=2)
    assert s.mirror_times() == [(s.at(1, 9), s.at(1, 10)), (s.at(2, 11), s.at(2, 12))]


def spoil(s: Stage, event_id: str) -> None:
    """From now on Welkin sends this event without its start."""
    inner = s.transport.handle_async_request

    async def without_start(request: httpx.Request) -> httpx.Response:
        answer = await inner(request)
        body = (await answer.aread()).decode()
        if f'"id":"{event_id}"' not in body:
            return httpx.Response(answer.status_code, headers=answer.headers, content=body)
        document = json.loads(body)
        for row in document.get("content") or document.get("data") or [document]:
            if row.get("id") == event_id:
                row["startDateTime"] = None
        return httpx.Response(answer.status_code, json=document)

    s.transport.handle_async_request = without_start  # type: ignore[method-assign]


# --- one bad account ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["revoke", "suspend", "delete_account", "no_licence"])
def test_an_account_that_cannot_be_used_leaves_the_others_alone(stage: Make, how: str) -> None:
    s = stage("dana", "ruben", "mira")
    getattr(s.google, how)(mail("ruben"))
    for name in s.ids:
        s.visit(name)
    result = s.run()
    assert len(s.mirrors("dana")) == len(s.mirrors("mira")) == 1
    assert [outcome.user_id for outcome in result.failed] == [s.ids["ruben"]]
    assert s.state("ruben").error_code
    assert s.state("dana").failures == s.state("mira").failures == 0


def test_a_revoked_account_is_retried_ever_more_rarely_and_recovers(stage: Make) -> None:
    s = stage("dana", "ruben")
    s.run()
    s.google.revoke(mail("ruben"))
    s.visit("ruben")
    before = s.position
    for _ in range(12):
        s.later(minutes=10)
    tries = [e for e in s.sandbox.requests.since(before) if e.kind == "google.token"]
    assert 3 <= len(tries) <= 10
    assert s.state("ruben").attention
    s.google.restore(mail("ruben"))
    s.later(hours=7)
    assert len(s.mirrors("ruben")) == 1
    assert not s.state("ruben").attention
    s.in_step("ruben")


def test_an_account_with_a_long_retry_after_delays_no_other(stage: Make) -> None:
    s = stage("dana", "ruben", "mira")
    s.run()
    s.fault(
        "google", "status", code=429, reason="rateLimitExceeded", retry_after=3600,
        user=mail("ruben"), times=None,
    )  # fmt: skip
    for name in s.ids:
        s.visit(name)
    begun = s.clock.now()
    result = s.run()
    assert s.clock.now() - begun < timedelta(seconds=30)
    assert len(s.mirrors("dana")) == len(s.mirrors("mira")) == 1
    assert [outcome.user_id for outcome in result.failed] == [s.ids["ruben"]]
    retry_at = s.state("ruben").retry_at
    assert retry_at is not None
    assert timedelta(minutes=55) < retry_at - s.clock.now() <= timedelta(hours=1)
    before = s.position
    s.later(again=5)
    assert not [e for e in s.sandbox.requests.since(before) if e.user == mail("ruben")]


def test_an_idle_account_with_a_long_retry_after_is_left_in_peace(stage: Make) -> None:
    s = stage("dana", "ruben")
    s.run()
    s.fault(
        "google", "status", code=429, reason="rateLimitExceeded", retry_after=3600,
        user=mail("ruben"), times=None,
    )  # fmt: skip
    before = s.position
    s.later(again=10)
    asked = [e for e in s.sandbox.requests.since(before) if e.user == mail("ruben")]
    assert len(asked) <= 2


def test_one_users_forbidden_event_in_welkin_stops_no_other_user(stage: Make) -> None:
    s = stage("dana", "ruben")
    mine, theirs = s.busy("dana"), s.busy("ruben")
    s.run()
    [block] = s.blocks("dana")
    s.fault("welkin", "status", "PATCH", block.id, code=403, times=None)
    s.google.move_event(mail("dana"), mine, s.at(2, 9), s.at(2, 10))
    s.google.move_event(mail("ruben"), theirs, s.at(2, 9), s.at(2, 10))
    for _ in range(3):
        result = s.later()
        assert s.store.runs.fault(Platform.GOOGLE) is None
        assert s.ids["ruben"] not in [outcome.user_id for outcome in result.failed]
    assert s.block_times("ruben") == [(s.at(2, 9), s.at(2, 10))]


# --- everybody ------------------------------------------------------------------------------------


def crowd(stage: Make, count: int = 12) -> Stage:
    s = stage(*[f"person{number:02d}" for number in range(count)])
    s.run()
    return s


def test_many_accounts_failing_at_once_stop_the_platform_until_they_answer(stage: Make) -> None:
    s = crowd(stage)
    names = list(s.ids)
    for name in names[:4]:
        s.google.revoke(mail(name))
    s.visit(names[-1])
    result = s.later()
    assert result.fault == "many_accounts_failing"
    assert s.mirrors(names[-1]) == []
    before = s.position
    assert s.later().fault
    assert len({e.user for e in s.sandbox.requests.since(before) if e.service == "google"}) <= 4
    for name in names[:4]:
        s.google.restore(mail(name))
    assert s.later().fault is None
    s.later(minutes=10)
    assert len(s.mirrors(names[-1])) == 1


def test_two_failing_accounts_of_twelve_stop_no_other(stage: Make) -> None:
    s = crowd(stage)
    names = list(s.ids)
    for name in names[:2]:
        s.google.revoke(mail(name))
    s.visit(names[-1])
    assert s.later().fault is None
    assert len(s.mirrors(names[-1])) == 1


def test_accounts_that_fail_for_long_never_count(stage: Make) -> None:
    s = crowd(stage)
    names = list(s.ids)
    for name in names[:2]:
        s.google.revoke(mail(name))
    s.later()
    s.later(minutes=20)
    for name in names[2:4]:
        s.google.revoke(mail(name))
    s.visit(names[-1])
    assert s.later().fault is None


def test_a_fault_ends_although_some_accounts_had_been_failing_before_it(stage: Make) -> None:
    s = crowd(stage, 16)
    names = sorted(s.ids, key=lambda name: s.ids[name])
    for name in names[:3]:
        s.google.revoke(mail(name))
    s.later()
    s.later(minutes=20)
    for name in names[4:9]:
        s.google.revoke(mail(name))
    assert s.later().fault
    for name in names[4:9]:
        s.google.restore(mail(name))
    s.visit(names[-1])
    s.later(again=3, minutes=5)
    assert s.store.runs.fault(Platform.GOOGLE) is None
    assert len(s.mirrors(names[-1])) == 1


def test_a_fault_of_the_whole_tenant_stops_at_once_and_ends_by_itself(stage: Make) -> None:
    from calendar_sync.core.errors import TenantMisconfigured

    s = stage("dana", "ruben")
    s.run()
    s.google.api_enabled = False
    s.visit()
    with pytest.raises(TenantMisconfigured):
        s.later()
    assert s.store.runs.fault(Platform.GOOGLE) is not None
    s.google.api_enabled = True
    s.later(again=2)
    assert s.store.runs.fault(Platform.GOOGLE) is None
    assert len(s.mirrors()) == 1


def test_a_fault_found_by_others_stops_a_cycle_before_its_first_write(stage: Make) -> None:
    s = stage()
    s.visit()
    inner = s.transport.handle_async_request

    async def others_stop(request: httpx.Request) -> httpx.Response:
        answer = await inner(request)
        if request.url.path.endswith("/calendar/events") and request.method == "GET":
            s.store.runs.set_fault(Platform.GOOGLE, SyncCode.MANY_ACCOUNTS_FAILING, s.clock.now())
        return answer

    s.transport.handle_async_request = others_stop  # type: ignore[method-assign]
    s.run()
    assert s.wrote() == []
    assert s.state().marked
    s.transport.handle_async_request = inner  # type: ignore[method-assign]
    s.later(again=3)
    assert len(s.mirrors()) == 1


# --- two workers ----------------------------------------------------------------------------------


def test_a_user_whom_another_worker_holds_is_busy_and_stays_marked(stage: Make) -> None:
    s = stage("dana", "ruben")
    s.visit("dana")
    s.visit("ruben")
    lease = s.store.leases.take(s.ids["dana"], "somebody", s.clock.now())
    result = s.run()
    assert result.outcomes[s.ids["dana"]].status == "busy"
    assert result.failed == []
    assert s.mirrors("dana") == []
    assert s.state("dana").marked
    assert len(s.mirrors("ruben")) == 1
    s.store.leases.release(lease, s.clock.now())
    s.later()
    assert len(s.mirrors("dana")) == 1


def test_an_expired_lease_is_taken_over(stage: Make) -> None:
    s = stage()
    s.visit()
    s.store.leases.take(s.ids["dana"], "somebody", s.clock.now())
    s.clock.advance(seconds=91)
    s.run()
    assert len(s.mirrors()) == 1


def test_a_worker_that_lost_its_lease_writes_nothing_more(stage: Make) -> None:
    s = stage()
    s.visit(days=1)
    s.visit(days=2)
    s.visit(days=3)
    inner = s.transport.handle_async_request
    thefts: list[Any] = []

    async def steal(request: httpx.Request) -> httpx.Response:
        answer = await inner(request)
        if request.method == "POST" and request.url.path.endswith("/events") and not thefts:
            now = s.clock.now() + timedelta(seconds=91)
            thefts.append(s.store.leases.take(s.ids["dana"], "thief", now))
        return answer

    s.transport.handle_async_request = steal  # type: ignore[method-assign]
    result = s.run()
    assert result.outcomes[s.ids["dana"]].status == "busy"
    assert s.asked("google.events.insert") == 1
    assert s.state().marked
    s.store.leases.release(thefts[0], s.clock.now())
    s.later()
    assert len(s.mirrors()) == 3
    assert {link.state for link in s.links()} == {LinkState.LIVE}
    s.in_step()


def test_a_mark_set_while_a_cycle_runs_is_not_lost(stage: Make) -> None:
    s = stage()
    visit = s.visit()
    s.run()
    inner = s.transport.handle_async_request
    moved: list[bool] = []

    async def move_meanwhile(request: httpx.Request) -> httpx.Response:
        answer = await inner(request)
        if request.method == "PATCH" and not moved:
            moved.append(True)
            s.move(visit.event_id, 4, 9)
            with s.database.write() as connection:
                s.store.marks.mark(connection, [(s.ids["dana"], Platform.GOOGLE)], s.clock.now())
        return answer

    s.transport.handle_async_request = move_meanwhile  # type: ignore[method-assign]
    s.move(visit.event_id, 3, 9)
    s.later()
    assert s.mirror_times() == [(s.at(4, 9), s.at(4, 9) + HOUR)]
    s.in_step()


def test_a_parked_item_is_tried_again_after_an_hour_without_anybodys_doing(stage: Make) -> None:
    s = stage()
    s.run()
    s.busy()
    s.busy(days=2)
    s.fault("welkin", "status", "POST", "/calendar/events", code=500, times=None)
    for _ in range(8):
        s.later(minutes=10)
    s.sandbox.faults.clear()
    s.later(again=3, minutes=50)
    assert len(s.blocks()) == 2
    assert s.store.items.due_again(Platform.GOOGLE, s.clock.now() + timedelta(days=9)) == set()


def test_two_items_that_always_fail_do_not_hold_up_the_others_for_ever(stage: Make) -> None:
    s = stage()
    s.run()
    for number in range(4):
        s.busy(days=1 + number, summary=f"event {number}")
    s.document = {"block_time": {"block_title": "event_title"}}
    bad = {"event 0", "event 1"}
    s.welkin.habits.refuses_titles = frozenset(bad)
    s.later(again=8, minutes=20)
    assert {block.title for block in s.blocks()} == {"event 2", "event 3"}


def test_what_is_no_longer_wanted_is_not_parked_for_ever(stage: Make) -> None:
    s = stage()
    s.run()
    event = s.busy()
    s.busy(days=2)
    s.fault("welkin", "status", "POST", "/calendar/events", code=500, times=None)
    for _ in range(8):
        s.later(minutes=10)
    s.google.delete_event(mail("dana"), event)
    s.sandbox.faults.clear()
    s.later(again=4, minutes=50)
    s.later(hours=30)
    assert s.store.items.due_again(Platform.GOOGLE, s.clock.now() + timedelta(days=9)) == set()
    s.in_step()
