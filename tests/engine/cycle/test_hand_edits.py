"""Rules 9 to 12: mirrors edited by hand, and directions."""

import contextlib
from collections.abc import Callable

import pytest

from calendar_sync.core.model import Direction, LinkState, Platform
from tests.engine.cycle.stage import HOUR, Stage, mail
from tests.harness import Killed
from tests.spread import third

Make = Callable[..., Stage]
SELF = mail("dana")


def only(s: Stage) -> str:
    [mirror] = s.mirrors()
    return str(mirror["id"])


def test_a_mirror_moved_by_hand_is_put_back_and_shown(stage: Make) -> None:
    s = stage()
    s.visit()
    s.run()
    s.google.move_event(SELF, only(s), s.at(2, 12), s.at(2, 13))
    s.later()
    assert s.mirror_times() == [(s.at(1, 9), s.at(1, 10))]
    assert s.conflicts() == [("mirror_moved", "restored")]
    assert s.wrote(service="welkin") == []
    s.in_step()


@pytest.mark.parametrize(
    "edit",
    [
        {"summary": "Something else"},
        {"description": "with a note"},
        {"visibility": "public"},
        {"transparency": "transparent"},
    ],
    ids=str,
)
def test_any_other_edit_of_a_mirror_is_undone(stage: Make, edit: dict[str, object]) -> None:
    s = stage()
    s.visit()
    s.run()
    [before] = s.mirrors()
    s.google.patch_event(SELF, only(s), **edit)
    s.later()
    [after] = s.mirrors()
    for key in ("summary", "visibility", "start", "end"):
        assert after[key] == before[key]
    assert after.get("transparency", "opaque") == "opaque"
    assert not after.get("description")
    assert s.conflicts() == [("mirror_edited", "restored")]
    s.in_step()


def test_a_mirror_deleted_by_hand_comes_back_as_the_next_generation(stage: Make) -> None:
    s = stage()
    s.visit()
    s.run()
    first = only(s)
    s.google.delete_event(SELF, first)
    s.later()
    assert only(s) != first
    assert s.conflicts() == [("mirror_deleted", "restored")]
    s.in_step()


def test_a_mirror_deleted_again_and_again_is_left_to_a_person_after_three_times(
    stage: Make,
) -> None:
    s = stage()
    visit = s.visit(days=5)
    s.run()
    for _ in range(3):
        s.google.delete_event(SELF, only(s))
        s.later()
    s.google.delete_event(SELF, only(s))
    before = s.position
    s.later(again=2)
    assert s.mirrors() == []
    assert s.wrote(before) == []
    assert s.conflicts() == [("mirror_deleted", "parked")]
    s.move(visit.event_id, 6, 9)
    s.later()
    assert len(s.mirrors()) == 1


def test_restores_are_counted_for_a_day(stage: Make) -> None:
    s = stage()
    s.visit(days=9)
    s.run()
    for _ in range(5):
        s.google.delete_event(SELF, only(s))
        s.later(hours=13)
        s.later()
    assert len(s.mirrors()) == 1


def test_a_past_mirror_deleted_by_hand_stays_away_and_is_no_conflict(stage: Make) -> None:
    s = stage()
    s.visit(days=-2)
    s.run()
    s.google.delete_event(SELF, only(s))
    before = s.position
    s.later()
    assert s.mirrors() == []
    assert s.wrote(before) == []
    assert s.conflicts() == []
    s.in_step()


def test_a_past_mirror_moved_by_hand_stays_where_it_is(stage: Make) -> None:
    s = stage()
    s.visit(days=-2)
    s.run()
    s.google.move_event(SELF, only(s), s.at(-3, 12), s.at(-3, 13))
    before = s.position
    s.later()
    assert s.wrote(before) == []
    s.in_step()


@pytest.mark.parametrize("what", ["moved", "deleted"])
def test_report_shows_the_edit_and_writes_nothing(stage: Make, what: str) -> None:
    s = stage(settings={f"mirror_{what}": "report"})
    visit = s.visit()
    s.run()
    if what == "moved":
        s.google.move_event(SELF, only(s), s.at(2, 12), s.at(2, 13))
    else:
        s.google.delete_event(SELF, only(s))
    before = s.position
    s.later(again=2)
    assert s.wrote(before) == []
    assert s.conflicts() == [(f"mirror_{what}", "reported")]
    s.in_step()
    s.move(visit.event_id, 3, 9)
    s.later()
    assert s.mirror_times() == [(s.at(3, 9), s.at(3, 10))]


