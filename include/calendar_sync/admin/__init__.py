"""The admin pages inside the Airflow UI, and the same data as a JSON API.

`app` is all that the plugin registers. Airflow loads plugins in every one of its processes, so
nothing is imported before the first request.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

PREFIX = "/calendar-sync"


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """The ASGI application, made at the first request."""
    from calendar_sync.admin.serving import serve

    await serve()(scope, receive, send)
