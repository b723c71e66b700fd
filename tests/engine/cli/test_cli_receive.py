"""`calendar-sync receive`: as a process of its own, and what the other commands say about push."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from airflow.api_fastapi.app import lifespan
from fastapi import FastAPI
from starlette.testclient import TestClient

from calendar_sync.admin import receiving as receiving_in_airflow
from calendar_sync.cli.app import app
from calendar_sync.core.identity import push_key
from calendar_sync.core.model import Platform
from calendar_sync.operations import push_checks
from calendar_sync.push.keys import (
    CONNECTION_VARIABLE,
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    WELKIN_HEADER,
    channel_token,
    find_key,
    welkin_secret,
)
from calendar_sync.state import Database, Store
from tests.engine.cli.test_cli import Command, cli  # noqa: F401 - a fixture
from tests.engine.push.conftest import ADDRESS, KEY, NOW, channel, google
from tests.harness import HMAC_KEY, fresh

pytestmark = pytest.mark.xdist_group("cli")


@contextmanager
def receiving(url: str, place: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own; ready when the block begins."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW_", "CALENDAR_SYNC_"))
    }
    environment |= {"CALENDAR_SYNC_DATABASE_URL": url, KEY_VARIABLE: KEY} | more
    command = [sys.executable, "-m", "tests.engine.push.process", "--uds", str(place)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert "taking notices" in process.stdout.readline()
            yield process
        finally:
            process.kill()


def post(place: Path, path: str, **what: Any) -> int:
    async def send() -> int:
        transport = httpx.AsyncHTTPTransport(uds=str(place))
        async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
            return (await client.post(path, **what)).status_code

    return asyncio.run(send())


def test_it_serves_without_airflow_and_another_goes_on_after_a_kill(tmp_path: Path) -> None:
    url, place = f"sqlite:///{tmp_path}/state.db", tmp_path / "receiver.sock"
    database = fresh(url)
    store = Store(database, HMAC_KEY).push
    one = channel()
    store.add(one)
    store.listen(NOW)
    assert store.receiver_silent(datetime.now(UTC))
    with receiving(url, place) as process:
        assert post(place, "/google", headers=google(one)) == 204
        # It has shown by itself, before anything came, that it runs.
        assert not store.receiver_silent(datetime.now(UTC))
        assert post(place, "/google", headers=google(one, token="wrong")) == 404
        assert post(place, "/microsoft", content=b"x" * 300_000) == 413
        process.send_signal(signal.SIGKILL)
        process.wait()
    with receiving(url, place) as process:
        assert post(place, "/google", headers=google(one)) == 204
        process.send_signal(signal.SIGINT)
        said = process.communicate()
    assert said[1] == "airflow: False\n"
    assert store.channels(Platform.GOOGLE)[0].notices == 2
    database.close()


def test_nobody_is_refused_from_the_moment_at_which_it_says_so(
    cli: Command,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    path, came = cli.folder / "receiver.sock", []

    def not_ready_yet(_: uvicorn.Server, sockets: list[socket.socket]) -> None:
        with sockets[0], socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(str(path))
            came.append(True)

    monkeypatch.setattr(uvicorn.Server, "run", not_ready_yet)
    assert "taking notices" in cli("receive", "--uds", path)
    assert came == [True]


def test_help_tells_what_it_needs(cli: Command) -> None:  # noqa: F811
    said = cli("receive", "--help")
    for word in ("--host", "--port", "--uds", "--prefix", "--secrets", KEY_VARIABLE):
        assert word in said


def test_without_a_key_it_says_where_to_get_one(
    cli: Command,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (KEY_VARIABLE, KEY_FILE_VARIABLE, CONNECTION_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    said = " ".join(cli.runner.invoke(app, ["receive"]).output.split())
    assert "calendar-sync receive --secrets" in said


def test_the_secrets_are_printed_for_the_receiver_and_for_welkin(cli: Command) -> None:  # noqa: F811
    found = cli.json("receive", "--secrets")
    key = found["key"]
    assert found["header"] == WELKIN_HEADER
    assert found["secret"] == welkin_secret(key)
    assert key in cli("receive", "--secrets")
    assert find_key({KEY_VARIABLE: f" {key} "}) == key


@pytest.mark.parametrize(
    "connection",
    ["generic://:pass%2Fword@", json.dumps({"conn_type": "generic", "password": "pass/word"})],
)
def test_the_key_can_come_from_the_connection_or_a_file(connection: str, tmp_path: Path) -> None:
    assert find_key({CONNECTION_VARIABLE: connection}) == push_key("pass/word")
    file = tmp_path / "key"
    file.write_text(push_key("pass/word") + "\n")
    assert find_key({KEY_FILE_VARIABLE: str(file)}) == push_key("pass/word")


def test_status_and_check_tell_how_push_is_doing(
    cli: Command,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cli.map_everybody()
    cli("config", "apply", cli.write("settings.yaml", f"push: {{address: {ADDRESS}}}").parent)
    assert "0 of 2 accounts registered" in cli("status")
    assert cli.json("status")["platforms"][0]["push"]["eligible"] == 2

    def answers(status: int, body: bytes) -> None:
        monkeypatch.setattr(push_checks, "send_once", lambda *_, **__: (status, body))

    answers(200, push_checks.TOKEN.encode())
    assert "push: works" in cli("check")
    answers(200, b"<html>")
    assert "push_address_other" in cli("check", code=1)
    database = Database()
    Store(database, "").runs.set_facts(
        "google", push_blocked={"code": "google_push_address_refused", "until": "x", "tries": 1}
    )
    database.close()
    assert "google_push_address_refused" in cli("check", code=1)
    assert "google_push_address_refused" in cli("status")


def test_airflows_api_server_can_take_notices_itself_and_shows_that_it_does(
    cli: Command,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not receiving_in_airflow.wanted()
    monkeypatch.setenv(receiving_in_airflow.VARIABLE, "true")
    assert receiving_in_airflow.wanted()
    key = cli.json("receive", "--secrets")["key"]
    database = Database()
    store, one = Store(database, "").push, channel()
    store.add(one)
    # The lifespan of Airflow's own application, which enters those of some kinds of mounts.
    airflow = FastAPI(lifespan=lifespan)
    airflow.mount(receiving_in_airflow.PREFIX, receiving_in_airflow.receiving_app())
    store.listen(datetime.now(UTC) - timedelta(hours=1))
    assert store.receiver_silent(datetime.now(UTC))
    with TestClient(airflow, base_url="http://airflow") as client:
        # Before the first notice.
        for _ in range(6000):
            if not store.receiver_silent(datetime.now(UTC)):
                break
            time.sleep(0.1)
        assert not store.receiver_silent(datetime.now(UTC))
        path = f"{receiving_in_airflow.PREFIX}/google"
        headers = google(one, token=channel_token(key, one.id))
        assert [client.post(path, headers=given).status_code for given in (headers, {})] == [
            204,
            404,
        ]
        assert client.get(f"{receiving_in_airflow.PREFIX}/openapi.json").status_code == 404
    assert store.channels(Platform.GOOGLE)[0].wanted
    database.close()
