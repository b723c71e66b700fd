"""The client of all three services against exact bytes on the wire."""

import asyncio
import logging
import random
import ssl
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_sync.adapters.http import Answer, Failure, HttpClient, retry_after, waiting_at_most
from calendar_sync.core.codes import code_of
from calendar_sync.core.errors import (
    BadItem,
    ConfigurationError,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    SyncError,
    TenantMisconfigured,
    TokenRejected,
    TransientError,
)
from tests.harness import VirtualClock

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)


def classify(failure: Failure) -> SyncError:
    known: dict[int, SyncError] = {
        401: TokenRejected(),
        404: NotFound(),
        429: RateLimited(retry_after=failure.retry_after),
    }
    if failure.status >= 500:
        return TransientError(code_of("down"))
    return known.get(failure.status) or BadItem()


class Tokens:
    def __init__(self) -> None:
        self.number = 1
        self.rejected: list[str] = []

    async def get(self) -> str:
        return f"token-{self.number}"

    async def reject(self, token: str) -> None:
        self.rejected.append(token)
        self.number += 1


class Wire:
    """Answers in their order; the last one for ever."""

    def __init__(self, *answers: Any, **client: Any) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.clock = VirtualClock()
        self.client = HttpClient(
            "https://api.example/",
            clock=self.clock,
            classify=classify,
            transport=httpx.MockTransport(self.answer),
            chance=random.Random(1),  # noqa: S311
            **client,
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(answer, type):
            raise answer("", request=request)
        response: httpx.Response = answer
        return response

    def send(self, method: str = "GET", *, waits: float | None = None, **more: Any) -> Answer:
        async def work() -> Answer:
            try:
                if waits is None:
                    return await self.client.request("test", method, "/path", **more)
                with waiting_at_most(waits):
                    return await self.client.request("test", method, "/path", **more)
            finally:
                await self.client.aclose()

        return asyncio.run(work())


def name(value: Any) -> str:
    """How a test names an answer of the wire."""
    return getattr(value, "__name__", None) or f"{value.status_code}-{len(value.content)}"


def ok(body: Any = None, **headers: str) -> httpx.Response:
    return httpx.Response(200, json={"a": 1} if body is None else body, headers=headers)


def test_a_good_answer() -> None:
    wire = Wire(ok(ETag='"7"'))
    assert wire.send(params={"a": "1"}, json={"b": 2}, method="POST") == Answer(
        200, {"a": 1}, '"7"'
    )
    [request] = wire.requests
    assert str(request.url) == "https://api.example/path?a=1"
    assert "gzip" in request.headers["user-agent"]
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadTimeout, httpx.ReadError,
        httpx.WriteError, httpx.RemoteProtocolError, httpx.PoolTimeout,
        httpx.Response(503), httpx.Response(500, text="<html>"), httpx.Response(429),
        httpx.Response(200, text='{"a":'), httpx.Response(200, text="<html>"),
        httpx.Response(200, content=b"\xff\xfe"), httpx.Response(200),
    ],
    ids=name,
)  # fmt: skip
def test_what_may_help_is_sent_again(answer: Any) -> None:
    wire = Wire(answer, ok())
    assert wire.send().json == {"a": 1}
    assert len(wire.requests) == 2
    assert wire.clock.monotonic() > 0


@pytest.mark.parametrize("status", [400, 403, 404, 409, 412])
def test_what_cannot_help_is_not(status: int) -> None:
    wire = Wire(httpx.Response(status))
    with pytest.raises(SyncError):
        wire.send()
    assert len(wire.requests) == 1


def test_a_redirect_is_never_followed() -> None:
    wire = Wire(httpx.Response(302, headers={"Location": "https://evil.example/"}))
    with pytest.raises(TransientError, match="redirected"):
        wire.send(token=Tokens())
    assert {request.url.host for request in wire.requests} == {"api.example"}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 412])
