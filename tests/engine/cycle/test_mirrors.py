"""Rules 1 to 4: an appointment in Welkin has exactly one mirror for each mapped participant."""

import asyncio
from collections.abc import Callable

import pytest

from calendar_sync.core.model import LinkState
from tests.engine.cycle.stage import HOUR, Stage, mail, moment

Make = Callable[..., Stage]


def test_an_appointment_gets_one_mirror_for_each_mapped_participant(stage: Make) -> None:
    s = stage("dana", "ruben", "mira")
    s.visit("dana", extra_user_ids=[s.ids["ruben"]])
    s.run()
    start = s.at(1, 9)
    assert s.mirror_times("dana") == s.mirror_times("ruben") == [(start, start + HOUR)]
    assert s.mirrors("mira") == []
    s.in_step()


def test_a_host_who_is_not_among_the_participants_gets_a_mirror(stage: Make) -> None:
    s = stage()
    event = s.meeting()
    s.welkin.change_event(event.id, participants=[])
    s.run()
    assert len(s.mirrors()) == 1


def test_a_participant_who_is_not_mapped_gets_none_and_disturbs_no_other(stage: Make) -> None:
    s = stage("dana", "ruben")
    s.remap("ruben")
    s.visit("dana", extra_user_ids=[s.ids["ruben"]])
    s.run()
    assert len(s.mirrors("dana")) == 1
    assert s.mirrors("ruben") == []


@pytest.mark.parametrize("kind", ["APPOINTMENT", "GROUP_THERAPY", None])
def test_plain_events_of_these_types_are_appointments(stage: Make, kind: str | None) -> None:
    s = stage()
    s.meeting(type=kind)
    s.run()
    assert len(s.mirrors()) == 1


def test_an_unknown_type_counts_as_an_appointment(stage: Make) -> None:
    s = stage()
    event = s.meeting()
    s.welkin.change_event(event.id, type="TELEPATHY")
    s.run()
    assert len(s.mirrors()) == 1


def test_leave_is_no_appointment(stage: Make) -> None:
    s = stage()
    s.meeting(type="LEAVE")
    s.run()
    assert s.mirrors() == []


def test_a_mirror_is_private_busy_silent_and_in_the_users_zone(stage: Make) -> None:
    s = stage(zone="US/Pacific")
    s.visit()
    s.run()
    [mirror] = s.mirrors()
    assert mirror["visibility"] == "private"
    assert mirror.get("transparency", "opaque") == "opaque"
    assert mirror["summary"] == "Busy"
    assert mirror.get("description", "") == ""
    assert "attendees" not in mirror
    assert mirror["start"]["timeZone"] == "US/Pacific"
    [insert] = [e for e in s.sandbox.requests if e.kind == "google.events.insert"]
    assert insert.query["sendUpdates"] == "none"


def test_a_moved_appointment_moves_its_mirror_in_place(stage: Make) -> None:
    s = stage()
    visit = s.visit()
    s.run()
    [before] = s.mirrors()
    s.move(visit.event_id, 3, 11)
    s.later()
    [after] = s.mirrors()
    assert after["id"] == before["id"]
    assert moment(after["start"]) == s.at(3, 11)
    s.in_step()


def test_a_deleted_appointment_takes_its_mirror_along(stage: Make) -> None:
    s = stage()
    visit = s.visit()
    s.run()
    s.welkin.delete_event(visit.event_id)
    s.later()
    assert s.mirrors() == []
    s.in_step()


@pytest.mark.parametrize("how", ["event", "encounter"])
def test_cancelled_either_way_the_mirror_goes(stage: Make, how: str) -> None:
    s = stage("dana", "ruben")
    visit = s.visit("dana", extra_user_ids=[s.ids["ruben"]])
    s.run()
    if how == "event":
        s.welkin.cancel_event(visit.event_id)
    else:
        s.welkin.cancel_encounter(visit.id)
    s.later()
    assert s.mirrors("dana") == s.mirrors("ruben") == []
    s.in_step()


def test_a_deleted_encounter_takes_the_mirror_along(stage: Make) -> None:
    # Welkin leaves the encounter's calendar event SCHEDULED.
    s = stage()
    visit = s.visit()
    s.run()
    assert len(s.mirrors()) == 1
    s.welkin.delete_encounter(visit.id)
    s.later()
    s.later()
    assert s.mirrors() == []


def test_a_deleted_encounter_is_found_by_the_daily_comparison_without_the_audit(
    stage: Make,
) -> None:
    s = stage()
    s.welkin.audit_enabled = False
    visit = s.visit(days=5)
    s.run()
    s.welkin.delete_encounter(visit.id)
    s.later(hours=29)
    s.later(hours=29)
    assert s.mirrors() == []


