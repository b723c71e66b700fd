"""Who may start and answer the DAGs that remove things for many: those who may change things here.

Airflow checks the right to edit DAGs, which every ordinary user has. With some auth managers
no DAG can be set apart, with none of them a question. So this stands in front of the whole API
server: what changes one of these DAGs (a run, an answer, an XCom, a task's state) needs the right
that the pages ask for. Nothing heavy is imported here: Airflow loads plugins in each process.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from calendar_sync.core.dag_ids import AIRFLOW_HERE, DECIDING

if TYPE_CHECKING:
    from calendar_sync.admin.web.access import Access

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
REFUSED = (
    "Calendar Sync: this DAG deletes synced events. Starting and answering it needs the right to "
    "edit Airflow's connections or its configuration."
)
SIGN_IN = "Calendar Sync: please sign in."

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class DagGuard:
    """An ASGI middleware around Airflow's API server. `access` is for tests; else Airflow's own."""

    def __init__(self, app: App, access: "Access | None" = None) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request: any other than those that change such a DAG passes at once.

        Our own pages find the rest of Airflow in it, to ask Airflow in the person's name.
        """
        if scope["type"] == "http":
            scope[AIRFLOW_HERE] = (self._app, scope.get("app"))
        if scope["type"] != "http" or not concerns(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        status, why = await self._judge(scope)
        if status:
            await _refuse(send, status, why)
            return
        await self._app(scope, receive, send)

    async def _judge(self, scope: Scope) -> tuple[int, str]:
        """Status and reason of a refusal; status 0 lets the request pass."""
        from starlette.requests import Request

        from calendar_sync.admin.web.access import NotSignedIn, Right

        access = self._access or _airflow()
        if access is None:
            return 0, ""
        try:
            viewer = await access.viewer(Request(dict(scope)))
        except NotSignedIn:
            return 401, SIGN_IN
        return (0, "") if viewer.may(Right.CHANGE) else (403, REFUSED)


def concerns(method: str, path: str) -> bool:
    """It changes one of these DAGs: its path is `…/dags/{dag_id}/…`.

    To delete a run starts and answers nothing, and is what `calendar_sync_maintenance` does.
    """
    parts = path.split("/")
    if method in SAFE or (method == "DELETE" and parts[-2:-1] == ["dagRuns"]):
        return False
    return any(one == "dags" and other in DECIDING for one, other in pairwise(parts))


def _airflow() -> "Access | None":
    """Airflow's auth manager; none where everybody is an administrator, without signing in."""
    from calendar_sync.admin.security import AirflowAccess, everybody_is_admin

    return None if everybody_is_admin() else AirflowAccess()


async def _refuse(send: Send, status: int, why: str) -> None:
    body = json.dumps({"detail": why}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
