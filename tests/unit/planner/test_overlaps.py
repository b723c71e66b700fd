"""Visits over busy time (rule 8): which they are once the plan has been carried out."""

from typing import Any

import pytest

from calendar_sync.core.model import Direction, LinkState
from tests.unit.planner.views import (
    NOW,
    Little,
    appointment,
    days,
    event,
    settings,
    span,
    tombstone,
)

PLACE: dict[str, Any] = {"buffers": {"with_place": {"before_minutes": 30}}}


def over(little: Little) -> list[str]:
    return sorted(one.appointment_id for one in little.plan().overlaps)


def test_a_visit_over_a_block_is_named_once_with_its_end() -> None:
    little = Little().add(appointment("a1", span(24, 2)), event("x1", span(25)))
    little.add(event("x2", span(24.5)), appointment("a2", span(30)))
    [found] = little.plan().overlaps
    assert (found.appointment_id, found.ends_at) == ("a1", span(24, 2).end)
    little.settle()
    assert little.plan().overlaps == (found,)


@pytest.mark.parametrize(
    ("when", "listed"),
    [
        (span(24), False),  # a copy of the visit
        (span(24.5), True),
        (span(23.5), True),
        (span(24, 0.5), True),
        (span(23, 3), True),
        (span(25), False),
        (span(23), False),
        (days(1), True),
    ],
)
def test_what_overlaps(when: Any, listed: bool) -> None:
    little = Little().add(appointment("a1", span(24)), event("x1", when))
    assert over(little) == ["a1"] * listed


def test_the_block_as_it_will_be_counts() -> None:
    little = Little().add(appointment("a1", span(24, 2)), event("x1", span(25)))
    little.settle()
    little.full = False
    little.events = {"x1": event("x1", span(50))}
    assert over(little) == []
    little.events = {"x1": event("x1", span(24.5))}
    assert over(little) == ["a1"]
    little.events = {"x1": tombstone(event("x1"))}
    assert over(little) == []
    # Nothing is said of the event: its link knows the time.
    little.events = {}
    assert over(little) == ["a1"]
    little.add(appointment("a1", span(70)))
    assert over(little) == []


def test_a_buffer_is_busy_time_and_a_copy_with_a_buffer_is_a_copy() -> None:
    little = Little(settings(block_time=PLACE))
    little.add(appointment("a1", span(24)), event("x1", span(25), has_place=True))
    assert over(little) == ["a1"]
    little.events = {}
    little.add(event("x1", span(24), has_place=True))
    assert over(little) == []
    little.settle()
    little.full, little.events = False, {}
    assert over(little) == []
    little.add(event("x2", span(24.5)))
    assert over(little) == ["a1"]


def test_what_is_over_not_wanted_or_not_blocked_is_not_listed() -> None:
    earlier = span(-3, 2)
    assert earlier.end < NOW
    little = Little().add(
        appointment("over", earlier),
        event("x1", span(-4, 3)),
        appointment("cancelled", span(24, 2), cancelled=True),
        appointment("else", span(24, 2), users=("user-2",)),
        appointment("pending", span(24, 2), known=False),
        event("x2", span(25)),
    )
    assert over(little) == []
    little = Little(settings(encounter_types={"exclude": ["etmp-*"]}))
    assert over(little.add(appointment("a1", span(24, 2)), event("x2", span(25)))) == []


def test_a_visit_that_is_under_way_is_listed() -> None:
    little = Little().add(appointment("a1", span(-1, 2)), event("x1", span(-0.5)))
    assert over(little) == ["a1"]


@pytest.mark.parametrize(
    "rules",
    [{"report_overlaps": False}, {"enabled": False}],
)
def test_settings_turn_it_off(rules: dict[str, Any]) -> None:
    little = Little(settings(block_time=rules))
    assert over(little.add(appointment("a1", span(24, 2)), event("x1", span(25)))) == []


def test_one_way_to_the_calendar_nothing_is_listed() -> None:
    little = Little().add(appointment("a1", span(24, 2)), event("x1", span(25)))
    little.settle()
    little.direction = Direction.WELKIN_TO_CALENDAR
    assert over(little) == []


def test_a_block_that_a_person_has_removed_does_not_count() -> None:
    little = Little(settings(block_time={"block_edited": "accept"}))
    little.add(appointment("a1", span(24, 2)), event("x1", span(25)))
    little.run()
    [block] = little.blocks
    del little.blocks[block]
    little.absent.add(block)
    assert over(little) == []
    little.run()
    assert LinkState.DISMISSED in {link.state for link in little.links.values()}
    assert over(little) == []
