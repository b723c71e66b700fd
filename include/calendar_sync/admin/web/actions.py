"""Changes that pages and API make alike; each is written to the log with who asked for it."""

import logging

from starlette.requests import Request

from calendar_sync.admin.web.problems import Problem
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.model import Platform
from calendar_sync.insight.user_state import UserState
from calendar_sync.insight.users import listed_user
from calendar_sync.state import Store

logger = logging.getLogger(__name__)


def author(request: Request) -> str:
    """Who asks, for histories."""
    return f"airflow:{request.state.viewer.name}"[:255]


def sync_now(request: Request, store: Store, user_id: str, platform: Platform) -> None:
    """Mark a user for the next run and forget the back-off, as naming them to a run does.

    Raises:
        Problem: the sync does not know this user on this platform, or no longer syncs them.
    """
    now = SystemClock().now()
    rows = listed_user(store, store.config.revision().settings, user_id, now)
    state = next((row.state for row in rows if row.platform == platform), UserState.DISABLED)
    if state is UserState.DISABLED:
        raise Problem(404, f"The user is not mapped on {platform.value}, or is disabled.")
    if state is UserState.AWAY:
        raise Problem(409, "The user is inactive in Welkin, so nothing is synced.")
    with store.database.write() as connection:
        store.marks.hurry(connection, [(user_id, platform)], now)
    logger.info("admin: %s asked to sync %s on %s", author(request), user_id, platform.value)
