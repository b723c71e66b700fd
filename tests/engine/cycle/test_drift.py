"""What a daily full comparison finds that no change had told of is kept, and nothing else is."""

import pytest
from sqlalchemy import select

from calendar_sync.core.model import Platform
from calendar_sync.state import tables as t
from tests.engine.cycle.stage import Stage, mail

pytestmark = pytest.mark.parametrize("platform", list(Platform))


def drift(s: Stage) -> list[tuple[str, dict[str, int]]]:
    with s.store.database.read() as connection:
        rows = connection.execute(select(t.drift).order_by(t.drift.c.id))
        return [(row.user_id, row.writes) for row in rows]


def test_a_first_fill_and_everyday_changes_are_no_drift(platform: Platform) -> None:
    s = Stage(platform=platform)
    s.visit()
    s.busy()
    s.run()
    s.visit(days=2)
    s.later()
    s.later(days=1, hours=5)
    s.remap(dana={"enabled": False})
    s.later()
    s.remap()
    s.later()
    assert len(s.calendar.mirrors(mail("dana"))) == 2
    assert drift(s) == []
    assert s.state("dana").compared_at is not None


def test_a_change_that_nothing_reported_is_drift(platform: Platform) -> None:
    s = Stage(platform=platform)
    s.visit()
    s.run()
    missed = s.meeting(days=2, hour=11)
    # Neither feed ever shows it: as if a position had passed it by.
    s.welkin.event_journal.pop(missed.id)
    s.later(minutes=10)
    assert len(s.calendar.mirrors(mail("dana"))) == 1
    s.later(days=1, hours=5)
    assert len(s.calendar.mirrors(mail("dana"))) == 2
    assert drift(s) == [(s.ids["dana"], {"wanted": 1})]


def test_a_comparison_that_somebody_asked_for_is_no_drift(platform: Platform) -> None:
    s = Stage(platform=platform)
    s.visit()
    s.run()
    missed = s.meeting(days=2, hour=11)
    s.welkin.event_journal.pop(missed.id)
    s.run(users=[s.ids["dana"]], full=True)
    assert len(s.calendar.mirrors(mail("dana"))) == 2
    assert drift(s) == []
