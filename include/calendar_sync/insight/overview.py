"""What the first page tells: freshness, users, what was synced, requests, runs, faults."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from calendar_sync.config.settings import Settings
from calendar_sync.core.model import Platform, Step
from calendar_sync.insight.noticing import NoticingState, silent_after, standing_still
from calendar_sync.insight.push import Coverage, coverage
from calendar_sync.insight.status import (
    bulk_skipped_at,
    deletions_told_by,
    looked_at,
    requests_since,
)
from calendar_sync.insight.sweeps import SweepCoverage, sweep_coverage
from calendar_sync.insight.users import NO_USERS, Everybody, ListedUser, PlatformStanding
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.open_items import (
    listed,
    open_conflicts,
    parked,
    unanswered,
    undecided,
)
from calendar_sync.state.runs import PlatformFault, RecordedRun
from calendar_sync.sync.roster import members

DAY = timedelta(hours=24)
RUNS = 10
# So many users who need attention are named.
NAMED = 20
TO_CALENDAR, TO_WELKIN = "to_calendar", "to_welkin"
_STEPS = {
    TO_CALENDAR: (
        Step.CREATE_MIRROR,
        Step.ADOPT_MIRROR,
        Step.UPDATE_MIRROR,
        Step.DELETE_MIRROR,
    ),
    TO_WELKIN: (
        Step.CREATE_BLOCK,
        Step.ADOPT_BLOCK,
        Step.UPDATE_BLOCK,
        Step.DELETE_BLOCK,
        Step.RESCHEDULE,
        Step.CANCEL,
    ),
}
DIRECTION_OF: Mapping[str, str] = {
    step.value: direction for direction, steps in _STEPS.items() for step in steps
}
# Google counts a project's requests by this day.
# https://developers.google.com/workspace/calendar/api/guides/quota
# Requests of the same family that do not count against the calendar.
_APART = (".token", ".discovery", ".directory.users", ".users.list")
_QUOTA_ZONE = ZoneInfo("America/Los_Angeles")


@dataclass(frozen=True)
class Hour:
    """How many events were synced in the hour from `start`, in one direction on one platform."""

    start: datetime
    platform: str
    direction: str
    events: int


@dataclass(frozen=True)
class Requests:
    """Requests to a calendar system since its day began; `quota` is None where there is none."""

    used: int
    throttled: int
    quota: int | None
    since: datetime


@dataclass(frozen=True)
class PlatformOverview:
    """One platform; `silent` when it has not been asked for changes for longer than the target.

    `former` counts users with synced events on a platform without mapped users.
    """

    platform: str
    standing: PlatformStanding
    fault: PlatformFault | None
    looked_at: datetime | None
    silent: bool
    former: int
    requests: Requests
    push: Coverage | None = None
    sweeps: SweepCoverage | None = None


@dataclass(frozen=True)
class Overview:
    """Everything; `platforms` is empty if no user is or was mapped.

    `approvals`, `conflicts`, `undecided` (those of them that need a person) and `parked` count what
    a person may want to look at, as `state.open_items` says; `overlaps` are visits over busy time.
    `attention` are users who keep failing, `more_attention` how many there are beside. `deletions`
    says what tells of those in Welkin, `bulk_skipped_at` when more changes came at one instant than
    can be read one by one.
    """

    platforms: tuple[PlatformOverview, ...]
    target_seconds: int
    hours: tuple[Hour, ...]
    runs: tuple[RecordedRun, ...]
    approvals: int
    conflicts: int
    parked: int
    undecided: int = 0
    attention: tuple[ListedUser, ...] = ()
    more_attention: int = 0
    deletions: str = ""
    bulk_skipped_at: datetime | None = None
    standing_still: tuple[NoticingState, ...] = ()
    overlaps: int = 0

    @property
    def oldest_change(self) -> datetime | None:
        """Since when a change waits, or changes were not checked for; None if all is synced."""
        found = [one.standing.oldest_change for one in self.platforms]
        return min((moment for moment in found if moment is not None), default=None)

    @property
    def synced(self) -> int:
        """Accounts that are kept in step."""
        return sum(one.standing.synced for one in self.platforms)

    @property
    def late(self) -> int:
        """Those of them who are behind for longer than the target."""
        return sum(one.standing.late for one in self.platforms)

    @property
    def events(self) -> int:
        """Events synced in the last 24 hours."""
        return sum(hour.events for hour in self.hours)


def overview(store: Store, settings: Settings, now: datetime, *, working: bool = False) -> Overview:
    """The whole page's data; the last runs, or with `working` the last that did something."""
    everybody = Everybody(store, settings, now)
    platforms = []
    for platform in Platform:
        found = everybody.standing.get(platform, NO_USERS)
        former = 0 if platform in everybody.standing else len(store.links.holders(platform))
        if not (platform in everybody.standing or former):
            continue
        seen = looked_at(store, platform)
        concerned = found.synced or former
        late = seen is None or now - seen > silent_after(store, settings, platform, now)
        silent = bool(concerned) and late
        fault, requests = store.runs.fault(platform), _requests(store, settings, platform, now)
        synced = members(store, settings, platform, now).synced
        platforms.append(
            PlatformOverview(
                platform.value,
                found,
                fault,
                seen,
                silent,
                former,
                requests,
                coverage(store, settings, platform, synced, now),
                sweep_coverage(store, settings, platform, synced.values(), now),
            )
        )
    approval = t.approval
    digests = select(func.count(func.distinct(approval.c.digest)))
    with store.database.read() as connection:
        approvals = connection.scalar(digests.where(unanswered())) or 0
        conflicts, open_ones, overlaps = (
            connection.scalar(select(func.count()).select_from(t.conflict).where(which(now)))
            for which in (open_conflicts, undecided, listed)
        )
        left = connection.scalar(select(func.count()).select_from(t.parked_item).where(*parked()))
    failing = everybody.needing_attention()
    return Overview(
        tuple(platforms),
        settings.freshness.target_seconds,
        hours(store, now),
        tuple(store.runs.recent(None, RUNS, working=working)),
        approvals,
        conflicts or 0,
        left or 0,
        open_ones or 0,
        failing[:NAMED],
        max(0, len(failing) - NAMED),
        deletions_told_by(store),
        bulk_skipped_at(store),
        tuple(standing_still(store, now)),
        overlaps=overlaps or 0,
    )


