"""Series: whole sets are compared, and what cannot be read is not believed."""

from collections.abc import Callable

import pytest

from tests.cycle.stage import Stage, mail

Make = Callable[..., Stage]


def test_a_series_moved_to_other_days_and_back_in_part_keeps_one_block_an_instance(
    stage: Make,
) -> None:
    s = stage()
    series = s.series(rule="FREQ=WEEKLY;BYDAY=TU;COUNT=3")
    s.run()
    assert len(s.blocks()) == 3
    s.google.patch_event(mail("dana"), series, recurrence=["RRULE:FREQ=WEEKLY;BYDAY=WE;COUNT=3"])
    s.later()
    assert len(s.blocks()) == 3
    s.google.patch_event(mail("dana"), series, recurrence=["RRULE:FREQ=WEEKLY;BYDAY=TU,WE;COUNT=6"])
    s.later()
    assert len({block.start for block in s.blocks()}) == 6
    s.in_step()


@pytest.mark.parametrize("kind", ["status", "zero_events"])
def test_a_series_whose_instances_cannot_be_read_keeps_its_blocks(stage: Make, kind: str) -> None:
    s = stage()
    series = s.series(rule="FREQ=DAILY;COUNT=40")
    s.run()
    before = s.block_times()
    s.google.patch_event(mail("dana"), series, summary="Another name")
    details = {"code": 400} if kind == "status" else {}
    s.fault("google", kind, "GET", "/instances", times=1, **details)
    s.later()
    assert s.block_times() == before
    s.later(again=2)
    s.in_step()
    assert s.block_times() == before


def test_a_series_that_ends_early_frees_the_rest_without_asking_anybody(stage: Make) -> None:
    s = stage()
    series = s.series(rule="FREQ=DAILY;COUNT=40")
    s.run()
    s.google.patch_event(mail("dana"), series, recurrence=["RRULE:FREQ=DAILY;COUNT=2"])
    s.later()
    assert len(s.blocks()) == 2
    s.google.delete_event(mail("dana"), series)
    s.later()
    assert s.blocks() == []
    assert s.conflicts() == []
