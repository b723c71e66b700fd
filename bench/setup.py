"""Settings, keys and connections that all processes of the bench share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from calendar_sync.config.credentials import HMAC_KEY as HMAC_CONNECTION
from calendar_sync.config.settings import Settings, parse

if TYPE_CHECKING:
    from pathlib import Path

HMAC_KEY = "made-up-key-of-the-bench"
#: Names the file whose growth is an event for the empty DAG.
FLOOR_FILE = "BENCH_FLOOR"
FERNET_KEY = "YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmU="
WELKIN_REQUESTS_PER_SECOND = 100
#: All else is as shipped. Five requests a second would be all that is measured.
SETTINGS: dict[str, Any] = {
    "time_zone": "America/New_York",
    "limits": {"welkin_requests_per_second": WELKIN_REQUESTS_PER_SECOND},
}


def settings() -> Settings:
    """The organisation's settings."""
    return parse(SETTINGS)


def connection_variables(folder: Path) -> dict[str, str]:
    """The environment in which Airflow finds the connections to the sandbox of `folder`."""
    connections: dict[str, Any] = json.loads((folder / "connections.json").read_text())
    connections[HMAC_CONNECTION] = {"conn_type": "generic", "password": HMAC_KEY}
    return {
        f"AIRFLOW_CONN_{name.upper()}": json.dumps(fields) for name, fields in connections.items()
    }
