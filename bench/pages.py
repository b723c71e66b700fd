"""How long pages take: `python -m tests.engine.admin.measure [USERS] [LINKS] [OPERATIONS]`.

Through the whole app (guard, read model, template), on a SQLite file and on PostgreSQL.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.testclient import TestClient

from calendar_sync.admin.factory import create_app
from calendar_sync.admin.web import PREFIX
from calendar_sync.admin.web.access import Right, Viewer
from calendar_sync.admin.web.opening import State
from calendar_sync.state import Database, Store
from calendar_sync.state.migrate import upgrade
from tests.engine.admin.population import populate
from tests.servers import PostgresServer

if TYPE_CHECKING:
    from starlette.requests import Request

ROUNDS = 40
PATHS = (
    "/users",
    "/users?q=person00",
    "/users?q=nobody-of-this-name",
    "/users?state=needs+attention&platform=google",
    "/users?sort=last_success&page=150",
    "/users?sort=freshness",
    "/users/user-00007",
    "/",
    "/activity",
    "/activity?outcome=failed&platform=microsoft",
    "/activity?user=person00007@example.org",
    "/activity?user=nobody@example.org",
    "/api/v1/users",
)


class Everybody:
    """No auth manager: what it takes is Airflow's."""

    async def viewer(self, request: Request) -> Viewer:
        """May do everything."""
        return Viewer("measure", "measure", frozenset(Right), by_token=True)

    def secret(self) -> bytes:
        """Of no importance."""
        return b"made-up"

    def origins(self) -> frozenset[str]:
        """None."""
        return frozenset()


def measure(url: str, users: int, links: int, operations: int) -> None:
    """Fill one database and ask for each page in turn, so that no page profits from the last."""
    database = Database(url)
    upgrade(database)
    begun = time.perf_counter()
    populate(Store(database, "key"), datetime.now(UTC), users, links=links, operations=operations)
    if not database.is_sqlite:
        with database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")
    print(f"\n{url.partition(':')[0]}: filled in {time.perf_counter() - begun:.0f} s")
    root = Starlette()
    root.mount(PREFIX, create_app(Everybody(), State(url)))
    took: dict[str, list[float]] = {path: [] for path in PATHS}
    with TestClient(root, base_url=f"http://measure{PREFIX}") as client:
        for number in range(ROUNDS + 1):
            for path in PATHS:
                start = time.perf_counter()
                assert client.get(path).status_code == 200, path
                if number:
                    took[path].append(1000 * (time.perf_counter() - start))
    print(f"{'ms':48} {'median':>8} {'p95':>8} {'least':>8} {'most':>8}")
    for path, times in took.items():
        p95 = statistics.quantiles(times, n=20)[-1]
        line = (statistics.median(times), p95, min(times), max(times))
        print(f"{path:48} " + " ".join(f"{value:8.0f}" for value in line))
    database.close()


def main() -> None:
    """Both databases."""
    users, links, operations = (
        int(sys.argv[number]) if len(sys.argv) > number else usual
        for number, usual in ((1, 10_000), (2, 40), (3, 20_000))
    )
    print(f"{users} users, {users * links} links, {operations} operations, {ROUNDS} rounds")
    with tempfile.TemporaryDirectory() as folder:
        measure(f"sqlite:///{Path(folder) / 'state.db'}", users, links, operations)
    with PostgresServer() as server:
        measure(server.create_database(), users, links, operations)


if __name__ == "__main__":
    main()
