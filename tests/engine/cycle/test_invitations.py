"""Somebody is invited to one occurrence of a series, and does not have the series itself."""

from collections.abc import Callable
from typing import Any

import pytest

from calendar_sync.core.model import Platform
from tests.engine.cycle.stage import Stage, mail

Make = Callable[..., Stage]
ME = mail("dana")
both = pytest.mark.parametrize("platform", list(Platform), ids=str)
early = pytest.mark.parametrize("first", [True, False], ids=["full read", "delta"])


def invited(stage: Make, platform: Platform, *, first: bool, count: int = 1) -> tuple[Stage, str]:
    """Found by the first full read, or told by the list of changes."""
    s = stage(platform=platform)
    if not first:
        s.run()
    series = s.series(rule=f"FREQ=WEEKLY;COUNT={count}")
    s.calendar.invited_only.add(series)
    s.later()
    assert len(s.blocks()) == count
    s.in_step()
    return s, series


@both
@early
def test_an_invitation_to_one_occurrence_has_one_block_that_follows_it(
    stage: Make, platform: Platform, first: bool
) -> None:
    s, series = invited(stage, platform, first=first)
    calendar: Any = s.calendar
    one = calendar.instance_id(ME, series, s.at(1, 14))
    [block] = s.blocks()
    s.calendar.rename(ME, one, "Another name")
    s.later()
    assert [each.id for each in s.blocks()] == [block.id]
    s.calendar.move_event(ME, one, s.at(2, 16), s.at(2, 17))
    s.later()
    assert s.block_times() == [(s.at(2, 16), s.at(2, 17))]
    assert [each.id for each in s.blocks()] == [block.id]
    s.in_step()
    s.calendar.show_as(ME, one, free=True)
    s.later()
    assert s.blocks() == []
    s.calendar.show_as(ME, one, free=False)
    s.later()
    assert s.block_times() == [(s.at(2, 16), s.at(2, 17))]
    s.in_step()
    s.calendar.delete_event(ME, one)
    s.later(again=2)
    assert s.blocks() == []
    s.in_step()
    assert s.conflicts() == []


@both
@early
def test_one_of_two_invitations_changes_and_the_other_stays(
    stage: Make, platform: Platform, first: bool
) -> None:
    s, series = invited(stage, platform, first=first, count=2)
    calendar: Any = s.calendar
    one = calendar.instance_id(ME, series, s.at(1, 14))
    s.calendar.move_event(ME, one, s.at(2, 16), s.at(2, 17))
    s.later()
    assert s.block_times() == [(s.at(2, 16), s.at(2, 17)), (s.at(8, 14), s.at(8, 15))]
    s.in_step()
    s.calendar.delete_event(ME, one)
    s.later(again=2)
    assert s.block_times() == [(s.at(8, 14), s.at(8, 15))]
    s.in_step()


@both
def test_an_invitation_that_takes_no_time_has_no_block(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform)
    s.run()
    series = s.series(rule="FREQ=WEEKLY;COUNT=1")
    s.calendar.show_as(ME, series, free=True)
    s.calendar.invited_only.add(series)
    s.later()
    assert s.blocks() == []
    s.in_step()


@both
def test_an_invitation_outlives_a_void_cursor(stage: Make, platform: Platform) -> None:
    s, series = invited(stage, platform, first=False)
    calendar: Any = s.calendar
    s.calendar.expire_sync_tokens(ME)
    s.later()
    assert len(s.blocks()) == 1
    s.calendar.delete_event(ME, calendar.instance_id(ME, series, s.at(1, 14)))
    s.calendar.expire_sync_tokens(ME)
    s.later(again=2)
    assert s.blocks() == []
    s.in_step()