def test_a_page_of_a_proxy_says_nothing_about_the_item(status: int) -> None:
    page = httpx.Response(status, html="<html>Blocked</html>")
    wire = Wire(page, httpx.Response(200, json={"fine": True}))
    assert wire.send(token=Tokens()).json == {"fine": True}
    # Without a page the status is the server's word.
    with pytest.raises(SyncError) as caught:
        Wire(httpx.Response(status)).send()
    assert not isinstance(caught.value, TransientError)


def test_the_number_of_attempts_is_bounded() -> None:
    wire = Wire(httpx.Response(503))
    with pytest.raises(TransientError):
        wire.send()
    assert len(wire.requests) == 4
    assert 0.2 < wire.clock.monotonic() < 4
    assert wire.client.meter.requests == {"test": 4}


@pytest.mark.parametrize(
    "answer",
    [httpx.ReadTimeout, httpx.ReadError, httpx.Response(502), httpx.Response(201, text="{")],
    ids=name,
)
def test_a_write_that_must_not_happen_twice_is_not_sent_again(answer: Any) -> None:
    wire = Wire(answer, ok())
    with pytest.raises(OutcomeUnknown):
        wire.send("POST", repeatable=False)
    assert len(wire.requests) == 1


@pytest.mark.parametrize("answer", [httpx.ConnectError, httpx.Response(429)], ids=name)
def test_unless_it_certainly_did_not_happen(answer: Any) -> None:
    wire = Wire(answer, ok())
    wire.send("POST", repeatable=False)
    assert len(wire.requests) == 2


@pytest.mark.parametrize(("status", "method"), [(204, "DELETE"), (200, "DELETE"), (204, "GET")])
def test_an_empty_answer_where_one_is_expected(status: int, method: str) -> None:
    assert Wire(httpx.Response(status)).send(method) == Answer(status, None)


# --- waiting --------------------------------------------------------------------------------------


def test_a_retry_after_is_obeyed() -> None:
    wire = Wire(httpx.Response(429, headers={"Retry-After": "7"}), ok())
    wire.send()
    assert 7 < wire.clock.monotonic() < 8


def test_waits_beyond_the_budget_fail_at_once_and_tell_how_long() -> None:
    wire = Wire(httpx.Response(429, headers={"Retry-After": "3600"}))
    with pytest.raises(RateLimited) as caught:
        wire.send(waits=20.0)
    assert caught.value.retry_after == 3600
    assert wire.clock.monotonic() == 0
    assert wire.client.meter.throttled == 1


def test_all_waits_of_a_block_share_one_budget() -> None:
    wire = Wire(httpx.Response(429, headers={"Retry-After": "9"}))
    with pytest.raises(RateLimited):
        wire.send(waits=20.0)
    assert len(wire.requests) == 3
    assert wire.clock.monotonic() <= 20


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120), ("0", 0), ("1.5", 1.5), ("-5", 0), ("9" * 30, 6 * 3600), ("inf", 6 * 3600),
        ("nan", None), ("", None), ("soon", None), ("Mon, 02 Mar 2026 15:01:00 GMT", 60),
        ("Mon, 02 Mar 2026 14:00:00 GMT", 0), ("Mon, 02 Mar 2099 14:00:00 GMT", 6 * 3600),
        ("Mon, 02 Mar 2026 15:01:00", 60), ("Mon, 99 Foo 2026 15:01:00 GMT", None),
    ],
)  # fmt: skip
def test_forms_of_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}, NOW) == seconds


@given(st.text(st.characters(max_codepoint=255)))
def test_no_retry_after_breaks_anything(text: str) -> None:
    seconds = retry_after({"Retry-After": text}, NOW)
    assert seconds is None or 0 <= seconds <= 6 * 3600


def test_each_attempt_waits_for_its_turn() -> None:
    turns = []

    async def limiter(count: int) -> None:
        turns.append(count)

    Wire(httpx.Response(503), ok(), limiter=limiter).send()
    assert turns == [1, 1]


# --- tokens ---------------------------------------------------------------------------------------


