"""The flow of a cycle: lease in hand, read, plan, apply, record; the cursor is stored last."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from calendar_sync.adapters.http import waiting_at_most
from calendar_sync.core.codes import AccountVerdict, SyncCode
from calendar_sync.core.errors import PlatformStopped, SyncError, UserUnavailable
from calendar_sync.core.model import (
    SETTLING,
    STANDING,
    Action,
    BlockLink,
    ChangeLink,
    Conflict,
    ConflictDecision,
    ConflictKind,
    CreateMirror,
    DeleteBlock,
    DeleteMirror,
    Link,
    LinkState,
    MappedUser,
    MirrorLink,
    Plan,
    Tombstone,
)
from calendar_sync.planner import View, plan
from calendar_sync.planner.snapshot import LONGEST_LAG
from calendar_sync.state.audit import CycleLog
from calendar_sync.state.config import Revision
from calendar_sync.state.marks import UserSync
from calendar_sync.state.pauses import Pause
from calendar_sync.state.runs import DELETIONS_FROM, SWEEP, WELKIN
from calendar_sync.state.shared import Lease
from calendar_sync.sync.cycle.apply import Applier, Outcome
from calendar_sync.sync.cycle.former import unlinked
from calendar_sync.sync.cycle.meetings import tell_others
from calendar_sync.sync.cycle.own_calendar import OwnCalendar
from calendar_sync.sync.cycle.paused import AGAIN, Paused, only_less
from calendar_sync.sync.cycle.read import Reader, Reading
from calendar_sync.sync.cycle.renamed import Renamed
from calendar_sync.sync.cycle.scope import Scope, is_of, next_full, scope_of
from calendar_sync.sync.pauses import any_too_much, checked_for
from calendar_sync.sync.pushed import CALENDAR_WRITES, written_calendar
from calendar_sync.sync.services import Services

logger = logging.getLogger(__name__)

ACCOUNT_LEFT = "account_left"


@dataclass(frozen=True)
class CycleResult:
    """What a cycle did, in numbers and codes. `plan` is there for a dry run only."""

    user_id: str
    account: str
    done: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    conflicts: Mapping[str, int] = field(default_factory=dict)
    held: int = 0
    refused: int = 0
    bad_items: Mapping[str, int] = field(default_factory=dict)
    parked: int = 0
    unreadable: int = 0
    complete: bool = True
    full: bool = False
    plan: Plan | None = None
    bugs: tuple[SyncError, ...] = ()

    @property
    def writes(self) -> int:
        """External writes."""
        return sum(count for step, count in self.done.items() if step != "noted")


@dataclass
class Leaving:
    """The result of the deletions in previous accounts."""

    done: Counter[str] = field(default_factory=Counter)
    conflicts: list[Conflict] = field(default_factory=list)
    complete: bool = True
    error: UserUnavailable | None = None
    bugs: list[SyncError] = field(default_factory=list)

    def result(self, scope: Scope) -> CycleResult:
        """For a cycle that did nothing else."""
        return CycleResult(
            scope.user_id,
            scope.account,
            done=dict(self.done),
            conflicts=dict(Counter(conflict.kind for conflict in self.conflicts)),
            complete=self.complete,
            bugs=tuple(self.bugs),
        )


class Cycle:
    """One (user, platform) under a lease."""

    def __init__(
        self,
        services: Services,
        revision: Revision,
        mapped: MappedUser,
        lease: Lease,
        run_id: str,
        *,
        heeds_fault: bool = True,
    ) -> None:
        """`heeds_fault`: a fault of the whole platform, which may be over, stops the cycle."""
        self._heeds_fault = heeds_fault
        self._services = services
        self._lease = lease
        self._run_id = run_id
        self._scope = scope_of(services.store, revision, mapped, services.clock.now())
        self._only_less = False

    async def run(self, *, full: bool = False, dry_run: bool = False) -> CycleResult:
        """Bring the user's two sides up to date, or, during a pause, only make mirrors show less.

        Raises:
            Paused: the user has paused the sync since the cycle began.
            SyncError: the cycle could not be finished; what was done is recorded, and the next
                cycle goes on from there.
        """
        before = self._services.store.links.of(*self._scope.pair)
        if dry_run:
            return await self._run(before, full=full, dry_run=True)
        try:
            result = await self._run(before, full=full, dry_run=False)
        except SyncError:
            # What was done may concern the user's other calendars, and the next try may be late.
            tell_others(self._services, self._scope, before)
            raise
        tell_others(self._services, self._scope, before)
        return result

    async def _run(self, links: list[Link], *, full: bool, dry_run: bool) -> CycleResult:
        with waiting_at_most(self._scope.settings.limits.max_wait_seconds):
            if not self._scope.mapped.enabled:
                return await self._leave_all(links, dry_run=dry_run)
            if dry_run:
                return await self._sync(links, full=full, dry_run=True)
            if self._pause() is not None:
                return await self._show_less(links)
            await self._settle()
            try:
                return await self._sync(links, full=full, dry_run=False)
            except UserUnavailable as error:
                if error.code != AccountVerdict.CALENDAR_NOT_FOUND:
                    raise
                without = await self._own_calendar().forgotten()
                if without is None:
                    raise
                self._scope = without
            await self._settle()
            links = self._services.store.links.of(*self._scope.pair)
            return await self._sync(links, full=True, dry_run=False)

    async def _settle(self) -> None:
        """The user's own calendar for mirrors is there from now on, if one is wanted."""
        if self._scope.calendars.pending:
            self._check_platform()
            self._scope = await self._own_calendar().settled()

    def _own_calendar(self) -> OwnCalendar:
        return OwnCalendar(self._services, self._scope, self._lease, self._run_id)

    async def _sync(self, links: list[Link], *, full: bool, dry_run: bool) -> CycleResult:
        services, scope = self._services, self._scope
        state = services.store.marks.of(*scope.pair)
        due = state.next_full_at is None or state.next_full_at <= scope.now
        if full or due or self._is_new():
            links = await self._renamed(links, dry_run=dry_run)
        here = tuple(link for link in links if self._belongs_here(link))
        elsewhere = [link for link in links if not self._belongs_here(link)]
        left = Leaving()
        if not dry_run:
            left = await self._leave(elsewhere)
            if not left.complete:
                return left.result(scope)
        reading = await Reader(services, scope, here, full or due).read()
        made = plan(reading.view, scope.settings)
        if dry_run:
            whole = replace(made, actions=(*_removals(scope, elsewhere), *made.actions))
            return _result(scope, reading, made, Outcome(complete=False), plan=whole)
        self._check_platform()
        applier = self._applier(scope, reading.view)
        outcome = await applier.apply(made.actions, made.conflicts)
        self._finish(state, reading, made, outcome, left.conflicts)
        outcome.done.update(left.done)
        return _result(scope, reading, made, outcome)

    def _pause(self) -> Pause | None:
        """The user's pause, as it is now."""
        services, pair = self._services, self._scope.pair
        return services.store.pauses.of(*pair, services.clock.now())

    async def _show_less(self, links: list[Link]) -> CycleResult:
        """Put right what a pause must not keep as it is (`sync/pauses`)."""
        services, scope = self._services, self._scope
        self._only_less = True
        links = await self._renamed(links, dry_run=False)
        account = scope.account.lower()
        left = await self._leave([link for link in links if link.account.lower() != account])
        if not left.complete:
            return left.result(scope)
        here = tuple(link for link in links if self._belongs_here(link))
        if not any_too_much(here, self._level, scope.mapped):
            self._finish_less(left.conflicts)
            return left.result(scope)
        reading = await Reader(services, scope, here, full=True).read()
        made = only_less(plan(reading.view, scope.settings), reading.view.level)
        self._check_platform()
        outcome = await self._applier(scope, reading.view).apply(made.actions, made.conflicts)
        if outcome.complete and not made.doubted:
            self._finish_less([*outcome.conflicts, *left.conflicts])
        outcome.done.update(left.done)
        return _result(scope, reading, made, outcome)

    @property
    def _level(self) -> str:
        return self._scope.settings.mirror_content.level

    def _finish_less(self, conflicts: list[Conflict]) -> None:
        """The mark stays: when the pause is over, everything is compared."""
        store, scope, now = self._services.store, self._scope, self._services.clock.now()
        left = any_too_much(store.links.of(*scope.pair), self._level, scope.mapped)
        with store.database.write() as connection:
            store.leases.check(connection, self._lease)
            store.items.record_conflicts(connection, *scope.pair, conflicts, now)
            if left:
                store.marks.postpone(connection, scope.pair, now + AGAIN)
        if not left:
            store.pauses.check(scope.pair, checked_for(self._level, scope.mapped))

    def _is_new(self) -> bool:
        """There is no cursor of this account: it is read for the first time under this name."""
        scope, feeds = self._scope, self._services.store.feeds
        cursor = feeds.cursor(scope.platform.value, scope.user_id, scope.calendars.mirrors)
        return cursor is None or not is_of(cursor.shape, scope.account)

    async def _renamed(self, links: list[Link], *, dry_run: bool) -> list[Link]:
        """The links; those of previous names of the same mailbox are moved to the present one."""
        services, scope = self._services, self._scope
        rows = await Renamed(services, scope).rows(links)
        if not rows:
            return links
        if dry_run:
            changed = {row.id: row for row in rows}
            return [changed.get(link.id, link) for link in links]
        now, revision = services.clock.now(), scope.mapped.revision
        with services.store.database.write() as connection:
            services.store.leases.check(connection, self._lease)
            for row in sorted(rows, key=lambda row: row.state is not LinkState.DELETED):
                services.store.links.save(connection, row, now, revision)
        return services.store.links.of(*scope.pair)

    def _belongs_here(self, link: Link) -> bool:
        """A mirror or block of the account and calendars that are mapped now."""
        if link.account.lower() != self._scope.account.lower():
            return False
        calendars = self._scope.calendars
        if isinstance(link, BlockLink) or link.calendar == calendars.mirrors:
            return True
        # Where nothing may be written, mirrors stay where they are.
        return calendars.pending and not self._scope.direction.writes_calendar

    def _check_platform(self) -> None:
        """Read again before the first write: rule 14, and whether the user has paused the sync."""
        if self._scope.mapped.enabled and not self._only_less and (pause := self._pause()):
            raise Paused(pause)
        fault = self._services.store.runs.fault(self._scope.platform)
        if fault is not None and self._heeds_fault:
            raise PlatformStopped(detail=fault.code)

    def _applier(self, scope: Scope, view: View | None) -> Applier:
        log = CycleLog.of(scope.mapped, self._run_id)
        return Applier(self._services, scope, view, self._lease, log)

    def _finish(
        self,
        state: UserSync,
        reading: Reading,
        made: Plan,
        outcome: Outcome,
        leftover: list[Conflict],
    ) -> None:
        """Store everything that is certain from now on, in one transaction."""
        store, scope, now = self._services.store, self._scope, self._services.clock.now()
        for one in made.refused:
            logger.warning("%s %s: %s %s", one.step, one.source.id, one.code, one.detail)
        for hold in made.holds:
            store.runs.request_approval(hold, scope.user_id, scope.platform, now)
        if reading.full and state.daily and "appointment_gone" in outcome.reasons:
            # This deletion was not reported: the audit log alone is not enough.
            store.runs.set_facts(WELKIN, **{DELETIONS_FROM: SWEEP})
        with store.database.write() as connection:
            store.leases.check(connection, self._lease)
            conflicts = (*outcome.conflicts, *leftover)
            store.items.record_conflicts(connection, *scope.pair, conflicts, now)
            unsure = reading.view.unreadable
            store.items.note_overlaps(connection, scope.pair, made.overlaps, unsure, now)
            store.items.park(connection, scope.pair, (*reading.refused, *made.refused), now)
            reading.tries.record(connection)
            if scope.settings.push.on and not CALENDAR_WRITES.isdisjoint(outcome.done):
                written = written_calendar(scope.calendars, scope.platform)
                store.push.wrote(connection, scope.pair, written)
            if reading.full and state.daily:
                store.runs.record_drift(connection, scope.pair, outcome.reasons, now)
            if reading.full:
                store.runs.withdraw(connection, scope.pair, [hold.digest for hold in made.holds])
                store.items.forget_parked(connection, scope.pair, scope.now)
            if made.doubted or not outcome.complete:
                if made.doubted and self._doubts_last(state, now):
                    store.marks.compare_fully(connection, [scope.pair], now)
                return
            for calendar, cursor in reading.cursors.items():
                store.feeds.save_cursor(
                    connection, scope.platform.value, scope.user_id, cursor, now, calendar
                )
            following = self._next_full(now) if reading.full else None
            if _unproven(reading.view, made):
                following = now + SETTLING
            store.marks.done(connection, scope.pair, state.mark_seq, now, following)

    @staticmethod
    def _doubts_last(state: UserSync, now: datetime) -> bool:
        """No later reading has decided: the cursor must not stay where it is for a whole day."""
        due = state.next_full_at is None or state.next_full_at <= now
        return not due and state.marked_at is not None and now - state.marked_at > LONGEST_LAG

    def _next_full(self, now: datetime) -> datetime:
        text = self._services.identity.hash("jitter", self._scope.user_id, now.date().isoformat())
        return next_full(now, int(text[:8], 16) / 0xFFFFFFFF)

    # --- previous accounts --------------------------------------------------------------------

    async def _leave_all(self, links: list[Link], *, dry_run: bool) -> CycleResult:
        """The user is no longer mapped: delete what we made."""
        services, scope = self._services, self._scope
        if dry_run:
            removals = Plan(_removals(scope, links))
            return CycleResult(scope.user_id, scope.account, complete=False, plan=removals)
        seq = services.store.marks.of(*scope.pair).mark_seq
        left = await self._leave(await self._renamed(links, dry_run=False))
        now = services.clock.now()
        with services.store.database.write() as connection:
            services.store.leases.check(connection, self._lease)
            services.store.items.record_conflicts(connection, *scope.pair, left.conflicts, now)
            services.store.items.note_overlaps(connection, scope.pair, (), (), now)
            services.store.runs.withdraw(connection, scope.pair, [])
            if left.complete and not left.conflicts:
                services.store.marks.done(connection, scope.pair, seq, now, None)
        if left.conflicts:
            raise left.error or UserUnavailable(
                SyncCode.LEFT_IN_ACCOUNT, detail=str(len(left.conflicts))
            )
        return left.result(scope)

    async def _leave(self, links: list[Link]) -> Leaving:
        """Delete mirrors and blocks of previous accounts (rule 2).

        If an account cannot be reached, what is left in it is shown as a conflict.
        """
        left = Leaving()
        if not links:
            return left
        self._check_platform()
        accounts = sorted({link.account for link in links if _to_remove(link)})
        for account in accounts:
            scope = replace(self._scope, mapped=replace(self._scope.mapped, account=account))
            applier = self._applier(scope, None)
            here = [link for link in links if link.account == account]
            mine = [link for link in here if _to_remove(link)]
            more = await unlinked(self._services, scope, here, ACCOUNT_LEFT)
            try:
                await applier.apply((*more, *_removals(scope, mine)))
            except UserUnavailable as error:
                left.error = error
            if applier.outcome.complete or left.error is not None:
                left.conflicts += self._still_there(mine)
            left.done.update(applier.outcome.done)
            left.bugs += applier.outcome.bugs
            left.complete = left.complete and applier.outcome.complete
        if accounts and left.complete and not left.conflicts:
            with self._services.store.database.write() as connection:
                self._services.store.items.settle(
                    connection,
                    self._scope.pair,
                    SyncCode.LEFT_IN_ACCOUNT,
                    self._services.clock.now(),
                )
        return left

    def _still_there(self, links: list[Link]) -> list[Conflict]:
        known = {link.id: link for link in self._services.store.links.of(*self._scope.pair)}
        return [
            Conflict(ConflictKind.LEFT_IN_ACCOUNT, link.source, ConflictDecision.LEFT_IN_ACCOUNT)
            for link in links
            if link.id is not None and _to_remove(known[link.id])
        ]