@pytest.mark.parametrize("how", ["event", "encounter"])
def test_uncancelled_it_gets_a_mirror_of_the_next_generation(stage: Make, how: str) -> None:
    s = stage()
    visit = s.visit()
    s.run()
    [first] = s.mirrors()
    one, other = {
        "event": (s.welkin.cancel_event, s.welkin.uncancel_event),
        "encounter": (s.welkin.cancel_encounter, s.welkin.uncancel_encounter),
    }[how]
    key = visit.event_id if how == "event" else visit.id
    one(key)
    s.later()
    other(key)
    s.later()
    [second] = s.mirrors()
    assert second["id"] != first["id"]
    assert [link.generation for link in s.links()] == [2]
    s.in_step()


def test_cancelled_and_uncancelled_three_times_in_a_row_is_one_mirror(stage: Make) -> None:
    s = stage()
    visit = s.visit()
    s.run()
    for _ in range(3):
        s.welkin.cancel_event(visit.event_id)
        s.later()
        assert s.mirrors() == []
        s.welkin.uncancel_event(visit.event_id)
        s.later()
        assert len(s.mirrors()) == 1
    assert [link.generation for link in s.links()] == [4]


def test_another_host_takes_over_the_mirror(stage: Make) -> None:
    s = stage("dana", "ruben")
    visit = s.visit("dana")
    s.run()
    s.welkin.set_host(visit.event_id, s.ids["ruben"])
    s.later()
    assert s.mirrors("dana") == []
    assert len(s.mirrors("ruben")) == 1
    s.in_step()


def test_a_host_change_to_somebody_unmapped_leaves_no_mirror(stage: Make) -> None:
    s = stage("dana", "ruben")
    s.remap("ruben")
    visit = s.visit("dana")
    s.run()
    s.welkin.set_host(visit.event_id, s.ids["ruben"])
    s.later()
    assert s.mirrors("dana") == []


def test_added_and_removed_participants_get_and_lose_their_mirror(stage: Make) -> None:
    s = stage("dana", "ruben")
    event = s.meeting("dana")
    s.run()
    s.welkin.add_participant(event.id, s.ids["ruben"])
    s.later()
    assert len(s.mirrors("ruben")) == 1
    s.welkin.remove_participant(event.id, s.ids["ruben"])
    s.later()
    assert s.mirrors("ruben") == []
    assert len(s.mirrors("dana")) == 1


def test_a_mirror_whose_end_leaves_the_window_is_retired_and_stays(stage: Make) -> None:
    s = stage()
    s.visit(days=1)
    s.run()
    before = s.position
    s.clock.advance(days=33)
    s.run(full=True)
    assert len(s.mirrors()) == 1
    assert [link.state for link in s.links()] == [LinkState.RETIRED]
    assert s.wrote(before) == []
    s.later(days=1)
    assert s.wrote(before) == []


def test_a_retired_appointment_that_is_moved_ahead_is_mirrored_in_place(stage: Make) -> None:
    s = stage()
    visit = s.visit(days=1)
    s.run()
    [first] = s.mirrors()
    s.clock.advance(days=33)
    s.run(full=True)
    s.move(visit.event_id, 2, 9)
    s.later()
    [second] = s.mirrors()
    assert second["id"] == first["id"]
    assert moment(second["start"]) == s.at(2, 9)


def test_an_appointment_beyond_the_window_gets_its_mirror_when_it_comes_near(stage: Make) -> None:
    s = stage()
    s.visit(days=370)
    s.run()
    assert s.mirrors() == []
    s.clock.advance(days=6)
    s.run()
    s.run()
    assert len(s.mirrors()) == 1


def test_an_appointment_of_last_week_gets_a_mirror_too(stage: Make) -> None:
    s = stage()
    s.visit(days=-7)
    s.visit(days=-40)
    s.run()
    assert len(s.mirrors()) == 1


def test_the_filter_lets_only_wanted_templates_through(stage: Make) -> None:
    s = stage(settings={"encounter_types": {"include": ["etmp-*"], "exclude": ["*home-visit"]}})
    s.visit(template="etmp-follow-up", hour=9)
    s.visit(template="etmp-home-visit", hour=11)
    s.meeting(hour=13)
    s.run()
    assert s.mirror_times() == [(s.at(1, 9), s.at(1, 10))]


def test_a_stricter_filter_removes_mirrors_and_a_wider_one_brings_them_back(stage: Make) -> None:
    s = stage()
    for hour in range(8, 21):
        s.visit(template="etmp-follow-up", hour=hour)
    s.run()
    assert len(s.mirrors()) == 13
    s.document = {"encounter_types": {"exclude": ["etmp-follow-up"]}}
    s.later()
    assert s.mirrors() == []
    s.document = {}
    s.later()
    assert len(s.mirrors()) == 13


def test_an_encounter_that_is_not_exported_yet_is_looked_up_by_its_host(stage: Make) -> None:
    s = stage()
    s.run()
    s.welkin.lag_seconds = 200.0
    s.visit()
    s.run(users=[s.ids["dana"]])
    assert len(s.mirrors()) == 1


