"""What every task's body stands on: the state database, the connections, one event loop."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from calendar_sync.core.boundary import Boundary
from calendar_sync.core.errors import SyncError, UnexpectedError
from calendar_sync.core.model import Platform
from calendar_sync.core.redaction import describe, install
from calendar_sync.orchestration.connections import load_secrets, organisation_key
from calendar_sync.orchestration.task_log import StateUnavailable, shorten_failures
from calendar_sync.state import Database, Store
from calendar_sync.state.config import Revision
from calendar_sync.state.schema import require_current
from calendar_sync.sync.runtime import Secrets, open_services
from calendar_sync.sync.services import Services

Value = TypeVar("Value")
__all__ = ["StateUnavailable", "guarded", "opened", "run", "with_store"]


def run(
    work: Callable[[Services, Revision], Awaitable[Value]],
    *,
    platforms: Collection[Platform] | None = None,
    own_tokens: bool = False,
) -> Value:
    """Open everything, do the work in an event loop of its own, close everything.

    `platforms`: whose connections are needed; without, a platform whose connection is wrong is
    missing among the services.
    `own_tokens`: a good answer to a token of before would not show what is stored now.

    Raises:
        SyncError: what the work raised.
        StateUnavailable: the state database did not answer.
    """

    async def main() -> Value:
        with opened(platforms) as (store, secrets):
            revision = store.config.revision()
            limits = revision.settings.limits
            async with open_services(
                secrets, store.database, limits, own_tokens=own_tokens
            ) as services:
                return await work(services, revision)

    with guarded():
        return asyncio.run(main())


def with_store(work: Callable[[Store], Value]) -> Value:
    """The same for work that needs only the state database: no service's connection is read."""
    with guarded(), contextlib.closing(Database()) as database:
        require_current(database)
        return work(Store(database, organisation_key()))


@contextlib.contextmanager
def opened(
    platforms: Collection[Platform] | None = None,
) -> Iterator[tuple[Store, Secrets]]:
    """The state database at the current schema, and the credentials."""
    database = Database()
    try:
        require_current(database)
        secrets = load_secrets(platforms)
        yield Store(database, secrets.hmac_key), secrets
    finally:
        database.close()


def guarded() -> Boundary:
    """No exception of a library leaves a task, and no frame: both may hold what must not be seen.

    Not even a time limit that Airflow sets: it ends the task wherever it is.
    """
    install()
    shorten_failures()
    return Boundary(_told)


def _told(error: BaseException) -> BaseException:
    if isinstance(error, SyncError) or not isinstance(error, Exception):
        return error
    if isinstance(error, DBAPIError):
        return StateUnavailable(type(error.orig).__name__)
    return UnexpectedError(detail=describe(error))
