"""The requests of each step of a plan, and the link after them.

An intent is stored before each creation. If the process is killed, the next cycle searches for the
item before it creates it a second time: we choose the ids ourselves.
"""

import contextlib
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Protocol, assert_never

from calendar_sync.adapters.welkin import BlockDraft
from calendar_sync.core.codes import SyncCode, WelkinCode
from calendar_sync.core.errors import (
    BadItem,
    Duplicate,
    NotFound,
    NotShownYet,
    OutcomeUnknown,
    PreconditionFailed,
)
from calendar_sync.core.identity import GENERATIONS
from calendar_sync.core.model import (
    PLACE,
    SETTLING,
    AnyLink,
    Appointment,
    BlockLink,
    CalendarEvent,
    Cancel,
    CreateBlock,
    CreateMirror,
    DeleteBlock,
    DeleteMirror,
    Draft,
    Link,
    LinkState,
    MirrorLink,
    Removed,
    Reschedule,
    Row,
    Step,
    Unreadable,
    UpdateBlock,
    UpdateMirror,
    WelkinEvent,
    Write,
    iso,
    without_guests,
)
from calendar_sync.planner import View, mirror_text
from calendar_sync.sync.cycle.block_ids import BlockIds
from calendar_sync.sync.cycle.removal import event_exists, remove, welkin_event_exists
from calendar_sync.sync.cycle.scope import Scope
from calendar_sync.sync.services import Services

UNSEEN = "unseen"


class Begin(Protocol):
    """Stores a link as an intent."""

    def __call__(self, link: AnyLink) -> AnyLink:
        """The link as it is stored."""
        ...


