"""When a deletion counts as done: one "not found" proves nothing."""

from collections.abc import Awaitable, Callable
from zoneinfo import ZoneInfo

from calendar_sync.adapters.welkin import Welkin
from calendar_sync.core.errors import NotShownYet, StillThere
from calendar_sync.core.model import Removed
from calendar_sync.core.ports import CalendarPlatform

TRIES = 2


async def remove(
    delete: Callable[[], Awaitable[bool]],
    there: Callable[[], Awaitable[bool]],
    *,
    recent: bool = False,
) -> None:
    """Delete an item until the server says that it is deleted, or that it was deleted before.

    Replicas lag and proxies make mistakes: after a "not found" (`delete` returns False) the item is
    read by its id. `recent` says that we wrote it so recently that this answer may lag, too.

    Raises:
        NotShownYet: neither request finds it; it must be read once more in a minute.
        StillThere: it exists, but the server answers "not found" to its deletion.
    """
    for _ in range(TRIES):
        if await delete():
            return
        if not await there():
            if recent:
                raise NotShownYet
            return
    raise StillThere


async def event_exists(
    platform: CalendarPlatform, account: str, calendar: str, event_id: str
) -> bool:
    """The event exists when it is read by its id."""
    event = await platform.event(account, calendar, event_id)
    return event is not None and not isinstance(event, Removed)


async def welkin_event_exists(welkin: Welkin, event_id: str, zone: ZoneInfo) -> bool:
    """The event in Welkin exists when it is read by its id, and is not cancelled."""
    event = await welkin.event(event_id, zone)
    return event is not None and not event.cancelled
