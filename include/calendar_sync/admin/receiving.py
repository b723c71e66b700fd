"""The receiver of push inside Airflow's API server, for deployments that want no process more."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

#: Set to 1, the API server takes notices below `PREFIX`.
VARIABLE = "CALENDAR_SYNC_RECEIVE_IN_API_SERVER"
PREFIX = "/calendar-sync-push"

_made: list[Any] = []
_making = threading.Lock()


def wanted() -> bool:
    """The deployment has it so."""
    return os.environ.get(VARIABLE, "").strip().lower() in {"1", "true", "yes", "on"}


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """The ASGI application. The first request makes it, in a thread."""
    made = _made[0] if _made else await asyncio.to_thread(_make)
    await made(scope, receive, send)


def _make() -> Any:
    with _making:
        if not _made:
            from calendar_sync.admin.web.outside import as_server
            from calendar_sync.core.identity import push_key
            from calendar_sync.orchestration.connections import organisation_key
            from calendar_sync.push.receiver import create
            from calendar_sync.state import Database

            with as_server():
                key = push_key(organisation_key())
            _made.append(create(Database(), key))
    return _made[0]
