"""What the demo runs on: sandbox, Airflow, state database; started once, ended for certain."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from calendar_sync_sandbox.demo.world import PLATFORMS, User, World
from calendar_sync_sandbox.patience import wait_for
from calendar_sync_sandbox.processes import Program
from calendar_sync_sandbox.receiver import Receiver
from calendar_sync_sandbox.standalone import StandaloneAirflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType, TracebackType

#: The DAG of each platform.
DAG_IDS = {platform: f"{platform}_calendar_sync" for platform in PLATFORMS}
USERS = 25
ENCOUNTERS = 20
#: The story is not about waiting: polls come sooner and Welkin allows more than it really does.
POLL_SECONDS = 5
WELKIN_REQUESTS_PER_SECOND = 50
#: Where the receiver of push looks for its key.
RECEIVER_KEY = "CALENDAR_SYNC_PUSH_KEY"


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
        tick: called again and again while something is waited for.
    """

    world: World
    airflow: StandaloneAirflow

    def __init__(
        self,
        repository: Path,
        folder: Path,
        interrupts: Interrupts,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self.repository = repository
        self._tick = tick
        self.folder = folder
        self._interrupts = interrupts
        self._running = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir(exist_ok=True)
        try:
            self._take_lock()
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

    @property
    def runs(self) -> bool:
        """Whether there is an Airflow to look at."""
        airflow: StandaloneAirflow | None = getattr(self, "airflow", None)
        return airflow is not None and airflow.program is not None and airflow.program.running

    def _take_lock(self) -> None:
        lock = self._running.enter_context((self.folder / "lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StageError(f"another demo is running in {self.folder}") from None

    def _note(self, program: Program) -> None:
        self._running.callback(program.stop)

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
            self.airflow.tick = self._tick
            self._running.callback(self.airflow.stop)
            self.airflow.start()

    def start_sandbox(self) -> None:
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
        place = folder / "sandbox.json"
        wait_for(place.exists, program, "the sandbox did not start:", self._tick)
        self.world = World(folder)
        self.world.wait_ready()

    def prepare_state(self) -> None:
        """State database, settings and mapping, from `config/` and the sandbox's staff."""
        config = self._config
        shutil.copytree(self.repository / "config", config)
        self._write_settings(
            polling={"interval_seconds": POLL_SECONDS},
            limits={"welkin_requests_per_second": WELKIN_REQUESTS_PER_SECOND},
        )
        mailboxes = [user for platform in PLATFORMS for user in self.world.users(platform)]
        write_mapping(config / "user_mapping.csv", mailboxes)
        # Airflow writes its configuration, with the key that protects tokens, as it starts.
        written = self.airflow.home / "airflow.cfg"
        assert self.airflow.program is not None  # noqa: S101 - narrows the type
        wait_for(
            lambda: written.exists() and written.stat().st_size > 0,
            self.airflow.program,
            f"no {written.name}: see {self.airflow.program.log}",
            self._tick,
        )
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

    # --- Push ---------------------------------------------------------------------

    def begin_push(self, poll_seconds: int) -> None:
        """Start the receiver, and let settings and sandbox know of it; polls come so often."""
        # As an operator does it: the receiver is given this key and none of Airflow's.
        found = re.search(rf"{RECEIVER_KEY}=(\S+)", self.cli("receive", "--secrets"))
        if found is None:
            raise StageError("calendar-sync receive --secrets printed no key")
        env = self.airflow.env | {RECEIVER_KEY: found[1]}
        with self._interrupts.held():
            self._receiver = self._running.enter_context(
                Receiver(self.folder / "sandbox", env, self.folder)
            )
        self._receiver.wait_ready(self._tick)
        self.world.trust_for_notices(self.folder / "sandbox" / "ca.pem")
        self._pace(poll_seconds, address=self._receiver.address)

    def end_receiver(self, poll_seconds: int) -> None:
        """Nobody takes notices any more; polls come so often."""
        self._pace(poll_seconds)
        self._receiver.stop()

    def restart_receiver(self) -> None:
        """As a service manager would."""
        with self._interrupts.held():
            self._receiver.start()
        self._receiver.wait_ready(self._tick)

    def _pace(self, poll_seconds: int, **push: str) -> None:
        polls = {"interval_seconds": poll_seconds}
        self._write_settings(polling=polls, push={"poll_seconds": max(60, poll_seconds), **push})
        self.cli("config", "apply", str(self._config))

    def _write_settings(self, **changed: dict[str, Any]) -> None:
        """Change the file of the settings, section by section."""
        place = self._config / "settings.yaml"
        settings = yaml.safe_load(place.read_text()) or {}
        for name, values in changed.items():
            settings.setdefault(name, {}).update(values)
        place.write_text(yaml.safe_dump(settings, sort_keys=False))

    @property
    def _config(self) -> Path:
        return self.folder / "config"

    # --- Commands -----------------------------------------------------------------

    def cli(self, *arguments: str) -> str:
        """Run `calendar-sync` with these arguments; what it prints is returned, and in `cli.log`.

        Raises:
            StageError: it failed.
        """
        log, command = self.folder / "cli.log", " ".join(["calendar-sync", *arguments])
        with log.open("a") as file:
            file.write(f"$ {command}\n")
        printed = log.stat().st_size
        with self._interrupts.held():
            program = Program(
                [self._cli, *arguments], log=log, folder=self.folder, env=self.airflow.env
            )
        with program:
            wait_for(lambda: not program.running, program, f"{command} does not end", self._tick)
        said = log.read_bytes()[printed:].decode(errors="replace").strip()
        if program.code:
            raise StageError(f"{command} ended with {program.code}:\n{said}")
        return said

    @property
    def _cli(self) -> str:
        return str(Path(sys.executable).with_name("calendar-sync"))


def write_mapping(path: Path, users: Sequence[User]) -> None:
    """Write the user mapping of these mailboxes as an operator would."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["welkin_user_id", "email", "platform", "account", "enabled", "direction"])
        for user in users:
            writer.writerow(
                [user.welkin_id, user.email, user.platform, user.account, "true", "bidirectional"]
            )