def _unproven(view: View, made: Plan) -> bool:
    """A mirror was created again because the old one was only not found: compare once more."""
    restored = [
        action.link.mirror_id
        for action in made.actions
        if isinstance(action, CreateMirror) and action.restore and action.link is not None
    ]
    return any(
        not isinstance(calendar.events.get(key), Tombstone)
        for key in restored
        for calendar in view.calendars
        if calendar.holds_mirrors
    )


def _to_remove(link: Link) -> bool:
    """Something of ours is on the other side, or may be."""
    return link.state in STANDING


def _removals(scope: Scope, links: Iterable[Link]) -> tuple[Action, ...]:
    return tuple(_removal(scope, link) for link in links if _to_remove(link))


def _removal(scope: Scope, link: Link) -> Action:
    match link:
        case MirrorLink():
            return DeleteMirror(ACCOUNT_LEFT, link)
        case BlockLink():
            over = link.span.instants(scope.zone)[1] <= scope.now
            if not over and link.state is not LinkState.RETIRED:
                return DeleteBlock(ACCOUNT_LEFT, link)
            # Blocks of the past are Welkin's history: they stay, and are no longer synced.
            return ChangeLink(ACCOUNT_LEFT, replace(link, state=LinkState.DISMISSED))
        case _:
            assert_never(link)


def _result(
    scope: Scope, reading: Reading, made: Plan, outcome: Outcome, plan: Plan | None = None
) -> CycleResult:
    return CycleResult(
        user_id=scope.user_id,
        account=scope.account,
        done=dict(outcome.done),
        reasons=dict(outcome.reasons),
        skipped=made.skipped,
        conflicts=dict(Counter(conflict.kind for conflict in made.conflicts)),
        held=len(made.held),
        refused=outcome.refused,
        bad_items=dict(outcome.bad_items),
        parked=outcome.parked + len(made.refused),
        unreadable=reading.unreadable,
        complete=outcome.complete and not made.doubted,
        full=reading.full,
        plan=plan,
    )
