"""Changes that pages and API make alike; each is written to the log with who asked for it."""

from starlette.requests import Request

from calendar_sync.admin.problems import Problem
from calendar_sync.clock import SystemClock
from calendar_sync.model import Platform
from calendar_sync.redaction import install
from calendar_sync.state import Store


def author(request: Request) -> str:
    """Who asks, for histories."""
    return f"airflow:{request.state.viewer.name}"[:255]


def sync_now(request: Request, store: Store, user_id: str, platform: Platform) -> None:
    """Mark a user for the next run and forget the back-off, as naming them to a run does.

    Raises:
        Problem: the sync does not know this user on this platform.
    """
    mapped = store.config.mapped(user_id, platform)
    if mapped is None or not mapped.enabled:
        raise Problem(404, f"No such user is mapped on {platform.value} and enabled.")
    with store.database.write() as connection:
        store.marks.hurry(connection, [(user_id, platform)], SystemClock().now())
    install().info("admin: %s asked to sync %s on %s", author(request), user_id, platform.value)
