"""Noticing all the time: what it asks of others, when it asks for a run, and who takes over."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

import calendar_sync.adapters.welkin.client
import calendar_sync.adapters.welkin.feeds
from calendar_sync.core.errors import SyncError
from calendar_sync.core.model import Platform
from calendar_sync.insight.noticing import standing_still
from calendar_sync.operations import pausing
from calendar_sync.state.feeds import Moved
from calendar_sync.state.noticing import ALIVE, ASK_AGAIN, LEASE, RESTS_AFTER
from calendar_sync.state.runs import WELKIN
from calendar_sync.sync.noticing import Looking, find_work
from calendar_sync.sync.noticing.watch import Watch, keep_watch
from calendar_sync.sync.outcomes import OutcomeStatus
from calendar_sync.sync.runner import sync_users
from tests.engine.cycle.stage import Stage, mail

PLATFORMS = list(Platform)
MINUTE = timedelta(minutes=1)


class Watched:
    """A stage whose platform is watched; one event loop for all of a test."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.platform = stage, stage.platform
        self.asks: list[float] = []
        self.queued = False
        self._runner = asyncio.Runner()
        self._open = AsyncExitStack()
        self.services = self.do(self._open.enter_async_context(stage.services()))
        self.store = self.services.store
        self.watch = self.another("first")

    def do(self, work: Any) -> Any:
        return self._runner.run(work)

    def close(self) -> None:
        self.do(self._open.aclose())
        self._runner.close()

    def another(self, owner: str) -> Watch:
        revision = self.store.config.revision()
        return Watch(self.services, revision, self.platform, owner, self.ask)

    def ask(self) -> bool:
        if not self.queued:
            self.asks.append(self.stage.clock.monotonic())
        return not self.queued

    def run_comes(self) -> None:
        self.store.noticing.run_came(self.platform.value, self.stage.clock.now(), expected=True)

    def goes_on(self, seconds: int, *watches: Watch, runs: bool = True, each: int = 1) -> None:
        """So many seconds, a step in `each`; while `runs`, safety runs come and find nothing."""

        async def steps() -> None:
            for second in range(0, seconds, each):
                if runs and second % 300 == 0:
                    self.run_comes()
                for watch in watches or (self.watch,):
                    await watch.feeds()
                    await watch.polls()
                    await watch.runs()
                self.stage.clock.advance(each)

        self.do(steps())

    def collect(self, run_id: str = "run", looking: Looking = Looking.NEVER) -> set[str]:
        """What a run finds, and has for itself."""
        revision = self.store.config.revision()
        found = self.do(
            find_work(self.services, revision, self.platform, looking=looking, take_for=run_id)
        )
        if found.fault:
            return {found.fault}
        self.run_comes()
        return {user for group in found.groups for user in group}

    def requests(self, since: int = 0) -> Counter[str]:
        return Counter(entry.kind for entry in self.stage.sandbox.requests.since(since))

    @property
    def sent(self) -> int:
        return len(self.stage.sandbox.requests)


@pytest.fixture(params=PLATFORMS, ids=[platform.value for platform in PLATFORMS])
def watched(request: pytest.FixtureRequest) -> Iterator[Watched]:
    stage = Stage("dana", "omar", platform=request.param)
    stage.run()
    stage.later(again=3, minutes=1)
    made = Watched(stage)
    yield made
    made.close()


def test_a_visit_asks_for_one_run_that_takes_its_user(watched: Watched) -> None:
    watched.goes_on(20)
    assert watched.asks == []
    booked = watched.stage.clock.monotonic()
    watched.stage.visit("omar")
    watched.goes_on(10)
    assert len(watched.asks) == 1
    assert watched.asks[0] - booked <= 6
    assert watched.collect() == {watched.stage.ids["omar"]}
    watched.goes_on(50)
    assert len(watched.asks) == 1, "the run has the user"


