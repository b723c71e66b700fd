"""A whole Airflow on SQLite, for the demo and the tests: started, spoken to by REST, ended.

Only the standard library is used for the requests, as the sandbox shares no code with the
product. REST API: https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlencode

from calendar_sync_sandbox.patience import Patience
from calendar_sync_sandbox.ports import free_port, is_free
from calendar_sync_sandbox.processes import Program, ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

FINAL_STATES = frozenset({"success", "failed"})
#: The most that the REST API gives in one answer.
PAGE = 100
#: Seconds that Airflow waits for another transaction in SQLite. The default of 5 is over
#: soon where the machine is slow; a component that gives up loses a task, or ends.
PATIENCE = 60
#: Pause before a request is made again that SQLite could not serve just then: a transaction was
#: overtaken by another writer, or did not wait at all (see `local_settings`).
PAUSE = 0.2
#: Between two looks at what Airflow is doing: each costs it 10 ms of processor time.
LOOK_EVERY = 0.5
#: How often it is made at least, however long each takes.
TRIES = 10
#: How often all components are started before a start counts as failed.
STARTS = 3
#: Seconds without a byte of an answer.
SILENCE = 300
#: For `airflow_local_settings.py`, as in production: tasks begin with their imports done.
PRELOAD = "import calendar_sync.orchestration.preload"
#: Who may sign in to the user interface.
USER = "admin"


class AirflowError(RuntimeError):
    """Airflow did not start, refused a request or let a time limit pass."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class TaskInstance:
    """One task of one run as the user interface shows it; `map_index` is -1 when not mapped.

    `started` and `ended` are of its last try, in RFC 3339.
    """

    task_id: str
    map_index: int
    state: str | None
    label: str | None
    try_number: int
    started: str | None = None
    ended: str | None = None