@dataclass(frozen=True)
class Writer:
    """Writes to both sides; `view` is None for removals."""

    services: Services
    scope: Scope
    view: View | None
    begin: Begin

    def step_done(self, action: Write, link: Link) -> Step:
        """What was done: a creation may have found an item that existed before this cycle."""
        begun = action.link is not None and action.link.state is LinkState.INTENT
        if self.view is None or begun:
            return action.step
        if isinstance(action, CreateBlock) and link.name in self.view.blocks:
            return Step.ADOPT_BLOCK
        seen = (each.events for each in self.view.calendars if each.holds_mirrors)
        if isinstance(action, CreateMirror) and any(link.name in each for each in seen):
            return Step.ADOPT_MIRROR
        return action.step

    async def perform(self, action: Write) -> Link:
        """Carry out one action; returns the link as it is afterwards."""
        match action:
            case CreateMirror():
                return await self._create_mirror(action)
            case UpdateMirror():
                return await self._update_mirror(action)
            case DeleteMirror():
                return await self._delete_mirror(action.link)
            case CreateBlock():
                return await self._create_block(action)
            case UpdateBlock():
                return await self._update_block(action)
            case DeleteBlock():
                closed = await self._delete_block(action.link)
                return action.then or closed
            case Reschedule():
                return await self._reschedule(action)
            case Cancel():
                return await self._cancel(action)
            case _:
                assert_never(action)

    # --- mirrors ------------------------------------------------------------------------------

    async def _create_mirror(self, action: CreateMirror) -> MirrorLink:
        draft, calendar = action.draft, self.scope.calendars.mirrors
        marker = self.services.identity.marker(self.scope.user_id, action.source.id)
        found = await self._made_before(action, marker)
        link = action.link or self._first_link(action, calendar)
        # Of a mirror that is found, the location counts as ours: the link may have been lost.
        before = replace(link, level=f"{draft.level}+{PLACE}")
        link = replace(
            link, level=draft.level, colour=draft.colour, span=action.span, around=draft.around
        )
        link = self._intent(link)
        platform = self.services.platforms[self.scope.platform]
        for _ in range(GENERATIONS):
            event: Row
            try:
                event = found or await platform.create_mirror(
                    link.account, link.calendar, link.creation_key, marker, draft
                )
            except Duplicate:
                found = await platform.mirror(
                    link.account, link.calendar, link.creation_key, marker
                )
                if found is None and not self._used_up(link):
                    self._note_unseen(link)
                    raise NotShownYet from None
                if isinstance(found, Unreadable) and found.marker is None:
                    raise OutcomeUnknown from None  # it may be the one that we made
                if found is None or isinstance(found, Removed) or found.marker != marker:
                    # The key is used up: a deleted id cannot be used again.
                    link, found = self.begin(self._next_generation(link)), None
                    continue
                event = found
            # If the platform assigns ids, even the answer may show what an earlier attempt made.
            earlier = found is not None or not platform.chooses_ids
            if not isinstance(event, CalendarEvent) or (
                earlier and not self._is_written(event, draft)
            ):
                before = replace(before, mirror_id=event.id)
                event = await self._put(before, draft, marker, event)
            return self._mirrored(replace(link, mirror_id=event.id), action, event)
        raise BadItem(SyncCode.NO_FREE_GENERATION)

    def _first_link(self, action: CreateMirror, calendar: str) -> MirrorLink:
        """A link of this calendar. Keys are used once in a mailbox, not once in a calendar.

        Google's ids are of a calendar. Exchange may take a key that it has seen for a repetition.
        """
        place, source = self.scope.place(calendar), action.source.id
        link = MirrorLink(*place, appointment_id=source, span=action.span)
        if self.services.platforms[self.scope.platform].chooses_ids:
            return link
        used = [
            other.generation
            for other in self.services.store.links.of_sources([source])
            if isinstance(other, MirrorLink)
            and (other.user_id, other.platform, other.account) == place[:3]
        ]
        return self._next_generation(replace(link, generation=max(used))) if used else link

    async def _made_before(self, action: CreateMirror, marker: str) -> Row | None:
        """A mirror of this appointment without a link.

        It was read with the calendar, if the state was lost or the mailbox had another name. If the
        platform assigns ids, it is searched for after an interrupted creation.
        """
        platform, link = self.services.platforms[self.scope.platform], action.link
        seen = self.view.unlinked.get(marker) if self.view is not None else None
        if seen:
            # Copies have the marker, too: a mirror with the wanted content comes first.
            return min(seen, key=lambda event: not self._is_written(event, action.draft))
        if platform.chooses_ids or link is None or link.state is not LinkState.INTENT:
            return None
        found = await platform.mirror(link.account, link.calendar, link.creation_key, marker)
        if found is None and self._recent(link):
            raise NotShownYet
        return found

    async def _update_mirror(self, action: UpdateMirror) -> MirrorLink:
        link, draft = action.link, action.draft
        marker = self.services.identity.marker(self.scope.user_id, action.source.id)
        try:
            event = await self._put(link, draft, marker, action.event)
        except NotFound:
            platform = self.services.platforms[link.platform]
            found = await platform.event(link.account, link.calendar, link.mirror_id)
            if found is not None and not isinstance(found, Removed):
                raise
            # Deleted without being reported, or reported and waiting for a person: the appointment
            # has changed, so its mirror is created again.
            gone = replace(link, state=LinkState.DELETED)
            again = CreateMirror(action.reason, action.appointment, draft, gone, action.restore)
            return await self._create_mirror(again)
        return self._mirrored(link, action, event)

    async def _put(
        self, link: MirrorLink, draft: Draft, marker: str, event: Row | None
    ) -> CalendarEvent:
        """Write with If-Match; if it has changed meanwhile, read it and write once more.

        `link` tells what the mirror had before, `event` what it has, where that was read.
        """
        platform = self.services.platforms[link.platform]
        place = (link.account, link.calendar, link.mirror_id)
        if event is None and draft.colour != link.colour:
            event = await self._read(link)
        etag = event.etag if event is not None else link.etag
        sent = mirror_text.as_update(draft, link, event)
        try:
            return await platform.update_mirror(*place, marker, sent, etag)
        except PreconditionFailed:
            event = await self._read(link)
            if isinstance(event, CalendarEvent) and self._is_written(event, draft):
                return event
            sent = mirror_text.as_update(draft, link, event)
            return await platform.update_mirror(*place, marker, sent, event.etag)

    async def _read(self, link: MirrorLink) -> Row:
        """The mirror as it is now.

        Raises:
            NotFound: it is gone.
        """
        platform = self.services.platforms[link.platform]
        event = await platform.event(link.account, link.calendar, link.mirror_id)
        if event is None or isinstance(event, Removed):
            raise NotFound(SyncCode.MIRROR_GONE)
        return event

    def _is_written(self, event: CalendarEvent, draft: Draft) -> bool:
        """The event has the content that the mirror should have."""
        return without_guests(self.services.identity.event_hash(event)) == draft.hash

    async def _delete_mirror(self, link: MirrorLink) -> MirrorLink:
        platform, event_id = self.services.platforms[link.platform], link.mirror_id
        if link.state is LinkState.INTENT and not platform.chooses_ids:
            # It is not known whether it was created; the link has the key that was sent.
            marker = self.services.identity.marker(link.user_id, link.appointment_id)
            found = None
            with contextlib.suppress(NotFound):  # the calendar itself is gone
                found = await platform.mirror(
                    link.account, link.calendar, link.creation_key, marker
                )
            if found is None and self._recent(link):
                raise NotShownYet
            event_id = found.id if found is not None else ""
        if event_id:
            place = (link.account, link.calendar, event_id)
            await remove(
                partial(platform.delete_mirror, *place),
                partial(event_exists, platform, *place),
                recent=self._recent(link),
            )
        return replace(link, state=LinkState.DELETED, etag=None, written_at=None)

    def _mirrored(
        self, link: MirrorLink, action: CreateMirror | UpdateMirror, event: CalendarEvent
    ) -> MirrorLink:
        link = self._counted(self._written(link, event.version), action)
        return self._as_agreed(link, action.appointment, action.draft, event)

    def _as_agreed(
        self, link: MirrorLink, appointment: Appointment, draft: Draft, event: CalendarEvent
    ) -> MirrorLink:
        """Both sides have this content now."""
        return replace(
            link,
            state=LinkState.LIVE,
            span=appointment.event.span,
            etag=event.etag,
            wanted_hash=draft.hash,
            mirror_hash=self.services.identity.event_hash(
                event, located=draft.location is not None
            ),
            appointment_hash=appointment.source_hash,
            level=draft.level,
            colour=draft.colour,
            around=draft.around,
        )

    # --- appointments: edits of mirrors that change Welkin ---------------------------------------

    async def _reschedule(self, action: Reschedule) -> MirrorLink:
        """Move the appointment to the time of its mirror, and read the result back from Welkin.

        Raises:
            BadItem: Welkin refused, or did not do it.
        """
        moved = await self.services.welkin.move_event(
            action.source.id, action.span, self.scope.zone
        )
        if moved is None or moved.span != action.span:
            raise BadItem(WelkinCode.DID_NOT_RESCHEDULE)
        encounter = action.appointment.encounter
        appointment = self.services.identity.appointment(moved, encounter)
        settings, zone = self.scope.settings, self.scope.zone
        draft = mirror_text.draft(
            appointment, settings, self.services.identity, zone.key, self.scope.platform
        )
        link = self._as_agreed(action.link, appointment, draft, action.event)
        shown = (action.link.level, action.link.colour)
        if without_guests(link.mirror_hash) == draft.hash and shown == (draft.level, draft.colour):
            return link
        # The user changed the text, too: it is restored.
        marker = self.services.identity.marker(self.scope.user_id, action.source.id)
        event = await self._put(action.link, draft, marker, action.event)
        return self._as_agreed(self._written(link, event.version), appointment, draft, event)

    async def _cancel(self, action: Cancel) -> MirrorLink:
        """Cancel the appointment whose mirror was deleted.

        Raises:
            BadItem: Welkin refused, or did not do it.
        """
        event = await self.services.welkin.cancel_event(action.source.id, self.scope.zone)
        if event is not None and not event.cancelled:
            raise BadItem(WelkinCode.DID_NOT_CANCEL)
        link = self._written(action.link, "")
        return replace(link, state=LinkState.DELETED, etag=None)

    # --- blocks -------------------------------------------------------------------------------

    async def _create_block(self, action: CreateBlock) -> BlockLink:
        draft, ids, event_id = self._block_draft(action), self._block_ids, action.event.id
        link, found = action.link, None
        if link is not None and link.state is LinkState.INTENT:
            # Before the link gets the present time: the earlier attempt used the stored one.
            found = await ids.find(link, draft)
            if found is None and self._recent(link):
                # It may exist although it is not shown yet: no second POST so soon.
                raise NotShownYet
            link = replace(link, event_id=event_id)
        if link is None or found is None:
            link = action.link or BlockLink(
                *self.scope.place(action.calendar), source=action.source, span=action.span
            )
            uid = self.services.identity.event_uid(action.event)
            link = replace(link, event_id=event_id, event_uid=uid, span=action.span)
            link = self._intent(link)
        if action.adopts:
            found = await self.services.welkin.event(action.adopts, self.scope.zone)
        for _ in range(GENERATIONS):
            if found is None:
                try:
                    found, new = await ids.create(link, draft)
                except (BadItem, NotFound) as error:
                    if error.code != WelkinCode.UNREADABLE_EVENT:
                        # Rejected: nothing was created that could be shown later.
                        self.begin(replace(link, written_at=None))
                    raise
                if new:
                    return self._blocked(link, action, found)
            if not found.cancelled and not ids.owned_elsewhere(found.id, link):
                if not _is_written(found, draft):
                    found = await self.services.welkin.update_block(found.id, draft)
                return self._blocked(link, action, found)
            link = self.begin(self._next_generation(replace(link, span=action.span)))
            found = None
        raise BadItem(SyncCode.NO_FREE_GENERATION)

    @property
    def _block_ids(self) -> BlockIds:
        return BlockIds(self.services, self.scope)

    async def _update_block(self, action: UpdateBlock) -> BlockLink:
        link = replace(action.link, source=action.source, event_id=action.event.id)
        made = await self.services.welkin.update_block(link.block_id, self._block_draft(action))
        return self._blocked(link, action, made)

    async def _delete_block(self, link: BlockLink) -> BlockLink:
        welkin, zone = self.services.welkin, self.scope.zone
        event_id = link.block_id
        if link.state is LinkState.INTENT:
            # It is not known whether it was created; the link has the externalId that was sent.
            found = None
            for title in mirror_text.fixed_titles(self.scope.settings.block_time):
                draft = BlockDraft(link.user_id, link.span, zone, title, all_day_flag=True)
                found = found or await self._block_ids.find(link, draft)
            if found is None and self._recent(link):
                raise NotShownYet
            event_id = found.id if found is not None else ""
        start, _ = link.span.instants(zone)
        # Welkin keeps events that have begun; a minute's margin for the difference of the clocks.
        future = start > self.services.clock.now() + timedelta(minutes=1)
        if event_id:
            await remove(
                partial(welkin.remove_block, event_id, future=future),
                partial(welkin_event_exists, welkin, event_id, zone),
                recent=self._recent(link),
            )
        return replace(link, state=LinkState.DELETED)

    def _block_draft(self, action: CreateBlock | UpdateBlock) -> BlockDraft:
        rules = self.scope.settings.block_time
        return BlockDraft(
            user_id=self.scope.user_id,
            span=action.span,
            zone=self.scope.zone,
            title=mirror_text.block_title(action.event, rules),
            all_day_flag=rules.all_day_write == "flag",
        )

    def _blocked(
        self, link: BlockLink, action: CreateBlock | UpdateBlock, made: WelkinEvent
    ) -> BlockLink:
        return replace(
            self._counted(self._written(link, made.version), action),
            state=LinkState.LIVE,
            block_id=made.id,
            event_uid=self.services.identity.event_uid(action.event),
            span=action.span,
            wanted_hash=action.content,
            block_hash=self.services.identity.block_hash(made),
        )

    # --- links --------------------------------------------------------------------------------

    def _intent(self, link: AnyLink) -> AnyLink:
        """Store that a creation follows, before the request."""
        if link.generation == 0 or link.state is not LinkState.INTENT:
            link = self._next_generation(link)
        if link.version != UNSEEN:
            link = self._written(link, "")
        return self.begin(link)

    def _recent(self, link: Link) -> bool:
        """The last attempt was so recent that its result may not be shown yet."""
        return link.written_within(SETTLING, self.services.clock.now())

    def _used_up(self, link: MirrorLink) -> bool:
        """Google still knows the id and does not show the event: it was deleted long ago."""
        return link.version == UNSEEN and not self._recent(link)

    def _note_unseen(self, link: MirrorLink) -> None:
        """The id exists, but no event is shown yet: most likely our own creation of just now."""
        if link.version != UNSEEN:
            self.begin(replace(link, version=UNSEEN, written_at=self.services.clock.now()))

    def _written(self, link: AnyLink, version: str) -> AnyLink:
        return replace(link, version=version, written_at=self.services.clock.now())

    def _next_generation(self, link: AnyLink) -> AnyLink:
        """The link with the id or key of its next creation."""
        identity, owner = self.services.identity, (link.platform, link.user_id, link.account)
        link = self._written(replace(link, generation=link.generation + 1), "")
        match link:
            case MirrorLink():
                key = identity.mirror_id(*owner, link.appointment_id, link.generation)
                named = self.services.platforms[link.platform].chooses_ids
                return replace(link, mirror_id=key if named else "", creation_key=key)
            case BlockLink():
                place = (*owner, link.calendar, link.source, link.generation)
                return replace(link, block_id="", external_id=identity.block_external_id(*place))
            case _:
                assert_never(link)

    def _counted(
        self, link: AnyLink, action: CreateMirror | UpdateMirror | CreateBlock | UpdateBlock
    ) -> AnyLink:
        """Count restores within a day: after three an item is left as it is."""
        if not action.restore:
            return link
        now = self.services.clock.now()
        recent = link.restored_at is not None and now - link.restored_at < timedelta(days=1)
        return replace(
            link,
            restores=link.restores + 1 if recent else 1,
            restored_at=link.restored_at if recent else now,
        )


def _is_written(found: WelkinEvent, draft: BlockDraft) -> bool:
    """The block is what we would write: it is adopted as it is."""
    flag = draft.span.all_day and draft.all_day_flag
    # Days are compared as the moments that were written: the user's zone may have changed.
    start, end = draft.span.instants(draft.zone)
    same_time = found.instants == f"{iso(start)}/{iso(end)}"
    same_kind = found.kind == "LEAVE" and found.span.all_day == flag
    return same_time and same_kind and (found.title or "") == draft.body()["eventTitle"]
