"""The pages of an export of Welkin's, from a stored position on, whatever their time stamps are."""

import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from calendar_sync.adapters.welkin import EncounterRow, EventRow, FeedPage
from calendar_sync.adapters.welkin.parse import welkin_time
from calendar_sync.core.codes import WelkinCode
from calendar_sync.core.errors import TransientError
from calendar_sync.core.model import iso, parse_iso
from calendar_sync.state import runs
from calendar_sync.state.feeds import Cursor
from calendar_sync.state.marks import Pair
from calendar_sync.state.runs import WELKIN
from calendar_sync.sync.services import Services

logger = logging.getLogger(__name__)

OLDEST = "2000-01-01T00:00:00.000Z"
OVERLAP = timedelta(minutes=5)
SHOWN_AFTER = timedelta(minutes=20)
EXPORT_PAGE = 500
LARGEST_PAGE = 8000
# So many instants with more rows than that are met one after the other.
MOST_SKIPS = 50
Row = TypeVar("Row", EventRow, EncounterRow)


@dataclass
class Exports:
    """Reads pages; `pairs` are all users, who are compared where rows cannot be read at all.

    Without `overlap` only what is newer than the stored position is read.
    """

    services: Services
    overlap: bool
    pairs: Callable[[], Iterable[Pair]]

    async def pages(
        self,
        feed: str,
        read: Callable[[str, int], Coroutine[Any, Any, FeedPage[Row]]],
        stored: Cursor | None,
        first: str,
    ) -> AsyncIterator[tuple[FeedPage[Row], str]]:
        """Pages since the stored position, each with the position that it reaches."""
        start = _start(stored, overlap=self.overlap) if stored is not None else first
        reached = stored.position if stored is not None else first
        size, skips = EXPORT_PAGE, 0
        while True:
            page = await read(start, size)
            reached = max(reached, self._believed(page.end))
            yield page, reached
            if not page.more:
                return
            if page.end > start:
                start = page.end
            elif size < LARGEST_PAGE:
                size *= 4  # more rows than a page with one and the same time stamp
            elif page.size and page.end == start and skips < MOST_SKIPS:
                start, skips = self._beyond(feed, start), skips + 1
            else:
                raise TransientError(WelkinCode.FEED_DOES_NOT_ADVANCE, detail=feed)

    def _believed(self, end: str) -> str:
        """How far a page reaches: no farther than now. Who is ahead of time would hide the rest."""
        value, ahead = instant_of(end), self.services.clock.now() + SHOWN_AFTER
        return welkin_time(ahead) if value is not None and value > ahead else end

    def _beyond(self, feed: str, start: str) -> str:
        """Go on after an instant that has more rows than the largest page can show.

        The others are unknown: all users are compared, with their encounters.

        Raises:
            TransientError: the position is no instant.
        """
        store, now = self.services.store, self.services.clock.now()
        value = instant_of(start)
        if value is None or value > now + SHOWN_AFTER:
            raise TransientError(WelkinCode.FEED_DOES_NOT_ADVANCE, detail=feed)
        skipped = store.runs.facts(WELKIN).get(runs.SKIPPED) or {}
        if start not in skipped.get(feed, []):
            # Noted first: a process that dies in between has everybody compared twice, not never.
            everybody = set(self.pairs())
            with store.database.write() as connection:
                store.marks.mark(connection, everybody, now)
                store.marks.compare_fully(connection, everybody, now)
            met = [*skipped.get(feed, []), start][-MOST_SKIPS:]
            facts = {runs.SKIPPED: {**skipped, feed: met}, runs.SKIPPED_AT: iso(now)}
            store.runs.set_facts(WELKIN, **facts)
            logger.warning(
                "%s: more rows at %s than fit a page: all users are compared", feed, start
            )
        return welkin_time(value + timedelta(milliseconds=1))


def _start(stored: Cursor, *, overlap: bool) -> str:
    """Where to go on reading: a little before what was reached.

    Rows may show later than their time stamps say, so five minutes are read again; once the same
    stretch has been read long after its end (whatever the two clocks differ by), a second will do.
    Otherwise every pass after a bulk change would read all of it again.
    """
    value = instant_of(stored.position)
    if value is None or not overlap:
        return stored.position
    shown = stored.saved_at is not None and stored.saved_at - value >= SHOWN_AFTER
    return welkin_time(value - (timedelta(seconds=1) if shown else OVERLAP))


def instant_of(position: str) -> datetime | None:
    """The time of a position, none for what is no time. Welkin has nothing older than OLDEST."""
    if position[:1] in {"0", "1"}:
        position = OLDEST
    try:
        value = parse_iso(position)
    except ValueError:
        return None
    return value if isinstance(value, datetime) else None
