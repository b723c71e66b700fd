"""Let the sync work for one user, or watch it, until something shows."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from calendar_sync.core.codes import code_of
from calendar_sync.core.errors import PlatformStopped, SyncError
from calendar_sync.insight.explain.explanation import when
from calendar_sync.insight.explain.records import last_run, parked_items
from calendar_sync.operations.selftest.report import NotInTime
from calendar_sync.state.config import Revision
from calendar_sync.sync.cycle.scope import Scope
from calendar_sync.sync.noticing.feeds import EVENTS
from calendar_sync.sync.outcomes import OutcomeStatus
from calendar_sync.sync.runner import run_pass, store_run
from calendar_sync.sync.services import Services

PAUSE = 2.0
# A poll may have begun before the change that it is to see.
POLL_MARGIN = timedelta(seconds=30)
FAILURES = 2


@dataclass(frozen=True)
class Options:
    """How long to wait for each change; `watch` only looks, a scheduler does the work."""

    timeout: float
    watch: bool
    run_id: str
    owner: str


@dataclass
class Syncing:
    """The cycles of one (user, platform), driven or watched."""

    services: Services
    revision: Revision
    scope: Scope
    options: Options
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _failures: int = 0

    async def until(
        self, seen: Callable[[], Awaitable[bool]], source_id: str, timeout: float | None = None
    ) -> None:
        """Let the sync work, and look, until it shows.

        Raises:
            NotInTime: it does not.
            SyncError: the sync fails with this user, or one side refuses the item.
        """
        clock = self.services.clock
        begun = clock.monotonic()
        while True:
            if not self.options.watch:
                await self.drive()
            if await seen():
                return
            self._check_refusal(source_id)
            limit = self.options.timeout if timeout is None else timeout
            if clock.monotonic() - begun >= limit:
                raise NotInTime(detail=f"waited {limit:.0f} s{self._runs()}")
            await clock.sleep(PAUSE)

    def _runs(self) -> str:
        """Whether there is a scheduler at all."""
        if not self.options.watch:
            return ""
        ended = last_run(self.services.store, self.scope.platform)
        return f"; the last run ended {when(ended, self.services.clock.now())}"

    async def drive(self) -> bool:
        """One cycle of this user; True when it had nothing left to do."""
        services, scope = self.services, self.scope
        fault = services.store.runs.fault(scope.platform)
        if fault is not None:
            raise PlatformStopped(fault.code, detail=f"paused since {fault.since:%H:%M} UTC")
        result = await run_pass(
            services,
            self.revision,
            scope.platform,
            run_id=self.options.run_id,
            owner=self.options.owner,
            users=[scope.user_id],
            rounds=1,
        )
        outcome = result.outcomes.get(scope.user_id)
        if outcome is None:
            return False
        self._rows.append(outcome.row)
        if not outcome.failed:
            self._failures = 0
            return outcome.status is OutcomeStatus.OK
        self._failures += 1
        if self._failures >= FAILURES:
            raise SyncError(outcome.code, detail=outcome.detail)
        return False

    def _check_refusal(self, source_id: str) -> None:
        """An item that one side refuses again and again will not show."""
        for item in parked_items(self.services.store, *self.scope.pair, source_id):
            if item.tries >= FAILURES:
                raise SyncError(
                    code_of(item.code), detail=f"{item.step} was rejected {item.tries} times"
                )

    async def looked_at(self, appointment_id: str | None = None) -> None:
        """Wait until the sync has seen what was made, and has decided about it."""
        services, pair, made_at = self.services, self.scope.pair, self.services.clock.now()

        async def decided() -> bool:
            state = services.store.marks.of(*pair)
            if appointment_id is not None:
                noticed = bool(services.store.feeds.seen(EVENTS, [appointment_id]))
            else:
                polled = state.last_poll_at
                noticed = polled is not None and polled > made_at + POLL_MARGIN
            return noticed and not state.marked

        if self.options.watch:
            await self.until(decided, appointment_id or "")
            return
        begun = services.clock.monotonic()
        while not await self.drive():
            if services.clock.monotonic() - begun >= self.options.timeout:
                raise NotInTime(detail=f"waited {self.options.timeout:.0f} s")
            await services.clock.sleep(PAUSE)

    def record(self, started_at: datetime) -> None:
        """The cycles that the test has driven are one run; the audit is sealed as usual."""
        if not self._rows:
            return
        done: Counter[str] = Counter()
        for row in self._rows:
            done.update(row["done"])
        row = {**self._rows[-1], "done": dict(done)}
        services = self.services
        store_run(
            services.store,
            self.scope.platform,
            self.options.run_id,
            started_at,
            [row],
            services.clock.now(),
        )
