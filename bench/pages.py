"""Pages and commands beside an organisation of ten thousand users, on PostgreSQL and SQLite.

Pages go through the whole app (guard, read model, template); commands are processes, as from a
shell, and most of what a short one takes is the start of Python and Airflow.

`python -m bench --pages` measures this alone and replaces its section of the page.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.testclient import TestClient
from tests.engine.admin.population import populate
from tests.servers import REPOSITORY, PostgresServer

from bench.cases import say
from bench.measure import PYTHONPATH, BenchError, Spread
from bench.page import table, wrapped
from bench.results import Kept, Results
from bench.setup import HMAC_KEY, connection_variables
from calendar_sync.admin.factory import create_app
from calendar_sync.admin.web import PREFIX
from calendar_sync.admin.web.access import Right, Viewer
from calendar_sync.admin.web.opening import State
from calendar_sync.state import Database, Store
from calendar_sync.state.migrate import upgrade
from calendar_sync_sandbox import Sandbox, running
from calendar_sync_sandbox.standalone import airflow_environment

if TYPE_CHECKING:
    from starlette.requests import Request

    from bench.scale import Scale

HEADING = "## Pages and commands with ten thousand users"
LINKS, OPERATIONS = 40, 20_000
PAGE_ROUNDS, COMMAND_ROUNDS = 40, 5
PATHS = (
    "/",
    "/users",
    "/users?q=person00",
    "/users?q=nobody-of-this-name",
    "/users?state=needs+attention&platform=google",
    "/users?sort=last_success&page=150",
    "/users?sort=freshness",
    "/users/user-00007",
    "/attention",
    "/activity",
    "/activity?outcome=failed&platform=microsoft",
    "/activity?user=person00007@example.org",
    "/activity?user=nobody@example.org",
    "/mapping",
    "/mapping?q=person00",
    "/mapping/history",
    "/mapping.csv",
    "/settings",
    "/settings/history",
    "/settings/profiles",
    "/tools",
    "/unsync",
    "/exposure",
    "/api/v1/users",
    "/api/v1/overview",
)


@dataclass
class Times(Kept):
    """Milliseconds of each page, seconds of each command, by database."""

    users: int
    pages: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    commands: dict[str, dict[str, list[float]]] = field(default_factory=dict)


class Everybody:
    """No auth manager: what it takes is Airflow's."""

    async def viewer(self, request: Request) -> Viewer:
        """May do everything."""
        return Viewer("bench", "bench", frozenset(Right), by_token=True)

    def secret(self) -> bytes:
        """Of no importance."""
        return b"made-up"

    def origins(self) -> frozenset[str]:
        """None."""
        return frozenset()


def measure(folder: Path, scale: Scale) -> Times:
    """Both databases, one after the other."""
    about = Results.begin(scale)
    found = Times(about.date, about.load_before, scale.many)
    sandbox = Sandbox()
    for number in range(scale.many):
        name, mailbox = f"user-{number:05}", f"person{number:05}@example.org"
        sandbox.welkin.add_user(
            mailbox, "Person", f"Number{number}", id=name, instances=(sandbox.instance,)
        )
    with PostgresServer() as server, running(sandbox, folder / "pages"):
        for url in (server.create_database(), f"sqlite:///{folder}/pages.db"):
            _one(found, url, folder)
    return found


def _one(found: Times, url: str, folder: Path) -> None:
    name = "SQLite" if url.startswith("sqlite") else "PostgreSQL"
    database = Database(url)
    upgrade(database)
    store = Store(database, HMAC_KEY)
    populate(store, datetime.now(UTC), found.users, links=LINKS, operations=OPERATIONS)
    if not database.is_sqlite:
        with database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")
    say(f"{name}: {found.users:,} users are there")
    found.pages[name] = _pages(url)
    found.commands[name] = _commands(url, folder)
    database.close()


