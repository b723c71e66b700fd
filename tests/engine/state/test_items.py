"""Conflicts and parked items."""

from datetime import timedelta

import pytest

from calendar_sync.core.model import (
    Conflict,
    ConflictDecision,
    ConflictKind,
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
