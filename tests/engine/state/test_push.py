"""What channels mean for the next poll, as the database works it out."""

from dataclasses import replace
from datetime import timedelta

import pytest

from calendar_sync.core.model import Platform
from calendar_sync.core.model.push import ChannelState
from calendar_sync.state import Store
from calendar_sync.state.push import Channel, PushStanding
from tests.engine.state.conftest import NOW

MINUTE = timedelta(minutes=1)
WELL = Channel(
    "c1", "google", "u1", "a@example.org", "primary", "https://x.example", ChannelState.OPEN,
    opened_at=NOW - timedelta(days=2), expires_at=NOW + timedelta(days=1),
    delivered_at=NOW - timedelta(hours=1),
)  # fmt: skip
TEAM = replace(WELL, id="c2", calendar="team")
OTHER = replace(WELL, id="c3", calendar="not one of ours any more")


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ([WELL], PushStanding(1, wanted=False)),
        ([WELL, TEAM], PushStanding(2, wanted=False)),
        # It counts until it is closed, a few seconds later.
        ([WELL, OTHER], PushStanding(2, wanted=False)),
        ([WELL, replace(WELL, id="c4")], PushStanding(1, wanted=False)),
        ([replace(WELL, state=ChannelState.STOPPING)], PushStanding(0, wanted=False)),
        ([replace(WELL, trusted=False)], PushStanding(0, wanted=False)),
        ([replace(WELL, delivered_at=None)], PushStanding(0, wanted=False)),
        ([replace(WELL, delivered_at=NOW - timedelta(hours=25))], PushStanding(0, wanted=False)),
        ([replace(WELL, expires_at=None)], PushStanding(0, wanted=False)),
        ([replace(WELL, expires_at=NOW + timedelta(minutes=9))], PushStanding(0, wanted=False)),
        ([replace(WELL, notices=1)], PushStanding(1, wanted=True)),
        ([replace(WELL, notices=1, asked_at=NOW - MINUTE)], PushStanding(1, wanted=True)),
        ([replace(WELL, notices=1, asked_at=NOW - MINUTE / 2)], PushStanding(1, wanted=False)),
        # The poll of a minute ago was for a notice of the other calendar.
        ([replace(WELL, notices=1), replace(TEAM, asked_at=NOW)], PushStanding(2, wanted=False)),
        ([replace(WELL, notices=1, asked_at=NOW, further_polls=1)], PushStanding(1, wanted=True)),
        ([replace(WELL, asked_at=NOW, further_polls=1)], PushStanding(1, wanted=False)),
        (
            [replace(WELL, notices=1, asked_at=NOW), replace(TEAM, further_polls=1)],
            PushStanding(2, wanted=False),
        ),
    ],
)
def test_a_users_channels(store: Store, channels: list[Channel], expected: PushStanding) -> None:
    for channel in (*channels, replace(WELL, id="c9", platform="microsoft", user_id="u2")):
        store.push.add(channel)
    found = store.push.standing(Platform.GOOGLE, NOW, NOW - MINUTE)
    assert found == {"u1": expected}
    assert store.push.standing(Platform.GOOGLE, NOW, NOW - MINUTE, ["u1"]) == found
    assert store.push.standing(Platform.GOOGLE, NOW, NOW - MINUTE, ["u2"]) == {}
