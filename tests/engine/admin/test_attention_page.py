"""What waits for a person: listed with its choices, decided with a click, told to nobody else."""

import html
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update
from starlette.testclient import TestClient
from typer.testing import CliRunner

from calendar_sync.cli.app import app
from calendar_sync.config.settings import parse
from calendar_sync.core.model import (
    LinkState,
    MappedUser,
    MirrorLink,
    Platform,
    Source,
    Span,
    Step,
)
from calendar_sync.insight.activity import Asked, page
from calendar_sync.insight.attention import decisions
from calendar_sync.insight.overview import overview
from calendar_sync.planner.plan import digest_of
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.database import URL_VARIABLE
from tests.engine.admin.outside import finished, outside
from tests.engine.admin.stage import OPERATOR, Pages, csrf

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CALENDAR_SYNC_HMAC_KEY", '{"password": "audit key"}')


def conflict(store: Store, kind: str, decision: str, source: str = "visit-1") -> int:
    if store.config.mapped("ada", Platform.GOOGLE) is None:
        rows = [MappedUser("ada", Platform.GOOGLE, "ada@example.org")]
        store.config.edit_mapping(lambda _: rows, "tests", NOW)
    with store.database.write() as connection:
        link = MirrorLink(
            user_id="ada",
            platform=Platform.GOOGLE,
            account="ada@example.org",
            calendar="primary",
            appointment_id=source,
            generation=1,
            state=LinkState.LIVE,
            mirror_id=f"remote-{source}",
            span=Span(NOW + HOUR, NOW + 2 * HOUR),
            wanted_hash="wanted",
            mirror_hash="seen",
        )
        store.links.save(connection, link, NOW, 1)
        made = connection.execute(
            insert(t.conflict).values(
                user_id="ada",
                platform="google",
                kind=kind,
                source_id=source,
                original_start="",
                decision=decision,
                times=1,
                first_at=NOW,
                last_at=NOW,
            )
        )
    assert made.inserted_primary_key is not None
    return int(made.inserted_primary_key[0])


def send(client: TestClient, path: str, **form: Any) -> Any:
    form["csrf_token"] = csrf(client)
    return client.post(path, data=form, follow_redirects=False)


def test_nothing_to_do_is_said_so(viewer: TestClient) -> None:
    text = viewer.get("/attention").text
    for said in ("Nothing needs your approval", "No conflicts", "No failed items"):
        assert said in text


def test_a_conflict_is_shown_with_its_choices(operator: TestClient, store: Store) -> None:
    conflict(store, "mirror_moved", "reported")
    text = operator.get("/attention").text
    assert "The synced event was moved in the calendar." in text
    assert 'value="accept"' in text
    assert 'value="reapply_welkin"' in text
    assert 'value="reapply_calendar"' not in text


def test_a_visit_over_busy_time_is_listed_below_what_needs_somebody(
    operator: TestClient, store: Store
) -> None:
    over = {"visit-2": NOW + HOUR, "visit-3": NOW - HOUR}
    for source in over:
        conflict(store, "visit_over_busy", "listed", source)
    conflict(store, "mirror_moved", "restored")
    with store.database.write() as connection:
        connection.execute(update(t.conflict).values(last_at=NOW - HOUR, first_at=NOW - HOUR))
        for source, ends_at in over.items():
            row = update(t.conflict).where(t.conflict.c.source_id == source)
            connection.execute(row.values(last_at=NOW, ends_at=ends_at))
    text = operator.get("/attention").text
    said = "A visit is booked over busy time in the calendar."
    assert text.index("The synced event was moved") < text.index(said)
    assert f'The visit ends <time datetime="{ends(over["visit-2"])}"' in text
    assert "visit-3" not in text, "it is over"
    assert '1</strong> <a href="/attention#conflicts">visit</a>' in operator.get("/").text
    person = operator.get("/users/ada").text
    assert "visit-2" in person
    assert "visit-3" not in person


