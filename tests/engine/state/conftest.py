"""Every test of this folder runs on a SQLite file and on PostgreSQL."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from calendar_sync.state import Database, Store
from calendar_sync.state.marks import Pair
from tests.harness import fresh

NOW = datetime(2026, 3, 2, 15, 0, 0, 123456, tzinfo=UTC)


KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=KINDS, name="url")
def fixture_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/deep/state.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database at the newest schema."""
    if request.param == "sqlite":
        made = fresh(f"sqlite:///{tmp_path}/state.db")
    else:
        made = fresh(request.getfixturevalue("new_postgres_url"))
    yield made
    made.close()


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database, "audit key")


def mark(store: Store, pairs: Iterable[Pair], now: datetime = NOW) -> None:
    """Give work to these users."""
    with store.database.write() as connection:
        store.marks.mark(connection, pairs, now)
