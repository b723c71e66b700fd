"""Take away what tests have made: of this one whatever happens, and of earlier ones.

The two sides are independent: if one of them fails, the other is still cleaned.
"""

import contextlib
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from calendar_sync.core.errors import SyncError
from calendar_sync.core.model import MappedUser, Source
from calendar_sync.operations.selftest.report import Remains
from calendar_sync.operations.selftest.syncing import PAUSE, Syncing
from calendar_sync.operations.selftest.traces import FoundTraces, Traces, noted
from calendar_sync.sync.cycle.scope import Scope
from calendar_sync.sync.services import Services

# After a failure or Ctrl-C, do not wait long for the sync to clean up.
CLEANING = 60.0


@dataclass
class Cleaning:
    """The cleaning of one (user, platform), with the sync's help where it is needed."""

    services: Services
    scope: Scope
    sync: Syncing
    _errors: list[SyncError] = field(default_factory=list)

    async def leftovers(self, timeout: float) -> int:
        """Remove what is left of this user's earlier tests, and of anybody's lost one."""
        traces = Traces(self.services, self.scope)
        found = await traces.find()
        removed = len(found)
        if found:
            await self._remove(traces, found, timeout)
            self._raise()
        for mapped in list(noted(self.services.store)):
            if (mapped.user_id, mapped.platform) != self.scope.pair:
                removed += await self._remove_noted(mapped)
        return removed

    async def clean(self, timeout: float, made: list[str]) -> None:
        """Whatever the steps have left, on both sides; then look whether that was all.

        Raises:
            Remains: something is left, though both sides answer.
            SyncError: a side did not answer; what is left is found by the next test.
        """
        traces = Traces(self.services, self.scope)
        await self._remove(traces, await self._find(traces), timeout, made)
        self._unpark(made)
        self._raise()
        left = await traces.find()
        begun = self.services.clock.monotonic()
        while left and self.services.clock.monotonic() - begun < CLEANING:
            # Reads may lag behind what was just deleted, and so may what was asked to delete it.
            await self.services.clock.sleep(PAUSE)
            left = await traces.find()
            with self._noting():
                await traces.remove_events(left)
                await traces.delete_cancelled(left)
        if left:
            raise Remains(detail=str(left))
        traces.forget()

    async def _find(self, traces: Traces) -> FoundTraces:
        """What each side shows, nothing where it does not answer."""
        found = FoundTraces()
        with self._noting():
            found = replace(found, appointments=await traces.appointments())
        with self._noting():
            found = replace(found, events=await traces.events())
        return found

    async def _remove(
        self, traces: Traces, found: FoundTraces, timeout: float, made: Iterable[str] = ()
    ) -> None:
        """Events at once; appointments cancelled, and deleted when their mirrors are gone."""
        with self._noting():
            await traces.cancel(found)
        with self._noting():
            await traces.remove_events(found)
        sources = {event.id for event in found.appointments} | set(made)
        sources |= {event_id for _, event_id in found.events}

        async def followed() -> bool:
            blocks = self.services.store.links.blocks_of(sources)
            return not blocks and not any(map(traces.mirrored, sources))

        if not await followed():
            with contextlib.suppress(SyncError):
                await self.sync.until(followed, "", timeout)
        with self._noting():
            await traces.delete_cancelled(found)

    async def _remove_noted(self, mapped: MappedUser) -> int:
        """Another pair's: taken away as far as that goes now; what stays, stays noted."""
        services = self.services
        if mapped.platform not in services.platforms:
            return 0
        traces = Traces(services, replace(self.scope, mapped=mapped))
        try:
            with self._lease_of(mapped.user_id):
                found = await traces.find()
                await traces.remove_events(found)
                await traces.cancel(found)
                await traces.delete_cancelled(found)
                if not await traces.find():
                    traces.forget()
        except SyncError:
            return 0  # out of reach, or its test is still under way
        return len(found)

    @contextlib.contextmanager
    def _lease_of(self, user_id: str) -> Iterator[None]:
        """So that no test that is under way loses its things; our own user's is held already."""
        leases, clock = self.services.store.leases, self.services.clock
        if user_id == self.scope.user_id:
            yield
            return
        lease = leases.take(lease_name(user_id), uuid.uuid4().hex, clock.now())
        try:
            yield
        finally:
            leases.release(lease, clock.now())

    def _unpark(self, made: Iterable[str]) -> None:
        """Failed items of the test need not be shown."""
        store = self.services.store
        with store.database.write() as connection:
            for source_id in made:
                store.items.unpark(connection, self.scope.pair, Source(source_id))

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        """The rest goes on, and the first error is told at the end."""
        try:
            yield
        except SyncError as error:
            self._errors.append(error)

    def _raise(self) -> None:
        if self._errors:
            first, self._errors = self._errors[0], []
            raise first


def lease_name(user_id: str) -> str:
    """The lease of a user's test, beside that of the user's cycles."""
    return f"test:{user_id}"[:64]
