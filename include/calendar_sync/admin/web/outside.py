"""Work on both sides, as jobs do it: credentials, clients, the organisation's key."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from calendar_sync.admin.web.lanes import busy
from calendar_sync.admin.web.problems import Problem
from calendar_sync.config.credentials import Fields
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.orchestration.connections import connection_fields, load_secrets, server_context
from calendar_sync.state import Store
from calendar_sync.sync.runtime import Secrets, open_services
from calendar_sync.sync.services import Services

# Which connections Airflow shows depends on the process's environment.
_LOCK = threading.Lock()
LONGEST = 10.0


@contextmanager
def as_server() -> Iterator[None]:
    """Airflow answers with connections as it does in its server processes.

    Raises:
        Problem: another read hangs, for example in a secrets backend that does not answer.
    """
    if not _LOCK.acquire(timeout=LONGEST):
        raise busy(503, "Airflow's connections cannot be read.")
    try:
        with server_context():
            yield
    finally:
        _LOCK.release()


def fields(name: str) -> Fields:
    """The fields of one connection.

    Raises:
        ConfigurationError: it is missing, or cannot be read.
    """
    with as_server():
        return connection_fields(name)


def secrets() -> Secrets:
    """The credentials of all connections.

    Raises:
        Problem: one is missing or incomplete.
    """
    try:
        with as_server():
            return load_secrets()
    except ConfigurationError as error:
        raise Problem(503, unusable(error)) from None


def unusable(error: ConfigurationError) -> str:
    """A sentence."""
    return f"A connection cannot be used: {error.detail}."


@asynccontextmanager
async def services(store: Store, *, own_tokens: bool = False) -> AsyncIterator[Services]:
    """Clients for all configured services; with tokens of their own where access is tried.

    Raises:
        Problem: a connection is missing or incomplete.
    """
    found = secrets()
    limits = store.config.revision().settings.limits
    async with open_services(found, store.database, limits, own_tokens=own_tokens) as opened:
        yield opened
