"""Airflow in a story: events that get lost, runs side by side, tasks that are lost or run twice."""

import itertools
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from calendar_sync.core.errors import SyncError
from calendar_sync.core.model import Platform
from calendar_sync.state import Store
from calendar_sync.sync.noticing import Looking, find_work
from calendar_sync.sync.runner import store_run, sync_users
from tests.harness import HMAC_KEY, Killed
from tests.simulation.processes import Crowd

SAFETY, AT_ONCE = timedelta(minutes=5), 3
Work = Callable[[], Coroutine[Any, Any, None]]


@dataclass
class Run:
    """One run of a platform's DAG."""

    id: str
    platform: Platform
    looking: Looking
    started_at: datetime
    full: bool = False
    open: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)


class Airflow:
    """The scheduler and its workers. While `kind`, nothing of it fails.

    `swallows`: no event starts a run.
    """

    def __init__(self, crowd: Crowd, platforms: tuple[Platform, ...], note: Any) -> None:
        self.crowd, self.platforms, self.note = crowd, platforms, note
        self.fate, self.clock = crowd.fate, crowd.world.clock
        self.kind = self.swallows = False
        self.down_until = self.clock.now()
        self.done: Counter[str] = Counter()
        self._queued: list[Run] = []
        self._running: list[Run] = []
        self._later: list[tuple[datetime, int, Work]] = []
        self._numbers = itertools.count(1)
        self._safety = dict.fromkeys(platforms, self.clock.now())

    @property
    def idle(self) -> bool:
        return not (self._queued or self._running or self._later)

    def ask(self, platform: Platform) -> bool:
        """An event of a watch."""
        if any(run.platform is platform for run in self._queued):
            return False
        self.done["asked"] += 1
        chance = self.fate.random()
        if self.swallows or (not self.kind and chance < 0.3):
            return True
        seconds = (
            0.0 if self.kind else 1.0 if chance < 0.6 else self.fate.choice([10.0, 45.0, 120.0])
        )
        for _ in range(2 if not self.kind and chance > 0.8 else 1):
            self.later(seconds, lambda: self._create(platform, Looking.NEVER))
        return True

    def later(self, seconds: float, work: Work) -> None:
        moment = self.clock.now() + timedelta(seconds=seconds)
        self._later.append((moment, next(self._numbers), work))

    async def _create(self, platform: Platform, looking: Looking, *, full: bool = False) -> None:
        name = f"{looking.name}-{next(self._numbers)}"
        self._queued.append(Run(name, platform, looking, self.clock.now(), full))

    def by_hand(self, platform: Platform) -> None:
        """A full comparison of everybody."""
        self.later(0, lambda: self._create(platform, Looking.ALWAYS, full=True))

    def tick(self) -> None:
        """Start what is due."""
        now = self.clock.now()
        if now < self.down_until:
            return
        for platform in self.platforms:
            if now >= self._safety[platform]:
                self._safety[platform] = now + SAFETY
                self.later(0, lambda of=platform: self._create(of, Looking.IF_STILL))  # type: ignore[misc]
        due = sorted(one for one in self._later if one[0] <= now)
        self._later = [one for one in self._later if one[0] > now]
        for _, _, work in due:
            self.crowd.work(work())
        for run in list(self._queued):
            if sum(one.platform is run.platform for one in self._running) < AT_ONCE:
                self._queued.remove(run)
                self._running.append(run)
                self.crowd.work(self._collect(run))

    async def _collect(self, run: Run) -> None:
        """`find_changed_users`, with Airflow's one retry for lost work."""
        self.done[run.looking.name] += 1
        groups: tuple[tuple[str, ...], ...] = ()
        for _ in range(2):
            process = self.crowd.start()
            if not self.kind and self.fate.random() < 0.08:
                process.doom = self.fate.randint(0, 12)
            try:
                async with process.services() as (services, revision):
                    found = await find_work(
                        services,
                        revision,
                        run.platform,
                        full_comparison=run.full,
                        looking=run.looking,
                        take_for=run.id,
                    )
                    services.store.noticing.run_came(
                        run.platform.value, self.clock.now(), expected=True
                    )
                groups = found.groups
                break
            except SyncError as error:
                self.note(f"{run.platform} {run.id} finds nobody: {error}")
                break
            except Killed:
                self.note(f"{run.platform} {run.id} died while it collected")
            finally:
                self.crowd.end(process)
        run.open = len(groups)
        for index, group in enumerate(groups):
            chance = 1.0 if self.kind else self.fate.random()
            task = self._task(run, group, index)
            if chance < 0.12:
                self.note(f"task {index} of {run.platform} {run.id} is lost")
                self.later(self.fate.choice([1, 60]), self._lost(run))
                continue
            self.later(0 if self.kind else self.fate.choice([0, 2, 20, 95]), task)
            if chance < 0.2:
                self.note(f"task {index} of {run.platform} {run.id} runs twice")
                run.open += 1
                self.later(self.fate.choice([0, 5, 60, 300]), task)
        if not groups:
            self._close(run)

    def _lost(self, run: Run) -> Work:
        async def end() -> None:
            self._ended(run)

        return end

    def _task(self, run: Run, group: tuple[str, ...], index: int) -> Work:
        async def sync(again: bool = True) -> None:
            process = self.crowd.start(f"{run.id}/{index}/{run.platform}")
            if not self.kind and self.fate.random() < 0.2:
                process.doom = self.fate.randint(1, 60)
            try:
                async with process.services() as (services, revision):
                    self.done["tasks"] += 1
                    outcomes = await sync_users(
                        services, revision, run.platform, group, run_id=run.id, owner=process.owner
                    )
                bugs = [one.detail for one in outcomes if one.code == "unexpected"]
                assert not bugs, f"a bug: {bugs}"
                self.done.update(one.status.name for one in outcomes)
                run.rows += [one.row for one in outcomes]
            except Killed:
                self.note(f"task {index} of {run.platform} {run.id} died")
                if again and self.fate.random() < 0.7:
                    self.later(5, lambda: sync(again=False))
                    return
            finally:
                self.crowd.end(process)
            self._ended(run)

        return sync

    def _ended(self, run: Run) -> None:
        run.open -= 1
        if run.open == 0:
            self._close(run)

    def _close(self, run: Run) -> None:
        """`record_run`."""
        store = Store(self.crowd.world.database, HMAC_KEY)
        store_run(store, run.platform, run.id, run.started_at, run.rows, self.clock.now())
        self._running.remove(run)