def test_an_event_whose_encounter_is_unknown_stays_pending(stage: Make) -> None:
    s = stage(settings={"encounter_types": {"unknown_type": "include"}})
    event = s.meeting()
    s.welkin.change_event(event.id, type="ENCOUNTER")
    s.run()
    assert s.mirrors() == []
    result = s.later()
    assert result.failed == []


def test_a_mirrored_event_that_becomes_pending_keeps_its_mirror(stage: Make) -> None:
    s = stage()
    event = s.meeting()
    s.run()
    s.welkin.change_event(event.id, type="ENCOUNTER")
    s.later()
    assert len(s.mirrors()) == 1


def test_notes_on_an_encounter_write_nothing(stage: Make) -> None:
    s = stage()
    visit = s.visit()
    s.run()
    before = s.position
    s.welkin.touch_encounter_notes(visit.id)
    s.later(again=3)
    assert s.wrote(before) == []
    assert s.asked("welkin.events.list", before) == 0


def test_an_all_day_appointment_is_an_all_day_mirror_on_its_local_date(stage: Make) -> None:
    s = stage()
    start = s.at(6, 0)
    s.welkin.book_event(s.ids["dana"], start, s.at(7, 0), all_day=True, time_zone="US/Eastern")
    s.run()
    [mirror] = s.mirrors()
    assert mirror["start"] == {"date": s.day(6).isoformat()}
    assert mirror["end"] == {"date": s.day(7).isoformat()}
    s.in_step()


def test_an_appointment_without_length_gets_no_mirror_and_stops_nothing(stage: Make) -> None:
    s = stage()
    s.welkin.book_event(s.ids["dana"], s.at(1, 9), s.at(1, 9))
    s.visit(hour=11)
    result = s.run()
    assert len(s.mirrors()) == 1
    assert result.failed == []
    s.in_step()


def test_fractions_of_a_second_do_not_make_a_mirror_look_edited(stage: Make) -> None:
    s = stage()
    start = s.at(1, 9).replace(microsecond=999_000)
    s.welkin.book_event(s.ids["dana"], start, start + HOUR)
    s.run()
    s.in_step()


def test_mirrors_go_to_the_named_calendar(stage: Make) -> None:
    s = stage()
    other = s.google.add_calendar(mail("dana"), "Visits").id
    s.document = {"calendars": {"google": {"mirrors": other}}}
    s.visit()
    s.busy()
    s.run()
    assert [len(s.google.events_of(mail("dana"), name)) for name in (other, "primary")] == [1, 1]
    assert len(s.blocks()) == 1
    s.in_step()


def test_another_calendar_for_mirrors_moves_them_there(stage: Make) -> None:
    s = stage()
    other = s.google.add_calendar(mail("dana"), "Visits").id
    s.visit()
    s.run()
    s.document = {"calendars": {"google": {"mirrors": other}}}
    s.later()
    assert [len(s.google.events_of(mail("dana"), name)) for name in (other, "primary")] == [1, 0]
    s.document = {}
    s.later()
    assert [len(s.google.events_of(mail("dana"), name)) for name in (other, "primary")] == [0, 1]
    s.in_step()


def test_a_first_fill_of_more_than_a_cycles_writes_ends_in_one_pass(stage: Make) -> None:
    s = stage(settings={"limits": {"max_cycle_writes": 20}})
    for number in range(50):
        s.visit(days=1 + number // 10, hour=8 + number % 10)
    result = s.run()
    assert len(s.mirrors()) == 50
    assert result.rounds >= 3
    s.in_step()


def test_the_nearest_dates_are_written_first(stage: Make) -> None:
    s = stage()
    for days in (9, 2, 5):
        s.visit(days=days)
    s.fault("google", "status", "POST", "/events", code=503, times=None, after=1)
    s.run()
    assert s.mirror_times() == [(s.at(2, 9), s.at(2, 10))]


@pytest.mark.parametrize("level", ["type", "busy"])
def test_a_lower_level_rewrites_every_mirror_retired_ones_too(stage: Make, level: str) -> None:
    full = {
        "mirror_content": {
            "title": {"level": "full", "template": "{patient_first_name}"},
            "baa_confirmed": {"by": "Dana", "on": "2026-01-01"},
        }
    }
    s = stage(settings=full)
    s.visit(days=-25)
    s.visit(days=1)
    s.run()
    names = {mirror["summary"] for mirror in s.mirrors()}
    assert names <= s.sandbox.canaries
    s.clock.advance(days=8)
    s.run(full=True)
    assert LinkState.RETIRED in {link.state for link in s.links()}
    s.document = {"mirror_content": {"title": {"level": level}}}
    s.later()
    assert {m["summary"] for m in s.mirrors()} == {"Busy" if level == "busy" else "Appointment"}


def test_everything_converges_for_a_whole_organisation(stage: Make) -> None:
    s = stage("dana")
    s.sandbox.organise(users=3, encounters=8)
    asyncio.run(s.map_everybody())
    result = s.run()
    assert result.failed == []
    before = s.position
    s.run(full=True)
    s.later(again=12)
    assert s.wrote(before) == []
