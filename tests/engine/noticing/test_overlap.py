"""Runs that overlap: a user is one run's at a time, and any run's again as soon as it is done."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

import calendar_sync.sync.noticing.find
from calendar_sync.core.model import Platform
from calendar_sync.state.shared import LEASE_SECONDS, LeaseStore
from calendar_sync.sync.cycle import Cycle
from calendar_sync.sync.outcomes import OutcomeStatus
from calendar_sync.sync.runner import sync_users
from tests.engine.cycle.stage import Stage, mail
from tests.engine.noticing.test_watch import Watched


@pytest.fixture(params=Platform, ids=[platform.value for platform in Platform])
def watched(request: pytest.FixtureRequest) -> Iterator[Watched]:
    stage = Stage("dana", "omar", platform=request.param)
    stage.run()
    stage.later(again=3, minutes=1)
    made = Watched(stage)
    made.goes_on(20)
    yield made
    made.close()


def sync(watched: Watched, name: str, run_id: str, **options: Any) -> Any:
    """One task of a run; how it ended."""
    [outcome] = watched.do(
        sync_users(
            watched.services,
            watched.store.config.revision(),
            watched.platform,
            [watched.stage.ids[name]],
            run_id=run_id,
            owner=run_id,
            **options,
        )
    )
    return outcome.status


def test_what_comes_while_a_task_works_is_the_next_runs(watched: Watched) -> None:
    omar = {watched.stage.ids["omar"]}
    watched.stage.visit("omar")
    watched.goes_on(10)
    assert watched.collect("one") == omar
    assert sync(watched, "omar", "one") is OutcomeStatus.OK
    watched.stage.visit("omar", days=2)
    watched.goes_on(10)
    assert watched.collect("two") == omar


def test_a_task_that_finds_the_user_busy_keeps_no_other_task_from_him(watched: Watched) -> None:
    omar = watched.stage.ids["omar"]
    watched.stage.visit("omar")
    watched.goes_on(10)
    lease = watched.store.leases.take(omar, "a cycle", watched.stage.clock.now())
    assert watched.collect("one") == set(), "a cycle has him"
    watched.store.marks.take({(omar, watched.platform): watched.stage.clock.now()}, "one")
    assert sync(watched, "omar", "one") is OutcomeStatus.BUSY
    watched.store.leases.release(lease, watched.stage.clock.now())
    assert watched.collect("two") == {omar}


def test_a_task_that_finds_nothing_to_do_delays_no_later_work(watched: Watched) -> None:
    omar = {watched.stage.ids["omar"]}
    watched.stage.visit("omar")
    watched.goes_on(10)
    assert watched.collect("one") == omar
    watched.stage.run()  # by a command, meanwhile
    assert sync(watched, "omar", "one") is OutcomeStatus.IDLE
    watched.stage.visit("omar", days=2)
    watched.goes_on(10)
    assert watched.collect("two") == omar


def test_whoever_was_asked_for_by_name_is_waited_for(watched: Watched) -> None:
    omar, clock = watched.stage.ids["omar"], watched.stage.clock
    watched.stage.visit("omar")
    watched.goes_on(10)
    watched.store.leases.take(omar, "a cycle that died", clock.now())
    assert sync(watched, "omar", "one") is OutcomeStatus.BUSY
    assert sync(watched, "omar", "two", patience=120.0) is OutcomeStatus.OK
    assert len(watched.stage.calendar.mirrors(mail("omar"))) == 1


def test_two_tasks_for_one_user_make_one_mirror(watched: Watched) -> None:
    watched.stage.visit("omar")
    watched.goes_on(10)
    statuses = [sync(watched, "omar", run_id) for run_id in ("one", "two")]
    assert statuses == [OutcomeStatus.OK, OutcomeStatus.IDLE]
    assert len(watched.stage.calendar.mirrors(mail("omar"))) == 1


class Killed(BaseException):
    """What nobody catches."""


def test_whoever_a_lost_worker_had_is_the_next_runs_when_the_lease_ends(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a large run has its users for itself."""
    monkeypatch.setattr(calendar_sync.sync.noticing.find, "TAKEN_FOR", timedelta(hours=1))
    omar = {watched.stage.ids["omar"]}
    watched.stage.visit("omar")
    watched.goes_on(10)
    assert watched.collect("one") == omar

    async def killed(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(Cycle, "run", killed)
        dying.setattr(LeaseStore, "release", lambda *_: None)
        with pytest.raises(Killed):
            sync(watched, "omar", "one")
    asked = len(watched.asks)
    watched.goes_on(LEASE_SECONDS - 5)
    assert watched.collect("two") == set()
    assert len(watched.asks) == asked
    watched.goes_on(10)
    assert len(watched.asks) == asked + 1
    assert watched.collect("two") == omar
    assert sync(watched, "omar", "two") is OutcomeStatus.OK
    assert len(watched.stage.calendar.mirrors(mail("omar"))) == 1


def test_tasks_that_never_began_are_the_next_runs_in_their_order(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of many has more time than the first: they wait for one another."""
    minute = timedelta(minutes=1)
    monkeypatch.setattr(calendar_sync.sync.noticing.find, "TAKEN_FOR_EACH", minute)
    for name in ("dana", "omar"):
        watched.stage.visit(name)
        watched.goes_on(10)
    assert len(watched.collect("one")) == 2
    watched.goes_on(70)
    assert watched.collect("two") == {watched.stage.ids["dana"]}
    watched.goes_on(55)
    assert watched.collect("three") == {watched.stage.ids["omar"]}
