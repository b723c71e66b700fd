"""Stories in which noticing goes on all the time, and runs only sync whoever it has marked.

Watches die and others take over, events get lost, runs overlap, sweeps lie: see `airflow` and
`processes`. All of it is drawn from a generator of its own.
"""

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from calendar_sync.core.errors import SyncError
from calendar_sync.core.model import Platform
from calendar_sync.state import Store
from calendar_sync.sync.freshness import poll_interval
from calendar_sync.sync.noticing.watch import Watch
from calendar_sync_sandbox import Fault
from tests.harness import HMAC_KEY, Killed
from tests.simulation.airflow import SAFETY, Airflow
from tests.simulation.engine import FAULTS, MICROSOFT_FAULTS, POLLS, Simulation
from tests.simulation.processes import Crowd

STEPS = ("feeds", "polls", "sweeps", "changed", "runs")
#: A trigger that has ended with an error begins again so much later.
AGAIN = timedelta(seconds=15)
LIES = timedelta(seconds=60)


class Triggerer:
    """A process with the watch of one platform, as `orchestration.watching` keeps it."""

    def __init__(self, story: "Noticed", platform: Platform, name: str) -> None:
        self.story, self.platform, self.name = story, platform, name
        self.process = story.crowd.start()
        self._open = AsyncExitStack()
        self._watch: Watch | None = None
        self._steps: dict[str, asyncio.Task[None]] = {}
        self._begins = story.world.clock.now()

    async def tick(self) -> None:
        """Each step that is not still under way."""
        if self.process.dead:
            return
        if self._watch is None:
            if self.story.world.clock.now() >= self._begins:
                await self._begin()
            return
        if not self._steps and self._watch.ended():
            self._watch.release()
            await self._end()
            return
        if self._watch.ended():
            return
        for step in STEPS:
            if step not in self._steps:
                self._steps[step] = self.story.crowd.work(self._step(self._watch, step))

    async def _begin(self) -> None:
        services, revision = await self._open.enter_async_context(self.process.services())
        self._watch = Watch(
            services, revision, self.platform, self.name, lambda: self.story.ask(self.platform)
        )

    async def _end(self) -> None:
        self._watch = None
        await self._open.aclose()

    async def _step(self, watch: Watch, step: str) -> None:
        try:
            await getattr(watch, step)()
        except Killed:
            self.kill()
        except SyncError as error:
            self.story.note(f"noticing of {self.platform} begins again: {error}")
            self._begins = self.story.world.clock.now() + AGAIN
            watch._ends = self.story.world.clock.now()
        finally:
            self._steps.pop(step, None)

    def kill(self) -> None:
        """Nothing is released."""
        if not self.process.dead or self.process in self.story.crowd.alive:
            self.story.note(f"the triggerer {self.name} is killed")
        self.story.crowd.end(self.process)

    async def close(self) -> None:
        self.story.crowd.end(self.process)
        await self._open.aclose()


