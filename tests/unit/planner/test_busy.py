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
ELSEWHERE: dict[str, Any] = {"availability": Availability.FREE, "working_elsewhere": True}
AWAY: dict[str, Any] = {"span": days(3), "out_of_office": True}
PERHAPS: dict[str, Any] = {"span": days(3), "availability": Availability.TENTATIVE}
SHOWN_FREE: dict[str, Any] = {"availability": Availability.FREE, "chosen_free": True}


def all_day(**kinds: str) -> dict[str, Any]:
    return {"all_day_kinds": kinds}


CASES: list[tuple[dict[str, Any], dict[str, Any], str | None]] = [
    ({}, {}, None),
    ({"is_master": True}, {}, "series"),
    ({"span": span(24, 0)}, {}, "empty_time"),
    ({"declined": True, "availability": Availability.FREE}, {}, "declined"),
    ({"informational": True}, {}, "informational"),
    ({"availability": Availability.FREE}, {}, "free"),
    (ELSEWHERE, {}, "working_elsewhere"),
    (ELSEWHERE, {"working_elsewhere": "block"}, None),
    (ELSEWHERE | {"declined": True}, {"working_elsewhere": "block"}, "declined"),
    ({"availability": Availability.TENTATIVE}, {}, "tentative"),
    ({"availability": Availability.TENTATIVE}, {"tentative": True}, None),
    ({"span": days(3)}, {"all_day": "ignore"}, "all_day_ignored"),
    ({"span": days(3)}, {}, None),
    ({"span": days(3)}, all_day(out_of_office="ignore", tentative="ignore"), None),
    ({"span": days(3)}, {"all_day": "ignore"} | all_day(out_of_office="block"), "all_day_ignored"),
    (AWAY, {"all_day": "ignore"}, "all_day_ignored"),
    (AWAY, {"all_day": "ignore"} | all_day(out_of_office="block"), None),
    (AWAY, all_day(out_of_office="ignore"), "all_day_kind_ignored"),
    ({"out_of_office": True}, all_day(out_of_office="ignore"), None),
    (AWAY, {"out_of_office": "ignore"}, "out_of_office"),
    (AWAY, {"out_of_office": "ignore"} | all_day(out_of_office="block"), None),
    ({"out_of_office": True}, {"out_of_office": "ignore"}, "out_of_office"),
    (
        {"out_of_office": True},
        {"out_of_office": "ignore"} | all_day(out_of_office="block"),
        "out_of_office",
    ),
    # A meeting that was cancelled is shown as free, whatever it was.
    (AWAY | {"availability": Availability.FREE}, all_day(out_of_office="block"), "free"),
    (PERHAPS, {}, "tentative"),
    (PERHAPS, all_day(tentative="block"), None),
    (PERHAPS, {"tentative": True} | all_day(tentative="ignore"), "all_day_kind_ignored"),
    (PERHAPS | AWAY, {"tentative": True} | all_day(out_of_office="ignore"), None),
    (
        ELSEWHERE | {"span": days(3)},
        {"working_elsewhere": "block"} | all_day(working_elsewhere="ignore"),
        "all_day_kind_ignored",
    ),
    (ELSEWHERE | {"span": days(3)}, all_day(working_elsewhere="block"), None),
    (SHOWN_FREE | {"span": days(3)}, {}, "free"),
    (SHOWN_FREE | {"span": days(3)}, all_day(free="block"), None),
    (SHOWN_FREE | {"span": days(3)}, {"all_day": "ignore"} | all_day(free="block"), None),
    (SHOWN_FREE | {"span": days(3), "declined": True}, all_day(free="block"), "declined"),
    (SHOWN_FREE | {"span": days(3), "informational": True}, all_day(free="block"), "informational"),
    (SHOWN_FREE, all_day(free="block"), "free"),
    ({"availability": Availability.FREE, "span": days(3)}, all_day(free="block"), "free"),
    (
        SHOWN_FREE | {"span": days(3)},
        {"ignore_external": {"creators": ["copy@*"]}} | all_day(free="block"),
        "ignored",
    ),
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
