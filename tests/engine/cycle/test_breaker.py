"""Rule 14: a platform that fails for many stops, and goes on as soon as it answers."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from calendar_sync.core.codes import GoogleCode, SyncCode
from calendar_sync.core.errors import TenantMisconfigured
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.operations.unsync import Unsynced, disable, standing, unsync
from calendar_sync.state.marks import UserSync
from calendar_sync.sync.noticing.breaker import PROBES, begins, closes, platform_fault, to_ask
from calendar_sync.sync.services import Services
from tests.engine.cycle.stage import Stage, mail
from tests.harness import START

Make = Callable[..., Stage]
PLATFORMS = list(Platform)
MINUTE = timedelta(minutes=1)


# --- the decisions --------------------------------------------------------------------------------


def accounts(count: int, failing: int, *, ago: timedelta = MINUTE) -> dict[str, UserSync]:
    """So many accounts, the first of which have begun to fail so long ago."""
    found = {}
    for number in range(count):
        state = UserSync(
            f"u{number:03}", Platform.GOOGLE, last_poll_at=START, last_success_at=START
        )
        if number < failing:
            state = replace(state, poll_error="refused", poll_failed_at=START - ago)
        found[state.user_id] = state
    return found


@pytest.mark.parametrize(
    ("count", "failing", "opens"),
    [
        (0, 0, False),
        (9, 9, False),
        (10, 2, False),
        (10, 3, True),
        (12, 4, True),
        (100, 20, False),
        (100, 21, True),
        (100, 60, True),
        (500, 100, False),
        (500, 101, True),
        (500, 500, True),
    ],
)
def test_it_opens_when_more_than_a_fifth_of_ten_or_more_begin_to_fail(
    count: int, failing: int, opens: bool
) -> None:
    states = accounts(count, failing).values()
    assert (platform_fault(states, START) is not None) is opens
    old = accounts(count, failing, ago=16 * MINUTE).values()
    assert platform_fault(old, START) is None, "who fails for long is not news"
    never = [replace(state, last_success_at=None) for state in states if state.poll_error]
    assert platform_fault(never, START) is None, "nor is who never worked"


@pytest.mark.parametrize("count", [1, 2, 3, 12, 100, 500])
def test_half_open_all_that_failed_are_asked_in_turn(count: int) -> None:
    states = {(s.user_id, s.platform): s for s in accounts(count, -(-count // 2)).values()}
    users = [
        MappedUser(user_id, platform, f"{user_id}@example.org") for user_id, platform in states
    ]
    asked = set()
    for minute in range(count + 1):
        chosen = to_ask(users, states, START, START + minute * MINUTE)
        assert len(chosen) <= PROBES
        assert len({user.user_id for user in chosen}) == len(chosen)
        asked |= {user.user_id for user in chosen}
    assert asked == {state.user_id for state in states.values() if state.poll_error}


def test_any_user_is_asked_if_none_failed_and_none_if_there_are_none() -> None:
    users = [MappedUser("u1", Platform.GOOGLE, "u1@example.org")]
    assert to_ask(users, {}, START, START) == users
    assert to_ask([], {}, START, START) == []


@pytest.mark.parametrize(
    ("asked", "well", "over"),
    [(0, 0, True), (1, 0, False), (1, 1, True), (2, 1, False), (3, 1, False), (3, 2, True)],
)
def test_it_closes_when_most_of_those_asked_answer(asked: int, well: int, over: bool) -> None:
    users = [MappedUser(f"u{n}", Platform.GOOGLE, f"u{n}@example.org") for n in range(asked)]
    assert closes(users, {(user.user_id, user.platform) for user in users[:well]}) is over


def test_failures_of_a_fault_are_those_since_a_quarter_of_an_hour_before_it() -> None:
    assert begins(START) == START - 15 * MINUTE


# --- the whole ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "failing"), [(12, 4), (100, 60)])
def test_work_starts_with_the_next_run_once_everybody_answers(
    stage: Make, count: int, failing: int
) -> None:
    s = stage(*[f"p{number:03}" for number in range(count)])
    s.run()
    names = sorted(s.ids)
    for name in names[:failing]:
        s.google.revoke(mail(name))
    s.later()
    assert s.later().fault == "many_accounts_failing"
    for name in names[:failing]:
        s.google.restore(mail(name))
    for name in (names[0], names[-1]):
        s.meeting(name)
    assert s.later(minutes=1).fault is None
    assert len(s.mirrors(names[0])) == len(s.mirrors(names[-1])) == 1
    assert s.later(minutes=1).fault is None
    assert all(s.state(name).poll_error is None for name in names)


def test_who_still_fails_after_the_outage_stops_no_other_user(stage: Make) -> None:
    s = stage(*[f"p{number:02}" for number in range(20)])
    s.run()
    names = sorted(s.ids)
    for name in names[:12]:
        s.google.revoke(mail(name))
    s.later()
    assert s.later().fault
    for name in names[1:12]:
        s.google.restore(mail(name))
    for name in names:
        s.meeting(name)
    s.later(again=4, minutes=1)
    assert s.store.runs.fault(Platform.GOOGLE) is None
    assert [len(s.mirrors(name)) for name in names] == [0] + [1] * 19


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("leaving", ["alive", "closed"])
def test_with_no_user_mapped_any_more_an_old_fault_keeps_nothing_of_ours(
    stage: Make, platform: Platform, leaving: str
) -> None:
    s = stage("dana", "ruben", platform=platform)
    s.meeting("dana")
    s.meeting("ruben")
    s.run()
    s.store.runs.set_fault(platform, SyncCode.MANY_ACCOUNTS_FAILING, s.clock.now())
    if leaving == "closed":
        s.calendar.revoke(mail("dana"))
        s.calendar.revoke(mail("ruben"))
    s.remap("dana", "ruben")
    s.later(again=2)
    assert s.store.runs.fault(platform) is None
    if leaving == "alive":
        assert s.calendar.mirrors(mail("dana")) == s.calendar.mirrors(mail("ruben")) == []


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_fault_ends_if_no_user_is_mapped_and_nothing_of_ours_is_left(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    s.run()
    s.remap("dana")
    s.store.runs.set_fault(platform, SyncCode.MANY_ACCOUNTS_FAILING, s.clock.now())
    assert s.later().fault is None
    assert s.store.runs.fault(platform) is None


def test_leavers_are_not_touched_while_the_credentials_are_refused(stage: Make) -> None:
    s = stage()
    s.meeting()
    s.run()
    s.google.api_enabled = False
    s.remap("dana")
    s.store.runs.set_fault(Platform.GOOGLE, GoogleCode.ACCESS_NOT_CONFIGURED, s.clock.now())
    with pytest.raises(TenantMisconfigured):
        s.later()
    assert s.store.runs.fault(Platform.GOOGLE) is not None
    s.google.api_enabled = True
    s.later()
    assert s.mirrors() == []


@pytest.mark.parametrize("platform", PLATFORMS)
def test_unsync_does_not_depend_on_an_old_fault(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform)
    s.meeting()
    s.busy()
    s.run()
    s.store.runs.set_fault(platform, SyncCode.MANY_ACCOUNTS_FAILING, s.clock.now())

    async def work(services: Services) -> list[Unsynced]:
        rows = standing(services.store, [platform])
        disable(services, rows, "tests")
        revision = services.store.config.revision()
        return await unsync(services, revision, rows, run_id="unsync", owner="tests")

    [result] = asyncio.run(s.with_services(work))
    assert result.clean, result.label
    assert s.calendar.mirrors(mail("dana")) == []
    assert s.blocks() == []
