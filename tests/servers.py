"""Real servers that tests start for themselves: throw-away, on a free port, ended for certain."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psycopg

from calendar_sync_sandbox.ports import free_port
from calendar_sync_sandbox.processes import dismiss, guard

if TYPE_CHECKING:
    from types import TracebackType

REPOSITORY = Path(__file__).resolve().parents[1]


class ServerUnavailableError(RuntimeError):
    """This machine has no such server and cannot be given one."""


def find_postgres() -> Path:
    """The folder of PostgreSQL's programs, installed first where that is possible.

    Raises:
        ServerUnavailableError: not there, and `.ci/install-servers` could not help.
    """
    found = _postgres_folder()
    if found is None:
        installer = subprocess.run(
            [REPOSITORY / ".ci" / "install-servers"], capture_output=True, text=True, check=False
        )
        found = _postgres_folder()
        if found is None:
            raise ServerUnavailableError(installer.stderr.strip() or "initdb not found")
    return found


def _postgres_folder() -> Path | None:
    # Debian keeps the server's programs off the PATH, one folder for each major version.
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name)
    )
    on_path = shutil.which("initdb")
    if on_path:
        folders.insert(0, Path(on_path).resolve().parent)
    usable = [
        path for path in folders if (path / "initdb").exists() and (path / "postgres").exists()
    ]
    return usable[-1] if usable else None


def _unprivileged() -> dict[str, object]:
    """How to start a program that refuses to run as root; nothing to add for anyone else."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise ServerUnavailableError("PostgreSQL does not run as root, and there is no other user")


@dataclass
class PostgresServer:
    """One PostgreSQL in a temporary folder; durable enough for tests, no more."""

    programs: Path = field(default_factory=find_postgres)
    port: int = field(default_factory=free_port)
    connections: int = 100
    _folder: Path | None = None
    _process: subprocess.Popen[bytes] | None = None
    _guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy URL of one of this server's databases."""
        return f"postgresql+psycopg://tests@127.0.0.1:{self.port}/{database}"

    def create_database(self, prefix: str = "test") -> str:
        """Make an empty database with a name of its own and return its SQLAlchemy URL."""
        url = self.new_url(prefix)
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{url.rpartition("/")[2]}"'.encode())
        return url

    def new_url(self, prefix: str = "test") -> str:
        """The SQLAlchemy URL of a database that is not there yet."""
        return self.url(f"{prefix}_{uuid.uuid4().hex[:12]}")

    @property
    def _conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=tests dbname=postgres connect_timeout=2"

    def start(self, patience: float = 60) -> None:
        """Make the cluster, start the server and wait until it answers."""
        self._folder = Path(tempfile.mkdtemp(prefix="calendar-sync-postgres-"))
        as_user = _unprivileged()
        if as_user:
            os.chown(self._folder, as_user["user"], as_user["group"])  # type: ignore[arg-type]
        data = self._folder / "data"
        common: dict[str, object] = {"cwd": self._folder, "stdin": subprocess.DEVNULL, **as_user}
        subprocess.run(  # type: ignore[call-overload]
            [
                self.programs / "initdb",
                f"--pgdata={data}",
                "--username=tests",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            **common,
        )
        self._launch(patience)

    def restart(self, patience: float = 60) -> None:
        """End the server in order, which breaks all connections, and start it on the same data."""
        assert self._process is not None
        self._end()
        self._launch(patience)

    def _launch(self, patience: float) -> None:
        assert self._folder is not None
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # type: ignore[call-overload]
                [
                    self.programs / "postgres",
                    *("-D", self._folder / "data", "-p", str(self.port), "-k", self._folder),
                    *("-c", "listen_addresses=127.0.0.1"),
                    *("-c", f"max_connections={self.connections}"),
                    *("-c", "fsync=off", "-c", "synchronous_commit=off"),
                    *("-c", "full_page_writes=off"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self._folder,
                **_unprivileged(),
            )
        watcher, self._guard = self._guard, guard(self._process.pid, self._folder)
        if watcher is not None:
            dismiss(watcher)
        self._wait(patience)

    def _wait(self, patience: float) -> None:
        assert self._process is not None
        assert self._folder is not None
        deadline = time.monotonic() + patience
        while True:
            try:
                psycopg.connect(self._conninfo).close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = (self._folder / "log").read_text(errors="replace")
                    raise ServerUnavailableError(f"PostgreSQL did not start: {log}") from error
                time.sleep(0.1)

    def stop(self) -> None:
        """End the server, whatever its state, and remove its folder."""
        self._end()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        watcher, self._guard = self._guard, None
        if watcher is not None:
            dismiss(watcher)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            # A fast shutdown. The server's children lead sessions of their own, so the group's
            # signal alone would miss them; without their parent they end by themselves.
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
