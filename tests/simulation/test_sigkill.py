"""Ten real SIGKILLs: whatever a worker was doing, the next one ends in the same state (I12)."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from calendar_sync.config.settings import parse
from calendar_sync.core.model import LinkState, MappedUser, Platform
from calendar_sync.state import Database, Store
from calendar_sync.state.migrate import upgrade
from calendar_sync_sandbox import Sandbox, running
from tests.servers import REPOSITORY
from tests.simulation.worker import HMAC_KEY

pytestmark = [pytest.mark.simulation, pytest.mark.xdist_group("sigkill")]
KILLS = 10
PATIENCE = 150.0
#: Between two looks whether all is done: each is a process, which takes two seconds of a core.
LOOK_EVERY = 15.0
HOUR = timedelta(hours=1)
STAFF = ("dana", "ruben")


class Killing:
    """A sandbox over HTTPS, a state database, and workers that are killed one after the other."""

    def __init__(self, folder: Path, url: str) -> None:
        self.sandbox = Sandbox()
        self.sandbox.welkin.rate_limit = None
        self.connections = folder / "connections.json"
        self.url = url
        self.key = Fernet.generate_key().decode()
        self.chance = random.Random(7)  # noqa: S311 - seeded on purpose
        self.begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + 24 * HOUR
        self.ids: dict[str, str] = {}
        for name in STAFF:
            user = self.sandbox.welkin.add_user(f"{name}@example.org", name.title(), "Example")
            self.sandbox.google.add_account(f"{name}@example.org")
            self.ids[name] = user.id
        self.database = Database(url)
        upgrade(self.database)
        self.store = Store(self.database, HMAC_KEY)
        now = datetime.now(UTC)
        quick = parse(
            {"limits": {"welkin_requests_per_second": 100}, "polling": {"interval_seconds": 5}}
        )
        self.store.config.save_settings(quick, "tests", now)
        self.store.config.edit_mapping(
            lambda _: [
                MappedUser(key, Platform.GOOGLE, f"{name}@example.org")
                for name, key in self.ids.items()
            ],
            "tests",
            now,
        )
        self.hours = 0

    def slot(self) -> tuple[datetime, datetime]:
        self.hours += 2
        start = self.begin + self.hours * HOUR
        return start, start + HOUR

    def edit(self) -> None:
        """People go on working: something is new, moved and gone on either side."""
        welkin, google = self.sandbox.welkin, self.sandbox.google
        for name, key in self.ids.items():
            account = f"{name}@example.org"
            for _ in range(4):
                welkin.book_encounter(key, *self.slot())
                start, end = self.slot()
                google.add_event(account, start=start, end=end, summary="Dentist")
            visits = [e for e in welkin.events_of(key) if e.type == "ENCOUNTER" and not e.cancelled]
            welkin.move_event(self.chance.choice(visits).id, *self.slot())
            welkin.cancel_event(self.chance.choice(visits).id)
            own = [e for e in google.events_of(account) if e.get("summary") == "Dentist"]
            google.move_event(account, self.chance.choice(own)["id"], *self.slot())
            google.delete_event(account, self.chance.choice(own)["id"])

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "tests.simulation.worker"]
        process = subprocess.Popen(
            [*command, str(self.connections), self.url, self.key],
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def kill_after_writes(self, writes: int) -> bool:
        """Kill a worker once so many writes have arrived; False when it had less to do."""
        before = len(self.sandbox.requests)
        with self.worker() as process:
            while process.poll() is None:
                if len(self.sandbox.requests.writes(since=before)) >= writes:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    return True
                time.sleep(0.01)
        return False

    def finish(self) -> None:
        with self.worker() as process:
            assert process.wait(120) == 0

    # --- what must hold -----------------------------------------------------------------------

    def check(self) -> None:
        for name, key in self.ids.items():
            account = f"{name}@example.org"
            welkin, google = self.sandbox.welkin, self.sandbox.google
            visits = [
                (e.start, e.end)
                for e in welkin.events_of(key)
                if e.type == "ENCOUNTER" and not e.cancelled
            ]
            assert sorted(map(times, google.mirrors_of(account))) == sorted(visits)
            own = [e for e in google.events_of(account) if e.get("summary") == "Dentist"]
            blocks = [(e.start, e.end) for e in welkin.blocks_of(key, "calsync-")]
            assert sorted(blocks) == sorted(map(times, own))
            links = self.store.links.of(key, Platform.GOOGLE)
            assert [link for link in links if link.state is LinkState.INTENT] == []
        assert self.store.audit.verify() == []
        assert self.sandbox.requests.mail_risk == []


def times(event: Any) -> tuple[datetime, datetime]:
    start, end = (datetime.fromisoformat(event[side]["dateTime"]) for side in ("start", "end"))
    return start.astimezone(UTC), end.astimezone(UTC)


@pytest.mark.timeout(600)
def test_ten_killed_workers_leave_no_trace(tmp_path: Path) -> None:
    killing = Killing(tmp_path, f"sqlite:///{tmp_path}/state.db")
    killed = 0
    with running(killing.sandbox, tmp_path):
        while killed < KILLS:
            killing.edit()
            killed += killing.kill_after_writes(killing.chance.randint(1, 20))
        # What a killed worker may have made is looked for a minute later, when it must show.
        deadline = time.monotonic() + PATIENCE
        while True:
            killing.finish()
            try:
                killing.check()
            except AssertionError:
                assert time.monotonic() < deadline
                time.sleep(LOOK_EVERY)
            else:
                break
        before = len(killing.sandbox.requests)
        time.sleep(5)
        killing.finish()
        assert killing.sandbox.requests.writes(since=before) == []
    killing.database.close()
