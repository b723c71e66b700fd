"""How a whole Airflow is spoken to; one that runs is in `tests/e2e/airflow/runs`."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

from calendar_sync_sandbox.local_settings import LOOP_MILLISECONDS, create_metadata_engine
from calendar_sync_sandbox.standalone import StandaloneAirflow

if TYPE_CHECKING:
    from pathlib import Path


def test_a_second_airflow_takes_another_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first:
        other = StandaloneAirflow(tmp_path / "home", tmp_path, port=first.getsockname()[1])
        assert other.port != first.getsockname()[1]


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
