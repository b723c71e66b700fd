"""The state database inside the API server: one for the process, opened when first needed.

Endpoints that use it are plain functions, which the framework runs in threads; the database's
connections are safe there. What is wrong with it is told as a problem with a remedy.
"""

import logging
import threading

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request

from calendar_sync.admin.web.problems import Problem
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.redaction import describe
from calendar_sync.state import Database, Store
from calendar_sync.state.place import Place, place_of

logger = logging.getLogger(__name__)

NO_KEY = ""
INIT = "The set-up makes it: it is the first step there."
#: Where people make one.
SETUP = ("Set up Calendar Sync", "/setup")
NOT_SET_UP = "not_set_up"
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
        database = self._database
        if database is None:
            # Nobody waits for another's attempt while the server does not answer.
            opened = self._open()
            with self._lock:
                database = self._database = self._database or opened
            if database is not opened:
                opened.close()
        return Store(database, NO_KEY)

    @property
    def url(self) -> str | None:
        """Where it is, if not where the environment says."""
        return self._url

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
            logger.error("admin: state database: %s", describe(error))
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
    place = place_of(database)
    if place.is_free:
        said = "The state database does not exist yet."
        raise Problem(503, said, hints=(INIT, WHERE), link=SETUP, kind=NOT_SET_UP)
    if place is Place.OTHER_VERSION:
        raise Problem(
            503,
            "The schema of the state database belongs to another version of Calendar Sync.",
            hints=(
                "Run `calendar-sync db upgrade`. If that changes nothing, the API server runs "
                "older code than the one that upgraded it: restart it.",
            ),
        )
    if place is Place.UNREACHABLE:
        raise unreachable()


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
