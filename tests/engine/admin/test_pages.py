"""The pages as they are read, and what their buttons leave behind."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, update
from starlette.testclient import TestClient

from calendar_sync import admin
from calendar_sync.admin.web import forgery
from calendar_sync.admin.web.nav import NAV
from calendar_sync.config.documents import cell as safe
from calendar_sync.config.settings import parse
from calendar_sync.core.codes import SyncCode, code_of
from calendar_sync.core.model import MappedUser, Platform, WelkinUser
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.audit import CycleLog, Operation
from calendar_sync.state.runs import LOOKED_AT
from tests.engine.admin.population import populate
from tests.engine.admin.stage import csrf

NOW = datetime.now(UTC)
PATHS = ("/", "/users", "/users?state=retrying", "/users/user-00007", "/activity", "/nowhere")
HOSTILE = "<script>alert(1)</script>'\"&<img src=x onerror=alert(2)>"


@pytest.fixture
def full(store: Store) -> Store:
    """Some organisation."""
    populate(store, NOW, 120)
    return store


def user(store: Store, user_id: str = "ada", account: str = "ada@example.org") -> None:
    """Mapped, and Airflow has begun to sync."""
    mapped = [MappedUser(user_id, Platform.GOOGLE, account)]
    store.config.edit_mapping(lambda _: mapped, "tests", NOW)
    store.runs.record("scheduled__1", Platform.GOOGLE, NOW, NOW, 0, 0, {})


def write(store: Store, **values: str) -> None:
    """One operation of ada's."""
    fields = {"run_id": "scheduled__1", "account": "ada@example.org", "source_id": "s", **values}
    log = CycleLog("cycle", fields["run_id"], "ada", "google", fields["account"], 1)
    operation = Operation(
        "create_mirror",
        values.get("reason", "new"),
        fields["source_id"],
        "r",
        "primary",
        "busy/busy",
        values.get("outcome", "ok"),
        5,
    )
    with store.database.write() as connection:
        store.audit.append(connection, log, operation, NOW)


# --- every page -------------------------------------------------------------------------------


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(
    operator: TestClient, path: str
) -> None:
    text = operator.get(path).text
    assert "<main" in text
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    addresses = re.findall(r"(?:src|href|action|hx-get|hx-post)=\"([^\"]*)\"", text)
    assert len(addresses) > 5
    for address in addresses:
        assert address.startswith(("/calendar-sync/", "#main", "/dags")), address


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("path", PATHS)
def test_what_a_page_names_is_there(operator: TestClient, path: str) -> None:
    text = operator.get(path).text
    for address in set(re.findall(r"(?:src|href)=\"(/calendar-sync/static/[^\"]*)\"", text)):
        assert operator.get(f"http://airflow.example{address}").status_code == 200, address


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("path", PATHS)
def test_a_page_can_be_found_through_without_eyes(operator: TestClient, path: str) -> None:
    text = operator.get(path).text
    assert '<html lang="en">' in text
    assert text.count("<h1") == text.count("<main") == 1
    assert '<nav aria-label="Calendar Sync">' in text
    # Each table has a caption and scoped heads; each field is inside its label.
    assert text.count("<table") == text.count("<caption")
    assert not re.search(r"<th(?![a-z])(?![^>]*scope=)", text)
    outside = re.sub(r"<label.*?</label>", "", text, flags=re.DOTALL)
    assert not re.search(r"<select|<input(?![^>]*type=\"hidden\")", outside)


def test_the_navigation_says_where_one_is(viewer: TestClient) -> None:
    for entry in NAV:
        answer = viewer.get(entry.path)
        assert answer.status_code == 200
        assert f'href="/calendar-sync{entry.path}" aria-current="page">{entry.title}' in answer.text


def test_every_page_has_its_place_in_the_navigation() -> None:
    """But for a page of one person, who has no other, and for what went wrong on any page."""
    templates = Path(admin.__file__).parent.rglob("*.html")
    pages = {one.name for one in templates if 'extends "layout.html"' in one.read_text()}
    placed = {name for entry in NAV for name in entry.templates}
    assert pages - placed == {"mine.html", "mine_day.html", "problem.html"}
    assert placed <= pages


@pytest.mark.usefixtures("full")
def test_times_are_marked_up_in_utc(viewer: TestClient) -> None:
    found = re.findall(r'<time datetime="([^"]+)" title="([^"]+)">', viewer.get("/users").text)
    assert len(found) >= 50
    for moment, title in found:
        assert title == f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M:%S} UTC"


