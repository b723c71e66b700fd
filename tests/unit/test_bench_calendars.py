"""Whatever the day, the bench can fill a calendar: its series are none that Outlook refuses."""

from datetime import UTC, datetime, timedelta

import pytest
from bench.calendars import Kind, keep

from calendar_sync_sandbox import Sandbox
from tests.harness import VirtualClock

NOBODY_ELSE = Kind("none", 0, 0)


@pytest.mark.parametrize("platform", ["google", "microsoft"])
@pytest.mark.parametrize(
    "first", [datetime(2026, 11, 20, 12, tzinfo=UTC), datetime(2028, 2, 20, 12, tzinfo=UTC)]
)
def test_a_calendar_is_filled_on_each_day_of_some_months(platform: str, first: datetime) -> None:
    for days in range(50):
        start = first + timedelta(days=days)
        sandbox = Sandbox(clock=VirtualClock(start), seed=1)
        world = getattr(sandbox, platform)
        world.add_account("dana@example.org", "America/New_York")
        keep(world, "dana@example.org", NOBODY_ELSE, start)
        assert world.expanded("dana@example.org", start, start + timedelta(days=60))
