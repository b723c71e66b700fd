"""How far push reaches: who has a channel, whose notices come, and how fast."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from calendar_sync.config.settings import Settings
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.core.model.push import ChannelState
from calendar_sync.core.plurals import plural
from calendar_sync.push.channels import BLOCKED
from calendar_sync.state import Store
from calendar_sync.state.push import Channel
from calendar_sync.sync.pushed import watched

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Coverage:
    """The accounts of one platform, in numbers; all of them while push is on.

    Attributes:
        platform: whose.
        eligible: accounts that are synced.
        registered: those with open channels for each of their calendars.
        verified: those of them through which something has come.
        healthy: those of them that need fewer polls: delivered within a day, end not near, and
            not too much missed.
        missed: changes that polls found and no notice had told, on the channels open now.
        refused: how many channels were refused, by code.
        blocked: the code of what keeps all channels from being opened; empty for nothing.
        median_seconds: from a change to its notice, of the last 24 hours; None without any.
        p95_seconds: likewise, of the slowest twentieth.
    """

    platform: str
    eligible: int = 0
    registered: int = 0
    verified: int = 0
    healthy: int = 0
    missed: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    blocked: str = ""
    median_seconds: float | None = None
    p95_seconds: float | None = None


def coverage(
    store: Store,
    settings: Settings,
    platform: Platform,
    synced: Mapping[str, MappedUser],
    now: datetime,
) -> Coverage | None:
    """The numbers of a platform whose users with these ids are synced; None while push is off."""
    if not settings.push.on:
        return None
    channels = [each for each in store.push.channels(platform) if each.user_id in synced]
    calendars = {user_id: set(watched(settings, user)) for user_id, user in synced.items()}

    def have(some: list[Channel]) -> int:
        places: dict[str, set[str]] = {}
        for each in some:
            places.setdefault(each.user_id, set()).add(each.calendar)
        return sum(1 for user_id, seen in places.items() if seen >= calendars[user_id])

    open_ones = [each for each in channels if each.state is ChannelState.OPEN]
    delays = store.push.delays(platform, now - DAY)
    blocked = store.runs.facts(platform.value).get(BLOCKED) or {}
    return Coverage(
        platform.value,
        eligible=len(synced),
        registered=have(open_ones),
        verified=have([each for each in open_ones if each.delivered_at is not None]),
        healthy=sum(
            1
            for user_id, each in store.push.standing(platform, now, now).items()
            if user_id in synced and each.healthy >= len(calendars[user_id])
        ),
        missed=sum(each.missed for each in open_ones),
        refused=dict(Counter(each.code for each in channels if each.state is ChannelState.REFUSED)),
        blocked=blocked.get("code", ""),
        median_seconds=_share(delays, 0.5),
        p95_seconds=_share(delays, 0.95),
    )


def in_words(found: Coverage) -> str:
    """One sentence, for people."""
    said = (
        f"{found.registered} of {plural(found.eligible, 'account')} registered, "
        f"{found.verified} verified by a delivery, {found.healthy} healthy; "
        f"{plural(found.missed, 'missed notice')}"
    )
    if found.median_seconds is not None and found.p95_seconds is not None:
        said += f"; delay: median {found.median_seconds:.0f} s, p95 {found.p95_seconds:.0f} s"
    for code, count in sorted(found.refused.items()):
        said += f"; {plural(count, 'channel')} refused [{code}]"
    return said


def _share(values: list[float], share: float) -> float | None:
    """The value below which such a share of the sorted values is."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else None
