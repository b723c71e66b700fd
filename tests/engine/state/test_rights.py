"""Database roles as the compose files make them: each may do what it needs, and no more."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import yaml
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Platform
from calendar_sync.state import Database, Store
from calendar_sync.state import tables as t
from calendar_sync.state.migrate import upgrade
from calendar_sync.state.push import Heard, PushStore
from calendar_sync.state.rights import RECEIVER, grant
from calendar_sync.state.schema import VERSION, require_current
from tests.engine.push.conftest import channel
from tests.engine.state.conftest import NOW, mark
from tests.engine.state.test_audit import run, write
from tests.servers import REPOSITORY, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.postgres
COMPOSE = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())
ROLES = ("owner", "api_server", "scheduler", "dag_processor", "triggerer")
#: Made by the files in deploy/compose.
MORE = {"celery": "worker", "push": "receiver", "backup": "backup"}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """As the compose file's first start leaves it."""
    psql = shutil.which("psql")
    if psql is None:
        pytest.skip("no psql here")
    with PostgresServer() as made:
        passwords = {
            f"{role.upper()}_PASSWORD": f"made-up-{role}" for role in (*ROLES, *MORE.values())
        }
        first = ("postgres", "CREATE DATABASE airflow;")
        rest = [
            ("airflow", COMPOSE["configs"][name]["content"])
            for name in ("second-database", "roles")
        ]
        for name, role in MORE.items():
            part = yaml.safe_load((REPOSITORY / f"deploy/compose/{name}.yaml").read_text())
            rest.append(("airflow", part["configs"][f"{role}-role"]["content"]))
        for database, script in [first, *rest]:
            where = made.url(database).replace("+psycopg", "")
            subprocess.run(
                [psql, "-v", "ON_ERROR_STOP=1", "-q", "-f", "-", where],
                input=script,
                text=True,
                check=True,
                env=os.environ | passwords,
            )
        yield made


def url(server: PostgresServer, role: str, database: str = "calendar_sync") -> str:
    made = make_url(server.url(database)).set(username=role, password=f"made-up-{role}")
    return made.render_as_string(hide_password=False)


@pytest.fixture(scope="module", autouse=True)
def made(server: PostgresServer) -> None:
    """What `init` does."""
    owner = Database(url(server, "owner"))
    upgrade(owner)
    for _ in range(2):
        grant(owner, ["api_server", "scheduler", "triggerer", "worker"])
    # What it once had is taken away.
    grant(owner, ["receiver"])
    grant(owner, ["receiver"], receiver=True)
    Store(owner, "key").push.add(channel())
    owner.close()


@pytest.fixture(params=["api_server", "scheduler", "triggerer", "worker"])
def store(server: PostgresServer, request: pytest.FixtureRequest) -> Iterator[Store]:
    database = Database(url(server, request.param))
    require_current(database)
    yield Store(database, "audit key")
    database.close()


def test_who_runs_the_sync_or_shows_pages_may_work(
    store: Store,
) -> None:
    name = store.database.url.username or ""
    mark(store, [("u1", Platform.GOOGLE)], NOW)
    write(store, name)
    assert run(store, name, minutes=1)
    assert store.audit.verify() == []
    store.runs.set_facts("google", a=1)
    assert store.runs.take_fact("google", "a") == 1
    assert store.leases.take(name, "me", NOW).fence
    assert store.rates.reserve(name, 5.0, 1000.0) == 0
    assert store.tokens.claim("google:x:dana@example.org", "me", NOW)
    store.tokens.drop_account("dana@example.org")
    store.config.edit_mapping(lambda _: [], "tests", NOW)
    store.runs.forget(NOW - timedelta(days=1), NOW - timedelta(days=1))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE operation SET outcome = 'ok'",
        "DELETE FROM operation",
        "TRUNCATE operation",
        "UPDATE audit_seal SET seal = ''",
        "DELETE FROM audit_seal",
        "ALTER TABLE operation DROP COLUMN hash",
        "DROP TABLE audit_seal",
        "CREATE TABLE mine (id integer)",
        "UPDATE alembic_version SET version_num = '0001'",
    ],
)
def test_they_may_not_change_the_record_or_a_table(store: Store, statement: str) -> None:
    refused = pytest.raises(DBAPIError, match=r"permission denied|must be owner")
    with refused, store.database.write() as connection:
        connection.exec_driver_sql(statement)


@pytest.fixture
def receiver(server: PostgresServer) -> Iterator[Database]:
    database = Database(url(server, "receiver"))
    yield database
    database.close()


def test_the_receiver_counts_notices(receiver: Database) -> None:
    require_current(receiver)
    heard = {channel().id: Heard(), "unknown": Heard()}
    assert PushStore(receiver).hear(heard, NOW) == {channel().id}


@pytest.mark.parametrize("table", sorted({*t.metadata.tables, VERSION} - RECEIVER.keys()))
def test_the_receiver_sees_nothing_else(receiver: Database, table: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"), receiver.read() as connection:
        connection.exec_driver_sql(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608


@pytest.mark.parametrize(
    "statement", ["DELETE FROM push_channel", "UPDATE alembic_version SET version_num = '0001'"]
)
def test_the_receiver_removes_nothing(receiver: Database, statement: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"), receiver.write() as connection:
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("role", "database"),
    [("dag_processor", "calendar_sync"), ("worker", "airflow"), ("receiver", "airflow")],
)
def test_a_role_does_not_reach_the_other_database(
    server: PostgresServer, role: str, database: str
) -> None:
    with pytest.raises(DBAPIError, match="permission denied for database"):
        create_engine(url(server, role, database)).connect()


@pytest.mark.parametrize("role", ROLES[1:])
def test_what_the_owner_makes_in_airflows_database_all_may_use(
    server: PostgresServer, role: str
) -> None:
    owner = create_engine(url(server, "owner", "airflow"))
    with owner.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE of_{role} (id serial PRIMARY KEY, a integer)")
    owner.dispose()
    engine = create_engine(url(server, role, "airflow"))
    for statement in (
        f"INSERT INTO of_{role} (a) VALUES (1)",  # noqa: S608
        f"UPDATE of_{role} SET a = 2",  # noqa: S608
        f"DELETE FROM of_{role}",  # noqa: S608
    ):
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
    with pytest.raises(DBAPIError, match="must be owner"), engine.begin() as connection:
        connection.exec_driver_sql(f"DROP TABLE of_{role}")
    engine.dispose()


def test_a_file_has_no_roles(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/state.db")
    with pytest.raises(ConfigurationError, match="PostgreSQL"):
        grant(database, ["scheduler"])
    database.close()
