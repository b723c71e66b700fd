"""The check of the hash chain, with the key where Airflow keeps it."""

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from calendar_sync.state import Store
from calendar_sync.state import tables as t
from tests.admin.test_pages import write


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key with which the record of these tests is made."""
    monkeypatch.setenv("AIRFLOW_CONN_CALENDAR_SYNC_HMAC_KEY", '{"password": "audit key"}')


def test_a_whole_record(store: Store, viewer: TestClient) -> None:
    write(store)
    assert "The record is whole" in viewer.get("/activity/check").text
    assert viewer.get("/api/v1/activity/check").json() == {"whole": True, "problems": []}


def test_a_changed_record(store: Store, viewer: TestClient) -> None:
    write(store)
    with store.database.write() as connection:
        connection.execute(update(t.operation).values(outcome="forged"))
    text = viewer.get("/activity/check").text
    assert "The record was changed: 1 problem" in text
    assert "operation cycle/1 does not fit" in text
    assert viewer.get("/api/v1/activity/check").json()["whole"] is False
