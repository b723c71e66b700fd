"""What carries our mark without a link: taken over where it fits, else held for a person."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from calendar_sync.core.model import (
    CalendarEvent,
    DeleteMirror,
    Direction,
    LinkState,
    Source,
    Span,
    Step,
)
from calendar_sync.planner.orphans import ORPHAN
from calendar_sync.planner.snapshot import BlockSeen
from tests.unit.planner.views import (
    IDENTITY,
    ME,
    Little,
    adopted,
    appointment,
    days,
    event,
    external_id,
    instance,
    seen_hash,
    settings,
    span,
    steps,
    tombstone,
)

ONE_WAY = Direction.WELKIN_TO_CALENDAR


def block(key: str, when: Span, given: str = "calsync-lost", **more: bool) -> BlockSeen:
    return BlockSeen(key, when, seen_hash(when), more.get("cancelled", False), "", given)


def mirror(key: str, appointment_id: str, when: Span | None = None) -> CalendarEvent:
    marker = IDENTITY.marker(ME, appointment_id)
    return CalendarEvent(key, span=when or span(), private=True, title="Busy", marker=marker)


def do(little: Little) -> None:
    for action in little.plan().actions:
        little.carry_out(action)


def with_blocks(little: Little, *blocks: BlockSeen) -> Little:
    little.blocks.update({one.event_id: one for one in blocks})
    return little


# --- blocks ---------------------------------------------------------------------


@pytest.mark.parametrize("generation", [1, 2])
def test_a_block_is_known_by_the_id_that_we_gave(generation: int) -> None:
    given = external_id("primary", Source("x1"), generation)
    little = with_blocks(Little().add(event()), block("w1", span(50), given), block("w2", span(9)))
    made = little.plan()
    [action] = made.actions
    assert (action.step, adopted(made)) == (Step.CREATE_BLOCK, ["w1"])
    [hold] = made.holds
    assert [held.link.name for held in hold.actions if held.link] == ["w2"]


def test_else_by_its_time_and_each_once() -> None:
    events = [event("x1", span(24)), event("x2", span(24)), event("x3", span(30))]
    blocks = [block("w1", span(24)), block("w2", span(30)), block("w3", span(24))]
    little = with_blocks(Little().add(*events), *blocks)
    made = little.plan()
    assert sorted(adopted(made)) == ["w1", "w2", "w3"]
    assert made.holds == ()


def test_the_id_comes_before_the_time() -> None:
    events = [event("x1", span(24)), event("x2", span(24))]
    given = external_id("primary", Source("x2"))
    little = with_blocks(Little().add(*events), block("w1", span(24), given))
    made = little.plan()
    taken = dict(zip((action.source.id for action in made.actions), adopted(made), strict=True))
    assert taken == {"x1": "", "x2": "w1"}


def test_instances_of_a_series_find_theirs() -> None:
    first, second = span(24), span(48)
    members = [instance("s", first), instance("s", second, span(50))]
    given = external_id("primary", members[0].source)
    little = with_blocks(
        Little().add(*members), block("w1", first, given), block("w2", span(50), "calsync-other")
    )
    taken = adopted(little.plan())
    assert sorted(taken) == ["w1", "w2"]


@pytest.mark.parametrize(
    "seen",
    [
        block("w1", span(24), ""),
        block("w1", span(24), cancelled=True),
        block("w1", span(-3)),
        block("w1", days(200)),
    ],
    ids=["not ours", "cancelled", "past", "out of reach"],
)
def test_what_is_no_orphan(seen: BlockSeen) -> None:
    made = with_blocks(Little(), seen).plan()
    assert (made.actions, made.holds) == ((), ())


def test_a_block_of_the_other_platform_is_not_ours_to_take() -> None:
    little = with_blocks(Little().add(event()), block("w1", span(24)))
    little.claimed_elsewhere = frozenset({"w1"})
    made = little.plan()
    assert adopted(made) == [""]
    assert made.holds == ()


def test_before_the_other_platform_was_synced_nothing_is_an_orphan() -> None:
    little = with_blocks(Little().add(mirror("m1", "gone")), block("w1", span(24)))
    little.other_blocks_known = False
    assert little.plan().holds == ()
    little.other_blocks_known = True
    holds = little.plan().holds
    assert [(hold.reason, len(hold.actions)) for hold in holds] == [(ORPHAN, 1), (ORPHAN, 1)]


def test_a_list_of_changes_is_no_proof_of_an_orphan() -> None:
    little = with_blocks(Little(full=False), block("w1", span(24)))
    assert little.plan().holds == ()


def test_an_interrupted_creation_waits_for_its_own() -> None:
    little = with_blocks(Little().add(event()))
    do(little)
    [link] = little.links.values()
    little.change(link, state=LinkState.INTENT, block_id="", external_id="calsync-intent")
    little.blocks.clear()
    with_blocks(little, block("w1", span(24), "calsync-intent"))
    made = little.plan()
    assert adopted(made) == [""]
    assert made.holds == ()


def test_one_way_leaves_welkin_alone() -> None:
    little = with_blocks(Little(direction=ONE_WAY), block("w1", span(24)))
    made = little.plan()
    assert (made.actions, made.holds) == ((), ())


# --- mirrors --------------------------------------------------------------------


def test_a_mirror_of_an_unknown_appointment_waits_for_a_person() -> None:
    little = Little().add(mirror("m1", "gone"))
    made = little.plan()
    assert made.actions == ()
    [hold] = made.holds
    little.approved = frozenset({hold.digest})
    made = little.plan()
    assert steps(made) == [("delete_mirror", ORPHAN)]
    [action] = made.actions
    assert isinstance(action, DeleteMirror)
    assert (action.link.mirror_id, action.link.id) == ("m1", None)


def test_a_mirror_of_a_cancelled_appointment_goes_at_once() -> None:
    """Its mark names the appointment: it was ours, and shows what must not be shown."""
    little = Little().add(appointment("a1", cancelled=True), mirror("m1", "a1"))
    made = little.plan()
    assert steps(made) == [("delete_mirror", "cancelled")]
    assert made.actions[0].source == Source("a1")
    assert made.holds == ()


def test_of_two_mirrors_of_a_cancelled_appointment_only_one_can_stand_for_it() -> None:
    little = Little().add(appointment(cancelled=True))
    little.events = {key: mirror(key, "a1") for key in ("m1", "m2")}
    made = little.plan()
    assert steps(made) == [("delete_mirror", "cancelled")] * 2
    assert {action.source.id for action in made.actions} == {"a1", "m2"}


def test_so_does_one_that_the_filter_excludes() -> None:
    rules = settings(encounter_types={"exclude": ["etmp-*"]})
    little = Little(rules=rules).add(appointment("a1"), mirror("m1", "a1"))
    assert steps(little.plan()) == [("delete_mirror", "filtered")]


def test_a_wanted_appointment_takes_its_mirror_over_by_itself() -> None:
    little = Little().add(appointment("a1"), mirror("m1", "a1"))
    made = little.plan()
    assert steps(made) == [("create_mirror", "wanted")]
    assert made.holds == ()


def test_a_pending_appointment_keeps_its_mirror_until_a_person_says_so() -> None:
    little = Little().add(appointment("a1", known=False), mirror("m1", "a1"))
    made = little.plan()
    assert made.actions == ()
    [hold] = made.holds
    assert hold.reason == ORPHAN
    little.appointments["a1"] = appointment("a1")
    made = little.plan()
    assert steps(made) == [("create_mirror", "wanted")]
    assert made.holds == ()


def test_a_copy_beside_a_living_mirror_is_somebodys_own() -> None:
    little = Little().add(appointment("a1"))
    do(little)
    little.add(mirror("copy", "a1"))
    assert little.plan().holds == ()


def test_a_copy_that_outlives_its_appointment_waits_for_a_person() -> None:
    little = Little().add(appointment("a1"))
    do(little)
    little.add(mirror("copy", "a1"))
    little.appointments["a1"] = appointment("a1", cancelled=True)
    do(little)
    made = little.plan()
    assert made.actions == ()
    [hold] = made.holds
    assert [held.link.name for held in hold.actions if held.link] == ["copy"]


@pytest.mark.parametrize("change", [tombstone, lambda row: replace(row, marker="other.mark")])
def test_what_is_no_orphaned_mirror(change: Callable[[CalendarEvent], CalendarEvent]) -> None:
    little = Little().add(change(mirror("m1", "gone")))
    assert all(hold.reason != ORPHAN for hold in little.plan().holds)


def test_the_other_way_leaves_the_calendar_alone() -> None:
    little = Little(direction=Direction.CALENDAR_TO_WELKIN).add(mirror("m1", "gone"))
    made = little.plan()
    assert (made.actions, made.holds) == ((), ())
