"""Fixtures for all tests. Airflow gets a home of its own before anybody imports it."""

from __future__ import annotations

import atexit
import gc
import os
import re
import shutil
import sys
import tempfile
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.servers import REPOSITORY, PostgresServer, ServerUnavailableError
from tests.spread import further

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

# A busy machine is no failure of what is tested.
settings.register_profile("calendar_sync", deadline=None)
settings.load_profile("calendar_sync")

# Importing Airflow writes a configuration file and opens a database below AIRFLOW_HOME; neither
# may touch, nor depend on, what the person who runs the tests has in theirs.
_HOME = tempfile.mkdtemp(prefix="calendar-sync-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
for _name in [name for name in os.environ if name.startswith(("AIRFLOW_", "CALENDAR_SYNC_"))]:
    del os.environ[_name]
# The programs that tests start would compile what they import anew, each of them.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["AIRFLOW_HOME"] = _HOME
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(REPOSITORY / "dags")
# Long enough for its algorithm, which warns otherwise; and of one value in all processes.
os.environ["AIRFLOW__API_AUTH__JWT_SECRET"] = "made-up-secret-of-the-tests-" * 3
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(REPOSITORY / "plugins")


#: What one worker does alone begins first, the longest first: two workers mostly wait for their
#: Airflow. Meanwhile the third computes the stories of the simulation. What waits a little comes
#: next, and the many short tests fill up whoever is done.
ALONE = ("airflow", "browser", "cluster")
SIMULATION, LATER = len(ALONE), ("sigkill", "cli", "bounds", "bench", "dags")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-seed",
        action="store_true",
        help="what is only for a release: all seeds, and all combinations of parameters",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Starting a whole Airflow takes its time where the machine is busy."""
    for item in items:
        if item.get_closest_marker("airflow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(1200))
    if not config.getoption("--every-seed"):
        seeds = [item for item in items if item.get_closest_marker("every_seed")]
        if later := {*seeds, *further(items)}:
            config.hook.pytest_deselected(items=list(later))
            items[:] = [item for item in items if item not in later]
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=_turn)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage seldom, and not among what was imported: a tenth of all the computing."""
    gc.disable()
    collected = yield
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    return collected


def _turn(item: pytest.Item) -> int:
    group = item.get_closest_marker("xdist_group")
    name = group.args[0] if group is not None else ""
    if name in ALONE:
        return ALONE.index(name)
    if name in LATER:
        return SIMULATION + 1 + LATER.index(name)
    simulated = item.get_closest_marker("simulation") is not None
    return SIMULATION if simulated else SIMULATION + 1 + len(LATER)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of an `xdist_group` on one worker, as `--dist loadgroup` is to do.

    pytest-xdist 3.8 hands the group over in the node id, which it can no longer change since
    pytest 9.2: every group was scattered over all workers. Ours are whole files (`pytestmark`).
    """
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    @cache
    def group_of(path: str) -> str | None:
        found = re.search(r'xdist_group\("(\w+)"\)', (config.rootpath / path).read_text("utf-8"))
        return found[1] if found else None

    class ByGroup(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid.partition("::")[0]) or nodeid

    return ByGroup(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(autouse=True)
def _nothing_masked() -> Iterator[None]:
    """Airflow looks for every secret it has met in one pattern, made anew with each further one.

    A process meets a few, the tests many: in time, reading a connection took longer than the test.
    """
    yield
    if masker := sys.modules.get("airflow.sdk._shared.secrets_masker.secrets_masker"):
        masker.reset_secrets_masker()


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


@pytest.fixture
def new_postgres_url(postgres_server: PostgresServer) -> str:
    """The SQLAlchemy URL of a database that `harness.fresh` is to make."""
    return postgres_server.new_url()
