"""Stories that only Exchange can tell; what is the same everywhere is in the other files."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from calendar_sync.core.errors import ConfigurationError, TenantMisconfigured
from calendar_sync.core.model import Direction, LinkState, Platform
from calendar_sync_sandbox.faults import Fault
from tests.engine.cycle.stage import HOUR, Both, Stage, mail
from tests.harness import Killed

Make = Callable[..., Stage]
ME = mail("dana")


@pytest.fixture
def office(stage: Make) -> Make:
    """Makes stages whose people are on Microsoft 365."""

    def make(*names: str, **more: Any) -> Stage:
        return stage(*names, platform=Platform.MICROSOFT, **more)

    return make


def kinds(s: Stage, since: int, service: str = "microsoft") -> list[str]:
    found = [e.kind for e in s.sandbox.requests.since(since) if e.service == service]
    return [kind.removeprefix("microsoft.") for kind in found]


def graph(s: Stage, kind: str, **more: Any) -> Fault:
    found: Fault = s.fault("microsoft", kind, **more)
    return found


# --- what it costs --------------------------------------------------------------------------------


def test_an_idle_pass_asks_each_mailbox_once_and_carries_twenty_in_a_request(office: Make) -> None:
    s = office(*[f"nurse{number:02}" for number in range(50)])
    s.run()
    s.later(again=3)
    before = s.position
    result = s.later(minutes=1)
    assert result.outcomes == {}
    asked = kinds(s, before)
    assert asked.count("events.delta") == 50
    assert set(asked) == {"events.delta", "batch"}
    assert asked.count("batch") <= 5
    assert len(kinds(s, before, "welkin")) <= 6
    assert max(s.microsoft.worst_concurrency.values()) <= 4


def test_a_change_costs_one_window_read_and_one_calendar_read_besides_its_writes(
    office: Make,
) -> None:
    s = office()
    s.run()
    s.later(again=3)
    before = s.position
    s.visit(hour=9)
    s.busy(hour=12)
    s.later(minutes=2)
    # The read and the mirror: who has work by Welkin's feeds is not polled as well.
    assert sorted(kinds(s, before)) == ["events.create", "events.delta"]
    window = [e for e in s.sandbox.requests.since(before) if e.kind == "welkin.events.list"]
    assert len(window) == len({(e.query["from"], e.query["page"]) for e in window})
    before = s.position
    s.later(again=12, minutes=1)
    assert s.wrote(before) == []
    assert "welkin.events.list" not in kinds(s, before, "welkin")


def test_only_what_may_be_a_mirror_is_looked_at_once_more(office: Make) -> None:
    """A delta shows no markers. Mirrors are private, so what is not cannot be one."""
    s = office()
    s.run()
    before = s.position
    s.busy(hour=9)
    private = s.busy(hour=11, sensitivity="private")
    s.later(minutes=2)
    looked = [e.path for e in s.sandbox.requests.since(before) if e.kind == "microsoft.events.get"]
    assert len(looked) == 1
    assert private.rstrip("=") in looked[0]
    assert len(s.blocks()) == 2


def test_a_mailbox_is_never_asked_more_than_four_things_at_once(office: Make) -> None:
    """The sandbox refuses a fifth with 429 as Exchange does, and remembers the most it has seen."""
    s = office(settings={"block_time": {"all_day": "block"}})
    for number in range(30):
        s.busy(days=1 + number, sensitivity="private")
    s.run()
    for name in list(s.calendar.own(ME)):
        s.calendar.rename(ME, name.id, "changed")
    for number in range(30):
        s.calendar.plan(ME, s.at(1 + number, 16), s.at(1 + number, 17), "x", private=True)
    s.later(minutes=2)
    assert 1 < s.microsoft.worst_concurrency[ME] <= 4
    assert all(e.status != 429 for e in s.sandbox.requests)
    s.in_step()


def test_where_the_app_is_allowed_four_at_once_everybody_still_comes_in_step(office: Make) -> None:
    s = office(*[f"nurse{number:02}" for number in range(40)])
    s.microsoft.app_limit = 4
    for name in s.ids:
        s.visit(name)
        s.busy(name)
    s.run()
    s.later(again=12)
    assert all(len(s.calendar.mirrors(mail(name))) == 1 for name in s.ids)
    assert all(len(s.blocks(name)) == 1 for name in s.ids)
    assert any(e.status == 429 for e in s.sandbox.requests), "the limit was met"
    for name in s.ids:
        s.calendar.rename(mail(name), s.calendar.own(mail(name))[0].id, "other")
        s.move(s.welkin.events_of(s.ids[name])[0].id, 3, 9)
    s.later(again=12)
    for name in s.ids:
        assert s.mirror_times(name) == [(s.at(3, 9), s.at(3, 10))]
    s.in_step()


# --- creation -------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_the_creation_there_is_one_mirror_in_the_end(office: Make, after: bool) -> None:
    s = office()
    s.run()
    s.visit()
    s.clock.advance(minutes=2)
    before = s.position

    def at_the_creation() -> None:
        if s.sandbox.requests[-1].kind == "microsoft.events.delta" and not s.transport.kill_at:
            s.transport.kill_at = s.transport.count + 1

    original, s.transport.kill_after = s.transport.after_request, after
    s.transport.after_request = lambda: (original(), at_the_creation())[0]  # type: ignore[func-returns-value]
    with pytest.raises(Killed):
        s.run()
    s.transport.after_request = original
    s.transport.revive()
    assert len(s.calendar.mirrors(ME)) == after
    s.later(again=2)
    s.clock.advance(hours=1)
    s.later(again=2)
    assert len(s.calendar.mirrors(ME)) == 1
    assert len([e for e in s.sandbox.requests.since(before) if e.kind == "microsoft.events.create"
                and e.status == 201]) == 1  # fmt: skip
    s.in_step()


@pytest.mark.parametrize("code", [409, 500, 503])
def test_created_although_the_answer_says_otherwise(office: Make, code: int) -> None:
    s = office()
    s.run()
    s.visit()
    graph(s, "status", method="POST", path="/events", code=code, committed=True)
    s.later(again=3)
    assert len(s.calendar.mirrors(ME)) == 1
    s.in_step()


def test_where_a_repeated_creation_is_not_recognised_there_is_still_one_mirror(
    office: Make,
) -> None:
    s = office()
    s.microsoft.duplicate_transaction = "ignore"
    s.run()
    s.visit()
    graph(s, "reset_after", method="POST", path="/events")
    s.later(again=3)
    assert len(s.calendar.mirrors(ME)) == 1
    s.in_step()


def test_a_creation_whose_answer_is_lost_while_reads_lag_is_made_once(office: Make) -> None:
    """Nobody promises that a transactionId is known: nothing is sent twice within a minute."""
    s = office()
    s.microsoft.duplicate_transaction = "ignore"
    s.run()
    s.microsoft.lag_seconds = 20
    s.visit()
    s.visit(days=2)
    graph(s, "reset_after", method="POST", path="/events")
    s.later(again=4)
    assert len(s.calendar.mirrors(ME)) == 2
    s.microsoft.lag_seconds = 0
    s.later(again=2)
    s.in_step()


def test_what_a_repeated_creation_returns_may_be_older_than_what_is_wanted(office: Make) -> None:
    """The server answers a known transactionId with the event of the first attempt."""
    s = office()
    s.run()
    meeting = s.meeting()
    s.microsoft.lag_seconds = 100
    graph(s, "reset_after", method="POST", path="/events", times=None)
    s.later(minutes=2, rounds=1)
    assert len(s.calendar.mirrors(ME)) == 1
    s.sandbox.faults.clear()
    s.move(meeting.id, 3, 9)
    s.later(again=1, seconds=90)
    s.microsoft.lag_seconds = 0
    s.later(again=3)
    assert s.mirror_times() == [(s.at(3, 9), s.at(3, 10))]
    s.in_step()


def test_a_lost_state_database_makes_nothing_twice(office: Make) -> None:
    s = office()
    for days in range(1, 6):
        s.visit(days=days)
        s.busy(days=days)
    s.run()
    mirrors = {seen.id for seen in s.calendar.mirrors(ME)}
    blocks = [block.id for block in s.blocks()]
    fresh = Stage(platform=Platform.MICROSOFT, clock=s.clock)
    s.database, fresh.database = fresh.database, s.database
    fresh.database.close()
    s.remap()
    before = s.position
    s.later(again=3)
    assert {seen.id for seen in s.calendar.mirrors(ME)} == mirrors
    assert [block.id for block in s.blocks()] == blocks
    assert "microsoft.events.create 201" not in s.wrote(before)
    s.in_step()


def test_a_copy_of_a_mirror_is_no_busy_time_of_its_own(office: Make) -> None:
    """Outlook copies what it does not show, too."""
    s = office()
    s.visit()
    s.run()
    (mirror,) = s.calendar.mirrors(ME)
    properties = [{"id": "String {3F1C0A5E-6D0B-4C7E-9A54-5A0C1F0D7B21} Name calendarSync",
                   "value": mirror.marker}]  # fmt: skip
    start = s.at(4, 9)
    s.calendar.add_event(ME, start=start, end=start + HOUR, subject="Busy", sensitivity="private",
                         singleValueExtendedProperties=properties)  # fmt: skip
    s.later(again=2)
    assert s.blocks() == []
    s.later(again=1, hours=30)
    assert s.blocks() == []


# --- what deltas say and do not say ---------------------------------------------------------------


def test_removed_from_the_window_is_not_deleted(office: Make) -> None:
    s = office()
    event = s.busy(days=2)
    s.visit()
    s.run()
    s.later()
    s.calendar.move_event(ME, event, s.at(600, 9), s.at(600, 10))
    s.later(again=2)
    assert s.blocks() == [], "it takes no time that can be booked"
    s.calendar.move_event(ME, event, s.at(5, 9), s.at(5, 10))
    s.later(again=2)
    assert s.block_times() == [(s.at(5, 9), s.at(5, 10))]
    (mirror,) = s.calendar.mirrors(ME)
    s.calendar.move_event(ME, mirror.id, s.at(600, 9), s.at(600, 10))
    s.later(again=2)
    assert s.mirror_times() == [(s.at(1, 9), s.at(1, 10))]
    assert [seen.id for seen in s.calendar.mirrors(ME)] == [mirror.id], "moved back, not made anew"


def test_an_occurrence_that_is_deleted_leaves_no_trace_but_its_block_goes(office: Make) -> None:
    s = office()
    series = s.series(rule="FREQ=DAILY;COUNT=5")
    s.run()
    s.later()
    s.microsoft.delete_instance(ME, series, s.at(3, 14))
    before = s.position
    s.later(minutes=2)
    assert [start for start, _ in s.block_times()] == [s.at(day, 14) for day in (1, 2, 4, 5)]
    assert kinds(s, before).count("events.instances") == 1
    s.in_step()


@pytest.mark.parametrize("tombstones", ["master", "all"])
@pytest.mark.parametrize("expired", [False, True])
def test_a_series_of_thirty_may_be_deleted_without_asking_anybody(
    office: Make, tombstones: str, expired: bool
) -> None:
    s = office()
    s.microsoft.series_tombstones = tombstones
    series = s.series(rule="FREQ=DAILY;COUNT=30")
    s.run()
    assert len(s.blocks()) == 30
    if expired:
        s.calendar.expire_sync_tokens(ME)
    s.calendar.delete_event(ME, series)
    s.later(again=3)
    assert s.blocks() == []
    assert s.store.runs.pending() == []


def test_a_deletion_that_no_delta_tells_of_is_found_by_the_daily_comparison(office: Make) -> None:
    s = office()
    s.microsoft.lose_tombstones = True
    event = s.busy()
    s.busy(days=5)
    s.run()
    s.later()
    s.calendar.delete_event(ME, event)
    s.later(again=3)
    s.later(hours=29)
    assert len(s.blocks()) == 1


def test_an_event_that_only_its_id_denies_does_not_hold_up_the_user_for_a_day(office: Make) -> None:
    """No delta mentions its deletion, and it is asked for as its block is gone as well."""
    s = office()
    s.microsoft.lose_tombstones = True
    events = [s.busy(days=day) for day in range(1, 7)]
    s.run()
    s.later()
    for event in events:
        s.calendar.delete_event(ME, event)
    for block in s.blocks():
        s.welkin.delete_event(block.id)
    s.later()
    assert s.state().marked
    # What comes and goes meanwhile leaves no trace in a delta from before.
    short = s.busy(days=8)
    s.later(again=2)
    assert len(s.blocks()) == 1
    s.calendar.delete_event(ME, short)
    s.later(again=8)
    assert s.blocks() == []
    assert not s.state().marked
    s.in_step()


def test_what_only_one_of_two_lists_shows_is_looked_at(office: Make) -> None:
    """A full read takes the cursor from one list and the events from another."""
    s = office()
    s.busy(days=1)
    s.busy(days=2)
    graph(s, "zero_events", method="GET", path="/calendarView$")
    s.run()
    assert s.block_times() == [(s.at(day, 14), s.at(day, 15)) for day in (1, 2)]
    s.in_step()


@pytest.mark.parametrize("policy", ["restore", "cancel"])
def test_a_mirror_deleted_by_hand(office: Make, policy: str) -> None:
    s = office(settings={"mirror_deleted": policy})
    meeting = s.meeting()
    s.run()
    s.later()
    s.clock.advance(minutes=10)
    (mirror,) = s.calendar.mirrors(ME)
    s.calendar.delete_event(ME, mirror.id)
    s.later(again=2)
    cancelled = policy == "cancel"
    assert s.welkin.events[meeting.id].cancelled is cancelled
    assert len(s.calendar.mirrors(ME)) == (0 if cancelled else 1)


@pytest.mark.parametrize("linked", [False, True])
def test_an_event_that_is_listed_and_not_found_is_looked_at_again(
    office: Make, linked: bool
) -> None:
    """The replica that was asked by id may not know yet what the delta has told."""
    s = office()
    event = s.busy(sensitivity="private") if linked else None
    s.run()
    if event:
        s.calendar.rename(ME, event, "other")
    else:
        s.busy(sensitivity="private")
    graph(s, "status", method="GET", path="/events/", code=404, reason="ErrorItemNotFound")
    before = s.position
    s.later(minutes=2, rounds=1)
    assert [word for word in s.wrote(before, "welkin") if "events.delete" in word] == []
    s.later(again=2)
    assert len(s.blocks()) == 1
    s.in_step()


# --- one user, or everybody -----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["revoke", "suspend", "delete_account", "no_licence"])
def test_one_mailbox_out_of_use_concerns_its_user_only(office: Make, how: str) -> None:
    s = office("dana", "ruben")
    s.run()
    getattr(s.microsoft, how)(ME)
    s.visit("dana")
    s.visit("ruben")
    result = s.later()
    assert [outcome.user_id for outcome in result.failed] == [s.ids["dana"]]
    assert len(s.calendar.mirrors(mail("ruben"))) == 1


def test_a_token_that_batches_refuse_is_everybodys_fault(office: Make) -> None:
    s = office("dana", "ruben")
    s.run()
    graph(s, "status", method="POST", path=r"\$batch", code=401, times=None)
    with pytest.raises(TenantMisconfigured):
        s.later()
    fault = s.store.runs.fault(Platform.MICROSOFT)
    assert fault is not None
    assert fault.code == "microsoft_unauthorized"


def test_where_no_batches_are_taken_polls_go_alone(office: Make) -> None:
    s = office("dana", "ruben")
    s.run()
    s.later(again=2)
    graph(s, "status", method="POST", path=r"\$batch", code=400, times=None)
    before = s.position
    assert s.later(minutes=2).outcomes == {}
    assert sorted(kinds(s, before)) == ["batch", "events.delta", "events.delta"]


def test_a_link_to_another_host_is_refused_and_gets_no_token(office: Make) -> None:
    s = office()
    s.run()
    elsewhere: list[httpx.Request] = []
    send = s.transport.handle_async_request

    async def divert(request: httpx.Request) -> httpx.Response:
        if request.url.host != "localhost":
            elsewhere.append(request)
        answer = await send(request)
        if "delta" in str(request.url):
            content = (await answer.aread()).replace(b"https://localhost", b"https://evil.example")
            return httpx.Response(answer.status_code, content=content)
        return answer

    s.transport.handle_async_request = divert  # type: ignore[method-assign]
    s.visit()
    result = s.later()
    assert [outcome.code for outcome in result.failed] == ["microsoft_foreign_link"]
    assert elsewhere == []


# --- both platforms -------------------------------------------------------------------------------


@pytest.fixture
def both(stage: Make) -> Both:
    del stage
    return Both(platform=Platform.MICROSOFT)


def test_a_user_on_both_has_a_mirror_in_each_and_a_block_for_each_event(both: Both) -> None:
    visit = both.visit(days=1)
    both.google.plan(ME, both.at(2, 9), both.at(2, 10), "Dentist")
    both.microsoft.plan(ME, both.at(3, 9), both.at(3, 10), "Choir")
    both.both(3)
    for calendars in (both.google, both.microsoft):
        (mirror,) = calendars.mirrors(ME)
        assert mirror.start == both.at(1, 9)
    assert both.block_times() == [(both.at(day, 9), both.at(day, 10)) for day in (2, 3)]
    # The block of one calendar is nothing that the other could show.
    assert [len(calendars.own(ME)) for calendars in (both.google, both.microsoft)] == [1, 1]
    both.move(visit.event_id, 4, 9)
    both.both(2)
    assert {m.start for c in (both.google, both.microsoft) for m in c.mirrors(ME)} == {
        both.at(4, 9)
    }
    before = both.position
    both.both(4)
    both.clock.advance(hours=30)
    both.both(3)
    assert both.wrote(before) == []


def test_leaving_one_platform_takes_away_what_was_made_for_it_only(both: Both) -> None:
    both.visit()
    both.google.plan(ME, both.at(2, 9), both.at(2, 10), "Dentist")
    both.microsoft.plan(ME, both.at(3, 9), both.at(3, 10), "Choir")
    both.both(2)
    both.remap("google")
    both.both(3)
    assert both.google.mirrors(ME) == []
    assert len(both.microsoft.mirrors(ME)) == 1
    assert both.block_times() == [(both.at(3, 9), both.at(3, 10))]


def test_each_platform_may_go_its_own_way(both: Both) -> None:
    both.remap(google={"direction": Direction.WELKIN_TO_CALENDAR},
               microsoft={"direction": Direction.CALENDAR_TO_WELKIN})  # fmt: skip
    both.visit()
    both.google.plan(ME, both.at(2, 9), both.at(2, 10), "Dentist")
    both.microsoft.plan(ME, both.at(3, 9), both.at(3, 10), "Choir")
    both.both(3)
    assert [len(calendars.mirrors(ME)) for calendars in (both.google, both.microsoft)] == [1, 0]
    assert both.block_times() == [(both.at(3, 9), both.at(3, 10))]


def test_a_fault_of_one_platform_leaves_the_other_alone(both: Both) -> None:
    both.both()
    both.microsoft.directory.secret_state = "expired"
    both.clock.advance(hours=2)
    both.visit()
    for platform in Platform:
        both.platform = platform
        both.clock.advance(minutes=2)
        if platform is Platform.GOOGLE:
            assert both.run().failed == []
    assert len(both.google.mirrors(ME)) == 1
    assert both.microsoft.mirrors(ME) == []


def test_a_platform_without_connection_is_an_error_only_where_somebody_is_on_it(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = both.secrets()
    monkeypatch.setattr(both, "secrets", lambda: replace(secrets, microsoft=None))
    both.platform = Platform.MICROSOFT
    with pytest.raises(ConfigurationError, match="no connection for microsoft"):
        both.run()
    both.remap("microsoft")
    assert both.run().outcomes == {}


def test_a_link_holds_the_key_until_the_calendar_has_named_the_event(office: Make) -> None:
    s = office()
    s.visit()
    graph(s, "status", method="POST", path="/events", code=503, times=None)
    s.run()
    (intent,) = s.links("dana", LinkState.INTENT)
    assert (intent.mirror_id, len(intent.creation_key)) == ("", 32)
    s.sandbox.faults.clear()
    s.later(again=2)
    (link,) = s.links("dana", LinkState.LIVE)
    (mirror,) = s.calendar.mirrors(ME)
    assert link.mirror_id == mirror.id
