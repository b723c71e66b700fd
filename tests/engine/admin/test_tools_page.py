"""Reports, exposure, un-sync and the self-test in the browser."""

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from calendar_sync.admin.web.rendering import timed
from calendar_sync.core.model import (
    LinkState,
    MappedUser,
    MirrorLink,
    Platform,
    Span,
    WelkinUser,
)
from calendar_sync.insight.health.keeping import keep
from calendar_sync.state import Store
from tests.engine.admin.outside import finished, outside
from tests.engine.admin.stage import OPERATOR, Pages, csrf

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
PAIR = ("ada", Platform.GOOGLE)


@pytest.fixture(autouse=True)
def ada(store: Store) -> None:
    store.config.save_welkin_users([WelkinUser("ada", "ada@welkin.example", None, True)], NOW)
    row = MappedUser("ada", Platform.GOOGLE, "ada@example.org")
    store.config.edit_mapping(lambda _: [row], "tests", NOW)
    mirror = MirrorLink(
        user_id="ada",
        platform=Platform.GOOGLE,
        account="ada@example.org",
        calendar="primary",
        appointment_id="visit-1",
        generation=1,
        state=LinkState.LIVE,
        mirror_id="remote-1",
        span=Span(NOW + HOUR, NOW + 2 * HOUR),
    )
    with store.database.write() as connection:
        store.links.save(connection, mirror, NOW, 1)


def test_every_tool_has_a_page_that_is_led_to(viewer: TestClient) -> None:
    text = viewer.get("/tools").text
    for path in ("reports", "exposure", "selftest", "unsync"):
        assert f'href="/calendar-sync/{path}"' in text
        page = viewer.get(f"/{path}")
        assert page.status_code == 200
        assert 'href="/calendar-sync/tools" aria-current="page"' in page.text


def test_reports_are_listed_and_read(viewer: TestClient, store: Store) -> None:
    assert "No reports yet" in viewer.get("/reports").text
    for number in range(1, 4):
        store.marks.failed(PAIR, "google_account_refused", NOW, None)
        keep(store, f"run-{number}", NOW, checked=True)
    text = viewer.get("/reports").text
    assert text.index("Report 3") < text.index("Report 1")
    text = viewer.get("/reports/3").text
    assert "google_account_refused" in text
    assert 'href="/calendar-sync/users/ada"' in text
    assert viewer.get("/reports/99").status_code == 404


def test_what_a_mailbox_showed_is_listed_and_exported(viewer: TestClient) -> None:
    text = viewer.get("/exposure?account=Ada@Example.org").text
    assert "visit-1" in text
    assert "still there" in text
    assert "busy/busy" in text
    assert "never had synced events" in viewer.get("/exposure?account=bob@example.org").text
    lines = list(
        csv.DictReader(io.StringIO(viewer.get("/exposure.csv?account=ada@example.org").text))
    )
    assert [(one["appointment_id"], one["until"]) for one in lines] == [("visit-1", "")]


def test_an_unsync_is_shown_before_anything_happens(viewer: TestClient, store: Store) -> None:
    for name in ("ada", "ada@example.org", "ADA@welkin.example", ""):
        text = viewer.get("/unsync", params={"user": name}).text
        assert "1 synced event and 0 busy blocks of 1 account" in text, name
        assert ("&#34;users&#34;: [&#34;ada&#34;]" in text) == bool(name)
        assert ("&#34;everybody&#34;: true" in text) == (not name)
    assert "Nothing to delete" in viewer.get("/unsync?user=zed").text
    assert store.config.mapping()[0].enabled


def test_the_self_test_runs_from_its_page(
    pages: Pages, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        outside(store, tmp_path, NOW, monkeypatch) as world,
        pages.browser(OPERATOR) as operator,
    ):
        monkeypatch.setenv("CALENDAR_SYNC_DATABASE_URL", store.database.url.render_as_string(False))
        text = finished(operator, "/selftest", {"user": world.ids["dana"]}, csrf(operator))
        assert "The sync works for dana@example.org in both directions." in text
        assert text.count("✓") >= 10
        text = finished(operator, "/selftest", {"user": "zed"}, csrf(operator))
        assert "Zed is not mapped" in text


