"""Airflow with CeleryExecutor: its parts as programs of their own, each of which can be lost.

PostgreSQL behind PgBouncer holds Airflow's database and ours. The settings of `SETTINGS` are those
of docs/deploy.md.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from cryptography.fernet import Fernet

from calendar_sync_sandbox.ports import free_port
from calendar_sync_sandbox.processes import Program
from calendar_sync_sandbox.standalone import PRELOAD, USER, AirflowError, StandaloneAirflow
from tests.pooler import pooled
from tests.servers import REPOSITORY, PostgresServer, ServerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What docs/deploy.md asks of a cluster, beside the addresses.
SETTINGS = {
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CORE__PARALLELISM": "128",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "120",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "90",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "15",
    "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "10",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
    "AIRFLOW__CELERY__TASK_ACKS_LATE": "True",
    "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "86400",
}
#: Airflow, too, prepares statements, which PgBouncer does not keep.
LOCAL_SETTINGS = f"""import os

connect_args = {{"prepare_threshold": None}}

if os.environ.get("CLUSTER_PRELOAD", "on") == "on":
    {PRELOAD}

if shift := int(os.environ.get("CLUSTER_CLOCK_SHIFT", "0")):
    from datetime import timedelta

    from calendar_sync.core.clock import SystemClock

    right = SystemClock.now
    SystemClock.now = lambda self: right(self) + timedelta(seconds=shift)
"""
HOSTNAME = """import os


def name():
    return os.environ["CLUSTER_HOST"]
