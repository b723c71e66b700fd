"""The state database and the organisation's key, made where Airflow runs when neither is there."""

import logging

from calendar_sync.config.credentials import HMAC_KEY, Missing
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.redaction import describe
from calendar_sync.orchestration.connections import connection_fields, ensure_hmac_key
from calendar_sync.state import Database
from calendar_sync.state.migrate import upgrade
from calendar_sync.state.place import Place, has_links, place_of

logger = logging.getLogger(__name__)


def first_start(url: str | None = None) -> bool:
    """Make both, if this is the first start; True when one was made.

    A key without a database tells of a database elsewhere, or of a lost one: then a person
    decides. Whatever goes wrong is logged, and told again by the set-up.

    Args:
        url: of the state database; the configured one without.
    """
    try:
        return _made(url, by_itself=True)
    except Exception as error:
        logger.warning("first start: %s", describe(error))
        return False


def make_state(url: str | None = None) -> bool:
    """Make what is missing, since a person wants it; True when something was.

    Raises:
        ConfigurationError: says why not: the database is of another version, or has links whose
            key is gone.
        DBAPIError: the database refuses.
    """
    return _made(url, by_itself=False)


def _made(url: str | None, *, by_itself: bool) -> bool:
    key_there = has_key()
    database = Database(url)
    try:
        place = place_of(database)
        if place.is_free:
            if by_itself and key_there:
                return False
            upgrade(database)
        elif place is not Place.READY:
            said = place.value.replace("_", " ")
            raise ConfigurationError(detail=f"the state database cannot be used: {said}")
        made_key = ensure_hmac_key(links_stand=has_links(database))
        return place.is_free or made_key
    finally:
        database.close()


def has_key() -> bool:
    """Airflow has a connection of the key's name, whatever is in it."""
    try:
        connection_fields(HMAC_KEY)
    except Missing:
        return False
    return True
