"""A calendar of the user for mirrors: made once, found again, and made again if they delete it.

It is known by its id. Where none is stored, the mailbox's own calendar with our name is taken, the
first by id: after a lost database, or a lost answer to its creation. Only then one is made.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from calendar_sync.config.calendars import OWN, OWN_NAME
from calendar_sync.core.codes import SyncCode
from calendar_sync.core.errors import NotShownYet, OutcomeUnknown, SyncError, UserUnavailable
from calendar_sync.core.model import SETTLING, STANDING, LinkState, MappedUser, MirrorLink
from calendar_sync.core.ports import CalendarService
from calendar_sync.state.audit import CycleLog, Operation
from calendar_sync.state.own_calendars import Place
from calendar_sync.state.shared import Lease
from calendar_sync.sync.cycle.scope import Scope
from calendar_sync.sync.services import Services

#: A calendar that its owner deletes is made again so often at most.
EVERY = timedelta(hours=1)
MAKE, REMOVE = "make_calendar", "remove_calendar"


@dataclass(frozen=True)
class OwnCalendar:
    """The calendar of one user, under a lease."""

    services: Services
    scope: Scope
    lease: Lease
    run_id: str

    @property
    def _place(self) -> Place:
        return (*self.scope.pair, self.scope.account.lower())

    async def settled(self) -> Scope:
        """The scope as it is once the calendar is there; nothing is done where none is wanted.

        Raises:
            NotShownYet: one may have been made a moment ago.
            UserUnavailable: we may not; the code names the right.
        """
        scope, store = self.scope, self.services.store
        if not (scope.calendars.pending and scope.direction.writes_calendar):
            return scope
        calendar = await self._found() or await self._made()
        with store.database.write() as connection:
            store.leases.check(connection, self.lease)
            store.own_calendars.save(connection, self._place, calendar, self.services.clock.now())
        return self._with(calendar)

    async def forgotten(self) -> Scope | None:
        """The calendar is not found. The scope without it if it was deleted; None if it was not.

        The list of calendars lacks it, too: with it, everything in it is gone.

        Raises:
            UserUnavailable: it was made so recently that no other is made yet.
        """
        scope, store, now = self.scope, self.services.store, self.services.clock.now()
        calendar = scope.mapped.own_calendar
        if not calendar or scope.calendars.mirrors != calendar:
            return None
        listed = await self._service.listed(scope.account)
        if calendar in {entry.id for entry in listed}:
            return None
        known = store.own_calendars.at(self._place)
        recent = known is not None and now - known.created_at < EVERY
        if recent and scope.direction.writes_calendar:
            raise UserUnavailable(SyncCode.OWN_CALENDAR_DELETED, detail=scope.account)
        gone = [
            replace(link, state=LinkState.DELETED, etag=None, written_at=None)
            for link in store.links.of(*scope.pair)
            if isinstance(link, MirrorLink)
            and (link.account.lower(), link.calendar) == (scope.account.lower(), calendar)
            and link.state in STANDING
        ]
        with store.database.write() as connection:
            store.leases.check(connection, self.lease)
            for link in gone:
                store.links.save(connection, link, now, scope.mapped.revision)
            store.own_calendars.forget(connection, self._place)
        return self._with("")

    @property
    def _service(self) -> CalendarService:
        return self.services.platforms[self.scope.platform].calendars

    def _with(self, calendar: str) -> Scope:
        return replace(self.scope, mapped=replace(self.scope.mapped, own_calendar=calendar))

    async def _found(self) -> str | None:
        """The first by id of those with our name that are this user's."""
        scope = self.scope
        named = {
            entry.id
            for entry in await self._service.listed(scope.account)
            if entry.owned and entry.name == OWN_NAME
        }
        if named:
            # One that another mailbox shares is that one's.
            named -= self.services.store.own_calendars.elsewhere(self._place, named)
        return min(named, default=None)

    async def _made(self) -> str:
        """Make one, unless that was tried a moment ago: its result may not be shown yet."""
        store, clock = self.services.store, self.services.clock
        tried = store.own_calendars.at(self._place)
        if tried is not None and clock.now() - tried.created_at < SETTLING:
            raise NotShownYet(detail=self.scope.account)
        with store.database.write() as connection:
            store.leases.check(connection, self.lease)
            store.own_calendars.begin(connection, self._place, clock.now())
        begun = clock.monotonic()
        try:
            made = await self._service.make(self.scope.account, OWN_NAME)
        except OutcomeUnknown:
            found = await self._found()
            if found is None:
                raise
            return found
        except SyncError as error:
            self._record(error.code, "", begun)
            with store.database.write() as connection:
                store.own_calendars.forget(connection, self._place)
            raise
        self._record("ok", made, begun)
        return made

    def _record(self, outcome: str, calendar: str, begun: float) -> None:
        seconds = self.services.clock.monotonic() - begun
        record(self.services, self.scope.mapped, self.run_id, MAKE, outcome, calendar, seconds)


def record(
    services: Services,
    mapped: MappedUser,
    run_id: str,
    step: str,
    outcome: str,
    calendar: str,
    seconds: float,
) -> None:
    """The audit log has each request that made or deleted a calendar, or was to."""
    log = CycleLog.of(mapped, run_id)
    operation = Operation(step, OWN, "", calendar, calendar, "", outcome, int(1000 * seconds))
    with services.store.database.write() as connection:
        services.store.audit.append(connection, log, operation, services.clock.now())
