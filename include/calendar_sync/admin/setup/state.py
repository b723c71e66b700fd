"""The set-up as a page shows it: what is there, and its steps."""

from dataclasses import dataclass

from starlette.requests import Request

from calendar_sync.admin.web.lanes import READING
from calendar_sync.admin.web.opening import State
from calendar_sync.admin.web.outside import as_server
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import MappedUser
from calendar_sync.operations.setup import Step, There, next_step, steps
from calendar_sync.operations.setup.look import look
from calendar_sync.orchestration.airflow_database import paused
from calendar_sync.orchestration.connections import connection_fields
from calendar_sync.state import Database, Store
from calendar_sync.state.place import Place, place_of

#: So many mapped people can be chosen for the test; others by their name on the self-test's page.
OFFERED = 100


@dataclass(frozen=True)
class SetUp:
    """Everything; `next` is the key of the step to do, empty when all is done."""

    there: There
    steps: list[Step]
    next: str
    people: list[MappedUser]

    @property
    def done(self) -> bool:
        """Nothing is left to do."""
        return not self.next


async def set_up(request: Request) -> SetUp:
    """How it stands.

    Raises:
        Problem: Airflow's connections cannot be read just now.
    """
    state: State = request.app.state.calendar_sync
    return await READING.run(request, lambda: read(state))


def read(state: State) -> SetUp:
    """Look at what is there."""
    where = place(state)
    store = state.store() if where is Place.READY else None
    with as_server():
        there = look(where, store, connection_fields, paused)
    found = steps(there)
    upcoming = next_step(found)
    people = _people(store) if store is not None else []
    return SetUp(there, found, upcoming.key if upcoming else "", people)


def place(state: State) -> Place:
    """How the state database stands."""
    try:
        database = Database(state.url)
    except (ConfigurationError, OSError):
        return Place.UNREACHABLE
    try:
        return place_of(database)
    finally:
        database.close()


def _people(store: Store) -> list[MappedUser]:
    return [row for row in store.config.mapping() if row.enabled][:OFFERED]