def ends(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_viewer_is_offered_no_choice(viewer: TestClient, store: Store) -> None:
    conflict(store, "mirror_moved", "reported")
    text = viewer.get("/attention").text
    assert "The synced event was moved" in text
    assert "<button" not in text.partition("<main")[2].replace('<button type="submit">Show', "")


def test_a_decision_is_carried_to_the_state_and_recorded(
    operator: TestClient, store: Store
) -> None:
    number = conflict(store, "mirror_moved", "reported")
    answer = send(operator, f"/attention/conflicts/{number}", choice="reapply_welkin")
    assert answer.status_code == 303
    [link] = store.links.of("ada", Platform.GOOGLE)
    assert isinstance(link, MirrorLink)
    assert (link.wanted_hash, link.mirror_hash) == ("", "seen")
    state = store.marks.of("ada", Platform.GOOGLE)
    assert state.marked
    assert state.full_because == "asked"
    text = operator.get("/attention?done=reapply_welkin").text
    assert "The next sync restores Welkin&#39;s version" in text
    assert "No conflicts" in text
    assert f"airflow:{OPERATOR}" in text
    assert store.audit.verify() == []
    # It is part of the record, and no failure.
    assert 'data-label="What">decision<' in operator.get("/activity").text
    failed = operator.get("/activity?outcome=failed").text
    assert 'data-label="What">decision<' not in failed
    # Once is enough.
    answer = send(operator, f"/attention/conflicts/{number}", choice="reapply_welkin")
    assert answer.status_code == 409


def test_what_is_not_possible_is_refused(operator: TestClient, store: Store) -> None:
    number = conflict(store, "mirror_moved", "restored")
    for choice, status in (("reapply_welkin", 409), ("accept", 409), ("explode", 422)):
        answer = send(operator, f"/attention/conflicts/{number}", choice=choice)
        assert answer.status_code == status
    assert store.links.of("ada", Platform.GOOGLE)[0].wanted_hash == "wanted"


def test_settled_ones_are_dismissed_together_and_the_others_stay(
    operator: TestClient, store: Store
) -> None:
    settled = [conflict(store, "mirror_moved", "restored", f"visit-{n}") for n in range(3)]
    left = conflict(store, "mirror_moved", "reported", "visit-9")
    answer = send(operator, "/attention/dismiss", number=[*settled, left, 999])
    assert answer.status_code == 303
    text = operator.get("/attention").text
    assert "visit-9" in text
    assert f"/conflicts/{settled[0]}" not in text


def test_search_finds_by_account_and_by_item(viewer: TestClient, store: Store) -> None:
    conflict(store, "mirror_moved", "reported", "visit-7")
    for word, found in (("ADA@", True), ("visit-7", True), ("visit", False), ("%", False)):
        assert ("The synced event was moved" in viewer.get(f"/attention?q={word}").text) == found, (
            word
        )
    assert "No conflicts match these filters" in viewer.get("/attention?platform=microsoft").text


def test_names_cannot_break_the_page(operator: TestClient, store: Store) -> None:
    conflict(store, HOSTILE[:32], HOSTILE[:32], HOSTILE)
    text = operator.get("/attention").text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_a_parked_item_is_tried_again(operator: TestClient, store: Store) -> None:
    conflict(store, "mirror_moved", "restored")
    pair, source = ("ada", Platform.GOOGLE), Source("visit-1")
    with store.database.write() as connection:
        for _ in range(3):
            store.items.refused(
                connection,
                pair,
                Step.UPDATE_MIRROR,
                source,
                "content",
                "google_refused",
                NOW,
                transient=False,
            )
    assert "google_refused" in operator.get("/attention").text
    item = {
        "user_id": "ada",
        "platform": "google",
        "step": "update_mirror",
        "source_id": "visit-1",
    }
    assert send(operator, "/attention/parked", **item).status_code == 303
    assert store.items.parked("ada", Platform.GOOGLE, NOW) == {}
    assert store.marks.of("ada", Platform.GOOGLE).marked
    assert send(operator, "/attention/parked", **item).status_code == 409


def test_parked_items_are_counted_and_paged(operator: TestClient, store: Store) -> None:
    conflict(store, "mirror_moved", "restored")
    with store.database.write() as connection:
        connection.execute(
            insert(t.parked_item),
            [
                {
                    "user_id": "ada",
                    "platform": "google",
                    "step": "create_mirror",
                    "source_id": f"s{number:03}",
                    "original_start": "",
                    "content": "",
                    "code": "google_refused",
                    "tries": 3,
                    "transient": False,
                    "first_at": NOW,
                    "last_at": NOW,
                }
                for number in range(730)
            ],
        )
    shown: list[str] = []
    address = "/attention"
    while address:
        text = operator.get(address).text
        assert ">730</span></h2>" in text
        shown += re.findall(r'name="source_id" value="(s\d+)"', text)
        found = re.search(r'Pages of failed items".*?rel="next" href="([^"]*)"', text, re.S)
        address = html.unescape(found[1]).removeprefix("/calendar-sync") if found else ""
    assert sorted(shown) == [f"s{number:03}" for number in range(730)]
    assert "Page 15 of 15" in operator.get("/attention?parked_page=99").text
    assert operator.get("/attention?platform=microsoft").text.count('aria-label="Retry: ') == 0


def approval(store: Store, user_id: str, digest: str, count: int = 12) -> None:
    with store.database.write() as connection:
        connection.execute(
            insert(t.approval).values(
                digest=digest,
                user_id=user_id,
                platform="google",
                reason="brake",
                removals=count,
                requested_at=NOW,
            )
        )


def test_many_approvals_are_granted_with_the_author(operator: TestClient, store: Store) -> None:
    conflict(store, "mirror_moved", "restored")
    approval(store, "ada", "d1")
    approval(store, "bob", "d2", 30)
    approval(store, "bob", "d3")
    text = operator.get("/attention").text
    assert "30 deletions of events whose appointment or event was not found" in text
    assert send(operator, "/attention/approvals", digest=["d1", "d2"]).status_code == 303
    assert store.runs.approved("ada", Platform.GOOGLE, datetime.now(UTC)) == {"d1"}
    assert [one.digest for one in store.runs.pending()] == ["d3"]
    with store.database.read() as connection:
        by = set(connection.scalars(t.approval.select().with_only_columns(t.approval.c.granted_by)))
    assert by == {f"airflow:{OPERATOR}", None}
    assert send(operator, "/attention/approvals").status_code == 422
    assert send(operator, "/attention/approvals", digest=["d1"]).status_code == 409


def test_a_question_says_what_it_is_about_and_no_is_an_answer(
    operator: TestClient, viewer: TestClient, store: Store
) -> None:
    conflict(store, "mirror_moved", "restored")
    approval(store, "ada", "d1", 2)
    approval(store, "ada", "d2")
    about = {"steps": {"delete_mirror": 2}, "first": "2026-03-02T15:00:00Z", "last": "2026-03-09"}
    with store.database.write() as connection:
        connection.execute(
            update(t.approval).where(t.approval.c.digest == "d1").values(details=about)
        )
    text = html.unescape(viewer.get("/attention").text)
    assert (
        "Delete 2 synced events from ada@example.org's Google calendar? "
        "Their appointments were not found in Welkin." in text
    )
    assert "Nothing is deleted until you approve. Dates: 2026-03-02 to 2026-03-09." in text
    assert 'value="keep"' not in text
    assert 'value="keep"' in operator.get("/attention").text
    kept = send(operator, "/attention/approvals", digest="d1", answer="keep")
    assert kept.headers["location"].endswith("done=kept")
    text = operator.get("/attention?done=kept").text
    assert 'value="d1"' not in text
    assert 'value="d2"' in text
    assert store.runs.approved("ada", Platform.GOOGLE, datetime.now(UTC)) == frozenset()
    assert send(operator, "/attention/approvals", digest="d1", answer="keep").status_code == 409
    assert overview(store, parse({}), NOW).approvals == 1
    [decided, *_] = decisions(store)
    assert (decided.choice, decided.author) == ("kept_for_now", f"airflow:{OPERATOR}")
    assert "kept for now" in text
    # Whoever kept it may think better of it.
    assert send(operator, "/attention/approvals", digest="d1").status_code == 303
    assert store.runs.approved("ada", Platform.GOOGLE, datetime.now(UTC)) == {"d1"}


def test_who_approved_stands_in_the_record_of_everybody_concerned(
    operator: TestClient, store: Store
) -> None:
    conflict(store, "mirror_moved", "restored")
    for user in ("ada", "bob", "cy"):
        approval(store, user, "d1")
    assert send(operator, "/attention/approvals", digest="d1").status_code == 303
    entries = page(store, Asked()).entries
    assert {one.user_id for one in entries} == {"ada", "bob", "cy"}
    assert {(one.step, one.reason, one.source_id, one.run_id) for one in entries} == {
        ("decision", "approved", "d1", f"airflow:{OPERATOR}")
    }
    assert "approved" in operator.get("/activity?user=ada@example.org").text
    # One approval is one line, however many it is for, and the chain holds.
    [decided] = decisions(store)
    assert (decided.account, decided.more) == ("ada@example.org", 2)
    assert "and 2 more" in operator.get("/attention").text
    store.audit.seal("run", datetime.now(UTC))
    assert store.audit.verify() == []


def test_an_approval_that_cannot_be_sealed_is_not_stored(
    operator: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval(store, "ada", "d1")
    monkeypatch.delenv("AIRFLOW_CONN_CALENDAR_SYNC_HMAC_KEY")
    assert send(operator, "/attention/approvals", digest="d1").status_code == 503
    monkeypatch.setenv(URL_VARIABLE, store.database.url.render_as_string(False))
    assert CliRunner().invoke(app, ["approvals", "grant", "d1"]).exit_code != 0
    assert [one.digest for one in store.runs.pending()] == ["d1"]


def test_what_an_approval_would_remove_is_listed_by_a_dry_run(
    pages: Pages, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        outside(store, tmp_path, NOW, monkeypatch) as world,
        pages.browser(OPERATOR) as operator,
    ):
        monkeypatch.setenv("CALENDAR_SYNC_DATABASE_URL", store.database.url.render_as_string(False))
        ids = []
        first = NOW.replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
        for day in range(14):
            start = first + timedelta(days=day)
            visit = world.sandbox.welkin.book_encounter(world.ids["dana"], start, start + HOUR)
            ids.append(str(visit.event_id))
        assert CliRunner().invoke(app, ["sync"]).exit_code == 0
        for event_id in ids[:12]:
            world.sandbox.welkin.delete_event(event_id)
        CliRunner().invoke(app, ["sync", "--full"])
        [waiting] = store.runs.pending()
        assert waiting.count == 12
        before = len(world.sandbox.requests)
        form = {"user_id": waiting.user_id, "platform": "google", "digest": waiting.digest}
        text = finished(operator, "/attention/held", form, csrf(operator))
        assert "Synced event deleted: 12" in text
        assert all(event_id in text for event_id in ids[:12])
        assert ids[13] not in text
        assert not any(word in text for word in world.sandbox.canaries)
        assert world.sandbox.requests.writes(since=before) == []
        form["digest"] = digest_of([])
        assert "would not do this" in finished(operator, "/attention/held", form, csrf(operator))


def test_users_who_keep_failing_stand_first_and_by_name_on_the_overview(
    operator: TestClient, viewer: TestClient, store: Store
) -> None:
    conflict(store, "mirror_moved", "reported")
    store.runs.record("scheduled__1", Platform.GOOGLE, NOW, NOW, 1, 0, {})
    assert "No user needs attention" in operator.get("/attention").text
    pair = ("ada", Platform.GOOGLE)
    for number in range(1, 5):
        store.marks.failed(pair, "google_account_refused", NOW, None)
        text = operator.get("/attention").text
        assert ("No user needs attention" in text) == (number < 3)
    assert text.index("Users who need attention") < text.index("Needs your approval")
    assert text.index("ada@example.org".replace("@", "<wbr>@")) < text.index("Needs your approval")
    assert 'aria-label="Retry ada@example.org"' in text
    assert "Retry ada" not in viewer.get("/attention").text
    first = viewer.get("/").text
    assert "1 user needs attention" in first
    assert '<a href="/calendar-sync/users/ada">ada<wbr>@example.org</a>' in first
    assert viewer.get("/api/v1/overview").json()["attention"][0]["account"] == "ada@example.org"
    with store.database.write() as connection:
        store.marks.done(connection, pair, 1, NOW, None)
    assert "No user needs attention" in operator.get("/attention").text
    assert "needs attention</h2>" not in viewer.get("/").text
