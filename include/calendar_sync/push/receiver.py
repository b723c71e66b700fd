"""The receiver: a small ASGI application that notes who wants to be polled, and answers.

It imports no Airflow, opens nothing but the state database, and needs no key but its own. Every
answer is a plain status; all that is refused gets the same one, so that nobody learns which
channels exist.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from calendar_sync.adapters.google.push import PATH as GOOGLE
from calendar_sync.adapters.microsoft.push import LIFECYCLE
from calendar_sync.adapters.microsoft.push import PATH as MICROSOFT
from calendar_sync.core.bounded import read_json
from calendar_sync.core.clock import Clock, SystemClock
from calendar_sync.core.redaction import describe
from calendar_sync.push.admission import Admission
from calendar_sync.push.desk import Desk, NotStored
from calendar_sync.push.keys import WELKIN_HEADER, same, welkin_secret
from calendar_sync.push.notices import (
    Genuine,
    of_google,
    of_microsoft,
    validation_token,
)
from calendar_sync.state import Database
from calendar_sync.state.push import RECEIVER, Heard, PushStore
from calendar_sync.state.runs import WELKIN

logger = logging.getLogger(__name__)

WELKIN_PATH = "/welkin"
HEALTH = "/health"
LARGEST_BODY = 256 * 1024
#: Seconds in which a body must have arrived.
SLOWEST_BODY = 5.0
#: Seconds between two signs of life.
SHOWN_EVERY = 30.0
#: Seconds after which a sender may try again.
LATER = {"Retry-After": "10"}
_Route = Callable[[Request], Awaitable[Response]]


class Receiver:
    """Routes and what they share. `key` is the receiver's (`keys.push_key`)."""

    def __init__(
        self,
        database: Database,
        key: str,
        clock: Clock | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = key
        self._welkin_secret = welkin_secret(key)
        self._admission = Admission(seconds)
        in_memory = database.is_sqlite and database.url.database in {None, "", ":memory:"}
        store = PushStore(database)
        self._desk = Desk(store, clock or SystemClock(), threaded=not in_memory)

    async def show(self) -> None:
        """Show again and again that it runs and can store; ends when it is cancelled."""
        while True:
            with contextlib.suppress(NotStored):
                await self._desk.put([(RECEIVER, Heard(changes=0))])
            await asyncio.sleep(SHOWN_EVERY)

    def close(self) -> None:
        """Let the writer's thread go."""
        self._desk.close()

    async def google(self, request: Request) -> Response:
        """A message for a channel. It has no body: what is sent all the same is not read."""
        if not self._admission.admits():
            return _later()
        if _too_long(request):
            return Response(status_code=413)
        return await self._take(of_google(request.headers, self._key), stored=204, closed=404)

    async def microsoft(self, request: Request) -> Response:
        """Notices of changes, messages about subscriptions, and the handshake before them."""
        if not self._admission.admits():
            return _later()
        if "validationToken" in request.query_params:
            token = validation_token(request.query_params["validationToken"])
            if token is None:
                return Response(status_code=400)
            # Plain text, and nobody may take it for something else.
            headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
            return Response(token, media_type="text/plain", headers=headers)
        try:
            body = read_json(await _body(request), LARGEST_BODY)
        except _TooLong:
            return Response(status_code=413)
        except (TimeoutError, ClientDisconnect):
            return Response(status_code=408)
        except ValueError:
            return Response(status_code=400)
        # Of a subscription that is closed by now, Graph would send an answer of 404 for hours.
        return await self._take(of_microsoft(body, self._key), stored=202, closed=202)

    async def welkin(self, request: Request) -> Response:
        """A webhook: it means "read the feeds now", whatever else it says."""
        if not self._admission.admits():
            return _later()
        if _too_long(request):
            return Response(status_code=413)
        right = same(request.headers.get(WELKIN_HEADER, ""), self._welkin_secret)
        heard = Genuine(((WELKIN, Heard()),) if right else ())
        return await self._take(heard, stored=200, closed=404)

    async def health(self, request: Request) -> Response:
        """For load balancers: the process answers. Whether it can store is told to senders."""
        return Response(status_code=204)

    async def _take(self, genuine: Genuine, *, stored: int, closed: int) -> Response:
        if not genuine.heard:
            return Response(status_code=404)
        fresh = [each for each in genuine.heard if not self._admission.is_unknown(each[0])]
        if not fresh:
            return Response(status_code=closed)
        ids = dict.fromkeys(which for which, _ in fresh)
        # Welkin's is one for everybody: only what all send together limits it.
        admitted = {
            which for which in ids if which == WELKIN or self._admission.admits_channel(which)
        }
        if not admitted:
            # Sent again later, it is not lost: the sender waits longer each time.
            return _later()
        try:
            known = await self._desk.put(each for each in fresh if each[0] in admitted)
        except NotStored:
            return _later()
        for which in admitted - known:
            self._admission.remember_unknown(which)
        return Response(status_code=stored if known & admitted else closed)


def create(
    database: Database,
    key: str,
    *,
    prefix: str = "",
    clock: Clock | None = None,
    seconds: Callable[[], float] = time.monotonic,
) -> Starlette:
    """The application; its paths begin with `prefix`. Closing it closes the database."""
    receiver = Receiver(database, key, clock, seconds)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        shown = asyncio.create_task(receiver.show())
        try:
            yield
        finally:
            shown.cancel()
            receiver.close()
            database.close()

    routes = [
        Route(prefix + GOOGLE, _quiet(receiver.google), methods=["POST"]),
        Route(prefix + MICROSOFT, _quiet(receiver.microsoft), methods=["POST"]),
        Route(prefix + LIFECYCLE, _quiet(receiver.microsoft), methods=["POST"]),
        Route(prefix + WELKIN_PATH, _quiet(receiver.welkin), methods=["POST"]),
        Route(prefix + HEALTH, receiver.health, methods=["GET"]),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: _plain, 405: _plain})
    app.state.receiver = receiver
    return app


def _quiet(route: _Route) -> _Route:
    """A bug is told by type and place: what a server would log may hold parts of the request."""

    async def answer(request: Request) -> Response:
        try:
            return await route(request)
        except Exception as bug:
            logger.error("receiver: %s", describe(bug))
            return Response(status_code=500)

    return answer


class _TooLong(Exception):
    """A body is longer than any of these services sends."""


async def _body(request: Request) -> bytes:
    """All of the body, no more than is taken in, whatever its length is said to be."""
    if _too_long(request):
        raise _TooLong
    content = bytearray()
    async with asyncio.timeout(SLOWEST_BODY):
        async for chunk in request.stream():
            content += chunk
            if len(content) > LARGEST_BODY:
                raise _TooLong
    return bytes(content)


def _too_long(request: Request) -> bool:
    length = request.headers.get("content-length", "0")
    return not (length.isascii() and length.isdigit()) or int(length[:12]) > LARGEST_BODY


def _later() -> Response:
    return Response(status_code=503, headers=LATER)


async def _plain(request: Request, error: Exception) -> Response:
    return Response(status_code=getattr(error, "status_code", 404))