@pytest.mark.parametrize("path", ["/", "/users", "/users/ada", "/activity", "/activity.csv"])
def test_names_and_codes_are_text_not_markup(store: Store, operator: TestClient, path: str) -> None:
    user(store, account=HOSTILE)
    with store.database.write() as connection:
        connection.execute(
            update(t.user_sync).values(failures=3, attention=True, error_code=HOSTILE)
        )
        approval = {"digest": HOSTILE, "user_id": "ada", "platform": "google", "reason": "<b>"}
        connection.execute(insert(t.approval), {**approval, "removals": 1, "requested_at": NOW})
    store.runs.set_fault(Platform.GOOGLE, code_of(HOSTILE), NOW)
    store.runs.record(HOSTILE, Platform.GOOGLE, NOW, NOW, 1, 1, {"done": {HOSTILE: 1}})
    write(store, account=HOSTILE, outcome=HOSTILE, reason=HOSTILE, source_id=HOSTILE)
    answer = operator.get(path)
    assert answer.status_code == 200
    if path.endswith(".csv"):
        assert answer.headers["content-type"].startswith("text/csv")
        assert answer.headers["x-content-type-options"] == "nosniff"
    else:
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
        assert "<script>alert" not in answer.text
        assert "<img" not in answer.text


def test_what_is_asked_for_is_text_too(viewer: TestClient) -> None:
    for path in ("/users", "/activity"):
        asked = {"q": HOSTILE, "user": HOSTILE, "outcome": HOSTILE, "run_id": HOSTILE}
        text = viewer.get(path, params=asked).text
        assert "<script>alert" not in text
        assert "<img" not in text
    assert "<script>" not in viewer.get("/users", params={"sort": HOSTILE}).text


# --- what is empty says what to do ------------------------------------------------------------


def test_an_empty_database_says_what_to_do_next(viewer: TestClient) -> None:
    assert "Set up Calendar Sync" in viewer.get("/").text
    assert '/mapping">Mapping</a>' in viewer.get("/users").text
    assert "Nothing was synced yet" in viewer.get("/activity").text
    assert "No users match these filters" in viewer.get("/users?q=x").text
    assert "No entries match these filters" in viewer.get("/activity?user=x").text


def test_mapped_but_never_run(store: Store, viewer: TestClient) -> None:
    user(store)
    assert "Nothing was synced in the last 24 hours" in viewer.get("/").text
    store.runs.drop(Platform.GOOGLE, ["scheduled__1"])
    store.runs.record("page-test-1", Platform.GOOGLE, NOW, NOW, 1, 0, {})
    text = viewer.get("/").text
    assert "Set up Calendar Sync" in text
    assert "Mapped: 1 on Google Calendar." in text
    assert "Nothing was synced for this user yet" in viewer.get("/users/ada").text


def test_the_overview_is_shown_after_a_sync_by_the_command_line(
    store: Store, viewer: TestClient
) -> None:
    user(store)
    store.runs.drop(Platform.GOOGLE, ["scheduled__1"])
    store.runs.record("test-20260301", Platform.GOOGLE, NOW, NOW, 1, 0, {})
    assert "Set up Calendar Sync" in viewer.get("/").text
    store.runs.record("cli-20260301", Platform.GOOGLE, NOW, NOW, 1, 0, {})
    text = viewer.get("/").text
    assert "Set up Calendar Sync" not in text
    assert "Nothing was synced in the last 24 hours" in text


def test_an_unknown_user_id_is_404(viewer: TestClient) -> None:
    assert viewer.get("/users/nobody").status_code == 404


# --- overview ---------------------------------------------------------------------------------


def test_a_fault_is_reported_in_words(store: Store, viewer: TestClient) -> None:
    user(store)
    assert "sync is paused" not in viewer.get("/").text
    store.runs.set_fault(Platform.GOOGLE, SyncCode.MANY_ACCOUNTS_FAILING, NOW)
    text = viewer.get("/").text
    assert "Google sync is paused" in text
    assert "Many accounts began to fail at the same time" in text


def test_freshness_is_held_against_the_target(store: Store, viewer: TestClient) -> None:
    user(store)
    for minutes, said in ((2, "within the target"), (12, "over the target")):
        # Not NOW: this module was imported minutes ago.
        marked = datetime.now(UTC) - timedelta(minutes=minutes)
        with store.database.write() as connection:
            connection.execute(update(t.user_sync).values(marked_at=marked))
        assert said in viewer.get("/").text


def test_a_platform_whose_sync_does_not_run_is_not_green(store: Store, viewer: TestClient) -> None:
    user(store)
    now = datetime.now(UTC)
    with store.database.write() as connection:
        connection.execute(update(t.user_sync).values(done_seq=1, last_success_at=now))
    assert "Changes were never checked for" in viewer.get("/").text
    store.runs.set_facts("google", **{LOOKED_AT: now.isoformat()})
    text = viewer.get("/").text
    assert "sync is not running" not in text
    assert "all changes are synced" in text
    then = now - timedelta(days=3)
    store.runs.set_facts("google", **{LOOKED_AT: then.isoformat()})
    with store.database.write() as connection:
        connection.execute(update(t.user_sync).values(last_success_at=then))
    text = viewer.get("/").text
    assert "Google sync is not running" in text
    assert "google_calendar_sync" in text
    assert "all changes are synced" not in text
    assert "0.0 %" in text
    entry = viewer.get("/api/v1/overview").json()["platforms"][0]
    assert (entry["silent"], entry["standing"]["late"]) == (True, 1)


