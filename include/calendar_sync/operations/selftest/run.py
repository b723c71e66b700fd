"""The test itself: make, wait, look, take away, and clean up whatever happens."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from calendar_sync.core.codes import SelfTestCode
from calendar_sync.core.errors import BadItem, LeaseHeld, SyncError, UnexpectedError
from calendar_sync.core.model import (
    CalendarEvent,
    MirrorLink,
    Removed,
    Row,
    Span,
    WelkinEvent,
    Window,
)
from calendar_sync.core.redaction import describe
from calendar_sync.operations.selftest.choose import Chosen, free_times, horizon
from calendar_sync.operations.selftest.cleaning import CLEANING, Cleaning, lease_name
from calendar_sync.operations.selftest.mirror import differences
from calendar_sync.operations.selftest.report import (
    Differs,
    Interrupted,
    Progress,
    Report,
    SelfTestStep,
    StepState,
)
from calendar_sync.operations.selftest.syncing import Options, Syncing
from calendar_sync.operations.selftest.traces import Traces
from calendar_sync.planner.busy import why_not_busy
from calendar_sync.state.config import Revision
from calendar_sync.state.runs import EXTERNAL_IDS, WELKIN
from calendar_sync.sync.cycle.scope import scope_of
from calendar_sync.sync.runner import hold
from calendar_sync.sync.services import Services


class Stop(Exception):
    """A step has failed: what was made is cleaned up."""


@dataclass
class SelfTest:
    """The test of one (user, platform)."""

    services: Services
    revision: Revision
    chosen: Chosen
    options: Options
    tell: Callable[[SelfTestStep], None] = lambda step: None
    progress: Progress = field(default_factory=Progress)
    _made: list[str] = field(default_factory=list)
    _good: bool = False

    def __post_init__(self) -> None:
        """Whom and what the test is about."""
        services, mapped = self.services, self.chosen.mapped
        self._begun = services.clock.monotonic()
        self.scope = scope_of(services.store, self.revision, mapped, services.clock.now())
        self.traces = Traces(services, self.scope)
        self.platform = services.platforms[mapped.platform]
        self.sync = Syncing(services, self.revision, self.scope, self.options)
        self.cleaning = Cleaning(services, self.scope, self.sync)
        self._leave_out()

    def _leave_out(self) -> None:
        """Steps that these settings do not have."""
        settings, direction = self.scope.settings, self.scope.direction
        elsewhere, leave_out = f"the direction is {direction.value}", self.progress.leave_out
        if not direction.writes_calendar:
            leave_out(elsewhere, "book", "mirrored", "shown", "cancel", "unmirrored")
        elif not settings.encounter_types.wants("APPOINTMENT"):
            self._change("mirrored", text="it is not synced: `encounter_types` exclude APPOINTMENT")
            leave_out("`encounter_types` exclude it", "shown", "unmirrored")
        if not direction.writes_welkin:
            leave_out(elsewhere, "occupy", "blocked", "release", "unblocked")
        elif not settings.block_time.enabled:
            leave_out("block_time is off", "occupy", "blocked", "release", "unblocked")

    async def run(self) -> Report:
        """All steps, then the cleaning, whatever happened.

        Raises:
            LeaseHeld: a test of this user is under way, or was lost less than 90 s ago.
        """
        services, scope = self.services, self.scope
        started_at = services.clock.now()
        try:
            lease = services.store.leases.take(
                lease_name(scope.user_id), uuid.uuid4().hex, services.clock.now()
            )
        except LeaseHeld:
            raise LeaseHeld(
                detail="another test of this user is running, or was interrupted: try again in "
                "two minutes"
            ) from None
        try:
            async with hold(services, lease):
                with contextlib.suppress(Stop):
                    await self._all()
        finally:
            services.store.leases.release(lease, services.clock.now())
            self.sync.record(started_at)
        return self.report()

    def report(self) -> Report:
        """How it stands."""
        scope = self.scope
        return Report(
            user_id=scope.user_id,
            account=scope.account,
            platform=scope.platform.value,
            direction=scope.direction.value,
            how="watched" if self.options.watch else "driven",
            chosen=self.chosen.why,
            seconds=round(self.services.clock.monotonic() - self._begun, 1),
            steps=tuple(self.progress.steps.values()),
        )

    async def _all(self) -> None:
        try:
            async with self._step("leftovers"):
                removed = await self.cleaning.leftovers(self.options.timeout)
                if removed:
                    self._change("leftovers", detail=f"{removed} removed")
            async with self._step("free_time"):
                at, then = await self._free_times()
            self.traces.note()
            appointment = await self._there(at) if self._asked("book") else None
            if self._asked("occupy"):
                await self._and_back(then)
            if appointment is not None:
                await self._away(appointment)
            self._good = True
        finally:
            for name, step in self.progress.steps.items():
                if step.state is StepState.WAITING and name != "clean":
                    self._change(name, state=StepState.NOT_REACHED)
            await self._cleaned()

    async def _cleaned(self) -> None:
        """Clean up; Ctrl-C does not stop that, only a second one does."""

        async def clean() -> None:
            with contextlib.suppress(Stop):
                async with self._step("clean"):
                    timeout = self.options.timeout if self._good else CLEANING
                    await self.cleaning.clean(timeout, self._made)

        cleaning = asyncio.ensure_future(clean())
        try:
            await asyncio.shield(cleaning)
        except asyncio.CancelledError:
            await cleaning
            raise

    # --- the steps --------------------------------------------------------------------------------

    async def _free_times(self) -> tuple[Span, Span]:
        services, scope = self.services, self.scope
        window = Window(scope.now, horizon(scope))
        visits, _ = await services.welkin.events([scope.user_id], window, scope.zone)
        events: list[Row] = []
        for calendar in scope.calendars.all:
            found = await self.platform.changes(scope.account, calendar, None, window)
            events += found.events
        at, then = free_times(scope, visits.values(), events)
        self._change("free_time", detail=f"{_time(at)} and {_time(then)}")
        return at, then

    async def _there(self, at: Span) -> WelkinEvent:
        """From Welkin to the calendar."""
        scope = self.scope
        async with self._step("book"):
            appointment = await self._book(at)
            self._change("book", detail=appointment.id)
        async with self._step("mirrored"):
            if not scope.settings.encounter_types.wants("APPOINTMENT"):
                await self.sync.looked_at(appointment.id)
                if self.traces.mirrored(appointment.id):
                    raise Differs(SelfTestCode.MIRRORED_ALL_THE_SAME)
                return appointment
            seen: list[CalendarEvent] = []
            await self.sync.until(lambda: self._mirror(appointment, seen), appointment.id)
        async with self._step("shown"):
            wrong = differences(self.services, scope, appointment, seen[0])
            if wrong:
                raise Differs(detail=", ".join(wrong))
            self._change("shown", detail=f"level {scope.settings.mirror_content.level}")
        return appointment

    async def _book(self, at: Span) -> WelkinEvent:
        """With our mark; where this Welkin takes no `externalId`, its title is the mark."""
        services, scope = self.services, self.scope
        title = services.identity.test_title(scope.user_id)
        external_id: str | None = f"{self.traces.mark}-{uuid.uuid4().hex[:8]}"
        if services.store.runs.facts(WELKIN).get(EXTERNAL_IDS) == "lost":
            external_id = None
        create = services.welkin.create_test_appointment
        try:
            made = await create(scope.user_id, at, scope.zone, title, external_id)
        except BadItem:
            if external_id is None:
                raise
            made = await create(scope.user_id, at, scope.zone, title, None)
        self._made.append(made.id)
        return made

    async def _and_back(self, then: Span) -> None:
        """From the calendar to Welkin, and away again."""
        scope, identity = self.scope, self.services.identity
        calendar = scope.calendars.busy[0]
        async with self._step("occupy"):
            title = identity.test_title(scope.user_id)
            event = await self.platform.create_test_event(
                scope.account, calendar, self.traces.mark, title, then
            )
            self._made.append(event.id)
            self._change("occupy", detail=event.id)
        objection = why_not_busy(event, scope.settings.block_time, scope.zone)
        if objection is not None:
            self._change("blocked", text=f"no busy block, as the settings say: {objection}")
            self.progress.leave_out("the settings exclude it", "unblocked")
        async with self._step("blocked"):
            if objection is None:
                await self.sync.until(lambda: self._blocked(then, title), event.id)
            else:
                await self.sync.looked_at()
                if await self._blocked(then, title):
                    raise Differs(SelfTestCode.BLOCKED_ALL_THE_SAME)
        async with self._step("release"):
            await self.traces.remove_event(calendar, event.id)
        if self._asked("unblocked"):
            async with self._step("unblocked"):
                await self.sync.until(lambda: self._free(then), event.id)

    async def _away(self, appointment: WelkinEvent) -> None:
        async with self._step("cancel"):
            await self.services.welkin.cancel_event(appointment.id, self.scope.zone)
        if self._asked("unmirrored"):
            mirror = self._link(appointment.id)
            async with self._step("unmirrored"):
                remote = (mirror.calendar, mirror.mirror_id) if mirror is not None else None
                await self.sync.until(lambda: self._unmirrored(appointment, remote), appointment.id)

    # --- what is looked at ------------------------------------------------------------------------

    def _link(self, appointment_id: str) -> MirrorLink | None:
        pair = self.scope.pair
        links = self.services.store.links.mirrors_of([appointment_id])
        return next((link for link in links if (link.user_id, link.platform) == pair), None)

    async def _mirror(self, appointment: WelkinEvent, seen: list[CalendarEvent]) -> bool:
        link = self._link(appointment.id)
        if link is None:
            return False
        event = await self.platform.event(link.account, link.calendar, link.mirror_id)
        if not isinstance(event, CalendarEvent):
            return False
        seen.append(event)
        return True

    async def _unmirrored(self, appointment: WelkinEvent, remote: tuple[str, str] | None) -> bool:
        if self._link(appointment.id) is not None:
            return False
        event = await self.platform.event(self.scope.account, *remote) if remote else None
        return event is None or isinstance(event, Removed)

    async def _blocked(self, then: Span, title: str) -> bool:
        """The user is unavailable, and nothing of the event but its time is in Welkin."""
        leave = await self._leave(then)
        hidden = self.scope.settings.block_time.block_title == "fixed"
        if hidden and any(title in (event.title or "") for event in leave):
            raise Differs(detail="title of the block")
        start, end = then.instants(self.scope.zone)
        spans = [event.span.instants(self.scope.zone) for event in leave]
        return any(low <= start and end <= high for low, high in spans)

    async def _free(self, then: Span) -> bool:
        return not await self._leave(then)

    async def _leave(self, then: Span) -> list[WelkinEvent]:
        scope = self.scope
        start, end = then.instants(scope.zone)
        window = Window(start, end)
        events, _ = await self.services.welkin.events([scope.user_id], window, scope.zone)
        return [
            event
            for event in events.values()
            if event.kind == "LEAVE" and not event.cancelled
            if event.span.overlaps(window, scope.zone)
        ]

    # --- the book ---------------------------------------------------------------------------------

    def _asked(self, name: str) -> bool:
        return self.progress.steps[name].state is StepState.WAITING

    def _change(self, name: str, **changes: Any) -> None:
        self._put(replace(self.progress.steps[name], **changes))

    def _put(self, step: SelfTestStep) -> None:
        self.progress.steps[step.name] = step
        self.tell(step)

    @contextlib.asynccontextmanager
    async def _step(self, name: str) -> AsyncIterator[None]:
        """Time a step, and turn its failure into the end of the test."""
        clock = self.services.clock
        begun = clock.monotonic()

        def fail(error: SyncError) -> None:
            seconds = round(clock.monotonic() - begun, 1)
            self._put(self.progress.steps[name].failed(error, seconds))

        self._change(name, state=StepState.RUNNING)
        try:
            yield
        except SyncError as error:
            fail(error)
            raise Stop from None
        except asyncio.CancelledError:
            fail(Interrupted())
            raise
        except Exception as error:
            fail(UnexpectedError(detail=describe(error)))
            raise Stop from None
        seconds = round(clock.monotonic() - begun, 1)
        self._change(name, state=StepState.OK, seconds=seconds)


def _time(span: Span) -> str:
    return f"{span.start:%Y-%m-%d %H:%M} UTC"
