"""The rate of a calendar system, kept by all processes together."""

import asyncio
import heapq
import random
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from calendar_sync.state import Database, Store
from calendar_sync.sync.permits import Permits
from tests.engine.state.conftest import NOW

MINUTES = 2


class SharedClock:
    """Several workers wait at once; time jumps to the next who is woken."""

    def __init__(self) -> None:
        self.passed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self.passed + seconds, self._count, woken))
        await woken

    def run(self, *workers: Coroutine[Any, Any, None]) -> None:
        async def together() -> None:
            tasks = [asyncio.ensure_future(worker) for worker in workers]
            while not all(task.done() for task in tasks):
                # Each hands a lock on to the next at most.
                for _ in range(len(tasks) + 3):
                    await asyncio.sleep(0)
                if self._sleepers:
                    self.passed, _, woken = heapq.heappop(self._sleepers)
                    if not woken.done():
                        woken.set_result(None)
            await asyncio.gather(*tasks)

        asyncio.run(together())


class Service:
    """What a service with a quota sees."""

    def __init__(self, clock: SharedClock) -> None:
        self.clock = clock
        self.times: list[float] = []

    def most_in_a_minute(self) -> int:
        """Of all windows of a minute, the one with the most requests."""
        return max(
            bisect_right(self.times, begin + 59.999) - number
            for number, begin in enumerate(self.times)
        )

    async def greedy(self, take: Callable[[int], Awaitable[None]], count: int) -> None:
        """A first fill: one request after the other, `count` at a time."""
        while self.clock.passed < MINUTES * 60:
            await take(count)
            self.times += [self.clock.passed] * count
            await self.clock.sleep(0.01 * count)

    async def moody(self, take: Callable[[int], Awaitable[None]], chance: random.Random) -> None:
        """Runs of a minute's schedule: a few requests, then a pause."""
        while self.clock.passed < MINUTES * 60:
            await self.clock.sleep(chance.choice((0.0, 1.0, 5.0, 20.0, 45.0)))
            for _ in range(chance.randrange(1, 400)):
                await take(1)
                self.times.append(self.clock.passed)


@pytest.mark.parametrize("per_minute", [1, 7, 60, 600, 10_000])
def test_processes_together_stay_below_the_quota_of_any_minute(
    store: Store, per_minute: int
) -> None:
    clock = SharedClock()
    service, chance = Service(clock), random.Random(per_minute)  # noqa: S311
    takes = [Permits(store.rates, "google", per_minute, clock).take for _ in range(5)]
    clock.run(
        service.greedy(takes[0], 1),
        service.greedy(takes[1], 20 if per_minute > 60 else 1),
        service.greedy(takes[1], 1),
        *(service.moody(take, chance) for take in takes[2:]),
    )
    assert service.most_in_a_minute() <= per_minute
    # And most of it can be used.
    assert len(service.times) >= 0.7 * per_minute * MINUTES or per_minute == 1


def test_a_burst_after_a_pause_waits_for_nothing(store: Store) -> None:
    clock = SharedClock()
    take = Permits(store.rates, "google", 10_000, clock).take

    async def burst() -> None:
        for _ in range(1000):
            await take(1)

    clock.run(burst())
    assert clock.passed == 0


def test_permits_cost_few_writes(store: Store, database: Database) -> None:
    clock, begun = SharedClock(), []
    service = Service(clock)
    event.listen(database.engine, "begin", lambda _: begun.append(1))
    clock.run(service.greedy(Permits(store.rates, "google", 10_000, clock).take, 1))
    assert len(service.times) > 10_000
    assert len(begun) < len(service.times) / 50


def test_a_process_that_asks_for_little_leaves_the_rest_to_others(store: Store) -> None:
    clock = SharedClock()
    service = Service(clock)

    async def small() -> None:
        """A task of one user: a process of its own that ends soon."""
        while clock.passed < MINUTES * 60:
            await Permits(store.rates, "google", 10_000, clock).take(1)
            await clock.sleep(1)

    clock.run(
        *(small() for _ in range(8)),
        service.greedy(Permits(store.rates, "google", 10_000, clock).take, 20),
    )
    assert len(service.times) >= 0.5 * 10_000 * MINUTES


def test_who_is_cancelled_while_waiting_holds_up_nobody(store: Store) -> None:
    clock = SharedClock()
    take = Permits(store.rates, "google", 60, clock).take

    async def story() -> None:
        waiting = [asyncio.ensure_future(take(20)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        waiting[1].cancel()
        await waiting[2]

    clock.run(story())


def test_parts_of_a_batch_count_each(store: Store) -> None:
    clock = SharedClock()
    service = Service(clock)
    clock.run(service.greedy(Permits(store.rates, "microsoft", 600, clock).take, 20))
    assert 0.7 * 600 * MINUTES <= len(service.times) <= 600 * MINUTES