def test_when_both_sides_moved_welkin_wins_and_a_conflict_is_shown(stage: Make) -> None:
    s = stage()
    visit = s.visit()
    s.run()
    s.google.move_event(SELF, only(s), s.at(2, 12), s.at(2, 13))
    s.move(visit.event_id, 4, 9)
    s.later()
    assert s.mirror_times() == [(s.at(4, 9), s.at(4, 10))]
    assert s.conflicts() == [("both_changed", "welkin_wins")]


def test_a_mirror_deleted_by_hand_while_the_appointment_was_cancelled_is_no_conflict(
    stage: Make,
) -> None:
    s = stage()
    visit = s.visit()
    s.run()
    s.google.delete_event(SELF, only(s))
    s.welkin.cancel_event(visit.event_id)
    s.later()
    assert s.mirrors() == []
    assert s.conflicts() == []
    s.in_step()


def test_a_users_own_event_is_never_touched(stage: Make) -> None:
    s = stage()
    own = s.busy(summary="Dentist", description="Elm Street")
    body = s.google.events_of(SELF)[0]
    s.visit()
    s.run()
    s.later(days=1)
    s.remap("dana")
    s.later()
    assert [e for e in s.google.events_of(SELF) if e["id"] == own] == [body]


# --- directions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["settings", "mapping"])
def test_welkin_to_calendar_writes_nothing_into_welkin(stage: Make, by: str) -> None:
    direction = Direction.WELKIN_TO_CALENDAR
    s = stage(settings={"direction": {"google": direction}} if by == "settings" else None)
    if by == "mapping":
        s.one_way("dana", direction)
    s.visit()
    s.busy()
    s.run()
    assert len(s.mirrors()) == 1
    s.google.move_event(SELF, only(s), s.at(2, 12), s.at(2, 13))
    s.later()
    s.google.delete_event(SELF, only(s))
    s.later()
    assert s.mirror_times() == [(s.at(1, 9), s.at(1, 10))]
    assert s.conflicts() == []
    assert s.wrote(service="welkin") == []


@pytest.mark.parametrize("by", ["settings", "mapping"])
def test_calendar_to_welkin_writes_nothing_into_the_calendar(stage: Make, by: str) -> None:
    direction = Direction.CALENDAR_TO_WELKIN
    s = stage(settings={"direction": {"google": direction}} if by == "settings" else None)
    if by == "mapping":
        s.one_way("dana", direction)
    s.visit()
    event = s.busy()
    s.run()
    [block] = s.blocks()
    s.welkin.delete_event(block.id)
    s.later()
    assert len(s.blocks()) == 1
    assert s.conflicts() == []
    s.google.delete_event(SELF, event)
    s.later()
    assert s.blocks() == []
    assert s.wrote(service="google") == []


@pytest.mark.parametrize("by", ["settings", "mapping"])
def test_a_direction_opened_later_catches_up_at_once(stage: Make, by: str) -> None:
    s = stage()
    if by == "settings":
        s.document = {"direction": {"google": "welkin_to_calendar"}}
    else:
        s.one_way("dana", Direction.WELKIN_TO_CALENDAR)
    s.busy()
    s.run()
    assert s.blocks() == []
    s.document = {}
    s.remap()
    s.later()
    assert len(s.blocks()) == 1


@pytest.mark.parametrize("by", ["settings", "mapping"])
def test_a_mirror_that_was_moved_while_the_calendar_was_not_written_is_restored(
    stage: Make, by: str
) -> None:
    s = stage()
    s.visit()
    s.run()
    if by == "settings":
        s.document = {"direction": {"google": "calendar_to_welkin"}}
    else:
        s.one_way("dana", Direction.CALENDAR_TO_WELKIN)
    s.later()
    s.google.move_event(SELF, only(s), s.at(2, 12), s.at(2, 13))
    s.later()
    s.document = {}
    s.remap()
    s.later()
    assert s.mirror_times() == [(s.at(1, 9), s.at(1, 10))]


# --- mapping --------------------------------------------------------------------------------------


