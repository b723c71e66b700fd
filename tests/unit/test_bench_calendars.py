"""Whatever the day, the bench can fill a calendar: its series are none that Outlook refuses."""

from datetime import UTC, datetime, timedelta

import pytest
from bench.calendars import Kind, keep

from calendar_sync_sandbox import Sandbox
from tests.harness import VirtualClock

NOTHING_ELSE = Kind("none", 0, 0)


@pytest.mark.parametrize("first", ["2026-11-20", "2028-02-20"])
def test_a_calendar_is_filled_on_each_day_of_some_weeks(first: str) -> None:
    for days in range(50):
        start = datetime.fromisoformat(f"{first}T12:00").replace(tzinfo=UTC) + timedelta(days=days)
        world = Sandbox(clock=VirtualClock(start), seed=1).microsoft
        world.add_account("dana@example.org", "America/New_York")
        keep(world, "dana@example.org", NOTHING_ELSE, start)
        assert world.expanded("dana@example.org", start, start + timedelta(days=60))
