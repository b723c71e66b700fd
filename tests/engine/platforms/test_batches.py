"""Polls that travel together: what befalls one of them is nobody else's."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from calendar_sync.adapters.http import waiting_at_most
from calendar_sync.core.concurrency import together
from calendar_sync.core.errors import CursorExpired, RateLimited, TransientError, UserUnavailable
from calendar_sync.core.model import Platform, Window
from calendar_sync_sandbox.faults import Fault
from tests.engine.platforms.test_contract import DAY, HOUR
from tests.harness import World

MANY = 50


class Ward(World):
    """Fifty mailboxes with a cursor each."""

    def __init__(self) -> None:
        super().__init__()
        now = self.clock.now()
        self.window = Window(now - 30 * DAY, now + 100 * DAY)
        self.accounts = [f"nurse{number:02}@example.org" for number in range(MANY)]
        for account in self.accounts:
            self.microsoft.add_account(account, "America/New_York")
            self.microsoft.plan(account, now + DAY, now + DAY + HOUR, "Dentist")
        self.cursors = dict.fromkeys(self.accounts, "")
        found = self.ask(first=True)
        self.cursors = {account: found[account].cursor for account in self.accounts}
        self.sandbox.requests.clear()

    def ask(self, *, first: bool = False, impatient: str = "") -> dict[str, Any]:
        """The answer for each mailbox, or what was raised in its place."""

        async def work(services: Any) -> dict[str, Any]:
            platform = services.platforms[Platform.MICROSOFT]

            async def one(account: str) -> Any:
                cursor = None if first else self.cursors[account]
                try:
                    async with asyncio.timeout(0.1 if account == impatient else None):
                        return await platform.changes(account, "primary", cursor, self.window)
                except (TransientError, UserUnavailable, CursorExpired, TimeoutError) as error:
                    return error

            with waiting_at_most(5.0):
                found = await together((one(account) for account in self.accounts), 64)
            return dict(zip(self.accounts, found, strict=True))

        answers: dict[str, Any] = asyncio.run(self.with_services(work))
        return answers

    def fault(self, kind: str, account: str = "", **more: Any) -> Fault:
        path = f"{account}.*/delta" if account else r"\$batch"
        return self.sandbox.faults.add(Fault("microsoft", kind, path=path, **more))

    def bad(self, answers: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in answers.items() if isinstance(value, Exception)}


@pytest.fixture
def ward() -> Iterator[Ward]:
    made = Ward()
    yield made
    assert max(made.microsoft.worst_concurrency.values()) <= 4
    made.database.close()


def test_fifty_polls_are_a_handful_of_requests(ward: Ward) -> None:
    assert ward.bad(ward.ask()) == {}
    kinds = [entry.kind for entry in ward.sandbox.requests]
    assert kinds.count("microsoft.events.delta") == MANY
    assert kinds.count("microsoft.batch") <= 5


def test_each_gets_its_own_answer_whatever_their_order(ward: Ward) -> None:
    moved = ward.accounts[::7]
    for account in moved:
        (event,) = ward.microsoft.own(account)
        ward.microsoft.rename(account, event.id, account)
    answers = ward.ask()
    assert {key: [event.title for event in found.events] for key, found in answers.items()} == {
        key: [key] if key in moved else [] for key in ward.accounts
    }


def test_one_mailbox_out_of_use_is_alone_with_that(ward: Ward) -> None:
    ward.microsoft.revoke(ward.accounts[3])
    ward.microsoft.expire_sync_tokens(ward.accounts[4])
    bad = ward.bad(ward.ask())
    assert bad.keys() == {ward.accounts[3], ward.accounts[4]}
    assert isinstance(bad[ward.accounts[3]], UserUnavailable)
    assert bad[ward.accounts[3]].detail == ward.accounts[3]
    assert isinstance(bad[ward.accounts[4]], CursorExpired)


@pytest.mark.parametrize("code", [500, 503, 401])
def test_a_part_that_fails_for_a_moment_is_asked_for_again_by_itself(ward: Ward, code: int) -> None:
    ward.fault("status", "nurse07", code=code)
    assert ward.bad(ward.ask()) == {}
    asked = [e for e in ward.sandbox.requests if "nurse07" in e.path]
    assert [e.status for e in asked] == [code, 200]


def test_a_part_that_is_throttled_waits_as_long_as_the_answer_says(ward: Ward) -> None:
    ward.fault("status", "nurse07", code=429, retry_after=90)
    bad = ward.bad(ward.ask())
    assert bad.keys() == {"nurse07@example.org"}
    assert isinstance(bad["nurse07@example.org"], RateLimited)
    assert bad["nurse07@example.org"].retry_after == 90


@pytest.mark.parametrize("kind", ["html", "truncated_json", "empty_200", "reset_after"])
def test_a_batch_that_is_lost_is_sent_again(ward: Ward, kind: str) -> None:
    ward.fault(kind)
    assert ward.bad(ward.ask()) == {}


def test_a_batch_that_stays_lost_is_an_error_for_each_of_its_parts(ward: Ward) -> None:
    ward.fault("status", code=503, times=None)
    bad = ward.bad(ward.ask())
    assert bad.keys() == set(ward.accounts)
    assert len({id(error) for error in bad.values()}) == MANY, "each has an error of its own"


def test_an_answer_without_some_parts_is_an_error_for_those(ward: Ward) -> None:
    send = ward.transport.handle_async_request

    async def lose(request: httpx.Request) -> httpx.Response:
        answer = await send(request)
        if request.url.path.endswith("$batch"):
            await answer.aread()
            body = answer.json()
            body["responses"] = [e for e in body["responses"] if e["id"] != "0"]
            body["responses"].append({"id": "99", "status": "odd", "headers": [], "body": 7})
            return httpx.Response(200, json=body)
        return answer

    ward.transport.handle_async_request = lose  # type: ignore[method-assign]
    answers = ward.ask()
    batches = sum(entry.kind == "microsoft.batch" for entry in ward.sandbox.requests)
    bad = ward.bad(answers)
    assert 0 < len(bad) <= batches
    assert {str(error) for error in bad.values()} == {"microsoft_unreadable_batch"}


def test_where_batches_are_switched_off_each_is_asked_for_alone(ward: Ward) -> None:
    ward.document = {"limits": {"microsoft_batch_size": 1}}
    assert ward.bad(ward.ask()) == {}
    assert "microsoft.batch" not in [entry.kind for entry in ward.sandbox.requests]


def test_a_cancelled_request_cancels_no_other_of_the_batch(ward: Ward) -> None:
    """A poll has its own time limit: the others of its batch get their answers."""
    send = ward.transport.handle_async_request
    begun: list[str] = []

    async def slow(request: Any) -> Any:
        if request.url.path.endswith("$batch") and not begun:
            begun.append(request.url.path)
            await asyncio.sleep(0.3)
        return await send(request)

    ward.transport.handle_async_request = slow  # type: ignore[method-assign]
    bad = ward.bad(ward.ask(impatient=ward.accounts[2]))
    assert {key: type(error) for key, error in bad.items()} == {ward.accounts[2]: TimeoutError}
    assert ward.bad(ward.ask()) == {}
