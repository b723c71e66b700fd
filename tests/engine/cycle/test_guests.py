"""What a person gives a mirror beside its content stays: guests, colour, reminders."""

from collections.abc import Callable
from typing import Any

import pytest

from calendar_sync.core.model import Platform
from tests.engine.cycle.stage import Stage, mail

Make = Callable[..., Stage]
SELF = mail("dana")
BOTH = pytest.mark.parametrize("platform", list(Platform), ids=str)
GUESTS: dict[Platform, Any] = {
    Platform.GOOGLE: [{"email": "friend@partner.example"}],
    Platform.MICROSOFT: [{"emailAddress": {"address": "friend@partner.example"}}],
}
LOOKS: dict[Platform, dict[str, Any]] = {
    Platform.GOOGLE: {
        "colorId": "11",
        "reminders": {"useDefault": False, "overrides": [{"method": "popup", "minutes": 5}]},
    },
    Platform.MICROSOFT: {"categories": ["Red category"], "reminderMinutesBeforeStart": 5},
}


def mirror(s: Stage) -> Any:
    [seen] = s.calendar.mirrors(SELF)
    return seen


def invite(s: Stage) -> None:
    s.calendar.patch_event(SELF, mirror(s).id, attendees=GUESTS[s.platform])


@BOTH
def test_guests_of_a_mirror_stay_are_shown_once_and_cost_no_write(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    s.visit()
    s.run()
    invite(s)
    before = s.position
    s.later(again=3)
    s.later(hours=29)
    assert mirror(s).guests == 1
    assert s.wrote(before) == []
    assert s.conflicts() == [("guests_added", "left")]
    assert times(s) == 1
    s.calendar.patch_event(SELF, mirror(s).id, attendees=[])
    s.later()
    invite(s)
    s.later()
    assert times(s) == 2
    s.in_step()


def times(s: Stage) -> int:
    """How often the conflict was shown."""
    from calendar_sync.state import tables as t

    with s.database.read() as connection:
        [row] = connection.execute(t.conflict.select()).all()
    return int(row.times)


@BOTH
def test_colour_and_reminders_of_a_mirror_stay_when_its_visit_moves(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    visit = s.visit()
    s.run()
    s.calendar.patch_event(SELF, mirror(s).id, **LOOKS[platform])
    s.later()
    s.move(visit.event_id, 2, 9)
    s.later()
    assert s.mirror_times() == [(s.at(2, 9), s.at(2, 10))]
    [event] = [e for e in s.calendar.events_of(SELF) if e["id"] == mirror(s).id]
    assert {name: event[name] for name in LOOKS[platform]} == LOOKS[platform]
    assert s.conflicts() == []
    s.in_step()


def test_google_puts_a_moved_mirror_back_and_leaves_its_guests(stage: Make) -> None:
    s = stage()
    s.visit()
    s.run()
    invite(s)
    s.calendar.move_event(SELF, mirror(s).id, s.at(3, 9), s.at(3, 10))
    s.later()
    assert s.mirror_times() == [(s.at(1, 9), s.at(1, 10))]
    assert mirror(s).guests == 1
    assert sorted(s.conflicts()) == [("guests_added", "left"), ("mirror_moved", "restored")]
    s.in_step()


def test_exchange_would_mail_the_guests_so_a_moved_mirror_is_left_and_shown(stage: Make) -> None:
    s = stage(platform=Platform.MICROSOFT)
    s.visit()
    s.run()
    invite(s)
    s.calendar.move_event(SELF, mirror(s).id, s.at(3, 9), s.at(3, 10))
    before = s.position
    s.later(again=2)
    assert s.wrote(before) == []
    assert mirror(s).guests == 1
    assert sorted(s.conflicts()) == [("guests_added", "left"), ("mirror_moved", "reported")]
    s.in_step()


@BOTH
def test_a_visit_that_moves_takes_its_mirror_along_and_leaves_its_guests(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    visit = s.visit()
    s.run()
    invite(s)
    s.later()
    s.move(visit.event_id, 2, 9)
    s.later()
    assert s.mirror_times() == [(s.at(2, 9), s.at(2, 10))]
    assert mirror(s).guests == 1
    s.in_step()
    # It is Exchange that tells them, and nothing can be said against it.
    risks = [entry.kind for entry in s.sandbox.requests.mail_risk]
    assert risks == ([] if platform is Platform.GOOGLE else ["microsoft.events.update"])
    s.sandbox.requests.clear()


@BOTH
@pytest.mark.parametrize("made", ["whole days", "series"])
def test_a_mirror_that_was_made_whole_days_or_a_series_is_put_back(
    stage: Make, platform: Platform, made: str
) -> None:
    s = stage(platform=platform)
    s.visit()
    s.run()
    if made == "series":
        s.calendar.change_rule(SELF, mirror(s).id, "FREQ=WEEKLY;COUNT=3")
    else:
        s.calendar.move_event(SELF, mirror(s).id, s.day(1), s.day(2))
    s.later()
    assert s.mirror_times() == [(s.at(1, 9), s.at(1, 10))]
    assert not mirror(s).is_series
    s.in_step()
