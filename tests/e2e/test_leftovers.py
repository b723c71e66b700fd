"""A test runner that is ended, however that is done, leaves no server and no browser behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.e2e.browser.conftest import FLAGS, find_chromium
from tests.servers import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What a runner has started when it is ended; each ends with a line that says so.
POSTGRES = """
from tests.servers import PostgresServer
with PostgresServer() as server:
    server.create_database()
    print("up", flush=True)
    time.sleep(600)
"""
AIRFLOW = """
from calendar_sync_sandbox.standalone import StandaloneAirflow
airflow = StandaloneAirflow(here / "home", here, port=0)
airflow.start()
while len(airflow.program.members) < 4:
    assert airflow.program.running, airflow.program.tail()
    time.sleep(0.1)
print("up", flush=True)
time.sleep(600)
"""
CHROMIUM = f"""
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path={find_chromium()!r}, args={FLAGS})
    browser.new_page().goto("about:blank")
    print("up", flush=True)
    time.sleep(600)
"""
BEGIN = """
import sys, time
from pathlib import Path
here = Path(sys.argv[1])
"""


@pytest.fixture
def here() -> Iterator[Path]:
    """A folder by which everything can be known again; PostgreSQL's own user may enter it."""
    folder = Path(tempfile.mkdtemp(prefix="calendar-sync-leftovers-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def living(here: Path) -> list[str]:
    """The processes that have to do with this folder: by command, place or environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            told = [*process.cmdline(), process.cwd(), *process.environ().values()]
            if process.status() != psutil.STATUS_ZOMBIE and any(str(here) in one for one in told):
                found.append(f"{process.pid}: {' '.join(process.cmdline())[:200]}")
    return found


#: Either signal ends a runner at once, without a chance to clean up.
AGAIN = pytest.mark.every_seed


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("work", "number"),
    [
        pytest.param(POSTGRES, signal.SIGTERM, marks=pytest.mark.postgres, id="PostgreSQL, TERM"),
        pytest.param(POSTGRES, signal.SIGKILL, marks=pytest.mark.postgres, id="PostgreSQL, KILL"),
        pytest.param(AIRFLOW, signal.SIGTERM, marks=AGAIN, id="Airflow, TERM"),
        pytest.param(AIRFLOW, signal.SIGKILL, id="Airflow, KILL"),
        pytest.param(CHROMIUM, signal.SIGTERM, marks=AGAIN, id="Chromium, TERM"),
        pytest.param(CHROMIUM, signal.SIGKILL, id="Chromium, KILL"),
    ],
)
def test_nothing_outlives_a_runner(here: Path, work: str, number: signal.Signals) -> None:
    if work is CHROMIUM and not find_chromium():
        assert os.environ.get("CI") != "true", "Chromium is needed in CI"
        pytest.skip("NOT TESTED, no Chromium on this machine")
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN + work, str(here)],
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(here)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as runner:
        assert runner.stdout is not None
        said = runner.stdout.readline()
        before = living(here)
        runner.send_signal(number)
    assert said == b"up\n"
    assert len(before) > 1, before
    while left := living(here):
        # Ends with the test's own limit of time; by then nothing has ended them.
        time.sleep(0.2)
    assert left == []
    assert list(here.glob("calendar-sync-postgres-*")) == []
