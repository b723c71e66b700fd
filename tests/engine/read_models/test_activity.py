"""The log of operations: filtered, and paged by key."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from calendar_sync.core.model import MappedUser, Platform, Step
from calendar_sync.insight.activity import Asked, every, page
from calendar_sync.insight.attention import decisions
from calendar_sync.state import Store
from calendar_sync.state.audit import CycleLog, Operation
from tests.engine.state.conftest import NOW


@pytest.fixture(autouse=True)
def _operations(store: Store) -> None:
    """Ten, a minute apart, the first at NOW: ada's with Google, bob's with Microsoft in turn."""
    mapped = [
        MappedUser("ada", Platform.GOOGLE, "ada@example.org"),
        MappedUser("bob", Platform.MICROSOFT, "bob@example.org"),
    ]
    store.config.edit_mapping(lambda _: mapped, "tests", NOW)
    for number in range(10):
        write(store, number)


def write(store: Store, number: int) -> None:
    user, platform = (("ada", "google"), ("bob", "microsoft"))[number % 2]
    log = CycleLog(f"cycle-{number}", f"run-{number}", user, platform, f"{user}@example.org", 1)
    step = (Step.CREATE_MIRROR, Step.DELETE_BLOCK)[number % 2]
    outcome = "google_refused" if number == 4 else "ok"
    operation = Operation(step, "new", f"s{number}", "r", "primary", "busy/busy", outcome, 5)
    with store.database.write() as connection:
        store.audit.append(connection, log, operation, NOW + timedelta(minutes=number))


def sources(store: Store, size: int = 100, **asked: Any) -> list[str]:
    return [entry.source_id for entry in page(store, Asked(**asked), size).entries]


def test_the_newest_come_first(store: Store) -> None:
    assert sources(store) == [f"s{number}" for number in reversed(range(10))]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"user": "ada"}, [8, 6, 4, 2, 0]),
        ({"user": " ADA@example.org "}, [8, 6, 4, 2, 0]),
        ({"user": "ad"}, []),
        ({"platform": Platform.MICROSOFT}, [9, 7, 5, 3, 1]),
        ({"step": Step.DELETE_BLOCK, "user": "ada"}, []),
        ({"outcome": "failed"}, [4]),
        ({"outcome": "google_refused"}, [4]),
        ({"outcome": "ok", "user": "ada"}, [8, 6, 2, 0]),
        ({"run_id": "run-7"}, [7]),
        ({"since": NOW + timedelta(minutes=7), "until": NOW + timedelta(minutes=9)}, [8, 7]),
    ],
)
def test_filters(store: Store, asked: dict[str, Any], expected: list[int]) -> None:
    assert sources(store, **asked) == [f"s{number}" for number in expected]


def test_pages_go_on_where_the_last_ended_whatever_is_written_meanwhile(store: Store) -> None:
    first = page(store, Asked(), 4)
    write(store, 10)
    second = page(store, Asked(before=first.next), 4)
    third = page(store, Asked(before=second.next), 4)
    read = [entry.source_id for part in (first, second, third) for entry in part.entries]
    assert read == [f"s{number}" for number in reversed(range(10))]
    assert third.next is None


def test_a_page_that_is_just_full_is_the_last(store: Store) -> None:
    assert page(store, Asked(), 10).next is None
    assert page(store, Asked(), 9).next is not None


def test_an_export_reads_on_up_to_its_limit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calendar_sync.insight.activity.CHUNK", 3)
    assert [entry.source_id for entry in every(store, Asked(), 100)] == sources(store)
    assert [entry.source_id for entry in every(store, Asked(), 7)] == sources(store)[:7]
    assert list(every(store, Asked(), 0)) == []


@pytest.mark.parametrize(
    "asked",
    [
        {"user": "ada"},
        {"user": "ada@example.org"},
        {"user": "nobody@example.org"},
        {"outcome": "failed"},
        {"outcome": "google_refused"},
        {"step": Step.CANCEL},
        {"run_id": "run-7"},
        {"user": "ada", "step": Step.CANCEL, "outcome": "failed"},
    ],
)
def test_what_is_rare_is_not_looked_for_in_the_whole_record(
    store: Store, asked: dict[str, Any]
) -> None:
    """SQLite tells how it would go about it: never through all operations one by one."""
    assert plans(store, lambda: page(store, Asked(**asked))) == []


def test_decisions_are_not_looked_for_in_the_whole_record(store: Store) -> None:
    assert plans(store, lambda: decisions(store)) == []


def plans(store: Store, work: Callable[[], object]) -> list[str]:
    """The steps that go through the whole table of operations."""
    if not store.database.is_sqlite:
        return []
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _u: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    event.listen(store.database.engine, "before_cursor_execute", note)
    work()
    event.remove(store.database.engine, "before_cursor_execute", note)
    selects = [one for one in asked if "operation" in one[0] and one[0].startswith("SELECT")]
    assert selects
    with store.database.read() as connection:
        told = [
            row.detail
            for statement, values in selects
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    return [step for step in told if step == "SCAN operation"]


def test_operations_on_an_account_are_found_whoever_held_it(store: Store) -> None:
    shared = MappedUser("ada", Platform.GOOGLE, "ada@example.org")
    store.config.edit_mapping(lambda _: [shared], "tests", NOW)
    store.config.edit_mapping(lambda _: [replace(shared, user_id="cy")], "tests", NOW)
    log = CycleLog("later", "run", "cy", "google", "ada@example.org", 2)
    operation = Operation(Step.CREATE_MIRROR, "new", "s10", "r", "primary", "", "ok", 5)
    with store.database.write() as connection:
        store.audit.append(connection, log, operation, NOW)
    assert sources(store, user="ada@example.org") == ["s10", "s8", "s6", "s4", "s2", "s0"]
    assert sources(store, user="cy") == ["s10"]
