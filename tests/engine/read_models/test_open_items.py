"""What is open is counted alike by the command line, the pages, the report and the mail."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert

from calendar_sync.config.settings import parse
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.insight.attention import Choice, count_conflicts, count_parked, open_conflicts
from calendar_sync.insight.health.report import build
from calendar_sync.insight.overview import overview
from calendar_sync.insight.status import status
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from tests.engine.state.conftest import NOW

SETTINGS = parse({})
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def ada(store: Store) -> None:
    row = MappedUser("ada", Platform.GOOGLE, "ada@example.org")
    store.config.edit_mapping(lambda _: [row], "tests", NOW)


def conflict(store: Store, decision: str, age: timedelta, dismissed: bool = False) -> None:
    values = {
        "user_id": "ada",
        "platform": "google",
        "kind": "mirror_moved",
        "source_id": f"{decision}-{age}-{dismissed}",
        "original_start": "",
        "decision": decision,
        "times": 1,
        "first_at": NOW - age,
        "last_at": NOW - age,
        "dismissed_at": NOW if dismissed else None,
    }
    with store.database.write() as connection:
        connection.execute(insert(t.conflict), values)


def refused(store: Store, tries: int) -> None:
    values: dict[str, Any] = {
        "user_id": "ada",
        "platform": "google",
        "step": "create_mirror",
        "source_id": f"visit-{tries}",
        "original_start": "",
        "content": "",
        "code": "google_refused",
        "tries": tries,
        "transient": False,
        "first_at": NOW,
        "last_at": NOW,
    }
    with store.database.write() as connection:
        connection.execute(insert(t.parked_item), values)


def counted(store: Store) -> dict[str, tuple[int, ...]]:
    """Conflicts shown, undecided, and parked items, by who says so."""
    [said] = status(store, NOW)
    page, first = open_conflicts(store, NOW), overview(store, SETTINGS, NOW)
    mail = build(store, store.config.revision(), NOW).document
    kinds = [item["kind"] for item in mail["items"]]
    [entry] = mail["platforms"]
    told = sum(int(i["advice"].split()[0]) for i in mail["items"] if i["kind"] == "conflict")
    return {
        "status": (said.conflicts, said.undecided, said.parked),
        "overview": (first.conflicts, first.undecided, first.parked),
        "page": (count_conflicts(store, now=NOW), said.undecided, count_parked(store)),
        "listed": (len(page), said.undecided, said.parked),
        "report": (entry["conflicts"], entry["undecided"], entry["parked"]),
        "mail": (said.conflicts, told, kinds.count("parked")),
    }


def test_one_refusal_is_not_parked_anywhere_and_three_are_everywhere(store: Store) -> None:
    refused(store, 1)
    assert set(counted(store).values()) == {(0, 0, 0)}
    refused(store, 3)
    assert set(counted(store).values()) == {(0, 0, 1)}


@pytest.mark.parametrize(
    ("decision", "young", "old"),
    [
        # Left as a hand has made it: until somebody closes it.
        ("reported", (1, 1, 0), (1, 1, 0)),
        ("parked", (1, 1, 0), (1, 1, 0)),
        # Met again for as long as it lasts.
        ("held", (1, 1, 0), (0, 0, 0)),
        ("left", (1, 1, 0), (0, 0, 0)),
        ("left_in_account", (1, 1, 0), (0, 0, 0)),
        # Settled by a rule.
        ("restored", (1, 0, 0), (0, 0, 0)),
        ("welkin_wins", (1, 0, 0), (0, 0, 0)),
        ("accepted", (1, 0, 0), (0, 0, 0)),
    ],
)
def test_a_conflict_is_counted_alike(
    store: Store, decision: str, young: tuple[int, ...], old: tuple[int, ...]
) -> None:
    conflict(store, decision, DAY, dismissed=True)
    assert set(counted(store).values()) == {(0, 0, 0)}
    conflict(store, decision, 8 * DAY)
    assert set(counted(store).values()) == {old}
    conflict(store, decision, 3 * DAY)
    sums = tuple(one + other for one, other in zip(young, old, strict=True))
    assert set(counted(store).values()) == {sums}


def test_what_lasts_is_not_taken_for_settled(store: Store) -> None:
    for decision in ("left_in_account", "left", "held"):
        conflict(store, decision, DAY)
    conflict(store, "restored", timedelta(0))
    found = open_conflicts(store, NOW)
    assert [one.decision for one in found][-1] == "restored", "what needs a person stands first"
    assert {one.choices for one in found[:-1]} == {(Choice.ACCEPT,)}
    assert found[-1].choices == (Choice.DISMISS,)


def test_fifty_conflicts_ask_the_database_as_often_as_one(store: Store) -> None:
    asked: list[str] = []

    def note(_: Any, __: Any, statement: str, *rest: Any) -> None:
        asked.append(statement)

    counts = []
    for number in (1, 49):
        for each in range(number):
            conflict(store, "reported", timedelta(minutes=100 * number + each))
        event.listen(store.database.engine, "before_cursor_execute", note)
        found = open_conflicts(store, NOW)
        event.remove(store.database.engine, "before_cursor_execute", note)
        counts.append((len(found), len(asked)))
        # The item's links are found by an index: no other column is looked through.
        assert not [text for text in asked if "event_id =" in text or "remote_id =" in text]
        asked.clear()
    (one, first), (fifty, second) = counts
    assert (one, fifty) == (1, 50)
    assert first == second
