"""Notices on their way: kept, spoilt, carried into an application and over the network."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

import pytest

from calendar_sync_sandbox import Sandbox, running
from calendar_sync_sandbox.courier import carrying, into
from calendar_sync_sandbox.outbox import Answer, Outbox
from tests.contract.conftest import START, ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PATIENCE = 60


@pytest.fixture
def outbox(sandbox: Sandbox) -> Outbox:
    return sandbox.outbox


def add(outbox: Outbox, count: int = 1, service: str = "google", **more: Any) -> None:
    for number in range(count):
        outbox.add(
            service, "exists", f"channel-{number}", f"https://sync.example.org/{number}", {}, **more
        )


def deliver(outbox: Outbox) -> list[str]:
    return [delivery.outcome for delivery in asyncio.run(outbox.deliver())]


class Receiver:
    """An address: what came, and what it answers."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.urls: list[str] = []

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, seconds: float
    ) -> Answer:
        self.urls.append(url)
        return Answer(self.statuses.pop(0) if self.statuses else 204)


# --- Trouble -------------------------------------------------------------------


def test_a_notice_waits_until_it_is_delivered(outbox: Outbox, clock: ManualClock) -> None:
    receiver = Receiver()
    outbox.post = receiver.post
    add(outbox, 2)
    add(outbox, delay=30)
    assert [(n.target, n.due - START) for n in outbox.waiting()] == [
        ("channel-0", timedelta(0)),
        ("channel-1", timedelta(0)),
        ("channel-0", timedelta(seconds=30)),
    ]
    assert deliver(outbox) == ["delivered"] * 2
    assert outbox.next_due() == START + timedelta(seconds=30)
    clock.advance(30)
    assert deliver(outbox) == ["delivered"]
    assert outbox.next_due() is None
    assert len(receiver.urls) == 3


def test_no_receiver_answers_before_a_test_names_one(outbox: Outbox) -> None:
    add(outbox)
    assert deliver(outbox) == ["again"]
    assert (outbox.deliveries[-1].status, outbox.deliveries[-1].tries) == (0, 1)


def test_notices_are_late(outbox: Outbox, clock: ManualClock) -> None:
    outbox.post = Receiver().post
    outbox.trouble["google"].delay_seconds = 90
    add(outbox)
    add(outbox, service="microsoft")
    assert deliver(outbox) == ["delivered"]
    clock.advance(90)
    assert deliver(outbox) == ["delivered"]


def test_notices_are_lost(outbox: Outbox) -> None:
    receiver = Receiver()
    outbox.post = receiver.post
    outbox.trouble["google"].lose = 1.0
    add(outbox, 3)
    assert deliver(outbox) == []
    assert [delivery.outcome for delivery in outbox.deliveries] == ["lost"] * 3
    outbox.trouble["google"].lose = 0.5
    add(outbox, 40)
    assert 5 < len(deliver(outbox)) < 35
    assert len(receiver.urls) == len(outbox.deliveries) - sum(
        delivery.outcome == "lost" for delivery in outbox.deliveries
    )


def test_notices_come_twice_and_out_of_order(outbox: Outbox) -> None:
    receiver = Receiver()
    outbox.post = receiver.post
    outbox.trouble["google"].double = 1.0
    add(outbox, 10)
    assert len(deliver(outbox)) == 20
    assert receiver.urls == sorted(receiver.urls)
    outbox.trouble["google"].double = 0.0
    outbox.trouble["google"].shuffle = True
    receiver.urls.clear()
    add(outbox, 10)
    deliver(outbox)
    assert receiver.urls != sorted(receiver.urls)
    assert len(set(receiver.urls)) == 10


def test_an_address_is_dead_for_a_while(outbox: Outbox, clock: ManualClock) -> None:
    receiver = Receiver()
    outbox.post = receiver.post
    outbox.trouble["google"].dead = True
    add(outbox)
    assert deliver(outbox) == ["again"]
    assert receiver.urls == []
    outbox.trouble["google"].dead = False
    clock.advance(1)
    assert deliver(outbox) == ["delivered"]


def test_what_waits_can_be_thrown_away(outbox: Outbox) -> None:
    add(outbox, 2)
    outbox.clear()
    assert outbox.waiting() == []


# --- Into an application -------------------------------------------------------


