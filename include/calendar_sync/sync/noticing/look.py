"""One look for changes on one platform: Welkin's feeds, polls, and what the calendar says is due.

What it finds are marks; nothing is synced here.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from calendar_sync.adapters.http import waiting_at_most
from calendar_sync.core.codes import Code
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.state.config import Revision
from calendar_sync.state.marks import DAILY, Pair, UserSync
from calendar_sync.state.runs import LOOKED_AT
from calendar_sync.sync.cycle.scope import cursor_shape
from calendar_sync.sync.noticing.breaker import begins, closes, platform_fault, to_ask
from calendar_sync.sync.noticing.feeds import WelkinFeeds
from calendar_sync.sync.noticing.polls import Poller, PollResult
from calendar_sync.sync.noticing.sweeps import Sweep
from calendar_sync.sync.pauses import any_too_much, checked_for, end_pauses
from calendar_sync.sync.pushed import EVERY
from calendar_sync.sync.roster import LEAVING, Members, former_account, members
from calendar_sync.sync.services import Services
from calendar_sync.sync.swept import Pace, Swept

FEED_WAITS = 20.0
# What lies beyond a sweep's first weeks is asked for so often.
SWEPT, SWEPT_LATER, LATER_EVERY = "swept_at", "swept_later_at", timedelta(minutes=30)
REREADS_AT_LEAST = 10
# When both sides have last been asked is stored so often.
LOOKED_EVERY = timedelta(seconds=15)


@dataclass
class Look:
    """What a run does first, and what noticing does all the time."""

    services: Services
    revision: Revision
    platform: Platform
    _polling: set[Pair] = field(default_factory=set)
    _noted_again: datetime | None = None

    def people(self) -> Members:
        """Who is synced on this platform now; the steps below read it unless it is handed on."""
        services, settings = self.services, self.revision.settings
        return members(services.store, settings, self.platform, services.clock.now())

    async def read_feeds(self, *, deletions: bool = True, overlap: bool = True) -> None:
        """Read what Welkin reports for everybody, and mark users of both platforms.

        Without `deletions` and `overlap` only what is new: rows that show late are not seen.

        Raises:
            SyncError: Welkin does not answer, or not well.
        """
        with waiting_at_most(FEED_WAITS):
            feeds = WelkinFeeds(self.services, self.revision.settings, overlap)
            await feeds.read(deletions=deletions)

    async def sweep(self, people: Members | None = None) -> Pace | None:
        """Ask when everybody is busy, so that who has changed is polled next.

        Returns how often that is to be done, None where there are no sweeps.
        """
        services, settings, platform = self.services, self.revision.settings, self.platform
        store, now = services.store, services.clock.now()
        if platform not in services.free_busy or store.runs.fault(platform) is not None:
            return None
        synced = (people or self.people()).synced.values()
        swept = Swept.read(store, settings, platform, synced, now)
        if swept.pace is None:
            return None
        # Whoever else sweeps, it is not done more often.
        sweep = Sweep(services, self.revision, platform)
        if self._time_for(SWEPT, 0.9 * swept.pace.sweeps):
            await sweep.run(synced)
        if sweep.parts > 1 and self._time_for(SWEPT_LATER, LATER_EVERY):
            for part in range(1, sweep.parts):
                await sweep.run(synced, part)
        return swept.pace

    def _time_for(self, fact: str, every: timedelta) -> bool:
        runs, now = self.services.store.runs, self.services.clock.now()
        last = runs.facts(self.platform.value).get(fact)
        if isinstance(last, str) and timedelta(0) <= now - datetime.fromisoformat(last) < every:
            return False
        runs.set_facts(self.platform.value, **{fact: now.isoformat()})
        return True

    def told(self) -> list[str]:
        """Users of whom a sweep or a notice has told, and whom no poll has answered yet."""
        store, now = self.services.store, self.services.clock.now()
        users = set(store.sweeps.changed()) if self.platform in self.services.free_busy else set()
        if self.revision.settings.push.on:
            users |= set(store.push.told(self.platform, now - EVERY))
        # Whom another round asks just now is nobody's to ask.
        return sorted(users - {user_id for user_id, _ in self._polling})

    async def poll_told(self, user_ids: list[str]) -> int:
        """Poll these alone, of whom something has told; returns how many could be polled now.

        Raises:
            TenantMisconfigured: the credentials are refused; the platform is paused.
        """
        store = self.services.store
        if store.runs.fault(self.platform) is not None:
            return 0
        synced = self.people().synced
        users = [synced[user_id] for user_id in user_ids if user_id in synced]
        poller = Poller(self.services, self.revision, self.platform, self._polling)
        result = await poller.poll_told(users, store.marks.some(self.platform, user_ids))
        poller.tenant_fault(result)
        return result.asked

    async def poll(self, people: Members | None = None) -> PollResult:
        """Poll the accounts that are due, unless a fault of the platform stands and stays.

        Raises:
            TenantMisconfigured: the credentials are refused; the platform is paused.
        """
        store, now = self.services.store, self.services.clock.now()
        people = people or self.people()
        self._ask_about_leavers(people)
        poller = Poller(self.services, self.revision, self.platform, self._polling)
        if fault := await self._still_faulty(poller, people):
            return PollResult(fault=fault)
        states = store.marks.all(self.platform)
        result = await poller.poll(people.synced.values(), states)
        poller.tenant_fault(result)
        if result.asked:
            states = store.marks.all(self.platform)
        synced = [one for one in states.values() if one.user_id in people.synced]
        if fault := platform_fault(synced, now):
            store.runs.set_fault(self.platform, fault, now)
            result.fault = fault
        elif now >= (self._noted_again or now) and _looked_around(result, synced, now):
            store.runs.set_facts(self.platform.value, **{LOOKED_AT: now.isoformat()})
            self._noted_again = now + LOOKED_EVERY
        return result

    def mark(self, pairs: list[Pair], *, full: bool) -> None:
        """Give work to these users."""
        store, now = self.services.store, self.services.clock.now()
        with store.database.write() as connection:
            store.marks.mark(connection, pairs, now)
            if full:
                store.marks.compare_fully(connection, pairs, now)

    def mark_due(self, *, full: bool = False) -> Members:
        """Daily comparisons, users who are no longer mapped, parked items; everybody if `full`.

        Those, too, whose pause is over, or must not wait for its end. Returns whom it looked at.
        """
        store, platform, now = self.services.store, self.platform, self.services.clock.now()
        end_pauses(store, platform, now)
        with store.database.read():
            people = self.people()
            states = store.marks.all(platform)
            parked_users = store.items.due_again(platform, now)
        self._check_paused(people)
        mapped = people.synced
        daily: list[Pair] = []
        due = [
            (user_id, platform)
            for user_id in people.leaving
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
        parked = [(user_id, platform) for user_id in parked_users & set(mapped)]
        everybody = [(user_id, platform) for user_id in mapped] if full else []
        if not (due or parked or everybody):
            return people
        with store.database.write() as connection:
            store.marks.mark(connection, [*due, *parked], now)
            store.marks.compare_fully(connection, daily, now, DAILY)
            store.marks.compare_fully(connection, [*parked, *everybody], now)
        return people

    def _check_paused(self, people: Members) -> None:
        """Mark whoever's calendar shows what it must not, even during a pause."""
        store = self.services.store
        for user_id in sorted(people.unchecked):
            mapped = store.config.mapped(user_id, self.platform)
            if mapped is None or not self.revision.settings.knows(mapped.profile):
                continue
            level, links = self._level(mapped), store.links.of(user_id, self.platform)
            if not any_too_much(links, level, mapped):
                store.pauses.check((user_id, self.platform), checked_for(level, mapped))
            elif not store.marks.of(user_id, self.platform).marked:
                self.mark([(user_id, self.platform)], full=False)

    def reread(self, people: Members | None = None) -> None:
        """Mark some of those who were read under other settings, for one minute.

        All whose mirrors now show too much, and as many others as Welkin's limit leaves room for.
        The rest keep their cursor and are polled with it: what changes there is not delayed. The
        stored cursors tell who it is: nobody waits for the next poll.
        """
        outdated = self._outdated(people or self.people())
        if not outdated:
            return
        links, at_once, others = self.services.store.links, list[Pair](), list[Pair]()
        levels = {user.profile: self._level(user) for user in outdated}
        too_detailed = {
            level: links.too_detailed(self.platform, level) for level in set(levels.values())
        }
        for user in outdated:
            urgent = user.user_id in too_detailed[levels[user.profile]]
            (at_once if urgent else others).append((user.user_id, user.platform))
        self.mark(at_once + others[: rereads_at_once(self.revision)], full=False)

    def _level(self, user: MappedUser) -> str:
        return self.revision.of_user(user).settings.mirror_content.level

    def _outdated(self, people: Members) -> list[MappedUser]:
        """Users whose cursors are of other settings, or of another time zone, in their order."""
        store, now = self.services.store, self.services.clock.now()
        if self.platform not in self.services.platforms:
            return []
        with store.database.read():
            cursors = store.feeds.cursors(self.platform.value)
            states, zones = store.marks.all(self.platform), store.config.zones()
        found = []
        for user_id, user in sorted(people.synced.items()):
            state = states.get((user_id, self.platform))
            if state is not None and (state.marked or state.waiting(now)):
                continue
            own = self.revision.of_user(user)
            zone = own.settings.zone(zones.get(user_id))
            reader = self.services.reader(own.settings, self.platform)
            wanted = cursor_shape(reader.shape, own, user, zone)
            shapes = {
                cursor.shape
                for calendar in self.revision.settings.calendars_for(user).all
                if (cursor := cursors.get((user_id, calendar))) is not None
            }
            if shapes - {wanted}:
                found.append(user)
        return found

    def _ask_about_leavers(self, people: Members) -> None:
        """So many users left Welkin at the same time that a person must confirm it."""
        store, platform = self.services.store, self.platform
        pending = store.runs.pending()
        asked = any(one.reason == LEAVING and one.platform == platform for one in pending)
        if not (people.held or asked):
            return
        counts = {user: len(store.links.standing(user, platform)) for user in people.held}
        store.runs.ask_for(LEAVING, people.digest, counts, platform, self.services.clock.now())

    async def _still_faulty(self, poller: Poller, people: Members) -> Code | None:
        """While a fault stands, a few accounts are asked; when most answer, work goes on.

        Without users to sync, those who leave are tested: their mirrors must not stay because of
        what is over.
        """
        store, platform, now = self.services.store, self.platform, self.services.clock.now()
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


def rereads_at_once(revision: Revision) -> int:
    """How many users are re-read in a minute because the settings have changed.

    Reading a user's whole window costs Welkin a request for every 90 days. Half of what Welkin
    allows in a minute is left to the changes of everybody else.
    """
    windows, limits = revision.settings.windows, revision.settings.limits
    reads = 1 + (windows.mirrors_past_days + windows.mirrors_future_days) // 90
    return max(REREADS_AT_LEAST, int(30 * limits.welkin_requests_per_second / reads))


def _looked_around(polls: PollResult, states: Collection[UserSync], now: datetime) -> bool:
    """Some account has answered. Where none was due, not all wait because they did not before."""
    if polls.asked:
        return polls.answered > 0
    return not states or not all(state.waiting(now) for state in states)