def _pages(url: str) -> dict[str, list[float]]:
    """Each page in turn, so that none profits from the last; the first round is not kept."""
    root = Starlette()
    root.mount(PREFIX, create_app(Everybody(), State(url)))
    took: dict[str, list[float]] = {path: [] for path in PATHS}
    with TestClient(root, base_url=f"http://bench{PREFIX}") as client:
        for number in range(PAGE_ROUNDS + 1):
            for path in PATHS:
                start = time.perf_counter()
                if (status := client.get(path).status_code) != 200:
                    raise BenchError(f"{path}: {status}")
                if number:
                    took[path].append(1000 * (time.perf_counter() - start))
    return took


def _commands(url: str, folder: Path) -> dict[str, list[float]]:
    env = (
        airflow_environment(folder, folder, None, 0)
        | connection_variables(folder / "pages")
        | {"CALENDAR_SYNC_DATABASE_URL": url, "PYTHONPATH": PYTHONPATH}
    )
    took: dict[str, list[float]] = {}

    def run(*arguments: str, code: int = 0, kept: bool = True) -> str:
        begun = time.perf_counter()
        done = subprocess.run(
            [Path(sys.executable).with_name("calendar-sync"), *arguments],
            cwd=REPOSITORY,
            env=env,
            # Whoever is asked says no.
            input="n\n",
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - begun
        if done.returncode != code:
            raise BenchError(f"{arguments}: {done.returncode}\n{done.stderr[-2000:]}")
        if kept:
            took.setdefault(" ".join(arguments).replace(str(folder), "").strip(), []).append(
                seconds
            )
        return done.stdout

    rows = run("mapping", "export", kept=False)
    both = [folder / "user_mapping.csv", folder / "other_mapping.csv"]
    for number, file in enumerate(both):
        # One row in ten changes with each import.
        text = rows.replace("0@example.org", f"0-{number}@example.org")
        file.write_text(text)
    run("--version", kept=False)
    for number in range(COMMAND_ROUNDS):
        run("--version")
        run("status")
        run("mapping", "export")
        begun = time.perf_counter()
        run("mapping", "import", str(both[number % 2]), kept=False)
        took.setdefault("mapping import", []).append(time.perf_counter() - begun)
        if "Disable " not in run("unsync", "--all", code=1):
            raise BenchError("unsync has not asked")
    return took


def section(found: Times) -> str:
    """Both tables, databases side by side."""
    databases = list(found.pages)
    pages = [
        (
            f"`{path}`",
            *(text for name in databases for text in _milliseconds(found.pages[name][path])),
        )
        for path in PATHS
    ]
    commands = [
        (f"`{words}`", *(Spread.of(found.commands[name][words]).text() for name in databases))
        for words in found.commands[databases[0]]
    ]
    slowest = max((_p95(times), path) for path, times in found.pages[databases[0]].items())
    parts = [
        HEADING,
        f"""Measured on {found.date} (load {found.load:.1f} before the start): {found.users:,} users
on both platforms, {found.users * LINKS:,} links of mirrors and blocks, one in eight of which is
deleted, {OPERATIONS:,} operations in the audit log. Milliseconds of a page from its request to its
last byte, {PAGE_ROUNDS} times each; Airflow's sign-in is left out. With {databases[0]},
`{slowest[1]}` is slowest: p95 {slowest[0]:.0f} ms.""",
        table(
            ("page", *(f"{name}, {word}" for name in databases for word in ("median", "p95"))),
            pages,
        ),
        f"""Commands as a person types them, seconds of {COMMAND_ROUNDS} starts. The first line is
the start of Python alone. `mapping import` reads a file of {found.users:,} rows of which one in ten
names another account, and asks Welkin for its users; `unsync --all` counts what it would delete,
and is told *no*.""",
        table(("command", *(f"{name}, s" for name in databases)), commands),
    ]
    return "\n\n".join(wrapped(part) for part in parts) + "\n"


def _milliseconds(times: list[float]) -> tuple[str, str]:
    return f"{statistics.median(times):.0f}", f"{_p95(times):.0f}"


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]
