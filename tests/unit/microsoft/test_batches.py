"""Polls that travel together: what becomes of each of them."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from calendar_sync.adapters.http import Answer, HttpClient, Meter, TokenSource
from calendar_sync.adapters.microsoft import batches
from calendar_sync.adapters.microsoft.batches import Batches
from calendar_sync.adapters.microsoft.slots import Slots
from calendar_sync.core.codes import code_of
from calendar_sync.core.errors import (
    BadItem,
    NotFound,
    RateLimited,
    SyncError,
    TenantMisconfigured,
    TokenRejected,
    TransientError,
    UserUnavailable,
)

NAMES = ("dana", "lee", "ruben")
Outcome = Answer | BaseException | None


class Graph:
    """In place of the HTTP client: answers batches as told."""

    def __init__(self, answer: Callable[[list[Mapping[str, Any]]], Any]) -> None:
        self.meter = Meter()
        self.sent: list[list[Mapping[str, Any]]] = []
        self._answer = answer

    async def request(self, *_: Any, json: Any, slot: Any, **__: Any) -> Answer:
        self.sent.append(json["requests"])
        async with slot():
            found = self._answer(json["requests"])
            if asyncio.iscoroutine(found):
                found = await found
        return Answer(200, found)


def ask(graph: Graph, names: tuple[str, ...] = NAMES) -> list[Outcome]:
    async def work() -> list[Outcome]:
        slots = Slots(16)
        http, token = cast("HttpClient", graph), cast("TokenSource", None)
        made = Batches(http, token, slots, {}, lambda: datetime.now(UTC))
        waiting = (made.get("events.delta", name, f"/v1.0/users/{name}") for name in names)
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert slots.everybody.now >= 8
        return found

    return asyncio.run(asyncio.wait_for(work(), 30))


def each(**by_name: tuple[int, Any]) -> Callable[[list[Mapping[str, Any]]], Any]:
    """Answers by name, the last part first."""

    def answer(parts: list[Mapping[str, Any]]) -> Any:
        responses = []
        for part in reversed(parts):
            status, body = by_name.get(part["url"].removeprefix("/users/"), (200, {"value": []}))
            responses.append({"id": part["id"], "status": status, "body": body})
        return {"responses": responses}

    return answer


def test_everybody_gets_the_own_answer() -> None:
    graph = Graph(each(dana=(200, {"value": [1]}), lee=(404, {"error": {"code": "x"}})))
    first, second, third = ask(graph)
    assert first == Answer(200, {"value": [1]})
    assert isinstance(second, NotFound)
    assert third == Answer(200, {"value": []})
    assert len(graph.sent) == 1


def test_who_asks_alone_needs_no_batch() -> None:
    graph = Graph(each())
    assert ask(graph, ("dana",)) == [None]
    assert graph.sent == []


def refusing(error: BaseException) -> Graph:
    def answer(_: Any) -> Any:
        raise error

    return Graph(answer)


@pytest.mark.parametrize(
    "error", [BadItem(code_of("no")), NotFound(code_of("no")), UserUnavailable(code_of("no"))]
)
def test_a_batch_that_is_refused_says_nothing_about_any_mailbox(error: SyncError) -> None:
    assert ask(refusing(error)) == [None, None, None]


@pytest.mark.parametrize(
    "error",
    [
        TransientError(code_of("x")),
        RateLimited(code_of("x"), retry_after=9.0),
        TenantMisconfigured(code_of("x")),
        TokenRejected(code_of("x")),
    ],
)
def test_what_concerns_all_users_fails_for_each(error: SyncError) -> None:
    found = ask(refusing(error))
    assert [(type(each), getattr(each, "code", "")) for each in found] == [(type(error), "x")] * 3
    assert len({id(each) for each in found}) == 3
    if isinstance(error, RateLimited):
        assert [getattr(each, "retry_after", 0) for each in found] == [9.0] * 3


def test_a_mailbox_that_does_not_answer_delays_others_only_briefly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches, "PATIENCE", 0.05)
    assert ask(Graph(lambda _: asyncio.sleep(3600))) == [None, None, None]
