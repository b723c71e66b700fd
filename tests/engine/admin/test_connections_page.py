"""Connections: what is there and what is wrong with it; what it holds is shown nowhere."""

import json
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from calendar_sync.admin.connections.tests import CONNECTIONS
from calendar_sync.state import Store
from tests.engine.admin.outside import outside
from tests.engine.admin.stage import OPERATOR, VIEWER, Pages, csrf

NOW = datetime.now(UTC)
SECRET = "made-up-secret-that-nobody-may-see"


def tried(client: TestClient, name: str) -> Any:
    headers = {"X-CSRF-Token": csrf(client)}
    return client.post(f"/connections/{name}/test", headers=headers)


def test_what_is_missing_says_what_to_do(viewer: TestClient) -> None:
    text = viewer.get("/connections").text
    assert text.count("not configured") == len(CONNECTIONS)
    assert "Required for the sync" in text
    assert "Set it up" in text
    for word in ("Microsoft Graph API", "Google Cloud", "SMTP", "Generic"):
        assert word in text
    assert "msgraph" not in text


def test_what_is_incomplete_is_named_and_no_secret_is_shown(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CONNECTIONS:
        values = {"conn_type": "generic", "login": SECRET, "password": SECRET, "host": "x"}
        values["extra"] = json.dumps({"tenant": SECRET, "keyfile_dict": SECRET})
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(values))
    with pages.browser(OPERATOR) as operator, pages.script(VIEWER) as script:
        text = operator.get("/connections").text
        assert "connection welkin_default: extra.instance is missing" in text
        answers = [text, script.get("/api/v1/connections").text]
        answers += [tried(operator, name).text for name in CONNECTIONS]
        for answer in answers:
            assert SECRET not in answer
            assert str(len(SECRET)) not in answer.replace("#", "").split()


def test_each_is_tried_and_a_fault_is_reported_precisely(
    pages: Pages, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        outside(store, tmp_path, NOW, monkeypatch) as world,
        pages.browser(OPERATOR) as operator,
        pages.script(OPERATOR) as script,
    ):
        assert "It works." in tried(operator, "welkin_default").text
        google = tried(operator, "google_calendar_default").text
        assert "It works." in google
        assert "Opened 2 mailboxes" in google
        world.sandbox.google.no_licence("dana@example.org")
        google = tried(operator, "google_calendar_default").text
        assert "dana@example.org" in google
        assert "google_not_acalendar_user" in google
        found = script.post("/api/v1/connections/google_calendar_default/test").json()
        assert found["works"] is False
        assert [one["account"] for one in found["faults"]] == ["dana@example.org"]
        broken = json.loads((tmp_path / "served" / "connections.json").read_text())
        values = {**broken["welkin_default"], "password": "wrong"}
        monkeypatch.setenv("AIRFLOW_CONN_WELKIN_DEFAULT", json.dumps(values))
        assert "welkin_unauthorized" in tried(operator, "welkin_default").text
        assert world.sandbox.requests.writes() == []


def test_a_test_is_red_until_a_calendar_was_opened_with_the_stored_connection(
    pages: Pages, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with outside(store, tmp_path, NOW, monkeypatch), pages.browser(OPERATOR) as operator:
        assert "It works." in tried(operator, "google_calendar_default").text
        served = json.loads((tmp_path / "served" / "connections.json").read_text())
        google = served["google_calendar_default"]
        keyfile = {**json.loads(google["extra"]["keyfile_dict"]), "private_key": "no key"}
        broken = {**google, "extra": {**google["extra"], "keyfile_dict": keyfile}}
        variable = "AIRFLOW_CONN_GOOGLE_CALENDAR_DEFAULT"
        for mapped in (True, False):
            monkeypatch.setenv(variable, json.dumps(broken))
            text = tried(operator, "google_calendar_default").text
            assert "private_key cannot be read" in text
            assert "It works." not in text
            if mapped:
                store.config.edit_mapping(lambda _: [], "tests", NOW)
        monkeypatch.setenv(variable, json.dumps(google))
        text = tried(operator, "google_calendar_default").text
        assert "It works." not in text
        assert "no_mailbox_tried" in text


def test_another_connection_that_is_missing_stops_no_test(
    pages: Pages, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with outside(store, tmp_path, NOW, monkeypatch), pages.browser(OPERATOR) as operator:
        monkeypatch.delenv("AIRFLOW_CONN_WELKIN_DEFAULT")
        assert "It works." in tried(operator, "google_calendar_default").text


def test_mail_and_airflow_that_do_not_answer_are_reported(
    operator: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = {"conn_type": "smtp", "host": "127.0.0.1", "port": 9, "login": "a", "password": "b"}
    nobody["extra"] = json.dumps({"disable_ssl": True, "retry_limit": 1, "timeout": 2})
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(nobody))
    assert "It does not work" in tried(operator, "smtp_default").text
    values = {"conn_type": "http", "host": "http://127.0.0.1:9", "login": "a", "password": "b"}
    monkeypatch.setenv("AIRFLOW_CONN_CALENDAR_SYNC_AIRFLOW", json.dumps(values))
    assert "airflow_unavailable" in tried(operator, "calendar_sync_airflow").text


def test_a_silent_mail_server_does_not_delay_other_requests(
    operator: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("calendar_sync.orchestration.connection_tests.MAIL_SECONDS", 3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        values = {"conn_type": "smtp", "host": "127.0.0.1", "port": silent.getsockname()[1]}
        values["extra"] = json.dumps({"disable_ssl": True, "timeout": 60, "retry_limit": 5})
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(values))
        answers: list[str] = []
        ask = threading.Thread(
            target=lambda: answers.append(tried(operator, "smtp_default").text), daemon=True
        )
        ask.start()
        silent.settimeout(30)
        waiting, _ = silent.accept()
        assert operator.get("/connections").status_code == 200
        assert ask.is_alive(), "the page waited for the mail server"
        ask.join(15)
        waiting.close()
    assert not ask.is_alive(), "the test waits for long, or tries again and again"
    assert "It does not work" in answers[0]


def test_no_other_connection_can_be_tried(operator: TestClient) -> None:
    assert tried(operator, "aws_default").status_code == 404
