"""Fixtures for all tests. Airflow gets a home of its own before anybody imports it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

import pytest

from tests.servers import REPOSITORY, PostgresServer, ServerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Importing Airflow writes a configuration file and opens a database below AIRFLOW_HOME; neither
# may touch, nor depend on, what the person who runs the tests has in theirs.
_HOME = tempfile.mkdtemp(prefix="calendar-sync-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
for _name in [name for name in os.environ if name.startswith(("AIRFLOW_", "CALENDAR_SYNC_"))]:
    del os.environ[_name]
os.environ["AIRFLOW_HOME"] = _HOME
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(REPOSITORY / "dags")
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(REPOSITORY / "plugins")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL for this test process; skipped where there is none, but never in CI."""
    try:
        with PostgresServer() as server:
            yield server
    except ServerUnavailableError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"PostgreSQL is needed in CI: {error}")
        pytest.skip(f"NOT TESTED, no PostgreSQL on this machine: {error}")


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """The SQLAlchemy URL of a fresh, empty database."""
    return postgres_server.create_database()
