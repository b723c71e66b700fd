"""Only those who may change things here start and answer the DAGs that remove things for many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from calendar_sync.admin.dag_guard import DagGuard
from calendar_sync.admin.web.access import NotSignedIn, Right, Viewer

if TYPE_CHECKING:
    from starlette.requests import Request

BASE = "/api/v2/dags/calendar_unsync"
RUN = f"{BASE}/dagRuns/manual__1"
CHANGES = [
    ("POST", f"{BASE}/dagRuns"),
    ("PATCH", f"{RUN}/taskInstances/approve/-1/hitlDetails"),
    ("PATCH", f"{RUN}/taskInstances/approve/xcomEntries/return_value"),
    ("PATCH", f"{RUN}/taskInstances/approve"),
    ("POST", f"{BASE}/clearTaskInstances"),
    ("DELETE", f"{RUN}/taskInstances/approve"),
    ("DELETE", BASE),
    ("POST", f"/airflow{BASE}/dagRuns"),
    ("POST", "/api/v2/dags/%63alendar_unsync/dagRuns"),
    ("POST", "/api/v2/dags/calendar_sync_approvals/dagRuns"),
    ("PATCH", "/ui/dags/calendar_sync_approvals/anything"),
]


class Fixed:
    """Everybody is the same person."""

    def __init__(self, *rights: Right, signed_in: bool = True) -> None:
        self._viewer = Viewer("uma", "uma", frozenset(rights), by_token=True)
        self._signed_in = signed_in

    async def viewer(self, request: Request) -> Viewer:
        if not self._signed_in:
            raise NotSignedIn
        return self._viewer

    def secret(self) -> bytes:
        return b""

    def origins(self) -> frozenset[str]:
        return frozenset()


def client(access: Any) -> TestClient:
    """Airflow, which says yes to everything."""
    app = Starlette()
    app.add_route(
        "/{path:path}",
        lambda request: PlainTextResponse("done"),
        methods=["GET", "POST", "PATCH", "DELETE"],
    )
    app.add_middleware(DagGuard, access=access)
    return TestClient(app)


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_the_right_to_edit_dags_is_not_enough(method: str, path: str) -> None:
    refused = client(Fixed(Right.VIEW)).request(method, path, json={})
    assert refused.status_code == 403
    assert "right to edit Airflow's connections" in refused.json()["detail"]
    assert client(Fixed(signed_in=False)).request(method, path, json={}).status_code == 401
    assert client(Fixed(Right.VIEW, Right.CHANGE)).request(method, path, json={}).text == "done"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{RUN}/taskInstances/approve/-1/hitlDetails"),
        ("POST", "/api/v2/dags/google_calendar_sync/dagRuns"),
        ("DELETE", RUN),
        ("POST", "/execution/xcoms/calendar_unsync/manual__1/approve/return_value"),
        ("POST", "/api/v2/dags/somebody_else/dagRuns/calendar_unsync"),
    ],
)
def test_whatever_else_airflow_is_asked_passes(method: str, path: str) -> None:
    assert client(Fixed(signed_in=False)).request(method, path).text == "done"
