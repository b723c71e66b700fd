"""Channels and subscriptions: opened, renewed, closed, refused, and found again."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from calendar_sync.core.model import Platform
from calendar_sync.core.model.push import ChannelState
from calendar_sync.push.channels import BLOCKED, MOST
from calendar_sync.push.keys import channel_token
from tests.engine.push.conftest import ADDRESS, KEY
from tests.engine.push.stage import PushStage

BOTH = [Platform.GOOGLE, Platform.MICROSOFT]
Push = Callable[..., PushStage]


@pytest.fixture
def push() -> Iterator[Push]:
    made: list[PushStage] = []

    def make(*names: str, **more: object) -> PushStage:
        made.append(PushStage(*names, **more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.receiver.state.receiver.close()
        one.database.close()


def living(stage: PushStage) -> int:
    """Channels that the service has."""
    if stage.platform is Platform.GOOGLE:
        return len(stage.google.push.living())
    return len(stage.microsoft.subscriptions.changes.of())


@pytest.mark.parametrize("platform", BOTH)
def test_who_is_mapped_gets_a_channel_and_who_is_not_loses_it(
    push: Push, platform: Platform
) -> None:
    stage = push("dana", "ruben", platform=platform)
    stage.tend()
    assert [each.state for each in stage.channels()] == [ChannelState.OPEN] * 2
    assert living(stage) == 2
    stage.remap("ruben")
    stage.tend()
    assert [each.user_id for each in stage.channels()] == [stage.ids["dana"]]
    assert living(stage) == 1
    stage.document = {}
    stage.tend()
    assert stage.channels() == []
    assert living(stage) == 0
    assert stage.store.push.welkin() is None
    assert stage.tend() == 0


@pytest.mark.parametrize("platform", BOTH)
def test_a_user_who_is_mapped_to_another_mailbox_is_watched_there(
    push: Push, platform: Platform
) -> None:
    stage = push("dana", platform=platform)
    stage.tend()
    stage.calendar.add_account("dana2@example.org", "America/New_York")
    stage.remap(dana={"account": "dana2@example.org"})
    stage.tend()
    assert stage.channel().account == "dana2@example.org"
    assert living(stage) == 1


def test_each_busy_calendar_has_a_channel_of_its_own(push: Push) -> None:
    stage = push("dana")
    second = stage.google.add_calendar("dana@example.org", "Second").id
    stage.document = {**stage.document, "calendars": {"google": {"busy": ["primary", second]}}}
    stage.tend()
    assert {each.calendar for each in stage.channels()} == {"primary", second}


def test_channels_are_opened_at_a_steady_pace(push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calendar_sync.push.channels.MOST", 2)
    stage = push("a", "b", "c", "d", "e")
    assert [stage.tend() for _ in range(4)] == [2, 2, 1, 0]
    assert MOST == 30


def test_looking_again_at_once_costs_nothing(push: Push) -> None:
    stage = push("dana")
    stage.tend()
    stage.clock.advance(seconds=-14)
    assert stage.tend() == 0


def test_the_secret_is_stored_nowhere(push: Push) -> None:
    stage = push("dana")
    stage.tend()
    token = channel_token(KEY, stage.channel().id)
    assert stage.google.push.living()[0].token == token
    assert token not in str(stage.channel())


@pytest.mark.parametrize("platform", BOTH)
def test_a_channel_is_renewed_before_its_end_and_notices_never_stop(
    push: Push, platform: Platform
) -> None:
    stage = push("dana", platform=platform)
    stage.settle()
    first = stage.channel()
    assert first.expires_at is not None
    life = first.expires_at - first.opened_at
    assert stage.tend() == 0
    stage.clock.advance(seconds=life.total_seconds() * 0.81)
    stage.tend()
    stage.deliver()
    if platform is Platform.GOOGLE:
        # Both, until the new one has delivered.
        assert len(stage.channels()) == 2
        assert living(stage) == 2
        stage.tend(2)
    again = stage.channel()
    assert living(stage) == 1
    assert (again.id != first.id) is (platform is Platform.GOOGLE)
    assert again.expires_at is not None
    assert again.expires_at > first.expires_at
    stage.busy()
    assert ("delivered", 204 if platform is Platform.GOOGLE else 202) in stage.deliver()
    assert stage.channel().wanted


def test_a_shorter_life_is_asked_for_where_the_longer_is_refused(push: Push) -> None:
    stage = push("dana", platform=Platform.MICROSOFT)
    stage.microsoft.subscriptions.longest = timedelta(minutes=4_230)
    stage.tend()
    granted = stage.channel().expires_at
    assert granted is not None
    assert timedelta(minutes=4_200) < granted - stage.clock.now() < timedelta(minutes=4_230)


@pytest.mark.parametrize("platform", BOTH)
def test_what_ended_without_a_word_is_opened_again(push: Push, platform: Platform) -> None:
    stage = push("dana", platform=platform)
    stage.settle()
    first = stage.channel()
    if platform is Platform.GOOGLE:
        stage.google.push.end()
        stage.clock.advance(days=7, minutes=1)
    else:
        stage.microsoft.subscriptions.changes.end()
        stage.clock.advance(days=1, minutes=1)
    stage.tend(2)
    assert stage.channel().id != first.id
    assert living(stage) == 1


def test_after_a_lost_database_subscriptions_are_found_and_replaced(push: Push) -> None:
    stage = push("dana", platform=Platform.MICROSOFT)
    stage.tend()
    lost = stage.channel()
    stage.store.push.drop(lost.id)
    with stage.database.write() as connection:
        from calendar_sync.state import tables as t

        connection.execute(t.platform_state.delete())
    stage.tend(2)
    assert living(stage) == 1
    assert stage.channel().remote_id != lost.remote_id


def test_after_a_lost_database_old_channels_of_google_are_refused_until_they_end(
    push: Push,
) -> None:
    stage = push("dana")
    stage.settle()
    stage.store.push.drop(stage.channel().id)
    stage.tend()
    stage.deliver()
    assert living(stage) == 2
    stage.busy()
    assert sorted(set(stage.deliver())) == [("delivered", 204), ("dropped", 404)]


@pytest.mark.parametrize(
    ("event", "state"),
    [("reauthorize", "renewed"), ("remove", "another"), ("miss", "renewed")],
)
def test_messages_about_a_subscription_are_obeyed(push: Push, event: str, state: str) -> None:
    stage = push("dana", platform=Platform.MICROSOFT)
    stage.settle()
    before = stage.channel()
    changes = stage.microsoft.subscriptions.changes
    {"reauthorize": changes.challenge, "remove": changes.remove, "miss": changes.miss}[event]()
    stage.deliver()
    assert stage.channel().told
    stage.tend()
    after = stage.channel()
    assert after.told == ""
    assert after.state is ChannelState.OPEN
    assert (after.id == before.id) is (state == "renewed")
    # What may have been missed is looked for, with whichever channel.
    assert after.wanted is (event != "reauthorize")


# --- refusals --------------------------------------------------------------------------------


def test_an_address_that_google_refuses_is_tried_less_and_less(push: Push) -> None:
    stage = push("dana", "ruben")
    stage.google.push.refuse = "unauthorized"
    stage.tend()
    refused = stage.channels()
    assert {each.code for each in refused} == {"google_push_address_refused"}
    assert stage.tend(3) == 0
    assert stage.store.runs.facts("google")[BLOCKED]["code"] == "google_push_address_refused"
    for pause in (1, 2, 4):
        stage.clock.advance(minutes=pause)
        assert 1 <= stage.tend() <= 2
        assert stage.tend() == 0
    stage.google.push.refuse = None
    stage.clock.advance(hours=1)
    stage.tend(2)
    stage.clock.advance(hours=1)
    stage.tend(2)
    assert [each.state for each in stage.channels()] == [ChannelState.OPEN] * 2
    assert BLOCKED not in stage.store.runs.facts("google")


def test_a_calendar_that_cannot_be_watched_is_left_to_polls(push: Push) -> None:
    stage = push("dana", "ruben")
    stage.google.push.unwatchable.add("dana@example.org")
    stage.tend()
    assert stage.channel("dana").code == "google_push_not_supported"
    assert stage.channel("ruben").state is ChannelState.OPEN
    assert stage.tend(4) == 0
    stage.clock.advance(days=1)
    assert stage.tend() == 1


def test_too_many_registrations_are_a_pause(push: Push) -> None:
    stage = push("dana")
    stage.google.push.refuse = "rate"
    stage.tend()
    assert stage.channel().code == "google_rate_limited"
    stage.google.push.refuse = None
    stage.clock.advance(minutes=1)
    stage.tend()
    assert stage.channel().state is ChannelState.OPEN


def test_an_address_that_does_not_answer_graph_is_named_so(push: Push) -> None:
    stage = push("dana", "ruben", platform=Platform.MICROSOFT)
    stage.outbox.trouble["microsoft"].dead = True
    stage.tend()
    assert {each.code for each in stage.channels()} == {"microsoft_push_address_silent"}
    assert living(stage) == 0


def test_an_address_that_answers_something_else_is_named_so(push: Push) -> None:
    stage = push("dana", platform=Platform.MICROSOFT)
    stage.document = {"push": {"address": ADDRESS + "/elsewhere"}}
    stage.tend()
    assert stage.channel().code == "microsoft_push_address_refused"


def test_a_mailbox_without_access_affects_no_other_user(push: Push) -> None:
    stage = push("dana", "ruben", platform=Platform.MICROSOFT)
    stage.microsoft.account("dana@example.org").state = "revoked"
    stage.tend()
    assert stage.channel("dana").code == "microsoft_access_denied"
    assert stage.channel("ruben").state is ChannelState.OPEN


@pytest.mark.parametrize("platform", BOTH)
def test_closing_where_nothing_answers_is_given_up_in_time(push: Push, platform: Platform) -> None:
    stage = push("dana", platform=platform)
    stage.tend()
    stage.remap("dana")
    stage.fault(platform.value, "status", code=503, times=None)
    for _ in range(8):
        stage.clock.advance(hours=1)
        stage.tend()
    assert stage.channels() == []


def test_a_creation_whose_answer_is_lost_is_made_again(push: Push) -> None:
    stage = push("dana")
    stage.fault("google", "reset_after", "POST", "watch", times=1)
    stage.tend()
    assert stage.channel().state is ChannelState.OPENING
    stage.clock.advance(minutes=2)
    stage.tend()
    assert stage.channel().state is ChannelState.OPEN


def test_coverage_counts_what_notices_reach(push: Push) -> None:
    stage = push("dana", "ruben")
    stage.google.push.unwatchable.add("ruben@example.org")
    stage.settle()
    found = stage.coverage()
    assert (found.eligible, found.registered, found.verified, found.healthy) == (2, 1, 1, 1)
    assert found.refused == {"google_push_not_supported": 1}
