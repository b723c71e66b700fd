"""Whether there is a state database, and of which version."""

import logging
from enum import StrEnum
from pathlib import Path

from sqlalchemy import exists, select
from sqlalchemy.exc import DBAPIError

from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model.links import STANDING
from calendar_sync.core.redaction import describe
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database
from calendar_sync.state.schema import current, require_current

logger = logging.getLogger(__name__)


class Place(StrEnum):
    """The state of the configured database."""

    READY = "ready"
    MISSING = "missing"
    EMPTY = "empty"
    OTHER_VERSION = "other_version"
    UNREACHABLE = "unreachable"

    @property
    def is_free(self) -> bool:
        """A state database can be created here without replacing one."""
        return self in {Place.MISSING, Place.EMPTY}


def place_of(database: Database) -> Place:
    """The state, without creating anything."""
    if database.is_sqlite:
        file = database.url.database or ""
        if file != ":memory:" and not Path(file).exists():
            # Opening it would create an empty one.
            return Place.MISSING
    try:
        if current(database) is None:
            return Place.EMPTY
        require_current(database)
    except ConfigurationError:
        return Place.OTHER_VERSION
    except DBAPIError as error:
        logger.error("state database: %s", describe(error))
        return Place.UNREACHABLE
    return Place.READY


def has_links(database: Database) -> bool:
    """There are links of mirrors or blocks that exist or may exist."""
    with database.read() as connection:
        query = select(exists().where(t.link.c.state.in_(sorted(STANDING))))
        return bool(connection.scalar(query))
