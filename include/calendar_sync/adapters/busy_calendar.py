"""A calendar of which only the busy times are read: for accounts that show us no events.

Free/busy knows no events, so each span in which the calendar is busy stands for one. Its id is its
start: a span that ends at another time is the same event moved. One that began before the window
has its end for an id, since services cut it where the window begins.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

from calendar_sync.core.clock import Clock
from calendar_sync.core.codes import AccountVerdict, Code, SetupCode
from calendar_sync.core.errors import CursorExpired, NotFound, SyncError, UserUnavailable
from calendar_sync.core.model import (
    CalendarEvent,
    Changes,
    Finding,
    Platform,
    SeriesSet,
    Span,
    Window,
)
from calendar_sync.core.ports import BusyTimes, FreeBusy

PRIMARY = "primary"
#: As much as both services answer at once.
PART = timedelta(days=60)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
#: Look-ups of one cycle are answered from what was read a moment ago.
FRESH_SECONDS = 5.0
_FORM = "%Y%m%dT%H%M%SZ"


class BusyCalendar:
    """See `CalendarSource`.

    Args:
        platform: the calendar system.
        free_busy: tells when accounts are busy.
        clock: for how long an answer is fresh.
    """

    asks_together = 1
    shape = "busy-1"

    def __init__(self, platform: Platform, free_busy: FreeBusy, clock: Clock) -> None:
        self.platform = platform
        self._free_busy = free_busy
        self._clock = clock
        self._read: dict[tuple[str, str], tuple[float, Window, dict[str, CalendarEvent]]] = {}

    async def changes(
        self, account: str, calendar: str, cursor: str | None, window: Window
    ) -> Changes:
        """See `CalendarSource.changes`: with a cursor nothing, or that it is void."""
        found = await self._events(account, calendar, _aligned(window))
        position = _digest(found)
        if cursor is None:
            return Changes(tuple(found.values()), position, full=True)
        if cursor != position:
            raise CursorExpired
        return Changes((), position, full=False)

    async def listed(self, account: str, calendar: str, window: Window) -> Changes:
        """See `CalendarSource.listed`."""
        return await self.changes(account, calendar, None, window)

    async def event(self, account: str, calendar: str, event_id: str) -> CalendarEvent | None:
        """See `CalendarSource.event`. A time that is free now proves no deletion."""
        known = self._read.get((account, calendar))
        if known is None:
            return None
        read_at, window, found = known
        if self._clock.monotonic() - read_at > FRESH_SECONDS:
            found = await self._events(account, calendar, window)
        return found.get(event_id)

    async def series(
        self, account: str, calendar: str, series_id: str, window: Window
    ) -> SeriesSet:
        """See `CalendarSource.series`: there are none."""
        return SeriesSet((), known=False)

    async def look(self, account: str) -> None:
        """See `CalendarSource.look`."""
        now = self._clock.now()
        if await self._times(account, PRIMARY, Window(now, now + HOUR)) is None:
            raise UserUnavailable(AccountVerdict.CALENDAR_NOT_FOUND, detail=account)

    async def account_fault(self, account: str) -> Code | None:
        """See `CalendarSource.account_fault`."""
        try:
            await self.look(account)
        except UserUnavailable as error:
            return error.code
        return None

    async def check_access(self, accounts: Sequence[str]) -> list[Finding]:
        """See `CalendarSource.check_access`."""
        found = [] if accounts else [Finding.of(SetupCode.NO_MAILBOX_TRIED)]
        for account in accounts:
            try:
                await self.look(account)
            except SyncError as error:
                found.append(Finding.of(error.code, account=account))
        return found

    async def _events(
        self, account: str, calendar: str, window: Window
    ) -> dict[str, CalendarEvent]:
        """All busy spans of the window by their ids.

        Raises:
            NotFound: the calendar is not shown to us.
        """
        times: list[tuple[datetime, datetime]] = []
        start = window.start
        while start < window.end:
            part = Window(start, min(start + PART, window.end))
            some = await self._times(account, calendar, part)
            if some is None:
                raise NotFound(AccountVerdict.CALENDAR_NOT_FOUND, detail=account)
            times += some
            start = part.end
        found = {}
        for begin, end in _merged(times, window):
            key = f"busy-{begin:{_FORM}}" if begin > window.start else f"until-{end:{_FORM}}"
            found[key] = CalendarEvent(
                key, etag=f"{begin:{_FORM}}/{end:{_FORM}}", span=Span(begin, end)
            )
        self._read[account, calendar] = self._clock.monotonic(), window, found
        return found

    async def _times(self, account: str, calendar: str, window: Window) -> BusyTimes | None:
        name = account if calendar == PRIMARY else calendar
        return (await self._free_busy.busy(account, [name], window)).get(name)


def _aligned(window: Window) -> Window:
    """From the Monday before to the next midnight, so that cuts stay where they are for a while."""
    first = window.start.astimezone(UTC).date()
    last = window.end.astimezone(UTC).date() + DAY
    begin = datetime.combine(first - first.weekday() * DAY, time(), UTC)
    return Window(begin, datetime.combine(last, time(), UTC))


def _merged(
    times: list[tuple[datetime, datetime]], window: Window
) -> list[tuple[datetime, datetime]]:
    """Overlapping and touching times as one, within the window, in whole seconds."""
    found: list[tuple[datetime, datetime]] = []
    for start, end in sorted(times):
        first = max(start.astimezone(UTC).replace(microsecond=0), window.start)
        last = min(end.astimezone(UTC).replace(microsecond=0), window.end)
        if last <= first:
            continue
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def _digest(events: dict[str, CalendarEvent]) -> str:
    text = "\n".join(sorted(event.etag or "" for event in events.values()))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
