"""A real browser before a real Airflow. Chromium comes from Debian's packages."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import MetaData

from calendar_sync.state.migrate import upgrade
from calendar_sync_sandbox.organisation import FIRST, LAST
from calendar_sync_sandbox.standalone import StandaloneAirflow
from tests.e2e.airflow.stage import Stage, closing_state, rest, stage_on
from tests.servers import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calendar_sync.state import Database

UPKEEP = ("sync_health", "calendar_sync_maintenance")
DAGS = ("google_calendar_sync", "microsoft_calendar_sync", *UPKEEP)

#: Without a sandbox of its own, as it must run as root in CI; nothing that calls home.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTINGS = {
    # Whatever rests on absence waits for a person.
    "deletion_guard": {"max_deletions": 0, "max_share": 0},
    "mirror_content": {},
    # The schedules rest between the acts.
    "freshness": {"target_seconds": 7200},
}

#: Whoever is synced may look, too (`tests/e2e/airflow/stage.py` says who that is).
PEOPLE = [f"{FIRST[n]}.{LAST[7 * n % len(LAST)]}@example.org".lower() for n in range(5)]
USERS = {
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
        ["admin:admin", *(f"{name}:viewer" for name in PEOPLE)]
    )
}


def find_chromium() -> str:
    """The browser's program, installed first where that is possible; empty where it is not."""
    found = shutil.which("chromium")
    if found is None:
        subprocess.run([REPOSITORY / ".ci" / "install-servers"], check=False)
        found = shutil.which("chromium")
    return found or ""


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser; skipped loudly where there is none, but never in CI.

    Not longer than for this package: Playwright keeps an event loop running in the thread, in which
    nobody else could begin one.
    """
    program = find_chromium()
    if not program:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is needed in CI")
        pytest.skip("NOT TESTED, no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneAirflow]:
    """Nobody has set it up. It serves one organisation after the other: a start costs too much."""
    made = StandaloneAirflow(
        tmp_path_factory.mktemp("airflow") / "home",
        REPOSITORY / "dags",
        plugins=REPOSITORY / "plugins",
        env=USERS,
        port=0,
    )
    with made:
        for dag_id in DAGS:
            made.wait_dag(dag_id)
        # The first request, whoever makes it, has both made.
        httpx.get(f"http://localhost:{made.port}/calendar-sync/", trust_env=False, timeout=60)
        assert (made.home / "calendar_sync.db").exists()
        assert made.call("GET", "/connections/calendar_sync_hmac_key")["conn_type"] == "generic"
        yield made
        made.stop(patience=1)
    assert made.program is not None
    assert made.program.members == []


def forget(airflow: StandaloneAirflow, database: Database) -> None:
    """As if nobody had ever set it up, but for the runs."""
    for dag_id in DAGS:
        rest(airflow, dag_id)
    for one in airflow.call("GET", "/connections?limit=100")["connections"]:
        airflow.call("DELETE", f"/connections/{one['connection_id']}")
    with database.write() as connection:
        tables = MetaData()
        tables.reflect(connection)
        tables.drop_all(connection)


@pytest.fixture(scope="package")
def stage(airflow: StandaloneAirflow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """After the first fill of both platforms; then the schedules rest."""
    folder = tmp_path_factory.mktemp("browser")
    with closing_state(airflow) as database:
        forget(airflow, database)
        upgrade(database)
        with stage_on(airflow, database, folder, SETTINGS) as made:
            for platform in ("google", "microsoft"):
                one = made.on(platform)
                one.airflow.unpause(one.dag_id)
                one.run()
                one.rest()
            yield made


@contextlib.contextmanager
def sign_in(chromium: Browser, stage: Stage, name: str, password: str) -> Iterator[Page]:
    """A browser of somebody who has signed in to Airflow by its form."""
    context = chromium.new_context(
        base_url=f"http://localhost:{stage.airflow.port}", timezone_id="America/New_York"
    )
    context.set_default_timeout(20_000)
    made = context.new_page()
    problems: list[str] = []
    made.on("pageerror", lambda error: problems.append(str(error)))
    made.on(
        "console",
        lambda message: problems.append(message.text) if message.type == "error" else None,
    )
    made.goto("/auth/login", wait_until="domcontentloaded")
    made.get_by_label("Username").fill(name)
    made.get_by_label("Password").first.fill(password)
    made.get_by_role("button", name="Sign in").click()
    made.wait_for_url(lambda url: "login" not in url)
    problems.clear()
    yield made
    context.close()
    assert problems == [], "the browser complained"


@pytest.fixture(scope="package")
def page(chromium: Browser, stage: Stage) -> Iterator[Page]:
    """An administrator."""
    with sign_in(chromium, stage, "admin", stage.airflow.password) as made:
        yield made
