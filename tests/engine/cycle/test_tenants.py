"""Tenants of Welkin that differ: what is written nowhere must change no end state."""

import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from calendar_sync.core.model import LinkState
from calendar_sync.state.runs import EXTERNAL_IDS, WELKIN
from tests.engine.cycle.stage import DAY, HOUR, Stage, mail
from tests.harness import Killed

Make = Callable[..., Stage]
SELF = mail("dana")
FULL = {
    "mirror_content": {
        "title": {"level": "full", "template": "Visit: {patient_first_name} {patient_last_name}"},
        "baa_confirmed": {"by": "Dana", "on": "2026-01-01"},
    }
}


def leave(s: Stage, name: str = "dana") -> list[tuple[Any, Any]]:
    """Times of all leave, with or without our id."""
    return sorted((e.start, e.end) for e in s.welkin.blocks_of(s.ids[name]))


def word(s: Stage) -> Any:
    return s.store.runs.facts(WELKIN).get(EXTERNAL_IDS)


# --- externalId ---------------------------------------------------------------------------------


@pytest.mark.parametrize("habit", ["refused", "dropped"])
def test_blocks_live_without_external_ids(stage: Make, habit: str) -> None:
    s = stage()
    s.welkin.habits.external_ids = habit
    moved, gone = s.busy(days=1), s.busy(days=2)
    s.run()
    assert leave(s) == [(s.at(d, 14), s.at(d, 15)) for d in (1, 2)]
    assert [event.external_id for event in s.welkin.blocks_of(s.ids["dana"])] == [None, None]
    s.google.move_event(SELF, moved, s.at(3, 14), s.at(3, 15))
    s.google.delete_event(SELF, gone)
    s.later()
    assert leave(s) == [(s.at(3, 14), s.at(3, 15))]
    assert s.state().failures == 0
    s.in_step()


def test_that_ids_are_refused_is_found_out_once_and_remembered(stage: Make) -> None:
    s = stage("dana", "ruben")
    s.welkin.habits.external_ids = "refused"
    s.busy("dana")
    s.run()
    assert word(s) == "lost"
    before = s.position
    s.busy("ruben")
    s.busy("dana", days=3)
    s.later()
    assert s.asked("welkin.events.create", before, status=400) == 0
    assert s.asked("welkin.events.create", before, status=201) == 2
    # A week later it is asked once more, in case it was but a mood.
    s.welkin.habits.external_ids = "kept"
    s.clock.advance(days=8)
    s.busy("dana", days=3, hour=16)
    s.later()
    assert word(s) == "kept"
    assert len(s.blocks()) == 1
    s.in_step()


def test_one_odd_refusal_does_not_cost_the_ids(stage: Make) -> None:
    s = stage()
    s.busy()
    s.run()
    assert word(s) == "kept"
    s.busy(days=2)
    s.fault("welkin", "status", "POST", "/calendar/events$", code=400, times=None)
    s.later()
    assert word(s) == "kept"
    # Two rounds of the pass, each with the id and without it; and once without the zone's name.
    assert s.asked("welkin.events.create") == 1 + 2 * 2 + 1
    s.sandbox.faults.clear()
    s.later(hours=1)
    assert len(s.blocks()) == 2
    s.in_step()


@pytest.mark.parametrize("moved", [False, True], ids=["same_time", "moved_meanwhile"])
@pytest.mark.parametrize("habit", ["refused", "dropped"])
def test_killed_after_a_creation_without_id_its_block_is_found_by_its_time(
    stage: Make, habit: str, moved: bool
) -> None:
    s = stage()
    s.run()
    s.welkin.habits.external_ids = habit
    event = s.busy()
    s.clock.advance(minutes=2)
    made = False

    def die_after_the_creation() -> None:
        nonlocal made
        s.note_blocks()
        if s.asked("welkin.events.create", status=201) and not made:
            made = True
            s.transport.dead = True
            raise Killed

    s.transport.after_request = die_after_the_creation
    with contextlib.suppress(Killed):
        s.run()
    assert len(leave(s)) == 1
    assert [link.state for link in s.links()] == [LinkState.INTENT]
    s.transport.revive()
    if moved:
        s.google.move_event(SELF, event, s.at(4, 9), s.at(4, 10))
    s.later()
    assert leave(s) == [(s.at(4, 9), s.at(4, 10)) if moved else (s.at(1, 14), s.at(1, 15))]
    assert s.asked("welkin.events.create", status=201) == 1
    assert [link.state for link in s.links()] == [LinkState.LIVE]
    s.in_step()