class StandaloneAirflow:
    """`airflow standalone` with a home of its own, which it empties first.

    Args:
        home: AIRFLOW_HOME; whatever is in it is removed at the start.
        dags: folder of DAG files.
        plugins: folder of plugins.
        env: further environment of all components.
        port: of the user interface; if it is in use, or 0, a free one is taken.
        keep: names in `home` that are not removed.
        preload: tasks begin with their imports done, as in production.

    Attributes:
        command: what starts all components.
        tick: called again and again while something is waited for.
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        *,
        plugins: Path | None = None,
        env: Mapping[str, str] | None = None,
        port: int = 8080,
        keep: frozenset[str] = frozenset(),
        preload: bool = True,
    ) -> None:
        self.home = home.resolve()
        self._prepare_home(keep, PRELOAD if preload else "")
        self.port = port if is_free(port) else free_port()
        self.password = secrets.token_urlsafe(9)
        self.env = airflow_environment(
            self.home, dags.resolve(), plugins.resolve() if plugins else None, self.port
        ) | dict(env or {})
        self.command = [str(Path(sys.executable).with_name("airflow")), "standalone"]
        self.program: Program | None = None
        self.tick: Callable[[], None] = lambda: None
        self._token = ""

    def _prepare_home(self, keep: frozenset[str], preload: str) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        for entry in self.home.iterdir():
            if entry.name in keep:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        (self.home / "plugins").mkdir(exist_ok=True)
        settings = self.home / "config" / "airflow_local_settings.py"
        settings.parent.mkdir(exist_ok=True)
        text = Path(__file__).with_name("local_settings.py").read_text()
        settings.write_text(f"{text}\n\n{preload}\n")

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_healthy()
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

    @property
    def url(self) -> str:
        """Where a browser finds the user interface."""
        return f"http://localhost:{self.port}"

    def start(self) -> None:
        """Start all components and return at once."""
        # The password is ours to choose, so that it need not be read from the output. All
        # users have one: Airflow would write the file anew for others, while it is being read.
        users = self.env.get("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "").split(",")
        names = [name for user in users if (name := user.partition(":")[0].strip())]
        chosen = {name: secrets.token_urlsafe(9) for name in names} | {USER: self.password}
        passwords = self.home / "simple_auth_manager_passwords.json.generated"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps(chosen) + "\n")
        self.program = Program(
            self.command,
            log=self.home / "standalone.log",
            folder=self.home,
            env=self.env,
        )

    def stop(self, patience: float = 10) -> None:
        """End every process of this Airflow; none is left on return.

        Those that have not ended after `patience` seconds are killed.
        """
        if self.program is not None:
            self.program.stop(patience)

    def wait_healthy(self, patience: float = 300) -> None:
        """Wait until scheduler, DAG processor and triggerer have reported to the API server.

        `airflow standalone` goes on without a component that has ended, where a service manager
        would start it again. So all of them are started again, twice at most.

        Raises:
            AirflowError: nothing has moved for `patience` seconds, or Airflow ended.
            ProgramError: a component ended.
        """
        ended: set[int] = set()

        def healthy() -> tuple[bool, object]:
            nonlocal ended
            assert self.program is not None  # noqa: S101 - narrows the type
            # What is seen once may be a helper that nobody has waited for yet.
            before, ended = ended, self.program.ended_children
            if before & ended:
                raise ProgramError(f"a component of Airflow ended:\n{self._report()}")
            health = self.call("GET", "/monitor/health", authenticated=False)
            parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
            states = [(health.get(part) or {}).get("status") for part in parts]
            return all(state == "healthy" for state in states), states

        for left in reversed(range(STARTS)):
            try:
                return self._wait(healthy, patience, "healthy components")
            except (AirflowError, ProgramError) as error:
                if not left:
                    raise
                print(f"Airflow is started again: {error}", file=sys.stderr)
                self.stop()
                self.start()

    def _report(self) -> str:
        """The last lines of the components' output, without the requests that were answered."""
        if self.program is None:
            return "not started"
        lines = self.program.tail(2000).splitlines()
        return "\n".join([line for line in lines if "http.access" not in line][-40:])

    def wait_dag(self, dag_id: str, patience: float = 600) -> None:
        """Wait until the DAG processor has stored a DAG.

        Raises:
            AirflowError: nothing has moved for `patience` seconds; with the import errors.
        """

        def known() -> tuple[bool, object]:
            return bool(self.call("GET", f"/dags/{quote(dag_id)}")), None

        try:
            self._wait(known, patience, f"DAG {dag_id}")
        except AirflowError as error:
            broken = self.call("GET", "/importErrors")["import_errors"]
            raise AirflowError(f"{error}; import errors: {broken}") from error

    def _wait(self, look: Callable[[], tuple[bool, object]], patience: float, what: str) -> None:
        """Look until the first value is true; the second tells what moves meanwhile."""
        waiting = Patience(round(patience / LOOK_EVERY))
        while True:
            try:
                done, seen = look()
                if done:
                    return
            except AirflowError as error:
                # Not listening yet, or not known yet.
                if error.status not in (None, 404, 503):
                    raise
                # What starts says so in its log; later our own requests do.
                seen = error.status or (self.program and self.program.log.stat().st_size)
            if self.program is None or not self.program.running:
                raise AirflowError(f"Airflow ended while waiting for {what}:\n{self._report()}")
            if not waiting.left(seen):
                still = f"no {what}: nothing has moved for {patience:.0f} s, only {seen}"
                raise AirflowError(f"{still}\n{self._report()}")
            self.tick()
            time.sleep(LOOK_EVERY)

    # --- REST ---------------------------------------------------------------

    def call(
        self, method: str, path: str, body: object = None, *, authenticated: bool = True
    ) -> Any:
        """One request to the REST API; returns the parsed answer.

        Raises:
            AirflowError: with the HTTP status, or none when there was no answer.
        """
        deadline, tries = time.monotonic() + PATIENCE, 0
        while True:
            tries += 1
            try:
                if authenticated and not self._token:
                    self._token = self._sign_in()
                headers = {"Authorization": f"Bearer {self._token}"} if authenticated else {}
                return self._request(method, f"/api/v2{path}", body, headers)
            except AirflowError as error:
                # Without a token it was the sign-in that was refused: no other comes of that.
                expired = authenticated and error.status == 401 and bool(self._token)
                over = time.monotonic() > deadline and tries >= TRIES
                if over or not (expired or error.status == 500):
                    raise
                if expired:
                    self._token = ""
                time.sleep(PAUSE)

    def _sign_in(self) -> str:
        credentials = {"username": USER, "password": self.password}
        return str(self._request("POST", "/auth/token", credentials, {})["access_token"])

    def _request(self, method: str, path: str, body: object, headers: dict[str, str]) -> Any:
        # 127.0.0.1, not localhost: it is the one address that the server listens on.
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Accept": "application/json",
                "Content-Type": "application/json",
                **headers,
            },
        )
        try:
            with _OPENER.open(request, timeout=SILENCE) as response:
                content = response.read()
                return json.loads(content) if content else None
        except urllib.error.HTTPError as error:
            detail = error.read().decode(errors="replace")[:500]
            error.close()
            raise AirflowError(f"{method} {path}: {error.code} {detail}", error.code) from error
        except (OSError, ValueError) as error:
            raise AirflowError(f"{method} {path}: {error}") from error

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler create runs of a DAG, by its schedule and by events.

        Airflow starts the triggers of events when it next parses the file: it is asked to.
        """
        found = self.call("PATCH", f"/dags/{quote(dag_id)}", {"is_paused": False})
        self.call("PUT", f"/parseDagFile/{quote(found['file_token'])}")

    def pause(self, dag_id: str) -> None:
        """Keep the scheduler from creating runs of a DAG; queued ones wait too."""
        self.call("PATCH", f"/dags/{quote(dag_id)}", {"is_paused": True})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Ask for a run now, with these params, and return its id."""
        # The id is ours, so that asking again for the same run makes no second one.
        run = f"manual__{uuid.uuid4().hex}"
        body = {"dag_run_id": run, "logical_date": None, "conf": dict(conf or {})}
        try:
            self.call("POST", f"/dags/{quote(dag_id)}/dagRuns", body)
        except AirflowError as error:
            if error.status != 409:
                raise
        return run

    def runs(self, dag_id: str, *states: str, newest: int = 50) -> list[dict[str, Any]]:
        """The newest runs of a DAG, newest first; only those in one of `states`, if given."""
        found: list[dict[str, Any]] = []
        while True:
            limit = min(newest - len(found), PAGE)
            query = urlencode(
                {
                    "order_by": "-run_after",
                    "limit": limit,
                    "offset": len(found),
                    "state": list(states),
                },
                doseq=True,
            )
            page = self.call("GET", f"/dags/{quote(dag_id)}/dagRuns?{query}")["dag_runs"]
            found += page
            if len(page) < limit or len(found) >= newest:
                return found

    def run_state(self, dag_id: str, run_id: str) -> str:
        """State of one run: queued, running, success or failed."""
        return str(self.call("GET", _run_path(dag_id, run_id))["state"])

    def wait_run(self, dag_id: str, run_id: str, timeout: float = 300) -> str:
        """Wait until a run has ended and return its state.

        Raises:
            AirflowError: its state has not moved for `timeout` seconds.
        """
        state = ""

        def ended() -> tuple[bool, object]:
            nonlocal state
            state = self.run_state(dag_id, run_id)
            return state in FINAL_STATES, state

        self._wait(ended, timeout, f"end of run {run_id}")
        return state

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """All tasks of a run, each mapped one with its label."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.call(
                "GET",
                f"{_run_path(dag_id, run_id)}/taskInstances?limit=100&offset={len(found)}",
            )
            found += page["task_instances"]
            if len(found) >= page["total_entries"] or not page["task_instances"]:
                break
        return [
            TaskInstance(
                task_id=entry["task_id"],
                map_index=entry["map_index"],
                state=entry["state"],
                label=entry["rendered_map_index"],
                try_number=entry["try_number"],
                started=entry["start_date"],
                ended=entry["end_date"],
            )
            for entry in found
        ]

    def xcoms(self, dag_id: str = "~", run_id: str = "~") -> list[dict[str, Any]]:
        """All XCom entries of a run (of every run, when not told), with their values."""
        entries: list[dict[str, Any]] = []
        path = f"{_run_path(dag_id, run_id)}/taskInstances/~/xcomEntries"
        while True:
            page = self.call("GET", f"{path}?limit=100&offset={len(entries)}")
            entries += page["xcom_entries"]
            if len(entries) >= page["total_entries"] or not page["xcom_entries"]:
                break
        return [entry | self._xcom_value(entry) for entry in entries]

    def _xcom_value(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        path = (
            f"{_run_path(entry['dag_id'], entry['run_id'])}/taskInstances/"
            f"{quote(entry['task_id'])}/xcomEntries/{quote(entry['key'], safe='')}"
        )
        value = self.call("GET", f"{path}?map_index={entry['map_index']}")["value"]
        return {"value": value}

    def logs(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
        """The log of the last try of a task, one line for each entry."""
        entry = f"{_run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}"
        tries = self.call("GET", f"{entry}/{map_index}")["try_number"]
        answer = self.call("GET", f"{entry}/logs/{tries}?map_index={map_index}&full_content=true")
        return "\n".join(
            line if isinstance(line, str) else json.dumps(line) for line in answer["content"]
        )

    def add_connection(self, connection_id: str, fields: Mapping[str, Any]) -> None:
        """Store a connection, or replace it; `extra` may be a mapping."""
        # The button in Airflow's list sends port 0 for none, and takes that for another server
        # unless 0 is what is stored.
        body = {"port": 0} | dict(fields) | {"connection_id": connection_id}
        if isinstance(body.get("extra"), dict):
            body["extra"] = json.dumps(body["extra"])
        try:
            self.call("POST", "/connections", body)
        except AirflowError as error:
            if error.status != 409:
                raise
            self.call("PATCH", f"/connections/{quote(connection_id)}", body)


# A proxy set for the machine must not see requests to the machine itself.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{quote(dag_id, safe='~')}/dagRuns/{quote(run_id, safe='~')}"


def airflow_environment(home: Path, dags: Path, plugins: Path | None, port: int) -> dict[str, str]:
    """The environment of every Airflow process: the caller's, less its Airflow and its state."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW_", "_AIRFLOW_", "CALENDAR_SYNC_"))
        # Every task would compile what it imports anew.
        and name != "PYTHONDONTWRITEBYTECODE"
    }
    return inherited | {
        # `airflow standalone` finds its components by name.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "NO_COLOR": "1",
        # Whatever proxy the machine uses, everything here is on the machine itself.
        "NO_PROXY": "localhost,127.0.0.1",
        "no_proxy": "localhost,127.0.0.1",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins or home / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://localhost:{port}",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout={PATIENCE}",
        # Listing the folder is cheap, so new files are found soon; parsing one that has not
        # changed costs seconds of a core, so that is left for five minutes.
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
        # A task's supervisor that misses the moment of its end looks again after this many
        # seconds. With the default of 5 every third run took 5 seconds longer (measured).
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        # Two Airflows on one machine must not ask each other for logs.
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
    }
