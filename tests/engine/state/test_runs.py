"""The rows of runs: the newest, and those that did something."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from calendar_sync.core.model import Platform
from calendar_sync.state import Store
from tests.engine.state.conftest import NOW

MINUTE = timedelta(minutes=1)
# More than are fetched at a time.
MANY = 1200


@pytest.fixture
def filled(store: Store) -> Store:
    """A run a minute on each platform; Google's writes something every hundredth time."""
    for number in range(MANY):
        for platform in Platform:
            works = platform is Platform.GOOGLE and number % 100 == 0
            begun = NOW + number * MINUTE
            summary = {"done": {"create_mirror": 2} if works else {"noted": 1}}
            store.runs.record(f"r{number}", platform, begun, begun, 1, 0, summary)
    return store


def test_the_newest_runs_newest_first(filled: Store) -> None:
    found = filled.runs.recent(None, 3, working=False)
    assert [(one.run_id, one.started_at) for one in found] == [
        (f"r{MANY - 1}", NOW + (MANY - 1) * MINUTE),
        (f"r{MANY - 1}", NOW + (MANY - 1) * MINUTE),
        (f"r{MANY - 2}", NOW + (MANY - 2) * MINUTE),
    ]
    assert {one.platform for one in found[:2]} == set(Platform)
    assert len(filled.runs.recent(Platform.MICROSOFT, 5 * MANY, working=False)) == MANY


def test_the_newest_runs_that_did_something(filled: Store) -> None:
    found = filled.runs.recent(None, 5, working=True)
    assert [one.run_id for one in found] == ["r1100", "r1000", "r900", "r800", "r700"]
    assert all(one.done == {"create_mirror": 2} for one in found)
    assert len(filled.runs.recent(Platform.GOOGLE, 50, working=True)) == 12
    assert filled.runs.recent(Platform.MICROSOFT, 5, working=True) == []


def test_only_what_is_wanted_is_read(filled: Store) -> None:
    """Three months of runs are 250,000 rows: a client that gets them all needs 500 MB."""
    asked: list[str] = []
    engine = filled.database.engine

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    filled.runs.recent(None, 3, working=False)
    event.remove(engine, "before_cursor_execute", note)
    assert any(" LIMIT " in statement.replace("\n", " ") for statement in asked)


def test_rows_are_dropped_by_platform(filled: Store) -> None:
    filled.runs.drop(Platform.GOOGLE, ["r0", "r1", "unknown"])
    assert filled.runs.empty(Platform.GOOGLE, ["r0", "r1", "r2", "r100"]) == {"r2"}
    assert filled.runs.empty(Platform.MICROSOFT, ["r0", "r1"]) == {"r0", "r1"}
