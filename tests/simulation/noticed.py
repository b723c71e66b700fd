"""Stories in which noticing goes on all the time, and runs only sync whoever it has marked.

Watches die and others take over, events get lost, runs overlap, sweeps lie: see `airflow` and
`processes`. All of it is drawn from a generator of its own.
"""

import json
import random
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from uuid import UUID

from calendar_sync.core.errors import SyncError
from calendar_sync.core.model import Platform
from calendar_sync.push import channels as push_channels
from calendar_sync.push.channels import tend_channels
from calendar_sync.push.keys import WELKIN_HEADER, welkin_secret
from calendar_sync.push.receiver import create
from calendar_sync.state import Store
from calendar_sync.state.push import FURTHER_POLLS, RECEIVER, Heard
from calendar_sync.sync.freshness import poll_interval
from calendar_sync.sync.noticing.watch import Step, Watch
from calendar_sync_sandbox import Fault
from calendar_sync_sandbox.courier import into
from calendar_sync_sandbox.outbox import Trouble
from tests.engine.push.conftest import ADDRESS, KEY, google, microsoft
from tests.harness import HMAC_KEY, Killed
from tests.simulation.airflow import SAFETY, Airflow
from tests.simulation.engine import FAULTS, MICROSOFT_FAULTS, POLLS, Simulation
from tests.simulation.processes import Crowd, Process

if TYPE_CHECKING:
    import asyncio