"""
#: As a container's policy of restarts does: what ends is started again, as long as the shell lives.
SUPERVISED = 'while :; do "$@"; sleep 1; done'
WORKERS = ("worker-1", "worker-2")
PATIENCE = 60.0


def find_redis() -> str:
    """The program of the Redis server, installed first where that is possible.

    Raises:
        ServerUnavailableError: there is none here.
    """
    if shutil.which("redis-server") is None:
        subprocess.run([REPOSITORY / ".ci" / "install-servers"], capture_output=True, check=False)
    found = shutil.which("redis-server")
    if found is None:
        raise ServerUnavailableError("redis-server is not installed")
    return found


class Redis:
    """A broker in `folder` that keeps its queue in a file when it is stopped in order."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self._program: Program | None = None
        self._path = find_redis()

    @property
    def url(self) -> str:
        """Where Celery finds it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it with what its file holds, and wait until it answers."""
        command = [
            self._path,
            *("--port", str(self.port), "--bind", "127.0.0.1", "--save", "3600 1"),
            *("--dir", str(self._folder)),
        ]
        log = self._folder / "redis.log"
        self._program = Program(command, log=log, folder=self._folder, env=os.environ)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if not self._program.running or time.monotonic() > deadline:
                raise ServerUnavailableError(f"Redis did not start: {self._program.tail()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it in order."""
        if self._program is not None:
            self._program.stop()

    def kill(self) -> None:
        """End it at once, and lose its file."""
        assert self._program is not None
        kill(self._program)
        self._program.stop()
        (self._folder / "dump.rdb").unlink(missing_ok=True)

    def _answers(self) -> bool:
        import redis

        with contextlib.closing(redis.Redis(port=self.port)) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


def kill(program: Program, *, keep_leader: bool = False) -> None:
    """End it and all that it started as the loss of its machine would: nobody says goodbye."""
    while members := [pid for pid in program.members if pid != program.session or not keep_leader]:
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if keep_leader:
            return
        time.sleep(0.05)


class ClusterAirflow(StandaloneAirflow):
    """The parts of one Airflow, by name in `parts`; REST as with `airflow standalone`.

    Args:
        folder: receives homes and logs.
        database: SQLAlchemy URL of Airflow's database, empty.
        broker: URL of Redis.
        slots: tasks that each of the two workers runs at once.
        schedulers: so many.
        env: further environment of all parts.
    """

    def __init__(
        self,
        folder: Path,
        database: str,
        broker: str,
        *,
        slots: int,
        schedulers: int,
        env: dict[str, str],
    ) -> None:
        super().__init__(folder / "home", REPOSITORY / "dags")
        self.slots = slots
        self.schedulers = [f"scheduler-{number}" for number in range(1, schedulers + 1)]
        self.folder = folder
        (self.home / "config" / "airflow_local_settings.py").write_text(LOCAL_SETTINGS)
        (self.home / "config" / "cluster_host.py").write_text(HOSTNAME)
        connect = "airflow_local_settings.connect_args"
        self.env |= {
            **SETTINGS,
            "PYTHONPATH": str(REPOSITORY),
            "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "cluster_host.name",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": database,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS": connect,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS_ASYNC": connect,
            "AIRFLOW__CELERY__BROKER_URL": broker,
            "AIRFLOW__CELERY__RESULT_BACKEND": broker,
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(slots),
            **env,
        }
        self.parts: dict[str, Program] = {}

    def start(self) -> None:
        """Prepare Airflow's database and start all parts."""
        passwords = self.home / "simple_auth_manager_passwords.json.generated"
        passwords.touch(mode=0o600)
        passwords.write_text(f'{{"{USER}": "{self.password}"}}\n')
        subprocess.run(
            [_airflow(), "db", "migrate"],
            env=self.env | {"CLUSTER_HOST": "localhost"},
            check=True,
            capture_output=True,
        )
        self.program = self.begin("api-server")
        for name in ("dag-processor", "triggerer", *self.schedulers, *WORKERS):
            self.begin(name)

    def begin(self, name: str, *, core: int | None = None, **env: str) -> Program:
        """Start a part, which is started again whenever it ends; `core`: the only one it uses."""
        command = {"scheduler": ["scheduler"], "worker": ["celery", "worker", "--skip-serve-logs"]}
        arguments = command.get(name.partition("-")[0], [name])
        home = self.home
        if name in WORKERS:
            # A machine of its own: nothing is shared but the servers.
            home = self.folder / name
            shutil.copytree(self.home / "config", home / "config", dirs_exist_ok=True)
            arguments = [*arguments, "--celery-hostname", f"{name}@cluster"]
        pinned = [] if core is None else ["taskset", "--cpu-list", str(core)]
        self.parts[name] = Program(
            [*pinned, "/bin/sh", "-c", SUPERVISED, name, _airflow(), *arguments],
            log=self.folder / f"{name}.log",
            folder=home,
            env=self.env | {"AIRFLOW_HOME": str(home), "CLUSTER_HOST": name, **env},
        )
        return self.parts[name]

    def lose(self, name: str) -> None:
        """End a part at once, for good."""
        program = self.parts.pop(name)
        kill(program)
        program.stop()

    def stop(self, patience: float = 2) -> None:
        """End all parts."""
        for program in self.parts.values():
            kill(program)
        for program in self.parts.values():
            program.stop(patience)
        self.parts.clear()

    def holders(self, dag_id: str) -> dict[str, list[dict[str, Any]]]:
        """The tasks that run now, by the worker that has them."""
        path = f"/dags/{dag_id}/dagRuns/~/taskInstances?state=running&limit=100"
        found: dict[str, list[dict[str, Any]]] = {}
        for task in self.call("GET", path)["task_instances"]:
            found.setdefault(task["hostname"], []).append(task)
        return found


def _airflow() -> str:
    return str(Path(sys.executable).with_name("airflow"))


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own in memory, which can be full. Takes root.

    Raises:
        AirflowError: it cannot be mounted here.
    """
    folder.mkdir(parents=True)
    options = f"size={megabytes}m,mode=0777"
    done = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AirflowError(f"no small file system: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["/bin/umount", str(folder)], check=True)


@contextlib.contextmanager
def databases(folder: Path, disk: Path | None = None) -> Iterator[tuple[PostgresServer, str, str]]:
    """A server with the two databases, and their addresses behind PgBouncer.

    `disk`: where the tables of the state database are.
    """
    with PostgresServer(connections=300) as server:
        airflow, state = server.create_database("airflow"), server.create_database("state")
        if disk is not None:
            place = disk / "state"
            place.mkdir()
            shutil.chown(place, "postgres", "postgres")
            name = state.rpartition("/")[2]
            with psycopg.connect(
                f"host=127.0.0.1 port={server.port} user=tests dbname=postgres", autocommit=True
            ) as connection:
                connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'".encode())
                connection.execute(f'ALTER DATABASE "{name}" SET TABLESPACE small'.encode())
        (folder / "pooler").mkdir()
        with pooled(server, airflow, folder / "pooler", connections=60) as pooled_airflow:
            pooled_state = pooled_airflow.replace(
                airflow.rpartition("/")[2], state.rpartition("/")[2]
            )
            yield server, pooled_airflow, pooled_state
