"""Rule 5 by name: what keeps an event of the calendar from making its owner busy."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from calendar_sync.core.model import Availability, CalendarEvent, Span
from calendar_sync.planner.blocks import why_no_block
from calendar_sync.planner.busy import NOT_BUSY, why_not_busy
from tests.unit.planner.views import DAY, NOW, Little, days, settings, span

EVENT = CalendarEvent("e1", span=span(24), creator="copy@example.org")
UTC = ZoneInfo("UTC")


CASES: list[tuple[dict[str, Any], dict[str, Any], str | None]] = [
    ({}, {}, None),
    ({"is_master": True}, {}, "series"),
    ({"span": span(24, 0)}, {}, "empty_time"),
    ({"declined": True, "availability": Availability.FREE}, {}, "declined"),
    ({"informational": True}, {}, "informational"),
    ({"availability": Availability.FREE}, {}, "free"),
    ({"availability": Availability.TENTATIVE}, {}, "tentative"),
    ({"availability": Availability.TENTATIVE}, {"tentative": True}, None),
    ({"span": days(3)}, {"all_day": "ignore"}, "all_day_ignored"),
    ({"span": days(3)}, {}, None),
    ({}, {"ignore_external": {"creators": ["copy@*"]}}, "ignored"),
]


@pytest.mark.parametrize(
    ("changes", "rules", "rule"),
    CASES,
)
def test_the_first_rule_that_says_so_decides(
    changes: dict[str, Any], rules: dict[str, Any], rule: str | None
) -> None:
    event = replace(EVENT, **changes)
    found = settings(block_time=rules).block_time
    assert why_not_busy(event, found, UTC) == rule
    assert why_no_block(Little().view(), found, event) == rule


def test_each_rule_has_a_case_here() -> None:
    assert {rule for *_, rule in CASES if rule} == set(NOT_BUSY)


def test_what_lies_outside_of_the_window_gets_no_block() -> None:
    little = Little()
    far = replace(EVENT, span=Span(NOW + 200 * DAY, NOW + 200 * DAY + timedelta(hours=1)))
    assert why_no_block(little.view(), little.rules.block_time, far) == "outside_window"
