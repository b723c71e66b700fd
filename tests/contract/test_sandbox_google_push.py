"""Channels of the Google double, held against Google's own description of the API."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest

from calendar_sync_sandbox.google.push import STOP_SCOPES, WATCH_SCOPES
from calendar_sync_sandbox.outbox import Answer, Delivery, Notice
from tests.contract.conftest import START, Caller, ManualClock
from tests.contract.conftest import Answer as Reply
from tests.contract.test_sandbox_google import (
    DANA,
    EVENTS,
    HOUR,
    SCOPE,
    SILENT,
    ask_token,
    assertion,
    caller,
    check,
    description,
    event,
)

if TYPE_CHECKING:
    from calendar_sync_sandbox import Sandbox

MILO = "milo.brandt@example.org"
WATCH = f"{EVENTS}/watch"
ADDRESS = "https://sync.example.org/push/google"
WEEK = timedelta(days=7)


@pytest.fixture
def google(sandbox: Sandbox) -> Caller:
    sandbox.google.unfriendly = False
    for email in (DANA, MILO):
        sandbox.google.add_account(email, "America/New_York")
    return caller(sandbox)


def watch(google: Caller, **changes: Any) -> Reply:
    body = {"id": "channel-1", "type": "web_hook", "address": ADDRESS, "token": "secret", **changes}
    return google("POST", WATCH, {name: value for name, value in body.items() if value is not None})


def stop(google: Caller, made: Any, **changes: Any) -> Reply:
    return google(
        "POST", "/channels/stop", {"id": made["id"], "resourceId": made["resourceId"], **changes}
    )


def taken(sandbox: Sandbox) -> list[Notice]:
    """Take what is due out of the outbox as delivered."""
    found = sandbox.outbox.due()
    for notice in found:
        assert sandbox.outbox.settle(notice, Answer(204)) == "delivered"
    return found


def states(sandbox: Sandbox) -> list[str]:
    return [notice.headers["x-goog-resource-state"] for notice in taken(sandbox)]


# --- What Google declares ------------------------------------------------------


def test_a_channel_is_as_declared_and_lives_a_week(google: Caller) -> None:
    answer = watch(google)
    assert answer.status == 200
    check(answer.body, "Channel")
    assert answer.body["kind"] == "api#channel"
    assert (answer.body["id"], answer.body["token"]) == ("channel-1", "secret")
    assert answer.body["expiration"] == str(round((START + WEEK).timestamp() * 1000))
    assert answer.body["resourceUri"].endswith("/calendar/v3/calendars/primary/events?alt=json")
    assert "address" not in answer.body


def test_paths_verbs_and_scopes_are_the_declared_ones(google: Caller) -> None:
    resources = description()["resources"]
    declared = resources["events"]["methods"]["watch"]
    assert (declared["httpMethod"], declared["path"]) == (
        "POST", "calendars/{calendarId}/events/watch",
    )  # fmt: skip
    # Calendars of the app's own and public ones are not what this is about.
    apart = {f"{SCOPE}.app.created", f"{SCOPE}.events.public.readonly"}
    assert set(declared["scopes"]) == WATCH_SCOPES | apart
    declared = resources["channels"]["methods"]["stop"]
    assert (declared["httpMethod"], declared["path"]) == ("POST", "channels/stop")
    assert set(declared["scopes"]) == STOP_SCOPES
    for name in set(resources["events"]["methods"]["watch"]["parameters"]) - {"calendarId"}:
        query: dict[str, Any] = {name: "?"}
        body = {"id": f"channel-of-{name}", "type": "web_hook", "address": ADDRESS}
        answer = google("POST", WATCH, body, **query)
        assert "Unknown parameter" not in answer.raw.decode(), name


def test_the_channel_of_a_calendar_keeps_its_resource(google: Caller) -> None:
    first, second = watch(google).body, watch(google, id="channel-2").body
    assert first["resourceId"] == second["resourceId"]
    named = google(
        "POST",
        f"/calendars/{DANA}/events/watch",
        {"id": "channel-3", "type": "web_hook", "address": ADDRESS},
    )
    assert named.body["resourceId"] == first["resourceId"]
    assert "token" not in named.body


@pytest.mark.parametrize(
    ("wish", "granted"),
    [
        ({"params": {"ttl": "3600"}}, HOUR),
        ({"expiration": str(round((START + HOUR).timestamp() * 1000))}, HOUR),
        ({"expiration": round((START + HOUR).timestamp() * 1000)}, HOUR),
        ({"params": {"ttl": "7200"}, "expiration": str(1000 * (int(START.timestamp()) + 60))},
         timedelta(minutes=1)),
        ({"params": {"ttl": "999999999"}}, WEEK),
        ({"params": {}}, WEEK),
    ],
)  # fmt: skip
def test_a_lifetime_is_requested_and_the_granted_one_is_returned(
    google: Caller, wish: dict[str, Any], granted: timedelta
) -> None:
    answer = watch(google, **wish)
    assert answer.body["expiration"] == str(round((START + granted).timestamp() * 1000))


# --- What is refused -----------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"id": None}, 400, "required"),
        ({"id": "x" * 65}, 400, "channelIdInvalid"),
        ({"id": "a b"}, 400, "channelIdInvalid"),
        ({"type": "email"}, 400, "push.channelTypeNotSupported"),
        ({"address": None}, 400, "required"),
        ({"address": "http://sync.example.org/push"}, 400, "push.webhookUrlNotHttps"),
        ({"address": "sync.example.org/push"}, 400, "push.webhookUrlNotHttps"),
        ({"address": "https:///push"}, 400, "invalid"),
        ({"address": "https://[::1/"}, 400, "push.webhookUrlNotHttps"),
        ({"address": "https://a b.example.org/"}, 400, "invalid"),
        ({"token": "t" * 257}, 400, "invalid"),
        ({"expiration": "tomorrow"}, 400, "invalid"),
        ({"expiration": "1000"}, 400, "invalid"),
        ({"params": {"ttl": "-5"}}, 400, "invalid"),
        ({"params": "ttl"}, 400, "invalid"),
    ],
)
def test_a_bad_channel_is_refused(
    sandbox: Sandbox, google: Caller, changes: dict[str, Any], status: int, reason: str
) -> None:
    answer = watch(google, **changes)
    assert (answer.status, answer.reason) == (status, reason)
    assert sandbox.google.push.living() == []
    assert sandbox.outbox.waiting() == []


@pytest.mark.parametrize(
    ("word", "status", "reason", "message"),
    [
        ("unauthorized", 401, "push.webhookUrlUnauthorized",
         f"Unauthorized WebHook callback channel: {ADDRESS}"),
        ("unsupported", 400, "pushNotSupportedForRequestedResource", "Push notifications are not"),
        ("rate", 403, "subscriptionRateLimitExceeded", "Rate limit exceeded"),
    ],
)  # fmt: skip
def test_google_can_refuse_every_channel(
    sandbox: Sandbox, google: Caller, word: str, status: int, reason: str, message: str
) -> None:
    sandbox.google.push.refuse = word
    answer = watch(google)
    assert (answer.status, answer.reason) == (status, reason)
    assert answer.body["error"]["message"].startswith(message)
    sandbox.google.push.refuse = None
    sandbox.google.push.unwatchable.add(DANA)
    assert watch(google).reason == "pushNotSupportedForRequestedResource"
    sandbox.google.push.unwatchable.clear()
    assert watch(google).status == 200


def test_an_id_is_used_once_and_a_calendar_must_be_there(google: Caller) -> None:
    made = watch(google).body
    assert (watch(google).status, watch(google).reason) == (400, "channelIdNotUnique")
    assert stop(google, made).status == 204
    assert watch(google).reason == "channelIdNotUnique"
    body = {"id": "channel-2", "type": "web_hook", "address": ADDRESS}
    assert google("POST", f"/calendars/{MILO}/events/watch", body).status == 404


def test_a_test_may_allow_plain_http(sandbox: Sandbox, google: Caller) -> None:
    sandbox.outbox.allow_http = True
    assert watch(google, address="http://127.0.0.1:8080/push").status == 200


def test_reading_is_enough_to_watch(sandbox: Sandbox, google: Caller) -> None:
    for name, status in ((".events.readonly", 200), (".calendarlist.readonly", 403)):
        text = assertion(sandbox, scope=f"{SCOPE}{name}")
        token = ask_token(sandbox, text).body["access_token"]
        assert watch(Caller(sandbox, "/google/calendar/v3", token)).status == status


# --- What is sent --------------------------------------------------------------


def test_the_first_message_says_that_the_channel_is_there(sandbox: Sandbox, google: Caller) -> None:
    made = watch(google).body
    (notice,) = taken(sandbox)
    assert (notice.url, notice.body) == (ADDRESS, b"")
    headers = notice.headers
    assert headers["x-goog-channel-id"] == "channel-1"
    assert headers["x-goog-channel-token"] == "secret"
    assert headers["x-goog-resource-id"] == made["resourceId"]
    assert headers["x-goog-resource-uri"] == made["resourceUri"]
    assert headers["x-goog-resource-state"] == "sync"
    assert headers["x-goog-message-number"] == "1"
    assert parsedate_to_datetime(headers["x-goog-channel-expiration"]) == START + WEEK
    # Nothing else is told: no calendar, no event.
    assert {name for name in headers if name.startswith("x-goog")} == {
        "x-goog-channel-id", "x-goog-channel-token", "x-goog-channel-expiration",
        "x-goog-resource-id", "x-goog-resource-uri", "x-goog-resource-state",
        "x-goog-message-number",
    }  # fmt: skip


def test_every_change_is_notified_whoever_made_it(sandbox: Sandbox, google: Caller) -> None:
    watch(google)
    assert states(sandbox) == ["sync"]
    # An application's own writes.
    made = google("POST", EVENTS, event(), **SILENT).body
    google("PATCH", f"{EVENTS}/{made['id']}", {"summary": "New"}, **SILENT)
    google("DELETE", f"{EVENTS}/{made['id']}", **SILENT)
    assert states(sandbox) == ["exists"] * 3
    # A person's, and nothing for a change that changes nothing.
    one = sandbox.google.plan(DANA, START, START + HOUR, "Dentist")
    sandbox.google.rename(DANA, one, "Dentist")
    assert states(sandbox) == ["exists"]
    # Somebody else's calendar, and another calendar of the same person.
    sandbox.google.plan(MILO, START, START + HOUR, "Dentist")
    other = sandbox.google.add_calendar(DANA, "Choir")
    sandbox.google.plan(DANA, START, START + HOUR, "Choir", calendar=other.id)
    assert states(sandbox) == []


def test_numbers_grow_and_a_notice_of_an_edit_may_come_twice(
    sandbox: Sandbox, google: Caller
) -> None:
    sandbox.google.unfriendly = True
    watch(google)
    one = sandbox.google.plan(DANA, START, START + HOUR, "Dentist")
    for number in range(9):
        sandbox.google.rename(DANA, one, f"Dentist {number}")
    numbers = [int(notice.headers["x-goog-message-number"]) for notice in taken(sandbox)]
    assert numbers == sorted(set(numbers))
    assert 11 < len(numbers) < 21


def test_reading_causes_no_notice(sandbox: Sandbox, google: Caller) -> None:
    watch(google)
    states(sandbox)
    google("GET", EVENTS)
    google("POST", EVENTS, {"summary": "no time"}, **SILENT)
    assert states(sandbox) == []


def test_opening_and_stopping_are_no_writes(sandbox: Sandbox, google: Caller) -> None:
    stop(google, watch(google).body)
    assert sandbox.requests.writes() == []
    assert sandbox.requests.mail_risk == []
    assert [entry.kind for entry in sandbox.requests][-2:] == [
        "google.events.watch", "google.channels.stop",
    ]  # fmt: skip


# --- The end of a channel ------------------------------------------------------


def test_a_stopped_channel_goes_on_for_a_while(
    sandbox: Sandbox, google: Caller, clock: ManualClock
) -> None:
    made = watch(google).body
    assert stop(google, made).status == 204
    states(sandbox)
    one = sandbox.google.plan(DANA, START, START + HOUR, "Dentist")
    assert states(sandbox) == ["exists"]
    clock.advance(20)
    sandbox.google.rename(DANA, one, "Doctor")
    assert states(sandbox) == []
    assert sandbox.google.calendar(DANA).watchers == []


def test_what_is_not_there_cannot_be_stopped(
    sandbox: Sandbox, google: Caller, clock: ManualClock
) -> None:
    made = watch(google).body
    assert stop(google, made, resourceId="other").status == 404
    assert stop(google, made, id="other").status == 404
    assert stop(google, made, id="").reason == "required"
    assert stop(caller(sandbox, MILO), made).status == 404
    assert stop(google, made).status == 204
    assert (stop(google, made).status, stop(google, made).reason) == (404, "notFound")
    late = watch(google, id="channel-2", params={"ttl": "60"}).body
    clock.advance(60)
    assert stop(google, late).status == 404


def test_a_channel_ends_by_itself(sandbox: Sandbox, google: Caller, clock: ManualClock) -> None:
    watch(google, params={"ttl": "60"})
    clock.advance(60)
    assert states(sandbox) == ["sync"]
    sandbox.google.plan(DANA, START, START + HOUR, "Dentist")
    assert states(sandbox) == []


def test_a_channel_may_end_unnoticed(sandbox: Sandbox, google: Caller) -> None:
    watch(google)
    states(sandbox)
    assert sandbox.google.push.end(DANA) == 1
    sandbox.google.plan(DANA, START, START + HOUR, "Dentist")
    assert states(sandbox) == []
    assert sandbox.google.push.living() == []


def test_nothing_is_notified_of_a_suspended_user(sandbox: Sandbox, google: Caller) -> None:
    watch(google)
    states(sandbox)
    sandbox.google.suspend(DANA)
    sandbox.google.plan(DANA, START, START + HOUR, "Dentist")
    assert states(sandbox) == []
    sandbox.google.restore(DANA)
    sandbox.google.plan(DANA, START, START + HOUR, "Doctor")
    assert states(sandbox) == ["exists"]


# --- On the way ----------------------------------------------------------------


def deliver(sandbox: Sandbox) -> list[tuple[str, int]]:
    found: list[Delivery] = asyncio.run(sandbox.outbox.deliver())
    return [(delivery.outcome, delivery.status) for delivery in found]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 0])
def test_a_server_that_cannot_is_asked_again_and_later(
    sandbox: Sandbox, google: Caller, clock: ManualClock, status: int
) -> None:
    async def answer(*_: object) -> Answer:
        return Answer(status)

    sandbox.outbox.post = answer
    watch(google)
    assert deliver(sandbox) == [("again", status)]
    assert deliver(sandbox) == []
    pauses = []
    while (due := sandbox.outbox.next_due()) is not None:
        pauses.append((due - clock.now()).total_seconds())
        clock.time = due
        deliver(sandbox)
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert sandbox.outbox.deliveries[-1].outcome == "dropped"


@pytest.mark.parametrize("status", [301, 400, 401, 404, 429])
def test_any_other_answer_is_the_end_of_a_message(
    sandbox: Sandbox, google: Caller, status: int
) -> None:
    async def answer(*_: object) -> Answer:
        return Answer(status)

    sandbox.outbox.post = answer
    watch(google)
    assert deliver(sandbox) == [("dropped", status)]
    assert sandbox.outbox.waiting() == []
