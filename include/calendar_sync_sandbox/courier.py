"""Carrying notices: over the network for the served sandbox, into an application for tests."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import httpx

from calendar_sync_sandbox.outbox import POLICIES, Answer, Post

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.types import ASGIApp

    from calendar_sync_sandbox.outbox import Notice, Outbox

#: The longest pause between two looks at the outbox: some things become due by time alone.
LOOK = 0.5
#: Most requests in flight, as many as stay connected; more wait, like behind a real sender.
AT_ONCE = 20


def into(app: ASGIApp) -> Post:
    """Return what hands notices to an ASGI application in this process, whatever their host."""
    return _poster(httpx.AsyncClient(transport=httpx.ASGITransport(app=app)))


def _poster(client: httpx.AsyncClient) -> Post:
    async def post(url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> Answer:
        begun = time.monotonic()
        try:
            # httpx limits single steps; the services limit the whole.
            async with asyncio.timeout(seconds):
                answer = await client.post(url, headers=dict(headers), content=body)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError):
            return Answer(seconds=time.monotonic() - begun)
        kind = answer.headers.get("content-type", "")
        return Answer(answer.status_code, answer.content, kind, time.monotonic() - begun)

    return post


def _trusting(outbox: Outbox, context: ssl.SSLContext, send: Post) -> Post:
    """Let a context know the outbox's own authority, which may be named while it runs."""
    known: set[str] = set()

    async def post(url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> Answer:
        if outbox.trust and outbox.trust not in known:
            try:
                context.load_verify_locations(outbox.trust)
            except OSError:
                return Answer()  # as if the certificate were not trusted
            known.add(outbox.trust)
        return await send(url, headers, body, seconds)

    return post


@asynccontextmanager
async def carrying(outbox: Outbox) -> AsyncIterator[None]:
    """Send what is due while the context is open; nothing is left running afterwards.

    Redirects are not followed, and a certificate must be valid for the usual authorities or for
    ``outbox.trust``: Google and Microsoft do and demand the same.
    """
    context = ssl.create_default_context()
    loop, wake = asyncio.get_running_loop(), asyncio.Event()
    before = outbox.post, outbox.woken

    def woken() -> None:
        loop.call_soon_threadsafe(wake.set)

    whole = httpx.Timeout(max(policy.seconds for policy in POLICIES.values()))
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=whole) as client:
        outbox.post = _trusting(outbox, context, _poster(client))
        outbox.woken = woken
        carrier = asyncio.create_task(_carry(outbox, wake))
        try:
            yield
        finally:
            outbox.post, outbox.woken = before
            carrier.cancel()
            with suppress(asyncio.CancelledError):
                await carrier


async def _carry(outbox: Outbox, wake: asyncio.Event) -> None:
    room = asyncio.Semaphore(AT_ONCE)

    async def carry(notice: Notice) -> None:
        async with room:
            await outbox.send(notice)

    async with asyncio.TaskGroup() as group:
        while True:
            wake.clear()
            for notice in outbox.due():
                group.create_task(carry(notice))
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await wake.wait()
