"""Sweeps: one request shows whose busy times have changed; polls find what it cannot show."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from calendar_sync.config.settings import Settings, parse
from calendar_sync.core.model import Platform
from calendar_sync.sync.freshness import QUOTA_SHARE
from calendar_sync.sync.noticing.sweeps import DAYS
from calendar_sync.sync.swept import REFUSED, pace
from tests.engine.cycle.stage import Stage, mail
from tests.engine.noticing.test_watch import Watched
from tests.harness import START

NAMES = ("dana", "omar", "ruben")
FREE_BUSY = "google.freebusy.query"
POLL = "google.events.list"
ON: dict[str, Any] = {"polling": {"sweep": "on"}}


@pytest.fixture
def swept() -> Iterator[Watched]:
    """An organisation that is swept each minute; each account has been polled since."""
    stage = Stage(*NAMES, settings=ON)
    stage.run()
    stage.later(again=3, minutes=1)
    made = Sweeping(stage)
    made.goes_on(90)
    yield made
    made.close()


class Sweeping(Watched):
    """With the steps of sweeps, too."""

    def goes_on(self, seconds: int, *_: Any, runs: bool = True, each: int = 1) -> None:
        async def steps() -> None:
            for second in range(0, seconds, each):
                if runs and second % 300 == 0:
                    self.run_comes()
                for step in ("feeds", "polls", "sweeps", "told", "runs"):
                    await getattr(self.watch, step)()
                self.stage.clock.advance(each)

        self.do(steps())


def test_a_new_event_is_seen_by_a_sweep_and_polled_at_once(swept: Watched) -> None:
    sent, asks = swept.sent, len(swept.asks)
    swept.stage.busy("omar")
    swept.goes_on(65)
    found = swept.requests(sent)
    assert found[FREE_BUSY] in {1, 2}
    assert found[POLL] == 1, "the account that has changed, and no other"
    assert len(swept.asks) > asks
    assert swept.collect() == {swept.stage.ids["omar"]}


def test_an_event_that_goes_away_is_seen_too(swept: Watched) -> None:
    event = swept.stage.busy("omar", days=3)
    swept.goes_on(70)
    swept.collect()
    swept.stage.run()
    swept.goes_on(200)
    swept.stage.google.delete_event(mail("omar"), event)
    swept.goes_on(65)
    assert swept.collect("another") == {swept.stage.ids["omar"]}


def test_single_polls_go_on_more_rarely(swept: Watched) -> None:
    sent = swept.sent
    swept.goes_on(3600)
    found = swept.requests(sent)
    assert found[POLL] == pytest.approx(len(NAMES) * 3, abs=len(NAMES)), "each 20 minutes"
    assert 58 <= found[FREE_BUSY] <= 68, "and what lies further ahead, twice"


def test_our_own_mirror_costs_one_poll_and_no_run(swept: Watched) -> None:
    swept.stage.visit("omar")
    swept.goes_on(10)
    assert swept.collect() == {swept.stage.ids["omar"]}
    swept.stage.run()
    sent, asks = swept.sent, len(swept.asks)
    swept.goes_on(180)
    assert swept.requests(sent)[POLL] == 1
    assert len(swept.asks) == asks
    assert swept.collect("another") == set()


def test_the_end_of_a_day_counts_as_no_change(swept: Watched) -> None:
    for name in NAMES:
        swept.stage.busy(name, days=0, hour=20)
        swept.stage.busy(name, days=60, hour=3)
    swept.goes_on(70)
    swept.stage.clock.advance(30 * 60)
    swept.do(swept.watch._look.sweep())
    changes = swept.store.sweeps.counts(swept.stage.ids.values())
    for _ in range(36 * 2):
        swept.stage.clock.advance(30 * 60)
        swept.do(swept.watch._look.sweep())
    assert swept.store.sweeps.counts(swept.stage.ids.values()) == changes
    days = {one.day for one in swept.store.sweeps.calendars(swept.stage.ids.values()).values()}
    assert days == {swept.stage.clock.now().date()}


def test_whose_busy_times_are_not_shown_is_polled_as_without_sweeps(swept: Watched) -> None:
    swept.stage.google.freebusy.hidden.add(mail("omar"))
    swept.goes_on(400)
    sent = swept.sent
    swept.goes_on(600)
    by = [e for e in swept.stage.sandbox.requests.since(sent) if e.kind == POLL]
    assert {entry.user for entry in by} <= {mail(name) for name in NAMES}
    assert sum(entry.user == mail("omar") for entry in by) == pytest.approx(10, abs=2)


def test_without_the_scope_there_are_no_sweeps_and_polls_as_before(swept: Watched) -> None:
    swept.stage.google.delegation.authorised_scopes = frozenset(
        scope
        for scope in swept.stage.google.delegation.authorised_scopes
        if not scope.endswith("calendar.freebusy")
    )
    swept.stage.google.delegation.grants.clear()
    swept.services.store.tokens.drop_ended(swept.stage.clock.now() + timedelta(days=1))
    swept.goes_on(400)
    assert swept.store.runs.facts("google")[REFUSED]
    sent = swept.sent
    swept.goes_on(600)
    found = swept.requests(sent)
    assert found[POLL] == pytest.approx(10 * len(NAMES), abs=2 * len(NAMES))
    assert found[FREE_BUSY] == 0


def test_a_window_that_is_too_long_is_divided(swept: Watched) -> None:
    swept.stage.google.freebusy.longest = timedelta(days=40)
    swept.goes_on(200)
    assert swept.store.runs.facts("google")[DAYS] < 40
    sent = swept.sent
    swept.stage.busy("dana", days=20)
    swept.goes_on(70)
    assert swept.requests(sent)[POLL] >= 1
    assert swept.collect() == {swept.stage.ids["dana"]}


def test_a_sweep_that_lies_for_a_minute_is_only_late(swept: Watched) -> None:
    swept.stage.google.freebusy.lag_seconds = 60
    swept.goes_on(200)
    swept.stage.busy("omar")
    swept.goes_on(200)
    assert swept.stage.ids["omar"] in swept.collect()


def test_a_change_seen_while_the_account_is_polled_is_not_lost(swept: Watched) -> None:
    store, omar = swept.store, swept.stage.ids["omar"]
    before = store.sweeps.counts([omar])
    seen = store.sweeps.calendars([omar])
    with store.database.write() as connection:
        store.sweeps.save(
            connection, [type(one)(**{**vars(one), "changes": 1}) for one in seen.values()]
        )
        store.sweeps.polled(connection, before.items())
    assert store.sweeps.changed()


# --- how often ------------------------------------------------------------------------------------


def settings(**polling: Any) -> Settings:
    return parse({"polling": polling})


@pytest.mark.parametrize(
    ("accounts", "on"), [(1, False), (25, False), (400, False), (500, True), (10_000, True)]
)
def test_sweeps_begin_where_polls_alone_are_too_slow(accounts: int, on: bool) -> None:
    assert (pace(settings(), Platform.GOOGLE, accounts, 0, START) is not None) is on
    assert pace(settings(sweep="off"), Platform.GOOGLE, accounts, 0, START) is None
    assert pace(settings(sweep="on"), Platform.GOOGLE, accounts, 0, START) is not None
    assert pace(settings(sweep="on"), Platform.MICROSOFT, accounts, 0, START) is None


@pytest.mark.spread
@pytest.mark.parametrize("accounts", [500, 2_000, 10_000, 40_000])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_all_of_it_keeps_to_the_share_of_the_quota(accounts: int, share: float) -> None:
    unseen = int(accounts * share)
    found = pace(settings(), Platform.GOOGLE, accounts, unseen, START)
    assert found is not None
    day = timedelta(days=1)
    requests = (
        -(-accounts // 50) * (day / found.sweeps)
        + (accounts - unseen) * (day / found.seen)
        + unseen * (day / found.unseen)
    )
    assert requests <= 1_000_000 * QUOTA_SHARE * 1.01


def test_ten_thousand_accounts_are_swept_every_two_minutes_at_most() -> None:
    found = pace(settings(), Platform.GOOGLE, 10_000, 0, START)
    assert found is not None
    assert found.sweeps <= timedelta(seconds=120)
