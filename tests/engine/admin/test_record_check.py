"""The check of the hash chain, with the key where Airflow keeps it."""

from pathlib import Path

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from calendar_sync.admin.web import live
from calendar_sync.admin.web.rendering import plural
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.audit import PROBLEMS, AuditStore
from tests.engine.admin.test_pages import write


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key with which the record of these tests is made."""
    monkeypatch.setenv("AIRFLOW_CONN_CALENDAR_SYNC_HMAC_KEY", '{"password": "audit key"}')


def test_a_whole_record(store: Store, viewer: TestClient) -> None:
    write(store)
    assert "The audit log is complete and unchanged" in viewer.get("/activity/check").text
    assert viewer.get("/api/v1/activity/check").json() == {"whole": True, "problems": []}


def test_a_changed_record(store: Store, viewer: TestClient) -> None:
    write(store)
    with store.database.write() as connection:
        connection.execute(update(t.operation).values(outcome="forged"))
    text = viewer.get("/activity/check").text
    assert "The audit log was changed: 1 problem" in text
    assert "operation cycle/1 does not fit" in text
    assert viewer.get("/api/v1/activity/check").json()["whole"] is False


def test_a_seal_that_a_file_keeps_is_looked_for(
    store: Store, viewer: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store)
    (tmp_path / "seals").write_text('{"seal": "%s"}\n' % ("0" * 40))
    monkeypatch.setenv("CALENDAR_SYNC_SEAL_SINKS", f"file:{tmp_path}/seals")
    assert "the expected seal is not part of the chain" in viewer.get("/activity/check").text


@pytest.mark.parametrize("path", ["/activity/check", "/api/v1/activity/check"])
def test_one_check_at_a_time(
    store: Store, viewer: TestClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []

    def meanwhile(self: AuditStore) -> list[str]:
        answers.append(viewer.get(path))
        return []

    monkeypatch.setattr(AuditStore, "verify", meanwhile)
    assert live.check_record(store) == []
    assert [(one.status_code, "already being verified" in one.text) for one in answers] == [
        (409, True)
    ]
    monkeypatch.undo()
    monkeypatch.setenv("AIRFLOW_CONN_CALENDAR_SYNC_HMAC_KEY", '{"password": "audit key"}')
    assert viewer.get(path).status_code == 200


def test_more_problems_than_are_shown(viewer: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AuditStore, "verify", lambda self: ["wrong"] * PROBLEMS)
    text = viewer.get("/activity/check").text
    assert f"at least {plural(PROBLEMS, 'problem')}" in text
    assert "and at least 900 more" in text
