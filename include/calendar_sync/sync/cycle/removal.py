"""When a removal is believed: a "not found" of one request alone proves nothing."""

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
    """Delete an item until the server says that it has, or that it had been deleted before.

    Replicas lag and proxies err: after a bare "not found" (`delete` returns False) the item is
    looked at by id. `recent` says that we wrote it so lately that the look may lag, too.

    Raises:
        NotShownYet: it is not found either way, which shall be seen once more in a minute.
        StillThere: it stands, and the server denies it to whoever wants to delete it.
    """
    for _ in range(TRIES):
        if await delete():
            return
        if not await there():
            if recent:
                raise NotShownYet
            return
    raise StillThere


async def is_there(platform: CalendarPlatform, account: str, calendar: str, event_id: str) -> bool:
    """A look by id shows the event, and alive."""
    event = await platform.event(account, calendar, event_id)
    return event is not None and not isinstance(event, Removed)


async def stands(welkin: Welkin, event_id: str, zone: ZoneInfo) -> bool:
    """A look by id shows the event in Welkin, and not cancelled."""
    event = await welkin.event(event_id, zone)
    return event is not None and not event.cancelled
