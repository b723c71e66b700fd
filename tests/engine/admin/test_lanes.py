"""A service that hangs holds its own few threads, and nobody else's request."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from starlette.testclient import TestClient

from calendar_sync.admin.connections import tests as connection_tests
from calendar_sync.admin.web import lanes, live
from calendar_sync.admin.web.jobs import Jobs
from calendar_sync.admin.web.lanes import EXPLANATIONS, Lane
from calendar_sync.admin.web.problems import Problem
from tests.engine.admin.stage import SITE, VIEWER, Pages, csrf, token
from tests.engine.admin.test_jobs import ended, forever

PLACES = 4
ASKED = 60


class Hanging:
    """Welkin, which does not answer before the test lets it."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.answers = threading.Event()
        self.count = 0

    def __call__(self, *_: Any) -> Any:
        self.count += 1
        self.asked.release()
        self.answers.wait(60)
        raise Problem(503, "It hung.")


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    found = Hanging()
    monkeypatch.setattr(live, "explain", found)
    monkeypatch.setattr(connection_tests, "test", found)
    monkeypatch.setattr(lanes, "PATIENCE", 0.1)
    yield found
    found.answers.set()
    for lane in (EXPLANATIONS, lanes.TESTS):
        while lane._people:
            threading.Event().wait(0.01)


@contextmanager
def people(pages: Pages, number: int, role: str = VIEWER) -> Iterator[list[TestClient]]:
    """Different persons of one role, at one server."""
    with ExitStack() as stack:
        clients = []
        for each in range(number):
            client = TestClient(pages.root, base_url=f"{SITE}/calendar-sync")
            client.headers["Authorization"] = f"Bearer {token(role, f'person{each}')}"
            clients.append(stack.enter_context(client))
        yield clients


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
def test_sixty_explanations_of_one_viewer_leave_the_server_to_the_others(
    pages: Pages, viewer: TestClient, hanging: Hanging, prefix: str
) -> None:
    path = f"{prefix}/users/ada/explanation?platform=google"
    with ThreadPoolExecutor(ASKED) as pool:
        asked = [pool.submit(viewer.get, path) for _ in range(ASKED)]
        hanging.asked.acquire()
        # All places but one are free: whoever else asks is answered.
        assert viewer.get("/").status_code == 200
        hanging.answers.set()
        answers = [each.result() for each in asked]
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {429, 503}
    assert hanging.count == statuses.count(503)
    assert all("retry-after" in one.headers for one in answers if one.status_code == 429)


def test_everybody_asks_and_only_a_few_are_looked_for(pages: Pages, hanging: Hanging) -> None:
    with people(pages, PLACES + 3) as clients, ThreadPoolExecutor(len(clients)) as pool:
        path = "/api/v1/users/ada/explanation"
        asked = [pool.submit(client.get, path) for client in clients[:PLACES]]
        for _ in range(PLACES):
            hanging.asked.acquire()
        for client in clients[PLACES:]:
            answer = client.get(path)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "Too many requests are running" in answer.json()["detail"]
            assert client.get("/api/v1/overview").status_code == 200
        hanging.answers.set()
        assert {each.result().status_code for each in asked} == {503}
    assert hanging.count == PLACES


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
def test_a_connection_that_hangs_is_tested_once_at_a_time(
    pages: Pages, operator: TestClient, hanging: Hanging, prefix: str
) -> None:
    path, headers = f"{prefix}/connections/welkin_default/test", {"X-CSRF-Token": csrf(operator)}
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(operator.post, path, headers=headers)
        hanging.asked.acquire()
        again = operator.post(path, headers=headers)
        assert (again.status_code, again.headers["retry-after"]) == (429, "5")
        assert operator.get("/connections").status_code == 200
        hanging.answers.set()
        assert first.result().status_code == 503


def test_an_answer_that_takes_too_long_is_not_waited_for(
    viewer: TestClient, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EXPLANATIONS, "_seconds", 0.05)
    answer = viewer.get("/users/ada/explanation")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "did not answer within" in answer.text
    # The look goes on, and its place is taken until it ends.
    assert viewer.get("/users/ada/explanation").status_code == 429


def test_a_hanging_secrets_backend_delays_only_the_connections_page(
    viewer: TestClient, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_tests, "connections", hanging)
    monkeypatch.setattr("calendar_sync.admin.connections.page.READING", Lane("x", 1, 0.05))
    assert viewer.get("/connections").status_code == 503
    assert viewer.get("/").status_code == 200


def test_a_person_has_one_job_at_a_time() -> None:
    all_of_them = Jobs()
    first = all_of_them.start("kind", "the first", forever, "ada")
    with pytest.raises(Problem, match="the first") as caught:
        all_of_them.start("other", "another", forever, "ada")
    assert (caught.value.status, dict(caught.value.headers or {})) == (429, {"Retry-After": "5"})
    second = all_of_them.start("kind", "the second", forever, "ruben")
    with pytest.raises(Problem, match="the first and the second") as caught:
        all_of_them.start("kind", "another", forever, "mira")
    assert caught.value.status == 503
    for job in (first, second):
        job.cancel()
        ended(job)
