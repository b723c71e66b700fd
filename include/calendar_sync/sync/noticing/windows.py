"""Learn how much of a calendar Welkin answers in one request.

Nothing documents a longest window, and customers are known to ask for years. So 90 days are asked
at a time until this tenant has answered a whole window exactly as its parts. Daily comparisons go
on in parts, so that nothing can stay hidden behind a window that is cut off one day.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from calendar_sync.adapters.welkin.client import CHUNK, MARGIN
from calendar_sync.config.settings import Settings
from calendar_sync.core.errors import BadItem, NotFound, TransientError, UserUnavailable
from calendar_sync.core.model import Window, iso, parse_iso
from calendar_sync.state.runs import WELKIN, WINDOW_AT, WINDOW_DAYS
from calendar_sync.sync.services import Services

SAMPLE = 5
EVERY = timedelta(days=7)
UNDECIDED_FOR = timedelta(days=1)
UTC = ZoneInfo("UTC")


async def learn_window(
    services: Services, settings: Settings, user_ids: Callable[[], Iterable[str]]
) -> None:
    """Compare whole windows of some users with their parts, once a week; note what may be asked.

    What cannot be read is no news here: whom it concerns will meet it again.
    """
    runs, now = services.store.runs, services.clock.now()
    facts = runs.facts(WELKIN)
    noted = facts.get(WINDOW_AT)
    asked_at = parse_iso(noted) if isinstance(noted, str) else None
    pause = EVERY if facts.get(WINDOW_DAYS) else UNDECIDED_FOR
    if isinstance(asked_at, datetime) and now - asked_at < pause:
        return
    days = await _trusted(services, sorted(user_ids())[:SAMPLE], settings.mirror_window(now))
    runs.set_facts(WELKIN, **{WINDOW_DAYS: days, WINDOW_AT: iso(now)})


async def _trusted(services: Services, users: list[str], window: Window) -> int | None:
    """Days that may be asked for at once; None where the sample does not tell."""
    welkin, length = services.welkin, window.end - window.start + 2 * MARGIN
    if length <= CHUNK:
        return None
    starts: list[datetime] = []
    for user in users:
        try:
            parts, _ = await welkin.events([user], window, UTC, chunk=welkin.part)
            if welkin.longest < CHUNK:
                return max(1, welkin.longest.days)
            whole, _ = await welkin.events([user], window, UTC, chunk=length)
        except (BadItem, NotFound, TransientError, UserUnavailable):
            continue
        if whole.keys() != parts.keys():
            return None
        starts += [event.span.instants(UTC)[0] for event in parts.values()]
    if not starts or max(starts) - min(starts) <= CHUNK:
        return None
    return min(length + MARGIN, welkin.longest).days
