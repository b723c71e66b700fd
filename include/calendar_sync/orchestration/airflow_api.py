"""Airflow's own REST API, as much of it as removing old runs needs.

Tasks have no access to Airflow's database. The connection `calendar_sync_airflow` (host, login,
password) names an account that may delete runs.
https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from calendar_sync.adapters.http import send_once
from calendar_sync.config.credentials import Fields
from calendar_sync.core.bounded import read_json
from calendar_sync.core.codes import SetupCode
from calendar_sync.core.errors import ConfigurationError, NotFound, TransientError

CONNECTION = "calendar_sync_airflow"
PAGE = 100
TIMEOUT = 30.0


@dataclass(frozen=True)
class Run:
    """One run of a DAG that has ended; `state` is success or failed."""

    run_id: str
    state: str
    ended_at: datetime


@dataclass(frozen=True)
class Page:
    """Some runs of a longer list; `size` counts all that Airflow listed, whatever their state."""

    runs: list[Run]
    size: int

    @property
    def last(self) -> bool:
        """Nothing comes after it."""
        return self.size < PAGE


class AirflowApi:
    """One signed-in account.

    Args:
        fields: the connection; `host` is the base URL of the API server.

    Raises:
        ConfigurationError: the connection is incomplete, or the account is refused.
        TransientError: the API server does not answer.
    """

    def __init__(self, fields: Fields) -> None:
        if not fields.host.startswith(("http://", "https://")):
            raise ConfigurationError(detail=f"connection {CONNECTION}: host is a base URL")
        self._root = fields.host.rstrip("/")
        self._token = ""
        body = {"username": fields.login, "password": fields.password}
        answer = self._ask("POST", "/auth/token", body)
        self._token = str(answer.get("access_token") or "")

    def ended_runs(self, dag_id: str, before: datetime, skip: int = 0) -> Page:
        """Runs of a DAG that ended before then: the page behind the `skip` oldest of them."""
        query = {
            "end_date_lte": before.isoformat(),
            "order_by": "run_after",
            "limit": str(PAGE),
            "offset": str(skip),
        }
        path = f"/api/v2/dags/{quote(dag_id)}/dagRuns?{urlencode(query)}"
        rows = self._ask("GET", path).get("dag_runs", [])
        runs = [
            Run(row["dag_run_id"], row["state"], datetime.fromisoformat(row["end_date"]))
            for row in rows
            if row.get("state") in {"success", "failed"} and row.get("end_date")
        ]
        return Page(runs, len(rows))

    def delete_run(self, dag_id: str, run_id: str) -> None:
        """Delete a run with its task instances; gone already is success."""
        path = f"/api/v2/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}"
        try:
            self._ask("DELETE", path)
        except NotFound:
            return

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        sent = json.dumps(body).encode() if body is not None else None
        try:
            status, text = send_once(
                method, self._root + path, sent, bearer=self._token, seconds=TIMEOUT, direct=True
            )
        except TransientError as error:
            raise TransientError(SetupCode.AIRFLOW_UNAVAILABLE, detail=error.detail) from None
        if status in {401, 403}:
            raise ConfigurationError(detail=f"connection {CONNECTION}: refused ({status})")
        if status == 404:
            raise NotFound(SetupCode.AIRFLOW_NOT_FOUND)
        if not 200 <= status < 300:
            raise TransientError(SetupCode.AIRFLOW_UNAVAILABLE, detail=str(status))
        try:
            found = read_json(text) if text else {}
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise TransientError(SetupCode.AIRFLOW_UNAVAILABLE, detail="unreadable_answer")
        return found
