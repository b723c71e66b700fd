"""Which users have work: a mark is never lost."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from calendar_sync.core.model import Platform
from calendar_sync.state import Store
from tests.engine.state.conftest import NOW, mark

G = Platform.GOOGLE
ONE, TWO = ("u1", G), ("u2", G)
MINUTE = timedelta(minutes=1)


def done(store: Store, seq: int, minutes: int = 0, full: int | None = None) -> None:
    now = NOW + minutes * MINUTE
    following = None if full is None else now + full * MINUTE
    with store.database.write() as connection:
        store.marks.done(connection, ONE, seq, now, following)


def test_no_user_has_work_at_first(store: Store) -> None:
    assert not store.marks.of(*ONE).marked
    assert store.marks.all() == {}


def test_a_mark_lasts_until_a_cycle_that_began_after_it_is_done(store: Store) -> None:
    mark(store, [ONE], NOW)
    state = store.marks.of(*ONE)
    assert state.marked
    done(store, state.mark_seq, 1)
    state = store.marks.of(*ONE)
    assert not state.marked
    assert (state.marked_at, state.last_success_at) == (None, NOW + MINUTE)


def test_a_mark_set_during_a_cycle_stays(store: Store) -> None:
    mark(store, [ONE], NOW)
    seq = store.marks.of(*ONE).mark_seq
    mark(store, [ONE], NOW + MINUTE)
    done(store, seq, 2)
    state = store.marks.of(*ONE)
    assert state.marked
    assert state.marked_at is not None
    done(store, state.mark_seq, 3)
    assert not store.marks.of(*ONE).marked


def test_the_age_of_a_mark_is_that_of_the_first(store: Store) -> None:
    for minutes in range(3):
        mark(store, [ONE], NOW + minutes * MINUTE)
    assert store.marks.of(*ONE).marked_at == NOW
    done(store, 3, 5)
    mark(store, [ONE], NOW + 9 * MINUTE)
    assert store.marks.of(*ONE).marked_at == NOW + 9 * MINUTE


def test_marks_of_many_at_once_add_up(store: Store) -> None:
    def one(number: int) -> None:
        pairs = [ONE, TWO] if number % 2 else [TWO, ONE]
        mark(store, pairs, NOW)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(one, range(48)))
    assert store.marks.of(*ONE).mark_seq == store.marks.of(*TWO).mark_seq == 48


def test_platforms_are_apart(store: Store) -> None:
    mark(store, [ONE, ONE], NOW)
    assert store.marks.of(*ONE).mark_seq == 1
    assert not store.marks.of("u1", Platform.MICROSOFT).marked
    assert set(store.marks.all(G)) == {ONE}
    assert store.marks.all(Platform.MICROSOFT) == {}


def test_failures_wait_longer_and_a_success_forgets_them(store: Store) -> None:
    mark(store, [ONE], NOW)
    waits = []
    for number in range(12):
        state = store.marks.failed(ONE, "down", NOW, None)
        assert state.retry_at is not None
        waits.append(state.retry_at - NOW)
        assert state.attention == (number >= 2)
    assert waits[:4] == [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE]
    assert max(waits) == waits[-1] == timedelta(hours=6)
    assert store.marks.of(*ONE).failing_since == NOW
    assert store.marks.of(*ONE).waiting(NOW)
    assert not store.marks.of(*ONE).waiting(NOW + timedelta(hours=6))
    done(store, 1)
    state = store.marks.of(*ONE)
    assert (state.failures, state.retry_at, state.error_code, state.attention) == (
        0,
        None,
        None,
        False,
    )


@pytest.mark.parametrize(("asked", "least"), [(3600.0, 3600), (0.0, 5)])
def test_the_servers_own_pause_counts(store: Store, asked: float, least: int) -> None:
    mark(store, [ONE], NOW)
    state = store.marks.failed(ONE, "limited", NOW, asked)
    assert state.retry_at == NOW + timedelta(seconds=least)


def test_polls(store: Store) -> None:
    with store.database.write() as connection:
        store.marks.ensure(connection, [ONE, TWO])
        store.marks.polled(connection, [ONE], [(TWO, "gone")], now=NOW)
    one, two = store.marks.of(*ONE), store.marks.of(*TWO)
    assert (one.last_poll_at, one.last_success_at, one.poll_error) == (NOW, NOW, None)
    assert (two.last_poll_at, two.last_success_at, two.poll_error) == (NOW, None, "gone")
    mark(store, [ONE], NOW)
    later = NOW + 9 * MINUTE
    with store.database.write() as connection:
        store.marks.polled(connection, [ONE], [(TWO, "gone")], now=later)
    # A poll of somebody who has work is no successful sync, and a failure keeps its beginning.
    assert store.marks.of(*ONE).last_success_at == NOW
    assert store.marks.of(*TWO).poll_failed_at == NOW


def test_full_comparisons(store: Store) -> None:
    mark(store, [ONE], NOW)
    done(store, 1, 0, full=60)
    assert store.marks.of(*ONE).next_full_at == NOW + 60 * MINUTE
    done(store, 1, 5)
    assert store.marks.of(*ONE).next_full_at == NOW + 60 * MINUTE
    with store.database.write() as connection:
        store.marks.compare_fully(connection, [ONE], NOW)
    assert store.marks.of(*ONE).next_full_at == NOW
