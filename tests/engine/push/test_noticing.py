"""With push, a change is polled for as soon as its notice comes, and a run is asked for."""

from collections.abc import Iterator
from typing import Any

import pytest

from calendar_sync.core.model import Platform
from calendar_sync.push.channels import tend_channels
from tests.engine.cycle.stage import mail
from tests.engine.noticing.test_watch import Watched
from tests.engine.push.conftest import ADDRESS
from tests.engine.push.stage import PushStage

POLLS = {Platform.GOOGLE: "google.events.list", Platform.MICROSOFT: "microsoft.events.delta"}


class Told(Watched):
    """The steps of noticing, with channels that are tended and notices that are delivered."""

    delivering = True

    def goes_on(self, seconds: int, *_: Any, runs: bool = True, each: int = 1) -> None:
        async def steps() -> None:
            for second in range(0, seconds, each):
                if runs and second % 300 == 0:
                    self.run_comes()
                for step in ("feeds", "polls", "sweeps", "told", "beats", "runs"):
                    await getattr(self.watch, step)()
                await tend_channels(self.services, self.watch.revision, self.platform)
                if self.delivering:
                    await self.stage.sandbox.outbox.deliver()
                self.stage.clock.advance(each)

        self.do(steps())

    def polls(self, since: int) -> int:
        return self.requests(since)[POLLS[self.platform]]


@pytest.fixture(params=Platform, ids=[platform.value for platform in Platform])
def told(request: pytest.FixtureRequest) -> Iterator[Told]:
    settings = {
        "polling": {"interval_seconds": 600},
        "push": {"address": ADDRESS, "poll_seconds": 600},
    }
    stage = PushStage("dana", "omar", platform=request.param, settings=settings)
    stage.run()
    stage.later(again=3, minutes=1)
    made = Told(stage)
    made.goes_on(90)
    yield made
    made.close()


def test_an_edit_is_noticed_within_seconds(told: Told) -> None:
    sent, asks, edited = told.sent, len(told.asks), told.stage.clock.monotonic()
    told.stage.busy("omar")
    told.goes_on(10)
    assert told.polls(sent) == 1
    assert told.asks[asks] - edited <= 8
    assert told.collect() == {told.stage.ids["omar"]}


def test_many_notices_are_one_poll_a_minute(told: Told) -> None:
    event = told.stage.busy("omar")
    told.goes_on(5)
    told.collect()
    told.stage.run()
    sent = told.sent
    for trouble in told.stage.sandbox.outbox.trouble.values():
        trouble.double = 1.0
    for number in range(20):
        told.stage.calendar.rename(mail("omar"), event, f"Made up {number}")
        told.goes_on(6)
    assert 1 <= told.polls(sent) <= 3


def test_without_any_notice_the_poll_finds_it(told: Told) -> None:
    told.delivering = False
    told.stage.busy("omar")
    told.goes_on(60)
    assert told.collect() == set()
    told.goes_on(620)
    assert told.collect() == {told.stage.ids["omar"]}
