"""A served sandbox whose connections Airflow knows, for pages that look at both sides."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet

from calendar_sync.config.settings import parse
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync_sandbox import Sandbox, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    import pytest
    from starlette.testclient import TestClient

    from calendar_sync.state import Store

KEY = "audit key"
SECONDS = 60.0


@dataclass
class Outside:
    """Dana and Ruben have mailboxes at Google and are mapped, Nora is not."""

    sandbox: Sandbox
    ids: dict[str, str]


@contextlib.contextmanager
def outside(
    store: Store, folder: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Outside]:
    """Serve it, and have everybody mapped but Nora."""
    sandbox = Sandbox()
    sandbox.welkin.rate_limit = None
    ids = {}
    for name in ("dana", "ruben", "nora"):
        ids[name] = sandbox.welkin.add_user(f"{name}@example.org", name.title()).id
        sandbox.google.add_account(f"{name}@example.org")
    quick = parse({"limits": {"welkin_requests_per_second": 100}})
    store.config.save_settings(quick, "tests", now)
    mapped = [
        MappedUser(ids[name], Platform.GOOGLE, f"{name}@example.org") for name in ("dana", "ruben")
    ]
    store.config.edit_mapping(lambda _: mapped, "tests", now)
    with running(sandbox, folder / "served"):
        found = json.loads((folder / "served" / "connections.json").read_text())
        for name, values in found.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(values))
        key = json.dumps({"conn_type": "generic", "password": KEY})
        monkeypatch.setenv("AIRFLOW_CONN_CALENDAR_SYNC_HMAC_KEY", key)
        monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
        yield Outside(sandbox, ids)
    assert sandbox.requests.mail_risk == []


def finished(client: TestClient, path: str, data: dict[str, Any], token: str) -> str:
    """Begin a job as the page does, and ask as the page does until it has ended."""
    headers = {"X-CSRF-Token": token}
    text = client.post(path, data=data, headers=headers).text
    end = time.monotonic() + SECONDS
    while 'hx-trigger="load delay' in text:
        assert time.monotonic() < end, text
        time.sleep(0.2)
        again = text.split('hx-get="')[1].split('"')[0]
        text = client.get(again.removeprefix("/calendar-sync")).text
    return text
