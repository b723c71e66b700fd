"""Pages over a state database at the newest schema."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from calendar_sync.state import Store
from tests.engine.admin.stage import OPERATOR, VIEWER, Pages, build
from tests.harness import fresh


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    database = fresh(f"sqlite:///{tmp_path}/state.db")
    yield Store(database, "audit key")
    database.close()


@pytest.fixture
def pages(store: Store) -> Iterator[Pages]:
    made = build(store)
    yield made
    made.app.state.calendar_sync.close()


@pytest.fixture
def viewer(pages: Pages) -> Iterator[TestClient]:
    with pages.browser(VIEWER) as client:
        yield client


@pytest.fixture
def operator(pages: Pages) -> Iterator[TestClient]:
    with pages.browser(OPERATOR) as client:
        yield client
