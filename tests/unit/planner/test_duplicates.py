"""Unmarked copies of appointments (rule 5): held when there are suspiciously many."""

from dataclasses import replace

from calendar_sync.core.model import Conflict, ConflictDecision, ConflictKind, LinkState, Source
from calendar_sync.planner import plan, questions
from tests.unit.planner.views import (
    ME,
    Little,
    appointment,
    event,
    settings,
    span,
    steps,
    tombstone,
)


def copied(count: int, visits: int = 0, **rules: object) -> Little:
    """Appointments; the first `count` of them have a copy in the calendar."""
    little = Little(settings(**rules))
    for number in range(max(count, visits)):
        little.add(appointment(f"a{number}", span(24 + 2 * number)))
    for number in range(count):
        little.add(event(f"x{number}", span(24 + 2 * number)))
    return little


def held_duplicates(little: Little) -> list[str]:
    return [key for key in little.events if held(little, key)]


def held(little: Little, key: str) -> bool:
    found = [link for link in little.links.values() if link.source.id == key]
    return bool(found) and found[0].state is LinkState.DUPLICATE


def test_from_five_on_and_half_of_all_they_are_held_and_shown_once() -> None:
    little = copied(5, 10)
    made = little.run()
    assert made.conflicts == (Conflict(ConflictKind.DUPLICATES, Source(ME), ConflictDecision.HELD),)
    assert len(held_duplicates(little)) == 5
    again = little.plan()
    assert again.actions == ()
    assert again.conflicts == (
        Conflict(ConflictKind.DUPLICATES, Source(ME), ConflictDecision.HELD),
    )


def test_four_are_not_many_and_five_of_eleven_are_less_than_half() -> None:
    for little in (copied(4), copied(5, 11)):
        little.run()
        assert held_duplicates(little) == []
        assert len(little.blocks) >= 4


def test_no_warning_is_shown_when_the_settings_say_block() -> None:
    little = copied(6, block_time={"duplicates": "block"})
    little.run()
    assert len(little.blocks) == 6


def test_known_copies_count_when_a_delta_brings_one_more() -> None:
    little = copied(5)
    little.settle()
    little.full = False
    little.events = {"new": event("new", span(80))}
    little.add(appointment("a9", span(80)))
    little.run()
    assert held(little, "new")


def test_a_block_that_a_person_let_be_made_stays() -> None:
    little = copied(6, block_time={"duplicates": "block"})
    little.settle()
    little.rules = settings()
    assert little.plan().actions == ()


def test_a_held_copy_gets_its_block_when_the_warning_is_switched_off() -> None:
    little = copied(5)
    little.settle()
    little.rules = settings(block_time={"duplicates": "block"})
    assert {reason for _, reason in steps(little.run())} == {"busy"}
    assert len(little.blocks) == 5


def test_a_moved_copy_of_many_is_remembered_at_its_new_time() -> None:
    little = copied(6)
    little.settle()
    little.add(appointment("a0", span(90)), event("x0", span(90)))
    made = little.run()
    assert ("note", "twin") in steps(made)
    assert held(little, "x0")
    assert little.plan().actions == ()


def test_a_copy_that_was_freed_or_deleted_is_forgotten() -> None:
    little = copied(5)
    little.settle()
    little.events["x0"] = tombstone(little.events["x0"])
    assert steps(little.run()) == [("note", "no_block_wanted")]


def test_a_copy_whose_appointment_has_left_is_asked_for() -> None:
    little = copied(5)
    little.settle()
    little.full = False
    little.events = {}
    little.add(appointment("a0", span(90)))
    assert questions(little.view()).calendar_events == {"primary": ("x0",)}


def test_an_interrupted_block_is_finished_first() -> None:
    little = copied(5)
    little.add(event("x5", span(200)))
    little.run()
    [link] = [link for link in little.links.values() if link.source.id == "x5"]
    little.change(link, state=LinkState.INTENT)
    little.add(appointment("a5", span(200)))
    assert ("create_block", "busy") in steps(little.plan())


def test_calendars_that_do_not_count_as_busy_hold_no_duplicates() -> None:
    little = copied(5)
    view = little.view()
    [calendar] = view.calendars

    made = plan(replace(view, calendars=(replace(calendar, counts_as_busy=False),)), little.rules)
    assert all(action.link is None for action in made.actions)
    assert made.conflicts == ()