@pytest.mark.spread
@pytest.mark.parametrize("kind", ["reset_after", "timeout_after", "truncated_json", "empty_200"])
@pytest.mark.parametrize("habit", ["refused", "dropped"])
def test_a_lost_answer_to_a_creation_without_id_makes_no_second_block(
    stage: Make, habit: str, kind: str
) -> None:
    s = stage()
    s.welkin.habits.external_ids = habit
    # Where the id is refused, the first request makes nothing and the second is the creation.
    after = 1 if habit == "refused" else 0
    s.fault("welkin", kind, "POST", "/calendar/events$", after=after, times=1)
    s.busy()
    s.run()
    s.later(minutes=5)
    assert leave(s) == [(s.at(1, 14), s.at(1, 15))]
    assert s.asked("welkin.events.create", status=201) <= 1
    s.in_step()


def test_two_blocks_of_one_time_and_a_persons_own_leave_are_distinguished(stage: Make) -> None:
    s = stage()
    s.welkin.habits.external_ids = "refused"
    s.run()
    own = s.welkin.book_event(
        s.ids["dana"], s.at(1, 14), s.at(1, 15), "LEAVE", title="Dentist", status="SCHEDULED"
    )
    first, second = s.busy(), s.busy()
    s.clock.advance(minutes=2)
    deaths = 0

    def die_after_each_creation() -> None:
        nonlocal deaths
        if s.asked("welkin.events.create", status=201) > deaths:
            deaths += 1
            s.transport.dead = True
            raise Killed

    s.transport.after_request = die_after_each_creation
    for _ in range(4):
        with contextlib.suppress(Killed):
            s.run()
        s.transport.revive()
        s.clock.advance(minutes=2)
    assert len(leave(s)) == 3
    assert len({link.block_id for link in s.links()}) == 2
    s.google.delete_event(SELF, first)
    s.google.delete_event(SELF, second)
    s.later()
    assert [event.id for event in s.welkin.blocks_of(s.ids["dana"])] == [own.id]
    s.in_step()


def test_killed_after_a_creation_whose_event_is_gone_meanwhile_nothing_stays(stage: Make) -> None:
    s = stage()
    s.run()
    s.welkin.habits.external_ids = "dropped"
    event = s.busy()
    s.clock.advance(minutes=2)
    create = s.transport

    def die() -> None:
        if s.asked("welkin.events.create", status=201):
            create.dead = True
            raise Killed

    create.after_request = die
    with contextlib.suppress(Killed):
        s.run()
    create.after_request = s.note_blocks
    create.revive()
    s.google.delete_event(SELF, event)
    s.later()
    assert leave(s) == []
    s.in_step()


def test_without_the_look_up_by_external_id_a_lost_answer_is_found_by_time(stage: Make) -> None:
    s = stage()
    s.welkin.habits.external_id_lookup = False
    s.welkin.habits.external_ids = "refused"
    s.fault("welkin", "reset_after", "POST", "/calendar/events$", after=1, times=1)
    s.busy()
    s.run()
    s.later(minutes=5)
    assert leave(s) == [(s.at(1, 14), s.at(1, 15))]
    s.in_step()


# --- lists --------------------------------------------------------------------------------------


def test_a_tenant_with_a_short_longest_window_and_no_order(stage: Make) -> None:
    s = stage()
    s.welkin.habits.longest_window = timedelta(days=31)
    s.welkin.habits.sorts = False
    visits = [s.visit(days=days) for days in (1, 40, 200, 350)]
    s.busy(days=100)
    s.run()
    assert len(s.mirrors()) == len(visits)
    assert len(s.blocks()) == 1
    s.in_step()


# --- writes -------------------------------------------------------------------------------------


def test_an_overlap_that_welkin_refuses_parks_that_block_and_no_other(stage: Make) -> None:
    s = stage()
    s.welkin.habits.overlaps = False
    visit = s.visit(days=1, hour=14)
    s.busy(days=1, hour=14)
    s.busy(days=2, hour=14)
    s.run()
    s.later(again=4, hours=1)
    assert leave(s) == [(s.at(2, 14), s.at(2, 15))]
    assert word(s) == "kept"
    assert s.state().failures == 0
    before = s.position
    s.later()
    assert s.asked("welkin.events.create", before) == 0
    # The visit makes room: a day later at most the time is blocked.
    s.move(visit.event_id, 5, 9)
    s.later(days=1)
    s.later()
    assert s.store.items.parked(s.ids["dana"], s.links()[0].platform, s.clock.now()) == {}


def test_a_patch_that_answers_nothing_is_read_back(stage: Make) -> None:
    s = stage()
    event = s.busy()
    s.run()
    s.welkin.habits.silent_writes = True
    s.google.move_event(SELF, event, s.at(3, 9), s.at(3, 10))
    before = s.position
    s.later()
    assert s.block_times() == [(s.at(3, 9), s.at(3, 10))]
    assert s.asked("welkin.events.get", before) == 1
    assert s.state().failures == 0
    s.in_step()


