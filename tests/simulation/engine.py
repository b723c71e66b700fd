"""A simulation: people, admins, passes, crashes and faults in an order that one seed decides."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import calendar_sync.adapters.google.client
import calendar_sync.adapters.microsoft.client
import calendar_sync.adapters.welkin.client
import calendar_sync.adapters.welkin.feeds
import calendar_sync.planner.blocks
import calendar_sync.planner.mirror_text
import calendar_sync.planner.mirrors
from calendar_sync.core.identity import Identity
from calendar_sync.core.model import Direction, MappedUser, Platform
from calendar_sync.operations import pausing
from calendar_sync.operations.approvals import grant, waiting
from calendar_sync.state import Store
from calendar_sync.state.runs import WELKIN, WINDOW_AT
from calendar_sync.sync.cycle.writes import Writer
from calendar_sync_sandbox import Fault
from tests.harness import HMAC_KEY, Killed, World, fresh
from tests.simulation import admins
from tests.simulation.admins import Admins
from tests.simulation.oracles import Oracles
from tests.simulation.people import (
    DOUBLED,
    ELSEWHERE,
    FURTHER,
    KINDS,
    MEETINGS,
    RULES,
    SELDOM,
    People,
    Seat,
)

GOOGLE = (Platform.GOOGLE,)
MICROSOFT = (Platform.MICROSOFT,)
MIXED = (Platform.GOOGLE, Platform.MICROSOFT)
#: What a poll of one account is in the sandbox's log.
POLLS = {Platform.GOOGLE: "google.events.list", Platform.MICROSOFT: "microsoft.events.delta"}

EDGES = ("9999-12-31T23:59:59", "0001-01-01T00:00:00", "9999-12-31T23:59:59.999-12:00")
#: Where a bug may meet a single row or item.
TRIPS: tuple[tuple[Any, str], ...] = (
    (calendar_sync.adapters.welkin.client, "parse_event"),
    (calendar_sync.adapters.welkin.client, "parse_encounter"),
    (calendar_sync.adapters.welkin.feeds, "parse_event"),
    (calendar_sync.adapters.welkin.feeds, "parse_encounter"),
    (calendar_sync.adapters.google.client, "parse_event"),
    (calendar_sync.adapters.microsoft.client, "parse_event"),
    (calendar_sync.planner.mirrors, "judge"),
    (calendar_sync.planner.blocks, "why_no_block"),
    (calendar_sync.planner.mirror_text, "draft"),
    (Identity, "event_hash"),
    (Writer, "perform"),
)

FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "status", "code": 503},
    {"kind": "status", "code": 500, "committed": True},
    {"kind": "status", "code": 429, "retry_after": 2},
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "timeout_before"},
    {"kind": "timeout_after"},
    {"kind": "truncated_json"},
    {"kind": "html", "code": 502},
    {"kind": "empty_200"},
    {"kind": "token_expired"},
    {"kind": "no_cursor"},
    {"kind": "reordered_page"},
)
#: What Exchange does besides: done all the same, busy after the fact, a cursor that is void.
MICROSOFT_FAULTS: tuple[dict[str, Any], ...] = (
    *FAULTS,
    {"kind": "status", "code": 409, "committed": True, "reason": "ErrorIrresolvableConflict"},
    {"kind": "status", "code": 409, "committed": True, "method": "POST", "path": "/events"},
    {"kind": "status", "code": 503, "committed": True, "method": "POST", "path": "/events"},
    {"kind": "reset_after", "method": "POST", "path": "/events"},
    {"kind": "status", "code": 410, "reason": "SyncStateNotFound"},
    {"kind": "status", "code": 404, "reason": "ErrorItemNotFound", "method": "GET"},
    {"kind": "status", "code": 429, "reason": "ApplicationThrottled"},
)
#: What is to be removed is not found: it is there, or it is not.
DENIALS: tuple[dict[str, Any], ...] = (
    {"kind": "status", "code": 404, "method": "DELETE"},
    {"kind": "status", "code": 404, "method": "DELETE", "times": 3},
    {"kind": "status", "code": 404, "method": "DELETE", "committed": True},
    {"kind": "status", "code": 410, "reason": "deleted", "method": "DELETE", "committed": True},
)


#: What a server does to one item, or to one kind of list, until it heals.
STUBBORN: tuple[dict[str, Any], ...] = (
    {"kind": "status", "code": 403, "path": "/events/{id}$"},
    {"kind": "status", "code": 500, "path": "/events/{id}$"},
    {"kind": "status", "code": 400, "path": "/events/{id}$"},
    {"kind": "status", "code": 403, "path": "/events/{id}/instances$"},
    {"kind": "status", "code": 500, "path": "/instances$"},
    {"kind": "truncated_json", "path": "/instances$"},
    {"kind": "zero_events", "path": "/instances$"},
)
MICROSOFT_STUBBORN = (*STUBBORN, {"kind": "status", "code": 504, "path": "/delta$"})


@dataclass
class Simulation:
    """Run `steps` steps; every quiet period is checked. A failure names seed and step.

    With `administered`, settings and mapping change, too, reads lag, and accounts close for a
    while; `direction` is then only where it begins; with `profiled`, users have profiles, too. With
    `losing`, the state database is lost now
    and then, and a person approves the removal of what nobody can explain any more. With `trips`,
    a bug meets a single row or item now and then, and some items lie at the edge of time. With
    `seldom`, mailboxes are renamed and restored, deletions undone, guests invited, and removals
    denied. With `stubborn`, single items and lists are refused, pass after pass, until the next
    quiet period. With `pausing`, people pause their sync and end that, or it ends by itself. With
    `meetings`, who is on both platforms has some meetings in both calendars. With
    `personal`, rows of the mapping name calendars of their mailboxes; with `doubled`, some meetings
    stand in these as well. With `ruled`, mapping rules
    name groups, whose members change.
    """

    seed: int
    direction: Direction = Direction.BIDIRECTIONAL
    platforms: tuple[Platform, ...] = GOOGLE
    administered: bool = False
    losing: bool = False
    seldom: bool = False
    stubborn: bool = False
    profiled: bool = False
    pausing: bool = False
    meetings: bool = False
    personal: bool = False
    doubled: bool = False
    ruled: bool = False
    crashes: bool = True
    faults: bool = True
    trips: bool = True
    settings: dict[str, Any] = field(default_factory=dict)
    database_url: str = "sqlite:///:memory:"
    step: int = 0
    trace: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 - seeded on purpose
        # Apart, so that older seeds stay what they were.
        self.bugs = random.Random(f"bugs {self.seed}")  # noqa: S311
        # Of its own, so that the other seeds stay what they were.
        self.mood = random.Random(f"stubborn-{self.seed}")  # noqa: S311 - seeded on purpose
        self.rest = random.Random(f"pausing {self.seed}")  # noqa: S311 - likewise
        self.order = random.Random(f"order {self.seed}")  # noqa: S311 - likewise
        #: How often a pass has left a paused user alone.
        self.rested = 0
        self.refused: list[dict[str, Any]] = []
        document = {
            "direction": {platform.value: self.direction.value for platform in self.platforms},
            "time_zone": "US/Eastern",
            "limits": {"welkin_requests_per_second": 50},
            **self.settings,
        }
        self.world = World(settings=document, seed=self.seed, database_url=self.database_url)
        self.world.welkin.rate_limit = None
        self.world.welkin.audit_enabled = self.chance.random() < 0.8
        self.people = People(self.world, self.chance, self.platforms)
        self.rules = RULES if self.platforms == GOOGLE else RULES + FURTHER
        if self.seldom:
            self.rules += SELDOM
        if self.meetings:
            self.rules += MEETINGS
        if self.profiled:
            self.rules += KINDS
        if self.personal:
            self.rules += ELSEWHERE
        if self.doubled:
            self.rules += DOUBLED
        if self.losing or self.seldom:
            # Exchange lists instances without marks: a repeated mirror that no link knows, or not
            # by this id, is taken for somebody's own series (docs/operations.md).
            self.rules = tuple(rule for rule in self.rules if rule[0] != "repeat_mirror")
        if Platform.MICROSOFT in self.platforms:
            self._vary_exchange()
        #: A bug has met an item since the last quiet period: it may be parked for a day.
        self.tripped = False
        self.edges: list[tuple[Seat, str]] = []
        self.oracles = Oracles(self.people, None if self.administered else self.direction)
        self.admins: Admins | None = None
        self.loses_tombstones = False
        if self.administered:
            self.admins = Admins(self.world, self.people, self.chance)
            if self.personal:
                self.admins.add_calendars()
            if self.ruled:
                self.admins.add_groups()
            self.admins.begin()
            self.loses_tombstones = self.chance.random() < 0.2
            for platform in self.platforms:
                self.world.calendars(platform).lose_tombstones = self.loses_tombstones

    def _vary_exchange(self) -> None:
        """What differs between tenants, or is documented nowhere."""
        exchange, chance = self.world.microsoft, self.chance
        # Whether a repeated creation is seen as one: always, where reads may lag, too.
        repeated = ["return", "refuse"] if self.administered else ["return", "refuse", "ignore"]
        exchange.duplicate_transaction = chance.choice(repeated)
        exchange.series_tombstones = chance.choice(["seeded", "master", "all"])
        exchange.retry_after = chance.choice(["present", "absent", "one"])
        exchange.gone_location = chance.choice(["alternate", "with", "without"])
        exchange.replay = chance.random() < 0.2
        exchange.app_limit = chance.choice([None, None, 4])
        if self.personal and exchange.app_limit:
            exchange.app_limit *= 2  # as many calendars, read at once

    async def run(self, steps: int) -> None:
        """Do it all."""
        await self.world.map(self._mapping())
        try:
            while self.step < steps:
                self.step += 1
                await self._step()
            await self.quiet()
            await self._last()
            if self.admins is not None:
                await self._leave()
        except AssertionError as error:
            recent = "\n  ".join(self.trace[-40:])
            raise AssertionError(
                f"seed {self.seed}, step {self.step}, {'+'.join(self.platforms)}, {self.direction}"
                f"{', administered' if self.administered else ''}: {error}\n  {recent}"
            ) from error
        finally:
            self.world.database.close()

    async def _last(self) -> None:
        """What is tried once, at the end."""

    def _mapping(self) -> list[MappedUser]:
        if self.admins is not None:
            return self.admins.rows()
        return [
            MappedUser(user, platform, account)
            for (user, platform), account in self.people.accounts.items()
        ]

    def _note_mirrors(self) -> None:
        """What carries our mark now is ours, also when it has another id later."""
        for (_, platform), account in self.people.accounts.items():
            mirrors = self.world.calendars(platform).mirrors(account)
            self.world.our_mirrors |= {mirror.id for mirror in mirrors}

    async def _step(self) -> None:
        if self.trips and self.bugs.random() < 0.03:
            self._edge()
        if self.seldom:
            self._note_mirrors()
        if self.pausing and self.rest.random() < 0.12:
            self._pause_or_resume()
        if self.admins is not None and self.chance.random() < 0.12:
            await self._administer(self.admins)
            return
        if self.losing and self.chance.random() < 0.03:
            await self._lose_state()
            return
        kind = self.chance.random()
        if kind < 0.72:
            await self._edit()
        elif kind < 0.9:
            await self._sync()
        elif kind < 0.93:
            hours = self.chance.choice([1, 5, 26])
            self._note(f"{hours} hours pass")
            self.world.clock.advance(hours=hours)
        elif kind < 0.95:
            seat = self.people.seat()
            account = self.people.accounts[seat]
            self._note(f"cursors of {account} ({seat[1]}) expire")
            self.world.calendars(seat[1]).expire_sync_tokens(account)
        else:
            await self.quiet()

    def _pause_or_resume(self) -> None:
        """Somebody pauses the sync of a user, or ends that; or it ends by itself."""
        user, now = self.rest.choice(self.people.users), self.world.clock.now()
        store = Store(self.world.database, HMAC_KEY)
        if any(store.pauses.of(user, platform, now) for platform in self.platforms):
            if self.rest.random() < 0.5:
                self._note(f"{user} ends the pause")
                pausing.resume(store, user, "somebody", now)
            return
        if not any(row.enabled for row in store.config.mapping(users=[user])):
            return
        days = self.rest.choice([1, 1, 2, 14])
        self._note(f"{user} pauses for {days} days")
        pausing.pause(store, user, days, "somebody", now)

    def _end_pauses(self) -> None:
        """Half of the time somebody ends them, otherwise they end by themselves."""
        store, now = Store(self.world.database, HMAC_KEY), self.world.clock.now()
        paused = {
            user: pause.until
            for platform in self.platforms
            for user, pause in store.pauses.current(platform, now).items()
        }
        if paused and self.rest.random() < 0.5:
            self._note("the pauses end by themselves")
            self.world.clock.advance((max(paused.values()) - now).total_seconds())
            return
        for user in sorted(paused):
            self._note(f"{user} ends the pause")
            pausing.resume(store, user, "somebody", now)

    def _of_paused(self) -> dict[Seat, Any]:
        """What stands in the calendars of paused users, and their blocks in Welkin.

        Not of those who leave: what they have goes all the same.
        """
        if not self.pausing:
            return {}
        store, now = Store(self.world.database, HMAC_KEY), self.world.clock.now()
        mapped = {(row.user_id, row.platform) for row in self._mapping() if row.enabled}
        return {
            (user, platform): (
                self.world.calendars(platform).mirrors(self.people.accounts[user, platform]),
                [
                    (block.id, block.start, block.end, block.updated, block.title)
                    for block in self.world.welkin.blocks_of(user, "calsync-")
                ],
            )
            for platform in self.platforms
            for user in store.pauses.current(platform, now)
            if (user, platform) in mapped
        }

    async def _edit(self) -> None:
        """Somebody does something in Welkin or in a calendar."""
        names = [name for name, _ in self.rules]
        weights = [weight for _, weight in self.rules]
        name = self.chance.choices(names, weights)[0]
        if name == "delete_encounter" and not self.world.welkin.audit_enabled:
            return  # without the audit nothing in Welkin's API tells of it
        self._note(name)
        getattr(self.people, name)()
        if name == "rename_mailbox":
            await self.world.map(self._mapping())
        self.world.clock.advance(self.chance.choice([0, 1, 20]))

    async def _administer(self, who: Admins) -> None:
        rules = admins.RULES + (admins.PROFILED if self.profiled else ())
        rules += admins.PERSONAL if self.personal else ()
        rules += admins.RULED if self.ruled else ()
        names = [name for name, _ in rules]
        weights = [weight for _, weight in rules]
        name = self.chance.choices(names, weights)[0]
        self._note(name)
        if (done := getattr(who, name)()) is not None:
            await done
        if name in admins.MAPPING:
            await self.world.map(who.rows())
        self.world.clock.advance(self.chance.choice([0, 1, 20]))

    async def _lose_state(self) -> None:
        """Nothing is left but what stands in both systems; the mapping is applied again."""
        self._note("the state database is lost")
        world = self.world
        world.our_mirrors |= self.oracles.mirror_ids()
        world.note_blocks()
        world.database.close()
        world.database = fresh(self.database_url)
        self.oracles = Oracles(self.people, self.oracles.fixed)
        await world.map(self._mapping())

    async def _approve(self) -> None:
        """What nobody can explain any more is removed: that needs a person, and a full read."""
        await self._pass(full=True)
        store, now = Store(self.world.database, HMAC_KEY), self.world.clock.now()
        for entry in waiting(store):
            self._note(f"approved: {entry.words}")
            grant(store, entry.digest, "an admin", now)
        await self._pass()
        self.world.clock.advance(minutes=2)

    async def _sync(self) -> None:
        """One pass, sometimes with a fault, sometimes killed at some request."""
        transport = self.world.transport
        if self.faults and self.chance.random() < 0.5:
            service = self.chance.choice([*self.platforms, "welkin"])
            microsoft = service == Platform.MICROSOFT
            chosen = dict(self.chance.choice(MICROSOFT_FAULTS if microsoft else FAULTS))
            if self.seldom and self.chance.random() < 0.3:
                chosen = dict(self.chance.choice(DENIALS))
            after = self.chance.randint(0, 4 if microsoft else 12)
            self._note(f"fault {chosen} at {service} after {after}")
            self.world.sandbox.faults.add(Fault(service=str(service), after=after, **chosen))
        if self.crashes and self.chance.random() < 0.4:
            transport.kill_at = transport.count + self.chance.randint(1, 25)
            transport.kill_after = self.chance.random() < 0.5
            self._note(f"killed at request {transport.kill_at} after={transport.kill_after}")
        if self.stubborn:
            self._refuse()
        trip = self._trip() if self.trips and self.bugs.random() < 0.25 else nullcontext()
        self._note("pass")
        try:
            with trip:
                await self._pass()
        except Killed:
            self._note("it died")
        except Exception as error:
            if type(error).__module__ != "calendar_sync.core.errors":
                raise
            self._note(f"pass ended with {error}")
        transport.revive()
        self.world.sandbox.faults.clear()
        self.world.clock.advance(self.chance.choice([5, 60, 100]))

    def _edge(self) -> None:
        """Leave for ever, or an event that the calendar shows at a time that nothing can hold."""
        world, now = self.world, self.world.clock.now()
        user, platform = self.bugs.choice(sorted(self.people.accounts))
        self._note(f"something of {user} ({platform}) at the edge of time")
        if self.bugs.random() < 0.5:
            end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
            world.welkin.book_event(user, now, end, "LEAVE", all_day=self.bugs.random() < 0.8)
            return
        account = self.people.accounts[user, platform]
        start = now + timedelta(days=500)
        made = world.calendars(platform).add_event(
            account, start=start, end=start + timedelta(hours=1)
        )
        edge = {"dateTime": self.bugs.choice(EDGES), "timeZone": "Etc/GMT+12"}
        world.sandbox.faults.disguises.put(made["id"], start=edge, end=edge)
        self.edges.append(((user, platform), made["id"]))

    def _uncover(self) -> None:
        """What lay at the edge of time is deleted, unless its owner has done so."""
        for seat, event_id in self.edges:
            calendars, account = self.world.calendars(seat[1]), self.people.accounts[seat]
            self.world.sandbox.faults.disguises.drop(event_id)
            if any(seen.id == event_id for seen in calendars.own(account)):
                calendars.delete_event(account, event_id)
        self.edges.clear()

    @contextmanager
    def _trip(self) -> Iterator[None]:
        """A bug: some function fails for one row or item in a way that nobody foresaw (I22)."""
        owner, name = self.bugs.choice(TRIPS)
        left = self.bugs.randint(0, 12)
        self._note(f"{name} trips after {left}")
        self.tripped = True
        inner = getattr(owner, name)

        def tripping(*args: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left == -1:
                raise ZeroDivisionError
            return inner(*args, **more)

        setattr(owner, name, tripping)
        try:
            yield
        finally:
            setattr(owner, name, inner)

    def _refuse(self) -> None:
        """What is refused stays so; now and then one thing more, or something in one pass alone."""
        if self.mood.random() < 0.4:
            service = self.mood.choice(list(self.platforms))
            kinds = MICROSOFT_STUBBORN if service is Platform.MICROSOFT else STUBBORN
            chosen = dict(self.mood.choice(kinds))
            calendars = self.world.calendars(service)
            seats = sorted(seat for seat in self.people.accounts if seat[1] is service)
            own = calendars.own(self.people.accounts[self.mood.choice(seats)])
            if "{id}" in chosen["path"]:
                event = self.mood.choice(own).id if own else "nothing"
                chosen["path"] = chosen["path"].format(id=event)
            chosen |= {"service": str(service), "method": "GET", "times": None}
            if self.mood.random() < 0.4:
                self._note(f"refused once: {chosen}")
                self.world.sandbox.faults.add(Fault(**{**chosen, "times": 1}))
            else:
                self._note(f"refused from now on: {chosen}")
                self.refused.append(chosen)
        for each in self.refused:
            self.world.sandbox.faults.add(Fault(**each))

    async def _pass(self, **options: Any) -> None:
        # What comes out of the bin of an account that has been cleared, nobody can know.
        here = {(row.user_id, row.platform) for row in self._mapping() if row.enabled}
        self.people.binned = [one for one in self.people.binned if one[0] in here]
        before = self._of_paused()
        try:
            backwards = self.meetings and self.order.random() < 0.5
            for platform in self.platforms[:: -1 if backwards else 1]:
                result = await self.world.sync(platform, **options)
                bugs = [
                    outcome.detail
                    for outcome in result.failed
                    if outcome.code == "unexpected"
                    # What trips may be all that a user has.
                    and not (self.trips and outcome.detail == "all 1 write rejected")
                ]
                assert not bugs, f"a bug: {bugs}"
        finally:
            self._stayed(before)

    def _stayed(self, before: dict[Seat, Any]) -> None:
        """I23: nothing was written for a paused user, except to show less than before."""
        if self.admins is not None:
            return  # levels and mailboxes change: what that means is checked in quiet periods
        after = self._of_paused()
        for seat in before.keys() & after.keys():
            assert after[seat] == before[seat], f"I23: something was written for {seat}"
            self.rested += 1

    async def quiet(self) -> None:
        """Nobody edits, nothing fails: both sides must come together, and then stay still."""
        full = self._heal()
        if full:
            # Deletions are found by sweeping a tenth of the users a pass; far ones daily.
            await self._pass(full=True)
        for _ in range(3):
            await self._pass()
            self.world.clock.advance(minutes=2)
        if self.losing:
            await self._approve()
        await self._stays_still()
        await self._costs_little()

    def _heal(self) -> bool:
        """Whatever was wrong ends. True if all must be read: no list tells of some changes."""
        self._note("quiet")
        world = self.world
        self.people.undone = False
        self._uncover()
        full = not world.welkin.audit_enabled or self.loses_tombstones or self.tripped
        # No list of changes tells of what a server shows otherwise without a new version.
        full, self.people.shifted = full or self.people.shifted, False
        self.tripped = False
        if self.admins is not None:
            # What an account kept while it was closed is taken away in its next comparison.
            full = full or bool(self.admins.revoked)
            self.admins.reopen()
            self.admins.lagging(0.0)
        self.refused.clear()
        if self.pausing:
            self._end_pauses()
        # Leases lapse, the longest pause ends: a day for what was refused by its own name.
        world.clock.advance(hours=25 if self.stubborn else 7)
        return full

    async def _stays_still(self) -> None:
        """Nothing more is written, and everything is as it should be."""
        world = self.world
        before = len(world.sandbox.requests)
        await self._pass()
        late = [f"{e.kind} {e.path[-40:]} {e.status}" for e in world.writes(before)]
        assert not late, f"I1: still writing in a quiet period: {late}"
        world.note_blocks()
        self.oracles.check()
        self._audit()

    async def _costs_little(self) -> None:
        """One poll of each account, and nothing of Welkin."""
        world = self.world
        world.clock.advance(minutes=10)
        before = len(world.sandbox.requests)
        if self._comparison_due():
            return
        learnt = self._window_learnt_at()
        await self._pass()
        if learnt != self._window_learnt_at():
            return  # today's look at how much may be asked at once
        reads = [e.kind for e in world.sandbox.requests.since(before)]
        if world.welkin.audit_enabled:
            polled: Counter[str] = Counter()
            for row in self.oracles.mapping.values():
                polled[POLLS[row.platform]] += len(self.oracles.calendars_of(row).all)
            found = Counter(kind for kind in reads if kind in POLLS.values())
            assert found == polled, f"I3: {reads}"
            assert "welkin.events.list" not in reads, f"I3: {reads}"
        assert reads.count("welkin.events.get") == 0, f"I17: {reads}"

    def _window_learnt_at(self) -> object:
        return Store(self.world.database, HMAC_KEY).runs.facts(WELKIN).get(WINDOW_AT)

    async def _leave(self) -> None:
        """I11: when nobody is mapped any more, nothing of ours is left and nothing else changed."""
        self._note("nobody is mapped any more")
        self._note_mirrors()
        foreign = self._foreign()
        await self.world.map([])
        for _ in range(3):
            await self._pass()
            self.world.clock.advance(minutes=2)
        self.oracles.check()
        assert self._foreign() == foreign, "I11: a foreign event was changed by un-syncing"

    def _foreign(self) -> dict[str, Any]:
        return {
            f"{platform} {account}": self.world.calendars(platform).own(account)
            for platform in self.platforms
            for account in self.world.calendars(platform).accounts
        }

    def _comparison_due(self) -> bool:
        """Somebody's daily comparison, or a parked item, is due: more than a poll is right then."""
        store = Store(self.world.database, HMAC_KEY)
        now = self.world.clock.now()
        if any(store.items.due_again(platform, now) for platform in self.platforms):
            return True
        states = [s for platform in self.platforms for s in store.marks.all(platform).values()]
        return any(state.next_full_at is None or state.next_full_at <= now for state in states)

    def _audit(self) -> None:
        store = Store(self.world.database, HMAC_KEY)
        store.audit.seal("simulation", self.world.clock.now())
        assert store.audit.verify() == [], "I16: the record is damaged"

    def _note(self, text: str) -> None:
        self.trace.append(f"{self.step} {self.world.clock.now():%m-%dT%H:%M:%S} {text}")
