"""Whom to test with, and when."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from calendar_sync.config.settings import Settings
from calendar_sync.core.codes import SelfTestCode
from calendar_sync.core.errors import BadItem, ConfigurationError
from calendar_sync.core.model import (
    CalendarEvent,
    Direction,
    MappedUser,
    Platform,
    Row,
    Span,
    WelkinEvent,
)
from calendar_sync.planner import block_span, blocks_time
from calendar_sync.state import Store
from calendar_sync.sync.cycle.scope import Scope
from calendar_sync.sync.roster import members, user_named
from calendar_sync.sync.services import Refusals, why_not

LENGTH = timedelta(minutes=15)
APART = timedelta(hours=1)
LONGEST_AHEAD = timedelta(days=21)
SOONEST = timedelta(days=2)
HOURS = range(7, 20)

Busy = tuple[datetime, datetime]


@dataclass(frozen=True)
class Chosen:
    """A mapped user, and why this one."""

    mapped: MappedUser
    why: str


def choose(
    store: Store,
    connected: Collection[Platform],
    user: str | None,
    platform: Platform | None,
    now: datetime,
    unusable: Refusals | None = None,
) -> Chosen:
    """The named user, or a first one who is in step and has both directions.

    Raises:
        ConfigurationError: there is none, or the named one is not mapped and enabled there.
    """
    if platform is not None and platform not in connected:
        raise why_not(platform, unusable or {})
    everybody = store.config.mapping(platform)
    if user is not None:
        # A mailbox names one row; an id, or an address in Welkin, all rows of its user.
        by_mailbox = [row for row in everybody if row.account.lower() == user.strip().lower()]
        user_id = user_named(store, user, platform)
        everybody = by_mailbox or [row for row in everybody if row.user_id == user_id]
    rows = [row for row in everybody if row.platform in connected]
    if everybody and not rows:
        raise why_not(everybody[0].platform, unusable or {})
    settings = store.config.revision().settings
    synced = {each: members(store, settings, each, now).synced for each in connected}
    enabled = [row for row in rows if row.user_id in synced[row.platform]]
    if enabled and not (enabled := [row for row in enabled if _shows_events(settings, row)]):
        raise ConfigurationError(
            detail="only busy times are read here (block_time.source: free_busy): the self-test "
            "needs a user whose events are read"
        )
    if user is not None:
        if not enabled:
            where = f" on {platform.value}" if platform is not None else ""
            out = "disabled in the mapping, inactive in Welkin, or paused"
            what = out if rows else f"not mapped{where}"
            raise ConfigurationError(detail=f"{user} is {what}")
        return Chosen(enabled[0], "named")
    best = min(enabled, key=lambda row: _worse(store, row), default=None)
    if best is None:
        raise ConfigurationError(detail="no users are mapped: calendar-sync config apply FOLDER")
    *_, failing, new = _worse(store, best)
    why = "the first enabled user" + ("" if failing or new else " who is up to date")
    return Chosen(best, why)


def _shows_events(settings: Settings, row: MappedUser) -> bool:
    return settings.of(row.profile).block_time.source == "events"


def _worse(store: Store, row: MappedUser) -> tuple[bool, bool, bool, bool]:
    """Sorts users who can show less behind those who can show more."""
    settings, state = store.config.revision().settings, store.marks.of(row.user_id, row.platform)
    known = store.config.welkin_user(row.user_id)
    direction = settings.of(row.profile).direction_of(row.platform, row.direction)
    return (
        known is not None and not known.active,
        direction is not Direction.BIDIRECTIONAL,
        state.failures > 0,
        state.last_success_at is None,
    )


def free_times(
    scope: Scope, visits: Iterable[WelkinEvent], events: Iterable[Row]
) -> tuple[Span, Span]:
    """A quarter of an hour for the appointment, and a later one for the busy event.

    Raises:
        BadItem: the user has no such time.
    """
    taken = [visit.span.instants(scope.zone) for visit in visits if not visit.cancelled]
    for event in events:
        if isinstance(event, CalendarEvent) and blocks_time(
            event, scope.settings.block_time, scope.zone
        ):
            taken.append(block_span(event, scope.settings.block_time).instants(scope.zone))
    free = (span for span in _candidates(scope) if not _overlaps(span, taken))
    first = next(free, None)
    if first is None:
        raise BadItem(SelfTestCode.NO_FREE_TIME)
    second = next((span for span in free if span[0] >= first[1] + APART), None)
    if second is None:
        raise BadItem(SelfTestCode.NO_FREE_TIME)
    return Span(*first), Span(*second)


def horizon(scope: Scope) -> datetime:
    """How far ahead a test looks: inside both windows."""
    end = min(scope.mirror_window.end, scope.block_window.end) - APART
    return min(scope.now + LONGEST_AHEAD, end)


def _candidates(scope: Scope) -> Iterator[Busy]:
    """Every half hour of the day, some days ahead, in the user's zone."""
    end = horizon(scope)
    soonest = scope.now + min(SOONEST, (end - scope.now) / 2)
    day = soonest.astimezone(scope.zone).date()
    while day <= end.astimezone(scope.zone).date():
        for hour in HOURS:
            for minute in (0, 30):
                local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=scope.zone)
                start = local.astimezone(scope.now.tzinfo)
                if soonest <= start and start + LENGTH <= end:
                    yield start, start + LENGTH
        day += timedelta(days=1)


def _overlaps(span: Busy, taken: list[Busy]) -> bool:
    return any(start < span[1] and end > span[0] for start, end in taken)
