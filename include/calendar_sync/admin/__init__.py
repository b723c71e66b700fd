"""The admin pages inside the Airflow UI, and the same data as a JSON API.

`app` is all that the plugin registers. Airflow loads plugins in every one of its processes, so
nothing is imported before the first request.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

_made: list[Any] = []
_making = threading.Lock()


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """The ASGI application. The first request makes it, in a thread: it takes a second or two."""
    made = _made[0] if _made else await asyncio.to_thread(_make)
    await made(scope, receive, send)


def _make() -> Any:
    with _making:
        if not _made:
            from calendar_sync.admin.serving import serve

            _made.append(serve())
    return _made[0]
