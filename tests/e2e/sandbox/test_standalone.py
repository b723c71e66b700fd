"""How a whole Airflow is spoken to; one that runs is in `tests/e2e/airflow/runs`."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from calendar_sync_sandbox.local_settings import LOOP_MILLISECONDS, create_metadata_engine
from calendar_sync_sandbox.ports import free_port, is_free
from calendar_sync_sandbox.standalone import StandaloneAirflow

if TYPE_CHECKING:
    import pytest


def test_a_free_port_stays_free_until_its_server_listens() -> None:
    """A system that is asked for any port, or for a connection, gives one of its own range."""
    given = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    port = free_port()
    assert not int(given[0]) <= port <= int(given[1])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        assert not is_free(port)
    assert not is_free(0)


def test_a_second_airflow_takes_another_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first:
        other = StandaloneAirflow(tmp_path / "home", tmp_path, port=first.getsockname()[1])
        assert other.port != first.getsockname()[1]


#: Does what `airflow standalone` does when a component ends as it starts, the first time.
STANDALONE = """
import http.server, json, os, pathlib, subprocess, sys

with (starts := pathlib.Path("starts")).open("a") as count:
    count.write("one ")
first = starts.read_text() == "one "
print("why it ends", flush=True)
component = subprocess.Popen(["sleep", "0" if first else "infinity"])
states = dict.fromkeys(("metadatabase", "scheduler", "dag_processor", "triggerer"), "healthy")
states["scheduler"] = "unhealthy" if first else "healthy"


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({part: {"status": states[part]} for part in states}).encode())


address = ("127.0.0.1", int(os.environ["AIRFLOW__API__PORT"]))
http.server.HTTPServer(address, Health).serve_forever()
"""


def test_all_starts_again_when_a_component_has_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    airflow = StandaloneAirflow(tmp_path / "home", tmp_path)
    airflow.command = [sys.executable, "-c", STANDALONE]
    with airflow:
        assert (airflow.home / "starts").read_text() == "one one "
    assert "why it ends" in capsys.readouterr().err


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
