"""A whole Airflow starts, runs a DAG, tells what happened and leaves no process behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import textwrap
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from calendar_sync_sandbox.local_settings import LOOP_MILLISECONDS, create_metadata_engine
from calendar_sync_sandbox.standalone import StandaloneAirflow, TaskInstance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow")]

DAG = """
from airflow.sdk import dag, get_current_context, task

@dag(schedule=None)
def toy():
    @task
    def find():
        return ["one", "two"]

    @task(map_index_template="{{ label }}")
    def sync(name):
        get_current_context()["label"] = f"{name}: done"
        if name == "two":
            raise RuntimeError("only two fails")

    @task
    def record():
        return "recorded"

    sync.expand(name=find()) >> record().as_teardown(on_failure_fail_dagrun=False)

toy()
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneAirflow]:
    folder = tmp_path_factory.mktemp("standalone")
    dags: Path = folder / "dags"
    dags.mkdir()
    (dags / "toy.py").write_text(textwrap.dedent(DAG))
    with StandaloneAirflow(folder / "home", dags) as running:
        running.wait_dag("toy")
        running.unpause("toy")
        yield running
    assert running.program is not None
    assert running.program.members == []


def test_a_run_tells_what_happened_to_each_task(airflow: StandaloneAirflow) -> None:
    run = airflow.trigger("toy")
    assert airflow.wait_run("toy", run) == "failed"
    tasks = airflow.task_instances("toy", run)
    assert all(task.started and task.ended and task.started <= task.ended for task in tasks)
    assert sorted(
        (replace(task, started=None, ended=None) for task in tasks),
        key=lambda task: (task.task_id, task.map_index),
    ) == [
        TaskInstance("find", -1, "success", None, 1),
        TaskInstance("record", -1, "success", None, 1),
        TaskInstance("sync", 0, "success", "one: done", 1),
        TaskInstance("sync", 1, "failed", "two: done", 1),
    ]
    assert {(xcom["task_id"], str(xcom["value"])) for xcom in airflow.xcoms("toy", run)} == {
        ("find", "['one', 'two']"),
        ("record", "recorded"),
    }
    assert "only two fails" in airflow.logs("toy", run, "sync", 1)
    assert [entry["dag_run_id"] for entry in airflow.runs("toy", "failed")] == [run]
    assert airflow.runs("toy", "queued", "running") == []


def test_a_connection_is_stored_and_replaced(airflow: StandaloneAirflow) -> None:
    airflow.add_connection("there", {"conn_type": "http", "host": "a", "extra": {"x": 1}})
    airflow.add_connection("there", {"conn_type": "http", "host": "b", "extra": {"x": 1}})
    assert airflow.call("GET", "/connections/there")["host"] == "b"


def test_a_second_airflow_takes_another_port(airflow: StandaloneAirflow, tmp_path: Path) -> None:
    other = StandaloneAirflow(tmp_path / "home", tmp_path, port=airflow.port)
    assert other.port != airflow.port


def test_a_run_requested_during_a_long_transaction(airflow: StandaloneAirflow) -> None:
    """SQLite has one writer; five seconds, its usual patience, pass soon on a slow machine."""
    with contextlib.closing(sqlite3.connect(airflow.home / "airflow.db")) as other:
        other.execute("PRAGMA busy_timeout=60000")
        other.execute("BEGIN IMMEDIATE")
        asked: list[str] = []
        thread = threading.Thread(target=lambda: asked.append(airflow.trigger("toy")))
        thread.start()
        time.sleep(7)
        assert not asked
        other.rollback()
        thread.join(30)
    assert airflow.wait_run("toy", asked[0]) == "failed"


def test_a_request_that_the_database_refuses_is_made_again(tmp_path: Path) -> None:
    """And asking again for a run that was made after all is no second run."""
    answers = [500, 409]
    asked: list[str] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            token = self.path == "/auth/token"
            if not token:
                asked.append(body["dag_run_id"])
            self.send_response(201 if token else answers.pop(0))
            self.end_headers()
            self.wfile.write(b'{"access_token": "t"}')

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        airflow = StandaloneAirflow(tmp_path / "home", tmp_path)
        airflow.port = server.server_port
        assert airflow.trigger("toy") == asked[0]
    finally:
        server.shutdown()
        server.server_close()
    assert asked == [asked[0]] * 2


def test_a_loop_does_not_wait_for_long(tmp_path: Path) -> None:
    """What holds the database may need the loop to end; a thread may wait as long as it takes."""
    engine = create_metadata_engine(
        f"sqlite:///{tmp_path}/a.db?timeout=60", engine_args={}, connect_args={}
    )

    def patience() -> int:
        with engine.connect() as connection:
            return int(connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one())

    async def in_loop() -> tuple[int, int]:
        return patience(), await asyncio.to_thread(patience)

    try:
        assert asyncio.run(in_loop()) == (LOOP_MILLISECONDS, 60_000)
        assert patience() == 60_000
    finally:
        engine.dispose()
