"""Rules 5 to 8b, as pure decisions."""

from dataclasses import replace
from typing import Any

import pytest

from calendar_sync.core.model import (
    Availability,
    Direction,
    LinkState,
    SeriesSet,
    Source,
    Step,
    WelkinWrite,
)
from calendar_sync.planner import blocks_time
from tests.unit.planner.views import (
    DAY,
    HOUR,
    NOW,
    ZONE,
    Little,
    absences,
    days,
    event,
    instance,
    seen_hash,
    settings,
    span,
    steps,
    tombstone,
)

NOBODY = settings().block_time


@pytest.mark.parametrize(
    ("fields", "blocking"),
    [
        ({}, True),
        ({"declined": True}, False),
        ({"informational": True}, False),
        ({"is_master": True}, False),
        ({"availability": Availability.FREE}, False),
        ({"availability": Availability.TENTATIVE}, False),
        ({"when": days(2)}, True),
        ({"when": span(3, 0)}, False),
        ({"when": span(3, -1)}, False),
        ({"when": days(3, 0)}, False),
        ({"private": True}, True),
        ({"has_attendees": True}, True),
    ],
)
def test_what_takes_time(fields: dict[str, Any], blocking: bool) -> None:
    found = event(**fields)
    assert blocks_time(found, NOBODY, ZONE) is blocking
    assert bool(Little().add(found).plan().actions) is blocking


def test_what_is_listed_and_not_found_is_not_decided_about() -> None:
    little = Little().add(event("x1"))
    little.settle()
    little.full = False
    little.events.clear()
    little.gone, little.denied = {"x1", "x2"}, {"x1", "x2"}
    made = little.plan()
    assert (made.actions, made.doubted) == ((), 2)


def test_settings_decide_about_tentative_and_whole_days() -> None:
    rules = settings(block_time={"tentative": True, "all_day": "ignore"}).block_time
    assert blocks_time(event(availability=Availability.TENTATIVE), rules, ZONE)
    assert not blocks_time(event(when=days(2)), rules, ZONE)


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ("creators", "creator"),
        ("organizers", "organizer"),
        ("ical_uids", "ical_uid"),
        ("sources", "source_url"),
    ],
)
def test_ignored_sources(rule: str, field: str) -> None:
    rules = settings(block_time={"ignore_external": {rule: ["robot-*@x.example"]}}).block_time
    ignored: dict[str, Any] = {field: "Robot-7@X.example"}
    other: dict[str, Any] = {field: "human@x.example"}
    assert not blocks_time(replace(event(), **ignored), rules, ZONE)
    assert blocks_time(replace(event(), **other), rules, ZONE)
    assert blocks_time(event(), rules, ZONE)


def test_a_block_is_made_moved_and_removed() -> None:
    little = Little().add(event())
    assert steps(little.run()) == [("create_block", "busy")]
    assert little.plan().actions == ()
    little.add(event(when=span(50)))
    assert steps(little.run()) == [("update_block", "changed")]
    assert little.plan().actions == ()
    little.add(tombstone(event()))
    assert steps(little.run()) == [("delete_block", "event_deleted")]
    assert little.plan().actions == ()


def test_freed_and_busy_again() -> None:
    little = Little().add(event())
    little.run()
    little.add(event(availability=Availability.FREE))
    assert steps(little.run()) == [("delete_block", "not_busy")]
    little.add(event())
    assert steps(little.run()) == [("create_block", "busy")]
    assert little.link().generation == 2


@pytest.mark.parametrize("how", ["mirror link", "marker"])
def test_our_own_mirrors_never_block(how: str) -> None:
    from tests.unit.planner.views import IDENTITY, ME, appointment

    if how == "marker":
        little = Little().add(event(marker=IDENTITY.marker(ME, "a9")))
    else:
        little = Little().add(appointment())
        little.run()
        mirror = little.events[little.mirror().mirror_id]
        little.events[mirror.id] = replace(mirror, marker=None)
        little.appointments.clear()
    assert [a for a in little.plan().actions if isinstance(a, WelkinWrite)] == []


def test_only_the_window_counts() -> None:
    little = Little().add(
        event("past", span(-30)),
        event("this morning", span(-6)),
        event("last", span(24 * 119)),
        event("far", span(24 * 121)),
    )
    made = little.run()
    assert {action.source.id for action in made.actions} == {"this morning", "last"}


def test_yesterdays_blocks_retire_and_are_left_alone() -> None:
    little = Little().add(event())
    little.run()
    little.now = NOW + 3 * DAY
    assert steps(little.run()) == [("note", "left_the_window")]
    assert little.plan().actions == ()
    little.add(tombstone(event()))
    assert little.plan().actions == ()


def test_a_block_that_is_over_and_was_moved_ahead_in_welkin_is_removed_in_the_same_cycle() -> None:
    little = Little().add(event(when=span(1)))
    little.run()
    little.now = NOW + 30 * HOUR
    damage(little, "moved")
    little.run()
    assert little.plan().actions == ()
    assert little.blocks == {}


def test_an_event_dragged_out_of_the_past_moves_its_old_block() -> None:
    little = Little().add(event())
    little.run()
    little.now = NOW + 3 * DAY
    little.run()
    little.add(event(when=span(24 * 5)))
    assert steps(little.run()) == [("update_block", "changed")]
    assert little.link().state is LinkState.LIVE


