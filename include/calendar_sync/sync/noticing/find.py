"""`find_work`: who has work on one platform, packed into groups for the mapped tasks."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from calendar_sync.adapters.http import waiting_at_most
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.state.config import Revision
from calendar_sync.state.marks import DAILY, Pair, UserSync
from calendar_sync.state.runs import LOOKED_AT
from calendar_sync.sync.noticing.breaker import begins, closes, platform_fault, to_ask
from calendar_sync.sync.noticing.feeds import WelkinFeeds
from calendar_sync.sync.noticing.polls import Poller, PollResult
from calendar_sync.sync.roster import LEAVING, Members, former_account, members
from calendar_sync.sync.services import Services

FEED_WAITS = 20.0
REREADS_AT_LEAST = 10


@dataclass(frozen=True)
class WorkFound:
    """Groups of Welkin user ids that have work, and how they were found."""

    groups: tuple[tuple[str, ...], ...] = ()
    polled: int = 0
    marked: int = 0
    waiting: int = 0
    fault: str | None = None


async def find_work(
    services: Services,
    revision: Revision,
    platform: Platform,
    *,
    users: Collection[str] = (),
    full_comparison: bool = False,
) -> WorkFound:
    """Read the feeds, poll the accounts, add who is due, and return those with work.

    Raises:
        ConfigurationError: a user named in `users` is not mapped, or the platform has users but
            no connection.
        TenantMisconfigured: no user can be synced; the platform is paused until it answers.
        SyncError: Welkin's feeds cannot be read.
    """
    store, now = services.store, services.clock.now()
    people = members(store, revision.settings, platform, now)
    mapped, departed = people.synced, people.leaving
    if platform not in services.platforms:
        if not (mapped or departed or users):
            return WorkFound()  # an organisation that does not use it
        raise ConfigurationError(detail=f"no connection for {platform.value} is configured")
    if users:
        unknown = set(users) - mapped.keys() - departed
        if unknown:
            names = ", ".join(sorted(unknown))
            raise ConfigurationError(detail=f"not mapped on {platform.value}: {names}")
        pairs = [(user, platform) for user in sorted(users)]
        _mark(services, pairs, full=full_comparison)
        if store.config.welkin_users_seen_at() is None:
            await _read_feeds(services, revision)
        return WorkFound(_pack(sorted(users), revision), marked=len(pairs))
    await _read_feeds(services, revision)
    people = members(store, revision.settings, platform, now)
    mapped, departed = people.synced, people.leaving
    _ask_about_leavers(services, people)
    poller = Poller(services, revision, platform)
    if fault := await _still_faulty(poller, people):
        return WorkFound(fault=fault)
    polls = await poller.poll(mapped.values(), store.marks.all(platform))
    poller.tenant_fault(polls)
    states = [s for s in store.marks.all(platform).values() if s.user_id in mapped]
    if fault := platform_fault(states, now):
        store.runs.set_fault(platform, fault, now)
        return WorkFound(fault=fault, polled=polls.polled)
    _mark_due(services, platform, mapped, departed, full=full_comparison)
    _mark(services, _next_rereads(services, revision, platform, polls.outdated), full=False)
    if _looked_around(polls, states, now):
        store.runs.set_facts(platform.value, **{LOOKED_AT: now.isoformat()})
    return _collect(services, revision, platform, polls, mapped, departed)


def _looked_around(polls: PollResult, states: Collection[UserSync], now: datetime) -> bool:
    """Some account has answered. Where none was due, not all wait because they did not before."""
    if polls.asked:
        return polls.answered > 0
    return not states or not all(state.waiting(now) for state in states)


def _ask_about_leavers(services: Services, people: Members) -> None:
    """So many users left Welkin at the same time that a person must confirm it."""
    store, platform = services.store, people.platform
    asked = any(one.reason == LEAVING and one.platform == platform for one in store.runs.pending())
    if not (people.held or asked):
        return
    counts = {user: len(store.links.standing(user, platform)) for user in people.held}
    store.runs.ask_for(LEAVING, people.digest, counts, platform, services.clock.now())


async def _read_feeds(services: Services, revision: Revision) -> None:
    with waiting_at_most(FEED_WAITS):
        await WelkinFeeds(services, revision.settings).read()


async def _still_faulty(poller: Poller, people: Members) -> str | None:
    """While a fault stands, a few accounts are asked; when most answer, work goes on.

    Without users to sync, those who leave are tested: their mirrors must not stay because of
    what is over.
    """
    services, platform = poller.services, poller.platform
    store, now = services.store, services.clock.now()
    fault = store.runs.fault(platform)
    if fault is None:
        return None
    leavers = not people.synced
    users = list(people.synced.values())
    if leavers:
        users = [
            MappedUser(user_id, platform, account, enabled=False)
            for user_id in sorted(people.leaving)
            if (account := former_account(store, user_id, platform))
        ]
    asked = to_ask(users, store.marks.all(platform), fault.since, now)
    if not closes(asked, await poller.probe(asked, leavers=leavers)):
        return fault.code
    with store.database.write() as connection:
        store.marks.forgive(connection, platform, begins(fault.since))
    store.runs.set_fault(platform, None, now)
    return None


def _mark_due(
    services: Services,
    platform: Platform,
    mapped: Collection[str],
    departed: Collection[str],
    *,
    full: bool,
) -> None:
    """Daily full comparisons, users who are no longer mapped, and everybody when asked to."""
    now = services.clock.now()
    states = services.store.marks.all(platform)
    daily: list[Pair] = []
    due = [
        (user_id, platform)
        for user_id in departed
        if (user_id, platform) not in states or not states[user_id, platform].marked
    ]
    for user_id in mapped:
        state = states.get((user_id, platform))
        comparison = state is None or state.next_full_at is None or state.next_full_at <= now
        if (full or comparison) and not (state is not None and state.marked):
            due.append((user_id, platform))
            if state is not None and state.next_full_at is not None:
                daily.append((user_id, platform))
    # A delta does not tell of parked items again: whoever has one that is due is read in full.
    parked = [
        (user_id, platform)
        for user_id in services.store.items.due_again(platform, now) & set(mapped)
    ]
    with services.store.database.write() as connection:
        services.store.marks.mark(connection, [*due, *parked], now)
        services.store.marks.compare_fully(connection, daily, now, DAILY)
        services.store.marks.compare_fully(connection, parked, now)
        if full:
            everybody = [(user_id, platform) for user_id in mapped]
            services.store.marks.compare_fully(connection, everybody, now)


def rereads_at_once(revision: Revision) -> int:
    """How many users a pass re-reads because the settings have changed.

    Reading a user's whole window costs Welkin a request for every 90 days. Half of what Welkin
    allows in a minute, the time between two runs, is left to the changes of everybody else.
    """
    windows, limits = revision.settings.windows, revision.settings.limits
    reads = 1 + (windows.mirrors_past_days + windows.mirrors_future_days) // 90
    return max(REREADS_AT_LEAST, int(30 * limits.welkin_requests_per_second / reads))


def _next_rereads(
    services: Services, revision: Revision, platform: Platform, outdated: list[Pair]
) -> list[Pair]:
    """Some of those who were read under other settings; all whose mirrors now show too much.

    The others keep their cursor and are polled with it: what changes there is not delayed.
    """
    if not outdated:
        return []
    too_detailed = services.store.links.too_detailed(
        platform, revision.settings.mirror_content.level
    )
    at_once = [pair for pair in outdated if pair[0] in too_detailed]
    others = [pair for pair in outdated if pair[0] not in too_detailed]
    return at_once + others[: rereads_at_once(revision)]


def _mark(services: Services, pairs: list[Pair], *, full: bool) -> None:
    now = services.clock.now()
    with services.store.database.write() as connection:
        services.store.marks.mark(connection, pairs, now)
        if full:
            services.store.marks.compare_fully(connection, pairs, now)


def _collect(
    services: Services,
    revision: Revision,
    platform: Platform,
    polls: PollResult,
    mapped: Collection[str],
    departed: Collection[str],
) -> WorkFound:
    now = services.clock.now()
    states = [
        state
        for state in services.store.marks.all(platform).values()
        if state.marked and (state.user_id in mapped or state.user_id in departed)
    ]
    ready = [state for state in states if not state.waiting(now)]
    ready.sort(key=lambda state: _age_order(state, now))
    return WorkFound(
        _pack([state.user_id for state in ready], revision),
        polled=polls.polled,
        marked=len(ready),
        waiting=len(states) - len(ready),
    )


def _age_order(state: UserSync, now: datetime) -> tuple[datetime, str]:
    """Least fresh first."""
    return state.marked_at or now, state.user_id


def _pack(users: list[str], revision: Revision) -> tuple[tuple[str, ...], ...]:
    """One user a group up to the largest number of tasks, beyond that packed evenly."""
    tasks = min(len(users), revision.settings.limits.max_user_tasks)
    return tuple(tuple(users[first::tasks]) for first in range(tasks))
