"""Polls of many mailboxes in one request.

https://learn.microsoft.com/graph/json-batching. A poll that finds nothing costs us more to send
than the server to answer: carried together, a round took a tenth of the time (docs/benchmarks.md).
For the server each part counts as a request of its own, also for its limits.
"""

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from calendar_sync.adapters.http import Answer, Failure, HttpClient, TokenSource, retry_after
from calendar_sync.adapters.microsoft.errors import classify
from calendar_sync.adapters.microsoft.slots import Slots
from calendar_sync.core.codes import MicrosoftCode
from calendar_sync.core.errors import (
    RateLimited,
    SyncError,
    TenantMisconfigured,
    TokenRejected,
    TransientError,
)

LARGEST = 20
# Coroutines that were started together reach their requests within so many turns of the loop.
TURNS = 4
# Seconds; well below what a poll may take, so that who was held up can still be asked alone.
PATIENCE = 8.0
# In place of an answer: what is repeated, with a fresh token where needed, is a plain request.
_BY_ITSELF = Answer(0, None)


@dataclass(frozen=True)
class _Part:
    """One GET of one mailbox, and who waits for it."""

    path: str
    answer: "asyncio.Future[Answer]"


class Batches:
    """Gathers what is asked for at the same moment.

    Args:
        http: the client of Graph's host.
        token: the tenant's token.
        slots: places for what is under way.
        headers: sent with each part.
        now: the time, for dates in Retry-After.
        most: how many parts a request has at most.
    """

    def __init__(
        self,
        http: HttpClient,
        token: TokenSource,
        slots: Slots,
        headers: Mapping[str, str],
        now: Callable[[], datetime],
        most: int = LARGEST,
    ) -> None:
        self._most = most
        self._http = http
        self._token = token
        self._slots = slots
        self._headers = headers
        self._now = now
        self._parts: list[_Part] = []
        self._gathering: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()

    async def get(self, kind: str, account: str, path: str) -> Answer | None:
        """The answer to a GET; None if it must be sent on its own.

        Raises:
            SyncError: as for any request; a part that was refused is not sent again.
        """
        async with self._slots.mailbox(account):
            part = _Part(path, asyncio.get_running_loop().create_future())
            self._parts.append(part)
            if self._gathering is None:
                self._gathering = asyncio.ensure_future(self._gather())
            answer = await part.answer
        if answer is _BY_ITSELF:
            return None
        self._http.meter.requests[kind] += 1
        return answer

    async def _gather(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)
        self._gathering = None
        size = min(self._most, self._slots.everybody.now)
        parts = [part for part in self._parts if not part.answer.done()]
        self._parts = []
        for first in range(0, len(parts), size):
            task = asyncio.ensure_future(self._send(parts[first : first + size]))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send(self, parts: list[_Part]) -> None:
        if len(parts) == 1:
            _settle(parts[0], _BY_ITSELF)
            return
        outcomes: list[Answer | BaseException]
        try:
            async with asyncio.timeout(PATIENCE):
                outcomes = await self._exchange(parts)
        except asyncio.CancelledError:
            for part in parts:
                part.answer.cancel()
            raise
        except BaseException as error:
            everybody = isinstance(error, (TransientError, TenantMisconfigured, TokenRejected))
            if isinstance(error, (SyncError, TimeoutError)) and not everybody:
                # That they were carried together was refused, or one of them held up the others.
                outcomes = [_BY_ITSELF] * len(parts)
            else:
                # Whoever waits gets to know of it, each with an error of their own.
                outcomes = [copy.copy(error) for _ in parts]
        for part, outcome in zip(parts, outcomes, strict=True):
            _settle(part, outcome)

    async def _exchange(self, parts: list[_Part]) -> list[Answer | BaseException]:
        limit, began = self._slots.everybody, 0

        @contextlib.asynccontextmanager
        async def places() -> AsyncIterator[None]:
            nonlocal began
            async with limit.slots(len(parts)):
                began = limit.refusals
                try:
                    yield
                except RateLimited:
                    limit.learn(granted=0, refused=len(parts), since=began)
                    raise

        requests = [
            {
                "id": str(number),
                "method": "GET",
                "url": part.path.removeprefix("/v1.0"),
                "headers": dict(self._headers),
            }
            for number, part in enumerate(parts)
        ]
        answer = await self._http.request(
            "microsoft.batch",
            "POST",
            "/v1.0/$batch",
            json={"requests": requests},
            token=self._token,
            slot=places,
            carries=len(parts),
        )
        listed = answer.json.get("responses") if isinstance(answer.json, Mapping) else None
        by_id = {
            str(entry.get("id")): entry
            for entry in (listed if isinstance(listed, list) else ())
            if isinstance(entry, Mapping)
        }
        outcomes = [self._outcome(by_id.get(str(number))) for number in range(len(parts))]
        refused = sum(isinstance(outcome, RateLimited) for outcome in outcomes)
        limit.learn(granted=len(parts) - refused, refused=refused, since=began)
        return outcomes

    def _outcome(self, entry: Mapping[str, Any] | None) -> Answer | BaseException:
        status, body = (entry.get("status"), entry.get("body")) if entry is not None else (0, None)
        if not isinstance(status, int) or status == 0:
            return TransientError(MicrosoftCode.UNREADABLE_BATCH)
        if 200 <= status < 300:
            return Answer(status, body)
        headers = entry.get("headers") if entry is not None else None
        sent = headers if isinstance(headers, Mapping) else {}
        named = {str(key).title(): str(value) for key, value in sent.items()}
        error = classify(Failure(status, body, retry_after(named, self._now())))
        if isinstance(error, TransientError) and not isinstance(error, RateLimited):
            return _BY_ITSELF
        return _BY_ITSELF if isinstance(error, TokenRejected) else error


def _settle(part: _Part, outcome: Answer | BaseException) -> None:
    if part.answer.done():
        return  # the caller is gone
    if isinstance(outcome, Answer):
        part.answer.set_result(outcome)
    else:
        part.answer.set_exception(outcome)
