"""What counts as late: a change that waits, and a calendar that was not read."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from calendar_sync.config.settings import Settings
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.state.marks import UserSync
from calendar_sync.sync.pushed import pushed_interval

#: Polls use so much of Google's daily quota at most.
QUOTA_SHARE = 0.6
#: Beyond the time of a poll: who did not answer is asked again every two minutes.
UNHEARD = timedelta(minutes=4)


@dataclass(frozen=True)
class Deadlines:
    """Instants of one platform, before which something is late.

    `marked` is for the oldest change that waits, `seen` for the last time that an account was in
    step: polls that answered must be at least so recent, or changes there are not known.
    """

    marked: datetime
    seen: datetime


def poll_interval(
    settings: Settings, platform: Platform, calendars: int, moment: datetime
) -> timedelta:
    """Time between two polls: as configured, stretched to keep within a share of the quota.

    `settings` are those of the user to be polled, `calendars` are polled in all. Microsoft has no
    daily quota: its limits are each mailbox's own.
    """
    wanted = settings.polling.interval_at(moment.astimezone(settings.zone()))
    if platform is not Platform.GOOGLE:
        return timedelta(seconds=wanted)
    budget = settings.limits.google_requests_per_day * QUOTA_SHARE
    return timedelta(seconds=max(wanted, 86_400 * calendars / budget))


def poll_requests(settings: Settings, users: Iterable[MappedUser]) -> int:
    """How many requests a poll of each of these users takes in all."""
    return sum(
        len(settings.calendars_for(user).all) * _parts(settings.of(user.profile)) for user in users
    )


def _parts(settings: Settings) -> int:
    """Busy times are asked for in parts of 60 days, from at most a week before."""
    if settings.block_time.source == "events":
        return 1
    return -(-(settings.windows.blocks_future_days + 24) // 60)


def unheard(state: UserSync, interval: timedelta, now: datetime) -> bool:
    """An account has not answered several polls in a row."""
    heard = [moment for moment in (state.last_poll_at, state.last_success_at) if moment is not None]
    return bool(heard) and now - max(heard) >= interval + UNHEARD


def deadlines(settings: Settings, platform: Platform, accounts: int, now: datetime) -> Deadlines:
    """The deadlines of a platform that keeps so many accounts in step, whatever their profiles."""
    marked = now - settings.freshness.target
    calendars = accounts * max(len(one.calendars_of(platform).all) for one in settings.all)

    def interval(moment: datetime) -> timedelta:
        return max(poll_interval(one, platform, calendars, moment) for one in settings.all)

    # Out of hours the polls were further apart than they are now.
    polls = [interval(now), interval(marked - interval(now))]
    # Where notices come, their absence is no reason to worry until the next poll.
    longest = max(*polls, pushed_interval(settings, platform))
    return Deadlines(marked, marked - longest)
