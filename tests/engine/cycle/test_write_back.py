"""Edits of mirrors that change the appointment itself, where the settings say so (rules 9, 10)."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from calendar_sync.core.errors import ConfigurationError, SyncError
from calendar_sync.core.model import LinkState
from calendar_sync.operations.approvals import grant
from calendar_sync.operations.probes import probe_reschedule
from tests.engine.cycle.stage import HOUR, Stage, mail

Make = Callable[..., Stage]
SELF = mail("dana")
WRITE_BACK = {"mirror_moved": "reschedule", "mirror_deleted": "cancel"}


def move(s: Stage, index: int = 0, days: int = 3, hour: int = 16, **fields: Any) -> None:
    """Dana moves one of her mirrors by hand."""
    mirror = s.mirrors()[index]["id"]
    s.google.move_event(SELF, mirror, s.at(days, hour), s.at(days, hour) + HOUR)
    if fields:
        s.google.patch_event(SELF, mirror, **fields)


def delete(s: Stage, *, index: int = 0) -> None:
    s.google.delete_event(SELF, s.mirrors()[index]["id"])


def times(s: Stage) -> list[Any]:
    """When the appointments are, in Welkin."""
    found = [e for e in s.welkin.events.values() if e.type != "LEAVE" and not e.cancelled]
    return sorted((event.start, event.end) for event in found)


def test_a_moved_mirror_reschedules_its_plain_appointment(stage: Make) -> None:
    s = stage(settings=WRITE_BACK)
    s.meeting()
    s.run()
    move(s)
    before = s.position
    s.later()
    assert times(s) == s.mirror_times() == [(s.at(3, 16), s.at(3, 17))]
    assert s.wrote(before) == ["welkin.events.patch 200"]
    assert s.conflicts() == [("mirror_moved", "rescheduled")]
    before = s.position
    assert s.later(again=5).outcomes == {}, "our own write came back as news"
    assert s.asked("welkin.events.list", before) == 0
    s.in_step()


def test_a_moved_and_rewritten_mirror_gives_its_time_and_gets_its_text_back(stage: Make) -> None:
    s = stage(settings=WRITE_BACK)
    s.meeting()
    s.run()
    move(s, summary="Mine")
    s.later()
    assert times(s) == s.mirror_times() == [(s.at(3, 16), s.at(3, 17))]
    assert [mirror["summary"] for mirror in s.mirrors()] == ["Busy"]
    s.in_step()


def test_the_other_participants_mirror_follows(stage: Make) -> None:
    s = stage("dana", "ruben", settings=WRITE_BACK)
    s.meeting(extra_user_ids=[s.ids["ruben"]])
    s.run()
    move(s)
    s.later(again=2)
    assert s.mirror_times("ruben") == [(s.at(3, 16), s.at(3, 17))]
    s.in_step()


def test_a_deleted_mirror_cancels_its_plain_appointment(stage: Make) -> None:
    s = stage(settings=WRITE_BACK)
    meeting = s.meeting()
    s.run()
    delete(s)
    s.later()
    assert s.welkin.events[meeting.id].cancelled
    assert s.mirrors() == []
    assert s.conflicts() == [("mirror_deleted", "cancelled")]
    s.later(again=2)
    s.in_step()
    s.welkin.uncancel_event(meeting.id)
    s.later()
    assert len(s.mirrors()) == 1


@pytest.mark.parametrize("act", [move, delete])
def test_encounters_are_restored(stage: Make, act: Callable[..., None]) -> None:
    s = stage(settings=WRITE_BACK)
    s.visit()
    s.run()
    act(s)
    before = s.position
    s.later()
    assert s.mirror_times() == times(s) == [(s.at(1, 9), s.at(1, 10))]
    assert [word for word in s.wrote(before) if word.startswith("welkin")] == []
    assert [decision for _, decision in s.conflicts()] == ["restored"]
    s.in_step()


@pytest.mark.parametrize("act", [move, delete])
def test_who_only_takes_part_changes_no_appointment(stage: Make, act: Callable[..., None]) -> None:
    s = stage("ruben", "dana", settings=WRITE_BACK)
    s.meeting("ruben", extra_user_ids=[s.ids["dana"]])
    s.run()
    act(s)
    s.later()
    assert times(s) == s.mirror_times() == s.mirror_times("ruben") == [(s.at(1, 9), s.at(1, 10))]
    s.in_step()


@pytest.mark.parametrize("act", [move, delete])
def test_one_way_writes_nothing_back(stage: Make, act: Callable[..., None]) -> None:
    s = stage(settings=WRITE_BACK | {"direction": {"google": "welkin_to_calendar"}})
    s.meeting()
    s.run()
    act(s)
    before = s.position
    s.later()
    assert s.mirror_times() == times(s) == [(s.at(1, 9), s.at(1, 10))]
    assert [word for word in s.wrote(before) if word.startswith("welkin")] == []
    assert s.conflicts() == []


def test_past_mirrors_reschedule_and_cancel_nothing(stage: Make) -> None:
    s = stage(settings=WRITE_BACK)
    s.meeting(days=-3, hour=9)
    s.meeting(days=-2, hour=9)
    s.run()
    before = s.position
    move(s, index=0, days=-3, hour=16)
    delete(s, index=1)
    s.later()
    assert s.wrote(before) == []
    assert len(times(s)) == 2


def test_a_mirror_moved_into_the_past_is_put_back(stage: Make) -> None:
    s = stage(settings=WRITE_BACK)
    s.meeting()
    s.run()
    move(s, days=-1)
    s.later()
    assert times(s) == s.mirror_times() == [(s.at(1, 9), s.at(1, 10))]
    s.in_step()


def test_a_mirror_that_answers_404_cancels_nothing(stage: Make) -> None:
    s = stage(settings=WRITE_BACK)
    meeting = s.meeting()
    s.run()
    mirror = s.mirrors()[0]["id"]
    s.later()
    s.fault("google", "status", "GET", f"/events/{mirror}", code=404, times=None)
    s.fault("google", "zero_events", "GET", "/events$", times=1)
    s.run(full=True)
    s.sandbox.faults.clear()
    assert not s.welkin.events[meeting.id].cancelled
    s.later(again=2)
    s.in_step()


@pytest.mark.parametrize("kind", ["refused", "ignored"])
def test_what_welkin_does_not_take_puts_the_mirror_back(stage: Make, kind: str) -> None:
    s = stage(settings=WRITE_BACK)
    meeting = s.meeting()
    s.run()
    move(s)
    if kind == "refused":
        s.fault("welkin", "status", "PATCH", meeting.id, code=400)
    else:
        s.fault("welkin", "empty_200", "PATCH", meeting.id)  # done, but the answer says nothing
    s.later(again=2)
    wanted = [(s.at(1, 9), s.at(1, 10))] if kind == "refused" else [(s.at(3, 16), s.at(3, 17))]
    assert times(s) == s.mirror_times() == wanted
    if kind == "refused":
        assert s.conflicts() == [("mirror_moved", "refused_and_restored")]
    s.in_step()


@pytest.mark.parametrize("act", [move, delete])
def test_three_appointments_a_day_then_a_person_is_asked(
    stage: Make, act: Callable[..., None]
) -> None:
    s = stage(settings=WRITE_BACK)
    for number in range(5):
        s.meeting(days=1 + number)
    s.run()
    untouched = times(s)
    for number in range(5):
        mirror = s.google.mirrors_of(SELF)
        first = sorted(mirror, key=lambda event: str(event["start"]))[number if act is move else 0]
        if act is move:
            s.google.move_event(SELF, first["id"], s.at(1 + number, 20), s.at(1 + number, 21))
        else:
            s.google.delete_event(SELF, first["id"])
    s.later()
    assert len([t for t in untouched if t in times(s)]) == 2
    waiting = s.store.runs.pending()
    assert [(entry.reason, entry.count) for entry in waiting] == [("write_back", 1)] * 2
    assert sorted(decision for _, decision in s.conflicts()).count("held") == 2
    s.later(hours=1)
    s.run(full=True)
    assert len([t for t in untouched if t in times(s)]) == 2, "nobody has approved yet"
    for entry in waiting:
        grant(s.store, entry.digest, "an admin", s.clock.now())
    s.run(full=True)
    s.later()
    assert [t for t in untouched if t in times(s)] == []
    assert s.store.runs.pending() == []
    s.in_step()


def test_the_next_day_three_more_may_be_rescheduled(stage: Make) -> None:
    s = stage(settings=WRITE_BACK)
    for number in range(4):
        s.meeting(days=5 + number)
    s.run()
    for number in range(3):
        move(s, index=number, days=5 + number, hour=20)
    s.later()
    s.later(hours=25)
    move(s, index=3, days=8, hour=20)
    s.later(again=2)
    assert times(s)[-1] == s.mirror_times()[-1] == (s.at(8, 20), s.at(8, 21))
    assert s.store.runs.pending() == []


def test_moved_on_both_sides_the_conflict_can_be_reported_only(stage: Make) -> None:
    s = stage(settings={"both_changed": "report"})
    visit = s.visit()
    s.run()
    move(s)
    s.move(visit.event_id, 2, 9)
    before = s.position
    s.later()
    assert s.wrote(before) == []
    assert s.mirror_times() == [(s.at(3, 16), s.at(3, 17))]
    assert s.conflicts() == [("both_changed", "reported")]
    s.in_step()
    s.move(visit.event_id, 4, 9)
    s.later()
    assert s.mirror_times() == [(s.at(4, 9), s.at(4, 10))], "Welkin changed alone: Welkin's time"


def test_a_move_that_meets_a_changed_setting_moves_the_appointment_and_rewrites_the_mirror(
    stage: Make,
) -> None:
    s = stage(settings=WRITE_BACK)
    meeting = s.meeting()
    s.run()
    move(s)
    s.document = {**WRITE_BACK, "mirror_content": {"busy_title": "Away"}}
    s.later(again=2)
    assert s.welkin.events[meeting.id].start == s.at(3, 16)
    assert s.mirror_times() == [(s.at(3, 16), s.at(3, 17))]
    assert [mirror["summary"] for mirror in s.mirrors()] == ["Away"]
    assert s.conflicts() == [("mirror_moved", "rescheduled")]
    s.in_step()


def test_a_lower_level_is_written_even_where_conflicts_are_only_reported(stage: Make) -> None:
    full = {
        "mirror_content": {
            "title": {"level": "full", "template": "{patient_initials}"},
            "baa_confirmed": {"by": "officer", "on": "2026-01-01"},
        },
        "both_changed": "report",
    }
    s = stage(settings=full)
    s.visit()
    s.run()
    move(s)
    s.document = {"both_changed": "report"}
    s.later(again=2)
    assert [mirror["summary"] for mirror in s.mirrors()] == ["Busy"]
    assert [link.level for link in s.links("dana", LinkState.LIVE)] == ["busy/busy"]


# --- encounters, once a probe has shown that they move -------------------------------------------


def probe(s: Stage, event_id: str) -> bool:
    async def ask() -> bool:
        async with s.services() as services:
            return await probe_reschedule(services, event_id)

    return asyncio.run(ask())


def test_after_a_good_probe_encounters_are_rescheduled_too(stage: Make) -> None:
    s = stage(settings=WRITE_BACK)
    tried, visit = s.visit(days=1), s.visit(days=2)
    assert probe(s, tried.event_id)
    assert s.welkin.events[tried.event_id].start == s.at(1, 9), "back at its time"
    s.run()
    move(s, index=1, days=3, hour=16)
    s.later()
    assert s.welkin.events[visit.event_id].start == s.at(3, 16)
    assert s.mirror_times()[1] == (s.at(3, 16), s.at(3, 17))
    s.in_step()
    delete(s, index=1)
    s.later()
    assert len(s.mirrors()) == 2, "an encounter is never cancelled from a calendar"


def test_where_encounters_do_not_move_their_mirrors_are_put_back(stage: Make) -> None:
    s = stage(settings=WRITE_BACK)
    visit = s.visit()
    s.welkin.encounter_moves = False
    assert not probe(s, visit.event_id)
    s.run()
    move(s)
    s.later()
    assert s.mirror_times() == times(s) == [(s.at(1, 9), s.at(1, 10))]


@pytest.mark.parametrize("what", ["plain", "past", "cancelled", "unknown"])
def test_only_a_planned_encounter_can_be_probed(stage: Make, what: str) -> None:
    s = stage()
    event_id = "0" * 8
    if what == "plain":
        event_id = s.meeting().id
    elif what == "past":
        event_id = s.visit(days=-1).event_id
    elif what == "cancelled":
        visit = s.visit()
        s.welkin.cancel_event(visit.event_id)
        event_id = visit.event_id
    with pytest.raises(ConfigurationError):
        probe(s, event_id)
    assert s.wrote() == []


def test_a_probe_that_is_interrupted_puts_the_encounter_back(stage: Make) -> None:
    s = stage()
    visit = s.visit()
    s.fault("welkin", "status", "GET", "/encounters", code=403, times=None)
    with pytest.raises(SyncError):
        probe(s, visit.event_id)
    assert s.welkin.events[visit.event_id].start == s.at(1, 9)


# --- what fresh eyes found -----------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["restore", "cancel"])
def test_a_mirror_moved_out_of_the_list_is_no_deletion(stage: Make, policy: str) -> None:
    s = stage(settings={"mirror_deleted": policy})
    meeting = s.meeting()
    s.run()
    s.later()
    move(s, days=800, hour=9)  # the year was mistyped
    s.later()
    assert not s.welkin.events[meeting.id].cancelled
    assert s.mirror_times() == [(s.at(1, 9), s.at(1, 10))], "put back, and not made twice"
    s.in_step()


def test_a_write_back_that_welkin_fails_is_tried_until_it_works(stage: Make) -> None:
    s = stage(settings=WRITE_BACK)
    meeting = s.meeting(days=3)
    s.run()
    move(s, days=4)
    s.fault("welkin", "status", "PATCH", meeting.id, code=500, times=None)
    for _ in range(6):
        s.later(minutes=20)
    s.sandbox.faults.clear()
    s.later(hours=2)
    assert times(s) == s.mirror_times() == [(s.at(4, 16), s.at(4, 17))]


def test_a_held_cancellation_is_overtaken_by_a_change_in_welkin(stage: Make) -> None:
    s = stage(settings=WRITE_BACK)
    meetings = [s.meeting(days=2 + number) for number in range(4)]
    s.run()
    for _ in range(4):
        s.google.delete_event(SELF, s.mirrors()[0]["id"])
    s.later()
    [held] = [meeting for meeting in meetings if not s.welkin.events[meeting.id].cancelled]
    s.move(held.id, 9, 9)
    s.later(again=2)
    assert s.mirror_times() == [(s.at(9, 9), s.at(9, 10))]
    s.in_step()


def test_a_probe_whose_reads_lag_puts_the_encounter_back(stage: Make) -> None:
    s = stage()
    visit = s.visit()
    s.welkin.read_lag_seconds = 5.0
    probe(s, visit.event_id)
    assert s.welkin.events[visit.event_id].start == s.at(1, 9)
