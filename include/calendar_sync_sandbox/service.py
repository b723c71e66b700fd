"""What both servers share: routing, faults, the log, and how an answer leaves the process.

Handlers are plain functions from a :class:`Call` to a :class:`Reply`; they never wait. One request
costs a regular expression, the handler and one ``json.dumps``, because the simulation makes
hundreds of thousands of them.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs

from calendar_sync_sandbox.faults import ConnectionBroken, Fault, Faults
from calendar_sync_sandbox.requestlog import Entry, RequestLog, safe_query

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from calendar_sync_sandbox.clock import Clock

Json = dict[str, Any]
IN_PROCESS = "calendar_sync.in_process"
HANG_SECONDS = 30.0
ROWS = ("items", "content", "data", "value")
CURSORS = (
    "nextPageToken", "nextSyncToken", "cursor", "last", "metaInfo",
    "@odata.nextLink", "@odata.deltaLink",
)  # fmt: skip


@dataclass(slots=True)
class Call:
    """One request as a handler sees it.

    ``refused`` answers it without a handler; ``proofs`` says what addresses that it names did in a
    handshake.
    """

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    params: dict[str, str] = field(default_factory=dict)
    kind: str = ""
    user: str | None = None
    mail_risk: bool = False
    refused: Reply | None = None
    proofs: dict[str, str] = field(default_factory=dict)

    def one(self, name: str, default: str | None = None) -> str | None:
        """Return the last value of a query parameter."""
        values = self.query.get(name)
        return values[-1] if values else default

    @property
    def bearer(self) -> str:
        """The access token sent, or an empty string."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" else ""


