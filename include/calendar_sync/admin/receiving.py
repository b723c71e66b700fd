"""The receiver of push inside Airflow's API server, for deployments that want no process more."""

import os
from typing import Any

from calendar_sync.admin.lazy import Lazy

#: Set to 1, the API server takes notices below `PREFIX`.
VARIABLE = "CALENDAR_SYNC_RECEIVE_IN_API_SERVER"
PREFIX = "/calendar-sync-push"


def wanted() -> bool:
    """The deployment has it so."""
    return os.environ.get(VARIABLE, "").strip().lower() in {"1", "true", "yes", "on"}


def _make() -> Any:
    from calendar_sync.admin.web.outside import as_server
    from calendar_sync.core.identity import push_key
    from calendar_sync.orchestration.connections import organisation_key
    from calendar_sync.push.receiver import create
    from calendar_sync.state import Database

    with as_server():
        key = push_key(organisation_key())
    return create(Database(), key)


app = Lazy(_make)
