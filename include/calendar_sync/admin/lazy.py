"""An ASGI application that is made by its first request: importing it costs nothing."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any


class Lazy:
    """Makes the application once, in a thread: that may take a second or two."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: list[Any] = []
        self._making = threading.Lock()

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Serve one request."""
        await (await self.made())(scope, receive, send)

    async def made(self) -> Any:
        """The application."""
        return self._made[0] if self._made else await asyncio.to_thread(self._once)

    def _once(self) -> Any:
        with self._making:
            if not self._made:
                self._made.append(self._make())
        return self._made[0]
