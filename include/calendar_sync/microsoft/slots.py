"""How many requests are under way at once: Exchange allows four for a mailbox.

https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits. Whether the four are
counted for a mailbox or for the whole app has been documented both ways, so there is a second
limit for all mailboxes, which follows what the server can be seen to bear.
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import AsyncIterator

from calendar_sync.errors import RateLimited, SyncError

# One less than allowed: a poll of another process may ask the same mailbox meanwhile.
MAILBOX_AT_ONCE = 3


class AdaptiveLimit:
    """So many at once; half as many after a refusal, and slowly more again after successes.

    Args:
        most: where it begins, and the most that it reaches.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(most)
        self._running = 0
        self._refusals = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def now(self) -> int:
        """How many may be under way at this moment."""
        return max(1, int(self._limit))

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Held by one request while it is under way; what it raises is learnt from."""
        await self._enter()
        refusals = self._refusals
        try:
            yield
        except RateLimited:
            # All that began before a refusal are refused for the same reason: they count once.
            if refusals == self._refusals:
                self._refusals += 1
                self._limit = max(1.0, self._limit / 2)
            raise
        except SyncError:
            raise
        else:
            self._limit = min(float(self._most), self._limit + 1 / self._limit)
        finally:
            self._running -= 1
            self._wake()

    async def _enter(self) -> None:
        if self._running < self.now and not self._waiting:
            self._running += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._running -= 1
                self._wake()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def _wake(self) -> None:
        while self._waiting and self._running < self.now:
            turn = self._waiting.popleft()
            if not turn.done():
                self._running += 1
                turn.set_result(None)


class Slots:
    """The slots of all mailboxes of one tenant, in this process."""

    def __init__(self, most: int) -> None:
        self.everybody = AdaptiveLimit(most)
        self._mailboxes: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(MAILBOX_AT_ONCE)
        )

    @contextlib.asynccontextmanager
    async def of(self, account: str) -> AsyncIterator[None]:
        """A slot for one request to this mailbox."""
        async with self._mailboxes[account.lower()], self.everybody.slot():
            yield
