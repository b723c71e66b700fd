"""The JSON API: described, guarded, and never a 5xx whatever is asked."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import insert
from starlette.testclient import TestClient

from calendar_sync.admin.web import PREFIX, forgery
from calendar_sync.core.model import Platform
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from tests.engine.admin.population import populate
from tests.engine.admin.stage import OPERATOR, VIEWER, Pages, build, csrf, token
from tests.harness import fresh

NOW = datetime.now(UTC)
#: Of each operation; the first for a release.
EXAMPLES = (40, 15)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
DESCRIPTION = f"{PREFIX}/api/v1/openapi.json"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def filled(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Pages]:
    """Pages over either database, with somebody to find; the key for the check is there."""
    url = f"sqlite:///{tmp_path}/api.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("new_postgres_url")
    database = fresh(url)
    store = Store(database, "audit key")
    populate(store, NOW, 60)
    made = build(store)
    yield made
    made.app.state.calendar_sync.close()
    database.close()


def test_no_request_makes_it_fail(
    filled: Pages, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    """Schemathesis, driven by hand: its pytest plugin does not know pytest 9.2."""
    examples = EXAMPLES[not pytestconfig.getoption("--every-seed")]
    monkeypatch.setenv("AIRFLOW_CONN_CALENDAR_SYNC_HMAC_KEY", '{"password": "audit key"}')
    headers = {"Authorization": f"Bearer {token(OPERATOR)}"}
    described = schemathesis.openapi.from_asgi(DESCRIPTION, filled.root, headers=headers)
    asked: Counter[str] = Counter()
    for found in described.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            answer = case.call(headers=headers)
            asked[f"{case.method} {case.path} {answer.status_code}"] += 1
            # With neither Welkin nor a calendar connected it cannot look at both sides.
            looks = case.path.endswith(("/explanation", "/mapping/rules"))
            unable = looks and answer.status_code == 503
            checks = [check for check in CHECKS if not (unable and check is not_a_server_error)]
            case.validate_response(answer, checks=checks)

        ask()
    # It was not all refused at the door.
    assert asked["GET /api/v1/users 200"]
    assert asked["GET /api/v1/activity 200"]
    assert asked["GET /api/v1/activity/check 200"]


def test_the_description_names_no_page(pages: Pages) -> None:
    with pages.browser(VIEWER) as client:
        described = client.get("/api/v1/openapi.json").json()
    assert described["servers"] == [{"url": PREFIX}]
    assert described["paths"].keys() == {
        "/api/v1/overview",
        "/api/v1/users",
        "/api/v1/users/{user_id}",
        "/api/v1/users/{user_id}/sync",
        "/api/v1/users/{user_id}/pause",
        "/api/v1/users/{user_id}/choices",
        "/api/v1/users/{user_id}/explanation",
        "/api/v1/activity",
        "/api/v1/activity/check",
        "/api/v1/codes",
        "/api/v1/settings",
        "/api/v1/mapping",
        "/api/v1/mapping/rules",
        "/api/v1/profiles",
        "/api/v1/conflicts",
        "/api/v1/conflicts/{number}",
        "/api/v1/approvals",
        "/api/v1/connections",
        "/api/v1/connections/{name}/test",
    }


def test_it_says_what_the_pages_say(store: Store, viewer: TestClient) -> None:
    populate(store, NOW, 60)
    overview = viewer.get("/api/v1/overview").json()
    assert sum(sum(one["standing"]["states"].values()) for one in overview["platforms"]) == 60
    users = viewer.get("/api/v1/users", params={"size": 500}).json()
    assert (users["total"], len(users["users"])) == (60, 60)
    [user] = viewer.get("/api/v1/users/user-00007").json()
    assert user in users["users"]
    first = viewer.get("/api/v1/activity", params={"size": 3}).json()
    second = viewer.get("/api/v1/activity", params={"size": 3, "before": first["next"]}).json()
    ids = [entry["id"] for entry in first["entries"] + second["entries"]]
    assert ids == sorted(set(ids), reverse=True)
    assert len(ids) == 6


def test_every_code_that_a_user_has_is_explained(store: Store, viewer: TestClient) -> None:
    populate(store, NOW, 400)
    users = viewer.get("/api/v1/users", params={"size": 500}).json()["users"]
    met = {user["error"] for user in users if user["error"]}
    meanings = {one["code"]: one for one in viewer.get("/api/v1/codes").json()}
    assert met
    assert met <= meanings.keys()
    revoked = meanings["google_access_denied"]
    assert revoked["label"]
    assert revoked["advice"]
    assert revoked["whose"] == "the Google Workspace administrator"


def test_a_problem_is_json_with_words(viewer: TestClient) -> None:
    answer = viewer.get("/api/v1/users/nobody")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not found",
        "status": 404,
        "detail": "No user with this id is mapped.",
    }
    answer = viewer.get("/api/v1/users", params={"page": "Nora Patient"})
    assert answer.status_code == 422
    assert "page" in answer.json()["detail"]
    assert "Nora" not in answer.text


def test_a_program_asks_for_a_sync(store: Store, pages: Pages) -> None:
    populate(store, NOW, 3)
    with pages.script(OPERATOR) as client:
        answer = client.post("/api/v1/users/user-00000/sync", params={"platform": "google"})
    assert (answer.status_code, answer.json()["user_id"]) == (202, "user-00000")
    assert store.marks.of("user-00000", Platform.GOOGLE).marked


def test_a_page_of_another_site_does_not(store: Store, operator: TestClient) -> None:
    populate(store, NOW, 3)
    asked = {"platform": "google"}
    path = "/api/v1/users/user-00000/sync"
    assert operator.post(path, params=asked).status_code == 403
    headers = {forgery.HEADER: csrf(operator)}
    assert operator.post(path, params=asked, headers=headers).status_code == 202


def test_no_patient_is_in_any_answer(store: Store, viewer: TestClient) -> None:
    """Welkin's staff list is the one table of people: of it only state and zone are shown."""
    populate(store, NOW, 3)
    with store.database.write() as connection:
        row = {"user_id": "user-00000", "email": "x@clinic.example", "active": True}
        connection.execute(insert(t.welkin_user), {**row, "time_zone": "UTC", "seen_at": NOW})
    assert "zone UTC" in viewer.get("/users/user-00000").text
    for path in ("/users", "/users/user-00000", "/api/v1/users", "/api/v1/users/user-00000"):
        assert "x@clinic.example" not in viewer.get(path).text, path
