"""PgBouncer in transaction mode: a connection may have been another process's a moment ago."""

from __future__ import annotations

import contextlib
import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from calendar_sync.core.model import Platform
from calendar_sync.state import Database, Store
from tests.engine.state.conftest import NOW, mark
from tests.engine.state.test_audit import run, write
from tests.harness import fresh
from tests.pooler import CONNECTIONS, pooled
from tests.servers import ServerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import PostgresServer

pytestmark = pytest.mark.postgres
PAIR = ("u1", Platform.GOOGLE)


@pytest.fixture
def stores(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> Iterator[list[Store]]:
    """Of more processes than the pooler has connections."""
    fresh(postgres_url).close()
    with contextlib.ExitStack() as running:
        try:
            url = running.enter_context(pooled(postgres_server, postgres_url, tmp_path))
        except ServerUnavailableError as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"NOT TESTED: {error}")
        made = [Store(Database(url), "audit key") for _ in range(CONNECTIONS + 1)]
        yield made
        for store in made:
            store.database.close()


def test_what_another_process_has_left_in_a_connection_changes_nothing(
    stores: list[Store],
) -> None:
    # The driver prepares a statement that it has sent a few times.
    for number in range(12):
        for store in stores:
            mark(store, [PAIR], NOW)
            assert store.marks.of(*PAIR).marked
            assert store.rates.reserve("welkin", 1000.0, 1000.0) >= 0
            lease = store.leases.take("u1", f"worker {number}", NOW + timedelta(hours=number))
            store.leases.release(lease, NOW + timedelta(hours=number))
    for number, store in enumerate(stores):
        write(store, f"run {number}")
        assert run(store, f"run {number}", minutes=number + 1)
        # One moment is seen, whatever is committed meanwhile.
        assert store.audit.verify() == []
    assert stores[0].marks.of(*PAIR).mark_seq == 12 * len(stores)
