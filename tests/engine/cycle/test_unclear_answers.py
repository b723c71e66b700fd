"""Answers to writes that cannot be read: the write was made, or it was not."""

from collections.abc import Callable
from typing import Any

import pytest

from calendar_sync.core.model import LinkState, Platform
from calendar_sync.state.runs import EXTERNAL_IDS, WELKIN
from tests.engine.cycle.stage import Stage, mail
from tests.engine.cycle.test_isolation import trip
from tests.engine.cycle.test_write_back import probe

Make = Callable[..., Stage]
SELF = mail("dana")
BOTH = pytest.mark.parametrize("platform", list(Platform), ids=str)
LAGS = pytest.mark.parametrize("lag", [0.0, 30.0], ids=["at once", "late"])
PARSERS = {
    Platform.GOOGLE: "calendar_sync.adapters.google.client.parse_event",
    Platform.MICROSOFT: "calendar_sync.adapters.microsoft.client.parse_event",
}
WELKINS = "calendar_sync.adapters.welkin.client.parse_event"


def lagging(s: Stage, seconds: float) -> None:
    s.calendar.lag_seconds = s.welkin.read_lag_seconds = seconds


def unclear(
    s: Stage, monkeypatch: pytest.MonkeyPatch, parser: str, kind: str, after: int = 0
) -> list[Any]:
    """The answer to one request of this kind, `after` others, cannot be read."""
    seen: list[int] = []

    def odd(*_: Any, **__: Any) -> bool:
        position = len(s.sandbox.requests)
        last = s.sandbox.requests.since(position - 1)
        if [entry.kind for entry in last] != [kind]:
            return False
        seen.append(position)
        return len(seen) == after + 1

    return trip(monkeypatch, parser, odd)


def settled(s: Stage) -> None:
    s.later(again=12, seconds=10)
    lagging(s, 0.0)
    s.later(again=2)
    assert {link.generation for link in s.links()} == {1}
    s.in_step()


@BOTH
@LAGS
def test_a_block_whose_creation_is_answered_unreadably_is_made_once(
    stage: Make, monkeypatch: pytest.MonkeyPatch, platform: Platform, lag: float
) -> None:
    s = stage(platform=platform)
    s.run()
    s.busy()
    lagging(s, lag)
    s.clock.advance(minutes=2)
    met = unclear(s, monkeypatch, WELKINS, "welkin.events.create")
    before = s.position
    s.later(again=12, seconds=10)
    assert met
    settled(s)
    assert s.asked("welkin.events.create", before) == 1
    [block] = [event for event in s.welkin.events.values() if event.type == "LEAVE"]
    assert block.external_id
    assert s.store.runs.facts(WELKIN).get(EXTERNAL_IDS) != "lost"


@BOTH
def test_a_block_that_cannot_be_read_at_all_is_not_made_again(
    stage: Make, monkeypatch: pytest.MonkeyPatch, platform: Platform
) -> None:
    s = stage(platform=platform)
    s.run()
    s.busy()
    read = trip(
        monkeypatch, WELKINS, lambda row, *_: str(row.get("externalId")).startswith("calsync")
    )
    before = s.position
    s.later(again=6)
    s.later(hours=2)
    s.later(hours=26)
    assert read
    blocks = [event for event in s.welkin.events.values() if event.type == "LEAVE"]
    assert len(blocks) == 1
    assert all(block.external_id for block in blocks)
    assert s.asked("welkin.events.create", before) >= 1


@BOTH
@LAGS
def test_a_mirror_whose_creation_is_answered_unreadably_is_made_once(
    stage: Make, monkeypatch: pytest.MonkeyPatch, platform: Platform, lag: float
) -> None:
    s = stage(platform=platform)
    s.run()
    s.visit()
    lagging(s, lag)
    s.clock.advance(minutes=2)
    kind = "google.events.insert" if platform is Platform.GOOGLE else "microsoft.events.create"
    met = unclear(s, monkeypatch, PARSERS[platform], kind)
    s.later(again=12, seconds=10)
    assert met
    settled(s)
    assert len(s.calendar.mirrors(SELF)) == 1