# --- from a user's page, and what appears by itself ----------------------------------------------


def test_a_users_page_leads_to_the_mapping_row_and_checks_the_mailbox(
    operator: TestClient, viewer: TestClient
) -> None:
    text = operator.get("/users/ada").text
    assert 'href="/calendar-sync/mapping/row?user=ada&amp;platform=google"' in text
    assert "Check this mailbox" in text
    assert "Check this mailbox" not in viewer.get("/users/ada").text


def test_what_a_retry_did_appears_by_itself(operator: TestClient, store: Store) -> None:
    store.marks.failed(PAIR, "timeout", NOW, None)
    form = {"csrf_token": csrf(operator)}
    answer = operator.post("/users/ada/sync?platform=google", data=form, follow_redirects=False)
    address = answer.headers["location"].removeprefix("/calendar-sync")
    waits = operator.get(address).text
    assert 'data-refresh="5"' in waits
    assert "syncs this user" in waits
    store.marks.failed(PAIR, "google_account_refused", datetime.now(UTC), None)
    text = operator.get(address).text
    assert "Sync with Google failed." in text
    assert "data-refresh" not in text
    operator.post("/users/ada/sync?platform=google", data=form)
    assert 'data-refresh="5"' in operator.get(address).text
    with store.database.write() as connection:
        store.marks.done(connection, PAIR, store.marks.of(*PAIR).mark_seq, NOW, None)
    text = operator.get(address).text
    assert "Synced with Google" in text
    assert "data-refresh" not in text


def test_the_overviews_runs_can_be_limited_to_those_that_did_something(
    viewer: TestClient, store: Store
) -> None:
    for number in range(15):
        begun = NOW + number * timedelta(minutes=1)
        done = {"create_mirror": 4321} if number == 0 else {}
        store.runs.record(f"run-{number}", Platform.GOOGLE, begun, begun, 1, 0, {"done": done})
    assert "321 synced events" not in viewer.get("/").text
    text = viewer.get("/?runs=working").text
    assert "4\N{NARROW NO-BREAK SPACE}321 synced events created" in text
    assert 'hx-get="/calendar-sync/?runs=working"' in text


# --- one zone ------------------------------------------------------------------------------------


def test_times_in_texts_are_shown_in_the_readers_zone_as_all_others() -> None:
    now = datetime(2026, 3, 2, 15, tzinfo=UTC)
    said = str(timed("since 2026-03-01 09:30 UTC, next try 16:05:10 UTC <b>", now))
    assert 'since <time datetime="2026-03-01T09:30:00Z"' in said
    assert 'next try <time datetime="2026-03-02T16:05:10Z"' in said
    assert "&lt;b&gt;" in said
    assert str(timed("25:99 UTC, no time at all", now)) == "25:99 UTC, no time at all"


def test_the_times_of_filters_are_in_the_readers_zone(viewer: TestClient, store: Store) -> None:
    store.runs.record("r", Platform.GOOGLE, NOW, NOW, 1, 1, {})
    typed = {"since": "2026-03-02T09:00", "zone": "America/New_York"}
    text = viewer.get("/activity", params=typed).text
    assert 'name="since" value="2026-03-02T09:00"' in text
    assert "(America/New_York)" in text
    utc = {"since": "2026-03-02T14:00:00Z", "zone": "America/New_York"}
    assert 'name="since" value="2026-03-02T09:00"' in viewer.get("/activity", params=utc).text
    assert 'value="2026-03-02T09:00"' in viewer.get("/activity?since=2026-03-02T09:00").text
    assert viewer.get("/activity?zone=Nowhere/Land").status_code == 422
