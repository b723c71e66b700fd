"""A clock that tests move, and a client that speaks ASGI to the sandbox without any library."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from calendar_sync_sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.contract.graph import Graph

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class ManualClock:
    """Time stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Answer:
    """Status, headers in lower case, and the raw body of an answer."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw) if self.raw else None

    @property
    def reason(self) -> str:
        """Google's reason of an error, or Welkin's error code."""
        if isinstance(self.body, list):
            return str(self.body[0]["errorCode"])
        return str(self.body["error"]["errors"][0]["reason"])


class Caller:
    """Sends requests under one prefix with one token."""

    def __init__(self, sandbox: Sandbox, prefix: str, token: str = "") -> None:
        self.sandbox = sandbox
        self.prefix = prefix
        self.token = token

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        /,
        **query: Any,
    ) -> Answer:
        raw = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        sent = {"authorization": f"Bearer {self.token}", **(headers or {})}
        return asyncio.run(self._send(method, self.prefix + path, query, raw, sent))

    async def _send(
        self, method: str, path: str, query: dict[str, Any], raw: bytes, headers: dict[str, str]
    ) -> Answer:
        parts: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": raw, "more_body": False}

        async def send(message: Any) -> None:
            parts.append(message)

        # ``from`` is a word of Python, so tests write ``from_``.
        named = {name.rstrip("_"): value for name, value in query.items()}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": urlencode(named, doseq=True).encode(),
            "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
            "extensions": {"calendar_sync.in_process": True},
        }
        await self.sandbox.app(scope, receive, send)
        found = {k.decode(): v.decode() for k, v in parts[0]["headers"]}
        return Answer(parts[0]["status"], found, b"".join(p["body"] for p in parts[1:]))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sandbox(clock: ManualClock) -> Sandbox:
    return Sandbox(clock=clock)


@pytest.fixture
def graph(sandbox: Sandbox) -> Graph:
    """Two mailboxes, and a caller that may use them."""
    from tests.contract.graph import DANA, RUBEN, connect

    sandbox.microsoft.add_account(DANA, "America/New_York")
    sandbox.microsoft.add_account(RUBEN, "Europe/Berlin")
    return connect(sandbox)