def test_a_paused_user_is_neither_polled_nor_run_and_marked_when_it_is_over(
    watched: Watched,
) -> None:
    stage, clock = watched.stage, watched.stage.clock
    omar, mailbox = stage.ids["omar"], mail("omar")
    watched.goes_on(20)
    until = pausing.pause(watched.store, omar, 1, "omar", clock.now())
    watched.goes_on(40)
    stage.visit("omar")
    stage.busy("omar")
    sent = watched.sent
    watched.goes_on(200, each=5)
    requests = stage.sandbox.requests.since(sent)
    assert [entry.kind for entry in requests if entry.user == mailbox] == []
    assert [entry.kind for entry in requests if entry.user == mail("dana")]
    assert watched.asks == []
    assert watched.collect(looking=Looking.ALWAYS) == set()
    clock.advance((until - clock.now()).total_seconds() - 60)
    watched.goes_on(30, each=5)
    assert omar not in watched.collect()
    clock.advance(60)
    watched.goes_on(60, each=5)
    assert omar in watched.collect("another")
    state = watched.store.marks.of(omar, watched.platform)
    assert state.next_full_at is not None
    assert until <= state.next_full_at <= clock.now()
    assert watched.store.pauses.over(watched.platform, clock.now()) == []


def test_an_edit_in_the_calendar_asks_for_a_run_when_its_poll_is_due(watched: Watched) -> None:
    watched.goes_on(20)
    added = watched.stage.clock.monotonic()
    watched.stage.busy("omar")
    watched.goes_on(75)
    assert watched.collect() == {watched.stage.ids["omar"]}
    assert watched.asks[0] - added <= 66


@pytest.mark.parametrize("look", ["feeds", "polls"])
def test_a_look_that_finds_something_asks_for_a_run_at_once(watched: Watched, look: str) -> None:
    watched.goes_on(20)
    watched.stage.visit("omar") if look == "feeds" else watched.stage.busy("omar")

    async def alone() -> None:
        for _ in range(75):
            await getattr(watched.watch, look)()
            watched.stage.clock.advance(1)

    watched.do(alone())
    assert watched.asks
    assert watched.collect() == {watched.stage.ids["omar"]}


def test_a_run_that_does_not_come_is_asked_for_again_less_and_less_often(watched: Watched) -> None:
    watched.goes_on(20)
    watched.stage.visit("omar")
    watched.goes_on(600, runs=False)
    pauses = [
        round(later - one) for one, later in zip(watched.asks, watched.asks[1:], strict=False)
    ]
    assert pauses[0] == pytest.approx(ASK_AGAIN.total_seconds(), abs=1)
    assert pauses == sorted(pauses)
    assert len(pauses) <= 5


def test_while_a_run_is_queued_no_other_is_asked_for(watched: Watched) -> None:
    watched.goes_on(20)
    watched.queued = True
    watched.stage.visit("omar")
    watched.goes_on(30)
    assert watched.asks == []
    watched.queued = False
    watched.goes_on(10)
    assert len(watched.asks) == 1


def test_users_of_a_run_are_no_other_runs_until_their_tasks_should_have_begun(
    watched: Watched,
) -> None:
    watched.stage.visit("omar")
    watched.goes_on(10)
    omar = {watched.stage.ids["omar"]}
    assert watched.collect("one") == omar
    assert watched.collect("two") == set()
    assert watched.collect("one") == omar, "Airflow has begun the task again"
    watched.goes_on(120)
    assert watched.collect("two") == omar, "the first run's tasks are lost"


def test_whoever_is_in_a_cycle_is_asked_for_when_it_ends(watched: Watched) -> None:
    watched.goes_on(20)
    store, now = watched.store, watched.stage.clock.now
    lease = store.leases.take(watched.stage.ids["omar"], "a cycle", now())
    watched.stage.visit("omar")
    watched.goes_on(30)
    assert watched.asks == []
    store.leases.release(lease, now())
    watched.goes_on(10)
    assert len(watched.asks) == 1


