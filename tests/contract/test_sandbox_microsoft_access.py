"""The Graph double: tokens, users, states of mailboxes, batches, limits."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import msal
import pytest
import requests

from calendar_sync_sandbox import Fault, Sandbox, running
from tests.contract.conftest import Caller, ManualClock
from tests.contract.graph import (
    DANA,
    EVENTS,
    ME,
    PREFER,
    RUBEN,
    WINDOW,
    Graph,
    ask_token,
    code,
    connect,
    event,
    judge,
    marker,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

GRAPH_SCOPE = "https://graph.microsoft.com/.default"


# --- Tokens --------------------------------------------------------------------


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Sandbox, requests.Session]]:
    sandbox = Sandbox()
    with running(sandbox) as (_, ca), requests.Session() as session:
        session.verify, session.trust_env = str(ca), False
        yield sandbox, session


@pytest.mark.parametrize("by", ["authority", "oidc_authority"])
@pytest.mark.parametrize("credential", ["secret", "certificate", "thumbprint"])
def test_msal_gets_a_token(
    served: tuple[Sandbox, requests.Session], by: str, credential: str
) -> None:
    sandbox, session = served
    directory = sandbox.microsoft.directory
    base = f"{directory.authority}/{directory.tenant_id}"
    where: dict[str, Any] = {"authority": base, "instance_discovery": False}
    if by == "oidc_authority":
        where = {"oidc_authority": f"{base}/v2.0"}
    known = directory.certificate()
    secret: Any = directory.client_secret
    if credential == "certificate":
        secret = {k: known[k] for k in ("private_key", "public_certificate")}
    elif credential == "thumbprint":
        secret = {k: known[k] for k in ("private_key", "thumbprint")}
    application = msal.ConfidentialClientApplication(
        directory.client_id, client_credential=secret, http_client=session, **where
    )
    found = application.acquire_token_for_client([f"{directory.graph_root}/.default"])
    assert found["token_type"] == "Bearer", found
    answer = session.get(
        f"{directory.graph_root}/v1.0/users",
        headers={"authorization": f"Bearer {found['access_token']}"},
    )
    assert answer.status_code == 200


def test_msal_sees_the_errors(served: tuple[Sandbox, requests.Session]) -> None:
    sandbox, session = served
    directory = sandbox.microsoft.directory
    application = msal.ConfidentialClientApplication(
        directory.client_id,
        client_credential="wrong",
        http_client=session,
        authority=f"{directory.authority}/{directory.tenant_id}",
        instance_discovery=False,
    )
    found = application.acquire_token_for_client([GRAPH_SCOPE])
    assert (found["error"], found["error_codes"]) == ("invalid_client", [7000215])
    with pytest.raises(ValueError, match="authority configuration"):
        msal.ConfidentialClientApplication(
            directory.client_id,
            client_credential="x",
            http_client=session,
            authority=f"{directory.authority}/11111111-0000-4000-8000-000000000000",
            instance_discovery=False,
        ).acquire_token_for_client([GRAPH_SCOPE])


@pytest.mark.parametrize(
    ("changes", "status", "error", "number"),
    [
        ({"tenant": "11111111-0000-4000-8000-000000000000"}, 400, "invalid_tenant", 90002),
        ({"tenant": "no tenant"}, 400, "invalid_request", 900023),
        ({"client_id": "x"}, 400, "unauthorized_client", 700016),
        ({"client_secret": "x"}, 401, "invalid_client", 7000215),
        ({"client_secret": None}, 401, "invalid_client", 7000218),
        ({"scope": "https://graph.microsoft.com/User.Read"}, 400, "invalid_scope", 1002012),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
    ],
)
def test_requests_for_tokens_fail_as_with_entra(
    sandbox: Sandbox, changes: dict[str, Any], status: int, error: str, number: int
) -> None:
    answer = ask_token(sandbox, **changes)
    assert (answer.status, answer.body["error"]) == (status, error)
    assert answer.body["error_codes"] == [number]
    assert answer.body["error_description"].startswith(f"AADSTS{number}: ")
    assert {"timestamp", "trace_id", "correlation_id"} <= answer.body.keys()


def test_the_state_of_the_tenant_decides(sandbox: Sandbox) -> None:
    directory = sandbox.microsoft.directory
    for name, value, expected in (
        ("secret_state", "expired", (401, "invalid_client", [7000222])),
        ("app_registered", False, (400, "unauthorized_client", [700016])),
        ("consent", False, (400, "unauthorized_client", [65001])),
        ("unavailable", True, (503, "temporarily_unavailable", [90033])),
    ):
        before = getattr(directory, name)
        setattr(directory, name, value)
        answer = ask_token(sandbox)
        assert (answer.status, answer.body["error"], answer.body["error_codes"]) == expected
        setattr(directory, name, before)
    assert ask_token(sandbox).status == 200
    assert ask_token(sandbox, tenant=directory.domain).status == 200


def test_discovery_knows_its_tenant_only(sandbox: Sandbox) -> None:
    login = Caller(sandbox, "/microsoft/login")
    directory = sandbox.microsoft.directory
    found = login("GET", f"/{directory.domain}/v2.0/.well-known/openid-configuration").body
    assert found["token_endpoint"] == (
        f"{sandbox.root}/microsoft/login/{directory.tenant_id}/oauth2/v2.0/token"
    )
    other = login(
        "GET",
        "/11111111-0000-4000-8000-000000000000/v2.0/.well-known/openid-configuration",
    )
    assert (other.status, other.body["error"]) == (400, "invalid_tenant")


def test_an_assertion_is_looked_at_closely(sandbox: Sandbox, clock: ManualClock) -> None:
    import base64
    import json

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    directory = sandbox.microsoft.directory
    known = directory.certificate()
    url = f"{directory.authority}/{directory.tenant_id}/oauth2/v2.0/token"
    good: dict[str, Any] = {
        "iss": directory.client_id,
        "sub": directory.client_id,
        "aud": url,
        "exp": int(clock.now().timestamp()) + 600,
    }
    thumbprint = base64.urlsafe_b64encode(bytes.fromhex(known["thumbprint"])).decode().rstrip("=")

    def assertion(header: dict[str, str], claims: dict[str, Any]) -> str:
        key = serialization.load_pem_private_key(known["private_key"].encode(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        parts = [
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
            for part in (header, claims)
        ]
        seal = key.sign(".".join(parts).encode(), padding.PKCS1v15(), hashes.SHA256())
        return ".".join((*parts, base64.urlsafe_b64encode(seal).decode().rstrip("=")))

    def ask(text: str) -> int:
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        answer = ask_token(
            sandbox, client_secret=None, client_assertion=text, client_assertion_type=kind
        )
        if answer.status != 200:
            assert answer.body["error_codes"] == [700027]
        return answer.status

    header = {"alg": "RS256", "typ": "JWT", "x5t": thumbprint}
    assert ask(assertion(header, good)) == 200
    assert ask(assertion({**header, "x5t": "AAAA"}, good)) == 401
    assert ask(assertion({**header, "alg": "PS256"}, good)) == 401
    assert ask(assertion(header, {**good, "aud": "https://elsewhere.example"})) == 401
    assert ask(assertion(header, {**good, "iss": "x"})) == 401
    assert ask(assertion(header, {**good, "exp": good["exp"] - 601})) == 401
    assert ask("not.a.jwt") == 401
    assert ask(assertion(header, good)[:-8] + "AAAAAAAA") == 401
    directory.registered = ""
    assert ask(assertion(header, good)) == 401


def test_tokens_end(sandbox: Sandbox, graph: Graph, clock: ManualClock) -> None:
    assert graph("GET", EVENTS).status == 200
    clock.advance(3601)
    answer = graph("GET", EVENTS)
    assert code(answer) == (401, "InvalidAuthenticationToken")
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert Graph(sandbox, "/microsoft/v1.0", "nonsense")("GET", EVENTS).status == 401
    fresh = connect(sandbox)
    sandbox.faults.add(Fault("microsoft", "token_expired"))
    assert fresh("GET", EVENTS).status == 401
    assert fresh("GET", EVENTS).status == 401


# --- Mailboxes and users -------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        ("revoke", (403, "ErrorAccessDenied")),
        ("suspend", (404, "ErrorInvalidUser")),
        ("delete_account", (404, "ErrorInvalidUser")),
        ("no_licence", (404, "MailboxNotEnabledForRESTAPI")),
        ("on_premises", (404, "MailboxNotHostedInExchangeOnline")),
    ],
)
def test_states_of_a_mailbox(
    sandbox: Sandbox, graph: Graph, verb: str, expected: tuple[int, str]
) -> None:
    getattr(sandbox.microsoft, verb)(DANA)
    assert code(graph("GET", EVENTS)) == expected
    assert code(graph("POST", EVENTS, event())) == expected
    assert graph("GET", f"/users/{RUBEN}/events").status == 200
    sandbox.microsoft.restore(DANA)
    assert graph("GET", EVENTS).status == 200


def test_unknown_users(graph: Graph) -> None:
    assert code(graph("GET", "/users/x@example.org/events")) == (404, "ErrorInvalidUser")
    assert code(graph("GET", "/users/123/calendar")) == (404, "ResourceNotFound")
    assert code(graph("GET", "/users/x@example.org")) == (404, "Request_ResourceNotFound")


def test_roles_are_needed(sandbox: Sandbox, graph: Graph) -> None:
    sandbox.microsoft.directory.roles = {"User.Read.All"}
    assert code(graph("GET", EVENTS)) == (403, "ErrorAccessDenied")
    assert graph("GET", "/users").status == 200
    sandbox.microsoft.directory.roles = {"Calendars.ReadWrite"}
    for path in ("/users", "/users/delta", ME):
        assert code(graph("GET", path)) == (403, "Authorization_RequestDenied")
    assert graph("GET", EVENTS).status == 200


def test_users_are_listed_in_pages(sandbox: Sandbox, graph: Graph) -> None:
    select = {"$select": "id,mail,userPrincipalName,accountEnabled"}
    sandbox.microsoft.suspend(RUBEN)
    first = graph("GET", "/users", **select, **{"$top": 1}).body
    rest = graph.follow(first["@odata.nextLink"]).body
    rows = first["value"] + rest["value"]
    assert [row["mail"] for row in rows] == [DANA, RUBEN]
    assert [row["accountEnabled"] for row in rows] == [True, False]
    assert all(row.keys() == set(select["$select"].split(",")) for row in rows)
    for name in ("mail", "userPrincipalName"):
        found = graph("GET", "/users", **{"$filter": f"{name} eq '{DANA.upper()}'"}).body
        assert [row["mail"] for row in found["value"]] == [DANA]
    assert graph("GET", "/users", **{"$filter": "city eq 'x'"}).status == 400
    assert graph("GET", "/users", **{"$orderby": "mail"}).status == 400
    assert "accountEnabled" not in graph("GET", ME).body
    guid = first["value"][0]["id"]
    assert graph("GET", f"/users/{guid}", **select).body["mail"] == DANA


def test_users_are_followed(sandbox: Sandbox, graph: Graph, clock: ManualClock) -> None:
    select = {"$select": "id,mail,accountEnabled"}
    world = sandbox.microsoft
    body = graph("GET", "/users/delta", **select).body
    assert [row["mail"] for row in body["value"]] == [DANA, RUBEN]
    guid = world.account(DANA).guid
    world.suspend(DANA)
    world.add_account("new@example.org")
    body = graph.follow(body["@odata.deltaLink"]).body
    assert [row["accountEnabled"] for row in body["value"]] == [False, True]
    world.users.rename(guid, "other@example.org", clock.now())
    minimal = graph.follow(body["@odata.deltaLink"], {"prefer": "return=minimal"}).body
    assert minimal["value"] == [{"id": guid, "mail": "other@example.org"}]
    for for_ever, reason in ((False, "changed"), (True, "deleted")):
        world.delete_account(DANA, for_ever=for_ever)
        body = graph.follow(body["@odata.deltaLink"]).body
        assert body["value"] == [{"id": guid, "@removed": {"reason": reason}}]
    clock.advance(8 * 24 * 3600)
    late = connect(sandbox)
    assert code(late.follow(body["@odata.deltaLink"])) == (410, "resyncRequired")
    fresh = late("GET", "/users/delta", **{"$deltatoken": "latest"}).body
    assert fresh["value"] == []
    assert "@odata.deltaLink" in fresh


# --- Batches -------------------------------------------------------------------


def batch(graph: Graph, *parts: dict[str, Any]) -> dict[str, Any]:
    sent = [{"id": str(n), "method": "GET", "url": EVENTS, **p} for n, p in enumerate(parts)]
    answer = graph("POST", "/$batch", {"requests": sent})
    assert answer.status == 200, answer.raw
    for part in answer.body["responses"]:
        asked = sent[int(part["id"])]
        if part["status"] < 300:
            judge(asked["url"], part.get("body"))
    return {part["id"]: part for part in answer.body["responses"]}


def test_parts_of_a_batch_are_requests_of_their_own(sandbox: Sandbox, graph: Graph) -> None:
    json_body = {"Content-Type": "application/json", "Prefer": PREFER["prefer"]}
    parts = batch(
        graph,
        {"method": "POST", "body": event(), "headers": json_body},
        {"url": f"{ME}/calendarView?startDateTime=2026-03-01&endDateTime=2026-04-01"},
        {"url": f"/users/{RUBEN}/events/nonsense"},
    )
    assert [parts[n]["status"] for n in "012"] == [201, 200, 404]
    assert parts["0"]["body"]["subject"] == "Busy"
    assert parts["2"]["body"]["error"]["code"] == "ErrorItemNotFound"
    found = sandbox.requests.counts()
    assert found["microsoft.events.create"] == 1
    assert found["microsoft.batch"] == 1
    assert sandbox.requests.count("microsoft.events.get", user=RUBEN) == 1
    stale = {"If-Match": 'W/"x"', **json_body}
    url = f"{EVENTS}/{parts['0']['body']['id']}"
    again = batch(graph, {"method": "DELETE", "url": url, "headers": stale})
    assert again["0"]["status"] == 412


def test_parts_wait_for_each_other(graph: Graph) -> None:
    parts = batch(
        graph,
        {"url": f"{EVENTS}/nonsense"},
        {"dependsOn": ["0"]},
        {"dependsOn": ["1"]},
        {},
    )
    assert [parts[n]["status"] for n in "0123"] == [404, 424, 424, 200]


def test_a_batch_is_throttled_part_by_part(sandbox: Sandbox, graph: Graph) -> None:
    parts = batch(graph, *[{} for _ in range(6)], *[{"url": f"/users/{RUBEN}/events"}] * 2)
    assert [parts[str(n)]["status"] for n in range(8)] == [200] * 4 + [429] * 2 + [200] * 2
    assert parts["5"]["headers"]["Retry-After"] == "5"
    assert sandbox.microsoft.worst_concurrency == {DANA: 6, RUBEN: 2}
    sandbox.microsoft.worst_concurrency.clear()
    chain: list[dict[str, Any]] = [{"dependsOn": [str(n - 1)]} if n else {} for n in range(6)]
    assert {part["status"] for part in batch(graph, *chain).values()} == {200}
    after = batch(graph, *[{}] * 4, {"dependsOn": ["3"]})
    assert {part["status"] for part in after.values()} == {200}
    sandbox.faults.add(Fault("microsoft", "timeout_after", method="POST", path="/events"))
    headers = {"Content-Type": "application/json"}
    lost = batch(graph, {"method": "POST", "body": event(), "headers": headers})
    assert lost["0"]["status"] == 504
    assert len(sandbox.microsoft.events_of(DANA)) == 1


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"requests": []},
        {"requests": [{"id": str(n), "method": "GET", "url": "/users"} for n in range(21)]},
        {"requests": [{"id": "1", "method": "GET", "url": "/users"}] * 2},
        {"requests": [{"id": "1", "method": "GET", "url": "https://x.example/users"}]},
        {"requests": [{"id": "1", "method": "GET"}]},
        {"requests": [{"id": "1", "method": "GET", "url": "/users", "dependsOn": ["2"]}]},
        {"requests": [{"id": "1", "method": "POST", "url": EVENTS, "body": {}}]},
    ],
)
def test_malformed_batches_are_refused(graph: Graph, sent: dict[str, Any]) -> None:
    assert graph("POST", "/$batch", sent).status == 400


# --- Limits --------------------------------------------------------------------


def at_once(graph: Graph, count: int, *paths: str) -> list[int]:
    """Send requests together and return their statuses."""

    async def send() -> list[int]:
        headers = {"authorization": f"Bearer {graph.token}"}
        answers = await asyncio.gather(
            *(
                graph._send("GET", graph.prefix + path, {}, b"", headers)
                for path in paths or (EVENTS,)
                for _ in range(count)
            )
        )
        return [answer.status for answer in answers]

    return asyncio.run(send())


def test_four_requests_at_once_for_a_mailbox(sandbox: Sandbox, graph: Graph) -> None:
    assert at_once(graph, 4, EVENTS, f"/users/{RUBEN}/events") == [200] * 8
    assert sandbox.microsoft.worst_concurrency == {DANA: 4, RUBEN: 4}
    assert sandbox.microsoft.busiest == 8
    assert sorted(at_once(graph, 6)) == [200] * 4 + [429] * 2
    assert sandbox.microsoft.worst_concurrency[DANA] == 6
    assert at_once(graph, 1) == [200]
    sandbox.microsoft.app_limit = 3
    assert sorted(at_once(graph, 2, EVENTS, f"/users/{RUBEN}/events")) == [200] * 3 + [429]


def test_a_mailbox_has_a_limit_in_ten_minutes(
    sandbox: Sandbox, graph: Graph, clock: ManualClock
) -> None:
    sandbox.microsoft.user_limit = 2
    assert [graph("GET", EVENTS).status for _ in range(3)] == [200, 200, 429]
    for choice, expected in (("present", "5"), ("one", "1"), ("absent", None)):
        sandbox.microsoft.retry_after = choice
        answer = graph("GET", EVENTS)
        assert code(answer) == (429, "ApplicationThrottled")
        assert answer.headers.get("retry-after") == expected
    clock.advance(601)
    assert graph("GET", EVENTS).status == 200


def test_requests_take_their_time_over_https(
    served: tuple[Sandbox, requests.Session],
) -> None:
    sandbox, session = served
    sandbox.microsoft.latency = 0.2
    began = time.monotonic()
    session.get(f"{sandbox.microsoft.directory.graph_root}/v1.0/users")
    sandbox.microsoft.latency = 0.0
    assert time.monotonic() - began >= 0.2


# --- Faults and the log --------------------------------------------------------


def test_a_conflict_may_hide_that_the_event_was_created(sandbox: Sandbox, graph: Graph) -> None:
    sandbox.faults.add(
        Fault(
            "microsoft",
            "status",
            method="POST",
            path="/events$",
            code=409,
            committed=True,
            reason="ErrorIrresolvableConflict",
        )
    )
    answer = graph("POST", EVENTS, event(**marker("one")), {"client-request-id": "mine"})
    assert code(answer) == (409, "ErrorIrresolvableConflict")
    assert answer.body["error"]["innerError"]["client-request-id"] == "mine"
    assert answer.headers["client-request-id"] == "mine"
    assert len(sandbox.microsoft.mirrors_of(DANA)) == 1


def test_requests_are_logged_with_their_mailbox(sandbox: Sandbox, graph: Graph) -> None:
    made = graph("POST", EVENTS, event(), PREFER).body
    path = f"{EVENTS}/{made['id']}"
    graph("GET", path, None, PREFER)
    graph("PATCH", path, {"subject": "x"}, PREFER)
    graph("DELETE", path, None, PREFER)
    graph("GET", EVENTS)
    graph("GET", f"{ME}/calendarView", **WINDOW)
    graph("GET", f"{ME}/calendarView/delta", **WINDOW)
    graph("GET", f"{path}/instances", None, PREFER, **WINDOW)
    graph("GET", "/users")
    graph("GET", "/users/delta")
    kinds = {
        "create", "get", "update", "delete", "find", "view", "delta", "instances",
    }  # fmt: skip
    events = {f"microsoft.events.{kind}": 1 for kind in kinds}
    counts = sandbox.requests.counts()
    assert counts == {
        **events, "microsoft.token": 1, "microsoft.users.list": 1, "microsoft.users.delta": 1,
    }  # fmt: skip
    for entry in sandbox.requests:
        assert entry.user == (DANA if entry.kind in events else None)
        assert entry.query.get("startDateTime") in (None, WINDOW["startDateTime"])


def test_airflow_is_given_a_connection(sandbox: Sandbox) -> None:
    from pathlib import Path

    from calendar_sync_sandbox.tls import connections

    found = connections(sandbox, Path("ca.pem"))["microsoft_graph_default"]
    directory = sandbox.microsoft.directory
    assert found == {
        "conn_type": "msgraph",
        "host": f"{sandbox.root}/microsoft",
        "login": directory.client_id,
        "password": directory.client_secret,
        "extra": {
            "tenant_id": directory.tenant_id,
            "authority": f"{sandbox.root}/microsoft/login",
            "verify": "ca.pem",
        },
    }
