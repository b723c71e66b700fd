"""The admin pages under a real Airflow: signed in for real, over a sync that ran for real."""

from __future__ import annotations

import contextlib
import html
import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx
import pytest
from sqlalchemy import update

from calendar_sync.admin.settings.forms import fill
from calendar_sync.config.settings import parse
from calendar_sync.state import tables as t
from calendar_sync_sandbox import Fault
from calendar_sync_sandbox.demo.checks import leaks
from tests.e2e.airflow.runs.conftest import DAG_ID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.airflow.stage import Stage

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow")]


@pytest.fixture(scope="module", autouse=True)
def _switched_on(filled: Stage) -> None:
    """The tests of the runs leave the DAG paused."""
    filled.airflow.unpause(DAG_ID)


@contextlib.contextmanager
def browser(stage: Stage, user: str, password: str) -> Iterator[httpx.Client]:
    """A browser with the cookie of a session, as Airflow's sign-in leaves it."""
    address = f"http://127.0.0.1:{stage.airflow.port}"
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
        answer = client.post("/auth/token", json={"username": user, "password": password})
        client.cookies.set("_token", answer.json()["access_token"])
        yield client


@pytest.fixture(scope="module")
def admin(stage: Stage) -> Iterator[httpx.Client]:
    with browser(stage, "admin", stage.airflow.password) as client:
        yield client


@pytest.fixture(scope="module")
def vera(stage: Stage) -> Iterator[httpx.Client]:
    """Whom Airflow knows as a viewer; it chose her password itself."""
    file: Path = stage.airflow.home / "simple_auth_manager_passwords.json.generated"
    with browser(stage, "vera", json.loads(file.read_text())["vera"]) as client:
        yield client


def words(answer: httpx.Response) -> str:
    """A page without the places where an address may be broken."""
    return answer.text.replace("<wbr>", "")


def test_it_is_in_the_navigation(admin: httpx.Client) -> None:
    plugins = admin.get("/api/v2/plugins").json()["plugins"]
    [ours] = [each for each in plugins if each["name"] == "calendar_sync_admin"]
    view, mine = ours["external_views"]
    assert (view["name"], view["destination"]) == ("Calendar Sync", "nav")
    for address in ("href", "icon", "icon_dark_mode"):
        # Relative to the page of the Airflow UI, whose base is its own root.
        assert admin.get(f"/{view[address]}").status_code == 200, address
    assert (mine["name"], mine["destination"]) == ("My calendar sync", "nav")
    # The administrator is nobody who is synced.
    assert "Your sync was not found" in admin.get(f"/{mine['href']}").text


def test_nothing_is_shown_without_a_login(stage: Stage) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{stage.airflow.port}", trust_env=False) as client:
        for path in ("/", "/users", "/activity.csv", "/api/v1/users", "/static/1/admin.css", "/x"):
            assert client.get(f"/calendar-sync{path}").status_code == 401, path


def test_a_viewer_looks_and_changes_nothing(stage: Stage, vera: httpx.Client) -> None:
    assert stage.users[0].account in words(vera.get("/calendar-sync/users"))
    path = f"/calendar-sync/users/{stage.users[0].welkin_id}"
    assert "<form" not in vera.get(path).text
    assert vera.post(f"{path}/sync?platform=google").status_code == 403


def test_a_failed_user_is_found_explained_and_retried(stage: Stage, admin: httpx.Client) -> None:
    dana, mira = stage.users[0], stage.users[2]
    fault = Fault("google", "status", user=mira.account, times=None, code=403)
    stage.sandbox.faults.add(fault)
    stage.book(mira, stage.slot(12))
    stage.run(users=[mira.welkin_id])
    listed = words(admin.get("/calendar-sync/users", params={"sort": "retry"}))
    assert listed.index(mira.account) < listed.index(dana.account)
    assert "google_forbidden" in listed
    # The schedule goes on meanwhile: without the button it would leave her alone for hours.
    later = {"retry_at": datetime.now(UTC) + timedelta(hours=6)}
    hers = t.user_sync.c.user_id == mira.welkin_id
    with stage.database.write() as connection:
        connection.execute(update(t.user_sync).where(hers).values(later))

    path = f"/calendar-sync/users/{mira.welkin_id}"
    page = admin.get(path).text
    explained = admin.get(f"{path}/explanation?platform=google").text
    assert "google_forbidden" in explained
    log = admin.get(f"/calendar-sync/airflow-page?platform=google&user_id={mira.welkin_id}")
    assert re.fullmatch(
        rf"/dags/{DAG_ID}/runs/[^/]+/tasks/sync_user/mapped/\d+", log.headers["location"]
    )

    stage.sandbox.faults.clear()
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token is not None
    answer = admin.post(f"{path}/sync?platform=google", data={"csrf_token": token[1]})
    assert answer.status_code == 303
    # No user is named: whichever run comes first finds her by her mark.
    stage.run()
    stage.wait(lambda: api_state(admin, mira.welkin_id) == ("ok", None, None))


