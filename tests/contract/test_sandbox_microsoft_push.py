"""Subscriptions of the Graph double and what they send, held against Microsoft's types."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from calendar_sync_sandbox.microsoft.directory import CALENDARS, READ_CALENDARS, USERS
from calendar_sync_sandbox.outbox import Answer
from tests.contract.conftest import START, Caller, ManualClock
from tests.contract.conftest import Answer as Reply
from tests.contract.graph import (
    DANA,
    EVENTS,
    IMMUTABLE,
    PREFER,
    RUBEN,
    Graph,
    code,
    connect,
    event,
    faults_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calendar_sync_sandbox import Sandbox

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
ADDRESS = "https://sync.example.org/push/graph"
LIFECYCLE = "https://sync.example.org/push/graph/lifecycle"
LIFE = timedelta(minutes=10_080)


class Site:
    """What stands at the addresses: echoes handshakes, answers the rest, keeps all."""

    def __init__(self) -> None:
        self.handshakes: list[tuple[str, str]] = []
        self.bundles: list[tuple[str, list[dict[str, Any]]]] = []
        self.echo: Answer | None = None
        self.answers: list[Answer] = []
        self.answer = Answer(202)

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, seconds: float
    ) -> Answer:
        parts = urlsplit(url)
        token = parse_qs(parts.query).get("validationToken")
        if token is not None:
            assert (body, seconds) == (b"", 10)
            assert headers["content-type"] == "text/plain; charset=utf-8"
            self.handshakes.append((url.partition("?")[0], token[0]))
            return self.echo or Answer(200, token[0].encode(), "text/plain; charset=utf-8")
        assert seconds == 3
        found = json.loads(body)
        assert faults_of(found, "changeNotificationCollection") == []
        self.bundles.append((url, found["value"]))
        return self.answers.pop(0) if self.answers else self.answer

    def rows(self) -> list[dict[str, Any]]:
        found = [row for _, rows in self.bundles for row in rows]
        self.bundles.clear()
        return found


@pytest.fixture
def site(sandbox: Sandbox, graph: Graph) -> Site:
    assert graph.token
    sandbox.microsoft.unfriendly = False
    found = Site()
    sandbox.outbox.post = found.post
    return found


def wanted(life: timedelta = LIFE, **changes: Any) -> dict[str, Any]:
    body = {
        "changeType": "created,updated,deleted",
        "notificationUrl": ADDRESS,
        "resource": f"/users/{DANA}/events",
        "expirationDateTime": f"{START + life:%Y-%m-%dT%H:%M:%S}.0000000Z",
        "clientState": "secret",
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def subscribe(graph: Graph, life: timedelta = LIFE, **changes: Any) -> Reply:
    return graph("POST", "/subscriptions", wanted(life, **changes), {"prefer": IMMUTABLE})


def wait(graph: Graph, clock: ManualClock, seconds: float) -> None:
    """Let time pass, and take a token that is valid then."""
    clock.advance(seconds)
    graph.token = connect(graph.sandbox).token


def deliver(sandbox: Sandbox) -> list[str]:
    return [delivery.outcome for delivery in asyncio.run(sandbox.outbox.deliver())]


def told(sandbox: Sandbox, site: Site) -> list[str]:
    deliver(sandbox)
    return [row.get("changeType") or row["lifecycleEvent"] for row in site.rows()]


# --- The handshake -------------------------------------------------------------


def test_a_subscription_is_made_after_a_handshake(graph: Graph, site: Site) -> None:
    answer = subscribe(graph, lifecycleNotificationUrl=LIFECYCLE)
    assert answer.status == 201, answer.raw
    assert [url for url, _ in site.handshakes] == [ADDRESS, LIFECYCLE]
    # It has to be decoded before it is echoed.
    assert all(" " in token and ":" in token for _, token in site.handshakes)
    assert answer.body["clientState"] == "secret"
    assert answer.body["expirationDateTime"] == wanted()["expirationDateTime"]
    assert answer.body["lifecycleNotificationUrl"] == LIFECYCLE
    assert answer.body["@odata.context"].endswith("/$metadata#subscriptions/$entity")


def test_a_query_of_the_address_is_kept(graph: Graph, site: Site, sandbox: Sandbox) -> None:
    assert subscribe(graph, notificationUrl=f"{ADDRESS}?tenant=a").status == 201
    sandbox.microsoft.plan(DANA, START, START + HOUR, "Dentist")
    deliver(sandbox)
    assert [url for url, _ in site.bundles] == [f"{ADDRESS}?tenant=a"]


@pytest.mark.parametrize(
    ("echo", "words"),
    [
        (Answer(), "timed out"),
        (Answer(403, b"", "text/plain"), "HTTP status code is '403'"),
        (Answer(202, b"", "text/plain"), "200 OK"),
        (Answer(200, b"other", "text/plain"), "exactly match"),
        (Answer(200, b"", "text/html"), "exactly match"),
    ],
)
def test_without_an_echo_there_is_no_subscription(
    graph: Graph, site: Site, sandbox: Sandbox, echo: Answer, words: str
) -> None:
    site.echo = echo
    answer = subscribe(graph)
    assert code(answer) == (400, "ValidationError")
    assert words in answer.body["error"]["message"]
    assert sandbox.microsoft.subscriptions.changes.of() == []


def test_an_encoded_token_is_no_echo(graph: Graph, site: Site) -> None:
    class Encoded(Site):
        async def post(self, url: str, *rest: Any) -> Answer:
            raw = urlsplit(url).query.removeprefix("validationToken=")
            return Answer(200, raw.encode(), "text/plain")

    graph.sandbox.outbox.post = Encoded().post
    assert code(subscribe(graph)) == (400, "ValidationError")


def test_a_rejected_subscription_causes_no_handshake(graph: Graph, site: Site) -> None:
    assert subscribe(graph, notificationUrl="http://sync.example.org/").status == 400
    graph.token = "other"
    assert code(subscribe(graph)) == (401, "InvalidAuthenticationToken")
    assert site.handshakes == []


@pytest.mark.parametrize(
    "raw", [b'{"notificationUrl"', b'["notificationUrl"]', b"5", b"", b'{"notificationUrl": 5}']
)
def test_what_is_no_subscription_is_refused(graph: Graph, site: Site, raw: bytes) -> None:
    assert graph("POST", "/subscriptions", raw).status == 400
    for requests in ("notificationUrl", ["notificationUrl"], [{"body": "notificationUrl"}]):
        assert graph("POST", "/$batch", {"requests": requests}).status == 400
    assert site.handshakes == []


def test_subscriptions_are_made_in_a_batch_too(graph: Graph, site: Site) -> None:
    requests = [
        {
            "id": str(number),
            "method": "POST",
            "url": "/subscriptions",
            "headers": {"Content-Type": "application/json"},
            "body": wanted(resource=f"users/{user}/events"),
        }
        for number, user in enumerate((DANA, RUBEN))
    ]
    answer = graph("POST", "/$batch", {"requests": requests})
    assert {part["status"] for part in answer.body["responses"]} == {201}
    # One address, however many it is for.
    assert len(site.handshakes) == 1


# --- What can be asked for -----------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"changeType": None},
        {"notificationUrl": None},
        {"resource": None},
        {"expirationDateTime": None},
        {"changeType": "created,renamed"},
        {"changeType": 5},
        {"notificationUrl": "http://sync.example.org/"},
        {"notificationUrl": "https://"},
        {"notificationUrl": "https://[::1/"},
        {"notificationUrl": "https://a b/"},
        {"notificationUrl": f"https://sync.example.org/{'x' * 2048}"},
        {"lifecycleNotificationUrl": "ftp://sync.example.org/"},
        {"lifecycleNotificationUrl": 7},
        {"resource": "/me/events"},
        {"resource": f"/users/{DANA}/messages"},
        {"resource": f"/users/{DANA}/events?$filter=x"},
        {"expirationDateTime": "tomorrow"},
        {"expirationDateTime": "2026-03-03T09:00:00"},
        {"expirationDateTime": "2026-03-02T08:59:59Z"},
        {"clientState": "x" * 129},
        {"clientState": 5},
        {"includeResourceData": True},
        {"encryptionCertificate": "x"},
        {"secret": "x"},
    ],
)
def test_a_bad_subscription_is_refused(
    graph: Graph, site: Site, sandbox: Sandbox, changes: dict[str, Any]
) -> None:
    assert code(subscribe(graph, **changes)) == (400, "InvalidRequest")
    assert sandbox.microsoft.subscriptions.changes.of() == []


def test_a_life_has_a_longest_and_a_shortest(graph: Graph, site: Site, sandbox: Sandbox) -> None:
    answer = subscribe(graph, LIFE + MINUTE)
    assert code(answer) == (400, "ExtensionError")
    assert "can only be 10080 minutes in the future" in answer.body["error"]["message"]
    short = subscribe(graph, MINUTE).body["expirationDateTime"]
    assert short == f"{START + 45 * MINUTE:%Y-%m-%dT%H:%M:%S}.0000000Z"
    held = sandbox.microsoft.subscriptions
    held.longest = timedelta(minutes=4230)
    assert subscribe(graph).status == 400
    held.beyond = "shorten"
    granted = subscribe(graph).body["expirationDateTime"]
    assert granted == f"{START + held.longest:%Y-%m-%dT%H:%M:%S}.0000000Z"


@pytest.mark.parametrize(
    ("verb", "status", "words"),
    [
        ("revoke", 403, "Reason: Access to OData is disabled"),
        ("no_licence", 404, "Reason: REST API is not yet supported for this mailbox."),
        ("on_premises", 404, "Reason: REST API is not yet supported for this mailbox."),
        ("suspend", 404, "is invalid"),
    ],
)
def test_exchange_has_the_last_word(
    graph: Graph, site: Site, sandbox: Sandbox, verb: str, status: int, words: str
) -> None:
    getattr(sandbox.microsoft, verb)(DANA)
    answer = subscribe(graph)
    assert code(answer) == (status, "ExtensionError")
    assert words in answer.body["error"]["message"]
    # It is asked after the handshake.
    assert len(site.handshakes) == 1
    assert code(subscribe(graph, resource="/users/nobody@example.org/events"))[0] == 404


def test_the_application_must_be_allowed_to_read(
    graph: Graph, site: Site, sandbox: Sandbox
) -> None:
    for roles, status in (({READ_CALENDARS}, 201), ({CALENDARS}, 201), ({USERS}, 403)):
        sandbox.microsoft.directory.roles = roles
        assert subscribe(graph).status == status
    assert graph("GET", "/subscriptions").status == 403


def test_a_mailbox_has_so_many_and_no_more(graph: Graph, site: Site, sandbox: Sandbox) -> None:
    sandbox.microsoft.subscriptions.most = 2
    first = subscribe(graph).body["id"]
    assert subscribe(graph).body["id"] != first
    assert code(subscribe(graph)) == (403, "ExtensionError")
    assert subscribe(graph, resource=f"/users/{RUBEN}/events").status == 201
    graph("DELETE", f"/subscriptions/{first}")
    assert subscribe(graph).status == 201


@pytest.mark.parametrize("form", ["users/{0}/events", "/Users('{0}')/events"])
def test_a_mailbox_is_named_by_address_or_id(
    graph: Graph, site: Site, sandbox: Sandbox, form: str
) -> None:
    for name in (DANA, sandbox.microsoft.account(DANA).guid):
        resource = form.format(name)
        assert subscribe(graph, resource=resource).body["resource"] == resource


# --- The life of a subscription ------------------------------------------------


def test_it_is_read_without_its_secret(graph: Graph, site: Site) -> None:
    made = subscribe(graph).body
    one = graph("GET", f"/subscriptions/{made['id']}").body
    assert one == {**made, "clientState": None}
    (row,) = graph("GET", "/subscriptions").body["value"]
    assert row == {k: v for k, v in one.items() if k != "@odata.context"}
    assert code(graph("GET", "/subscriptions/unknown")) == (404, "ResourceNotFound")


def test_many_come_in_pages(graph: Graph, site: Site) -> None:
    made = [subscribe(graph).body["id"] for _ in range(101)]
    first = graph("GET", "/subscriptions").body
    assert len(first["value"]) == 100
    second = graph.follow(first["@odata.nextLink"]).body
    assert [row["id"] for row in (*first["value"], *second["value"])] == made
    assert "@odata.nextLink" not in second


def test_it_is_renewed(graph: Graph, site: Site, clock: ManualClock) -> None:
    path = f"/subscriptions/{subscribe(graph, 2 * HOUR).body['id']}"
    wait(graph, clock, 3600)
    later = wanted(5 * HOUR)["expirationDateTime"]
    answer = graph("PATCH", path, {"expirationDateTime": later})
    assert (answer.status, answer.body["expirationDateTime"]) == (200, later)
    assert answer.body["clientState"] is None
    # The life begins anew at a renewal.
    assert (
        graph(
            "PATCH", path, {"expirationDateTime": wanted(LIFE + 2 * HOUR)["expirationDateTime"]}
        ).status
        == 400
    )
    for body in ({}, {"lifecycleNotificationUrl": LIFECYCLE}, {"clientState": "other"}):
        assert code(graph("PATCH", path, body)) == (400, "InvalidRequest")
    moved = graph("PATCH", path, {"notificationUrl": f"{ADDRESS}/2"})
    assert moved.body["notificationUrl"] == f"{ADDRESS}/2"
    assert site.handshakes[-1][0] == f"{ADDRESS}/2"
    wait(graph, clock, 4 * 3600)
    assert code(graph("PATCH", path, {"expirationDateTime": later})) == (404, "ResourceNotFound")


def test_it_ends_when_it_is_deleted_or_not_renewed(
    graph: Graph, site: Site, sandbox: Sandbox, clock: ManualClock
) -> None:
    path = f"/subscriptions/{subscribe(graph).body['id']}"
    assert graph("DELETE", path).status == 204
    assert code(graph("DELETE", path)) == (404, "ResourceNotFound")
    subscribe(graph, HOUR)
    wait(graph, clock, 3600)
    sandbox.microsoft.plan(DANA, START, START + HOUR, "Dentist")
    assert told(sandbox, site) == []
    assert graph("GET", "/subscriptions").body["value"] == []


def test_that_of_a_deleted_user_cannot_be_deleted(
    graph: Graph, site: Site, sandbox: Sandbox
) -> None:
    path = f"/subscriptions/{subscribe(graph).body['id']}"
    sandbox.microsoft.delete_account(DANA)
    assert code(graph("DELETE", path)) == (404, "ExtensionError")


def test_none_of_this_is_a_write(graph: Graph, site: Site, sandbox: Sandbox) -> None:
    path = f"/subscriptions/{subscribe(graph).body['id']}"
    graph("PATCH", path, {"expirationDateTime": wanted(HOUR)["expirationDateTime"]})
    assert graph("POST", f"{path}/reauthorize").status == 204
    graph("DELETE", path)
    assert sandbox.requests.writes() == []
    assert [entry.kind.rpartition(".")[2] for entry in sandbox.requests][-4:] == [
        "create", "update", "reauthorize", "delete",
    ]  # fmt: skip


# --- What is sent --------------------------------------------------------------


def test_a_change_is_reported_with_the_id_and_never_the_content(
    graph: Graph, site: Site, sandbox: Sandbox
) -> None:
    made = subscribe(graph).body
    new = graph("POST", EVENTS, event(subject="Chemotherapy"), PREFER).body
    assert deliver(sandbox) == ["delivered"]
    (row,) = site.rows()
    assert "Chemotherapy" not in json.dumps(row)
    assert row["subscriptionId"] == made["id"]
    assert row["clientState"] == "secret"
    assert row["tenantId"] == sandbox.microsoft.directory.tenant_id
    assert row["subscriptionExpirationDateTime"] == made["expirationDateTime"]
    guid = sandbox.microsoft.account(DANA).guid
    assert row["resource"] == row["resourceData"]["@odata.id"] == f"Users/{guid}/Events/{new['id']}"
    assert row["resourceData"]["id"] == new["id"]
    assert row["resourceData"]["@odata.etag"] == new["@odata.etag"]
    assert row["resourceData"]["@odata.type"] == "#Microsoft.Graph.Event"


def test_every_kind_of_change_is_notified_whoever_made_it(
    graph: Graph, site: Site, sandbox: Sandbox
) -> None:
    subscribe(graph)
    new = graph("POST", EVENTS, event(), PREFER).body["id"]
    graph("PATCH", f"{EVENTS}/{new}", {"subject": "New"}, PREFER)
    graph("DELETE", f"{EVENTS}/{new}", None, PREFER)
    assert told(sandbox, site) == ["created", "updated", "deleted"]
    world = sandbox.microsoft
    one = world.plan(DANA, START, START + HOUR, "Dentist")
    world.rename(DANA, one, "Doctor")
    world.rename(DANA, one, "Doctor")  # changes nothing
    world.delete_event(DANA, one)
    world.undelete_event(DANA, one)
    assert told(sandbox, site) == ["created", "updated", "deleted", "created"]
    series = world.plan_series(DANA, "FREQ=DAILY;COUNT=5", START, START + HOUR, "Choir")
    world.delete_instance(DANA, series, START)
    assert told(sandbox, site) == ["created", "updated"]
    world.plan(RUBEN, START, START + HOUR, "Dentist")
    assert told(sandbox, site) == []


def test_only_what_was_requested_is_notified(graph: Graph, site: Site, sandbox: Sandbox) -> None:
    subscribe(graph, changeType="deleted")
    one = sandbox.microsoft.plan(DANA, START, START + HOUR, "Dentist")
    sandbox.microsoft.delete_event(DANA, one)
    assert told(sandbox, site) == ["deleted"]


def test_ids_are_of_the_kind_that_the_subscription_was_made_with(
    graph: Graph, site: Site, sandbox: Sandbox
) -> None:
    subscribe(graph)
    graph("POST", "/subscriptions", wanted())
    one = sandbox.microsoft.plan(DANA, START, START + HOUR, "Dentist")
    deliver(sandbox)
    ids = [row["resourceData"]["id"] for row in site.rows()]
    assert ids[0] == one
    assert ids[1] == graph("GET", EVENTS).body["value"][0]["id"] != one


def test_changes_of_many_travel_together(graph: Graph, site: Site, sandbox: Sandbox) -> None:
    subscribe(graph)
    subscribe(graph, resource=f"/users/{RUBEN}/events")
    subscribe(graph, notificationUrl=f"{ADDRESS}/other")
    for number in range(30):
        for account in (DANA, RUBEN):
            sandbox.microsoft.plan(account, START, START + HOUR, f"Dentist {number}")
    deliver(sandbox)
    assert [(url, len(rows)) for url, rows in site.bundles] == [
        (ADDRESS, 50), (ADDRESS, 10), (f"{ADDRESS}/other", 30),
    ]  # fmt: skip
    assert len({row["subscriptionId"] for _, rows in site.bundles for row in rows}) == 3


def test_a_notice_of_an_edit_may_come_twice(graph: Graph, site: Site, sandbox: Sandbox) -> None:
    sandbox.microsoft.unfriendly = True
    subscribe(graph)
    for number in range(20):
        sandbox.microsoft.plan(DANA, START, START + HOUR, f"Dentist {number}")
    assert 20 < len(told(sandbox, site)) < 40


# --- Answers that are late or bad ----------------------------------------------


def test_what_is_not_taken_is_sent_again_for_four_hours_and_then_missed(
    graph: Graph, site: Site, sandbox: Sandbox, clock: ManualClock
) -> None:
    subscribe(graph, lifecycleNotificationUrl=LIFECYCLE)
    sandbox.microsoft.plan(DANA, START, START + HOUR, "Dentist")
    site.answer = Answer(503)
    assert deliver(sandbox) == ["again"]
    while clock.now() < START + 3 * HOUR:
        due = sandbox.outbox.next_due()
        assert due is not None
        clock.time = due
        assert deliver(sandbox) == ["again"]
    last = site.rows()[-1]
    assert last["changeType"] == "created"
    while site.bundles == [] or site.bundles[-1][0] != LIFECYCLE:
        due = sandbox.outbox.next_due()
        assert due is not None
        clock.time = due
        deliver(sandbox)
    assert 3 * HOUR < clock.now() - START <= 4 * HOUR
    (row,) = site.bundles[-1][1]
    assert row == {
        "subscriptionId": last["subscriptionId"],
        "subscriptionExpirationDateTime": last["subscriptionExpirationDateTime"],
        "tenantId": last["tenantId"],
        "clientState": "secret",
        "lifecycleEvent": "missed",
    }


@pytest.mark.parametrize(("slow", "delay"), [(9, 0), (10, 600), (14, 600)])
def test_a_slow_address_is_throttled(
    graph: Graph, site: Site, sandbox: Sandbox, clock: ManualClock, slow: int, delay: int
) -> None:
    subscribe(graph)
    one = sandbox.microsoft.plan(DANA, START, START + HOUR, "Dentist")
    site.answers = [Answer(202, seconds=2.95)] * slow
    for number in range(100):
        sandbox.microsoft.rename(DANA, one, f"Dentist {number}")
        deliver(sandbox)
    site.rows()
    sandbox.microsoft.rename(DANA, one, "Doctor")
    waiting = sandbox.outbox.waiting()
    assert [(notice.due - clock.now()).total_seconds() for notice in waiting] == [delay]
    # After ten minutes nothing of it is remembered.
    clock.advance(601)
    deliver(sandbox)
    sandbox.microsoft.rename(DANA, one, "Dentist")
    assert deliver(sandbox) == ["delivered"]


def test_what_goes_to_a_very_slow_address_is_dropped(
    graph: Graph, site: Site, sandbox: Sandbox
) -> None:
    subscribe(graph, lifecycleNotificationUrl=LIFECYCLE)
    one = sandbox.microsoft.plan(DANA, START, START + HOUR, "Dentist")
    site.answers = [Answer(202, seconds=3)] * 15
    for number in range(100):
        sandbox.microsoft.rename(DANA, one, f"Dentist {number}")
        deliver(sandbox)
    site.rows()
    sandbox.microsoft.rename(DANA, one, "Doctor")
    assert told(sandbox, site) == ["missed"]


# --- Lifecycle -----------------------------------------------------------------


def test_reauthorisation_is_asked_for_until_it_comes(
    graph: Graph, site: Site, sandbox: Sandbox, clock: ManualClock
) -> None:
    made = subscribe(graph, 8 * HOUR, lifecycleNotificationUrl=LIFECYCLE).body
    path = f"/subscriptions/{made['id']}"
    clock.advance(6 * 3600 - 1)
    assert told(sandbox, site) == []
    clock.advance(1)
    assert told(sandbox, site) == ["reauthorizationRequired"]
    clock.advance(15 * 60)
    assert told(sandbox, site) == ["reauthorizationRequired"]
    sandbox.microsoft.plan(DANA, START, START + HOUR, "Dentist")
    assert told(sandbox, site) == ["created"]
    # Unanswered, the flow of changes ends; what happens then is lost.
    wait(graph, clock, 45 * 60)
    sandbox.microsoft.plan(DANA, START, START + HOUR, "Doctor")
    assert "created" not in told(sandbox, site)
    answer = graph("POST", f"{path}/reauthorize")
    assert (answer.status, answer.raw) == (204, b"")
    sandbox.microsoft.plan(DANA, START, START + HOUR, "Choir")
    assert told(sandbox, site) == ["created"]
    # The end of its life stays.
    expires = wanted(8 * HOUR)["expirationDateTime"]
    assert graph("GET", path).body["expirationDateTime"] == expires
    assert code(graph("POST", "/subscriptions/unknown/reauthorize"))[0] == 404


def test_a_renewal_reauthorises(
    graph: Graph, site: Site, sandbox: Sandbox, clock: ManualClock
) -> None:
    path = f"/subscriptions/{subscribe(graph, lifecycleNotificationUrl=LIFECYCLE).body['id']}"
    assert sandbox.microsoft.subscriptions.changes.challenge(DANA) == 1
    assert told(sandbox, site) == ["reauthorizationRequired"]
    later = wanted(timedelta(days=6))["expirationDateTime"]
    assert graph("PATCH", path, {"expirationDateTime": later}).status == 200
    clock.advance(2 * 3600)
    sandbox.microsoft.plan(DANA, START, START + HOUR, "Dentist")
    assert told(sandbox, site) == ["created"]


def test_a_subscription_is_removed_with_its_mailbox(
    graph: Graph, site: Site, sandbox: Sandbox
) -> None:
    subscribe(graph, lifecycleNotificationUrl=LIFECYCLE)
    sandbox.microsoft.revoke(DANA)
    assert told(sandbox, site) == ["subscriptionRemoved"]
    sandbox.microsoft.restore(DANA)
    assert graph("GET", "/subscriptions").body["value"] == []


def test_the_service_removes_misses_and_forgets(graph: Graph, site: Site, sandbox: Sandbox) -> None:
    changes = sandbox.microsoft.subscriptions.changes
    subscribe(graph, lifecycleNotificationUrl=LIFECYCLE)
    assert changes.miss() == 1
    assert told(sandbox, site) == ["missed"]
    assert changes.remove(DANA) == 1
    assert told(sandbox, site) == ["subscriptionRemoved"]
    subscribe(graph, lifecycleNotificationUrl=LIFECYCLE)
    assert (changes.end(RUBEN), changes.end(DANA)) == (0, 1)
    sandbox.microsoft.plan(DANA, START, START + HOUR, "Dentist")
    assert told(sandbox, site) == []


def test_without_a_lifecycle_address_nothing_of_it_is_notified(
    graph: Graph, site: Site, sandbox: Sandbox
) -> None:
    subscribe(graph)
    assert sandbox.microsoft.subscriptions.changes.remove() == 1
    assert told(sandbox, site) == []


def test_without_the_right_to_read_nothing_is_notified(
    graph: Graph, site: Site, sandbox: Sandbox
) -> None:
    subscribe(graph)
    sandbox.microsoft.directory.roles = {USERS}
    sandbox.microsoft.plan(DANA, START, START + HOUR, "Dentist")
    assert told(sandbox, site) == []


def test_another_callers_token_is_not_needed_for_graph(sandbox: Sandbox, graph: Graph) -> None:
    answer = Caller(sandbox, "/microsoft/v1.0", "")("GET", "/subscriptions")
    assert code(answer) == (401, "InvalidAuthenticationToken")
