"""The served sandbox as Google's own client and a real receiver meet it."""

from __future__ import annotations

import json
import urllib.request
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from ssl import create_default_context
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from googleapiclient.errors import HttpError

from calendar_sync_sandbox import Sandbox, running
from tests.contract.test_sandbox_courier import Site, site
from tests.contract.test_sandbox_google import DANA, googles_client
from tests.contract.test_sandbox_google_freebusy import MILO

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def live() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    sandbox.google.unfriendly = sandbox.microsoft.unfriendly = False
    sandbox.welkin.automations.double = 0.0
    sandbox.outbox.allow_http = True
    for email in (DANA, MILO):
        sandbox.google.add_account(email, "Europe/Berlin")
        sandbox.microsoft.add_account(email, "Europe/Berlin")
    with running(sandbox):
        yield sandbox


@pytest.fixture
def client(live: Sandbox) -> Iterator[Any]:
    with googles_client(live) as service:
        yield service


def soon() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + HOUR


def test_googles_client_watches_hears_and_stops(live: Sandbox, client: Any) -> None:
    with site() as address:
        body = {"id": "live-1", "type": "web_hook", "address": address.url, "token": "t"}
        made = client.events().watch(calendarId="primary", body=body).execute()
        _, headers, raw = address.next()
        found = {name.lower(): value for name, value in headers.items()}
        assert (found["x-goog-resource-state"], found["x-goog-channel-token"]) == ("sync", "t")
        assert (found["x-goog-resource-id"], raw) == (made["resourceId"], b"")
        # An edit by a person, in another thread than the server's.
        live.google.plan(DANA, soon(), soon() + HOUR, "Dentist")
        _, headers, _ = address.next()
        found = {name.lower(): value for name, value in headers.items()}
        assert (found["x-goog-resource-state"], found["x-goog-channel-id"]) == ("exists", "live-1")
        with pytest.raises(HttpError, match="not unique"):
            client.events().watch(calendarId="primary", body=body).execute()
        resource = {"id": "live-1", "resourceId": made["resourceId"]}
        client.channels().stop(body=resource).execute()
        with pytest.raises(HttpError, match="not found for project"):
            client.channels().stop(body=resource).execute()


def test_googles_client_asks_who_is_busy(live: Sandbox, client: Any) -> None:
    begin = soon() + 48 * HOUR
    live.google.plan(MILO, begin, begin + HOUR, "Dentist")
    body = {
        "timeMin": begin.isoformat(),
        "timeMax": (begin + 10 * HOUR).isoformat(),
        "items": [{"id": MILO}, {"id": "nobody@example.org"}],
    }
    found = client.freebusy().query(body=body).execute()["calendars"]
    (span,) = found[MILO]["busy"]
    assert datetime.fromisoformat(span["start"]) == begin
    assert found["nobody@example.org"]["errors"][0]["reason"] == "notFound"


class Echoing(BaseHTTPRequestHandler):
    """Echoes the token of a handshake, takes everything else."""

    server: Site

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        token = parse_qs(urlsplit(self.path).query).get("validationToken", [""])[0].encode()
        self.send_response(200 if token else 202)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(token)))
        self.end_headers()
        self.wfile.write(token)
        self.server.came.put((self.path, dict(self.headers.items()), body))

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_graph_shakes_hands_while_it_answers_others(live: Sandbox) -> None:
    context = create_default_context(cafile=str(live.ca))
    directory = live.microsoft.directory

    def call(path: str, data: bytes, **headers: str) -> Any:
        request = urllib.request.Request(f"{live.root}{path}", data, headers)  # noqa: S310 - https
        with urllib.request.urlopen(request, context=context) as answer:  # noqa: S310 - https
            return json.loads(answer.read())

    form = {
        "grant_type": "client_credentials",
        "client_id": directory.client_id,
        "client_secret": directory.client_secret,
        "scope": "https://graph.microsoft.com/.default",
    }
    path = f"/microsoft/login/{directory.tenant_id}/oauth2/v2.0/token"
    token = call(path, urlencode(form).encode())["access_token"]
    with site(Echoing) as address:
        body = {
            "changeType": "created",
            "notificationUrl": address.url,
            "resource": f"users/{DANA}/events",
            "expirationDateTime": (soon() + HOUR).isoformat().replace("+00:00", "Z"),
            "clientState": "s3cret",
        }
        made = call(
            "/microsoft/v1.0/subscriptions",
            json.dumps(body).encode(),
            Authorization=f"Bearer {token}",
        )
        assert "validationToken=Validation%3A%20" in address.next()[0]
        live.microsoft.plan(DANA, soon(), soon() + HOUR, "Dentist")
        _, _, raw = address.next()
        (row,) = json.loads(raw)["value"]
        assert (row["subscriptionId"], row["clientState"]) == (made["id"], "s3cret")


def test_welkin_calls_what_was_made_by_hand(live: Sandbox) -> None:
    with site() as address:
        live.welkin.automations.make("sync", address.url, {"X-Sync-Secret": "s3cret"})
        host = live.welkin.add_user(DANA).id
        live.welkin.book_event(host, soon(), soon() + HOUR)
        _, headers, raw = address.next()
        assert headers["X-Sync-Secret"] == "s3cret"
        assert json.loads(raw)["eventSubtype"] == "CALENDAR_EVENT_CREATED"
        live.welkin.automations.all.clear()
