"""Welkin's access token and how long it lasts."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from calendar_sync.adapters.http import HttpClient
from calendar_sync.adapters.welkin.errors import classify
from calendar_sync.adapters.welkin.tokens import fetch_token
from calendar_sync.config.credentials import WelkinCredentials
from calendar_sync.core.errors import SyncError, TenantMisconfigured, TransientError
from tests.harness import VirtualClock

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
WHO = WelkinCredentials("https://w.example", "demo", "live", "ABCDEFGHIJKL", "the secret")


def jwt(**claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{payload}.tail"


def fetch(answer: httpx.Response, who: WelkinCredentials = WHO) -> tuple[str, datetime, Any]:
    sent: list[httpx.Request] = []

    def wire(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return answer

    async def work() -> tuple[str, datetime]:
        transport = httpx.MockTransport(wire)
        http = HttpClient(
            who.base_url, clock=VirtualClock(), classify=classify, transport=transport
        )
        try:
            return await fetch_token(http, who, NOW)
        finally:
            await http.aclose()

    token, expires = asyncio.run(work())
    return token, expires, sent[-1]


EXP = int((NOW + timedelta(hours=1)).timestamp())


@pytest.mark.parametrize(
    ("body", "minutes"),
    [
        ({"token": jwt(exp=EXP)}, 60),
        ({"token": jwt(exp=EXP), "expiresAt": "2026-03-02T15:10:00Z"}, 60),
        ({"token": jwt(), "expiresAt": "2026-03-02T15:10:00Z"}, 10),
        ({"token": jwt(exp="soon")}, 55),
        ({"token": "opaque", "expiresAt": "2026-03-02T15:10:00.000Z"}, 10),
        ({"token": "opaque", "expiresAt": "2026-03-02"}, 55),
        ({"token": "opaque", "expiresAt": "soon"}, 55),
        ({"token": "opaque", "expiresAt": 7}, 55),
        ({"token": "a.!!.c"}, 55),
    ],
    ids=lambda value: str(value)[:20],
)
@pytest.mark.parametrize("status", [200, 201])
def test_its_end_is_read_or_assumed(body: dict[str, Any], minutes: int, status: int) -> None:
    token, expires, request = fetch(httpx.Response(status, json=body))
    assert token == body["token"]
    assert expires == NOW + timedelta(minutes=minutes)
    assert request.url.path == "/demo/admin/api_clients/ABCDEFGHIJKL"
    assert json.loads(request.content) == {"secret": "the secret"}


def test_another_path_can_be_configured() -> None:
    who = WelkinCredentials(
        "https://w.example", "demo", "live", "C", "s", token_path="/v2/{tenant}/token/{client}"
    )
    _, _, request = fetch(httpx.Response(200, json={"token": "x"}), who)
    assert request.url.path == "/v2/demo/token/C"


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_wrong_client_or_secret_concerns_everybody(status: int) -> None:
    with pytest.raises(TenantMisconfigured) as caught:
        fetch(httpx.Response(status))
    assert "secret" not in str(vars(caught.value))


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={}),
        httpx.Response(200, json={"token": ""}),
        httpx.Response(200, json=[]),
        httpx.Response(200, text="<html>"),
        httpx.Response(503),
    ],
    ids=["no token", "empty token", "list", "html", "503"],
)
def test_no_token_is_no_token(answer: httpx.Response) -> None:
    with pytest.raises(TransientError):
        fetch(answer)


def test_forbidden_is_an_error_too() -> None:
    with pytest.raises(SyncError):
        fetch(httpx.Response(403))
