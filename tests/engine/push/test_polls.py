"""From an edit to a poll: what notices cause, what they save, and what they fail to tell."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta

import pytest

from calendar_sync.core.model import Platform
from calendar_sync.insight.noticing import standing_still
from calendar_sync.insight.status import status
from calendar_sync.push.keys import WELKIN_HEADER, welkin_secret
from calendar_sync.state.push import DOUBTS, Heard
from calendar_sync.sync.freshness import deadlines
from calendar_sync.sync.noticing.watch import FAILED_FEEDS, Watch
from calendar_sync.sync.pushed import EVERY, FAIR, feeds_read, feeds_wanted
from calendar_sync.sync.services import Services
from tests.engine.push.conftest import ADDRESS, KEY, google
from tests.engine.push.stage import PushStage

BOTH = [Platform.GOOGLE, Platform.MICROSOFT]
Push = Callable[..., PushStage]


@pytest.fixture
def push() -> Iterator[Push]:
    made: list[PushStage] = []

    def make(*names: str, **more: object) -> PushStage:
        made.append(PushStage(*names, **more))  # type: ignore[arg-type]
        made[-1].settle()
        return made[-1]

    yield make
    for one in made:
        one.receiver.state.receiver.close()
        one.database.close()


@pytest.mark.parametrize("platform", BOTH)
def test_an_edit_is_noticed_polled_and_blocked_at_once(push: Push, platform: Platform) -> None:
    stage = push("dana", platform=platform)
    stage.clock.advance(minutes=1)
    stage.run()
    event = stage.busy()
    assert not stage.channel().wanted
    stage.deliver()
    assert stage.channel().wanted
    assert not stage.state().marked
    before = stage.position
    stage.later(seconds=2)
    assert len(stage.blocks()) == 1
    assert stage.polls(before) >= 1
    assert event
    assert not stage.channel().wanted
    found = stage.coverage()
    assert found.median_seconds is not None
    assert found.median_seconds < 5
    assert found.missed == 0


def test_a_notice_alone_writes_nothing_and_costs_one_poll_a_minute(push: Push) -> None:
    """I21: real or forged."""
    stage = push("dana")
    stage.clock.advance(minutes=2)
    before, writes = stage.position, len(stage.wrote())
    for _ in range(12):
        stage.sandbox.outbox.add(
            "google", "exists", "x", ADDRESS + "/google", google(stage.channel())
        )
        stage.deliver()
        stage.later(seconds=10)
    assert stage.polls(before) == 2
    assert len(stage.wrote()) == writes
    assert not stage.state().marked


@pytest.mark.parametrize("platform", BOTH)
def test_an_edit_right_after_the_notice_of_an_own_write_does_not_wait(
    push: Push, platform: Platform
) -> None:
    stage = push("dana", platform=platform)
    stage.clock.advance(minutes=2)
    stage.visit()
    stage.later(seconds=5)
    stage.deliver()
    assert stage.channel().wanted, "the service tells of the mirror that the sync made"
    stage.later(seconds=5)
    assert not stage.channel().wanted
    stage.busy()
    stage.deliver()
    assert stage.store.push.told(platform, stage.clock.now() - EVERY)
    stage.later(seconds=5)
    assert len(stage.blocks()) == 1


@pytest.mark.parametrize("platform", BOTH)
def test_notices_of_several_own_writes_leave_time_for_an_edit(
    push: Push, platform: Platform
) -> None:
    stage = push("dana", platform=platform)
    stage.clock.advance(minutes=2)
    stage.busy(days=1)
    stage.deliver()
    stage.later(seconds=5)
    for number in (2, 3):
        stage.visit(days=number)
        stage.later(seconds=5)
        stage.deliver()
        stage.later(seconds=5)
        assert not stage.channel().wanted
    stage.busy(days=4)
    stage.deliver()
    stage.later(seconds=5)
    assert len(stage.blocks()) == 2


@pytest.mark.parametrize("platform", BOTH)
def test_several_edits_in_a_minute_do_not_wait_and_false_notices_do(
    push: Push, platform: Platform
) -> None:
    stage = push("dana", platform=platform)
    stage.clock.advance(minutes=2)
    for number in range(1, 5):
        stage.busy(days=number)
        stage.deliver()
        stage.later(seconds=5)
        assert len(stage.blocks()) == number
    # One more notice costs a poll, which finds nothing; the next ones cost none.
    before = stage.position
    for _ in range(4):
        stage.store.push.hear({stage.channel().id: Heard(changes=1)}, stage.clock.now())
        stage.later(seconds=5)
    assert stage.polls(before) <= 1


def test_an_account_whose_notices_come_is_polled_less_often(push: Push) -> None:
    stage = push("dana", "ruben")
    stage.google.push.end("ruben@example.org")
    stage.store.push.drop(stage.channel("ruben").id)
    stage.later(minutes=1)
    before = stage.position
    stage.later(again=3, minutes=1)
    assert stage.asked("google.events.list", before, user="dana@example.org") == 0
    assert stage.asked("google.events.list", before, user="ruben@example.org") == 3
    stage.later(again=1, minutes=1)
    assert stage.asked("google.events.list", before, user="dana@example.org") == 1


def test_while_the_receiver_is_silent_polls_are_plain_and_it_is_reported(push: Push) -> None:
    stage = push("dana")
    stage.receiving = False
    stage.clock.advance(minutes=2)
    before = stage.position
    stage.later(again=3, minutes=1)
    assert stage.polls(before) == 3
    [silent] = standing_still(stage.store, stage.clock.now())
    assert silent.sentence.startswith("The receiver of push takes no notices since ")
    [entry] = status(stage.store, stage.clock.now())
    assert silent in entry.noticing
    assert not silent.late(timedelta(0), stage.clock.now()), "polls go on: nobody is late"
    stage.receiving = True
    stage.later(minutes=1)
    assert standing_still(stage.store, stage.clock.now()) == []
    before = stage.position
    stage.later(again=3, minutes=1)
    assert stage.polls(before) == 0


def test_mailboxes_of_microsoft_are_polled_as_ever(push: Push) -> None:
    stage = push("dana", platform=Platform.MICROSOFT)
    before = stage.position
    stage.later(again=3, minutes=1)
    assert stage.polls(before) == 3


@pytest.mark.parametrize("hours", [25, 24 * 6])
def test_without_a_delivery_or_near_its_end_polls_are_plain_again(push: Push, hours: int) -> None:
    stage = push("dana")
    stage.clock.advance(hours=hours)
    stage.run()
    before = stage.position
    stage.later(again=3, minutes=1)
    assert stage.polls(before) == 3


def test_losing_every_notice_loses_no_change(push: Push) -> None:
    """I20: the poll finds it within its interval."""
    stage = push("dana")
    stage.outbox.trouble["google"].lose = 1.0
    stage.busy()
    stage.later(again=5, minutes=1)
    assert len(stage.blocks()) == 1


def test_what_no_notice_tells_counts_and_in_the_end_polls_are_plain(push: Push) -> None:
    stage = push("dana")
    stage.outbox.trouble["google"].lose = 1.0
    for number in range(DOUBTS):
        assert stage.channel().trusted
        stage.busy(days=2 + number)
        stage.later(minutes=5, seconds=1)
        stage.clock.advance(FAIR.total_seconds())
        stage.tend()
    assert stage.channel().missed == DOUBTS
    assert not stage.channel().trusted
    found = stage.coverage()
    assert (found.missed, found.healthy) == (DOUBTS, 0)
    before = stage.position
    stage.later(again=3, minutes=1)
    assert stage.polls(before) == 3
    # And it comes back when notices prove right again.
    stage.outbox.trouble["google"].lose = 0.0
    for number in range(DOUBTS):
        stage.clock.advance(minutes=1, seconds=1)
        stage.run()
        stage.busy(days=10 + number)
        stage.deliver()
        stage.later(seconds=61)
    assert stage.channel().trusted


def test_a_notice_that_was_merely_slow_is_no_missed_one(push: Push) -> None:
    stage = push("dana")
    stage.outbox.trouble["google"].delay_seconds = 320
    stage.busy()
    stage.later(minutes=5)
    assert stage.channel().untold_at is not None
    stage.clock.advance(seconds=30)
    stage.deliver()
    stage.clock.advance(FAIR.total_seconds())
    stage.tend()
    assert (stage.channel().missed, stage.channel().untold_at) == (0, None)


def test_our_own_writes_cause_a_poll_and_nothing_else(push: Push) -> None:
    stage = push("dana")
    stage.visit()
    stage.later(minutes=1)
    stage.deliver()
    assert stage.channel().wanted
    before = len(stage.wrote())
    stage.later(seconds=61)
    assert not stage.channel().wanted
    assert not stage.state().marked
    assert len(stage.wrote()) == before
    assert stage.coverage().median_seconds is None


@pytest.mark.parametrize("trouble", ["double", "shuffle"])
def test_doubled_and_disordered_notices_change_nothing(push: Push, trouble: str) -> None:
    stage = push("dana")
    setattr(stage.outbox.trouble["google"], trouble, 1.0)
    stage.busy(hour=14)
    stage.busy(hour=16)
    stage.deliver()
    stage.later(seconds=61)
    assert len(stage.blocks()) == 2
    stage.in_step()


def test_a_webhook_of_welkin_means_read_the_feeds_now(push: Push) -> None:
    stage = push("dana")
    stage.welkin.automations.make(
        "changes", ADDRESS + "/welkin", headers={WELKIN_HEADER: welkin_secret(KEY)}
    )
    assert feeds_wanted(stage.store, stage.clock.now()) is None
    stage.visit()
    stage.clock.advance(seconds=1)
    assert stage.deliver()[0] == ("delivered", 200)
    notices = feeds_wanted(stage.store, stage.clock.now())
    assert notices is not None
    feeds_read(stage.store, notices, stage.clock.now())
    assert feeds_wanted(stage.store, stage.clock.now()) is None
    stage.visit(hour=11)
    stage.clock.advance(seconds=1)
    stage.deliver()
    assert feeds_wanted(stage.store, stage.clock.now()) is None
    stage.clock.advance(seconds=5)
    assert feeds_wanted(stage.store, stage.clock.now()) is not None


def test_rare_polls_are_not_taken_for_silence(push: Push) -> None:
    stage = push("dana", settings={"push": {"address": ADDRESS, "poll_seconds": 900}})
    settings = stage.store.config.revision().settings
    now = stage.clock.now()
    known = deadlines(settings, Platform.GOOGLE, 1, now)
    assert known.marked - known.seen == timedelta(seconds=900)
    assert timedelta(minutes=1) == EVERY


# --- beside noticing ------------------------------------------------------------------------------


def watched(stage: PushStage, steps: Callable[[Watch], Awaitable[None]]) -> None:
    """Do this with a watch of the stage, whose DAG has run a moment ago."""

    async def work(services: Services) -> None:
        name = stage.platform.value
        services.store.noticing.run_came(name, stage.clock.now(), expected=True)
        revision = services.store.config.revision()
        await steps(Watch(services, revision, stage.platform, "here", lambda: True))

    asyncio.run(stage.with_services(work))


@pytest.mark.parametrize("platform", BOTH)
def test_an_account_that_is_due_and_noticed_is_polled_once(push: Push, platform: Platform) -> None:
    """I21: the two steps of a watch go on side by side."""
    stage = push("dana", platform=platform)
    stage.clock.advance(minutes=10)
    stage.busy()
    stage.deliver()
    assert stage.channel().wanted
    before = stage.position

    async def steps(watch: Watch) -> None:
        assert watch._holds(platform.value)
        await asyncio.gather(watch.polls(), watch.told())

    watched(stage, steps)
    assert stage.polls(before) == 1
    assert stage.state().marked
    assert not stage.channel().wanted


def test_notices_of_welkin_do_not_hurry_reads_that_fail(push: Push) -> None:
    stage = push("dana")
    secret = {WELKIN_HEADER: welkin_secret(KEY)}
    stage.welkin.automations.make("changes", ADDRESS + "/welkin", headers=secret)
    stage.visit()
    stage.clock.advance(seconds=1)
    stage.deliver()
    stage.fault("welkin", "status", status=503, times=None)

    async def steps(watch: Watch) -> None:
        for _ in range(25):
            await watch.feeds()
            stage.clock.advance(seconds=1)

    before = stage.clock.monotonic()
    told = len(stage.sandbox.requests)
    watched(stage, steps)
    assert stage.clock.monotonic() - before < 2 * FAILED_FEEDS.total_seconds()
    first = stage.sandbox.requests.since(told)
    assert {entry.status for entry in first} == {503}
    moments = {entry.at for entry in first}
    assert max(moments) - min(moments) < FAILED_FEEDS, "one try, and what it repeats"