@dataclass
class Noticed(Simulation):
    """With `sweeps`, Google's accounts are swept. See `Simulation` for the rest."""

    sweeps: bool = False

    def __post_init__(self) -> None:
        self.trips = False
        self.settings = {**self.settings, "notice": {"welkin_seconds": 20}}
        if self.sweeps:
            self.settings["polling"] = {"sweep": "on"}
        super().__post_init__()
        self.fate = random.Random(f"noticed {self.seed}")  # noqa: S311 - seeded on purpose
        self.crowd = Crowd(self.world, self.fate)
        self.airflow = Airflow(self.crowd, self.platforms, self.note)
        self.triggerers: list[Triggerer] = []
        self.named = 0

    async def run(self, steps: int) -> None:
        try:
            await super().run(steps)
        finally:
            for one in self.triggerers:
                await one.close()

    def note(self, text: str) -> None:
        self._note(text)

    def ask(self, platform: Platform) -> bool:
        return self.airflow.ask(platform)

    # --- time passes --------------------------------------------------------------------------

    async def _tick(self, seconds: float, turns: int) -> None:
        self.crowd.pass_time(seconds)
        self.airflow.tick()
        for one in self.triggerers:
            await one.tick()
        await self.crowd.go_on(turns)

    async def _goes_on(self, seconds: float, every: float = 20.0) -> None:
        """Calm time: nobody dies, and whoever has something to do does it at once."""
        until = self.world.clock.now() + timedelta(seconds=seconds)
        while self.world.clock.now() < until:
            await self._tick(every, 1)
            for _ in range(40):
                self.airflow.tick()
                if not self.crowd.busy:
                    break
                await self.crowd.go_on(1)

    async def _triggerers_wanted(self, count: int) -> None:
        for one in self.triggerers:
            if one.process.dead:
                await one.close()
        self.triggerers = [one for one in self.triggerers if not one.process.dead]
        for platform in self.platforms:
            there = sum(one.platform is platform for one in self.triggerers)
            for _ in range(count - there):
                self.named += 1
                made = Triggerer(self, platform, f"{platform}-{self.named}")
                self.triggerers.append(made)

    # --- what happens -------------------------------------------------------------------------

    async def _step(self) -> None:
        if self.admins is not None and self.chance.random() < 0.12:
            await self._administer(self.admins)
            async with self.world.services():
                pass  # the settings are stored
            await self.crowd.go_on(1)
            return
        kind = self.fate.random()
        if kind < 0.6:
            before = self.world.clock.monotonic()
            await self._edit()
            # Whoever lives has renewed its leases in these seconds.
            self.world.clock.advance(-(self.world.clock.monotonic() - before))
            await self._tick(self.fate.choice([0, 1, 20]), self.fate.randint(0, 3))
        elif kind < 0.94:
            await self._sync()
        elif kind < 0.96:
            await self._hours_pass()
        else:
            await self.quiet()

    async def _hours_pass(self) -> None:
        hours = self.fate.choice([1, 5, 26])
        self._note(f"{hours} hours pass")
        await self._drain()
        self.world.clock.advance(hours=hours)

    async def _sync(self) -> None:
        """A stretch of time in which something goes wrong."""
        fate = self.fate
        what = fate.choice(
            ["well", "well", "fault", "kill", "kill", "stop", "lie", "hide", "down", "expire"]
        )
        self._note(f"a while: {what}")
        await self._triggerers_wanted(fate.choice([0, 1, 1, 1, 2]))
        freebusy = self.world.google.freebusy
        if what == "fault" and self.faults:
            service = fate.choice([*self.platforms, "welkin"])
            kinds = MICROSOFT_FAULTS if service == Platform.MICROSOFT else FAULTS
            chosen = dict(fate.choice(kinds))
            self._note(f"fault {chosen} at {service}")
            fault = Fault(service=str(service), after=fate.randint(0, 12), **chosen)
            self.world.sandbox.faults.add(fault)
        elif what == "kill" and self.crashes and self.crowd.alive:
            fate.choice(self.crowd.alive).doom = fate.randint(0, 20)
        elif what == "stop":
            for one in self.triggerers:
                one.kill()
        elif what == "lie":
            freebusy.lag_seconds = LIES.total_seconds()
        elif what == "hide":
            freebusy.hidden ^= {fate.choice(sorted(self.people.accounts.values()))}
        elif what == "down":
            self.airflow.down_until = self.world.clock.now() + timedelta(seconds=fate.choice([60, 900]))
        elif what == "expire":
            seat = fate.choice(sorted(self.people.accounts))
            self.world.calendars(seat[1]).expire_sync_tokens(self.people.accounts[seat])
        for _ in range(fate.choice([5, 15, 40])):
            await self._tick(fate.choice([1, 1, 2, 7]), fate.randint(1, 8))
        freebusy.lag_seconds = 0.0
        if fate.random() < 0.5:
            self.crowd.thaw()
        self.world.sandbox.faults.clear()

    async def _drain(self) -> None:
        """Whoever has begun comes to an end, or is killed."""
        if self.fate.random() < 0.3:
            for process in list(self.crowd.alive):
                self.crowd.end(process)
        self.crowd.thaw()
        self.crowd.hurried = self.airflow.kind = True
        for _ in range(200):
            await self._tick(5, 3)
            if self.airflow.idle:
                break
        self.crowd.hurried = self.airflow.kind = False

    # --- quiet --------------------------------------------------------------------------------

    async def quiet(self) -> None:
        """As ever; and what nobody tells of is found all the same."""
        self.world.sandbox.faults.clear()
        self.world.google.freebusy.hidden.clear()
        self.airflow.down_until = self.world.clock.now()
        await self._drain()
        full = self._heal()
        self.crowd.hurried = self.airflow.kind = True
        mode = self.fate.choice(["well", "well", "two", "swallows", "dead"])
        self._note(f"from now on: {mode}")
        if mode == "dead":
            for one in self.triggerers:
                one.kill()
        await self._triggerers_wanted({"dead": 0, "two": 2}.get(mode, 1))
        self.airflow.swallows = mode == "swallows"
        await self._goes_on(60)
        if full:
            for platform in self.platforms:
                self.airflow.by_hand(platform)
        # A safety run does one round each five minutes, where nothing else starts runs.
        slow = mode in {"dead", "swallows"}
        await self._goes_on(1500 if slow else 480, 60 if slow else 20)
        await self._stays_still()
        if mode == "well":
            await self._costs_little()
        await self._is_found()
        self.crowd.hurried = self.airflow.kind = self.airflow.swallows = False

    async def _pass(self, **options: Any) -> None:
        await self._goes_on(SAFETY.total_seconds() + 60, 30)

    async def _leave(self) -> None:
        self.crowd.hurried = self.airflow.kind = True
        await self._triggerers_wanted(1)
        await super()._leave()

    async def _costs_little(self) -> None:
        """I3, I17: some minutes cost a poll of each account a minute, and no run."""
        store, learnt = Store(self.world.database, HMAC_KEY), self._window_learnt_at()
        before, asked = len(self.world.sandbox.requests), self.airflow.done["asked"]
        minutes = 5
        await self._goes_on(60 * minutes)
        if self._comparison_due() or learnt != self._window_learnt_at():
            return
        if any(s.compared_at and self.world.clock.now() - s.compared_at < timedelta(minutes=minutes)
               for s in store.marks.all().values()):
            return
        sent = self.world.sandbox.requests.since(before)
        found = Counter(entry.kind for entry in sent)
        for (_, platform), account in self.people.accounts.items():
            polls = sum(e.kind == POLLS[platform] and e.user == account for e in sent)
            assert polls <= minutes + 1, f"I17: {polls} polls of {account} in {minutes} minutes"
        if self.world.welkin.audit_enabled:
            assert "welkin.events.list" not in found, f"I3: {found}"
            assert self.airflow.done["asked"] == asked, f"I3: a run for nothing: {found}"
        assert not found["welkin.events.get"], f"I17: {found}"

    async def _is_found(self) -> None:
        """I20: with every event lost, a change is found by polls, and collected by a safety run."""
        self.airflow.swallows = True
        self._note("I20: an event and a visit, and nobody tells")
        self.people.make_event()
        self.people.book_appointment()
        settings = Store(self.world.database, HMAC_KEY).config.revision().settings
        now, accounts = self.world.clock.now(), len(self.people.accounts)
        polls = max(poll_interval(settings, of, accounts, now) for of in self.platforms)
        within = polls * (2 if self.sweeps else 1) + SAFETY + timedelta(seconds=30)
        await self._goes_on(within.total_seconds())
        self.world.note_blocks()
        self.oracles.check()
