"""Noticing all the time: look for changes every few seconds, and ask for a run where there is work.

One `Watch` a platform, wherever it runs. Welkin's feeds serve both platforms: one of the watches
reads them. Each of the steps may be left out or done twice; marks are all that they leave behind.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from calendar_sync.core.errors import SyncError, TenantMisconfigured
from calendar_sync.core.model import Platform
from calendar_sync.state.config import Revision
from calendar_sync.state.noticing import Noticing
from calendar_sync.state.runs import DELETIONS_FROM, SWEEP, WELKIN
from calendar_sync.sync.noticing.look import Look
from calendar_sync.sync.pushed import feeds_read, feeds_wanted
from calendar_sync.sync.roster import members
from calendar_sync.sync.services import Services

logger = logging.getLogger(__name__)

STEP = 1.0
# Who waits for a poll that a notice asked for waits for seconds in all.
TOLD_STEP = 0.5
# Whether the DAG still runs is asked so often.
ROW_EVERY = timedelta(seconds=3)
# Whether the watch is over is asked so often.
END_STEP = 3.0
# The lease lasts three times as long.
HELD_FOR = timedelta(seconds=15)
POLLS_EVERY = timedelta(seconds=5)
DELETIONS_EVERY, COMPARED_EVERY = timedelta(seconds=30), timedelta(minutes=1)
# Rows may show later than their time stamps say: what was read lately is read again so often.
OVERLAP_EVERY = timedelta(minutes=1)
DUE_EVERY = timedelta(seconds=30)
REREADS_EVERY = timedelta(minutes=1)
PROBES_EVERY = timedelta(minutes=1)
# Whether there should be sweeps is asked so often while there are none.
NO_SWEEPS = timedelta(minutes=1)
ALARMS_EVERY = timedelta(minutes=1)
FAILED_FEEDS = timedelta(seconds=30)
# Connections are read again; sooner where one was refused.
LASTS, LASTS_REFUSED = timedelta(minutes=10), timedelta(minutes=1)


@dataclass
class Watch:
    """The steps, each to be called about every second, `told` twice as often.

    `ask` starts a run, unless one that has not begun is there already: then it returns False.
    """

    services: Services
    revision: Revision
    platform: Platform
    owner: str
    ask: Callable[[], bool]
    _held_until: dict[str, datetime] = field(default_factory=dict)
    _next: dict[str, datetime] = field(default_factory=dict)
    _counted: Counter[str] = field(default_factory=Counter)
    _working: set[str] = field(default_factory=set)
    _seen: Noticing = field(default_factory=lambda: Noticing(""))
    _sweeps: bool = True

    def __post_init__(self) -> None:
        """Look with the settings of now; `ended` says when to begin again with others."""
        self._look = Look(self.services, self.revision, self.platform)
        self._ends = self.services.clock.now() + LASTS

    def ended(self) -> bool:
        """Settings or connections may have changed."""
        newest = self.services.store.config.newest_revision()
        return newest != self.revision.id or self.services.clock.now() >= self._ends

    def release(self) -> None:
        """Leave everything to another process."""
        for name in self._held_until:
            self.services.store.noticing.release(name, self.owner)
        self._held_until.clear()

    async def feeds(self) -> None:
        """Read Welkin's feeds when it is time."""
        every = timedelta(seconds=self.revision.settings.notice.welkin_seconds)
        store, now = self.services.store, self.services.clock.now()
        notices = feeds_wanted(store, now) if self.revision.settings.push.on else None
        if notices is not None and now >= self._next.get("failed feeds", now):
            self._next.pop("feeds", None)
        if not self._time_for("feeds", every) or self._resting() or not self._holds(WELKIN):
            return
        swept = store.runs.facts(WELKIN).get(DELETIONS_FROM) == SWEEP
        deletions = self._time_for("deletions", COMPARED_EVERY if swept else DELETIONS_EVERY)
        try:
            with self._at_work(WELKIN):
                overlap = self._time_for("overlap", OVERLAP_EVERY)
                await self._look.read_feeds(deletions=deletions, overlap=overlap)
        except SyncError as error:
            logger.warning("Welkin's changes cannot be read: %s", error.code)
            store.noticing.failed(WELKIN, error.code, self._requests())
            self._put_off("feeds", FAILED_FEEDS)
            self._put_off("failed feeds", FAILED_FEEDS)
            self._end_soon()
        else:
            if notices is not None:
                feeds_read(store, notices, now)
            self._beat(WELKIN)
            await self.runs()

    async def polls(self) -> None:
        """Poll the accounts that are due, and mark what the calendar says is due."""
        if not self._time_for("polls", POLLS_EVERY) or self._resting():
            return
        if not self._holds(self.platform.value):
            return
        if self.platform not in self.services.platforms:
            self._beat(self.platform.value)  # there is nothing to look at
            return
        begun = self.services.clock.monotonic()
        try:
            with self._at_work(self.platform.value):
                result = await self._look.poll()
        except TenantMisconfigured as error:
            # It is stored, and shown; a run will say so.
            logger.warning("%s refuses us: %s", self.platform.value, error.code)
            self._put_off("polls", PROBES_EVERY)
            self._end_soon()
        else:
            if result.fault:
                self._put_off("polls", PROBES_EVERY)
            elif self._time_for("due", DUE_EVERY):
                self._look.mark_due()
            if self._time_for("rereads", REREADS_EVERY):
                self._look.reread()
        # The search for who is due costs more with more users: at most a fifth of the time.
        took = timedelta(seconds=4 * (self.services.clock.monotonic() - begun))
        self._put_off("polls", max(POLLS_EVERY, took), at_least=True)
        self._beat(self.platform.value)
        await self.runs()

    async def sweeps(self) -> None:
        """Ask when everybody is busy, where polls alone would be too slow."""
        if not self._time_for("sweeps", NO_SWEEPS) or self._resting():
            return
        if not self._holds(self.platform.value):
            return
        try:
            pace = await self._look.sweep()
            self._sweeps = pace is not None
            if pace is not None:
                self._put_off("sweeps", pace.sweeps)
        except SyncError as error:
            # A part of it may have told something.
            self._sweeps = True
            logger.warning("%s tells no busy times: %s", self.platform.value, error.code)

    async def told(self) -> None:
        """Poll of whom a sweep or a notice has told: not behind everybody whose poll is due."""
        if not (self._sweeps or self.revision.settings.push.on):
            return
        if self._put_off_still("told") or not self.leads():
            return
        if not (told := self._look.told()):
            return
        try:
            if not await self._look.poll_told(told):
                self._put_off("told", HELD_FOR)
            await self.runs()
        except TenantMisconfigured as error:
            logger.warning("%s refuses us: %s", self.platform.value, error.code)
            self._put_off("told", PROBES_EVERY)

    async def beats(self) -> None:
        """Show that a long look goes on, and keep it."""
        for name in tuple(self._working):
            if self._holds(name):
                self._beat(name)

    async def runs(self) -> None:
        """Ask for a run while somebody has work that no run has taken."""
        store, now = self.services.store, self.services.clock.now()
        if not self.leads() or self._put_off_still("runs"):
            return
        free = {state.user_id for state in store.marks.free(self.platform, now)}
        if not free or not store.noticing.of(self.platform.value).may_ask(now):
            return
        if store.runs.fault(self.platform) is not None:
            return
        people = members(store, self.revision.settings, self.platform, now)
        if not free & people.served:
            self._put_off("runs", HELD_FOR)
        elif self.ask():
            store.noticing.asked(self.platform.value, now)
        else:
            self._put_off("runs", POLLS_EVERY)

    @contextlib.contextmanager
    def _at_work(self, name: str) -> Iterator[None]:
        self._working.add(name)
        try:
            yield
        finally:
            self._working.discard(name)

    def time_for_channels(self) -> bool:
        """Push channels are looked after every few seconds."""
        return self._time_for("channels", POLLS_EVERY)

    def time_for_alarms(self) -> bool:
        """Whoever is late is told of by someone who does not depend on runs."""
        return self._time_for("alarms", ALARMS_EVERY)

    def leads(self) -> bool:
        """This watch has the platform, whose DAG runs."""
        return self.platform.value in self._held_until and not self._resting()

    def _resting(self) -> bool:
        return self._row().rests(self.services.clock.now())

    def _row(self) -> Noticing:
        """The platform's row, as it was seconds ago."""
        if self._time_for("row", ROW_EVERY):
            self._seen = self.services.store.noticing.of(self.platform.value)
        return self._seen

    def _holds(self, name: str) -> bool:
        """This part is ours; asked for again well before the lease ends."""
        now = self.services.clock.now()
        if now < self._held_until.get(name, now):
            return True
        if self.services.store.noticing.take(name, self.owner, now):
            self._held_until[name] = now + HELD_FOR
            return True
        self._held_until.pop(name, None)
        return False

    def _beat(self, name: str) -> None:
        if self._time_for(f"beat {name}", HELD_FOR):
            self.services.store.noticing.beat(name, self.services.clock.now(), self._requests())

    def _requests(self) -> Counter[str]:
        """Requests since the last call."""
        total = Counter(self.services.meter.row)
        since, self._counted = total - self._counted, total
        return since

    def _time_for(self, step: str, every: timedelta) -> bool:
        if self._put_off_still(step):
            return False
        self._next[step] = self.services.clock.now() + every
        return True

    def _put_off_still(self, step: str) -> bool:
        now = self.services.clock.now()
        return now < self._next.get(step, now)

    def _put_off(self, step: str, pause: timedelta, *, at_least: bool = False) -> None:
        until = self.services.clock.now() + pause
        self._next[step] = max(until, self._next.get(step, until)) if at_least else until

    def _end_soon(self) -> None:
        self._ends = min(self._ends, self.services.clock.now() + LASTS_REFUSED)


Step = Callable[[], Coroutine[Any, Any, None]]


async def keep_watch(watch: Watch, stopped: Callable[[], bool], *beside: Step) -> None:
    """Do the steps side by side until `stopped`, or until the watch has ended; then release it.

    `beside`: further steps. Each is repeated a second after it has ended (`told`: half).

    Raises:
        SQLAlchemyError: the state database does not answer.
    """

    async def repeat(step: Step, pause: float = STEP) -> None:
        while not over.is_set():
            await step()
            await watch.services.clock.sleep(pause)

    async def end() -> None:
        until = watch.services.clock.monotonic()
        while not stopped():
            if watch.services.clock.monotonic() >= until:
                if watch.ended():
                    break
                until += END_STEP
            await watch.services.clock.sleep(STEP)
        over.set()

    over = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            steps = [watch.feeds, watch.polls, watch.sweeps, watch.beats, watch.runs, *beside]
            working = [group.create_task(repeat(step)) for step in steps]
            working.append(group.create_task(repeat(watch.told, TOLD_STEP)))
            await end()
            for task in working:
                # What it has not stored it will find again.
                task.cancel()
    finally:
        watch.release()
