"""Read the calendars of one account: what changed, and what must be read by its id.

If an event or series cannot be read while the account itself answers, only that item is concerned:
nothing is decided about it, it is tried again, and after three times parked and shown (rule 15).
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from calendar_sync.adapters.http import waiting_at_most
from calendar_sync.core.codes import AccountVerdict, SyncCode
from calendar_sync.core.concurrency import together
from calendar_sync.core.errors import (
    CursorExpired,
    NotFound,
    RateLimited,
    SyncError,
    TenantMisconfigured,
    TransientError,
    UserUnavailable,
)
from calendar_sync.core.model import (
    STANDING,
    BlockLink,
    CalendarEvent,
    Changes,
    Link,
    LookUp,
    MirrorLink,
    Removed,
    Row,
    SeriesSet,
    Source,
    Step,
)
from calendar_sync.core.redaction import as_ours
from calendar_sync.core.unreadable import note
from calendar_sync.planner import CalendarView, Questions, View
from calendar_sync.state.feeds import Cursor
from calendar_sync.state.marks import ATTENTION_AFTER
from calendar_sync.sync.cycle.scope import (
    NO_CALENDAR,
    NO_CHANGES,
    Scope,
    cursor_shape,
    same_request,
)
from calendar_sync.sync.cycle.tries import Key, Tries
from calendar_sync.sync.freshness import poll_interval, unheard
from calendar_sync.sync.services import Services

DOUBTFUL = 5
CONTROLS = 3
# A calendar that existed counts as deleted after so long, and after three tries.
LASTING = timedelta(hours=1)
# Tries that are further apart are not counted together.
STREAK = timedelta(hours=2)
Value = TypeVar("Value")


@dataclass
class CalendarReader:
    """The calendar side of one cycle's reading."""

    services: Services
    scope: Scope
    links: tuple[Link, ...]
    full: bool
    tries: Tries = field(init=False)
    _answers: bool = False

    def __post_init__(self) -> None:
        """Note what could not be read before."""
        self.tries = Tries(self.services.store, self.scope.pair, self.scope.now)

    @property
    def _platform(self) -> Any:
        return self.services.reader(self.scope.settings, self.scope.platform)

    def view(self, name: str, events: Mapping[str, Row], *, full: bool) -> CalendarView:
        """One calendar of the account, with these events in it."""
        identity, calendars = self.services.identity, self.scope.calendars
        mirrors = {link.mirror_id for link in self.links if isinstance(link, MirrorLink)}
        readable: dict[str, CalendarEvent | Removed] = {}
        hashes: dict[str, str] = {}
        ours: set[str] = set()
        for key, event in events.items():
            try:
                if not isinstance(event, CalendarEvent | Removed):
                    continue
                if identity.is_ours(event.marker):
                    ours.add(event.id)
                known = event.id in mirrors or event.id in ours
                if known and isinstance(event, CalendarEvent):
                    hashes[event.id] = identity.event_hash(event)
            except Exception as bug:
                note(bug, "calendar event", {"id": event.id})
            else:
                readable[key] = event
        return CalendarView(
            name=name,
            holds_mirrors=name == calendars.mirrors,
            counts_as_busy=name in calendars.busy,
            full=full,
            events=readable,
            hashes=hashes,
            ours=frozenset(ours),
            lookups=dict.fromkeys(events.keys() - readable.keys(), LookUp.UNREADABLE),
        )

    # --- what changed -------------------------------------------------------------------------

    async def changes(self, calendar: str) -> tuple[Changes, Cursor | None]:
        """What the calendar reports, and the cursor to store once it has been applied.

        No changes and no cursor if the calendar is not found now: nothing is decided about it.
        """
        scope, services = self.scope, self.services
        stored = services.store.feeds.cursor(scope.platform.value, scope.user_id, calendar)
        shape = cursor_shape(self._platform.shape, scope.revision, scope.mapped, scope.zone)
        try:
            if stored is not None and stored.position == NO_CHANGES:
                found = await self._listed(calendar, shape)
            else:
                found = await self._followed(calendar, stored, shape)
        except NotFound as error:
            if calendar == scope.calendars.mirrors:
                raise UserUnavailable(
                    AccountVerdict.CALENDAR_NOT_FOUND, detail=scope.account
                ) from None
            return self._no_calendar(calendar, stored, shape, error)
        except TransientError as error:
            if not await self._only_the_list(error):
                raise
            found = await self._listed(calendar, shape)
        self.tries.works((Step.READ, Source(calendar)))
        return found

    async def _followed(
        self, calendar: str, stored: Cursor | None, shape: str
    ) -> tuple[Changes, Cursor]:
        account, window = self.scope.account, self.scope.list_window
        if stored is not None and not self.full and self._usable(stored, shape):
            if stored.position == NO_CALENDAR:
                return Changes((), NO_CALENDAR, full=False), stored
            with contextlib.suppress(CursorExpired):
                found = await self._platform.changes(account, calendar, stored.position, window)
                return found, replace(stored, position=found.cursor)
        found = await self._platform.changes(account, calendar, None, window)
        return found, Cursor(found.cursor, shape, window.end)

    def _usable(self, stored: Cursor, shape: str) -> bool:
        """Same request, settings and account, and a window that still reaches far enough."""
        reaches = stored.window_end is None or stored.window_end >= self.scope.welkin_window.end
        return stored.shape == shape and reaches

    async def _only_the_list(self, error: TransientError) -> bool:
        """The list of changes has failed for a while, and the mailbox answers all the same."""
        if isinstance(error, RateLimited) and not error.overloaded:
            return False
        scope, services = self.scope, self.services
        state = services.store.marks.of(*scope.pair)
        interval = poll_interval(scope.settings, scope.platform, 1, scope.now)
        lasting = state.failures + 1 >= ATTENTION_AFTER or unheard(state, interval, scope.now)
        if not lasting:
            return False
        with waiting_at_most(0):
            await self._account_answers()
        return True

    async def _listed(self, calendar: str, shape: str) -> tuple[Changes, Cursor]:
        """The whole window without a cursor; and a look whether changes can be followed again."""
        account, window = self.scope.account, self.scope.list_window
        key, found = (Step.FOLLOW, Source(calendar)), None
        try:
            with waiting_at_most(0):
                found = await self._platform.changes(account, calendar, None, window)
                since = await self._platform.changes(account, calendar, found.cursor, window)
        except (TransientError, CursorExpired) as error:
            if isinstance(error, RateLimited) and not error.overloaded:
                raise
            self.tries.failed(key, "", error, at_once=True)
        else:
            self.tries.works(key)
            events = {event.id: event for event in (*found.events, *since.events)}
            merged = Changes(tuple(events.values()), since.cursor, full=True)
            return merged, Cursor(since.cursor, shape, window.end)
        if found is None:
            found = await self._platform.listed(account, calendar, window)
        return replace(found, cursor=NO_CHANGES), Cursor(NO_CHANGES, shape, window.end)

    def _no_calendar(
        self, calendar: str, stored: Cursor | None, shape: str, error: SyncError
    ) -> tuple[Changes, Cursor | None]:
        """Not every account has every busy calendar. One that existed may come back.

        It is read with each poll, and its blocks stay until it has not been found for an hour.
        """
        key, now = (Step.READ, Source(calendar)), self.scope.now
        followed = stored is not None and same_request(stored.shape, shape)
        was_here = followed and stored is not None and stored.position != NO_CALENDAR
        was_here = was_here or any(
            isinstance(link, BlockLink) and link.calendar == calendar and link.state in STANDING
            for link in self.links
        )
        if not was_here:
            return Changes((), NO_CALENDAR, full=True), self._nowhere(shape)
        known = self.tries.known(key)
        streak = known if known is not None and now - known.last_at <= STREAK else None
        content = streak.content if streak is not None else f"{now:%Y-%m-%dT%H:%M:%S}"
        often = self.tries.failed(key, content, error)
        if often and streak is not None and now - streak.first_at >= LASTING:
            self.tries.forget(key)
            return Changes((), NO_CALENDAR, full=True), self._nowhere(shape)
        return Changes((), "", full=False), None

    def _nowhere(self, shape: str) -> Cursor:
        return Cursor(NO_CALENDAR, shape, self.scope.list_window.end)

    # --- what must be read by its id ------------------------------------------------------------

    async def answer(self, calendar: CalendarView, asked: Questions) -> CalendarView:
        """The calendar with the answers to these questions in it."""
        account, name = self.scope.account, calendar.name
        event = partial(self._platform.event, account, name)
        instances = partial(self._platform.series, account, name, window=self.scope.list_window)
        events = self._worth_asking(calendar, asked.calendar_events.get(name, ()))
        series = self._worth_asking(calendar, asked.series.get(name, ()))
        skipped = {*asked.calendar_events.get(name, ()), *asked.series.get(name, ())}
        skipped -= {*events, *series}
        found = await self._ask({key: partial(event, key) for key in events})
        sets = await self._ask({key: partial(instances, key) for key in series})
        refused = {
            key: error
            for key, error in (*found.items(), *sets.items())
            if isinstance(error, SyncError)
        }
        if refused:
            await self._account_answers()
        closed = {key for key, error in refused.items() if self._count(calendar, key, error)}
        closed |= skipped
        gone = {key for key, answer in found.items() if answer is None}
        await self._control(calendar, gone)
        shown = {e.id: e for e in found.values() if isinstance(e, Row)}
        self.tries.shown({*shown, *gone})
        # If a list showed it incompletely, and it is not found, nothing can be decided about it.
        doubted = {key for key in gone & calendar.living.keys() if calendar.living[key].unread}
        hidden = doubted | closed | refused.keys() - sets.keys()
        known = {
            key: event.not_found() if key in gone and isinstance(event, Removed) else event
            for key, event in calendar.events.items()
            if key not in hidden
        }
        fresh = self.view(name, {**known, **shown}, full=calendar.full)
        whole = {key: value for key, value in sets.items() if isinstance(value, SeriesSet)}
        return replace(
            fresh,
            series={**calendar.series, **whole},
            lookups={
                **calendar.lookups,
                **dict.fromkeys(gone, LookUp.MISSING),
                **dict.fromkeys(shown, LookUp.CONFIRMED),
                **fresh.lookups,
                **dict.fromkeys(doubted, LookUp.DOUBTED),
                **dict.fromkeys(refused, LookUp.DENIED),
                **dict.fromkeys(closed, LookUp.CLOSED),
            },
        )

    def settle(self, view: View, calendar: CalendarView) -> CalendarView:
        """Decide for each series whether its set of instances can be trusted.

        It cannot if it lacks an instance that was shown elsewhere. Nor can an empty set of a series
        whose rule has instances, unless each instance that we know was not found by its id, either.
        """
        series: dict[str, SeriesSet] = {}
        lookups = dict(calendar.lookups)
        for key, found in calendar.series.items():
            series[key] = found
            whole = found.known and not self._contradicted(view, calendar, key, found)
            if found.missing or whole:
                self.tries.shown({key})
                continue
            series[key] = replace(found, known=False, doubted=True)
            if not found.known and self._all_gone(view, calendar, key):
                series[key] = SeriesSet((), known=False)
                self.tries.shown({key})
            elif self._count(calendar, key, TransientError(SyncCode.SERIES_INCOMPLETE)):
                lookups[key] = LookUp.CLOSED
            else:
                lookups[key] = LookUp.DENIED
        if calendar.full:
            unread = {key for key, event in calendar.living.items() if event.unread}
            told = {e.series_id or e.id for e in calendar.events.values() if e.id not in unread}
            self.tries.shown(told | calendar.events.keys() - calendar.undecided)
        return replace(calendar, series=series, lookups=lookups)

    def _contradicted(self, view: View, calendar: CalendarView, key: str, found: SeriesSet) -> bool:
        listed = {event.id for event in found.instances}
        return any(
            event.series_id == key
            and event.id not in listed
            and event.span.overlaps(view.block_window, view.zone)
            for event in calendar.living.values()
        )

    def _all_gone(self, view: View, calendar: CalendarView, key: str) -> bool:
        links = [
            link
            for link in view.live(BlockLink, calendar.name)
            if link.source.id == key and link.span.overlaps(view.block_window, view.zone)
        ]
        return bool(links) and all(
            link.event_id in calendar.gone
            or isinstance(calendar.events.get(link.event_id), Removed)
            for link in links
        )

    def _worth_asking(self, calendar: CalendarView, keys: Iterable[str]) -> list[str]:
        return [
            key
            for key in keys
            if not self.tries.left_alone(_read(key), self._content(calendar, key))
        ]

    def _count(self, calendar: CalendarView, key: str, error: SyncError) -> bool:
        return self.tries.failed(_read(key), self._content(calendar, key), error)

    def _content(self, calendar: CalendarView, key: str) -> str:
        """What the list says of an event or series: if that changes, it is tried again at once."""
        told = sorted(
            f"{event.id} {event.etag} {event.version} {isinstance(event, Removed)}"
            for event in calendar.events.values()
            if key in (event.id, event.series_id)
            and calendar.lookups.get(event.id) is not LookUp.CONFIRMED
        )
        return self.services.identity.hash("told", *told) if told else ""

    async def _ask(
        self, asked: dict[str, Callable[[], Awaitable[Value]]]
    ) -> dict[str, Value | SyncError]:
        """All answers and errors of single items; a rate limit or a wrong token concerns all."""

        async def one(question: Callable[[], Awaitable[Value]]) -> Value | SyncError:
            try:
                return await question()
            except SyncError as error:
                limit = isinstance(error, RateLimited) and not error.overloaded
                if limit or isinstance(error, TenantMisconfigured):
                    raise
                return error
            except SQLAlchemyError:
                raise
            except Exception as bug:
                return as_ours(bug)

        answers = await together(one(question) for question in asked.values())
        return dict(zip(asked, answers, strict=True))

    async def _account_answers(self) -> None:
        """Check that the account itself can be read: then an error is about a single item.

        Raises:
            SyncError: it cannot be read.
        """
        if self._answers:
            return
        try:
            await self._platform.look(self.scope.account)
        except NotFound:
            raise UserUnavailable(
                AccountVerdict.CALENDAR_NOT_FOUND, detail=self.scope.account
            ) from None
        self._answers = True

    # --- controls: many 404s at once count only if an event that exists is still found ----------

    async def _control(self, calendar: CalendarView, gone: set[str]) -> None:
        if len(gone) < DOUBTFUL:
            return
        for key in [each for each in calendar.living if each not in gone][:CONTROLS]:
            asked = partial(self._platform.event, self.scope.account, calendar.name, key)
            [answer] = (await self._ask({key: asked})).values()
            if answer is None:
                raise TransientError(SyncCode.CALENDAR_DENIES_LIVING_EVENTS, detail=str(len(gone)))
            if isinstance(answer, Row):
                return


def _read(key: str) -> Key:
    return Step.READ, Source(key)
