"""How many requests are under way at once: Exchange allows four for a mailbox.

https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits. Whether the four are
counted for a mailbox or for the whole app has been documented both ways, so there is a second
limit for all mailboxes, which follows what the server can be seen to bear.
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import AsyncIterator

from calendar_sync.core.errors import RateLimited

# One less than allowed: a poll of another process may ask the same mailbox meanwhile.
MAILBOX_AT_ONCE = 3
BEGIN = 16


class AdaptiveLimit:
    """So many at once; half as many after a refusal, and slowly more again after successes.

    Args:
        most: the most that it ever reaches; it begins with 16 at most.
    """

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self._limit = float(min(BEGIN, most))
        self._running = 0
        self._refusals = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def now(self) -> int:
        """How many may be under way at this moment."""
        return max(1, int(self._limit))

    @contextlib.asynccontextmanager
    async def slots(self, count: int = 1) -> AsyncIterator[None]:
        """Hold so many places while requests are under way. More than there are count as all."""
        await self._enter(count)
        try:
            yield
        finally:
            self._running -= count
            self._wake()

    def learn(self, *, granted: int, refused: int, since: int) -> None:
        """How requests that began at `since` (`refusals` of then) have ended.

        All that were under way during a refusal are refused for the same reason: they count once.
        """
        if refused and since == self._refusals:
            self._refusals += 1
            self._limit = max(1.0, self._limit / 2)
        elif granted and not refused:
            self._limit = min(self._most, self._limit + granted / self._limit)
            self._wake()

    @property
    def refusals(self) -> int:
        """How often it was lowered."""
        return self._refusals

    async def _enter(self, count: int) -> None:
        if self._fits(count) and not self._waiting:
            self._running += count
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (count, turn)
        self._waiting.append(entry)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._running -= count
            elif entry in self._waiting:
                self._waiting.remove(entry)
            self._wake()
            raise

    def _fits(self, count: int) -> bool:
        return self._running == 0 or self._running + count <= self.now

    def _wake(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            count, turn = self._waiting.popleft()
            # Who has just been cancelled may not know of it yet.
            if not turn.done():
                self._running += count
                turn.set_result(None)


class Slots:
    """The slots of all mailboxes of one tenant, in this process."""

    def __init__(self, most: int) -> None:
        self.everybody = AdaptiveLimit(most)
        self._mailboxes: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(MAILBOX_AT_ONCE)
        )

    def mailbox(self, account: str) -> asyncio.Semaphore:
        """The places of one mailbox alone."""
        return self._mailboxes[account.lower()]

    @contextlib.asynccontextmanager
    async def of(self, account: str) -> AsyncIterator[None]:
        """A place for one request to this mailbox; what it raises is learnt from."""
        limit = self.everybody
        async with self.mailbox(account), limit.slots():
            since = limit.refusals
            try:
                yield
            except RateLimited:
                limit.learn(granted=0, refused=1, since=since)
                raise
            limit.learn(granted=1, refused=0, since=since)