def test_a_refused_token_is_replaced_once() -> None:
    wire, tokens = Wire(httpx.Response(401), ok()), Tokens()
    wire.send(token=tokens)
    assert tokens.rejected == ["token-1"]
    sent = [request.headers["authorization"] for request in wire.requests]
    assert sent == ["Bearer token-1", "Bearer token-2"]


def test_and_not_again() -> None:
    wire, tokens = Wire(httpx.Response(401)), Tokens()
    with pytest.raises(TokenRejected):
        wire.send(token=tokens)
    assert len(wire.requests) == 2


def test_a_refused_token_renews_also_a_write_that_must_not_happen_twice() -> None:
    wire = Wire(httpx.Response(401), ok())
    wire.send("POST", token=Tokens(), repeatable=False)
    assert len(wire.requests) == 2


# --- silence and safety ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(400, json=[{"message": "Zyxwanda"}]),
        httpx.Response(500, text="Zyxwanda"),
        httpx.Response(200, text="Zyxwanda {"),
        httpx.ReadError,
    ],
    ids=name,
)
def test_no_error_and_no_log_holds_body_query_or_token(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(SyncError) as caught:
        Wire(answer).send(
            "PUT", params={"q": "Zyxwanda"}, json={"title": "Zyxwanda"}, token=Tokens()
        )
    error: BaseException | None = caught.value
    texts = [caplog.text, repr(error), str(vars(caught.value))]
    assert error is not None
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert not any(word in text for text in texts for word in ("Zyxwanda", "token-1"))


@pytest.mark.parametrize("url", ["http://api.example", "ftp://x", "api.example"])
def test_only_https(url: str) -> None:
    with pytest.raises(ConfigurationError):
        HttpClient(url, clock=VirtualClock(), classify=classify)


def test_a_missing_ca_bundle_is_named(tmp_path: Any) -> None:
    with pytest.raises(ConfigurationError, match="CA bundle"):
        HttpClient(
            "https://x.example",
            clock=VirtualClock(),
            classify=classify,
            verify=str(tmp_path / "none.pem"),
        )


class Untrusted(httpx.ConnectError):
    """What httpx raises for a certificate of nobody's."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.__cause__ = ssl.SSLCertVerificationError("self-signed")


def test_an_untrusted_certificate_is_a_matter_of_configuration_and_not_tried_again() -> None:
    wire = Wire(Untrusted)
    with pytest.raises(TenantMisconfigured) as caught:
        wire.send()
    assert caught.value.code == "untrusted_certificate"
    assert len(wire.requests) == 1


def test_a_token_that_cannot_be_had_is_not_asked_for_again_by_every_attempt() -> None:
    asked: list[int] = []

    class Failing:
        async def get(self) -> str:
            asked.append(1)
            raise TransientError(code_of("token_server_down"))

        async def reject(self, token: str) -> None:
            raise AssertionError

    wire = Wire(ok())
    with pytest.raises(TransientError, match="token_server_down"):
        wire.send(token=Failing())
    assert (len(asked), wire.requests) == (1, [])


def test_a_page_in_answer_to_a_write_that_must_not_happen_twice_is_looked_into() -> None:
    wire = Wire(httpx.Response(403, html="<html>"))
    with pytest.raises(OutcomeUnknown):
        wire.send("POST", repeatable=False)
    assert len(wire.requests) == 1


def test_a_request_cancelled_during_the_handshake_leaves_no_connection_behind() -> None:
    async def main() -> bytes:
        arrived = asyncio.Event()
        left: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            arrived.set()
            await reader.read()
            writer.close()
            left.set_result(await reader.read())

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = HttpClient(f"https://127.0.0.1:{port}", clock=VirtualClock(), classify=classify)
        request = asyncio.ensure_future(client.request("kind", "GET", "/"))
        await arrived.wait()
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        try:
            return await asyncio.wait_for(left, 5)
        finally:
            server.close()
            await client.aclose()

    assert asyncio.run(main()) == b""
