"""Airflow's own API, asked within this process in the name of whoever is looking.

The request goes on with the person's own cookie or token, so that Airflow decides whether they may
and writes its own record of it. No address is needed, and rights are the same as elsewhere.
"""

import asyncio
import json
import logging
from collections.abc import Mapping, MutableMapping
from typing import Any

from starlette.requests import Request

from calendar_sync.admin.web.rendering import airflow_root
from calendar_sync.core.dag_ids import AIRFLOW_HERE
from calendar_sync.core.redaction import describe

logger = logging.getLogger(__name__)

_PASSED_ON = frozenset({b"authorization", b"cookie", b"host", b"user-agent", b"x-forwarded-for"})
NOT_HERE = 501
_REPEATABLE = frozenset({"GET", "PATCH", "PUT", "DELETE"})
#: Seconds before each further try.
PAUSES = (0.3, 1.0, 3.0)


async def ask(
    request: Request, method: str, path: str, body: Mapping[str, Any], query: str = ""
) -> int:
    """The status of Airflow's answer; its body is not passed on.

    Args:
        request: whose name it is asked in.
        method: of the request.
        path: below `/api/v2`.
        body: sent as JSON.
        query: the query, encoded.
    """
    status, _ = await answer(request, method, path, body, query)
    return status


async def answer(
    request: Request,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    query: str = "",
) -> tuple[int, bytes]:
    """The status and the body of Airflow's answer; arguments as for `ask`.

    Airflow's database may be busy: an error of the server is tried again, where asking twice does
    no more than once.
    """
    # `DagGuard` leaves the rest of Airflow's API server in each request.
    if AIRFLOW_HERE not in request.scope:
        return NOT_HERE, b""
    for pause in PAUSES if method in _REPEATABLE else ():
        status, said = await _once(request, method, path, body, query)
        if status < 500:
            return status, said
        await asyncio.sleep(pause)
    return await _once(request, method, path, body, query)


async def _once(
    request: Request, method: str, path: str, body: Mapping[str, Any] | None, query: str
) -> tuple[int, bytes]:
    rest, app = request.scope[AIRFLOW_HERE]
    content = json.dumps(body).encode() if body is not None else b""
    status, said = 500, b""

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status, said
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            said += message.get("body", b"")

    try:
        await rest(_scope(request, method, path, query, len(content), app), receive, send)
    except Exception as error:
        # Its text may hold what was sent.
        logger.error("admin: Airflow, %s %s: %s", method, path, describe(error))
        return 500, b""
    return status, said


def _scope(
    request: Request, method: str, path: str, query: str, length: int, app: Any
) -> dict[str, Any]:
    outer, root = request.scope, airflow_root(request)
    whole = f"{root}/api/v2{path}"
    headers = [(name, value) for name, value in outer["headers"] if name in _PASSED_ON]
    headers += [
        (b"content-type", b"application/json"),
        (b"accept", b"application/json"),
        (b"content-length", str(length).encode()),
    ]
    kept = ("type", "asgi", "http_version", "scheme", "server", "client", "extensions")
    return {
        **{name: outer[name] for name in kept if name in outer},
        "method": method,
        "path": whole,
        "raw_path": whole.encode(),
        "root_path": root,
        "query_string": query.encode(),
        "headers": headers,
        # Whom Airflow has recognised, too.
        "state": dict(outer.get("state") or {}),
        "app": app,
    }
