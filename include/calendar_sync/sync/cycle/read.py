"""Read both sides of one (user, platform) and join them into what the planner looks at."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from calendar_sync.adapters.welkin import Encounters
from calendar_sync.core.codes import Code, GoogleCode, MicrosoftCode, SyncCode, WelkinCode
from calendar_sync.core.concurrency import both, together
from calendar_sync.core.errors import (
    BadItem,
    NotFound,
    TransientError,
    UserUnavailable,
)
from calendar_sync.core.identity import EXTERNAL_ID_PREFIX
from calendar_sync.core.model import (
    MISSING,
    Appointment,
    BlockLink,
    Draft,
    Encounter,
    Link,
    Meeting,
    Platform,
    Refusal,
    Row,
    Source,
    Step,
    WelkinEvent,
    iso,
)
from calendar_sync.core.unreadable import note
from calendar_sync.planner import CalendarView, Questions, View, mirror_text, questions
from calendar_sync.planner.snapshot import BlockSeen
from calendar_sync.state.feeds import Cursor
from calendar_sync.state.runs import DELETIONS_FROM, ENCOUNTERS_MOVE, SKIPPED_AT, SWEEP, WELKIN
from calendar_sync.sync.cycle.calendars import CalendarReader
from calendar_sync.sync.cycle.meetings import kept
from calendar_sync.sync.cycle.scope import NO_CHANGES, Scope
from calendar_sync.sync.cycle.tries import Tries
from calendar_sync.sync.services import Services

ROUNDS = 6
DAY = timedelta(days=1)
DOUBTFUL = 5

_UNREADABLE: Mapping[Platform, Code] = {
    Platform.GOOGLE: GoogleCode.UNREADABLE_EVENT,
    Platform.MICROSOFT: MicrosoftCode.UNREADABLE_EVENT,
}


@dataclass
class Reading:
    """The view, and the positions to store once everything in it has been applied.

    `refused` are items that exist and cannot be read.
    """

    view: View
    cursors: dict[str, Cursor]
    full: bool
    refused: tuple[Refusal, ...]
    unreadable: int
    tries: Tries


@dataclass
class Reader:
    """Asks both sides until the planner has no question left."""

    services: Services
    scope: Scope
    links: tuple[Link, ...]
    full: bool
    _others: dict[str, Any] = field(init=False)
    _block_ids: frozenset[str] = field(init=False)
    _unreadable: set[str] = field(default_factory=set)
    _calendars: CalendarReader = field(init=False)

    def __post_init__(self) -> None:
        """Note which Welkin events are blocks of ours, by their links on both platforms."""
        blocks = (link for link in self.links if isinstance(link, BlockLink))
        self._others = self._other_platforms()
        kept_elsewhere = self._others["kept_elsewhere"].values()
        self._block_ids = frozenset(link.block_id for link in (*blocks, *kept_elsewhere))
        self._calendars = CalendarReader(self.services, self.scope, self.links, self.full)

    async def read(self) -> Reading:
        """Both sides at once, then what the planner still asks for."""
        scope = self.scope
        calendars = scope.calendars
        (found, unreadable), changes = await both(
            self._welkin_window(), together(self._calendars.changes(name) for name in calendars.all)
        )
        self._unreadable |= unreadable
        appointments, blocks = await self._sort(found.values())
        view = replace(
            self.blank(),
            appointments=appointments,
            drafts=self.drafts(appointments),
            blocks=blocks,
            calendars=tuple(
                self.calendar(name, {event.id: event for event in change.events}, full=change.full)
                for name, (change, _) in zip(calendars.all, changes, strict=True)
            ),
            unreadable=frozenset(self._unreadable),
        )
        if calendars.pending and scope.direction.writes_calendar:
            # Of a plan that is only shown: the calendar will be made first.
            empty = self.calendar(calendars.mirrors, {}, full=True)
            view = replace(view, calendars=(empty, *view.calendars))
        for _ in range(ROUNDS):
            asked = questions(view)
            if not asked.count:
                break
            view = await self._answer(view, asked)
        else:
            raise TransientError(SyncCode.TOO_MANY_QUESTIONS)
        settled = tuple(self._calendars.settle(view, calendar) for calendar in view.calendars)
        view = self._with_unlinked(replace(view, calendars=settled))
        cursors = {
            name: cursor
            for name, (_, cursor) in zip(calendars.all, changes, strict=True)
            if cursor is not None
        }
        # If the list of changes cannot be read, each cycle reads the whole window: that does not
        # count as the daily comparison.
        listing = any(cursor.position == NO_CHANGES for cursor in cursors.values())
        full = all(change.full for change, cursor in changes if cursor is not None)
        return Reading(
            view,
            cursors,
            full=full and (self.full or not listing),
            refused=self._refused(view),
            unreadable=len(view.unreadable) + sum(len(one.undecided) for one in settled),
            tries=self._calendars.tries,
        )

    def _refused(self, view: View) -> tuple[Refusal, ...]:
        """Items that exist and cannot be read: they are shown, and nothing else is done."""
        ours: Code = WelkinCode.UNREADABLE_EVENT
        steps = [(Step.CREATE_MIRROR, key, ours) for key in sorted(self._unreadable) if key]
        for calendar in view.calendars:
            ids = sorted(calendar.undecided - calendar.denied - calendar.closed)
            steps += [(Step.CREATE_BLOCK, key, _UNREADABLE[self.scope.platform]) for key in ids]
        return tuple(Refusal(step, Source(key), code) for step, key, code in steps)

    def _with_unlinked(self, view: View) -> View:
        """Add whose the events are that have our mark and no link of this user.

        Another user who has, or had, this mailbox clears their own mirrors. The events that the
        audit log names were made for this user, perhaps when the mailbox had another name.
        """
        store, scope = self.services.store, self.scope
        unknown = {key for calendar in view.calendars for key in calendar.ours} - view.mirror_ids
        if not unknown:
            return view
        found = store.links.mirrors(unknown)
        others = {link.mirror_id for link in found if link.user_id != scope.user_id}
        return replace(
            view,
            claimed_elsewhere=view.claimed_elsewhere | others,
            recorded_mirrors=store.audit.mirrors_made(scope.user_id, scope.platform.value, unknown),
        )

    def blank(self) -> View:
        """What is known before either side is asked."""
        scope, store = self.scope, self.services.store
        return View(
            user_id=scope.user_id,
            platform=scope.platform,
            account=scope.account,
            now=scope.now,
            zone=scope.zone,
            direction=scope.direction,
            mirror_window=scope.mirror_window,
            block_window=scope.block_window,
            list_window=scope.list_window,
            appointments={},
            drafts={},
            blocks={},
            absent=frozenset(),
            calendars=(),
            links=self.links,
            identity=self.services.identity,
            level=scope.settings.mirror_content.level,
            approved=store.runs.approved(*scope.pair, scope.now),
            encounters_move=bool(store.runs.facts(WELKIN).get(ENCOUNTERS_MOVE)),
            written_back=store.audit.written_back(*scope.pair, scope.now - DAY),
            **self._others,
        )

    # --- Welkin -------------------------------------------------------------------------------

    async def _welkin_window(self) -> tuple[dict[str, WelkinEvent], set[str]]:
        scope = self.scope
        # A full comparison reads in parts, even if longer windows have worked.
        welkin = self.services.welkin
        chunk = welkin.part if self.full else None
        return await welkin.events([scope.user_id], scope.welkin_window, scope.zone, chunk=chunk)

    async def _sort(
        self, events: Iterable[WelkinEvent]
    ) -> tuple[dict[str, Appointment], dict[str, BlockSeen]]:
        """Appointments and our blocks; other leaves do not matter."""
        blocks: dict[str, BlockSeen] = {}
        visits: list[WelkinEvent] = []
        for event in events:
            ours = (event.external_id or "").startswith(EXTERNAL_ID_PREFIX)
            if ours or event.id in self._block_ids:
                with self._guarded(event):
                    content = self.services.identity.block_hash(event)
                    blocks[event.id] = BlockSeen(
                        event.id,
                        event.span,
                        content,
                        event.cancelled,
                        event.version,
                        (event.external_id or "") if ours else "",
                    )
            elif event.kind != "LEAVE":
                visits.append(event)
        encounters = await self._encounters(visits)
        appointments: dict[str, Appointment] = {}
        for event in visits:
            with self._guarded(event):
                appointments[event.id] = self._appointment(event, encounters)
        return appointments, blocks

    @contextlib.contextmanager
    def _guarded(self, event: WelkinEvent) -> Iterator[None]:
        """An event that causes an error counts as unreadable, and does not affect the others."""
        try:
            yield
        except Exception as bug:
            note(bug, "welkin event", {"id": event.id})
            self._unreadable.add(event.id)

    async def _encounters(self, visits: list[WelkinEvent]) -> dict[str, Encounter]:
        """From the index; those that it lacks are read once, from their hosts' encounters."""
        store = self.services.store
        wanted = {event.id: event for event in visits if event.kind == "ENCOUNTER"}
        known = store.feeds.encounters(wanted)
        missing = {event.host_id for key, event in wanted.items() if key not in known}
        found: dict[str, Encounter] = {}
        for host in sorted(host for host in missing if host):
            listed = await self._listed_encounters(host) or Encounters()
            found |= {key: listed[key] for key in wanted if key in listed and key not in known}
        vanished = await self._vanished(wanted, known)
        if found or vanished:
            with store.database.write() as connection:
                # What another process has stored meanwhile is newer than our answer.
                store.feeds.add_encounters(connection, found.values())
                store.feeds.save_encounters(connection, vanished.values())
        return {**found, **known, **vanished}

    async def _listed_encounters(self, user_id: str) -> Encounters | None:
        """A host's encounters; None if the host is unknown or hidden: then they stay pending."""
        try:
            return await self.services.welkin.encounters_of(user_id)
        except (BadItem, NotFound, UserUnavailable):
            return None

    async def _vanished(
        self, wanted: dict[str, WelkinEvent], known: dict[str, Encounter]
    ) -> dict[str, Encounter]:
        """A full read compares encounters if their deletions or changes may not be reported."""
        facts = self.services.store.runs.facts(WELKIN)
        skipped = facts.get(SKIPPED_AT, "") >= iso(self.scope.now - 2 * DAY)
        swept = facts.get(DELETIONS_FROM) == SWEEP
        if not (self.full and (swept or skipped) and known):
            return {}
        listed = await self._listed_encounters(self.scope.user_id)
        if listed is None or listed.incomplete:
            return {}
        return {
            key: replace(encounter, status=MISSING) if key not in listed else listed[key]
            for key, encounter in known.items()
            if wanted[key].host_id == self.scope.user_id and listed.get(key) != encounter
        }

    def _appointment(self, event: WelkinEvent, encounters: dict[str, Encounter]) -> Appointment:
        encounter = encounters.get(event.id) if event.kind == "ENCOUNTER" else None
        return self.services.identity.appointment(event, encounter)

    def drafts(self, appointments: dict[str, Appointment]) -> dict[str, Draft]:
        """The contents of their mirrors, by appointment id; none if one causes an error."""
        scope, identity = self.scope, self.services.identity
        drafts: dict[str, Draft] = {}
        for key, appointment in appointments.items():
            if scope.user_id in appointment.event.user_ids:
                with self._guarded(appointment.event):
                    drafts[key] = mirror_text.draft(
                        appointment, scope.settings, identity, scope.zone.key, scope.platform
                    )
        return drafts

    # --- the calendar -------------------------------------------------------------------------

    def calendar(self, name: str, events: dict[str, Row], *, full: bool) -> CalendarView:
        """One calendar of the account, with these events in it."""
        return self._calendars.view(name, events, full=full)

    def _other_platforms(self) -> dict[str, Any]:
        """Which blocks belong to the user's other mailboxes, and whether all of them are known."""
        store, user_id = self.services.store, self.scope.user_id
        claimed: set[str] = set()
        kept_elsewhere: dict[Meeting, BlockLink] = {}
        all_known = True
        for other in Platform:
            if other is self.scope.platform:
                continue
            links = [x for x in store.links.of(user_id, other) if isinstance(x, BlockLink)]
            claimed |= {link.name for link in links}
            row = store.config.mapped(user_id, other)
            kept_elsewhere |= kept(self.scope.organisation, row, links)
            waits = store.marks.of(user_id, other)
            if row is not None and row.enabled:
                all_known = all_known and waits.last_success_at is not None
        return {
            "claimed_elsewhere": frozenset(claimed),
            "kept_elsewhere": kept_elsewhere,
            "other_blocks_known": all_known,
        }

    # --- questions ----------------------------------------------------------------------------

    async def _answer(self, view: View, asked: Questions) -> View:
        fetched = await together(self._fetch(key) for key in asked.welkin_events)
        answers = dict(zip(asked.welkin_events, fetched, strict=True))
        absent = {key for key, answer in answers.items() if answer is None}
        unreadable = {key for key, answer in answers.items() if isinstance(answer, BadItem)}
        self._unreadable |= {
            key
            for key, answer in answers.items()
            if isinstance(answer, BadItem) and answer.code == WelkinCode.UNREADABLE_EVENT
        }
        await self._control_welkin(view, absent)
        appointments, blocks = await self._sort(
            answer for answer in fetched if isinstance(answer, WelkinEvent)
        )
        calendars = tuple(
            [await self._calendars.answer(calendar, asked) for calendar in view.calendars]
        )
        return replace(
            view,
            appointments={**view.appointments, **appointments},
            drafts={**view.drafts, **self.drafts(appointments)},
            blocks={**view.blocks, **blocks},
            absent=view.absent | absent,
            unreadable=view.unreadable | unreadable | self._unreadable,
            calendars=calendars,
        )

    async def _fetch(self, event_id: str) -> WelkinEvent | BadItem | None:
        """One event of Welkin; one that cannot be read is an answer, too."""
        try:
            return await self.services.welkin.event(event_id, self.scope.zone)
        except BadItem as error:
            return error

    # --- controls: many 404s at once count only if an event that exists is still found ----------

    async def _control_welkin(self, view: View, absent: set[str]) -> None:
        if len(absent) < DOUBTFUL:
            return
        living = next(iter([*view.appointments, *view.blocks]), None)
        if living and await self.services.welkin.event(living, self.scope.zone) is None:
            raise TransientError(WelkinCode.DENIES_LIVING_EVENTS, detail=str(len(absent)))
