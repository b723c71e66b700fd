"""One HTTP client for all three services, and the only importer of httpx.

It owns the access token in the header, rates, retries and their waiting time, the translation of
failures into our errors, and silence: no body, query string or header ever reaches a log or an
exception.
"""

import asyncio
import contextlib
import email.utils
import logging
import random
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from calendar_sync.adapters.certificates import ssl_context
from calendar_sync.core.boundary import Hidden
from calendar_sync.core.bounded import TooMuch, Unpacker, read_json
from calendar_sync.core.clock import Clock
from calendar_sync.core.codes import NetworkCode
from calendar_sync.core.errors import (
    ConfigurationError,
    OutcomeUnknown,
    RateLimited,
    SyncError,
    TenantMisconfigured,
    TokenRejected,
    TransientError,
)

USER_AGENT = "welkin-calendar-sync (gzip)"
TIMEOUT = httpx.Timeout(30.0, connect=10.0).as_dict()
HEADERS = {
    "User-Agent": USER_AGENT,
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "Connection": "keep-alive",
}
#: Seconds that one answer may take as a whole, however steadily it drips.
LONGEST_ANSWER = 120.0
ATTEMPTS = 4
LONGEST_RETRY_AFTER = 6 * 3600.0
#: A connection is kept so long for the next request: Welkin is asked every few seconds, and a TLS
#: handshake costs both sides more than the request.
IDLE_SECONDS = 20.0

# httpx logs every URL with its query string at INFO.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class TokenSource(Protocol):
    """Where a request's bearer token comes from."""

    async def get(self) -> str:
        """A token that is believed to be valid."""
        ...

    async def reject(self, token: str) -> None:
        """The server refused this token: the next `get` must return another."""
        ...