def test_vanished_from_a_full_read_and_from_its_own_get_rests_on_absence() -> None:
    little = Little().add(event())
    little.run()
    del little.events["x1"]
    little.gone.add("x1")
    [action] = little.plan().actions
    assert (action.step, absences([action])) == (Step.DELETE_BLOCK, [True])


def test_a_delta_says_nothing_about_events_that_it_does_not_mention() -> None:
    little = Little().add(event())
    little.run()
    little.events.clear()
    little.full = False
    assert little.plan().actions == ()


def series(count: int = 4, hour: float = 24, moved: float = 0) -> list[Any]:
    found = []
    for number in range(count):
        original = span(hour + moved + 24 * number)
        found.append(instance("s1", original))
    return found


def test_each_instance_has_its_block_by_its_original_start() -> None:
    little = Little().add(*series())
    little.settle()
    assert len({link.source for link in little.links.values()}) == 4
    assert {link.source.id for link in little.links.values()} == {"s1"}


def test_a_moved_series_is_paired_in_time_order() -> None:
    little = Little().add(*series())
    little.run()
    blocks = sorted(little.blocks)
    little.events.clear()
    little.add(*series(moved=2))
    made = little.run()
    assert [action.step for action in made.actions] == [Step.UPDATE_BLOCK] * 4
    assert sorted(little.blocks) == blocks
    for link in little.links.values():
        assert str(link.span).split("/")[0] == link.source.original_start
    assert little.plan().actions == ()


def test_more_and_fewer_instances() -> None:
    little = Little().add(*series(3))
    little.run()
    little.events.clear()
    little.add(*series(5, moved=1))
    assert (
        sorted(step for step, _ in steps(little.run()))
        == ["create_block"] * 2 + ["update_block"] * 3
    )
    little.events.clear()
    little.series["s1"] = SeriesSet(tuple(series(2, moved=1)))
    little.full = False
    made = little.run()
    assert [action.step for action in made.actions] == [Step.DELETE_BLOCK] * 3
    assert not any(absences(made.actions))


@pytest.mark.parametrize("known", [True, False])
def test_an_empty_set_rests_on_absence_only_where_the_series_is_unknown(known: bool) -> None:
    little = Little().add(*series(3))
    little.run()
    little.events.clear()
    little.full = False
    little.series["s1"] = SeriesSet((), known=known)
    assert set(absences(little.plan().actions)) == {not known}


def test_the_nearest_instances_of_a_long_series() -> None:
    little = Little(settings(block_time={"instances_per_series": 3})).add(*series(9))
    made = little.run()
    assert [action.span for action in made.actions] == [span(24), span(48), span(72)]
    assert [(c.kind, c.source) for c in made.conflicts] == [("series_too_long", Source("s1"))]
    assert little.plan().actions == ()


def test_a_single_event_that_becomes_a_series_keeps_its_block() -> None:
    little = Little().add(event("s1", span(24)))
    little.run()
    little.events.clear()
    little.add(*series(3))
    made = little.run()
    assert sorted(step for step, _ in steps(made)) == [
        "create_block",
        "create_block",
        "update_block",
    ]
    assert little.plan().actions == ()


def damage(little: Little, how: str) -> None:
    link = little.block()
    seen = little.blocks[link.block_id]
    if how == "absent":
        del little.blocks[link.block_id]
        little.absent.add(link.block_id)
    elif how == "cancelled":
        little.blocks[link.block_id] = replace(seen, cancelled=True, hash="other")
    else:
        little.blocks[link.block_id] = replace(seen, span=span(99), hash=seen_hash(span(99)))


@pytest.mark.parametrize("how", ["absent", "cancelled", "moved"])
@pytest.mark.parametrize("direction", [Direction.BIDIRECTIONAL, Direction.CALENDAR_TO_WELKIN])
def test_a_damaged_block_is_restored(how: str, direction: Direction) -> None:
    little = Little(direction=direction).add(event())
    little.run()
    damage(little, how)
    made = little.run()
    step = "update_block" if how == "moved" else "create_block"
    assert steps(made) == [(step, "block_edited")]
    assert len(made.conflicts) == (direction is Direction.BIDIRECTIONAL)
    assert little.plan().actions == ()


@pytest.mark.parametrize("how", ["absent", "cancelled", "moved"])
def test_or_accepted(how: str) -> None:
    little = Little(settings(block_time={"block_edited": "accept"})).add(event())
    little.run()
    damage(little, how)
    made = little.run()
    assert [action.step for action in made.actions] == [Step.NOTE]
    assert [c.decision for c in made.conflicts] == ["accepted"]
    again = little.plan()
    assert (again.actions, again.conflicts) == ((), ())
    little.add(event(when=span(60)))
    assert len(little.run().actions) == 1
    assert little.plan().actions == ()


@pytest.mark.parametrize("how", ["absent", "cancelled"])
def test_a_block_that_is_gone_already_needs_no_request(how: str) -> None:
    little = Little().add(event())
    little.run()
    damage(little, how)
    little.add(tombstone(event()))
    assert [action.step for action in little.run().actions] == [Step.NOTE]
    assert little.link().state is LinkState.DELETED


def test_switched_off_all_blocks_go() -> None:
    little = Little().add(event(), event("x2", span(50)))
    little.run()
    little.rules = settings(block_time={"enabled": False})
    assert steps(little.run()) == [("delete_block", "not_wanted_by_settings")] * 2
    assert little.plan().actions == ()


def test_no_direction_to_welkin_no_step_in_welkin() -> None:
    little = Little(direction=Direction.WELKIN_TO_CALENDAR).add(event())
    assert little.plan().actions == ()
