"""How many connections to the state database a task has open at once: docs/deploy.md says two."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event

from calendar_sync.core.model import Platform
from tests.engine.cycle.stage import Stage

NAMES = ("dana", "ruben", "mira", "teo", "ilse", "jona", "kim", "lou")


@pytest.mark.parametrize("platform", list(Platform))
def test_users_that_are_synced_at_once_need_no_more_than_two_connections(
    platform: Platform,
) -> None:
    s = Stage(*NAMES, platform=platform, settings={"limits": {"user_concurrency": 4}})
    now, most, taken = 0, 0, 0

    def out(*_: Any) -> None:
        nonlocal now, most, taken
        now, taken = now + 1, taken + 1
        most = max(most, now)

    def back(*_: Any) -> None:
        nonlocal now
        now -= 1

    engine = s.store.database.engine
    event.listen(engine, "checkout", out)
    event.listen(engine, "checkin", back)
    for name in NAMES:
        s.visit(name)
        s.busy(name)
    s.run()
    assert all(s.blocks(name) for name in NAMES)
    assert taken > 10 * len(NAMES)
    assert most <= 2