def test_another_account_gets_the_mirrors_and_the_old_one_loses_them_first(stage: Make) -> None:
    s = stage()
    s.google.add_account("dana.new@example.org", "America/New_York")
    s.visit(hour=9)
    s.visit(hour=11)
    s.busy()
    s.run()
    before = s.position
    s.remap(dana={"account": "dana.new@example.org"})
    s.later()
    assert s.mirrors() == []
    assert len(s.google.mirrors_of("dana.new@example.org")) == 2
    assert s.blocks() == []
    writes = s.sandbox.requests.writes("google", since=before)
    assert [e.kind for e in writes] == ["google.events.delete"] * 2 + ["google.events.insert"] * 2
    s.in_step()


def test_mapped_back_everything_is_as_before(stage: Make) -> None:
    s = stage()
    s.google.add_account("dana.new@example.org", "America/New_York")
    s.visit()
    s.busy()
    s.run()
    s.remap(dana={"account": "dana.new@example.org"})
    s.later()
    s.remap()
    s.later()
    assert len(s.mirrors()) == len(s.blocks()) == 1
    assert s.google.mirrors_of("dana.new@example.org") == []
    s.in_step()


@pytest.mark.parametrize("how", ["unmapped", "disabled"])
def test_a_user_who_no_longer_takes_part_is_cleared(stage: Make, how: str) -> None:
    s = stage("dana", "ruben")
    s.visit("dana", days=1)
    s.visit("dana", days=-20)
    s.busy("dana")
    s.visit("ruben")
    s.run()
    s.remap("dana") if how == "unmapped" else s.remap(dana={"enabled": False})
    s.later()
    assert s.mirrors("dana") == []
    assert s.blocks("dana") == []
    assert len(s.mirrors("ruben")) == 1
    assert len(s.google.events_of(SELF)) == 1


@pytest.mark.parametrize("how", ["unmapped", "disabled"])
def test_taken_in_again_everything_comes_back_at_once(stage: Make, how: str) -> None:
    s = stage()
    s.visit()
    s.busy()
    s.run()
    s.remap("dana") if how == "unmapped" else s.remap(dana={"enabled": False})
    s.later()
    assert s.mirrors() == s.blocks() == []
    s.remap()
    s.later()
    assert len(s.mirrors()) == len(s.blocks()) == 1
    s.in_step()


@pytest.mark.parametrize("how", ["unmapped", "disabled"])
def test_retired_mirrors_go_too_even_when_nothing_else_is_left(stage: Make, how: str) -> None:
    s = stage()
    s.visit(days=-25)
    s.run()
    s.clock.advance(days=10)
    s.run(full=True)
    assert [link.state for link in s.links()] == [LinkState.RETIRED]
    s.remap("dana") if how == "unmapped" else s.remap(dana={"enabled": False})
    s.later()
    assert s.mirrors() == []


def test_what_cannot_be_removed_is_reported_and_tried_again_with_measure(stage: Make) -> None:
    s = stage()
    s.visit(hour=9)
    s.visit(hour=11)
    s.run()
    s.google.revoke(SELF)
    s.remap("dana")
    before = s.position
    s.later()
    assert {kind for kind, _ in s.conflicts()} == {"left_in_account"}
    # Two mirrors are left: a pass has no reason for more than a few attempts.
    assert s.position - before < 30
    s.google.restore(SELF)
    s.later(hours=7)
    s.later()
    assert s.mirrors() == []


def test_a_remapped_users_mirrors_in_a_dead_account_are_reported(stage: Make) -> None:
    s = stage()
    s.google.add_account("dana.new@example.org", "America/New_York")
    s.visit()
    s.run()
    s.google.revoke(SELF)
    s.remap(dana={"account": "dana.new@example.org"})
    s.later()
    assert ("left_in_account", "left_in_account") in s.conflicts()
    assert len(s.google.mirrors_of("dana.new@example.org")) == 1
    s.google.restore(SELF)
    s.later(days=2)
    assert s.mirrors() == []