STEPS = ("feeds", "polls", "sweeps", "told", "runs")
#: A trigger that has ended with an error begins again so much later.
AGAIN = timedelta(seconds=15)
LIES = timedelta(seconds=60)
#: Seconds between polls of an account whose notices come.
PUSHED = 120
TOLD_BY = ("google", "microsoft", "welkin")


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
        steps = {step: getattr(self._watch, step) for step in STEPS}
        for name, step in {**steps, "channels": self._channels}.items():
            if name not in self._steps:
                self._steps[name] = self.story.crowd.work(self._step(self._watch, name, step))

    async def _begin(self) -> None:
        services, revision = await self._open.enter_async_context(self.process.services())
        self._watch = Watch(
            services,
            revision,
            self.platform,
            self.name,
            lambda: self.story.airflow.ask(self.platform),
        )

    async def _channels(self) -> None:
        watch = self._watch
        if watch is not None and watch.leads():
            await tend_channels(watch.services, watch.revision, self.platform)

    async def _end(self) -> None:
        self._watch = None
        await self._open.aclose()

    async def _step(self, watch: Watch, name: str, step: Step) -> None:
        try:
            await step()
        except Killed:
            self.kill()
        except SyncError as error:
            self.story.note(f"noticing of {self.platform} begins again: {error}")
            self._begins = self.story.world.clock.now() + AGAIN
            watch._ends = self.story.world.clock.now()
        finally:
            self._steps.pop(name, None)

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
    """With `sweeps`, Google's accounts are swept; with `push`, everybody tells of changes.

    See `Simulation` for the rest.
    """

    sweeps: bool = False
    push: bool = False
    silent: bool = False

    def __post_init__(self) -> None:
        self.trips = False
        self.settings = {**self.settings, "notice": {"welkin_seconds": 5}}
        if self.sweeps:
            self.settings["polling"] = {"sweep": "on"}
        if self.push:
            self.settings["push"] = {"address": ADDRESS, "poll_seconds": PUSHED}
        super().__post_init__()
        self.fate = random.Random(f"noticed {self.seed}")  # noqa: S311 - seeded on purpose
        # What came later draws from here, so that the stories of known seeds stay as they were.
        self.further = random.Random(f"further {self.seed}")  # noqa: S311
        self.crowd = Crowd(self.world, self.fate)
        self.airflow = Airflow(self.crowd, self.platforms, self.note)
        self.triggerers: list[Triggerer] = []
        self.named = 0
        #: How often a mark came while a cycle was under way (`_marked_meanwhile`).
        self.meanwhile = 0
        outbox = self.world.sandbox.outbox
        self.receiver = create(
            self.world.database,
            KEY,
            prefix="/push",
            clock=self.world.clock,
            seconds=self.world.clock.monotonic,
        )
        outbox.post = into(self.receiver)
        if self.push and self.fate.random() < 0.5:
            secret = {WELKIN_HEADER: welkin_secret(KEY)}
            self.world.welkin.automations.make("changes", ADDRESS + "/welkin", headers=secret)

    async def run(self, steps: int) -> None:
        try:
            # Nothing may depend on chance that no seed decides.
            with (
                patch.object(push_channels, "JITTER", 0.0),
                patch.object(push_channels, "uuid", SimpleNamespace(uuid4=self._uuid)),
            ):
                await super().run(steps)
        finally:
            self.receiver.state.receiver.close()
            for one in self.triggerers:
                await one.close()

    def _uuid(self) -> UUID:
        return UUID(int=self.fate.getrandbits(128), version=4)

    def note(self, text: str) -> None:
        self._note(text)

    # --- time passes --------------------------------------------------------------------------

    async def _tick(self, seconds: float, turns: int) -> None:
        self.crowd.pass_time(seconds)
        if self.push and not self.silent:
            now = self.world.clock.now()
            Store(self.world.database, HMAC_KEY).push.hear({RECEIVER: Heard(changes=0)}, now)
        await self.world.sandbox.outbox.deliver()
        self.airflow.tick()
        for one in self.triggerers:
            await one.tick()
        await self.crowd.go_on(turns)

    async def _goes_on(self, seconds: float, every: float = 30.0) -> None:
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
            await self._somebody_edits()
            await self._tick(self.fate.choice([0, 1, 20]), self.fate.randint(0, 2))
        elif kind < 0.94:
            await self._sync()
        elif kind < 0.96:
            await self._hours_pass()
        else:
            await self.quiet()

    async def _somebody_edits(self) -> None:
        before = self.world.clock.monotonic()
        await self._edit()
        # Time passes by ticks alone, in which whoever lives renews its leases.
        self.world.clock.advance(-(self.world.clock.monotonic() - before))

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
            + (["notices", "pester", "channels", "silent"] if self.push else [])
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
            self.airflow.down_until = self.world.clock.now() + timedelta(
                seconds=fate.choice([60, 900])
            )
        elif what == "expire":
            seat = fate.choice(sorted(self.people.accounts))
            self.world.calendars(seat[1]).expire_sync_tokens(self.people.accounts[seat])
        elif what == "notices":
            self._spoil_notices()
        elif what == "channels":
            self._end_channels()
        if self.sweeps and self.further.random() < 0.3:
            self._refuse_sweeps()
        self.silent = what == "silent"
        for _ in range(fate.choice([5, 15, 40])):
            if what == "pester":
                self._pester()
            if fate.random() < 0.3:
                await self._somebody_edits()
            await self._tick(fate.choice([1, 1, 2, 7]), fate.randint(0, 5))
        freebusy.lag_seconds, self.silent = 0.0, False
        if fate.random() < 0.5:
            self.crowd.thaw()
        self.world.sandbox.faults.clear()

    def _refuse_sweeps(self) -> None:
        """Not one account's busy times are withheld, but the whole question is refused."""
        code, reason = self.further.choice(
            [(403, "insufficientPermissions"), (403, "accessNotConfigured"), (400, "invalid")]
        )
        self._note(f"sweeps are refused: {code} {reason}")
        self.world.sandbox.faults.add(
            Fault("google", "status", path="freeBusy", code=code, reason=reason, times=None)
        )

    # --- push ---------------------------------------------------------------------------------

    def _spoil_notices(self) -> None:
        """From now on some are lost, doubled, late or in another order, until all is quiet."""
        for name in TOLD_BY:
            self.world.sandbox.outbox.trouble[name] = Trouble(
                delay_seconds=self.fate.choice([0, 0, 5, 90, 400]),
                lose=self.fate.choice([0, 0, 0.5, 1]),
                double=self.fate.choice([0, 0.5]),
                shuffle=self.fate.random() < 0.5,
            )

    def _end_channels(self) -> None:
        """Channels end before their time, and nobody says so."""
        for (_, platform), account in sorted(self.people.accounts.items()):
            if self.fate.random() < 0.5:
                if platform is Platform.GOOGLE:
                    self.world.google.push.end(account)
                else:
                    self.world.microsoft.subscriptions.changes.end(account)

    def _pester(self) -> None:
        """Notices for everybody, with the right secret and with a wrong one; nothing changed."""
        outbox, store = self.world.sandbox.outbox, Store(self.world.database, HMAC_KEY).push
        for channel in store.channels(Platform.GOOGLE):
            for token in (None, "forged"):
                headers = google(channel, token)
                outbox.add("google", "exists", channel.id, ADDRESS + "/google", headers)
        for channel in store.channels(Platform.MICROSOFT):
            for secret in (None, "forged"):
                body = json.dumps(microsoft(channel, secret=secret)).encode()
                outbox.add(
                    "microsoft", "change", channel.remote_id, ADDRESS + "/microsoft", {}, body
                )
        for secret in (welkin_secret(KEY), "forged"):
            outbox.add("welkin", "change", "changes", ADDRESS + "/welkin", {WELKIN_HEADER: secret})

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
        self.world.sandbox.outbox.trouble.update({name: Trouble() for name in TOLD_BY})
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
        await self._goes_on(1500 if slow else 480, 60 if slow else 30)
        await self._stays_still()
        if mode == "well":
            await self._costs_little()
        await self._is_found()
        self.world.sandbox.outbox.trouble.update({name: Trouble() for name in TOLD_BY})
        self.crowd.hurried = self.airflow.kind = self.airflow.swallows = False

    async def _last(self) -> None:
        await self._marked_meanwhile()

    async def _marked_meanwhile(self) -> None:
        """I18: what is booked while a cycle writes is not lost with the mark of that cycle."""
        self.crowd.hurried = self.airflow.kind = True
        await self._triggerers_wanted(1)
        user, platform = self.further.choice(sorted(self.people.accounts))
        begun = Store(self.world.database, HMAC_KEY).marks.of(user, platform)
        self._note(f"I18: two visits of {user}, the second while the first is written")
        marked: list[bool] = []

        async def book_another(process: Process) -> None:
            self._book(user, 14)
            # Feeds report each change for more than a minute, and mark the user each time.
            await self.crowd.until(process, self.world.clock.now() + timedelta(seconds=110))
            state = Store(self.world.database, HMAC_KEY).marks.of(user, platform)
            marked.append(state.mark_seq > begun.mark_seq + 1)

        self.crowd.before_write = book_another
        self._book(user, 9)
        await self._goes_on(240, 5)
        self.crowd.before_write = None
        self.meanwhile += sum(marked)
        self.world.note_blocks()
        self.oracles.check()
        self.crowd.hurried = self.airflow.kind = False

    def _book(self, user: str, hour: int) -> None:
        day = self.world.clock.now().replace(hour=hour, minute=0, second=0, microsecond=0)
        start = day + timedelta(days=8)
        self.world.welkin.book_event(user, start, start + timedelta(minutes=25))

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
        for _ in range(2 * minutes):
            if self.push:
                self._pester()
            await self._goes_on(30)
        late = [f"{e.kind} {e.path[-40:]}" for e in self.world.writes(before)]
        assert not late, f"I21: {late}"
        if self._comparison_due() or learnt != self._window_learnt_at():
            return
        if any(
            s.compared_at and self.world.clock.now() - s.compared_at < timedelta(minutes=minutes)
            for s in store.marks.all().values()
        ):
            return
        sent = self.world.sandbox.requests.since(before)
        found = Counter(entry.kind for entry in sent)
        for (_, platform), account in self.people.accounts.items():
            polls = [e for e in sent if e.kind == POLLS[platform] and e.user == account]
            moments = [f"{entry.at:%H:%M:%S} {entry.status}" for entry in polls]
            # With push some more, if the sync wrote there before.
            assert len(polls) <= minutes + 1 + FURTHER_POLLS * self.push, (
                f"I17, I21: polls of {account} at {moments}"
            )
        if self.world.welkin.audit_enabled:
            assert "welkin.events.list" not in found, f"I3: {found}"
            assert self.airflow.done["asked"] == asked, f"I3: a run for nothing: {found}"
        assert not found["welkin.events.get"], f"I17: {found}"

    async def _is_found(self) -> None:
        """I20: with every event lost, a change is found by polls, and collected by a safety run."""
        self.airflow.swallows = True
        self._note("I20: an event and a visit, and nobody tells")
        self.world.sandbox.outbox.trouble.update({name: Trouble(lose=1.0) for name in TOLD_BY})
        self.people.make_event()
        self.people.book_appointment()
        settings = Store(self.world.database, HMAC_KEY).config.revision().settings
        now, accounts = self.world.clock.now(), len(self.people.accounts)
        polls = max(poll_interval(settings, of, accounts, now) for of in self.platforms)
        polls = max(polls * (2 if self.sweeps else 1), timedelta(seconds=PUSHED * self.push))
        # Whoever is on both platforms has one cycle at a time: the other is the next run's.
        within = polls + SAFETY * (2 if len(self.platforms) > 1 else 1) + timedelta(seconds=30)
        await self._goes_on(within.total_seconds())
        self.world.note_blocks()
        self.oracles.check()
