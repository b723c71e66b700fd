"""What tests have made, found by its marks, and removed.

Two marks serve each side: Welkin's `externalId` (and where a tenant keeps none, a title with a
keyed part), and a private property of the calendar's event. Users with a test under way are noted
in the state database as well, so that one whose process was lost is looked at by the next test,
whomever that is about.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from calendar_sync.core.model import MappedUser, Platform, WelkinEvent, Window
from calendar_sync.state import Store
from calendar_sync.sync.cycle.removal import event_exists, remove, welkin_event_exists
from calendar_sync.sync.cycle.scope import Scope
from calendar_sync.sync.services import Services

#: Where the state database notes whose test is under way, beside its facts about platforms.
TESTS = "tests"
REACH = timedelta(days=40)


@dataclass(frozen=True)
class FoundTraces:
    """Everything of tests that is there now."""

    appointments: tuple[WelkinEvent, ...] = ()
    events: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        """How much there is."""
        return len(self.appointments) + len(self.events)

    def __str__(self) -> str:
        """By opaque ids."""
        ids = [f"appointment {event.id} in Welkin" for event in self.appointments]
        return ", ".join(ids + [f"event {key} in the calendar" for _, key in self.events])


@dataclass(frozen=True)
class Traces:
    """The items of tests of one (user, platform)."""

    services: Services
    scope: Scope

    async def find(self) -> FoundTraces:
        """By their marks, on both sides."""
        return FoundTraces(await self.appointments(), await self.events())

    async def appointments(self) -> tuple[WelkinEvent, ...]:
        """Welkin's side. What it keeps of the past, as cancelled, is no trace."""
        services, scope = self.services, self.scope
        window = Window(scope.now - REACH, scope.now + REACH)
        events, _ = await services.welkin.events([scope.user_id], window, scope.zone)
        return tuple(
            event
            for event in events.values()
            if services.identity.is_test(event, scope.user_id)
            and not (event.cancelled and event.span.instants(scope.zone)[0] <= scope.now)
        )

    async def events(self) -> tuple[tuple[str, str], ...]:
        """The calendar's side: calendar and id of each."""
        platform, scope = self.services.platforms[self.scope.platform], self.scope
        found = []
        for calendar in scope.calendars.all:
            ids = await platform.test_events(scope.account, calendar, self.mark)
            found += [(calendar, event_id) for event_id in ids]
        return tuple(found)

    async def remove_events(self, found: FoundTraces) -> None:
        """The calendar's side: deleted at once."""
        for calendar, event_id in found.events:
            await self.remove_event(calendar, event_id)

    async def remove_event(self, calendar: str, event_id: str) -> None:
        """One event of the calendar's side."""
        platform = self.services.platforms[self.scope.platform]
        place = (self.scope.account, calendar, event_id)
        await remove(
            partial(platform.delete_test_event, *place), partial(event_exists, platform, *place)
        )

    async def cancel(self, found: FoundTraces) -> None:
        """Welkin's side: cancelled first, so that no mirror's removal rests on absence."""
        for event in found.appointments:
            if not event.cancelled:
                await self.services.welkin.cancel_event(event.id, self.scope.zone)

    async def delete_cancelled(self, found: FoundTraces) -> None:
        """Then deleted, once no mirror of them is left on any platform."""
        for event in found.appointments:
            if not self.mirrored(event.id):
                welkin, zone = self.services.welkin, self.scope.zone
                await remove(
                    partial(welkin.delete_event, event.id),
                    partial(welkin_event_exists, welkin, event.id, zone),
                )

    def mirrored(self, appointment_id: str) -> bool:
        """Some mirror welkin_event_exists, or may stand."""
        return bool(self.services.store.links.mirrors_of([appointment_id]))

    @property
    def mark(self) -> str:
        """What this user's test items carry."""
        return self.services.identity.test_mark(self.scope.user_id)

    # --- the note ---------------------------------------------------------------------------------

    def note(self) -> None:
        """A test begins to make things: stored before the first of them."""
        key = f"{self.scope.platform.value}|{self.scope.user_id}"
        self.services.store.runs.set_facts(TESTS, **{key: self.scope.account})

    def forget(self) -> None:
        """Nothing is left."""
        key = f"{self.scope.platform.value}|{self.scope.user_id}"
        self.services.store.runs.set_facts(TESTS, **{key: None})


def noted(store: Store) -> Iterator[MappedUser]:
    """Users with a test that began and has not ended."""
    for key, account in store.runs.facts(TESTS).items():
        platform, _, user_id = key.partition("|")
        if account:
            yield MappedUser(user_id, Platform(platform), account)