def sync(watched: Watched, run_id: str, name: str = "omar") -> list[OutcomeStatus]:
    """The task of a run, for one user."""
    users, revision = [watched.stage.ids[name]], watched.store.config.revision()
    done = sync_users(
        watched.services, revision, watched.platform, users, run_id=run_id, owner=f"{run_id}/0"
    )
    return [outcome.status for outcome in watched.do(done)]


def test_a_task_that_finds_its_user_in_another_cycle_keeps_no_run_from_the_user(
    watched: Watched,
) -> None:
    """The user's other calendar is being synced, for example."""
    store, now = watched.store, watched.stage.clock.now
    watched.stage.visit("omar")
    watched.goes_on(10)
    omar = {watched.stage.ids["omar"]}
    assert watched.collect("one") == omar
    lease = store.leases.take(watched.stage.ids["omar"], "a cycle", now())
    assert sync(watched, "one") == [OutcomeStatus.BUSY]
    store.leases.release(lease, now())
    assert watched.collect("two") == omar


def test_a_task_that_finds_nothing_to_do_keeps_no_run_from_what_comes_next(
    watched: Watched,
) -> None:
    watched.stage.visit("omar")
    watched.goes_on(10)
    omar = {watched.stage.ids["omar"]}
    assert watched.collect("one") == omar
    watched.stage.run()
    assert sync(watched, "one") == [OutcomeStatus.IDLE]
    watched.stage.visit("omar", hour=15)
    watched.goes_on(10)
    assert watched.collect("two") == omar


def test_a_late_task_of_one_run_gives_no_user_of_another_away(watched: Watched) -> None:
    watched.stage.visit("omar")
    watched.goes_on(10)
    omar = {watched.stage.ids["omar"]}
    assert watched.collect("one") == omar
    watched.goes_on(120)
    assert watched.collect("two") == omar
    lease = watched.store.leases.take(watched.stage.ids["omar"], "two/0", watched.stage.clock.now())
    assert sync(watched, "one") == [OutcomeStatus.BUSY]
    watched.store.leases.release(lease, watched.stage.clock.now())
    assert watched.collect("three") == set()


def test_an_idle_organisation_costs_little(watched: Watched) -> None:
    watched.goes_on(60)
    sent = watched.sent
    watched.goes_on(600)
    assert watched.asks == []
    found = watched.requests(sent)
    to_welkin = sum(count for kind, count in found.items() if kind.startswith("welkin."))
    assert 0 < to_welkin <= 0.1 * 5 * 600
    assert 0 < sum(found.values()) - to_welkin <= 3 * 11, "two accounts, or a batch and two"


def test_the_accounts_of_a_paused_dag_are_left_alone(watched: Watched) -> None:
    watched.goes_on(int(RESTS_AFTER.total_seconds()) + 5, each=5)
    watched.goes_on(int(RESTS_AFTER.total_seconds()), runs=False, each=5)
    sent = watched.sent
    watched.stage.visit("omar")
    watched.goes_on(120, runs=False)
    assert watched.sent == sent
    assert watched.asks == []
    watched.goes_on(10)
    assert len(watched.asks) == 1


def test_nothing_is_read_before_a_dag_has_ever_run(watched: Watched) -> None:
    sent = watched.sent
    watched.goes_on(60, runs=False)
    assert watched.sent == sent


def test_another_watch_takes_over_from_one_that_has_died(watched: Watched) -> None:
    second = watched.another("second")
    watched.goes_on(20, watched.watch, second)
    assert watched.store.noticing.of(WELKIN).owner == "first"
    watched.stage.visit("omar")
    watched.goes_on(int(LEASE.total_seconds()) + 20, second)
    assert watched.store.noticing.of(WELKIN).owner == "second"
    assert watched.store.noticing.of(watched.platform.value).owner == "second"
    assert len(watched.asks) >= 1


