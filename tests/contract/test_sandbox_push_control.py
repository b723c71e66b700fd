"""The control API of push and free/busy, as the demo and a person use it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from calendar_sync_sandbox.outbox import Answer
from tests.contract.conftest import START, Caller
from tests.contract.test_sandbox_google import DANA, HOUR, caller
from tests.contract.test_sandbox_google_push import watch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calendar_sync_sandbox import Sandbox

HOOK = {
    "name": "sync",
    "url": "https://sync.example.org/welkin",
    "headers": {"X-Sync-Secret": "s3cret"},
}


@pytest.fixture
def control(sandbox: Sandbox) -> Caller:
    sandbox.google.unfriendly = False
    sandbox.google.add_account(DANA)
    sandbox.microsoft.add_account(DANA)
    return Caller(sandbox, "/_sandbox")


@pytest.fixture
def google(sandbox: Sandbox, control: Caller) -> Caller:
    return caller(sandbox)


def test_what_happens_on_the_way_is_set_and_reported(
    sandbox: Sandbox, control: Caller, google: Caller
) -> None:
    trouble = {"delay_seconds": 5, "lose": 0.1, "double": 0.2, "shuffle": True, "dead": True}
    assert control("POST", "/push/trouble/google", trouble).status == 200
    assert control("POST", "/push/trouble/all", {"lose": 0, "double": 0}).status == 200
    found = control("GET", "/push").body
    assert found["trouble"]["google"] == {**trouble, "lose": 0.0, "double": 0.0}
    assert found["trouble"]["welkin"]["dead"] is False
    assert control("POST", "/push", {"allow_http": True, "trust": "/ca.pem"}).status == 200
    assert (sandbox.outbox.allow_http, sandbox.outbox.trust) == (True, "/ca.pem")
    watch(google)
    assert control("GET", "/push").body["channels"] == 1
    (waiting,) = control("GET", "/push/waiting").body
    assert (waiting["service"], waiting["kind"], waiting["tries"]) == ("google", "sync", 0)
    assert waiting["due"] == (START + timedelta(seconds=5)).isoformat()
    assert control("DELETE", "/push/waiting").status == 200
    assert control("GET", "/push").body["waiting"] == 0


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/push/trouble/yahoo", {"lose": 1}, 404),
        ("/push/trouble/google", {"loose": 1}, 404),
        ("/push/trouble/google", {"lose": "much"}, 400),
        ("/google/channels", {"refuse": "politely"}, 400),
        ("/google/channels", {"longest_seconds": None}, 400),
        ("/microsoft/subscriptions", {"beyond": "cry"}, 404),
        ("/microsoft/subscriptions", {"unknown": 1}, 404),
        ("/microsoft/subscriptions/unknown", {}, 404),
        ("/welkin/automations", {"name": "x"}, 400),
        ("/welkin/automations/none/test", {}, 404),
    ],
)
def test_what_is_not_understood_changes_nothing(
    control: Caller, path: str, body: dict[str, Any], status: int
) -> None:
    before = control("GET", "/push").body
    assert control("POST", path, body).status == status
    assert control("GET", "/push").body == before


def test_notices_are_delivered_by_hand(sandbox: Sandbox, control: Caller, google: Caller) -> None:
    async def post(url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> Answer:
        return Answer(204)

    sandbox.outbox.post = post
    watch(google)
    (delivery,) = control("POST", "/push/deliver").body
    assert (delivery["outcome"], delivery["status"], delivery["target"]) == (
        "delivered", 204, "channel-1",
    )  # fmt: skip
    assert control("GET", "/push/deliveries").body == [delivery]
    assert control("GET", "/push").body["outcomes"] == {"delivered": 1}


def test_channels_are_treated_and_ended(control: Caller, google: Caller) -> None:
    control("POST", "/google/channels", {"refuse": "unauthorized"})
    assert watch(google).status == 401
    settings = {"refuse": None, "longest_seconds": 60, "life_seconds": 30, "after_stop_seconds": 0}
    control("POST", "/google/channels", settings)
    made = watch(google, id="a").body
    assert made["expiration"] == str(round((START + timedelta(seconds=30)).timestamp() * 1000))
    made = watch(google, id="b", params={"ttl": "90"}).body
    assert made["expiration"] == str(round((START + timedelta(seconds=60)).timestamp() * 1000))
    assert [row["id"] for row in control("GET", "/google/channels").body] == ["a", "b"]
    assert "secret" not in control("GET", "/google/channels").raw.decode()
    assert control("POST", "/google/channels/end", {"account": DANA}).body == {"ended": 2}
    assert control("GET", "/push").body["channels"] == 0


def test_busy_times_are_hidden_and_stale(sandbox: Sandbox, control: Caller) -> None:
    settings = {
        "lag_seconds": 60, "longest_days": 30, "shared": False, "hidden": [DANA], "broken": [],
        "cuts": False,
    }  # fmt: skip
    assert control("POST", "/google/freebusy", settings).status == 200
    held = sandbox.google.freebusy
    assert (held.lag_seconds, held.longest, held.hidden) == (60, timedelta(days=30), {DANA})
    assert (held.shared, held.cuts) == (False, False)


def test_subscriptions_are_treated_and_ended(sandbox: Sandbox, control: Caller) -> None:
    from tests.contract.graph import connect
    from tests.contract.test_sandbox_microsoft_push import LIFECYCLE, Site, subscribe

    graph = connect(sandbox)
    sandbox.outbox.post = Site().post
    settings = {"longest_minutes": 4230, "beyond": "shorten", "most": 9, "grace_seconds": 1}
    assert control("POST", "/microsoft/subscriptions", settings).status == 200
    assert subscribe(graph, lifecycleNotificationUrl=LIFECYCLE).status == 201
    (row,) = control("GET", "/microsoft/subscriptions").body
    assert row["account"] == DANA
    assert row["expires"] == (START + timedelta(minutes=4230)).isoformat()
    assert "secret" not in control("GET", "/microsoft/subscriptions").raw.decode()
    for verb in ("challenge", "miss", "remove"):
        answer = control("POST", f"/microsoft/subscriptions/{verb}", {"account": DANA})
        assert answer.body == {"count": 1}
    assert control("POST", "/microsoft/subscriptions/end").body == {"count": 0}
    assert {row["kind"] for row in control("GET", "/push/waiting").body} == {"lifecycle"}


def test_webhooks_are_made_by_hand(sandbox: Sandbox, control: Caller) -> None:
    made = control("POST", "/welkin/automations", {**HOOK, "active": False})
    assert (made.status, made.body["headers"]) == (200, ["X-Sync-Secret"])
    assert "s3cret" not in control("GET", "/welkin/automations").raw.decode()
    assert control("GET", "/push").body["automations"] == 0
    assert control("POST", "/welkin/automations/sync/activate").body["active"] is True
    assert control("GET", "/push").body["automations"] == 1
    control("POST", "/welkin/automations/sync/test")
    host = sandbox.welkin.add_user(DANA).id
    sandbox.welkin.automations.double = 0
    sandbox.welkin.book_event(host, START + HOUR, START + 2 * HOUR)
    kinds = [row["kind"] for row in control("GET", "/push/waiting").body]
    assert kinds == ["TEST", "CALENDAR_EVENT_CREATED"]
    assert control("POST", "/welkin/automations/sync/deactivate").body["active"] is False
    assert control("DELETE", "/welkin/automations/sync").status == 200
    assert control("GET", "/welkin/automations").body == []
