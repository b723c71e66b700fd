"""Carry out a plan: one item after the other on each side, each write recorded as it happens."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection

from calendar_sync.cycle.scope import Scope
from calendar_sync.errors import (
    BadItem,
    Duplicate,
    NotFound,
    PreconditionFailed,
    RateLimited,
    SyncError,
    TransientError,
)
from calendar_sync.model import (
    Action,
    CalendarEvent,
    Draft,
    Link,
    LinkKind,
    LinkState,
    Step,
    WelkinEvent,
)
from calendar_sync.planner import View
from calendar_sync.services import Services
from calendar_sync.state.audit import CycleLog, Operation
from calendar_sync.state.shared import RENEW_SECONDS, Lease
from calendar_sync.welkin import BlockDraft

GENERATIONS = 20
Value = TypeVar("Value")


@dataclass
class Outcome:
    """What was done, by step and reason; `complete` is False when something is left to do."""

    done: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    parked: int = 0
    complete: bool = True


@dataclass(frozen=True)
class Failed:
    """An action that did not work, and why."""

    action: Action
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

    async def apply(self, actions: Iterable[Action]) -> Outcome:
        """Rows first, then both sides at once; errors of a server end its side only.

        Raises:
            SyncError: the first error that was not about a single item, after both sides ended.
        """
        self._begun = self.services.clock.monotonic()
        self._renew_lease()
        parked = self.services.store.links.parked(*self.scope.pair, self.services.clock.now())
        notes, calendar, welkin = [], [], []
        for action in actions:
            if action.step is Step.NOTE:
                notes.append(action)
            elif parked.get((action.step, action.source)) == self._content(action):
                self.outcome.parked += 1
            elif action.writes_calendar:
                calendar.append(action)
            else:
                welkin.append(action)
        self._note(notes)
        sides = await asyncio.gather(
            self._side(calendar), self._side(welkin), return_exceptions=True
        )
        for error in sides:
            if isinstance(error, BaseException):
                raise error
        return self.outcome

    def _note(self, notes: list[Action]) -> None:
        if not notes:
            return
        with self._transaction() as connection:
            for action in notes:
                if action.link is not None:
                    self._save(connection, replace(action.link, **action.becomes))  # type: ignore[arg-type]
        self.outcome.done["noted"] += len(notes)

    async def _side(self, actions: list[Action]) -> None:
        """One item after the other. Two in a row that the server fails are the server's failure."""
        failed: Failed | None = None
        for action in actions:
            if self._spent():
                self.outcome.complete = False
                break
            failure = await self._one(action)
            if failure is not None and failed is not None:
                raise failure.error
            if failed is not None:
                self._refuse(failed)
            failed = failure
        if failed is not None:
            self._refuse(failed)
            if len(actions) == 1:
                raise failed.error

    def _spent(self) -> bool:
        """A long fill goes on in the next run, so that nobody waits for it."""
        limits = self.scope.settings.limits
        elapsed = self.services.clock.monotonic() - self._begun
        return self._writes >= limits.cycle_writes or elapsed >= limits.cycle_seconds

    async def _one(self, action: Action) -> Failed | None:
        """Carry out one action; returns what may have been the server's failure, not the item's."""
        self._writes += 1
        self._hold_lease()
        started = self.services.clock.monotonic()
        try:
            link = await self._perform(action)
        except (BadItem, Duplicate, NotFound, PreconditionFailed) as error:
            # Refused, or changed while we were planning: the next cycle reads and decides again.
            self._record(action, action.link, error.code, started)
            self._refuse(Failed(action, error))
        except SyncError as error:
            self._record(action, action.link, error.code, started)
            if isinstance(error, RateLimited) or not isinstance(error, TransientError):
                raise
            return Failed(action, error)
        else:
            self._record(action, link, "ok", started, save=True)
            self.outcome.done[action.step] += 1
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

    async def _perform(self, action: Action) -> Link:
        match action.step:
            case Step.CREATE_MIRROR:
                return await self._create_mirror(action)
            case Step.UPDATE_MIRROR:
                return await self._update_mirror(action)
            case Step.DELETE_MIRROR:
                return await self._delete_mirror(action)
            case Step.CREATE_BLOCK:
                return await self._create_block(action)
            case Step.UPDATE_BLOCK:
                return await self._update_block(action)
            case Step.DELETE_BLOCK:
                return await self._delete_block(action)
            case Step.NOTE:
                raise ValueError("a note needs no request")

    # --- mirrors ------------------------------------------------------------------------------

    async def _create_mirror(self, action: Action) -> Link:
        draft = _present(action.draft)
        link = self._intent(action, LinkKind.MIRROR, self.scope.calendars.mirrors)
        platform = self.services.platforms[self.scope.platform]
        marker = self.services.identity.marker(self.scope.user_id, action.source.id)
        for _ in range(GENERATIONS):
            try:
                event = await platform.create_mirror(
                    link.account, link.calendar, link.remote_id, marker, draft
                )
            except Duplicate:
                found = await platform.event(link.account, link.calendar, link.remote_id)
                if found is None or found.deleted or found.marker != marker:
                    # The id is used up: deleted ids are never free again.
                    link = self._begin(self._next_generation(link))
                    continue
                event = found
                if self.services.identity.event_hash(event) != draft.hash:
                    event = await self._put(link, draft, marker, event.etag)
            return self._mirrored(link, action, event)
        raise BadItem("no_free_generation")

    async def _update_mirror(self, action: Action) -> Link:
        link, draft = _present(action.link), _present(action.draft)
        marker = self.services.identity.marker(self.scope.user_id, action.source.id)
        etag = action.event.etag if action.event is not None else link.etag
        return self._mirrored(link, action, await self._put(link, draft, marker, etag))

    async def _put(self, link: Link, draft: Draft, marker: str, etag: str | None) -> CalendarEvent:
        """PUT with If-Match; when it changed meanwhile, read, and put once more."""
        platform = self.services.platforms[link.platform]
        try:
            return await platform.update_mirror(
                link.account, link.calendar, link.remote_id, marker, draft, etag
            )
        except PreconditionFailed:
            event = await platform.event(link.account, link.calendar, link.remote_id)
            if event is None or event.deleted:
                raise
            if self.services.identity.event_hash(event) == draft.hash:
                return event
            return await platform.update_mirror(
                link.account, link.calendar, link.remote_id, marker, draft, event.etag
            )

    async def _delete_mirror(self, action: Action) -> Link:
        link = _present(action.link)
        platform = self.services.platforms[link.platform]
        await platform.delete_mirror(link.account, link.calendar, link.remote_id)
        return replace(link, state=LinkState.DELETED, etag=None)

    def _mirrored(self, link: Link, action: Action, event: CalendarEvent) -> Link:
        draft = _present(action.draft)
        return replace(
            self._counted(link, action),
            state=LinkState.LIVE,
            span=draft.span,
            etag=event.etag,
            wanted_hash=draft.hash,
            remote_hash=self.services.identity.event_hash(event),
            source_hash=_present(self.view).appointments[action.source.id].source_hash,
            level=draft.level,
        )

    # --- blocks -------------------------------------------------------------------------------

    async def _create_block(self, action: Action) -> Link:
        draft = self._block_draft(action)
        repeated = action.link is not None and action.link.state is LinkState.INTENT
        link = self._intent(action, LinkKind.BLOCK, action.calendar)
        for _ in range(GENERATIONS):
            external_id = self._external_id(link)
            found = await self._find_block(external_id, draft) if repeated else None
            if found is None:
                try:
                    made = await self.services.welkin.create_block(draft, external_id)
                    return self._blocked(link, action, made)
                except BadItem:
                    # Perhaps refused because it exists: then look, else it is really bad.
                    found = await self._find_block(external_id, draft)
                    if found is None:
                        raise
            if not found.cancelled and not self._owned_elsewhere(found.id, link):
                made = await self.services.welkin.update_block(found.id, draft)
                return self._blocked(link, action, made)
            link = self._begin(self._next_generation(link))
            repeated = False
        raise BadItem("no_free_generation")

    def _owned_elsewhere(self, event_id: str, link: Link) -> bool:
        """Another link has this block: it was moved there from the instance of this link."""
        known = self.services.store.links.live_by_remote(LinkKind.BLOCK, [event_id])
        return any(other.id != link.id for other in known)

    async def _find_block(self, external_id: str, draft: BlockDraft) -> WelkinEvent | None:
        return await self.services.welkin.event_by_external_id(external_id, draft.zone)

    async def _update_block(self, action: Action) -> Link:
        link = replace(
            _present(action.link), source=action.source, event_id=_present(action.event).id
        )
        made = await self.services.welkin.update_block(link.remote_id, self._block_draft(action))
        return self._blocked(link, action, made)

    async def _delete_block(self, action: Action) -> Link:
        link = _present(action.link)
        welkin, zone = self.services.welkin, self.scope.zone
        event_id = link.remote_id
        if link.state is LinkState.INTENT:
            # Whether it was created is not known; until then the row holds the externalId.
            found = await welkin.event_by_external_id(link.remote_id, zone)
            event_id = found.id if found is not None else ""
        start, _ = link.span.instants(zone)
        # Welkin keeps what has begun: a minute's margin keeps the two clocks from disagreeing.
        future = start > self.services.clock.now() + timedelta(minutes=1)
        if event_id:
            await welkin.remove_block(event_id, future=future)
        return replace(link, state=LinkState.DELETED)

    def _block_draft(self, action: Action) -> BlockDraft:
        rules = self.scope.settings.block_time
        title = rules.title
        if rules.block_title == "event_title" and action.event is not None:
            title = action.event.title.strip()[:200] or rules.title
        return BlockDraft(
            user_id=self.scope.user_id,
            span=action.span,
            zone=self.scope.zone,
            title=title,
            all_day_flag=rules.all_day_write == "flag",
        )

    def _blocked(self, link: Link, action: Action, made: WelkinEvent) -> Link:
        return replace(
            self._counted(link, action),
            state=LinkState.LIVE,
            remote_id=made.id,
            span=action.span,
            wanted_hash=_present(self.view).block_hash(_present(action.event)),
            remote_hash=self.services.identity.block_hash(made),
        )

    # --- links --------------------------------------------------------------------------------

    def _intent(self, action: Action, kind: LinkKind, calendar: str) -> Link:
        """Note what is about to be created, before the request."""
        scope, link = self.scope, action.link
        if link is None:
            link = Link(
                kind=kind,
                user_id=scope.user_id,
                platform=scope.platform,
                account=scope.account,
                calendar=calendar,
                source=action.source,
                generation=0,
                state=LinkState.INTENT,
                remote_id="",
                span=action.span,
            )
        if link.generation == 0 or link.state is not LinkState.INTENT:
            link = self._next_generation(link)
        event_id = action.event.id if action.event is not None else ""
        return self._begin(replace(link, span=action.span, event_id=event_id))

    def _next_generation(self, link: Link) -> Link:
        link = replace(link, generation=link.generation + 1)
        if link.kind is LinkKind.BLOCK:
            return replace(link, remote_id=self._external_id(link))
        return replace(
            link,
            remote_id=self.services.identity.mirror_id(
                link.platform, link.user_id, link.account, link.source.id, link.generation
            ),
        )

    def _external_id(self, link: Link) -> str:
        return self.services.identity.block_external_id(
            link.platform,
            link.user_id,
            link.account,
            link.calendar,
            link.source,
            link.generation,
        )

    def _begin(self, link: Link) -> Link:
        with self._transaction() as connection:
            return self._save(connection, replace(link, state=LinkState.INTENT))

    def _counted(self, link: Link, action: Action) -> Link:
        """Count restores within a day, so that a tug of war ends."""
        if not action.restore:
            return link
        now = self.services.clock.now()
        recent = link.restored_at is not None and now - link.restored_at < timedelta(days=1)
        return replace(
            link,
            restores=link.restores + 1 if recent else 1,
            restored_at=link.restored_at if recent else now,
        )

    # --- records ------------------------------------------------------------------------------

    def _transaction(self) -> AbstractContextManager[Connection]:
        return self.services.store.database.write()

    def _save(self, connection: Connection, link: Link) -> Link:
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
        with self._transaction() as connection:
            self.services.store.links.refused(
                connection,
                self.scope.pair,
                action.step,
                action.source,
                self._content(action),
                error.code,
                self.services.clock.now(),
                transient=isinstance(error, TransientError),
            )

    def _record(
        self,
        action: Action,
        link: Link | None,
        outcome: str,
        started: float,
        *,
        save: bool = False,
    ) -> None:
        """The operation's row, in the transaction that stores its link."""
        now: datetime = self.services.clock.now()
        seconds = self.services.clock.monotonic() - started
        operation = Operation(
            step=action.step.value,
            reason=action.reason,
            source_id=action.source.id,
            remote_id=link.remote_id if link is not None else "",
            calendar=link.calendar if link is not None else "",
            level=_level(action, link),
            outcome=outcome,
            milliseconds=int(seconds * 1000),
        )
        store = self.services.store
        with self._transaction() as connection:
            if save and link is not None:
                self._save(connection, link)
                store.links.unpark(connection, self.scope.pair, action.source)
            head = store.audit.append(connection, self.log, operation, now)
        self.log.seq, self.log.head = head

    def _content(self, action: Action) -> str:
        """Names what an action would write: a refused item is tried again with other content."""
        if action.draft is not None:
            return action.draft.hash
        if action.event is not None:
            return _present(self.view).block_hash(action.event)
        return action.link.remote_id[:60] if action.link is not None else ""


def _level(action: Action, link: Link | None) -> str:
    if action.draft is not None:
        return action.draft.level
    return link.level if link is not None else ""


def _present(value: Value | None) -> Value:
    """What the planner always gives for this step."""
    if value is None:  # pragma: no cover - a bug of the planner
        raise ValueError("the action lacks what its step needs")
    return value
