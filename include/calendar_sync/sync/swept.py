"""What sweeps mean for polls: who is asked at once, and how often everybody else.

Google's daily quota lets 10,000 accounts be polled every 24 minutes. One request for the busy times
of 50 of them shows whose have changed. What it cannot show (a renamed mirror, a free event that
became a visit's twin) is found by the polls that go on, more rarely.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from calendar_sync.config.settings import Settings
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.state import Store
from calendar_sync.state.sweeps import SweptUser
from calendar_sync.sync.freshness import QUOTA_SHARE, poll_interval, poll_requests

#: Calendars in one request.
AT_ONCE = 50
#: Sweeps use so much of the polls' share of the quota at most; single polls of accounts that are
#: swept use half of it.
SWEEPS_SHARE, SINGLE_SHARE = 1 / 3, 1 / 2
SINGLE_EVERY = timedelta(hours=1)
#: An account that no sweep has seen for so many of them is polled as if there were none.
SEEN_WITHIN = 3
REFUSED, REFUSED_AT = "sweep_refused", "sweep_refused_at"
REFUSED_FOR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Pace:
    """Times between two sweeps, and between two polls of one account that sweeps see, or do not."""

    sweeps: timedelta
    seen: timedelta
    unseen: timedelta


def pace(
    settings: Settings, platform: Platform, calendars: int, unseen: int, now: datetime
) -> Pace | None:
    """How often what is asked; None where sweeps are off, or polls alone are fast enough.

    `calendars` are polled in all, and sweeps do not show `unseen` of them.
    """
    if platform is not Platform.GOOGLE or settings.polling.sweep == "off" or not calendars:
        return None
    wanted = timedelta(seconds=settings.polling.interval_at(now.astimezone(settings.zone())))
    plain = poll_interval(settings, platform, calendars, now)
    if settings.polling.sweep == "auto" and plain <= wanted:
        return None
    budget = settings.limits.google_requests_per_day * QUOTA_SHARE

    def every(requests: float, share: float) -> timedelta:
        return max(wanted, DAY * (requests / max(1.0, share)))

    sweeps = every(-(-calendars // AT_ONCE), budget * SWEEPS_SHARE)
    seen_requests = calendars - unseen
    seen = max(every(seen_requests, budget * SINGLE_SHARE), min(SINGLE_EVERY, 20 * wanted), sweeps)
    left = budget * (1 - SWEEPS_SHARE) - seen_requests * (DAY / seen)
    return Pace(sweeps, seen, max(plain, every(unseen, left)))


@dataclass(frozen=True)
class Swept:
    """What sweeps have seen, at one moment; empty while there are none."""

    pace: Pace | None = None
    settings: Settings = field(default_factory=Settings)
    users: Mapping[str, SweptUser] = field(default_factory=dict)
    now: datetime | None = None

    @classmethod
    def read(
        cls,
        store: Store,
        settings: Settings,
        platform: Platform,
        synced: Collection[MappedUser],
        now: datetime,
    ) -> "Swept":
        """As the state database has it."""
        calendars = poll_requests(settings, synced)
        rough = pace(settings, platform, calendars, 0, now)
        if rough is None or refused(store, platform, now):
            return cls()
        found = cls(rough, settings, store.sweeps.users(), now)
        unseen = poll_requests(settings, (user for user in synced if not found.sees(user)))
        return replace(found, pace=pace(settings, platform, calendars, unseen, now))

    def sees(self, user: MappedUser) -> bool:
        """The last sweeps have shown all of this user's calendars."""
        one = self.users.get(user.user_id)
        if self.pace is None or self.now is None or one is None or one.seen_at is None:
            return False
        fresh = self.now - one.seen_at <= SEEN_WITHIN * self.pace.sweeps
        calendars = self.settings.calendars_for(user).all
        return fresh and one.calendars >= len(calendars) and one.account == user.account

    def interval(self, user: MappedUser, plain: timedelta) -> timedelta:
        """Time between two polls of this account; `plain` where there are no sweeps."""
        if self.pace is None:
            return plain
        return self.pace.seen if self.sees(user) else self.pace.unseen

    def wanted(self, user_id: str) -> bool:
        """Its busy times have changed since its last poll."""
        return (
            self.pace is not None and (one := self.users.get(user_id)) is not None and one.changed
        )


def refused(store: Store, platform: Platform, now: datetime) -> str:
    """The code with which Google has refused sweeps in the last hour, or nothing."""
    facts = store.runs.facts(platform.value)
    at = facts.get(REFUSED_AT)
    if not isinstance(at, str) or now - datetime.fromisoformat(at) >= REFUSED_FOR:
        return ""
    return str(facts.get(REFUSED) or "")
