"""A stage with push: the sandbox's notices reach a receiver in this process."""

import asyncio
from datetime import timedelta
from typing import Any

from calendar_sync.core.model import Platform
from calendar_sync.insight.push import Coverage, coverage
from calendar_sync.push.channels import tend_channels
from calendar_sync.push.receiver import create
from calendar_sync.state.push import RECEIVER, Channel, Heard
from calendar_sync.sync.roster import members
from calendar_sync.sync.runner import PassResult
from calendar_sync_sandbox.courier import into
from tests.engine.cycle.stage import Stage
from tests.engine.push.conftest import ADDRESS, KEY

MINUTE = timedelta(minutes=1)


class PushStage(Stage):
    """People with channels; the receiver runs on the stage's state database."""

    def __init__(self, *names: str, settings: dict[str, Any] | None = None, **more: Any) -> None:
        push = {"push": {"address": ADDRESS}}
        super().__init__(*names, settings=push | (settings or {}), **more)
        self.receiver = create(
            self.database, KEY, prefix="/push", clock=self.clock, seconds=self.clock.monotonic
        )
        self.sandbox.outbox.post = into(self.receiver)
        self.receiving = True

    def run(self, **options: Any) -> PassResult:
        """The receiver has shown a moment ago that it runs, while it does."""
        if self.receiving:
            self.store.push.hear({RECEIVER: Heard(changes=0)}, self.clock.now())
        return super().run(**options)

    @property
    def outbox(self) -> Any:
        return self.sandbox.outbox

    def tend(self, rounds: int = 1) -> int:
        """Look after the channels, a quarter of a minute later each time; returns requests."""

        async def once(services: Any) -> int:
            revision = services.store.config.revision()
            return await tend_channels(services, revision, self.platform)

        requests = 0
        for _ in range(rounds):
            self.clock.advance(seconds=15)
            requests += asyncio.run(self.with_services(once))
        return requests

    def deliver(self) -> list[tuple[str, int]]:
        """What is due is sent; outcome and status of each."""
        return [(each.outcome, each.status) for each in asyncio.run(self.outbox.deliver())]

    def channels(self, platform: Platform | None = None) -> list[Channel]:
        return self.store.push.channels(platform or self.platform)

    def channel(self, name: str = "dana") -> Channel:
        [found] = [each for each in self.channels() if each.user_id == self.ids[name]]
        return found

    def coverage(self) -> Coverage:
        store, now = self.store, self.clock.now()
        settings = store.config.revision().settings
        synced = members(store, settings, self.platform, now).synced
        found = coverage(store, settings, self.platform, synced, now)
        assert found is not None
        return found

    def settle(self) -> None:
        """Everybody is synced, was polled since a channel delivered, and no notice is left."""
        self.run()
        self.tend()
        self.deliver()
        self.later(minutes=2)
        self.deliver()
        self.later(minutes=6)

    def polls(self, since: int) -> int:
        kind = (
            "google.events.list" if self.platform is Platform.GOOGLE else "microsoft.events.delta"
        )
        return self.asked(kind, since)
