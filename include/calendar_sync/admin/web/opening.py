"""The state database inside the API server: one for the process, opened when first needed.

Endpoints that use it are plain functions, which the framework runs in threads; the database's
connections are safe there. What is wrong with it is told as a problem with a remedy.
"""

import threading
from pathlib import Path

from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from starlette.requests import Request

from calendar_sync.admin.web.problems import Problem
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.redaction import describe, install
from calendar_sync.state import Database, Store
from calendar_sync.state.migrate import current, require_current

NO_KEY = ""
INIT = "Run `calendar-sync init` where Airflow runs, then reload this page."
WHERE = (
    "The API server looks where CALENDAR_SYNC_DATABASE_URL says, which must be the same for "
    "scheduler, workers and API server."
)


class State:
    """The database of this process. `url` is for tests; else the environment names it."""

    def __init__(self, url: str | None = None) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._database: Database | None = None

    def store(self) -> Store:
        """The store, at the current schema. It cannot check the audit: that takes a key.

        Raises:
            Problem: 503, with what to do.
        """
        with self._lock:
            if self._database is None:
                self._database = self._open()
            return Store(self._database, NO_KEY)

    def close(self) -> None:
        """Close it; the next use opens it again."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _open(self) -> Database:
        try:
            database = Database(self._url)
        except (ConfigurationError, SQLAlchemyError, OSError) as error:
            install().error("admin: state database: %s", describe(error))
            raise Problem(
                503, "The URL of the state database is not valid.", hints=(WHERE,)
            ) from None
        try:
            _check(database)
        except BaseException:
            database.close()
            raise
        return database


def _check(database: Database) -> None:
    if database.is_sqlite:
        file = database.url.database or ""
        if file != ":memory:" and not Path(file).exists():
            # Looking would make an empty one.
            raise Problem(503, "The state database does not exist yet.", hints=(INIT, WHERE))
    try:
        if current(database) is None:
            raise Problem(503, "The state database is empty.", hints=(INIT, WHERE))
        require_current(database)
    except ConfigurationError:
        raise Problem(
            503,
            "The schema of the state database belongs to another version of Calendar Sync.",
            hints=(
                "Run `calendar-sync db upgrade`. If that changes nothing, the API server runs "
                "older code than the one that upgraded it: restart it.",
            ),
        ) from None
    except (DBAPIError, CommandError) as error:
        install().error("admin: state database: %s", describe(error))
        raise unreachable() from None


def unreachable() -> Problem:
    """It does not answer now."""
    return Problem(
        503,
        "The state database does not answer.",
        hints=("Try again in a minute. If this continues: " + WHERE,),
    )


def store_of(request: Request) -> Store:
    """What endpoints depend on."""
    state: State = request.app.state.calendar_sync
    return state.store()
