"""Stores notices: what arrives while one transaction is under way goes into the next, together.

So a burst costs a few transactions, however many requests it is, and no request waits for more
than two of them.
"""

import asyncio
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.exc import SQLAlchemyError

from calendar_sync.core.clock import Clock
from calendar_sync.core.errors import SyncError
from calendar_sync.core.redaction import describe
from calendar_sync.state.push import Heard, PushStore

logger = logging.getLogger(__name__)

#: Seconds. Microsoft counts an answer that takes longer than 3 as none.
PATIENCE = 2.0
#: Different channels in one transaction; more than ever are open at once.
MOST_WAITING = 50_000


class NotStored(Exception):
    """The state database did not take it; whether it does so later is not known."""


class _Batch:
    def __init__(self) -> None:
        self.heard: dict[str, Heard] = {}
        self.done: asyncio.Future[set[str]] = asyncio.get_running_loop().create_future()

    def add(self, which: str, heard: Heard) -> None:
        """Two notices of one channel are one with both counts; the later message stands."""
        before = self.heard.get(which)
        if before is not None:
            heard = Heard(before.changes + heard.changes, heard.told or before.told)
        self.heard[which] = heard


class Desk:
    """One writer for all requests of a process.

    `threaded` is False for a database in memory, which belongs to the thread that opened it.
    """

    def __init__(self, store: PushStore, clock: Clock, *, threaded: bool = True) -> None:
        self._store = store
        self._threaded = threaded
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "calendar-sync-receiver")
        self._next: _Batch | None = None
        self._writer: asyncio.Task[None] | None = None
        self._failing = False

    async def put(self, heard: Iterable[tuple[str, Heard]]) -> set[str]:
        """Store these; returns the ids of those channels that are known.

        Raises:
            NotStored: it could not be done in time.
        """
        if self._next is None:
            self._next = _Batch()
        batch = self._next
        if len(batch.heard) >= MOST_WAITING:
            raise NotStored
        for which, each in heard:
            batch.add(which, each)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        try:
            async with asyncio.timeout(PATIENCE):
                # The others wait for it, too.
                return await asyncio.shield(batch.done)
        except TimeoutError:
            raise NotStored from None

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        while (batch := self._next) is not None:
            self._next = None
            try:
                now = self._clock.now()
                if self._threaded:
                    hear = loop.run_in_executor(self._thread, self._store.hear, batch.heard, now)
                    found = await hear
                else:
                    found = self._store.hear(batch.heard, now)
            except (SQLAlchemyError, SyncError, OSError) as error:
                self._tell(error)
                batch.done.set_exception(NotStored())
                # Those who gave up waiting do not ask for it.
                batch.done.exception()
            else:
                self._failing = False
                batch.done.set_result(found)

    def _tell(self, error: Exception) -> None:
        """Once, not with each notice."""
        if not self._failing:
            logger.error("receiver: notices cannot be stored: %s", describe(error))
        self._failing = True

    def close(self) -> None:
        """Wait for the transaction that is under way; what waits for it is told to come again."""
        self._thread.shutdown(cancel_futures=True)