def test_a_mirror_that_exists_and_cannot_be_read_is_not_made_under_another_id(
    stage: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = stage()
    s.run()
    s.visit()
    s.fault("google", "reset_after", "POST", "/events")
    met = unclear(s, monkeypatch, PARSERS[s.platform], "google.events.get")
    s.later()
    assert met
    settled(s)
    assert len(s.mirrors()) == 1


@BOTH
@LAGS
def test_an_appointment_is_moved_although_the_answer_cannot_be_read(
    stage: Make, monkeypatch: pytest.MonkeyPatch, platform: Platform, lag: float
) -> None:
    s = stage(settings={"mirror_moved": "reschedule"}, platform=platform)
    meeting = s.meeting()
    s.run()
    s.later(again=2)
    [mirror] = s.calendar.mirrors(SELF)
    s.calendar.move_event(SELF, mirror.id, s.at(3, 9), s.at(3, 10))
    s.clock.advance(minutes=2)
    lagging(s, lag)
    met = unclear(s, monkeypatch, WELKINS, "welkin.events.patch")
    s.later(again=12, seconds=10)
    assert met
    settled(s)
    assert s.welkin.events[meeting.id].start == s.at(3, 9)
    assert s.mirror_times() == [(s.at(3, 9), s.at(3, 10))]
    assert {decision for _, decision in s.conflicts()} == {"rescheduled"}


@BOTH
@LAGS
def test_an_appointment_is_cancelled_although_the_answer_cannot_be_read(
    stage: Make, monkeypatch: pytest.MonkeyPatch, platform: Platform, lag: float
) -> None:
    s = stage(settings={"mirror_deleted": "cancel"}, platform=platform)
    meeting = s.meeting()
    s.run()
    s.later(again=2)
    [mirror] = s.calendar.mirrors(SELF)
    s.calendar.delete_event(SELF, mirror.id)
    s.clock.advance(minutes=2)
    lagging(s, lag)
    met = unclear(s, monkeypatch, WELKINS, "welkin.events.patch")
    s.later(again=12, seconds=10)
    assert met
    settled(s)
    assert s.welkin.events[meeting.id].cancelled
    assert s.calendar.mirrors(SELF) == []
    assert {decision for _, decision in s.conflicts()} == {"cancelled"}
    assert {link.state for link in s.links()} == {LinkState.DELETED}


@pytest.mark.parametrize("shown", [True, False], ids=["its answer is read", "it is not"])
def test_a_moved_appointment_that_cannot_be_read_back_was_not_refused(
    stage: Make, monkeypatch: pytest.MonkeyPatch, shown: bool
) -> None:
    s = stage(settings={"mirror_moved": "reschedule"})
    meeting = s.meeting()
    s.run()
    s.later(again=2)
    [mirror] = s.mirrors()
    s.google.move_event(SELF, mirror["id"], s.at(3, 9), s.at(3, 10))
    if not shown:
        unclear(s, monkeypatch, WELKINS, "welkin.events.patch")
    met = unclear(s, monkeypatch, WELKINS, "welkin.events.get")
    s.later(again=4)
    assert met
    settled(s)
    assert s.welkin.events[meeting.id].start == s.at(3, 9)
    assert {decision for _, decision in s.conflicts()} == {"rescheduled"}


def test_a_probe_whose_way_back_is_answered_unreadably_looks_where_the_encounter_is(
    stage: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = stage()
    visit = s.visit()
    gets = trips_of_a_probe(s, visit.event_id)
    unclear(s, monkeypatch, WELKINS, "welkin.events.patch", after=1)
    met = unclear(s, monkeypatch, WELKINS, "welkin.events.get", after=gets - 1)
    probe(s, visit.event_id)
    assert met
    assert s.welkin.events[visit.event_id].start == s.at(1, 9)


def trips_of_a_probe(s: Stage, event_id: str) -> int:
    """How often a probe reads the event by its id: the last time after its way back."""
    before = s.position
    probe(s, event_id)
    return s.asked("welkin.events.get", before)
