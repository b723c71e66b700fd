"""Ask every account that is due for changes: one request each while nothing is new."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from calendar_sync.concurrency import together
from calendar_sync.cycle.scope import NO_CALENDAR, NO_CHANGES, cursor_shape, same_request
from calendar_sync.errors import (
    Busy,
    CursorExpired,
    NotFound,
    RateLimited,
    SyncError,
    TenantMisconfigured,
    TransientError,
    UserUnavailable,
)
from calendar_sync.freshness import poll_interval, unheard
from calendar_sync.http import waiting_at_most
from calendar_sync.model import CalendarEvent, Link, LinkKind, LinkState, MappedUser, Platform
from calendar_sync.services import Services
from calendar_sync.state.config import Revision
from calendar_sync.state.feeds import Cursor
from calendar_sync.state.marks import Pair, UserSync

FAULT_WITHIN = timedelta(minutes=15)
FAULT_SHARE = 0.2
FAULT_OF_AT_LEAST = 10
PROBES = 3
# Where one request asks for many accounts, so many times more are asked at once.
POLLS_CARRIED = 4
POLL_WAITS = 5.0
# An account that does not answer is left alone for a while; when nobody answers, the round ends.
POLL_SECONDS = 20.0
UNANSWERED_PAUSE = 120.0
UNANSWERED_OF_ALL = 16
# Where changes cannot be followed, a cycle reads the whole window so often.
WINDOW_PAUSE = timedelta(minutes=10)


@dataclass
class PollResult:
    """What one round of polls showed. `outdated` were read under other settings.

    `asked` accounts were due, `answered` of them did so, if only with a refusal.
    """

    asked: int = 0
    answered: int = 0
    polled: int = 0
    news: list[Pair] = field(default_factory=list)
    outdated: list[Pair] = field(default_factory=list)
    failed: dict[Pair, str] = field(default_factory=dict)
    tenant_fault: str | None = None


@dataclass
class Poller:
    """One round of polls on one platform."""

    services: Services
    revision: Revision
    platform: Platform
    _cursors: dict[tuple[str, str], Cursor] = field(default_factory=dict)
    _moved: list[tuple[str, str, Cursor]] = field(default_factory=list)
    _postponed: dict[Pair, float] = field(default_factory=dict)
    _outdated: set[Pair] = field(default_factory=set)
    _states: Mapping[Pair, UserSync] = field(default_factory=dict)

    async def poll(
        self, mapped: Iterable[MappedUser], states: Mapping[Pair, UserSync]
    ) -> PollResult:
        """Poll who is due. Marked users are left out: their cycle reads anyway."""
        users, self._states = list(mapped), states
        now, interval = self.services.clock.now(), self.interval(len(users))
        return await self._round([user for user in users if _due(user, states, interval, now)])

    async def probe(
        self, mapped: Iterable[MappedUser], states: Mapping[Pair, UserSync], since: datetime
    ) -> PollResult:
        """During a platform fault: ask some accounts that were healthy before it, in turn."""

        def new_failure(user: MappedUser) -> bool:
            state = states.get((user.user_id, user.platform))
            failed_at = state.poll_failed_at if state is not None else None
            return failed_at is not None and failed_at >= since - FAULT_WITHIN

        everybody = sorted(mapped, key=lambda user: user.user_id)
        users = [user for user in everybody if new_failure(user)] or everybody
        turn = int(self.services.clock.now().timestamp() // 60) * PROBES
        chosen = [users[(turn + step) % len(users)] for step in range(min(PROBES, len(users)))]
        return await self._round(chosen)

    def interval(self, accounts: int) -> timedelta:
        """Time between two polls of an account now."""
        now = self.services.clock.now()
        return poll_interval(self.revision.settings, self.platform, accounts, now)

    async def _round(self, users: list[MappedUser]) -> PollResult:
        result = PollResult(asked=len(users), polled=len(users))
        settings = self.revision.settings
        self._cursors = self.services.store.feeds.cursors(self.platform.value)
        self._moved, self._postponed, self._outdated = [], {}, set()
        gate = asyncio.Event()

        async def one(user: MappedUser) -> None:
            if gate.is_set():
                return
            pair = (user.user_id, user.platform)
            try:
                with waiting_at_most(POLL_WAITS):
                    async with asyncio.timeout(POLL_SECONDS):
                        news = await self._news(user)
                if news:
                    result.news.append(pair)
            except TenantMisconfigured as error:
                result.tenant_fault = error.code
                gate.set()
            except UserUnavailable as error:
                result.failed[pair] = error.code
            except (TransientError, TimeoutError) as error:
                if await self._only_the_list(user, error):
                    result.news.append(pair)
                    return
                # Nothing is known of this account: its cursor stays, and it is asked again later.
                asked = error.retry_after if isinstance(error, RateLimited) else None
                self._postponed[pair] = UNANSWERED_PAUSE if asked is None else asked
                result.polled -= 1
                unanswered.add(pair)
                if len(unanswered) >= UNANSWERED_OF_ALL and not answered:
                    gate.set()
                return
            except SyncError as error:
                result.failed[pair] = error.code
            answered.add(pair)

        unanswered: set[Pair] = set()
        answered: set[Pair] = set()
        carried = min(self.services.platforms[self.platform].asks_together, POLLS_CARRIED)
        await together((one(user) for user in users), settings.limits.polls_at_once * carried)
        result.answered = len(answered)
        self._record(answered - result.failed.keys(), result)
        result.outdated = sorted((self._outdated & answered) - {*result.news, *result.failed})
        return result

    async def _only_the_list(self, user: MappedUser, error: Exception) -> bool:
        """Its list of changes has not answered for a while, and the mailbox does: a cycle reads."""
        state = self._states.get((user.user_id, user.platform))
        limited = isinstance(error, RateLimited) and not isinstance(error, Busy)
        interval = self.interval(len(self._states))
        if limited or state is None or not unheard(state, interval, self.services.clock.now()):
            return False
        try:
            with waiting_at_most(0):
                async with asyncio.timeout(POLL_SECONDS):
                    await self.services.platforms[self.platform].look(user.account)
        except (SyncError, TimeoutError):
            return False
        return True

    async def _news(self, user: MappedUser) -> bool:
        """Anything but our own writes, or no cursor to ask with."""
        platform = self.services.platforms[self.platform]
        shape = cursor_shape(platform.shape, self.revision, user)
        window = self.revision.settings.list_window(self.services.clock.now())
        moved: list[tuple[str, str, Cursor]] = []
        for calendar in self.revision.settings.calendars_of(self.platform).all:
            stored = self._cursors.get((user.user_id, calendar))
            if stored is None or not same_request(stored.shape, shape):
                return True
            if stored.shape != shape:
                self._outdated.add((user.user_id, user.platform))
            if stored.position == NO_CALENDAR:
                continue
            if stored.position == NO_CHANGES:
                read_at = stored.saved_at
                if read_at is None or self.services.clock.now() - read_at >= WINDOW_PAUSE:
                    return True
                continue
            try:
                found = await platform.changes(user.account, calendar, stored.position, window)
            except (CursorExpired, NotFound):
                return True
            if found.events and not self._echoes(user, found.events):
                return True
            if found.cursor != stored.position:
                cursor = Cursor(found.cursor, stored.shape, stored.window_end)
                moved.append((user.user_id, calendar, cursor))
        self._moved += moved
        return False

    def _echoes(self, user: MappedUser, events: Iterable[CalendarEvent]) -> bool:
        """Nothing but traces of our own writes, and tombstones of what never concerned us."""
        mirrors: dict[str, Link] = {}
        sources: set[str] = set()
        for link in self.services.store.links.of(user.user_id, user.platform):
            if link.kind is LinkKind.MIRROR:
                mirrors[link.remote_id] = link
            else:
                sources |= {link.event_id, link.source.id}
        return all(self._echo(event, mirrors.get(event.id), sources) for event in events)

    def _echo(self, event: CalendarEvent, link: Link | None, sources: set[str]) -> bool:
        if link is None:
            known = event.id in sources or event.series_id in sources
            return event.deleted and not known and event.series_id is None
        if event.deleted:
            return link.state in {LinkState.DELETED, LinkState.DISMISSED}
        standing = link.state in {LinkState.LIVE, LinkState.RETIRED}
        same = self.services.identity.event_hash(event) == link.remote_hash
        return standing and (same or link.untouched(event.etag))

    def _record(self, good: set[Pair], result: PollResult) -> None:
        store, now = self.services.store, self.services.clock.now()
        if result.tenant_fault is not None:
            return
        touched = {*good, *result.failed, *self._postponed, *result.news}
        with store.database.write() as connection:
            store.marks.ensure(connection, touched)
            store.marks.lock(connection, touched)
            for pair, seconds in sorted(self._postponed.items()):
                store.marks.postpone(connection, pair, now + timedelta(seconds=seconds))
            store.marks.polled(connection, good, result.failed.items(), now=now)
            store.marks.mark(connection, (*result.news, *result.failed), now)
            for owner, calendar, cursor in self._moved:
                store.feeds.save_cursor(
                    connection, self.platform.value, owner, cursor, now, calendar
                )


def _due(
    user: MappedUser, states: Mapping[Pair, UserSync], interval: timedelta, now: datetime
) -> bool:
    state = states.get((user.user_id, user.platform))
    if state is None:
        return True
    if state.marked or state.waiting(now):
        return False
    if state.last_poll_at is None:
        return True
    # Runs begin a little early or late: nine tenths of the interval count as due.
    return now - state.last_poll_at >= interval * 0.9


def platform_fault(states: Iterable[UserSync], now: datetime) -> str | None:
    """Rule 14: too many accounts that were healthy a quarter of an hour ago fail now."""
    healthy, newly = 0, 0
    for state in states:
        if state.last_poll_at is None:
            continue
        if state.poll_error is None:
            healthy += 1
        elif (
            state.poll_failed_at is not None
            and now - state.poll_failed_at <= FAULT_WITHIN
            and state.last_success_at is not None
        ):
            newly += 1
    candidates = healthy + newly
    if candidates >= FAULT_OF_AT_LEAST and newly > FAULT_SHARE * candidates:
        return "many_accounts_failing"
    return None
