"""Rates that all processes together keep to: a request takes a permit before it is sent.

A process gets permits in portions from the queue in the state database, so that they cost no write
each. A portion is never more than a second's worth, and what is left of it soon lapses.
"""

import asyncio

from calendar_sync.core.clock import Clock
from calendar_sync.state.shared import RateStore

# Requests that wait their turn are served a little slower than the limit: networks add jitter.
RATE_MARGIN = 0.95
#: After a pause, requests of so many seconds may be sent at once.
BURST_SECONDS = 10.0
#: A portion that has not been used up lapses so long after its last moment.
VALID_SECONDS = 2.0
FIRST_PORTION = 4
#: A portion's stretch of the queue, which may be used early or late by as much.
LONGEST_PORTION_SECONDS = 1.0


def sustained(per_minute: int) -> float:
    """Requests a second on and on, so that no minute has more than its quota.

    A permit is used up to `early` before its moment in the queue, and up to `late` after it: any
    minute holds the permits of so much more of the queue.
    """
    early = LONGEST_PORTION_SECONDS
    late = LONGEST_PORTION_SECONDS + BURST_SECONDS + VALID_SECONDS
    return max(1, per_minute - 1) / (60 + early + late)


class Spaced:
    """Each request reserves its own moment, evenly spaced: for rates of a few a second."""

    def __init__(self, rates: RateStore, name: str, per_second: float, clock: Clock) -> None:
        self._rates, self._name, self._clock = rates, name, clock
        self._per_second = per_second * RATE_MARGIN

    async def take(self, count: int = 1) -> None:
        """Wait until `count` requests may be sent."""
        now = self._clock.now().timestamp()
        pause = self._rates.reserve(self._name, self._per_second, now, count)
        if pause > 0:
            await self._clock.sleep(pause)


class Permits:
    """At most so many requests in any minute, with bursts; one instance for each event loop.

    Args:
        rates: the queue that all processes share.
        name: of the quota, the same in all processes.
        per_minute: what the quota allows in a sliding window of a minute.
        clock: the time of the queue.
    """

    def __init__(self, rates: RateStore, name: str, per_minute: int, clock: Clock) -> None:
        self._rates, self._name, self._clock = rates, name, clock
        self._per_second = sustained(per_minute)
        self._largest = max(1, int(self._per_second * LONGEST_PORTION_SECONDS))
        self._portion = min(FIRST_PORTION, self._largest)
        self._left, self._ends = 0, 0.0
        self._turn = asyncio.Lock()

    async def take(self, count: int = 1) -> None:
        """Wait until `count` requests may be sent."""
        async with self._turn:
            while count:
                now = self._clock.now().timestamp()
                if not self._left or now > self._ends:
                    await self._reserve(now, count)
                taken = min(count, self._left)
                self._left -= taken
                count -= taken

    async def _reserve(self, now: float, count: int) -> None:
        """The next portion: twice as large as one that was used up in time."""
        if not self._left and now <= self._ends:
            self._portion *= 2
        else:
            self._portion = FIRST_PORTION
        self._portion = min(max(self._portion, count), self._largest)
        size = self._portion
        self._left = 0
        pause = self._rates.reserve(self._name, self._per_second, now, size, BURST_SECONDS)
        if pause > 0:
            await self._clock.sleep(pause)
        self._left = size
        self._ends = now + pause + size / self._per_second + VALID_SECONDS
