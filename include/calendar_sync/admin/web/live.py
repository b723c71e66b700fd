"""What takes more than the state database: the organisation's key, a look at both sides.

The connections are read as Airflow's server processes read them.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from datetime import date
from typing import TypeVar

from calendar_sync.admin.web import outside
from calendar_sync.admin.web.lanes import busy
from calendar_sync.admin.web.problems import Problem
from calendar_sync.admin.web.wording import told
from calendar_sync.config.credentials import HMAC_KEY
from calendar_sync.core.errors import ConfigurationError, SyncError
from calendar_sync.core.model import Platform
from calendar_sync.core.redaction import describe
from calendar_sync.insight.explain import Day, Explanation, Look, explain_day, explain_user
from calendar_sync.state import Store, seals
from calendar_sync.sync.runtime import Secrets, open_services

logger = logging.getLogger(__name__)

Found = TypeVar("Found")

#: A little less than its lane waits.
SECONDS = 28.0
_CHECKING = threading.Lock()


def with_key(store: Store) -> Store:
    """The same store, able to check the audit.

    Raises:
        Problem: there is no connection with the organisation's key.
    """
    try:
        key = outside.fields(HMAC_KEY).password
    except ConfigurationError as error:
        raise Problem(503, outside.unusable(error)) from None
    if not key:
        raise Problem(503, f"Connection {HMAC_KEY} has no password.")
    return Store(store.database, key)


def check_record(store: Store) -> list[str]:
    """What is wrong with the audit log. It reads all of it: one check at a time.

    Raises:
        Problem: it is being checked already, or there is no key.
    """
    if not _CHECKING.acquire(blocking=False):
        raise Problem(409, "The audit log is already being verified. Try again in a minute.")
    try:
        return seals.verify(with_key(store))
    finally:
        _CHECKING.release()


def explain(store: Store, user_id: str, platform: Platform | None) -> Explanation:
    """Why this user is up to date or not. Reads Welkin and the calendar; writes nothing.

    Raises:
        Problem: a connection is missing, or they cannot be asked at all.
    """
    return _looked(store, user_id, lambda look: explain_user(look, user_id, platform=platform))


def explain_appointments(store: Store, user_id: str, day: date) -> Day:
    """Why appointments of this user on this day are in the calendar or not. Writes nothing.

    Raises:
        Problem: a connection is missing, or they cannot be asked at all.
    """
    return _looked(store, user_id, lambda look: explain_day(look, user_id, day))


def _looked(store: Store, user_id: str, work: Callable[[Look], Awaitable[Found]]) -> Found:
    secrets = outside.secrets()
    try:
        return asyncio.run(_look(Store(store.database, secrets.hmac_key), secrets, work))
    except TimeoutError:
        raise busy(
            503, f"Welkin and the calendar did not answer within {SECONDS:.0f} seconds."
        ) from None
    except SyncError as error:
        logger.warning("admin: explain %s: %s", user_id, describe(error))
        raise Problem(503, f"Welkin and the calendar cannot be read: {told(error)}") from None


async def _look(store: Store, secrets: Secrets, work: Callable[[Look], Awaitable[Found]]) -> Found:
    revision = store.config.revision()
    async with (
        asyncio.timeout(SECONDS),
        open_services(secrets, store.database, revision.settings.limits) as services,
    ):
        return await work(Look(services, revision))
