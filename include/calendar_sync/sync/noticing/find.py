"""`find_work`: who has work on one platform, packed into groups for the mapped tasks."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from calendar_sync.core.codes import Code
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Platform
from calendar_sync.state.config import Revision
from calendar_sync.state.marks import UserSync
from calendar_sync.state.runs import WELKIN
from calendar_sync.sync.noticing.look import Look
from calendar_sync.sync.roster import Members
from calendar_sync.sync.services import Services

# A run has its users to itself until their tasks should have begun, which they do in their order;
# then they have their leases. If a task is lost before, the next run has its users after this time.
TAKEN_FOR, TAKEN_FOR_EACH = timedelta(seconds=60), timedelta(seconds=1)


class Looking(Enum):
    """When a run reads the feeds and polls, before it collects those with work."""

    ALWAYS = "always"
    IF_STILL = "noticing stands still"
    NEVER = "never"


#: Tasks of one run that Airflow runs at the same time, by default.
SLOTS = 16
#: Users that one task syncs within its five minutes: four at the same time, a minute each at most.
LARGEST_GROUP = 16
#: Airflow refuses more mapped tasks than 1,024 (`core.max_map_length`).
MOST_TASKS = 1000


@dataclass(frozen=True)
class WorkFound:
    """Groups of Welkin user ids that have work, and how they were found."""

    groups: tuple[tuple[str, ...], ...] = ()
    polled: int = 0
    marked: int = 0
    waiting: int = 0
    fault: Code | None = None


async def find_work(
    services: Services,
    revision: Revision,
    platform: Platform,
    *,
    users: Collection[str] = (),
    full_comparison: bool = False,
    looking: Looking = Looking.ALWAYS,
    take_for: str = "",
    slots: int = SLOTS,
) -> WorkFound:
    """Look for changes as far as asked to, and return those with work.

    Args:
        services: clients and state.
        revision: the settings.
        platform: whose users.
        users: these alone, whatever is known of them.
        full_comparison: have everybody, or `users`, compared fully.
        looking: whether to read the feeds and poll the accounts first.
        take_for: the id of a run: until its tasks have begun, no other run takes its users.
        slots: tasks of one run that run at the same time.

    Raises:
        ConfigurationError: a user named in `users` is not mapped, or the platform has users but
            no connection.
        TenantMisconfigured: no user can be synced; the platform is paused until it answers.
        SyncError: Welkin's feeds cannot be read.
    """
    store, now = services.store, services.clock.now()
    look = Look(services, revision, platform)
    if platform not in services.platforms:
        if platform not in services.unusable and not (users or look.people().known):
            return WorkFound()  # an organisation that does not use it
        raise services.why_not(platform)
    if users:
        named = look.people()
        unknown = set(users) - named.known
        if unknown:
            names = ", ".join(sorted(unknown))
            raise ConfigurationError(detail=f"not mapped on {platform.value}: {names}")
        # Whoever is paused is passed on, so that the run says so, and not marked.
        pairs = [(user, platform) for user in sorted(users) if user not in named.paused]
        look.mark(pairs, full=full_comparison)
        if store.config.welkin_users_seen_at() is None:
            await look.read_feeds()
        found = WorkFound(_pack(sorted(users), revision, slots), marked=len(pairs))
        return _taken(services, platform, found, take_for)
    always = looking is Looking.ALWAYS or full_comparison
    if always or (looking is Looking.IF_STILL and not store.noticing.of(WELKIN).alive(now)):
        await look.read_feeds()
    polled = 0
    people: Members | None = None
    if always or (looking is Looking.IF_STILL and not store.noticing.of(platform).alive(now)):
        before = look.people()
        await look.sweep(before)
        polls = await look.poll(before)
        if polls.fault:
            return WorkFound(fault=polls.fault, polled=polls.polled)
        polled = polls.polled
        people = look.mark_due(full=full_comparison)
        look.reread(people)
    elif fault := store.runs.fault(platform):
        return WorkFound(fault=fault.code)
    found = _collect(look, people, polled, take_for, slots)
    return _taken(services, platform, found, take_for)


def _collect(look: Look, people: Members | None, polled: int, run_id: str, slots: int) -> WorkFound:
    store, platform, now = look.services.store, look.platform, look.services.clock.now()
    with store.database.read():
        served = (people or look.people()).served
        wanted = store.marks.wanted(platform, now)
        ready = store.marks.free(platform, now, run_id) if run_id else wanted
        waiting = store.marks.waiting(platform, now)
    ready = [state for state in ready if state.user_id in served]
    ready.sort(key=lambda state: _age_order(state, now))
    return WorkFound(
        _pack([state.user_id for state in ready], look.revision, slots),
        polled=polled,
        marked=len(ready),
        waiting=waiting,
    )


def _taken(services: Services, platform: Platform, found: WorkFound, run_id: str) -> WorkFound:
    if run_id:
        first = services.clock.now() + TAKEN_FOR
        pairs = {
            (user_id, platform): first + TAKEN_FOR_EACH * number
            for number, group in enumerate(found.groups)
            for user_id in group
        }
        services.store.marks.take(pairs, run_id)
    return found


def _age_order(state: UserSync, now: datetime) -> tuple[datetime, str]:
    """Least fresh first."""
    return state.marked_at or now, state.user_id


def task_count(users: int, most: int, slots: int = SLOTS) -> int:
    """How many mapped tasks so many users get: one each, and no more than `most`.

    If that is 0: a task costs more than the sync of a user in it (docs/benchmarks.md), so no task
    waits for a slot, unless the groups would be too large for one task.
    """
    usual = max(slots, math.ceil(users / LARGEST_GROUP))
    return min(users, most or usual, MOST_TASKS)


def _pack(users: list[str], revision: Revision, slots: int) -> tuple[tuple[str, ...], ...]:
    """Groups of about the same size, the least fresh users first in theirs."""
    tasks = task_count(len(users), revision.settings.limits.max_user_tasks, slots)
    return tuple(tuple(users[first::tasks]) for first in range(tasks))
