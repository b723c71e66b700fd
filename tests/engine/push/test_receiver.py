"""The receiver: what each service sends, and what nobody should."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from calendar_sync.core.model import Platform
from calendar_sync.core.model.push import ChannelState
from calendar_sync.push import admission, desk
from calendar_sync.push.keys import WELKIN_HEADER, channel_token, welkin_secret
from calendar_sync.push.receiver import LARGEST_BODY
from calendar_sync.state import Database
from calendar_sync.state.push import Channel, Heard, PushStore
from tests.engine.push.conftest import KEY, NOW, Sender, channel, google, microsoft

Opened = Callable[..., Channel]
CANARY = "Canary-Patient-7781"


# --- what the services send ------------------------------------------------------------------


def test_a_message_of_google_asks_for_a_poll(sender: Sender, opened: Opened) -> None:
    one, other = opened(1), opened(2)
    answer = sender.post("/google", headers=google(one))
    assert (answer.status_code, answer.content) == (204, b"")
    assert sender.of(one).wanted
    assert sender.of(one).wanted_since == sender.of(one).delivered_at == NOW
    assert not sender.of(other).wanted


def test_the_first_message_proves_the_channel_and_asks_for_nothing(
    sender: Sender, opened: Opened
) -> None:
    one = opened(state=ChannelState.OPENING, remote_id="")
    assert sender.post("/google", headers=google(one, state="sync")).status_code == 204
    assert sender.of(one).delivered_at == NOW
    assert not sender.of(one).wanted


def test_notices_of_microsoft_ask_for_polls(sender: Sender, opened: Opened) -> None:
    both = opened(1, Platform.MICROSOFT), opened(2, Platform.MICROSOFT)
    answer = sender.post("/microsoft", json=microsoft(*both))
    assert (answer.status_code, answer.content) == (202, b"")
    assert all(sender.of(each).wanted for each in both)


@pytest.mark.parametrize(
    ("event", "wanted"),
    [("missed", True), ("subscriptionRemoved", True), ("reauthorizationRequired", False)],
)
def test_messages_about_a_subscription_are_noted_and_looked_at_at_once(
    sender: Sender, opened: Opened, event: str, wanted: bool
) -> None:
    one = opened(1, Platform.MICROSOFT)
    answer = sender.post("/microsoft/lifecycle", json=microsoft(one, lifecycleEvent=event))
    assert answer.status_code == 202
    found = sender.of(one)
    assert (found.told, found.next_at, found.wanted) == (event, NOW, wanted)


def test_a_message_that_does_not_exist_yet_asks_for_a_poll(sender: Sender, opened: Opened) -> None:
    one = opened(1, Platform.MICROSOFT)
    sender.post("/microsoft/lifecycle", json=microsoft(one, lifecycleEvent="somethingNew"))
    assert sender.of(one).wanted
    assert sender.of(one).told == ""


@pytest.mark.parametrize("path", ["/microsoft", "/microsoft/lifecycle"])
def test_the_handshake_is_answered_with_its_token_as_plain_text(sender: Sender, path: str) -> None:
    token = "Validation: Testing <b>client</b> & more+1"
    answer = sender.post(path, params={"validationToken": token})
    assert (answer.status_code, answer.text) == (200, token)
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_webhook_of_welkin_asks_for_its_feeds(sender: Sender) -> None:
    sender.store.listen(NOW)
    headers = {WELKIN_HEADER: welkin_secret(KEY)}
    placeholders = {"sourceId": "SOURCE_ID", "eventEntity": "EVENT_ENTITY"}
    for body in ({"eventEntity": "CALENDAR", "sourceId": CANARY}, placeholders):
        answer = sender.post("/welkin", json=body, headers=headers)
        assert (answer.status_code, answer.content) == (200, b"")
    told = sender.store.welkin()
    assert told is not None
    assert told.notices == 2


# --- what nobody should send -----------------------------------------------------------------


def bad() -> list[tuple[str, str, dict[str, Any], int]]:
    """Name, path, request, status. Each carries the canary where there is room for one."""
    one = channel(1)
    deep = "[" * 200_000 + "]" * 200_000
    other = google(channel(99))
    return [
        ("no channel", "/google", {}, 404),
        ("unknown channel", "/google", {"headers": google(channel(98), token=CANARY)}, 404),
        ("wrong secret", "/google", {"headers": google(one, token=CANARY)}, 404),
        ("no secret", "/google", {"headers": google(one, token="")}, 404),
        ("another's secret", "/google",
         {"headers": google(one) | {"X-Goog-Channel-Token": other["X-Goog-Channel-Token"]}}, 404),
        ("an id that is none", "/google",
         {"headers": google(one) | {"X-Goog-Channel-ID": CANARY * 9}}, 404),
        ("control characters", "/google",
         {"headers": google(one) | {"X-Goog-Channel-Token": b"\x01\x7f\t" + CANARY.encode()}}, 404),
        ("not ASCII", "/google",
         {"headers": google(one) | {"X-Goog-Channel-Token": "ü".encode()}}, 404),
        ("a body, 10 MiB", "/google", {"headers": google(one), "content": b"x" * 10_485_760}, 413),
        ("no JSON", "/microsoft", {"content": b"<xml>" + CANARY.encode()}, 400),
        ("nothing", "/microsoft", {}, 400),
        ("half a character", "/microsoft", {"content": b'{"value": "\xff"}'}, 400),
        ("too deep", "/microsoft", {"content": deep.encode()[:250_000]}, 400),
        ("infinity", "/microsoft", {"content": b'{"value": Infinity}'}, 400),
        ("10 MiB", "/microsoft", {"content": b"[" * 10_485_760}, 413),
        ("no object", "/microsoft", {"json": [1, CANARY]}, 404),
        ("no list", "/microsoft", {"json": {"value": CANARY}}, 404),
        ("odd rows", "/microsoft", {"json": {"value": [None, 1, CANARY, {"clientState": 5}]}}, 404),
        ("wrong state", "/microsoft", {"json": microsoft(one, secret=CANARY)}, 404),
        ("handshake without token", "/microsoft", {"params": {"validationToken": ""}}, 400),
        ("handshake, 10 KiB", "/microsoft", {"params": {"validationToken": "a" * 10_240}}, 400),
        ("handshake, odd signs", "/microsoft", {"params": {"validationToken": "a\r\nb: c"}}, 400),
        ("handshake, script", "/microsoft", {"params": {"validationToken": "é" + CANARY}}, 400),
        ("Welkin, no secret", "/welkin", {"json": {"patientId": CANARY}}, 404),
        ("Welkin, wrong secret", "/welkin", {"headers": {WELKIN_HEADER: CANARY}}, 404),
        ("Welkin, 10 MiB", "/welkin",
         {"headers": {WELKIN_HEADER: welkin_secret(KEY)}, "content": b"x" * 10_485_760}, 413),
        ("another path", "/", {"content": CANARY.encode()}, 404),
    ]  # fmt: skip


def test_bad_input_gets_a_plain_status_and_leaves_no_trace(
    sender: Sender, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "calendar_sync")
    opened(1)
    sender.store.listen(NOW)
    before = dump(sender.database)
    for name, path, what, status in bad():
        answer = sender.post(path, **what)
        assert (name, answer.status_code, answer.content) == (name, status, b"")
    assert dump(sender.database) == before
    ours = [each.getMessage() for each in caplog.records if each.name.startswith("calendar_sync")]
    assert ours == []


def test_a_body_without_a_length_is_read_no_further_than_allowed(sender: Sender) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 65_536
            yield b"x" * 65_536

    assert sender.post("/microsoft", content=endless()).status_code == 413
    assert sent <= LARGEST_BODY + 2 * 65_536


def test_a_stranger_learns_nothing_of_which_channels_exist(sender: Sender, opened: Opened) -> None:
    there, gone = opened(1), channel(2)
    answers = [
        (answer.status_code, dict(answer.headers), answer.content)
        for which in (there, gone)
        for answer in (
            sender.post("/google", headers=google(which, token="guess")),
            sender.post("/microsoft", json=microsoft(which, secret="guess")),
        )
    ]
    assert all(answer == answers[0] for answer in answers)


def test_notices_for_who_was_unmapped_are_not_stored(sender: Sender, opened: Opened) -> None:
    """Google's channel may go on after it was stopped, and Graph would repeat what is refused."""
    one, two = opened(1), opened(2, Platform.MICROSOFT)
    for each in (one, two):
        sender.store.stopping([each.id], NOW)
    assert sender.post("/google", headers=google(one)).status_code == 404
    assert sender.post("/microsoft", json=microsoft(two)).status_code == 202
    for each in (one, two):
        assert not sender.of(each).wanted
        assert sender.of(each).delivered_at is None


