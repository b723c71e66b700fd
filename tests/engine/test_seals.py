"""Seals that are kept where whoever writes in the state database cannot."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select

from calendar_sync.core.errors import ConfigurationError
from calendar_sync.state import Store, seals
from calendar_sync.state import tables as t
from calendar_sync_sandbox.tls import make_certificate
from tests.engine.state.test_audit import run, sql, write
from tests.harness import fresh


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    database = fresh(f"sqlite:///{tmp_path}/state.db")
    yield Store(database, "audit key")
    database.close()


def cut(store: Store, run_id: str) -> None:
    """Everything that tells of the newest run, everywhere in the database."""
    newest = select(func.max(t.audit_seal.c.id)).scalar_subquery()
    with store.database.write() as connection:
        connection.execute(delete(t.audit_seal).where(t.audit_seal.c.id == newest))
        connection.execute(delete(t.operation).where(t.operation.c.cycle_id == run_id))
        connection.execute(delete(t.sync_run).where(t.sync_run.c.run_id == run_id))


def two_runs(store: Store) -> list[str]:
    made = []
    for number in (1, 2):
        write(store, f"r{number}", minutes=number * 90)
        made.append(run(store, f"r{number}", minutes=number * 90 + 1))
    return made


def test_without_a_place_outside_a_tail_cut_everywhere_is_not_found(store: Store) -> None:
    first, second = two_runs(store)
    cut(store, "r2")
    assert seals.verify(store) == []
    assert seals.verify(store, [first]) == []
    assert seals.verify(store, [f" {second.upper()}\n"]) == [
        "the expected seal is not part of the chain"
    ]


@pytest.mark.parametrize("text", ["", "x", "0" * 39, "g" * 40, "0" * 41])
def test_what_is_no_seal_is_refused(store: Store, text: str) -> None:
    with pytest.raises(ConfigurationError, match="40 hexadecimal digits"):
        seals.verify(store, [text])


def test_a_file_keeps_each_new_seal_once_and_the_check_looks_for_the_last(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "seals"
    monkeypatch.setenv(seals.VARIABLE, f"file:{file}")
    assert seals.verify(store) == []
    made = two_runs(store)
    run(store, "idle", minutes=500)
    kept = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(one["seal"], one["run_id"]) for one in kept] == [(made[0], "r1"), (made[1], "r2")]
    assert file.stat().st_mode & 0o777 == 0o600
    assert seals.verify(store) == []
    sql(store, "DELETE FROM sync_run WHERE run_id = 'idle'")
    cut(store, "r2")
    assert seals.verify(store) == ["the expected seal is not part of the chain"]
    sql(store, "DELETE FROM audit_seal", "DELETE FROM operation", "DELETE FROM sync_run")
    sql(store, "DELETE FROM platform_state")
    assert seals.verify(store) == ["the expected seal is not part of the chain"]
    file.write_text("spoilt\n")
    assert seals.verify(store) == [f"{file}: its last line has no seal"]
    file.unlink()
    file.mkdir()
    assert seals.verify(store) == [f"{file}: IsADirectoryError"]


def test_syslog_gets_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(20)
        place = f"syslog://127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setenv(seals.VARIABLE, place)
        made = two_runs(store)
        heard = [listener.recv(4096).decode() for _ in made]
    for seal, text in zip(made, heard, strict=True):
        assert f'"seal": "{seal}"' in text


class Collector(BaseHTTPRequestHandler):
    """Takes notes; or sends whoever asks elsewhere."""

    taken: list[dict[str, str]]
    elsewhere = ""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "/seals")
        else:
            self.taken.append(json.loads(body))
            self.send_response(204)
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    Collector.taken = []
    ca, certificate = make_certificate(tmp_path / "tls")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    monkeypatch.setenv("NO_PROXY", "localhost")
    server = HTTPServer(("127.0.0.1", 0), Collector)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_seal_goes_to_its_address_only_and_no_redirect_is_followed(
    store: Store, collector: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(seals.VARIABLE, f"{collector}/seals")
    made = two_runs(store)
    assert [one["seal"] for one in Collector.taken] == made
    monkeypatch.setenv(seals.VARIABLE, f"{collector}/moved?token=made-up-token")
    write(store, "r3", minutes=300)
    assert run(store, "r3", minutes=301)
    assert len(Collector.taken) == 2
    assert "audit seal not stored at https://localhost: seal_refused: 302" in caplog.text
    assert "made-up-token" not in caplog.text


@pytest.mark.parametrize(
    "place",
    ["http://localhost/seals", "file:/no/such/folder/seals", "ftp://host/x", "syslog:/no/such",
     "https://127.0.0.1:1/"],
)  # fmt: skip
def test_a_place_that_does_not_take_it_stops_no_run_and_is_named(
    store: Store, place: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(seals.VARIABLE, place)
    write(store, "r1")
    assert len(run(store, "r1", minutes=1)) == 40
    assert "audit seal not stored at " in caplog.text