@dataclass(slots=True)
class Reply:
    """One answer; ``body`` is anything that JSON can hold, or None for no body."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """Raised by a handler to answer with an error."""

    def __init__(self, reply: Reply) -> None:
        """Keep the answer."""
        super().__init__(reply.status)
        self.reply = reply


Handler = Callable[[Call], Reply]


class Traffic(Protocol):
    """What counts the requests that are being answered at the same time."""

    def enter(self, call: Call) -> Reply | None:
        """Count a request that has been read; return an answer to refuse it."""
        ...

    async def pause(self, *, in_process: bool) -> None:
        """Take the time that a request takes, so that others can come."""
        ...

    def leave(self, call: Call) -> None:
        """Count a request whose answer has been sent."""
        ...


@dataclass(frozen=True, slots=True)
class Route:
    """A verb, a path template such as ``/calendars/{calendar}/events``, and who answers."""

    method: str
    template: str
    kind: str
    handler: Handler

    def pattern(self) -> re.Pattern[str]:
        """Compile the template; a name in braces takes one segment."""
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.template) + "/?$")


class Service:
    """An ASGI application for one of the services.

    Args:
        name: ``google``, ``microsoft`` or ``welkin``; also the prefix of every path.
        routes: what can be asked.
        identify: names the caller of a request from its token, for the log and for faults.
        expire: makes the token of a request invalid (fault ``token_expired``).
        failure: formats an error answer from status, reason and message.
        default_headers: sent with every answer.
        finish: adds to an answer what depends on its request.
        traffic: counts the requests in flight; None if it is not needed.
        before: what has to be waited for before a request is carried out.
    """

    def __init__(
        self,
        name: str,
        routes: Iterable[Route],
        *,
        clock: Clock,
        faults: Faults,
        log: RequestLog,
        identify: Callable[[Call], str | None],
        expire: Callable[[Call], None],
        failure: Callable[[int, str | None, str | None], Any],
        default_headers: dict[str, str] | None = None,
        finish: Callable[[Call, Reply], None] | None = None,
        traffic: Traffic | None = None,
        before: Callable[[Call], Awaitable[None]] | None = None,
    ) -> None:
        """Compile the routes."""
        self.name = name
        self.in_process = False
        self._routes: dict[str, list[tuple[re.Pattern[str], Route]]] = {}
        for route in routes:
            self._routes.setdefault(route.method, []).append((route.pattern(), route))
        self._clock = clock
        self._faults = faults
        self._log = log
        self._identify = identify
        self._expire = expire
        self._failure = failure
        self._headers = default_headers or {}
        self._finish = finish
        self._traffic = traffic
        self._before = before
        self._last_page: dict[tuple[str, str | None], Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        body = await _read(receive)
        call = Call(
            method=scope["method"],
            path=scope["path"].removeprefix("/" + self.name),
            query=parse_qs(scope["query_string"].decode(), keep_blank_values=True),
            headers=_headers(scope["headers"]),
            body=body,
        )
        if self._before is not None:
            await self._before(call)
        in_process = self.in_process or bool((scope.get("extensions") or {}).get(IN_PROCESS))
        if self._traffic is None:
            await self._respond(call, send, in_process=in_process)
            return
        call.user = self._identify(call)
        call.refused = self._traffic.enter(call)
        try:
            await self._traffic.pause(in_process=in_process)
            await self._respond(call, send, in_process=in_process)
        finally:
            self._traffic.leave(call)

    def perform(self, call: Call, fault: Fault | None = None) -> tuple[Reply | None, bytes | None]:
        """Carry one request out and log it.

        Args:
            call: the request, its user known.
            fault: what goes wrong with it.

        Returns:
            The answer and its body as sent; no answer where the connection is to break.
        """
        handler = self._find(call)
        if call.refused is not None:
            refused = call.refused
            handler = lambda _: refused  # noqa: E731
        reply: Reply | None
        if fault is None:
            reply = _answer(handler, call)
            if self._finish is not None:
                self._finish(call, reply)
            reply.body = self._faults.disguises.over(reply.body)
            raw = None if reply.body is None else _dump(reply.body)
        else:
            reply, raw = self._spoil(fault, handler, call)
        if reply is not None and call.method == "GET":
            self._last_page[call.kind, call.user] = reply.body
        self._log.append(
            Entry(
                seq=len(self._log) + 1,
                at=self._clock.now(),
                service=self.name,
                kind=call.kind,
                method=call.method,
                path=f"/{self.name}{call.path}",
                user=call.user,
                status=reply.status if reply else 0,
                query=safe_query(call.query),
                mail_risk=call.mail_risk,
                fault=fault.kind if fault else None,
            )
        )
        return reply, raw

    def strike(self, call: Call) -> Fault | None:
        """Name the caller of a request, and the fault that the request meets, if any."""
        if call.user is None:
            call.user = self._identify(call)
        return self._faults.strike(self.name, call.method, f"/{self.name}{call.path}", call.user)

    async def _respond(self, call: Call, send: Send, *, in_process: bool) -> None:
        fault = self.strike(call)
        if fault is not None:
            await self._delay(fault, in_process=in_process)
        reply, raw = self.perform(call, fault)
        if reply is None:
            assert fault is not None  # noqa: S101 - only a fault loses an answer
            await self._break(fault, send, in_process=in_process)
            return
        headers = {"content-type": "application/json", **self._headers, **reply.headers}
        if raw is None:
            raw = b""
            if reply.status in (204, 304):
                headers.pop("content-type", None)
        headers["content-length"] = str(len(raw))
        await send(
            {
                "type": "http.response.start",
                "status": reply.status,
                "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()],
            }
        )
        await send({"type": "http.response.body", "body": raw})

    def _find(self, call: Call) -> Handler:
        for pattern, route in self._routes.get(call.method, ()):
            match = pattern.match(call.path)
            if match:
                call.params = match.groupdict()
                call.kind = route.kind
                return route.handler
        call.kind = f"{self.name}.unknown"
        known = any(p.match(call.path) for routes in self._routes.values() for p, _ in routes)
        status = 405 if known else 404
        return lambda _: Reply(status, self._failure(status, None, None))

    def _spoil(
        self, fault: Fault, handler: Handler, call: Call
    ) -> tuple[Reply | None, bytes | None]:
        """Carry the request out, or not, and make the answer that the fault asks for."""
        kind, details = fault.kind, fault.details
        if kind in ("reset_before", "timeout_before"):
            return None, None
        if kind == "status":
            if details.get("committed"):
                _answer(handler, call)
            return self._status(fault, call)
        if kind == "html":
            page = b"<html><head><title>Bad gateway</title></head><body>Bad gateway</body></html>"
            return Reply(int(details.get("code", 200)), page, {"content-type": "text/html"}), page
        if kind == "token_expired":
            self._expire(call)
        previous = self._last_page.get((call.kind, call.user))
        reply = _answer(handler, call)
        if self._finish is not None:
            self._finish(call, reply)
        if kind in ("reset_after", "timeout_after"):
            return None, None
        if kind == "empty_200":
            return Reply(200, None, reply.headers), None
        if kind == "repeated_page" and previous is not None and reply.status == 200:
            reply.body = previous
        elif kind in ("no_cursor", "reordered_page", "zero_events"):
            reply.body = _twist(kind, reply.body)
        raw = None if reply.body is None else _dump(reply.body)
        if kind == "truncated_json" and raw:
            raw = raw[: max(1, len(raw) * 2 // 3)]
        return reply, raw

    def _status(self, fault: Fault, call: Call) -> tuple[Reply, bytes | None]:
        details = fault.details
        code = int(details.get("code", 503))
        headers = {str(k): str(v) for k, v in details.get("headers", {}).items()}
        retry_after = details.get("retry_after")
        if retry_after is not None:
            text = str(retry_after)
            if text.startswith("date:"):
                then = self._clock.now() + timedelta(seconds=float(text[5:]))
                text = format_datetime(then.replace(microsecond=0), usegmt=True)
            headers["retry-after"] = text
        body = details.get("body")
        if body is None:
            body = self._failure(code, details.get("reason"), details.get("message"))
        reply = Reply(code, body, headers)
        if self._finish is not None:
            self._finish(call, reply)
        return reply, _dump(reply.body)

    async def _delay(self, fault: Fault, *, in_process: bool) -> None:
        if fault.kind != "latency":
            return
        seconds = float(fault.details.get("seconds", 5))
        advance = getattr(self._clock, "advance", None)
        if in_process and advance is not None:
            advance(seconds)
        elif not in_process:
            await asyncio.sleep(seconds)

    async def _break(self, fault: Fault, send: Send, *, in_process: bool) -> None:
        kind, _, when = fault.kind.partition("_")
        broken = ConnectionBroken(kind, committed=when == "after")
        if in_process:
            raise broken
        if kind == "timeout":
            await asyncio.sleep(float(fault.details.get("seconds", HANG_SECONDS)))
        # A body shorter than announced makes the server close the connection on the client.
        headers = [(b"content-type", b"application/json"), (b"content-length", b"4096")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": False})


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Read headers by lower-case name; one that is sent several times is one list."""
    found: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode().lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


async def _read(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


def _answer(handler: Handler, call: Call) -> Reply:
    try:
        return handler(call)
    except Refusal as refusal:
        return refusal.reply


def _dump(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    # Lone surrogates can reach us inside JSON escapes; they leave as escapes too.
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(body, separators=(",", ":")).encode()


def _twist(kind: str, body: Any) -> Any:
    """Damage a page of a service: rows under items, content, data or value."""
    if not isinstance(body, dict):
        return [] if kind == "zero_events" and isinstance(body, list) else body
    name = next((n for n in ROWS if isinstance(body.get(n), list)), None)
    if name is None:
        return body
    twisted = dict(body)
    if kind == "no_cursor":
        for cursor in CURSORS:
            twisted.pop(cursor, None)
    elif kind == "reordered_page":
        twisted[name] = body[name][::-1]
    else:
        twisted[name] = []
        for count in ("totalElements", "numberOfElements", "totalPages"):
            if count in twisted:
                twisted[count] = 0
    return twisted
