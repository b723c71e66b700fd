"""Conflicts and parked items."""

from datetime import datetime, timedelta

import pytest

from calendar_sync.core.model import (
    Conflict,
    ConflictDecision,
    ConflictKind,
    Overlap,
    Platform,
    Source,
    Step,
)
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.items import REFUSED_PAUSE, TRANSIENT_PAUSE
from tests.engine.state.conftest import NOW

G = Platform.GOOGLE
PAIR = ("u1", G)


def refuse(store: Store, content: str = "c", times: int = 1, *, transient: bool = False) -> None:
    for _ in range(times):
        with store.database.write() as connection:
            store.items.refused(
                connection,
                PAIR,
                Step.CREATE_MIRROR,
                Source("a1"),
                content,
                "bad",
                NOW,
                transient=transient,
            )


def test_parked_after_three_tries_with_the_same_content(store: Store) -> None:
    refuse(store, times=2)
    assert store.items.parked(*PAIR, NOW) == {}
    refuse(store)
    assert store.items.parked(*PAIR, NOW) == {(Step.CREATE_MIRROR, Source("a1")): "c"}
    refuse(store, "d")
    assert store.items.parked(*PAIR, NOW) == {}
    refuse(store, "d", 2)
    assert store.items.parked("u2", G, NOW) == {}
    with store.database.write() as connection:
        store.items.unpark(connection, PAIR, Source("a1"))
    assert store.items.parked(*PAIR, NOW) == {}
    refuse(store)
    assert store.items.parked(*PAIR, NOW) == {}


@pytest.mark.parametrize(("transient", "pause"), [(True, TRANSIENT_PAUSE), (False, REFUSED_PAUSE)])
def test_what_is_parked_is_tried_again_after_a_while(
    store: Store, transient: bool, pause: timedelta
) -> None:
    refuse(store, times=3, transient=transient)
    assert store.items.parked(*PAIR, NOW + pause - timedelta(minutes=1))
    assert not store.items.parked(*PAIR, NOW + pause + timedelta(minutes=1))


def test_a_conflict_seen_again_counts_up(store: Store) -> None:
    for _ in range(3):
        with store.database.write() as connection:
            store.items.record_conflicts(
                connection,
                *PAIR,
                [Conflict(ConflictKind.MIRROR_MOVED, Source("a1"), ConflictDecision.RESTORED)],
                NOW,
            )
    with store.database.read() as connection:
        [row] = connection.execute(t.conflict.select()).all()
    assert (row.times, row.kind, row.decision, row.dismissed_at) == (
        3,
        "mirror_moved",
        "restored",
        None,
    )


def test_visits_over_busy_time_are_those_of_the_last_look(store: Store) -> None:
    def note(overlaps: dict[str, datetime], *unsure: str, later: int = 0) -> None:
        found = [Overlap(key, ends) for key, ends in overlaps.items()]
        with store.database.write() as connection:
            at = NOW + timedelta(minutes=later)
            store.items.note_overlaps(connection, PAIR, found, unsure, at)

    def rows() -> dict[str, tuple[datetime, datetime, int]]:
        with store.database.read() as connection:
            found = connection.execute(t.conflict.select()).all()
        return {row.source_id: (row.ends_at, row.first_at, row.times) for row in found}

    soon, late = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    note({"a1": soon, "a2": soon})
    note({"a1": late, "a2": soon, "a3": soon}, later=1)
    assert rows() == {
        "a1": (late, NOW, 1),
        "a2": (soon, NOW, 1),
        "a3": (soon, NOW + timedelta(minutes=1), 1),
    }
    note({"a1": late}, "a2", "a9")
    assert rows().keys() == {"a1", "a2"}
    with store.database.write() as connection:
        moved = Conflict(ConflictKind.MIRROR_MOVED, Source("a7"), ConflictDecision.RESTORED)
        store.items.record_conflicts(connection, *PAIR, [moved], NOW)
        store.items.note_overlaps(connection, ("u2", G), (), (), NOW)
        store.items.note_overlaps(connection, ("u1", Platform.MICROSOFT), (), (), NOW)
    note({})
    assert rows().keys() == {"a7"}