def test_an_unknown_channel_is_not_looked_up_again_for_a_while(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = counting(monkeypatch)
    for _ in range(3):
        assert sender.post("/google", headers=google(channel(5))).status_code == 404
    assert len(looked) == 1
    sender.clock.advance(seconds=admission.UNKNOWN_FOR + 1)
    sender.post("/google", headers=google(channel(5)))
    assert len(looked) == 2


def test_a_channel_that_never_stops_gets_503_and_retry_after(
    sender: Sender, opened: Opened
) -> None:
    one, other = opened(1), opened(2)
    answers = sender.all([("/google", {"headers": google(one)})] * (admission.OF_ONE + 5))
    assert [a.status_code for a in answers].count(204) == admission.OF_ONE
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(refused) == 5
    assert refused[0].headers["retry-after"]
    assert sender.post("/google", headers=google(other)).status_code == 204
    sender.clock.advance(seconds=admission.WINDOW)
    assert sender.post("/google", headers=google(one)).status_code == 204


def test_a_flood_is_taken_in_few_transactions_and_the_rest_is_refused(
    sender: Sender, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "IN_TOTAL", 200)
    monkeypatch.setattr(admission, "OF_ONE", 1_000)
    written = counting(monkeypatch)
    every = [opened(number) for number in range(1, 6)]
    requests = [("/google", {"headers": google(every[n % 5])}) for n in range(300)]
    answers = [answer.status_code for answer in sender.all(requests)]
    assert (answers.count(204), answers.count(503)) == (200, 100)
    assert len(written) < 100
    assert sum(sender.of(each).notices for each in every) == 200


# --- the state database ----------------------------------------------------------------------


def test_what_cannot_be_stored_is_answered_so_and_reported_once(
    sender: Sender, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    one = opened(1)
    with sender.database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE push_channel RENAME TO elsewhere"))
    answers = sender.all([("/google", {"headers": google(one)})] * 3)
    assert [answer.status_code for answer in answers] == [503] * 3
    assert sender.post("/google", headers=google(one)).status_code == 503
    told = [each for each in caplog.records if each.name.startswith("calendar_sync")]
    assert len(told) == 1
    assert channel_token(KEY, one.id) not in caplog.text
    assert "UPDATE" not in caplog.text
    with sender.database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO push_channel"))
    assert sender.post("/google", headers=google(one)).status_code == 204


def test_a_database_that_takes_too_long_counts_as_none(
    sender: Sender, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Graph waits for three seconds."""
    monkeypatch.setattr(desk, "PATIENCE", 0.05)
    one = opened(1)
    with sender.database.write() as connection:
        connection.execute(text("UPDATE push_channel SET tries = 1"))
        assert sender.post("/google", headers=google(one)).status_code == 503


def test_another_process_goes_on_where_the_killed_one_was(sender: Sender, opened: Opened) -> None:
    one = opened(1)
    sender.post("/google", headers=google(one))
    sender.restart()
    sender.post("/google", headers=google(one))
    assert sender.of(one).notices == 2


def test_a_notice_during_a_poll_is_kept(sender: Sender, opened: Opened) -> None:
    one = opened(1)
    sender.post("/google", headers=google(one))
    seen = sender.of(one).notices
    sender.clock.advance(seconds=2)
    sender.post("/google", headers=google(one))
    with sender.database.write() as connection:
        sender.store.answer(connection, {one.id: seen}, NOW + timedelta(seconds=3))
    assert sender.of(one).wanted
    with sender.database.write() as connection:
        sender.store.answer(connection, {one.id: seen + 1}, NOW + timedelta(seconds=4))
    assert not sender.of(one).wanted
    assert sender.of(one).wanted_since is None


def test_a_health_check_needs_no_secret(sender: Sender) -> None:
    assert sender.post("/health", method="GET").status_code == 204


def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many channels each transaction of the receiver is about."""
    found: list[int] = []
    hear = PushStore.hear

    def counted(self: PushStore, heard: Mapping[str, Heard], now: datetime) -> set[str]:
        found.append(len(heard))
        return hear(self, heard, now)

    monkeypatch.setattr(PushStore, "hear", counted)
    return found


def dump(database: Database) -> list[Any]:
    with database.read() as connection:
        return [
            list(connection.execute(text(f"SELECT * FROM {name} ORDER BY id")))  # noqa: S608
            for name in ("push_channel", "push_delay")
        ]