def api_state(client: httpx.Client, user_id: str) -> tuple[str | None, ...]:
    [state] = client.get(f"/calendar-sync/api/v1/users/{user_id}").json()
    return state["state"], state["error"], state["retry_at"]


def test_a_run_leads_to_its_page_in_airflow(stage: Stage, admin: httpx.Client) -> None:
    run = admin.get("/calendar-sync/api/v1/overview").json()["runs"][0]
    asked = urlencode({"platform": run["platform"], "run_id": run["run_id"]})
    answer = admin.get(f"/calendar-sync/airflow-page?{asked}")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"/dags/{DAG_ID}/runs/")
    gone = admin.get("/calendar-sync/airflow-page?platform=google&run_id=gone")
    assert gone.status_code == 404
    assert "stays in Activity" in gone.text


def test_the_record_is_whole(admin: httpx.Client) -> None:
    assert admin.get("/calendar-sync/api/v1/activity/check").json()["whole"] is True


def test_no_patient_is_on_any_page(stage: Stage, admin: httpx.Client) -> None:
    """The mirrors of this stage show names: whatever the pages could let slip is there."""
    paths = ["/", "/users", "/activity", "/activity.csv", "/api/v1/overview", "/api/v1/users"]
    paths += ["/api/v1/activity?size=1000", "/nowhere"]
    paths += ["/settings", "/settings/history", "/settings/sample", "/api/v1/settings"]
    paths += ["/mapping", "/mapping/history", "/mapping.csv", "/mapping.yaml", "/api/v1/mapping"]
    paths += ["/attention", "/api/v1/conflicts", "/api/v1/approvals", "/connections"]
    for user in stage.users:
        paths += [f"/users/{user.welkin_id}", f"/users/{user.welkin_id}/explanation"]
    texts = []
    for path in paths:
        answer = admin.get(f"/calendar-sync{path}")
        assert answer.status_code == (404 if path == "/nowhere" else 200), path
        texts.append((path, answer.content))
    assert sum(len(text) for _, text in texts) > 50_000
    assert leaks(texts, sorted(stage.sandbox.canaries)) == []


def test_each_connection_is_tried_where_the_api_server_runs(admin: httpx.Client) -> None:
    page = admin.get("/calendar-sync/connections").text
    headers = {"X-CSRF-Token": token_of(page)}
    for name in ("welkin_default", "google_calendar_default", "calendar_sync_hmac_key"):
        answer = admin.post(f"/calendar-sync/connections/{name}/test", headers=headers)
        assert "It works." in answer.text, name


def test_a_setting_changed_in_the_browser_is_obeyed(stage: Stage, admin: httpx.Client) -> None:
    """Last, as no name is left in any mirror afterwards."""
    user = stage.users[0]
    before = {event["summary"] for event in stage.sandbox.google.mirrors_of(user.account)}
    assert "Visit" not in before
    page = admin.get("/calendar-sync/settings").text
    found = admin.get("/calendar-sync/api/v1/settings").json()
    token = token_of(page)
    form = {**fill(parse(found["settings"])), "based_on": str(found["revision"])}
    form |= {"csrf_token": token, "mirror_content.title.template": "Visit"}
    review = admin.post("/calendar-sync/settings/review", data=form).text
    document = re.search(r'name="document" value="([^"]+)"', review)
    assert document is not None, review
    sent = {"csrf_token": token, "document": html.unescape(document[1])}
    text = admin.post("/calendar-sync/settings/effect", data=sent).text
    end = time.monotonic() + 120
    while 'hx-trigger="load delay' in text and time.monotonic() < end:
        time.sleep(0.5)
        text = admin.get(text.split('hx-get="')[1].split('"')[0]).text
    assert "synced events updated" in text
    saved = admin.post("/calendar-sync/settings", data={**sent, "based_on": str(found["revision"])})
    assert saved.status_code == 303
    stage.run(users=[user.welkin_id])
    after = {event["summary"] for event in stage.sandbox.google.mirrors_of(user.account)}
    # What has no patient is called so at any level.
    assert after - {"Appointment"} == {"Visit"}
    history = admin.get("/calendar-sync/settings/history").text
    assert "airflow:admin" in history


def token_of(page: str) -> str:
    """What the page's forms carry."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None
    return found[1]
