"""Deny by default: what every request passes before any route is looked for.

A middleware and not a dependency of routes, so that nothing that is ever mounted, added or served
by the framework itself can be reached around it: pages, API, static files, even "not found".
"""

import logging

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calendar_sync.admin.web import forgery
from calendar_sync.admin.web.access import Access, NotSignedIn, Right, Viewer
from calendar_sync.admin.web.problems import Problem, answer, path_of
from calendar_sync.admin.web.wide_forms import LARGEST_BODY, WideRequest
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.errors import UnexpectedError
from calendar_sync.core.redaction import describe

logger = logging.getLogger(__name__)

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

#: The page of whoever is signed in, about themselves alone; and what pages look like.
OWN, STATIC = "/mine", "/static/"

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        # The Airflow UI shows the pages in a frame.
        "frame-ancestors 'self'",
        "base-uri 'none'",
    )
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """Rights, forged requests, size of the body, headers of the answer, errors without a trace."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        begun = False

        async def hardened(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        request = Request(scope, receive)
        left: Exception | None = None
        try:
            receive = await self._admit(request)
            await self._app(scope, receive, hardened)
        except Problem as problem:
            await answer(request, problem)(scope, receive, hardened)
        except Exception as error:
            logger.error("admin: %s %s: %s", request.method, scope["path"], describe(error))
            if not begun:
                await answer(request, Problem(500))(scope, receive, hardened)
                return
            left = UnexpectedError(detail=describe(error))
        if left is not None:
            # The server shall close the connection; what was behind it is in our own log.
            raise left

    async def _admit(self, request: Request) -> Receive:
        """Let the request pass, or say why not; returns where its body can be read again."""
        try:
            viewer = await self._access.viewer(request)
        except NotSignedIn:
            raise Problem(401) from None
        changes = request.method not in SAFE
        path = path_of(request)
        own = path == OWN or path.startswith(f"{OWN}/")
        to_all = own or (path.startswith(STATIC) and not changes)
        if Right.VIEW not in viewer.rights and not to_all:
            raise Problem(403, "Your account has no access to Airflow's plugins.")
        request.state.viewer, request.state.own = viewer, own
        if changes and Right.CHANGE not in viewer.rights and not own:
            raise Problem(403, "Your account has read access only.")
        body = await self._body(request)
        if changes and not viewer.by_token:
            await self._not_forged(request, body, viewer)
        return _replayed(body, request.receive)

    async def _body(self, request: Request) -> bytes:
        """The whole body, however it is sent, if it is not too large."""
        length = request.headers.get("content-length", "0")
        # Longer numbers are no lengths, and cannot even be read.
        if not (length.isascii() and length.isdigit() and len(length) < 16):
            raise Problem(413)
        if int(length) > LARGEST_BODY:
            raise Problem(413)
        received = bytearray()
        async for chunk in request.stream():
            received += chunk
            if len(received) > LARGEST_BODY:
                raise Problem(413)
        return bytes(received)

    async def _not_forged(self, request: Request, body: bytes, viewer: Viewer) -> None:
        if not forgery.same_origin(request.headers, self._access.origins()):
            raise Problem(403, "The request comes from another site.")
        given = request.headers.get(forgery.HEADER) or await _field(request, body)
        now = SystemClock().now()
        if not forgery.is_valid(self._access.secret(), viewer.id, given, now):
            raise Problem(403, "The page was open for too long. Reload it and try again.")


async def _field(request: Request, body: bytes) -> str:
    """The token in a form's own field."""
    if not request.headers.get("content-type", "").lower().startswith(FORMS):
        return ""
    try:
        async with WideRequest(request.scope, _replayed(body, request.receive)).form() as form:
            value = form.get(forgery.FIELD)
    except (HTTPException, MultiPartException):
        raise Problem(400, "The form cannot be read.") from None
    return value if isinstance(value, str) else ""


def _replayed(body: bytes, rest: Receive) -> Receive:
    """Gives the body a second time; a further read waits for the end of the connection."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            return await rest()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