def hours(store: Store, now: datetime) -> tuple[Hour, ...]:
    """Events synced in the last 24 hours, the current hour the last; only what is not zero."""
    table = t.operation
    first = now.replace(minute=0, second=0, microsecond=0) - DAY + timedelta(hours=1)
    if store.database.is_sqlite:
        name = func.strftime("%Y-%m-%d %H", table.c.at)
    else:
        name = func.to_char(func.timezone("UTC", table.c.at), "YYYY-MM-DD HH24")
    hour = name.label("hour")
    query = (
        select(hour, table.c.platform, table.c.step, func.count())
        .where(table.c.at >= first, table.c.outcome == "ok")
        .group_by(hour, table.c.platform, table.c.step)
    )
    found: dict[tuple[datetime, str, str], int] = {}
    with store.database.read() as connection:
        for text, platform, step, count in connection.execute(query):
            start = datetime.fromisoformat(f"{text}:00:00+00:00")
            if step in DIRECTION_OF:
                key = (start, platform, DIRECTION_OF[step])
                found[key] = found.get(key, 0) + count
    return tuple(Hour(*key, count) for key, count in sorted(found.items()))


def _requests(store: Store, settings: Settings, platform: Platform, now: datetime) -> Requests:
    if platform is Platform.GOOGLE:
        local = now.astimezone(_QUOTA_ZONE)
        since = local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(now.tzinfo)
        quota: int | None = settings.limits.google_requests_per_day
    else:
        since, quota = now.replace(hour=0, minute=0, second=0, microsecond=0), None
    made = requests_since(store, platform, since)
    own = sum(
        count
        for kind, count in made.items()
        if kind.startswith(f"{platform.value}.") and not kind.endswith(_APART)
    )
    return Requests(own, made.get("throttled", 0), quota, since)
