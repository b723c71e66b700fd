"""Carry out a plan: one item after the other on each side; each write is recorded at once."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from calendar_sync.core.errors import (
    BadItem,
    Duplicate,
    NotFound,
    NotShownYet,
    PreconditionFailed,
    RateLimited,
    StillThere,
    SyncError,
    TransientError,
    UserUnavailable,
)
from calendar_sync.core.model import (
    Action,
    AnyLink,
    CalendarWrite,
    ChangeLink,
    Conflict,
    ConflictDecision,
    ConflictKind,
    Link,
    LinkState,
    MirrorLink,
    Step,
    WithDraft,
    Write,
    WriteBack,
)
from calendar_sync.core.redaction import as_ours
from calendar_sync.planner import View
from calendar_sync.state.audit import CycleLog, Operation
from calendar_sync.state.shared import RENEW_SECONDS, Lease
from calendar_sync.sync.cycle.scope import Scope
from calendar_sync.sync.cycle.writes import Writer
from calendar_sync.sync.services import Services

logger = logging.getLogger(__name__)

_CONFLICT = {
    Step.RESCHEDULE: ConflictKind.MIRROR_MOVED,
    Step.CANCEL: ConflictKind.MIRROR_DELETED,
}


@dataclass
class Outcome:
    """What was done, by step and reason; `complete` is False when something is left to do.

    `bugs` are errors of ours about single items.
    """

    done: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    conflicts: list[Conflict] = field(default_factory=list)
    refused: int = 0
    #: Those of the refused items whose content was rejected, by code: trying again changes nothing.
    bad_items: Counter[str] = field(default_factory=Counter)
    parked: int = 0
    bugs: list[SyncError] = field(default_factory=list)
    complete: bool = True


@dataclass(frozen=True)
class Failed:
    """An action that did not work, and why."""

    action: Write
    error: SyncError


@dataclass
class Applier:
    """Applies the actions of one cycle."""

    services: Services
    scope: Scope
    view: View | None
    lease: Lease
    log: CycleLog
    outcome: Outcome = field(default_factory=Outcome)
    _writes: int = 0
    _begun: float = 0.0
    _renewed: float = 0.0

    def __post_init__(self) -> None:
        """The writer stores its intents under this cycle's lease."""
        self._writer = Writer(self.services, self.scope, self.view, self._begin)

    async def apply(self, actions: Iterable[Action], conflicts: Iterable[Conflict] = ()) -> Outcome:
        """Links first, then both sides at once; errors of a server end its side only.

        Conflicts are stored before anything is written: if the process is killed, a conflict may be
        shown twice, but nothing is written without its conflict.

        Raises:
            SyncError: the first error that was not about a single item, after both sides ended.
        """
        self._begun = self.services.clock.monotonic()
        self._renew_lease()
        parked = self.services.store.items.parked(*self.scope.pair, self.services.clock.now())
        notes: list[ChangeLink] = []
        calendar: list[Write] = []
        welkin: list[Write] = []
        for action in actions:
            if isinstance(action, ChangeLink):
                notes.append(action)
            elif parked.get((action.step, action.source)) == action.content:
                self.outcome.parked += 1
            elif isinstance(action, CalendarWrite):
                calendar.append(action)
            else:
                welkin.append(action)
        self._note(notes, list(conflicts))
        sides = await asyncio.gather(
            self._side(calendar), self._side(welkin), return_exceptions=True
        )
        for error in sides:
            if isinstance(error, BaseException):
                raise error
        return self.outcome

    def _note(self, notes: list[ChangeLink], conflicts: list[Conflict]) -> None:
        if not notes and not conflicts:
            return
        store, now = self.services.store, self.services.clock.now()
        with self._transaction() as connection:
            store.leases.check(connection, self.lease)
            store.items.record_conflicts(connection, *self.scope.pair, conflicts, now)
            for action in notes:
                self._save(connection, action.link)
        if notes:
            self.outcome.done["noted"] += len(notes)

    async def _side(self, actions: list[Write]) -> None:
        """One item after the other. If two in a row fail, it is a failure of the server."""
        failed: Failed | None = None
        for action in actions:
            if self._spent():
                self.outcome.complete = False
                break
            failure = await self._one(action)
            if failure is not None and failed is not None:
                # Both count as tried, so that two that always fail cannot stop the others for ever.
                self._refuse(failed)
                self._refuse(failure)
                raise failure.error
            if failed is not None:
                self._refuse(failed)
            failed = failure
        if failed is not None:
            self._refuse(failed)
            if len(actions) == 1:
                raise failed.error

    def _spent(self) -> bool:
        """A long first sync continues in the next run, so that others do not wait."""
        limits = self.scope.settings.limits
        elapsed = self.services.clock.monotonic() - self._begun
        return self._writes >= limits.max_cycle_writes or elapsed >= limits.max_cycle_seconds

    async def _one(self, action: Write) -> Failed | None:
        """Carry out one action; returns a failure that may be the server's and not the item's."""
        self._writes += 1
        self._hold_lease()
        started = self.services.clock.monotonic()
        try:
            link = await self._writer.perform(action)
        except (BadItem, Duplicate, NotFound, PreconditionFailed, StillThere) as error:
            self._record(action, action.link, error.code, started)
            if isinstance(action, WriteBack):
                # Welkin rejects the edit: the mirror is restored.
                kind, decision = _CONFLICT[action.step], ConflictDecision.REFUSED_AND_RESTORED
                self.outcome.conflicts.append(Conflict(kind, action.source, decision))
                return await self._one(action.instead())
            # Rejected, or changed since it was read: the next cycle reads and decides again.
            self._refuse(Failed(action, error))
        except NotShownYet:
            # Neither a failure nor a try: the user stays marked and is read again.
            self.outcome.complete = False
        except SyncError as error:
            self._record(action, action.link, error.code, started)
            # The account was read a moment ago, so the error may be about this one item.
            refused = isinstance(error, UserUnavailable) and self.view is not None
            own = refused or isinstance(error, TransientError)
            if isinstance(error, RateLimited) or not own:
                raise
            return Failed(action, error)
        except SQLAlchemyError:
            raise
        except Exception as bug:
            # A bug with this item must not stop the others.
            ours = as_ours(bug)
            logger.warning("%s %s: %s", action.step, action.source.id, ours.detail)
            self._record(action, action.link, ours.code, started)
            self._refuse(Failed(action, ours))
            self.outcome.bugs.append(ours)
        else:
            done = self._writer.step_done(action, link)
            self._record(action, link, "ok", started, done=done)
            self.outcome.done[done] += 1
            self.outcome.reasons[action.reason] += 1
        return None

    def _hold_lease(self) -> None:
        """Fencing before each write; a long cycle renews its lease."""
        if self.services.clock.monotonic() - self._renewed >= RENEW_SECONDS:
            self._renew_lease()
        else:
            self.services.store.leases.check_now(self.lease)

    def _renew_lease(self) -> None:
        clock = self.services.clock
        self.services.store.leases.renew(self.lease, clock.now())
        self._renewed = clock.monotonic()

    def _begin(self, link: AnyLink) -> AnyLink:
        with self._transaction() as connection:
            return self._save(connection, replace(link, state=LinkState.INTENT))

    # --- records ------------------------------------------------------------------------------

    def _transaction(self) -> AbstractContextManager[Connection]:
        return self.services.store.database.write()

    def _save(self, connection: Connection, link: AnyLink) -> AnyLink:
        store = self.services.store
        store.leases.check(connection, self.lease)
        return store.links.save(
            connection, link, self.services.clock.now(), self.scope.mapped.revision
        )

    def _refuse(self, failed: Failed) -> None:
        """Count the try: after three the item is parked and shown (rule 15)."""
        self.outcome.refused += 1
        self.outcome.complete = False
        action, error = failed.action, failed.error
        if isinstance(action, WriteBack):
            return  # never parked without being shown: it is tried until Welkin answers
        if isinstance(error, BadItem):
            self.outcome.bad_items[error.code] += 1
        with self._transaction() as connection:
            self.services.store.items.refused(
                connection,
                self.scope.pair,
                action.step,
                action.source,
                action.content,
                error.code,
                self.services.clock.now(),
                transient=isinstance(error, TransientError | UserUnavailable),
            )

    def _record(
        self,
        action: Write,
        link: Link | None,
        outcome: str,
        started: float,
        *,
        done: Step | None = None,
    ) -> None:
        """Record the operation; if it was `done`, together with its link, in one transaction."""
        now = self.services.clock.now()
        seconds = self.services.clock.monotonic() - started
        operation = Operation(
            step=(done or action.step).value,
            reason=action.reason,
            source_id=action.source.id,
            remote_id=link.name if link is not None else "",
            calendar=link.calendar if link is not None else "",
            level=_level(action, link),
            outcome=outcome,
            milliseconds=int(seconds * 1000),
        )
        store = self.services.store
        with self._transaction() as connection:
            if done is not None and link is not None:
                self._save(connection, link)
                store.items.unpark(connection, self.scope.pair, action.source)
            head = store.audit.append(connection, self.log, operation, now)
        self.log.seq, self.log.head = head


def _level(action: Write, link: Link | None) -> str:
    if isinstance(action, WithDraft):
        return action.draft.level
    return link.level if isinstance(link, MirrorLink) else ""