class Waits:
    """The seconds that one cycle may spend waiting for retries, all together."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    def afford(self, seconds: float) -> bool:
        """Take the seconds out of the budget, if they are there."""
        if seconds > self.left:
            return False
        self.left -= seconds
        return True


_waits: ContextVar[Waits | None] = ContextVar("waits", default=None)


@contextlib.contextmanager
def waiting_at_most(seconds: float) -> Iterator[Waits]:
    """Bound the time that requests inside this block spend waiting for retries."""
    waits = Waits(seconds)
    reset = _waits.set(waits)
    try:
        yield waits
    finally:
        _waits.reset(reset)


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """A successful answer: its status, its JSON (None for an empty body), its ETag."""

    status: int
    json: Any
    etag: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Failure:
    """An unsuccessful answer, for an adapter to classify. `json` is None when it is none."""

    status: int
    json: Any
    retry_after: float | None


THROTTLED = "throttled"


@dataclass
class Meter:
    """Counts every attempt, by kind ("google.events.list")."""

    requests: Counter[str] = field(default_factory=Counter)
    throttled: int = 0

    @property
    def total(self) -> int:
        """All attempts."""
        return self.requests.total()

    @property
    def row(self) -> dict[str, int]:
        """All counts, for the record of a run."""
        return {**self.requests, THROTTLED: self.throttled} if self.throttled else {**self.requests}


Classifier = Callable[[Failure], SyncError]
#: Waits until so many requests may be sent.
Limiter = Callable[[int], Awaitable[None]]
Slot = Callable[[], contextlib.AbstractAsyncContextManager[None]]


def send_once(
    method: str,
    url: str,
    body: bytes | None = None,
    *,
    bearer: str = "",
    seconds: float,
    direct: bool = False,
) -> tuple[int, bytes]:
    """One request with JSON to an address that the deployment names; no redirection is followed.

    Returns status and body. `direct`: no proxy lies between.

    Raises:
        TransientError: nothing, or too much, is answered; the detail says what failed.
    """
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    headers |= {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"}
    if bearer:
        headers["Authorization"] = Hidden(f"Bearer {bearer}")
    # Reading all certificates takes longer than a neighbour's answer.
    trusted = ssl.create_default_context() if url.startswith("https://") else False
    try:
        with (
            httpx.Client(verify=trusted, timeout=seconds, trust_env=not direct) as client,
            client.stream(method, url, content=body, headers=headers) as response,
        ):
            unpacker = Unpacker(response.headers.get("Content-Encoding", "").strip().lower())
            for chunk in response.iter_raw():
                unpacker.take(chunk)
            return response.status_code, unpacker.content
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise TransientError(detail=type(error).__name__) from None


class HttpClient:
    """Requests to one host. Share one instance per event loop, close it with `aclose`."""

    def __init__(
        self,
        base_url: str,
        *,
        clock: Clock,
        classify: Classifier,
        limiter: Limiter | None = None,
        verify: str | bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
        meter: Meter | None = None,
        chance: random.Random | None = None,
    ) -> None:
        if not base_url.startswith("https://"):
            raise ConfigurationError(detail="a base URL must begin with https://")
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        self._classify = classify
        self._limiter = limiter
        self._chance = chance or random.Random()  # noqa: S311 - jitter, no secret
        self.meter = meter or Meter()
        self._client = httpx.AsyncClient(
            transport=transport,
            verify=ssl_context(verify) if transport is None else False,
            follow_redirects=False,
            limits=httpx.Limits(
                max_connections=64, max_keepalive_connections=32, keepalive_expiry=IDLE_SECONDS
            ),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def request(
        self,
        kind: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        token: TokenSource | None = None,
        slot: Slot | None = None,
        repeatable: bool = True,
        carries: int = 1,
    ) -> Answer:
        """Send, and send again while that can help and the waiting time lasts.

        `carries` is how many requests the service counts for this one. `slot` is held while one
        attempt is under way, not between them. `repeatable` is False for a write that would happen
        twice when sent twice: then a lost answer raises `OutcomeUnknown` at once.

        Raises:
            SyncError: as the adapter's classifier says; `TransientError` for the network.
        """

        async def attempt() -> Answer:
            if self._limiter is not None:
                await self._limiter(carries)
            bearer = await _bearer(token) if token is not None else ""
            async with slot() if slot is not None else contextlib.nullcontext():
                try:
                    return await self._once(
                        kind, method, path, params, json, form, headers, bearer, repeatable
                    )
                except TokenRejected:
                    if token is not None:
                        await token.reject(bearer)
                    raise

        rejected = False
        while True:
            try:
                return await self._retrying()(attempt)
            except TokenRejected:
                if rejected or token is None:
                    raise
                rejected = True

    def _retrying(self) -> AsyncRetrying:
        return AsyncRetrying(
            retry=retry_if_exception_type(TransientError),
            stop=self._give_up,
            wait=self._pause,
            sleep=self._clock.sleep,
            reraise=True,
        )

    def _give_up(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, OutcomeUnknown) or state.attempt_number >= ATTEMPTS:
            return True
        if isinstance(error, TransientError) and error.exhausted:
            return True
        waits = _waits.get()
        return waits is not None and not waits.afford(state.upcoming_sleep)

    def _pause(self, state: RetryCallState) -> float:
        """Full jitter on a doubling pause, never less than the server asked for."""
        error = state.outcome.exception() if state.outcome else None
        own: float = self._chance.uniform(0.1, 1.0) * 0.5 * 2 ** (state.attempt_number - 1)
        if isinstance(error, RateLimited) and error.retry_after is not None:
            return error.retry_after + own
        return own

    async def _once(
        self,
        kind: str,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        json: object | None,
        form: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        bearer: str,
        repeatable: bool,
    ) -> Answer:
        sent = HEADERS | dict(headers or {})
        if bearer:
            sent["Authorization"] = Hidden(f"Bearer {bearer}")
        self.meter.requests[kind] += 1
        lost = TransientError if repeatable else OutcomeUnknown
        handshake = _Handshake()
        try:
            # Made here, since the client's `build_request` takes every address apart three times.
            request = httpx.Request(
                method,
                self._base_url + path,
                # Even empty ones would take the place of those in the path.
                params=params or None,
                json=json,
                data=form,
                headers=sent,
                extensions={"timeout": TIMEOUT, "trace": handshake},
            )
            async with asyncio.timeout(LONGEST_ANSWER):
                response = await self._client.send(request, stream=True)
                async with contextlib.aclosing(response):
                    content = await _content(response)
        except asyncio.CancelledError:
            await handshake.abandon()
            raise
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as broken:
            if _untrusted(broken):
                raise TenantMisconfigured(NetworkCode.UNTRUSTED_CERTIFICATE, detail=kind) from None
            raise TransientError(NetworkCode.NO_CONNECTION, detail=kind) from None
        except TimeoutError:
            await handshake.abandon()
            raise lost(NetworkCode.TIMEOUT, detail=kind) from None
        except httpx.TimeoutException:
            raise lost(NetworkCode.TIMEOUT, detail=kind) from None
        except httpx.HTTPError:
            raise lost(NetworkCode.CONNECTION_LOST, detail=kind) from None
        except TooMuch:
            raise _too_large(lost, kind) from None
        except ValueError:
            raise lost(NetworkCode.UNREADABLE_ANSWER, detail=kind) from None
        if response.is_success:
            found = _json_of(response.status_code, content, kind, lost)
            if found is None and response.status_code == 200 and method != "DELETE":
                raise lost(NetworkCode.EMPTY_ANSWER, detail=kind)
            return Answer(response.status_code, found, response.headers.get("ETag"))
        error = self._error_of(response, content)
        if isinstance(error, RateLimited):
            self.meter.throttled += 1
        # A request that got a 429 was not executed; after a failure this is unknown.
        refused = response.status_code == 429
        if isinstance(error, TransientError) and not repeatable and not refused:
            error = OutcomeUnknown(error.code)
        error.detail = error.detail or kind
        raise error

    def _error_of(self, response: httpx.Response, content: bytes) -> SyncError:
        """The adapter's error; an HTML page or a redirect counts as no answer of the service.

        Proxies and balancers answer 403 and 404 with pages of their own: no event is missing, and
        no user forbidden, because of those.
        """
        status, body = response.status_code, None
        with contextlib.suppress(ValueError):
            body = read_json(content)
        if 300 <= status < 400:
            return TransientError(NetworkCode.REDIRECTED, detail=str(status))
        page = body is None and bool(content.strip())
        if page and 400 <= status < 500 and status not in {408, 429}:
            return TransientError(NetworkCode.UNREADABLE_ANSWER, detail=str(status))
        return self._classify(
            Failure(status, body, retry_after(response.headers, self._clock.now()))
        )


async def _bearer(token: TokenSource) -> str:
    try:
        return await token.get()
    except TransientError as error:
        # Its own request has been repeated: tries must not multiply, token requests are counted.
        error.exhausted = True
        raise


class _Handshake:
    """Watches a request for a connection that was opened but is not secured yet.

    httpcore closes it when the handshake fails, and forgets it when the request is cancelled then.
    https://www.encode.io/httpcore/extensions/#trace
    """

    def __init__(self) -> None:
        self._stream: Any = None

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            self._stream = info["return_value"]
        elif event == "connection.start_tls.complete":
            self._stream = None

    async def abandon(self) -> None:
        """Close the client."""
        if self._stream is not None:
            await self._stream.aclose()


def _untrusted(error: BaseException | None) -> bool:
    """Somewhere below is a certificate that no known authority has signed."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The server's Retry-After in seconds: a number or a date; absurd values are bounded."""
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            when = email.utils.parsedate_to_datetime(text)
        except ValueError:
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        seconds = (when - now).total_seconds()
    if seconds != seconds:  # NaN
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


async def _content(response: httpx.Response) -> bytes:
    """The body, unpacked as far as we take it.

    Raises:
        ValueError: it is too large (`TooMuch`), or not packed as the server says.
    """
    if response.is_stream_consumed:  # a transport without a network has made it as a whole
        unpacker = Unpacker("")
        unpacker.take(response.content)
        return unpacker.content
    unpacker = Unpacker(response.headers.get("Content-Encoding", "").strip().lower())
    async for chunk in response.aiter_raw():
        unpacker.take(chunk)
    return unpacker.content


def _too_large(lost: type[TransientError], kind: str) -> TransientError:
    """It would be as large again, so the request is not repeated at once."""
    error = lost(NetworkCode.ANSWER_TOO_LARGE, detail=kind)
    error.exhausted = True
    return error


def _json_of(status: int, content: bytes, kind: str, lost: type[TransientError]) -> Any:
    """The body, None for an empty one; a truncated one or HTML is a failed request."""
    if status == 204 or not content:
        return None
    try:
        return read_json(content)
    except TooMuch:
        raise _too_large(lost, kind) from None
    except ValueError:
        raise lost(NetworkCode.UNREADABLE_ANSWER, detail=kind) from None