def test_one_that_ends_leaves_its_place_at_once(watched: Watched) -> None:
    second = watched.another("second")
    watched.goes_on(20)
    watched.watch.release()
    watched.goes_on(6, second)
    assert watched.store.noticing.of(WELKIN).owner == "second"


def test_new_settings_begin_a_new_watch(watched: Watched) -> None:
    assert not watched.watch.ended()
    watched.store.config.save_settings(
        watched.store.config.revision().settings.model_copy(update={"time_zone": "Europe/Berlin"}),
        "somebody",
        watched.stage.clock.now(),
    )
    assert watched.watch.ended()


# --- the safety run -------------------------------------------------------------------------------


def test_a_safety_run_looks_for_changes_only_where_noticing_stands_still(watched: Watched) -> None:
    watched.goes_on(60)
    watched.stage.visit("omar")
    sent = watched.sent
    assert watched.collect("safety", Looking.IF_STILL) == set()
    assert watched.sent == sent, "noticing is alive, and has not seen it yet"
    watched.stage.clock.advance(ALIVE.total_seconds() + 1)
    assert watched.collect("safety", Looking.IF_STILL) == {watched.stage.ids["omar"]}
    assert watched.sent > sent


def test_a_run_by_event_makes_no_poll(watched: Watched) -> None:
    watched.stage.visit("omar")
    sent = watched.sent
    assert watched.collect("event", Looking.NEVER) == set()
    assert watched.sent == sent


def test_where_welkin_does_not_answer_a_safety_run_says_so(watched: Watched) -> None:
    watched.goes_on(60)
    watched.stage.fault("welkin", "status", status=503, times=None)
    watched.goes_on(int(ALIVE.total_seconds()) + 20)
    found = watched.store.noticing.of(WELKIN)
    assert not found.alive(watched.stage.clock.now())
    assert found.error_code
    assert watched.store.noticing.of(watched.platform.value).alive(watched.stage.clock.now())
    with pytest.raises(SyncError):
        watched.collect("safety", Looking.IF_STILL)


def test_a_fault_of_the_platform_stops_requests_and_is_reported_by_a_run(watched: Watched) -> None:
    watched.goes_on(20)
    watched.stage.visit("omar")
    watched.store.runs.set_fault(watched.platform, "made_up_fault", watched.stage.clock.now())
    watched.watch._next["polls"] = watched.stage.clock.now() + 10 * MINUTE  # no probe meanwhile
    watched.goes_on(30)
    assert watched.asks == []
    assert watched.collect("safety", Looking.IF_STILL) == {"made_up_fault"}
    watched.watch._next.pop("polls")
    watched.goes_on(15)
    assert watched.store.runs.fault(watched.platform) is None, "the accounts answer"
    assert len(watched.asks) == 1


def test_requests_of_noticing_are_counted_once(watched: Watched) -> None:
    watched.goes_on(120)
    names = (WELKIN, watched.platform.value)
    counted = watched.store.noticing.take_requests(*names)
    assert counted.total() > 0
    assert watched.store.noticing.take_requests(*names).total() == 0


def test_polls_do_not_move_a_cursor_that_a_cycle_has_moved(watched: Watched) -> None:
    """A poll may begin before a cycle and end after it."""
    omar, platform = watched.stage.ids["omar"], watched.platform.value
    before = watched.store.feeds.cursors(platform, [omar])[omar, "primary"]
    with watched.store.database.write() as connection:
        now = watched.stage.clock.now()
        watched.store.feeds.move_cursor(
            connection, platform, Moved(omar, "primary", before.position, "of the cycle"), now
        )
        watched.store.feeds.move_cursor(
            connection, platform, Moved(omar, "primary", before.position, "of the poll"), now
        )
    found = watched.store.feeds.cursors(platform, [omar])[omar, "primary"]
    assert found.position == "of the cycle"


