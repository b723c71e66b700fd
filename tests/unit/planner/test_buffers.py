"""Buffers (rule 7): a block is longer than its event, and everything else is as it was."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from calendar_sync.core.model import CalendarEvent, LinkState, Span
from calendar_sync.planner.buffers import block_span, possible
from tests.unit.planner.views import (
    NOW,
    Little,
    appointment,
    days,
    event,
    instance,
    settings,
    span,
    steps,
)

TRAVEL: dict[str, Any] = {
    "buffers": {
        "every_event": {"after_minutes": 5},
        "with_place": {"before_minutes": 15, "after_minutes": 20},
        "online": {"before_minutes": 10},
        "out_of_office": {"before_minutes": 60},
    }
}
RULES = settings(block_time=TRAVEL).block_time


def wider(when: Span, before: int, after: int) -> Span:
    assert isinstance(when.start, datetime)
    assert isinstance(when.end, datetime)
    return Span(when.start - timedelta(minutes=before), when.end + timedelta(minutes=after))


def travelling(*events: CalendarEvent) -> Little:
    return Little(settings(block_time=TRAVEL)).add(*events)


@pytest.mark.parametrize(
    ("fields", "before", "after"),
    [
        ({}, 0, 5),
        ({"has_place": True}, 15, 20),
        ({"online": True}, 10, 5),
        ({"has_place": True, "online": True}, 15, 20),
        ({"out_of_office": True, "has_place": True}, 60, 20),
    ],
)
def test_of_several_buffers_the_longest_counts(
    fields: dict[str, Any], before: int, after: int
) -> None:
    assert block_span(event(**fields), RULES) == wider(span(), before, after)


def test_whole_days_and_the_ends_of_time_have_none() -> None:
    assert block_span(event(when=days(2), has_place=True), RULES) == days(2)
    first = datetime(1, 1, 1, tzinfo=UTC)
    earliest = Span(first, first + timedelta(hours=1))
    assert block_span(event(when=earliest, has_place=True), RULES) == earliest


def test_without_buffers_a_block_is_as_long_as_its_event() -> None:
    usual = settings().block_time
    found = event(has_place=True, online=True, out_of_office=True)
    assert block_span(found, usual) == found.span
    assert {one.widen(span()) for one in possible(usual)} == {span()}


def test_whatever_an_event_is_its_block_is_one_of_the_possible() -> None:
    found = {one.widen(span()) for one in possible(RULES)}
    for one in (event(), event(has_place=True), event(online=True), event(out_of_office=True)):
        assert block_span(one, RULES) in found


def test_a_block_with_a_buffer_is_made_moved_and_kept() -> None:
    little = travelling(event(has_place=True))
    little.settle()
    assert little.block().span == wider(span(), 15, 20)
    little.add(event(when=span(50), has_place=True))
    assert steps(little.run()) == [("update_block", "changed")]
    assert little.block().span == wider(span(50), 15, 20)
    assert little.plan().actions == ()
    # The location is taken away, then the buffer.
    little.add(event(when=span(50)))
    assert steps(little.run()) == [("update_block", "changed")]
    assert little.block().span == wider(span(50), 0, 5)
    little.rules = settings()
    assert steps(little.run()) == [("update_block", "changed")]
    assert little.block().span == span(50)
    assert little.plan().actions == ()


def test_a_block_that_was_set_back_to_the_time_of_its_event_is_restored() -> None:
    little = travelling(event(has_place=True))
    little.settle()
    [seen] = little.blocks.values()
    little.blocks[seen.event_id] = replace(seen, span=span(), hash="shortened by hand")
    assert steps(little.run()) == [("update_block", "block_edited")]


def test_the_answer_to_our_own_write_was_lost() -> None:
    little = travelling(event(has_place=True))
    little.settle()
    [seen] = little.blocks.values()
    little.add(event(when=span(50), has_place=True))
    moved = wider(span(50), 15, 20)
    little.blocks[seen.event_id] = replace(seen, span=moved, hash="our own, not yet read")
    made = little.run()
    assert steps(made) == [("update_block", "changed")]
    assert made.conflicts == ()


def test_a_block_whose_buffer_is_not_over_is_restored_though_its_event_is() -> None:
    when = Span(NOW - timedelta(hours=1), NOW - timedelta(minutes=10))
    for place in (True, False):
        little = travelling(event(when=when, has_place=place))
        little.settle()
        [block] = little.blocks
        del little.blocks[block]
        little.absent.add(block)
        assert steps(little.plan()) == [("create_block", "block_edited")] * place


def test_a_buffer_may_reach_into_the_window() -> None:
    midnight = Little().view().block_window.start
    late = Span(midnight - timedelta(hours=1), midnight - timedelta(minutes=10))
    assert Little(settings(block_time=TRAVEL)).add(event(when=late)).plan().actions == ()
    little = travelling(event(when=late, has_place=True))
    little.settle()
    assert little.block().state is LinkState.LIVE
    assert little.plan().actions == ()


def test_with_new_ids_and_without_the_state_blocks_are_found_by_their_own_time() -> None:
    little = travelling(event(has_place=True))
    little.settle()
    # The mailbox was restored: the same time, another id, nothing else in common.
    del little.events["x1"]
    little.gone = {"x1"}
    little.add(event("y1", has_place=True))
    assert steps(little.run()) == [("note", "found_again")]
    assert little.plan().actions == ()
    # The state was lost, and the tenant shows no id of this event's generations.
    [seen] = little.blocks.values()
    little.blocks[seen.event_id] = replace(seen, external_id="calsync-of-another-name")
    little.links.clear()
    [action] = little.plan().actions
    assert getattr(action, "adopts", "") == seen.event_id


def test_vanished_and_new_instances_are_paired_with_their_buffers() -> None:
    one, other = (instance("s", span(hours), has_place=True) for hours in (24, 48))
    little = travelling(one, other)
    little.settle()
    moved = instance("s", span(72), has_place=True)
    del little.events[one.id]
    little.add(moved)
    assert steps(little.run()) == [("update_block", "instance_moved")]
    assert little.plan().actions == ()
    spans = {link.span for link in little.links.values()}
    assert spans == {wider(span(48), 15, 20), wider(span(72), 15, 20)}


def test_copies_of_visits_are_known_by_their_blocks_whatever_is_around_them() -> None:
    little = travelling()
    for number in range(5):
        when = span(24 + 2 * number)
        little.add(appointment(f"a{number}", when), event(f"x{number}", when, has_place=True))
    little.rules = settings(block_time={**TRAVEL, "duplicates": "block"})
    little.settle()
    little.rules = settings(block_time=TRAVEL)
    little.full, little.events = False, {"new": event("new", span(80), has_place=True)}
    little.add(appointment("a9", span(80)))
    little.run()
    [held] = [link for link in little.links.values() if link.state is LinkState.DUPLICATE]
    assert (held.source.id, held.span) == ("new", span(80))