def test_the_chart_has_its_numbers_in_a_table(store: Store, viewer: TestClient) -> None:
    user(store)
    write(store)
    text = viewer.get("/").text
    assert "data-chart=" in text
    rows = re.findall(r"<tr><th scope=\"row\"><time.*?</tr>", text)
    assert len(rows) == 24
    assert sum(int(count) for row in rows for count in re.findall(r"<td>(\d+)</td>", row)) == 1


# --- a user -----------------------------------------------------------------------------------


def test_retry_marks_the_user_and_forgets_the_pause(store: Store, operator: TestClient) -> None:
    user(store)
    pause = NOW + timedelta(hours=5)
    with store.database.write() as connection:
        connection.execute(
            update(t.user_sync).values(done_seq=1, failures=4, attention=True, retry_at=pause)
        )
    page = operator.get("/users/ada").text
    assert ">Retry<" in page
    form = {forgery.FIELD: csrf(operator)}
    answer = operator.post("/users/ada/sync?platform=google", data=form, follow_redirects=False)
    assert answer.status_code == 303
    state = store.marks.of("ada", Platform.GOOGLE)
    assert (state.marked, state.retry_at) == (True, None)
    # It has failed until it works.
    assert (state.failures, state.attention) == (4, True)
    shown = operator.get(f"http://airflow.example{answer.headers['location']}").text
    assert "syncs this user" in shown


@pytest.mark.parametrize("path", ["/users/nobody/sync?platform=google", "/users/ada/sync"])
def test_only_who_is_mapped_can_be_asked_for(store: Store, operator: TestClient, path: str) -> None:
    user(store)
    before = store.marks.all()
    answer = operator.post(path, data={forgery.FIELD: csrf(operator)})
    assert answer.status_code in {404, 422}
    assert store.marks.all() == before


def test_who_is_inactive_in_welkin_is_not_offered_a_sync(
    store: Store, operator: TestClient
) -> None:
    user(store)
    assert ">Sync now<" in operator.get("/users/ada").text
    store.config.save_welkin_users(
        [WelkinUser("ada", "ada@welkin.example", None, False, "inactive")], NOW
    )
    assert "Sync now" not in operator.get("/users/ada").text
    before = store.marks.all()
    form = {forgery.FIELD: csrf(operator)}
    answer = operator.post("/users/ada/sync?platform=google", data=form)
    assert answer.status_code == 409
    assert "inactive in Welkin" in answer.text
    assert store.marks.all() == before


def test_a_viewer_sees_no_button(store: Store, viewer: TestClient) -> None:
    user(store)
    assert "<form" not in viewer.get("/users/ada").text


def test_explain_without_connections_says_which_is_missing(
    store: Store, viewer: TestClient
) -> None:
    user(store)
    answer = viewer.get("/users/ada/explanation?platform=google")
    assert answer.status_code == 503
    assert "calendar_sync_hmac_key is missing" in answer.text


# --- activity ---------------------------------------------------------------------------------


def test_filters_come_from_a_form_with_empty_fields(store: Store, viewer: TestClient) -> None:
    user(store)
    write(store)
    form = "user=&platform=&step=&outcome=&since=&until="
    assert "synced event created" in viewer.get(f"/activity?{form}").text
    assert viewer.get("/activity?since=2026-01-01T10:00").status_code == 200
    assert viewer.get("/activity?since=yesterday").status_code == 422


def test_export_is_safe_against_formulas(store: Store, viewer: TestClient) -> None:
    write(store, source_id="=HYPERLINK(1)", reason=" @x", outcome="-1", account="+1@example.org")
    answer = viewer.get("/activity.csv")
    assert "attachment" in answer.headers["content-disposition"]
    [line] = csv.DictReader(io.StringIO(answer.text))
    assert line["source_id"] == "'=HYPERLINK(1)"
    assert (line["reason"], line["outcome"]) == ("' @x", "'-1")
    assert (line["account"], line["step"]) == ("'+1@example.org", "create_mirror")


@pytest.mark.parametrize("value", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", "  =1", "\uff1d1"])
def test_no_cell_begins_as_a_formula(value: str) -> None:
    assert str(safe(value)).startswith("'")


def test_other_cells_stay_as_they_are() -> None:
    assert [safe(value) for value in ("a=1", "", -5, "2026-01-01")] == ["a=1", "", -5, "2026-01-01"]


def test_the_key_is_named_when_the_record_cannot_be_checked(viewer: TestClient) -> None:
    answer = viewer.get("/activity/check")
    assert answer.status_code == 503
    assert "calendar_sync_hmac_key" in answer.text


def test_a_user_page_names_the_calendar_that_was_made(viewer: TestClient, store: Store) -> None:
    user(store)
    said = "Calendar for synced events"
    assert said not in viewer.get("/users/ada").text
    own = parse({"calendars": {"google": {"mirrors": "own"}}})
    store.config.save_settings(own, "tests", NOW)
    page = viewer.get("/users/ada").text
    assert said in page
    assert "which the next sync makes" in page
    with store.database.write() as connection:
        store.own_calendars.save(
            connection, ("ada", Platform.GOOGLE, "ada@example.org"), "c_1", NOW
        )
    assert "Welkin (id c_1)" in viewer.get("/users/ada").text