def test_a_block_keeps_the_people_that_somebody_added_and_no_write_names_any(stage: Make) -> None:
    s = stage("dana", "ruben")
    event = s.busy()
    s.run()
    [block] = s.blocks()
    s.welkin.add_participant(block.id, s.ids["ruben"])
    rows = [row.id for row in block.participants]
    s.google.move_event(SELF, event, s.at(3, 9), s.at(3, 10))
    s.later()
    assert s.block_times() == [(s.at(3, 9), s.at(3, 10))]
    assert [row.id for row in s.blocks()[0].participants] == rows
    s.in_step()


# --- what an event may look like ----------------------------------------------------------------


@pytest.mark.parametrize("habit", ["omits_nulls", "extra_keys", "odd_times", "odd_words"])
def test_other_spellings_change_nothing(stage: Make, habit: str) -> None:
    s = stage()
    setattr(s.welkin.habits, habit, True)
    visit = s.visit()
    bare = s.welkin.book_event(
        s.ids["dana"], s.at(2, 9), s.at(2, 10), None, status=None, title=None, mode=None,
        color=None, description=None,
    )  # fmt: skip
    group = s.meeting(days=3, type="GROUP_THERAPY", mode="IN-PERSON")
    s.busy(days=4)
    s.run()
    assert s.mirror_times() == [(s.at(day, 9), s.at(day, 10)) for day in (1, 2, 3)]
    assert s.block_times() == [(s.at(4, 14), s.at(4, 15))]
    s.welkin.cancel_event(visit.event_id)
    s.welkin.cancel_event(bare.id)
    s.welkin.cancel_event(group.id)
    s.later()
    assert s.mirrors() == []
    s.in_step()


@pytest.mark.parametrize("status", ["Scheduled", "scheduled", None, "MISSED", "ON_HOLD", ""])
def test_no_status_but_cancelled_takes_a_mirror_away(stage: Make, status: str | None) -> None:
    s = stage()
    event = s.meeting()
    s.run()
    s.welkin.change_event(event.id, status=status)
    s.later()
    assert len(s.mirrors()) == 1
    s.in_step()


@pytest.mark.parametrize("status", ["CANCELLED", "Cancelled", "canceled"])
def test_cancelled_in_any_spelling(stage: Make, status: str) -> None:
    s = stage()
    event = s.meeting()
    s.run()
    s.welkin.change_event(event.id, status=status)
    s.later()
    assert s.mirrors() == []


@pytest.mark.parametrize("zone", ["US/Pacific", "Mars/Olympus", None, ""])
def test_the_instant_counts_whatever_the_zone_is_called(stage: Make, zone: str | None) -> None:
    s = stage()
    s.meeting(time_zone=zone)
    s.run()
    assert s.mirror_times() == [(s.at(1, 9), s.at(1, 10))]
    s.in_step()


def test_masked_names_never_reach_a_calendar_and_are_never_written_back(stage: Make) -> None:
    s = stage(settings=FULL)
    hidden = s.welkin.add_patient("Zyxwanda", "Qanaryson", masked=True)
    shown = s.welkin.add_patient("Avery", "Poole")
    s.visit(days=1, patient_id=hidden.id)
    other = s.visit(days=2, patient_id=shown.id)
    s.run()
    titles = [mirror["summary"] for mirror in s.mirrors()]
    assert "*" not in "".join(titles)
    assert "Avery Poole" in titles[1]
    # A patient who becomes hidden later is hidden in the mirror, too.
    shown.masked = True
    s.welkin.retitle(other.event_id)
    s.later()
    assert "Avery" not in str(s.mirrors())
    assert (hidden.first, shown.first) == ("Zyxwanda", "Avery")
    assert s.wrote(service="welkin") == []
    s.in_step()


def test_encounters_are_never_written_and_the_undocumented_list_is_never_asked(
    stage: Make,
) -> None:
    s = stage()
    visit = s.visit()
    s.busy()
    s.run()
    [mirror] = s.mirrors()
    s.google.move_event(SELF, mirror["id"], s.at(5, 9), s.at(5, 10))
    s.later()
    s.welkin.cancel_encounter(visit.id)
    s.later()
    about = [e for e in s.sandbox.requests if "encounter" in e.path.lower()]
    assert {e.method for e in about} == {"GET"}
    assert not [e for e in about if e.path.endswith("/live/encounters")]


def test_an_event_that_started_long_before_the_chunk_is_found_by_its_overlap(stage: Make) -> None:
    s = stage()
    start = s.at(-60, 9)
    s.welkin.book_event(s.ids["dana"], start, start + 70 * DAY + HOUR)
    s.run()
    assert len(s.mirrors()) == 1
    s.in_step()