def test_an_application_of_this_process_gets_them(outbox: Outbox) -> None:
    seen: list[tuple[str, bytes, bytes]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        headers = dict(scope["headers"])
        seen.append((scope["path"], headers[b"x-goog-channel-id"], body))
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    outbox.post = into(app)
    headers = {"x-goog-channel-id": "one", "content-length": "0"}
    outbox.add("google", "exists", "one", "https://sync.example.org/push", headers)
    assert deliver(outbox) == ["delivered"]
    assert seen == [("/push", b"one", b"")]


# --- Over the network ----------------------------------------------------------


class Site(HTTPServer):
    """A real address of this machine; answers as told, 204 when nothing is."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self.came: Queue[tuple[str, dict[str, str], bytes]] = Queue()
        self.answers: list[tuple[int, dict[str, str]]] = []
        super().__init__(("127.0.0.1", 0), handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/push?from=sandbox"

    def next(self) -> tuple[str, dict[str, str], bytes]:
        return self.came.get(timeout=PATIENCE)


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        status, headers = self.server.answers.pop(0) if self.server.answers else (204, {})
        self.send_response(status)
        for name, value in {"content-length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.server.came.put((self.path, dict(self.headers.items()), body))

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def site(handler: type[BaseHTTPRequestHandler] = Handler) -> Iterator[Site]:
    server = Site(handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_served_sandbox_sends_them_itself_and_leaves_nothing_running() -> None:
    sandbox = Sandbox()
    before = set(threading.enumerate())
    with site() as address, running(sandbox):
        # From this thread, as a test's edit would.
        sandbox.outbox.add("google", "exists", "one", address.url, {"x-goog-message-number": "7"})
        path, headers, body = address.next()
        assert (path, body) == ("/push?from=sandbox", b"")
        assert {k.lower(): v for k, v in headers.items()}["x-goog-message-number"] == "7"
        # A server that cannot is asked again; one that points elsewhere is not followed.
        address.answers = [(302, {"location": address.url}), (503, {}), (204, {})]
        for target in ("two", "three"):
            sandbox.outbox.add("google", "exists", target, address.url, {})
        for _ in range(3):
            address.next()
    assert set(threading.enumerate()) == before
    with pytest.raises(Empty):
        address.came.get(block=False)


def test_what_hangs_is_left_behind_at_once() -> None:
    async def play() -> None:
        outbox = Outbox(ManualClock(), 1)
        begun = asyncio.Event()

        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            begun.set()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(hang, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            async with carrying(outbox):
                outbox.add("google", "exists", "one", f"http://127.0.0.1:{port}/", {})
                await begun.wait()
            assert len(asyncio.all_tasks()) <= 2  # this one, and the server's own
        assert list(outbox.deliveries) == []

    asyncio.run(play())


def test_an_address_that_is_none_counts_as_silent() -> None:
    async def play() -> list[int]:
        outbox = Outbox(ManualClock(), 1)
        async with carrying(outbox):
            return [
                (await outbox.post(url, {}, b"", 5)).status
                for url in ("https://", "nonsense", "http://127.0.0.1:1/", "http://[::1/")
            ]

    assert asyncio.run(play()) == [0, 0, 0, 0]


def test_a_certificate_must_be_trusted(tmp_path: Path) -> None:
    # Another sandbox is an HTTPS server with an authority of its own.
    async def play(url: str, ca: Path) -> list[int]:
        outbox = Outbox(ManualClock(), 1)
        found = []
        async with carrying(outbox):
            for trust in (None, str(tmp_path / "missing.pem"), str(ca)):
                outbox.trust = trust
                found.append((await outbox.post(f"{url}/google/token", {}, b"", 30)).status)
        return found

    with running(Sandbox()) as (root, ca):
        assert asyncio.run(play(root, ca)) == [0, 0, 400]


def test_an_answer_is_awaited_as_long_as_the_service_says() -> None:
    async def play() -> Answer:
        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        outbox = Outbox(ManualClock(), 1)
        server = await asyncio.start_server(hang, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, carrying(outbox):
            return await outbox.post(f"http://127.0.0.1:{port}/", {}, b"", 0.05)

    answer = asyncio.run(play())
    assert answer.status == 0
    assert answer.seconds >= 0.05