def test_unmapping_somebody_with_many_mirrors_keeps_to_a_cycles_writes(stage: Make) -> None:
    s = stage(settings={"limits": {"max_cycle_writes": 10}})
    for number in range(25):
        s.visit(days=1 + number // 10, hour=8 + number % 10)
    s.run()
    s.remap("dana")
    result = s.later()
    assert s.mirrors() == []
    assert result.rounds >= 3


def test_a_dry_run_writes_nothing_on_either_side(stage: Make) -> None:
    s = stage("dana", "ruben", "mira")
    s.visit("dana")
    s.busy("dana")
    s.visit("ruben")
    s.visit("mira")
    s.remap("dana")
    s.run()
    s.remap("ruben", mira={"enabled": False})
    s.clock.advance(minutes=2)
    before = s.position
    result = s.run(dry_run=True)
    assert s.wrote(before) == []
    assert len(s.mirrors("ruben")) == len(s.mirrors("mira")) == 1
    plan = result.outcomes[s.ids["dana"]].result.plan
    assert plan is not None
    assert len(plan.actions) == 2
    s.later()
    assert len(s.mirrors("dana")) == len(s.blocks("dana")) == 1
    assert s.mirrors("ruben") == s.mirrors("mira") == []


def test_two_people_may_exchange_their_accounts(stage: Make) -> None:
    s = stage("dana", "ruben")
    s.visit("dana", hour=9)
    s.visit("ruben", hour=11)
    s.run()
    s.remap(dana={"account": mail("ruben")}, ruben={"account": mail("dana")})
    s.later()
    s.later()
    assert s.mirror_times("dana") == [(s.at(1, 11), s.at(1, 11) + HOUR)]
    assert s.mirror_times("ruben") == [(s.at(1, 9), s.at(1, 9) + HOUR)]
    assert s.blocks("dana") == s.blocks("ruben") == []
    s.in_step()


@pytest.mark.parametrize("by", ["setting", "user"])
def test_what_a_direction_can_no_longer_remove_is_shown(stage: Make, by: str) -> None:
    s = stage()
    s.visit()
    s.busy()
    s.run()
    if by == "setting":
        s.document = {"direction": {"google": "calendar_to_welkin"}}
    else:
        s.one_way("dana", Direction.CALENDAR_TO_WELKIN)
    s.later()
    assert len(s.mirrors()) == 1
    assert s.conflicts() == [("left_by_direction", "left")]
    s.document = {}
    s.remap()
    s.later()
    s.in_step()


def test_a_past_block_of_somebody_who_left_belongs_to_welkin(stage: Make) -> None:
    s = stage()
    s.busy(days=0, hour=11)
    s.run()
    [block] = s.blocks()
    s.later(hours=30)
    assert [link.state for link in s.links()] == [LinkState.RETIRED]
    s.remap("dana")
    s.later()
    assert [link.state for link in s.links()] == [LinkState.DISMISSED]
    s.welkin.move_event(block.id, s.at(3, 9), s.at(3, 10))
    s.later(again=2)
    assert not s.state().marked, "work that no cycle will ever do"
    assert s.block_times() == [(s.at(3, 9), s.at(3, 10))]


@pytest.mark.parametrize("policy", ["restore", "accept"])
@pytest.mark.parametrize("request_number", third(range(1, 20)))
def test_a_worker_killed_at_any_request_has_shown_what_it_decided(
    stage: Make, policy: str, request_number: int
) -> None:
    s = stage(settings={"block_time": {"block_edited": policy}})
    s.busy()
    s.run()
    [block] = s.blocks()
    s.later()
    s.welkin.move_event(block.id, s.at(5, 9), s.at(5, 10))
    s.busy(days=3)
    s.clock.advance(minutes=2)
    s.transport.kill_at, s.transport.kill_after = s.transport.count + request_number, True
    with contextlib.suppress(Killed):
        s.run()
    s.transport.revive()
    s.later(again=2)
    wanted = (1, 14) if policy == "restore" else (5, 9)
    assert s.block_times()[0 if policy == "restore" else 1][0] == s.at(*wanted)
    assert [kind for kind, _ in s.conflicts()] == ["block_edited"]
    s.in_step()


@pytest.mark.parametrize("platform", list(Platform))
def test_a_mirror_that_was_repeated_is_one_again_and_blocks_nothing(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    s.visit()
    s.run()
    s.later()
    (mirror,) = s.calendar.mirrors(SELF)
    s.calendar.change_rule(SELF, mirror.id, "FREQ=DAILY;COUNT=5")
    s.later(again=2)
    assert s.blocks() == []
    assert [seen.is_series for seen in s.calendar.mirrors(SELF)] == [False]
    s.in_step()
