"""The first start makes state database and key, once, and never another key beside links."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.models.connection import Connection
from airflow.utils.session import create_session
from sqlalchemy import delete, func, insert, select

from calendar_sync.config.credentials import HMAC_KEY
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.orchestration.connections import server_context
from calendar_sync.orchestration.first_start import first_start, make_state
from calendar_sync.state import Database
from calendar_sync.state import tables as t
from calendar_sync.state.place import Place, place_of
from calendar_sync.state.schema import require_current
from tests.engine.setup.airflow_tables import tables
from tests.engine.setup.upgrading import upgraded

LINK = {
    "kind": "mirror",
    "user_id": "ada",
    "platform": "google",
    "account": "ada@example.org",
    "calendar": "primary",
    "source_id": "1",
    "generation": 1,
    "remote_id": "r",
    "span": "",
    "created_at": datetime(2026, 11, 29, tzinfo=UTC),
    "updated_at": datetime(2026, 11, 29, tzinfo=UTC),
}


@pytest.fixture(autouse=True)
def airflow_database() -> Iterator[None]:
    with tables(), server_context():
        yield


def forget_key() -> None:
    with create_session() as session:
        session.execute(delete(Connection).where(Connection.conn_id == HMAC_KEY))


def key() -> str | None:
    with create_session() as session:
        found = session.scalar(select(Connection).where(Connection.conn_id == HMAC_KEY))
        return found.password if found else None


def place(url: str) -> Place:
    database = Database(url)
    try:
        return place_of(database)
    finally:
        database.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state.db"


def test_the_first_start_makes_both_and_the_second_neither(sqlite: str) -> None:
    assert place(sqlite) is Place.MISSING
    assert first_start(sqlite)
    made = key()
    assert made is not None
    assert len(made) > 40
    assert place(sqlite) is Place.READY
    assert not first_start(sqlite)
    assert key() == made


def test_a_key_without_a_database_is_for_a_person(sqlite: str, tmp_path: Path) -> None:
    assert first_start(sqlite)
    made, elsewhere = key(), f"sqlite:///{tmp_path}/elsewhere.db"
    assert not first_start(elsewhere)
    assert place(elsewhere) is Place.MISSING
    assert make_state(elsewhere)
    assert (place(elsewhere), key()) == (Place.READY, made)


def with_link(url: str, state: str) -> None:
    database = Database(url)
    known = {column.name for column in t.link.columns}
    values: dict[str, Any] = {name: one for name, one in LINK.items() if name in known}
    with database.write() as connection:
        connection.execute(insert(t.link).values(**values, state=state))
    database.close()


@pytest.mark.parametrize("state", ["live", "intent", "retired"])
def test_no_new_key_is_made_beside_links(sqlite: str, state: str) -> None:
    assert first_start(sqlite)
    with_link(sqlite, state)
    forget_key()
    assert not first_start(sqlite)
    with pytest.raises(ConfigurationError) as caught:
        make_state(sqlite)
    assert caught.value.code == "key_lost"
    assert key() is None


def test_where_everything_was_taken_back_a_new_key_is_made(sqlite: str) -> None:
    assert first_start(sqlite)
    with_link(sqlite, "deleted")
    former = key()
    forget_key()
    assert first_start(sqlite)
    assert key() not in (None, former)


def test_an_empty_key_is_no_key_and_is_not_replaced(sqlite: str) -> None:
    with create_session() as session:
        session.add(Connection(conn_id=HMAC_KEY, conn_type="generic"))
    assert not first_start(sqlite)
    with pytest.raises(ConfigurationError, match="no password"):
        make_state(sqlite)


def test_what_refuses_is_no_crash(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not first_start(f"sqlite:///{tmp_path}/file/state.db")
    assert not first_start("mysql://root@localhost/x")


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_processes_that_start_at_once_make_one_schema(
    kind: str, sqlite: str, request: pytest.FixtureRequest
) -> None:
    url = sqlite if kind == "sqlite" else request.getfixturevalue("postgres_url")
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert len(set(pool.map(upgraded, [url] * 3))) == 1
    database = Database(url)
    require_current(database)
    database.close()


def test_threads_that_start_at_once_make_one_key(sqlite: str) -> None:
    assert make_state(sqlite)
    forget_key()
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: make_state(sqlite), range(4)))
    assert made.count(True) == 1
    with create_session() as session:
        query = select(func.count()).where(Connection.conn_id == HMAC_KEY)
        assert session.scalar(query) == 1
