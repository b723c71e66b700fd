"""What processes share: leases, tokens, the rate."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from calendar_sync.core.errors import LeaseHeld, LeaseLost
from calendar_sync.state import Store
from calendar_sync.state.shared import StoredToken
from tests.engine.state.conftest import NOW

SECOND = timedelta(seconds=1)


def test_one_worker_at_a_time(store: Store) -> None:
    lease = store.leases.take("u1", "a", NOW)
    with pytest.raises(LeaseHeld):
        store.leases.take("u1", "b", NOW + 89 * SECOND)
    store.leases.take("u2", "b", NOW)
    store.leases.release(lease, NOW + SECOND)
    assert store.leases.take("u1", "b", NOW + SECOND).fence > lease.fence


def test_what_one_process_does_another_leaves_alone(store: Store) -> None:
    with store.leases.alone("messages", NOW) as first:
        with store.leases.alone("messages", NOW) as second:
            pass
        with store.leases.alone("messages", NOW) as third:
            assert (first, second, third) == (True, False, False)
    with pytest.raises(ZeroDivisionError), store.leases.alone("messages", NOW):
        raise ZeroDivisionError
    with store.leases.alone("messages", NOW) as again:
        assert again


def test_of_many_at_once_exactly_one_gets_it(store: Store) -> None:
    for user in ("new", "new", "u3"):
        gate = threading.Barrier(8)

        def take(number: int, user: str = user, gate: threading.Barrier = gate) -> object:
            gate.wait(10)
            try:
                return store.leases.take(user, f"w{number}", NOW)
            except LeaseHeld:
                return None

        with ThreadPoolExecutor(8) as pool:
            taken = [lease for lease in pool.map(take, range(8)) if lease]
        assert len(taken) == 1
        store.leases.release(taken[0], NOW)  # type: ignore[arg-type]


def test_the_same_task_takes_its_own_lease_over(store: Store) -> None:
    first = store.leases.take("u1", "task", NOW)
    second = store.leases.take("u1", "task", NOW + SECOND)
    assert second.fence == first.fence + 1
    with pytest.raises(LeaseLost):
        store.leases.check_now(first)
    store.leases.check_now(second)


def test_an_expired_lease_is_lost_to_whoever_takes_it(store: Store) -> None:
    first = store.leases.take("u1", "a", NOW)
    second = store.leases.take("u1", "b", NOW + 91 * SECOND)
    with pytest.raises(LeaseLost):
        store.leases.renew(first, NOW + 92 * SECOND)
    with pytest.raises(LeaseLost), store.database.write() as connection:
        store.leases.check(connection, first)
    store.leases.release(first, NOW + 92 * SECOND)
    with pytest.raises(LeaseHeld):
        store.leases.take("u1", "c", NOW + 93 * SECOND)
    store.leases.check_now(second)


def test_a_renewed_lease_lasts_longer(store: Store) -> None:
    lease = store.leases.take("u1", "a", NOW)
    store.leases.renew(lease, NOW + 60 * SECOND)
    with pytest.raises(LeaseHeld):
        store.leases.take("u1", "b", NOW + 120 * SECOND)
    store.leases.take("u1", "b", NOW + 151 * SECOND)


def test_a_fence_only_ever_rises(store: Store) -> None:
    fences = []
    for number in range(5):
        lease = store.leases.take("u1", f"w{number}", NOW)
        fences.append(lease.fence)
        store.leases.release(lease, NOW)
    assert fences == sorted(set(fences))


def test_one_of_many_may_refresh_a_token(store: Store) -> None:
    gate = threading.Barrier(8)

    def claim(number: int) -> bool:
        gate.wait(10)
        return store.tokens.claim("w", f"p{number}", NOW)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(8))) == 1


def test_the_life_of_a_token(store: Store) -> None:
    tokens = store.tokens
    assert tokens.get("w") is None
    assert tokens.claim("w", "a", NOW)
    assert tokens.get("w") is None
    assert not tokens.claim("w", "b", NOW + 44 * SECOND)
    token = StoredToken(b"secret", NOW + 3600 * SECOND)
    tokens.save("w", "a", token)
    assert tokens.get("w") == token
    assert tokens.claim("w", "b", NOW)
    tokens.give_up("w", "b")
    assert tokens.get("w") == token
    tokens.forget("w", b"other")
    assert tokens.get("w") == token
    tokens.forget("w", b"secret")
    assert tokens.get("w") is None


def test_a_claim_lapses_and_its_late_result_is_not_stored_over_the_newer_one(store: Store) -> None:
    tokens = store.tokens
    tokens.claim("w", "slow", NOW)
    assert tokens.claim("w", "quick", NOW + 46 * SECOND)
    tokens.save("w", "quick", StoredToken(b"new", NOW + 3600 * SECOND))
    tokens.save("w", "slow", StoredToken(b"old", NOW + 3000 * SECOND))
    found = tokens.get("w")
    assert found is not None
    assert found.ciphertext == b"new"


def test_requests_get_their_moments_in_turn(store: Store) -> None:
    pauses = [store.rates.reserve("welkin", 5, 1000.0) for _ in range(11)]
    assert pauses == pytest.approx([0.2 * number for number in range(11)])
    assert store.rates.reserve("other", 5, 1000.0) == 0
    assert store.rates.reserve("welkin", 5, 1010.0) == 0


def test_processes_together_keep_to_the_rate(store: Store) -> None:
    with ThreadPoolExecutor(6) as pool:
        pauses = sorted(pool.map(lambda _: store.rates.reserve("welkin", 5, 1000.0), range(36)))
    assert pauses == pytest.approx([0.2 * number for number in range(36)])


def test_a_wrong_clock_blocks_no_worker_for_long(store: Store) -> None:
    store.rates.reserve("welkin", 5, 9_999_999.0)
    assert store.rates.reserve("welkin", 5, 1000.0) <= 60
