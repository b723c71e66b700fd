"""What the demo runs on: sandbox, Airflow, state database; started once, ended for certain."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import yaml

from calendar_sync.sandbox.demo.world import PLATFORMS, User, World
from calendar_sync.sandbox.processes import Program, Register
from calendar_sync.sandbox.standalone import StandaloneAirflow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType, TracebackType

#: The DAG of each platform.
DAG_IDS = {platform: f"{platform}_calendar_sync" for platform in PLATFORMS}
USERS = 25
ENCOUNTERS = 20
#: The story is not about waiting: polls come sooner and Welkin allows more than it really does.
POLL_SECONDS = 5
WELKIN_REQUESTS_PER_SECOND = 50


class StageError(RuntimeError):
    """Something did not start; the message says what to look at."""


class Interrupts:
    """Turns Ctrl-C and SIGTERM into KeyboardInterrupt, but never inside `held`.

    Between starting a program and noting it, and while everything is being ended, an exception
    out of nowhere would leave processes behind.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._pending = False

    def install(self) -> None:
        """Take over both signals."""
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._depth:
            self._pending = True
        else:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep an interrupt until the block has ended."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        if self._pending and not self._depth:
            self._pending = False
            raise KeyboardInterrupt


class Stage:
    """Everything that the story needs, in `folder`, which is emptied first.

    Args:
        repository: where `dags/`, `config/` and perhaps `plugins/` are.
        folder: what may be thrown away; it keeps the logs until the next demo.
        interrupts: see there.
    """

    world: World
    airflow: StandaloneAirflow

    def __init__(self, repository: Path, folder: Path, interrupts: Interrupts) -> None:
        self.repository = repository
        self.folder = folder
        self._interrupts = interrupts
        self._register = Register(folder)
        self._running = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir(exist_ok=True)
        try:
            self._take_lock()
            self._register.end_leftovers()
            for entry in self.folder.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry)
                elif entry.name != "lock":
                    entry.unlink()
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A second Ctrl-C while ending is no reason to end less.
        with contextlib.suppress(KeyboardInterrupt), self._interrupts.held():
            self._running.close()
            self._register.end_leftovers()

    def _take_lock(self) -> None:
        lock = self._running.enter_context((self.folder / "lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StageError(f"another demo is running in {self.folder}") from None

    def _note(self, program: Program) -> None:
        self._running.callback(program.stop)
        self._register.add(program.session)

    # --- Starting, in an order that keeps both cores busy -----------------------

    def start_airflow(self) -> None:
        """Start Airflow; it needs most of the time, so the rest is prepared meanwhile."""
        plugins = self.repository / "plugins"
        with self._interrupts.held():
            self.airflow = StandaloneAirflow(
                self.folder / "airflow",
                self.repository / "dags",
                plugins=plugins if plugins.exists() else None,
            )
            self.airflow.start()
            assert self.airflow.program is not None  # noqa: S101 - narrows the type
            self._note(self.airflow.program)

    def start_sandbox(self, patience: float = 60) -> None:
        """Start Welkin and both calendar systems as a program, as `calendar-sync sandbox` does."""
        folder = self.folder / "sandbox"
        folder.mkdir()
        command = [
            *(self._cli, "sandbox", "--port", "0", "--directory", str(folder)),
            *("--users", str(USERS), "--encounters", str(ENCOUNTERS), "--microsoft", "half"),
            *("--welkin-rate", str(WELKIN_REQUESTS_PER_SECOND + 10)),
        ]
        with self._interrupts.held():
            program = Program(
                command,
                log=self.folder / "sandbox.log",
                folder=folder,
                env=self.airflow.env,
            )
            self._note(program)
        deadline = time.monotonic() + patience
        while not (folder / "sandbox.json").exists():
            if not program.running or time.monotonic() > deadline:
                raise StageError(f"the sandbox did not start:\n{program.tail()}")
            time.sleep(0.1)
        self.world = World(folder)
        self.world.wait_ready()

    def prepare_state(self) -> None:
        """State database, settings and mapping, from `config/` and the sandbox's staff."""
        config = self.folder / "config"
        shutil.copytree(self.repository / "config", config)
        settings = yaml.safe_load((config / "settings.yaml").read_text()) or {}
        settings.setdefault("poll", {})["interval_seconds"] = POLL_SECONDS
        limits = settings.setdefault("limits", {})
        limits["welkin_requests_per_second"] = WELKIN_REQUESTS_PER_SECOND
        (config / "settings.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
        mailboxes = [user for platform in PLATFORMS for user in self.world.users(platform)]
        write_mapping(config / "user_mapping.csv", mailboxes)
        # Airflow writes its configuration, with the key that protects tokens, as it starts.
        self._wait_for(self.airflow.home / "airflow.cfg")
        self.cli("db", "upgrade")
        self.cli("config", "apply", str(config))

    def open_airflow(self) -> None:
        """Wait for Airflow, store the connections in it, switch the DAGs on."""
        self.airflow.wait_healthy()
        for name, fields in self.world.connections.items():
            self.airflow.add_connection(name, fields)
        self.cli("init")
        for dag_id in DAG_IDS.values():
            self.airflow.wait_dag(dag_id)
        for dag_id in DAG_IDS.values():
            self.airflow.unpause(dag_id)

    def cli(self, *arguments: str) -> str:
        """Run `calendar-sync` with these arguments and return what it printed.

        Raises:
            StageError: it failed.
        """
        done = subprocess.run(
            [self._cli, *arguments],
            cwd=self.folder,
            env=self.airflow.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        with (self.folder / "cli.log").open("a") as log:
            log.write(f"$ calendar-sync {' '.join(arguments)}\n{done.stdout}{done.stderr}\n")
        if done.returncode:
            raise StageError(
                f"calendar-sync {' '.join(arguments)} ended with {done.returncode}:\n"
                f"{(done.stdout + done.stderr).strip()}"
            )
        return done.stdout

    @property
    def _cli(self) -> str:
        return str(Path(sys.executable).with_name("calendar-sync"))

    def _wait_for(self, path: Path, patience: float = 60) -> None:
        deadline = time.monotonic() + patience
        while not (path.exists() and path.stat().st_size):
            if time.monotonic() > deadline:
                raise StageError(f"no {path.name} within {patience:.0f} s")
            time.sleep(0.1)


def write_mapping(path: Path, users: Sequence[User]) -> None:
    """Write the user mapping of these mailboxes as an operator would."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["welkin_user_id", "email", "platform", "account", "enabled", "direction"])
        for user in users:
            writer.writerow(
                [user.welkin_id, user.email, user.platform, user.account, "true", "bidirectional"]
            )
