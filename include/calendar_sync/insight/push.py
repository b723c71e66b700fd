"""How far push reaches: who has a channel, whose notices come, and how fast."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from calendar_sync.core.model import Platform
from calendar_sync.core.model.push import ChannelState
from calendar_sync.push.channels import BLOCKED
from calendar_sync.state import Store
from calendar_sync.state.config import Revision
from calendar_sync.state.push import Channel
from calendar_sync.sync.pushed import healthy, watched
from calendar_sync.sync.roster import members

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


def coverage(store: Store, now: datetime) -> tuple[Coverage, ...]:
    """One entry for each platform with synced accounts; none while push is off."""
    revision = store.config.revision()
    if not revision.settings.push.on:
        return ()
    found = (_of(store, revision, platform, now) for platform in Platform)
    return tuple(each for each in found if each.eligible)


def _of(store: Store, revision: Revision, platform: Platform, now: datetime) -> Coverage:
    settings = revision.settings
    synced = members(store, settings, platform, now).synced
    channels = [each for each in store.push.channels(platform) if each.user_id in synced]
    calendars = set(watched(settings, platform))

    def have(some: list[Channel]) -> int:
        places: dict[str, set[str]] = {}
        for each in some:
            places.setdefault(each.user_id, set()).add(each.calendar)
        return sum(1 for seen in places.values() if seen >= calendars)

    open_ones = [each for each in channels if each.state is ChannelState.OPEN]
    delays = store.push.delays(platform, now - DAY)
    blocked = store.runs.facts(platform.value).get(BLOCKED) or {}
    return Coverage(
        platform.value,
        eligible=len(synced),
        registered=have(open_ones),
        verified=have([each for each in open_ones if each.delivered_at is not None]),
        healthy=have([each for each in open_ones if healthy(each, now)]),
        missed=sum(each.missed for each in open_ones),
        refused=dict(Counter(each.code for each in channels if each.state is ChannelState.REFUSED)),
        blocked=blocked.get("code", ""),
        median_seconds=_share(delays, 0.5),
        p95_seconds=_share(delays, 0.95),
    )


def _share(values: list[float], share: float) -> float | None:
    """The value below which such a share of the sorted values is."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else None
