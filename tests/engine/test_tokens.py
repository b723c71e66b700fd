"""Access tokens: one fetch for everybody, encrypted at rest."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from cryptography.fernet import Fernet

from calendar_sync.core.codes import code_of
from calendar_sync.core.errors import TransientError
from calendar_sync.state import Database
from calendar_sync.state.shared import TokenStore
from calendar_sync.sync.tokens import TokenCache
from tests.harness import VirtualClock, fresh

KEY = Fernet.generate_key().decode()


class Office:
    """Gives out numbered tokens for an hour."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.given = 0
        self.broken = False

    async def __call__(self) -> tuple[str, datetime]:
        for _ in range(5):
            await asyncio.sleep(0)
        if self.broken:
            raise TransientError(code_of("down"))
        self.given += 1
        return f"token-{self.given}", self.clock.now() + timedelta(hours=1)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = fresh(f"sqlite:///{tmp_path}/state.db")
    return made


class TurnTakingClock(VirtualClock):
    """Whoever waits lets the others go on."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> VirtualClock:
    return TurnTakingClock()


def cache(database: Database, clock: VirtualClock, *keys: str) -> TokenCache:
    return TokenCache(TokenStore(database), list(keys or (KEY,)), clock)


def ask(*sources: object) -> list[str]:
    async def work() -> list[str]:
        return list(await asyncio.gather(*[source.get() for source in sources]))  # type: ignore[attr-defined]

    return asyncio.run(work())


def test_one_token_for_all_processes_until_shortly_before_its_end(
    database: Database, clock: VirtualClock
) -> None:
    office = Office(clock)
    for _ in range(5):
        assert ask(cache(database, clock).source("w", office)) == ["token-1"]
    clock.advance(minutes=57)
    assert ask(cache(database, clock).source("w", office)) == ["token-1"]
    clock.advance(minutes=2)
    assert ask(cache(database, clock).source("w", office)) == ["token-2"]


def test_many_tasks_of_one_process_make_one_request(
    database: Database, clock: VirtualClock
) -> None:
    office = Office(clock)
    source = cache(database, clock).source("w", office)
    assert ask(*[source] * 12) == ["token-1"] * 12
    assert office.given == 1


def test_many_processes_at_once_make_one_request(database: Database, clock: VirtualClock) -> None:
    office = Office(clock)
    assert ask(*[cache(database, clock).source("w", office) for _ in range(8)]) == ["token-1"] * 8


def test_a_refresh_that_ended_just_before_the_claim_is_used(
    database: Database, clock: VirtualClock
) -> None:
    office = Office(clock)
    store = TokenStore(database)
    claim = store.claim

    def late(name: str, process: str, now: datetime) -> bool:
        store.claim = claim  # type: ignore[method-assign]
        other = Thread(target=ask, args=[cache(database, clock).source("w", office)])
        other.start()
        other.join()
        return claim(name, process, now)

    store.claim = late  # type: ignore[method-assign]
    assert ask(TokenCache(store, [KEY], clock).source("w", office)) == ["token-1"]
    assert office.given == 1


def test_accounts_have_tokens_of_their_own(database: Database, clock: VirtualClock) -> None:
    office, shared = Office(clock), cache(database, clock)
    assert set(ask(shared.source("a", office), shared.source("b", office))) == {
        "token-1",
        "token-2",
    }


def test_a_failed_refresh_lets_the_next_one_try_at_once(
    database: Database, clock: VirtualClock
) -> None:
    office = Office(clock)
    office.broken = True
    with pytest.raises(TransientError):
        ask(cache(database, clock).source("w", office))
    office.broken = False
    assert ask(cache(database, clock).source("w", office)) == ["token-1"]
    assert clock.monotonic() == 0


def test_a_claim_lapses_with_its_process(database: Database, clock: VirtualClock) -> None:
    assert TokenStore(database).claim("w", "dead", clock.now())
    assert ask(cache(database, clock).source("w", Office(clock))) == ["token-1"]
    assert 40 < clock.monotonic() < 60


def test_a_refused_token_is_forgotten_everywhere(database: Database, clock: VirtualClock) -> None:
    office = Office(clock)
    one, other = (cache(database, clock).source("w", office) for _ in range(2))
    ask(one, other)
    asyncio.run(one.reject("token-1"))
    assert ask(one) == ["token-2"]
    asyncio.run(other.reject("token-1"))
    assert ask(other) == ["token-2"]
    asyncio.run(one.reject("token-1"))
    assert ask(one) == ["token-2"]


def test_at_rest_it_is_encrypted_and_an_unknown_key_means_a_new_token(
    database: Database, clock: VirtualClock, tmp_path: Path
) -> None:
    office = Office(clock)
    ask(cache(database, clock).source("w", office))
    database.close()
    assert all(b"token-1" not in file.read_bytes() for file in tmp_path.iterdir())
    other = Fernet.generate_key().decode()
    assert ask(cache(database, clock, other).source("w", office)) == ["token-2"]
    assert ask(cache(database, clock, KEY, other).source("w", office)) == ["token-2"]
