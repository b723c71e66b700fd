"""What may be picked as a type of appointment: Welkin's encounter templates and its plain events.

Welkin is asked when a user wants to see the names (`lanes.TYPES`); what it said is kept for some
minutes.
"""

import asyncio
import logging
import time
from dataclasses import dataclass

from calendar_sync.admin.web import outside
from calendar_sync.admin.web.problems import Problem
from calendar_sync.admin.web.wording import told
from calendar_sync.core.errors import SyncError
from calendar_sync.core.redaction import describe
from calendar_sync.state import Store

logger = logging.getLogger(__name__)

KEPT_SECONDS = 600.0
MOST = 500
#: What is no encounter goes by its type of event.
PLAIN = {"APPOINTMENT": "Plain appointments", "GROUP_THERAPY": "Group sessions"}


@dataclass(frozen=True)
class Type:
    """One name of the filter, and what people call it."""

    name: str
    title: str


EVERYTHING = Type("*", "All types")
_kept: dict[str, tuple[float, list[Type]]] = {}


def kept(store: Store) -> list[Type]:
    """The names that Welkin returned recently, or an empty list."""
    at, found = _kept.get(_key(store), (0.0, []))
    return found if time.monotonic() - at < KEPT_SECONDS else []


def forget() -> None:
    """Ask again the next time."""
    _kept.clear()


def ask(store: Store) -> list[Type]:
    """The names, from Welkin where they are not known yet.

    Raises:
        Problem: Welkin cannot be asked now; says why.
    """
    if found := kept(store):
        return found
    try:
        titles = asyncio.run(_titles(store))
    except SyncError as error:
        logger.warning("admin: encounter templates: %s", describe(error))
        raise Problem(503, f"Welkin's types cannot be read. {told(error)}") from None
    named = sorted(titles.items(), key=lambda one: one[1].casefold())[:MOST]
    found = [EVERYTHING, *(Type(*one) for one in (*named, *PLAIN.items()))]
    _kept[_key(store)] = time.monotonic(), found
    return found


async def _titles(store: Store) -> dict[str, str]:
    async with outside.services(store) as services:
        return await services.welkin.templates()


def _key(store: Store) -> str:
    return str(store.database.url)
