"""Airflow's own API within the process: a busy database does not fail what can be asked again."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from calendar_sync.admin.web import airflow_here
from calendar_sync.core.dag_ids import AIRFLOW_HERE


class Airflow:
    """Answers with these statuses in turn, an exception for None; the last one stays."""

    def __init__(self, *statuses: int | None) -> None:
        self.statuses = list(statuses)
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(f"{scope['method']} {scope['path']}")
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status is None:
            raise RuntimeError("database is locked")
        await Response(b"said", status)(scope, receive, send)


def ask(airflow: Airflow, method: str) -> tuple[int, bytes]:
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "root_path": "/calendar-sync",
        "headers": [],
        AIRFLOW_HERE: (airflow, None),
    }
    return asyncio.run(airflow_here.answer(Request(scope), method, "/dags/one", {}))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow_here, "PAUSES", (0.0, 0.0, 0.0))


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("first", [[500], [None, 503], [500, 500, 500]])
def test_an_error_of_the_server_is_tried_again(method: str, first: list[int | None]) -> None:
    airflow = Airflow(*first, 200)
    assert ask(airflow, method) == (200, b"said")
    assert len(airflow.asked) == len(first) + 1
    assert len(set(airflow.asked)) == 1


def test_an_error_that_stays_is_told() -> None:
    airflow = Airflow(500)
    assert ask(airflow, "PATCH")[0] == 500
    assert len(airflow.asked) == 4


@pytest.mark.parametrize(("method", "status"), [("POST", 500), ("PATCH", 403), ("PATCH", 404)])
def test_what_may_not_be_repeated_and_what_is_refused_is_asked_once(
    method: str, status: int
) -> None:
    airflow = Airflow(status, 200)
    assert ask(airflow, method)[0] == status
    assert len(airflow.asked) == 1
