"""Ask every account that is due for changes: one request each while nothing is new."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from calendar_sync.adapters.http import waiting_at_most
from calendar_sync.core.codes import Code
from calendar_sync.core.concurrency import together
from calendar_sync.core.errors import (
    CursorExpired,
    NotFound,
    RateLimited,
    SyncError,
    TenantMisconfigured,
    TransientError,
    UnexpectedError,
    UserUnavailable,
)
from calendar_sync.core.model import (
    CalendarEvent,
    LinkState,
    MappedUser,
    MirrorLink,
    Platform,
    Removed,
    Row,
)
from calendar_sync.core.ports import CalendarSource
from calendar_sync.core.redaction import as_ours
from calendar_sync.state.config import Revision
from calendar_sync.state.feeds import Cursor, Moved
from calendar_sync.state.marks import Pair, UserSync
from calendar_sync.state.sweeps import Key
from calendar_sync.sync.cycle.scope import NO_CALENDAR, NO_CHANGES, cursor_shape, same_request
from calendar_sync.sync.freshness import poll_interval, poll_requests, unheard
from calendar_sync.sync.pushed import Found, Pushed
from calendar_sync.sync.services import Services
from calendar_sync.sync.swept import Swept

logger = logging.getLogger(__name__)

# Where one request asks for many accounts, so many times more are asked at once.
POLLS_CARRIED = 4
POLL_WAITS = 5.0
# An account that does not answer is skipped for a while; if none answers, the round ends.
POLL_SECONDS = 20.0
UNANSWERED_PAUSE = 120.0
UNANSWERED_OF_ALL = 16
# Where changes cannot be followed, a cycle reads the whole window so often.
WINDOW_PAUSE = timedelta(minutes=10)
# What a long round has found is stored so often: nobody waits for the last account of all.
RECORD_SECONDS = 1.0
# Of whom something has told, so many are polled in one round; the rest come in the next.
TOLD_AT_ONCE = 200


@dataclass
class PollResult:
    """What one round of polls showed.

    `asked` accounts were due, `answered` of them did so, if only with a refusal, those `well`
    without one. `fault`: nobody can be synced on the platform.
    """

    asked: int = 0
    answered: int = 0
    polled: int = 0
    news: list[Pair] = field(default_factory=list)
    failed: dict[Pair, str] = field(default_factory=dict)
    well: set[Pair] = field(default_factory=set)
    tenant_fault: Code | None = None
    fault: Code | None = None


@dataclass
class _Found:
    """What a round has found and not stored yet. `postponed`: seconds until the next try."""

    well: list[Pair] = field(default_factory=list)
    failed: dict[Pair, str] = field(default_factory=dict)
    news: list[Pair] = field(default_factory=list)
    postponed: dict[Pair, float] = field(default_factory=dict)
    moved: list[Moved] = field(default_factory=list)
    told: dict[Pair, Found] = field(default_factory=dict)


@dataclass
class Poller:
    """One round of polls on one platform.

    `polling` is shared by rounds side by side: whom one of them asks, the others leave alone.
    """

    services: Services
    revision: Revision
    platform: Platform
    polling: set[Pair] = field(default_factory=set)
    _cursors: dict[tuple[str, str], Cursor] = field(default_factory=dict)
    _zones: dict[str, str | None] = field(default_factory=dict)
    _states: Mapping[Pair, UserSync] = field(default_factory=dict)
    _found: _Found = field(default_factory=_Found)
    _mine: set[Pair] = field(default_factory=set)
    _recorded_at: float = 0.0
    _swept: Swept = field(default_factory=Swept)
    _changes: dict[Key, int] = field(default_factory=dict)
    _calendars: int = 0

    def __post_init__(self) -> None:
        """Whom notices concern."""
        self._pushed = Pushed(self.platform)

    async def poll(
        self,
        mapped: Iterable[MappedUser],
        states: Mapping[Pair, UserSync],
    ) -> PollResult:
        """Poll who is due. Marked users are left out: their cycle reads anyway."""
        users, self._states = list(mapped), states
        now, settings = self.services.clock.now(), self.revision.settings
        self._pushed = Pushed.read(self.services.store, settings, self.platform, now)
        self._swept = Swept.read(self.services.store, settings, self.platform, users, now)
        self._calendars = poll_requests(settings, users)
        profiles = {user.profile for user in users}
        plain = {profile: self.interval(profile) for profile in profiles}
        due = [user for user in users if self._due(user, plain[user.profile], now)]
        return await self._round(due)

    async def poll_told(
        self, told: Iterable[MappedUser], states: Mapping[Pair, UserSync]
    ) -> PollResult:
        """Poll these, of whom a notice or a sweep has told; marked users are left out, too."""
        users, self._states = list(told), states
        now, settings = self.services.clock.now(), self.revision.settings
        free = [user for user in users if self._free(user, now)][:TOLD_AT_ONCE]
        ids = {user.user_id for user in free}
        self._pushed = Pushed.read(self.services.store, settings, self.platform, now, ids)
        return await self._round(free, told=True)

    async def probe(self, users: list[MappedUser], *, leavers: bool = False) -> set[Pair]:
        """During a platform fault: ask these accounts; returns those that answer well.

        Who leaves is expected to be refused: from `leavers` any answer will do.

        Raises:
            TenantMisconfigured: the credentials are refused.
        """
        if not leavers:
            result = await self._round(users)
            self.tenant_fault(result)
            return result.well
        well: set[Pair] = set()
        for user in users:
            try:
                with waiting_at_most(POLL_WAITS):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._reader(user).look(user.account)
            except TenantMisconfigured as error:
                self.tenant_fault(PollResult(tenant_fault=error.code))
            except (TransientError, TimeoutError):
                continue
            except SyncError:
                pass
            well.add((user.user_id, user.platform))
        return well

    def tenant_fault(self, result: PollResult) -> None:
        """Stop the platform where the credentials were refused.

        Raises:
            TenantMisconfigured: they were.
        """
        if result.tenant_fault is not None:
            now = self.services.clock.now()
            self.services.store.runs.set_fault(self.platform, result.tenant_fault, now)
            raise TenantMisconfigured(result.tenant_fault, detail=self.platform.value)

    def interval(self, profile: str) -> timedelta:
        """Time between two polls of an account of a user with this profile now."""
        now, settings = self.services.clock.now(), self.revision.settings.of(profile)
        return poll_interval(settings, self.platform, self._calendars, now)

    async def _round(self, users: list[MappedUser], *, told: bool = False) -> PollResult:
        result = PollResult(asked=len(users), polled=len(users))
        settings = self.revision.settings
        store = self.services.store
        owners = (user.user_id for user in users)
        self._cursors = store.feeds.cursors(self.platform.value, owners)
        self._zones = store.config.zones()
        self._pushed = self._pushed.polling(store, (user.user_id for user in users))
        if told or self._swept.pace is not None:
            self._changes = store.sweeps.counts(user.user_id for user in users)
        self._found = _Found()
        self._recorded_at = self.services.clock.monotonic()
        gate = asyncio.Event()

        async def one(user: MappedUser) -> None:
            pair = (user.user_id, user.platform)
            if gate.is_set() or pair in self.polling:
                return
            self.polling.add(pair)
            self._mine.add(pair)
            try:
                with waiting_at_most(POLL_WAITS):
                    async with asyncio.timeout(POLL_SECONDS):
                        news = await self._news(user)
                if news:
                    self._found.news.append(pair)
                    result.news.append(pair)
            except TenantMisconfigured as error:
                result.tenant_fault = error.code
                gate.set()
                return
            except UserUnavailable as error:
                self._found.failed[pair] = error.code
            except (TransientError, TimeoutError) as error:
                if await self._only_the_list(user, error):
                    self._found.news.append(pair)
                    result.news.append(pair)
                    return
                # Nothing is known of this account: its cursor stays, and it is asked again later.
                asked = error.retry_after if isinstance(error, RateLimited) else None
                self._found.postponed[pair] = UNANSWERED_PAUSE if asked is None else asked
                result.polled -= 1
                unanswered.add(pair)
                if len(unanswered) >= UNANSWERED_OF_ALL and not answered:
                    gate.set()
                return
            except SQLAlchemyError:
                raise
            except Exception as caught:
                ours = as_ours(caught)
                if isinstance(ours, UnexpectedError):
                    logger.warning("poll of %s: %s", user.account, ours.detail)
                self._found.failed[pair] = ours.code
            answered.add(pair)
            if pair in self._found.failed:
                result.failed[pair] = self._found.failed[pair]
            else:
                self._found.well.append(pair)
                result.well.add(pair)
            waited = self.services.clock.monotonic() - self._recorded_at
            if waited >= RECORD_SECONDS and result.tenant_fault is None:
                self._record()

        unanswered: set[Pair] = set()
        answered: set[Pair] = set()
        carried = min(self.services.platforms[self.platform].asks_together, POLLS_CARRIED)
        at_once = settings.limits.poll_concurrency * carried
        try:
            await together((one(user) for user in users), at_once)
            result.answered = len(answered)
            if result.tenant_fault is None:
                self._record()
        finally:
            self.polling -= self._mine
            self._mine.clear()
        return result

    async def _only_the_list(self, user: MappedUser, error: Exception) -> bool:
        """Its list of changes has not answered for a while, and the mailbox does: a cycle reads."""
        state = self._states.get((user.user_id, user.platform))
        limited = isinstance(error, RateLimited) and not error.overloaded
        now = self.services.clock.now()
        interval = self._pushed.interval(user, self.interval(user.profile))
        if limited or state is None or not unheard(state, interval, now):
            return False
        try:
            with waiting_at_most(0):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._reader(user).look(user.account)
        except (SyncError, TimeoutError):
            return False
        return True

    async def _news(self, user: MappedUser) -> bool:
        """Anything but our own writes, or no cursor to ask with."""
        platform, own = self._reader(user), self.revision.of_user(user)
        zone = own.settings.zone(self._zones.get(user.user_id))
        shape = cursor_shape(platform.shape, own, user, zone)
        window = own.settings.list_window(self.services.clock.now())
        moved: list[Moved] = []
        for calendar in self.revision.settings.calendars_for(user).all:
            stored = self._cursors.get((user.user_id, calendar))
            if stored is None or not same_request(stored.shape, shape):
                return True
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
                newest = max(event.version for event in found.events)
                self._found.told[user.user_id, user.platform] = Found(calendar, newest)
                return True
            if found.cursor != stored.position:
                moved.append(Moved(user.user_id, calendar, stored.position, found.cursor))
        self._found.moved += moved
        return False

    def _reader(self, user: MappedUser) -> CalendarSource:
        return self.services.reader(self.revision.settings.of(user.profile), self.platform)

    def _echoes(self, user: MappedUser, events: Iterable[Row]) -> bool:
        """Nothing but traces of our own writes, and tombstones of what never concerned us."""
        mirrors: dict[str, MirrorLink] = {}
        sources: set[str] = set()
        for link in self.services.store.links.of(user.user_id, user.platform):
            if isinstance(link, MirrorLink):
                mirrors[link.mirror_id] = link
            else:
                sources |= {link.event_id, link.source.id}
        return all(self._echo(event, mirrors.get(event.id), sources) for event in events)

    def _echo(self, event: Row, link: MirrorLink | None, sources: set[str]) -> bool:
        if link is None:
            known = event.id in sources or event.series_id in sources
            return isinstance(event, Removed) and not known and event.series_id is None
        if isinstance(event, Removed):
            return link.state in {LinkState.DELETED, LinkState.DISMISSED}
        if not isinstance(event, CalendarEvent):
            return False
        standing = link.state in {LinkState.LIVE, LinkState.RETIRED}
        content = self.services.identity.event_hash(event, located=link.located)
        same = content == link.mirror_hash
        untouched = link.untouched(event.etag) and event.span == link.mirror_span
        return standing and (same or untouched)

    def _record(self) -> None:
        """Store what was found since the last time."""
        store, now, found = self.services.store, self.services.clock.now(), self._found
        self._found, self._recorded_at = _Found(), self.services.clock.monotonic()
        touched = {*found.well, *found.failed, *found.postponed, *found.news}
        if not touched:
            return
        with store.database.write() as connection:
            store.marks.ensure(connection, touched)
            store.marks.lock(connection, touched)
            for pair, seconds in sorted(found.postponed.items()):
                store.marks.postpone(connection, pair, now + timedelta(seconds=seconds))
            store.marks.polled(connection, found.well, found.failed.items(), now=now)
            store.marks.mark(connection, (*found.news, *found.failed), now)
            for moved in found.moved:
                store.feeds.move_cursor(connection, self.platform.value, moved, now)
            answered = {user_id for user_id, _ in (*found.well, *found.news)}
            store.sweeps.polled(
                connection, [one for one in self._changes.items() if one[0][0] in answered]
            )
            self._pushed.record(
                store,
                connection,
                asked=touched,
                answered={*found.well, *found.news},
                found=found.told,
                states=self._states,
                now=now,
            )
        self.polling -= touched
        self._mine -= touched

    def _free(self, user: MappedUser, now: datetime) -> bool:
        state = self._states.get((user.user_id, user.platform))
        return state is None or not (state.marked or state.waiting(now))

    def _due(self, user: MappedUser, plain: timedelta, now: datetime) -> bool:
        if not self._free(user, now):
            return False
        state = self._states.get((user.user_id, user.platform))
        if state is None:
            return True
        if self._swept.wanted(user.user_id) or self._pushed.wanted(user.user_id):
            return True
        # Runs begin a little early or late: nine tenths of the interval count as due.
        interval = self._pushed.interval(user, self._swept.interval(user, plain))
        return state.last_poll_at is None or now - state.last_poll_at >= interval * 0.9
