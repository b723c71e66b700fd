"""A sandbox in a process of its own, what people do in it, and measured workers against it."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import bindparam, delete, update
from tests.servers import REPOSITORY

from bench.measure import (
    PYTHONPATH,
    BenchError,
    Measurement,
    difference,
    run_worker,
    worker_environment,
)
from bench.server import STATE, STORY
from bench.setup import HMAC_KEY, SETTINGS
from calendar_sync.config.settings import parse
from calendar_sync.core.model import Platform
from calendar_sync.state import Database, Store
from calendar_sync.state import tables as t
from calendar_sync_sandbox.demo.world import Slot, User, World
from calendar_sync_sandbox.processes import Program
from calendar_sync_sandbox.receiver import Receiver
from calendar_sync_sandbox.standalone import airflow_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from sqlalchemy import Connection

START_SECONDS = 1800
TEMPLATE = "etmp-follow-up"
LENGTH = timedelta(minutes=25)
Platforms = tuple[Platform, ...]
GOOGLE: Platforms = (Platform.GOOGLE,)


class BenchWorld(World):
    """The control API, and the counts of the request log."""

    def counts(self) -> dict[str, int]:
        """Requests so far, by kind."""
        answer = self._control("GET", "/requests/counts")
        return {str(kind): int(count) for kind, count in answer.items()}

    def channels(self) -> int:
        """How many accounts send notices: channels of Google, subscriptions of Microsoft."""
        told = self._control("GET", "/push")
        return int(told["channels"]) + int(told["subscriptions"])

    def answer_after(self, platform: Platform, seconds: float) -> None:
        """How long a platform takes for an answer from now on."""
        if platform is Platform.MICROSOFT:
            self._control("POST", "/microsoft/latency", {"seconds": seconds})
            return
        self._control("DELETE", "/faults")
        if seconds:
            late = {"service": platform.value, "kind": "latency", "times": None}
            self._control("POST", "/faults", {**late, "seconds": seconds})


class Stage:
    """A served organisation in `folder`; everything that it started ends with it."""

    def __init__(self, folder: Path, *arguments: str, platforms: Platforms = GOOGLE) -> None:
        self.folder = folder
        self.platforms = platforms
        self.state = folder / STATE
        named = [word for one in platforms for word in ("--platform", one.value)]
        self._arguments = (*arguments, *named)
        self._edits = 0
        self.program: Program
        self.world: BenchWorld
        self.users: list[User]
        self.story: dict[str, float] = {}

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        env = airflow_environment(self.folder, self.folder, None, 0)
        self.program = Program(
            [sys.executable, "-m", "bench.server", str(self.folder), *self._arguments],
            log=self.folder / "server.log",
            folder=REPOSITORY,
            env=env | {"PYTHONPATH": PYTHONPATH},
        )
        try:
            self._wait_ready()
        except BaseException:
            self.program.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.program.stop()

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not (self.folder / "sandbox.json").exists():
            if not self.program.running or time.monotonic() > deadline:
                raise BenchError(f"the sandbox did not start:\n{self.program.tail()}")
            time.sleep(0.1)
        self.world = BenchWorld(self.folder)
        self.world.wait_ready()
        users = [user for one in self.platforms for user in self.world.users(one.value)]
        self.users = sorted(users, key=lambda user: user.welkin_id)
        self.story = json.loads((self.folder / STORY).read_text())

    def measure(self, what: str) -> Measurement:
        """Run a worker and count what it asked."""
        env = worker_environment(self.folder, self.state)
        before = self.world.counts()
        report = run_worker(what, env, self.platforms[0].value)
        return Measurement(
            wall=report["wall"],
            cpu=report["cpu"],
            memory_mb=report["memory_mb"],
            requests=difference(self.world.counts(), before),
            start_cpu=report["start_cpu"],
            outcome=report["outcome"],
        )

    def edit(self, count: int) -> None:
        """Give so many users one change each: half get a visit, half plan something privately."""
        step = len(self.users) // count
        for number in range(count):
            user = self.users[number * step]
            slot = self.slot()
            if number % 2:
                self.world.plan_privately(user, slot, "Private")
            else:
                self.world.book(user, slot, TEMPLATE)

    def slot(self) -> Slot:
        """A time that nothing else has."""
        self._edits += 1
        days, minutes = divmod(self._edits, 400)
        day = datetime.now(UTC).replace(hour=3, minute=0, second=0, microsecond=0)
        start = day + timedelta(days=20 + days, minutes=minutes)
        return Slot(start, start + LENGTH)

    def let_time_pass(self, one_in: int = 1) -> None:
        """All accounts, or one in so many, are due for a poll again, as after their interval."""
        now, polled = datetime.now(UTC), t.user_sync.c.last_poll_at
        with self._state() as connection:
            connection.execute(update(t.user_sync).values(last_poll_at=now))
            due = [{"id": user.welkin_id} for user in self.users[::one_in]]
            connection.execute(
                update(t.user_sync)
                .where(t.user_sync.c.user_id == bindparam("id"))
                .values({polled: now - timedelta(hours=1)}),
                due,
            )

    @contextlib.contextmanager
    def receiver(self) -> Iterator[str]:
        """A receiver of push that the sandbox trusts; gives its address."""
        env = worker_environment(self.folder, self.state)
        with Receiver(self.folder, env, self.folder) as receiver:
            receiver.wait_ready()
            self.world.trust_for_notices(self.folder / "ca.pem")
            yield receiver.address

    def forget_tokens(self) -> None:
        """All access tokens have expired, as they do within an hour."""
        with self._state() as connection:
            connection.execute(delete(t.access_token))

    def configure(self, **changed: dict[str, Any]) -> None:
        """Other settings than the bench's, section by section, from the next measurement on."""
        sections = {
            **SETTINGS,
            **{name: {**SETTINGS.get(name, {}), **values} for name, values in changed.items()},
        }
        database = Database(f"sqlite:///{self.state}")
        try:
            store = Store(database, HMAC_KEY)
            store.config.save_settings(parse(sections), "bench", datetime.now(UTC))
        finally:
            database.close()

    @contextlib.contextmanager
    def _state(self) -> Iterator[Connection]:
        database = Database(f"sqlite:///{self.state}")
        try:
            with database.write() as connection:
                yield connection
        finally:
            database.close()