def test_a_long_look_is_alive_and_keeps_its_place(watched: Watched) -> None:
    watched.goes_on(20)
    store, name = watched.store, watched.platform.value
    now = watched.stage.clock.now

    async def long_look() -> None:
        with watched.watch._at_work(name):
            for _ in range(20):
                watched.stage.clock.advance(15)
                await watched.watch.beats()
                assert store.noticing.of(name).alive(now())
                assert not store.noticing.take(name, "second", now())

    watched.do(long_look())


def test_a_platform_without_connection_is_no_alarm(watched: Watched) -> None:
    watched.goes_on(20)
    other = next(platform for platform in Platform if platform is not watched.platform)
    lonely = Watch(
        replace(watched.services, platforms={}),
        watched.store.config.revision(),
        other,
        "lonely",
        watched.ask,
    )
    watched.store.noticing.run_came(other.value, watched.stage.clock.now(), expected=True)
    watched.do(lonely.polls())
    watched.stage.clock.advance(80)
    assert watched.store.noticing.of(other.value).alive(watched.stage.clock.now())


def test_it_is_reported_that_noticing_stands_still(watched: Watched) -> None:
    clock, store = watched.stage.clock, watched.store
    watched.run_comes()
    assert standing_still(store, clock.now()) == [], "Airflow starts the trigger a little later"
    watched.goes_on(200)
    assert standing_still(store, clock.now()) == []
    clock.advance(ALIVE.total_seconds() + 20)
    watched.run_comes()
    parts = {part.part for part in standing_still(store, clock.now())}
    assert parts == {WELKIN, watched.platform.value}
    store.noticing.run_came(watched.platform.value, clock.now(), expected=False)
    assert standing_still(store, clock.now()) == [], "there is no triggerer"


def test_a_dag_that_was_off_for_a_while_is_no_alarm(watched: Watched) -> None:
    clock, store, target = watched.stage.clock, watched.store, timedelta(minutes=5)
    watched.goes_on(300)
    clock.advance(8 * 60)
    watched.run_comes()
    assert standing_still(store, clock.now()) == []
    clock.advance(4 * 60)
    watched.run_comes()
    [one, other] = standing_still(store, clock.now())
    assert not one.late(target, clock.now())
    clock.advance(2 * 60)
    assert one.late(target, clock.now())
    assert other.late(target, clock.now())


def test_the_steps_go_on_side_by_side_until_stopped(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0
    watched.run_comes()

    async def beside() -> None:
        nonlocal steps
        steps += 1

    async def sleep(seconds: float) -> None:
        watched.stage.clock.advance(seconds / 7)
        await asyncio.sleep(0)

    def done() -> bool:
        names = (WELKIN, watched.platform.value)
        return steps > 3 and all(watched.store.noticing.of(name).heartbeat_at for name in names)

    monkeypatch.setattr(watched.stage.clock, "sleep", sleep)
    watched.do(keep_watch(watched.watch, done, beside))
    assert watched.store.noticing.of(WELKIN).owner == "", "the next one need not wait"


def test_a_row_that_shows_late_is_seen_within_a_minute(watched: Watched) -> None:
    watched.goes_on(20)
    watched.stage.visit("dana")
    watched.goes_on(20)
    watched.collect()
    watched.stage.welkin.backdate = timedelta(minutes=2)
    watched.stage.visit("omar", days=2)
    watched.stage.welkin.backdate = timedelta(0)
    watched.goes_on(65)
    assert watched.stage.ids["omar"] in watched.collect("later")


def test_what_was_read_is_not_read_again_every_few_seconds(watched: Watched) -> None:
    watched.goes_on(20)
    for day in range(1, 9):
        watched.stage.visit("omar", days=day)
    watched.goes_on(55)
    read = []
    parse = calendar_sync.adapters.welkin.feeds.event_row

    def counted(row: Any) -> Any:
        read.append(row)
        return parse(row)

    with patch.object(calendar_sync.adapters.welkin.client, "event_row", counted):
        watched.goes_on(60)
    assert len(read) < 8 * 12 / 2, "twelve reads, one of them of all that is new since five minutes"
