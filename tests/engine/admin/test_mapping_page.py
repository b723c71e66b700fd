"""The user mapping in the browser: changed row by row or by file, never by surprise."""

import csv
import html
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from calendar_sync.admin.mapping.imports import LARGEST
from calendar_sync.config.mapping import read_mapping
from calendar_sync.config.settings import parse
from calendar_sync.core.model import (
    BlockLink,
    Direction,
    LinkState,
    MappedUser,
    MirrorLink,
    Platform,
    Source,
    Span,
    WelkinUser,
)
from calendar_sync.state import Store
from tests.engine.admin.outside import finished, outside
from tests.engine.admin.stage import OPERATOR, VIEWER, Pages, csrf

NOW = datetime.now(UTC)
HEADER = "welkin_user_id,platform,account\n"
ADA = MappedUser("ada", Platform.GOOGLE, "ada@example.org")
BOB = MappedUser("bob", Platform.MICROSOFT, "bob@example.org", False, Direction.BIDIRECTIONAL)


@pytest.fixture(autouse=True)
def two(store: Store) -> None:
    store.config.save_welkin_users(
        [WelkinUser(name, f"{name}@welkin.example", None, True) for name in ("ada", "bob", "cy")],
        NOW,
    )
    store.config.edit_mapping(lambda _: [ADA, BOB], "tests", NOW)


def send(client: TestClient, path: str, **form: Any) -> Any:
    form["csrf_token"] = csrf(client)
    return client.post(path, data=form, follow_redirects=False)


def upload(client: TestClient, text: str | bytes, name: str = "rows.csv", **form: str) -> Any:
    content = text.encode() if isinstance(text, str) else text
    form["csrf_token"] = csrf(client)
    return client.post("/mapping/import", data=form, files={"file": (name, content)})


def confirm(client: TestClient, text: str, **more: str) -> Any:
    fields = dict(re.findall(r'name="(based_on|name|mode)" value="([^"]*)"', text))
    found = re.search(r'name="content" hidden>\n(.*?)</textarea>', text, re.S)
    assert found is not None
    form = {name: html.unescape(value) for name, value in fields.items()}
    form |= more
    return send(client, "/mapping/import/apply", content=html.unescape(found[1]), **form)


# What ada has of ours, ahead of now.
ADAS: dict[str, Any] = {
    "user_id": "ada", "platform": Platform.GOOGLE, "account": "ada@example.org",
    "calendar": "primary", "generation": 1, "state": LinkState.LIVE,
    "span": Span(NOW + timedelta(hours=1), NOW + timedelta(hours=2)),
}  # fmt: skip
LINKS = (
    MirrorLink(**ADAS, appointment_id="a", mirror_id="mirror-a"),
    MirrorLink(**ADAS, appointment_id="b", mirror_id="mirror-b"),
    BlockLink(**ADAS, source=Source("c"), block_id="block-c"),
)


def rows(store: Store) -> set[tuple[str, str, str, bool]]:
    return {(r.user_id, r.platform.value, r.account, r.enabled) for r in store.config.mapping()}


def test_the_table_is_searched_and_filtered(viewer: TestClient) -> None:
    for query, ada, bob in (
        ("", True, True),
        ("?q=ADA", True, False),
        ("?q=bob@welkin", False, True),
        ("?platform=microsoft", False, True),
        ("?only=disabled", False, True),
        ("?only=wrong", False, False),
        ("?q=nobody", False, False),
    ):
        text = viewer.get(f"/mapping{query}").text
        assert ("ada@example.org" in text, "bob@example.org" in text) == (ada, bob), query
    assert "Import a file" not in viewer.get("/mapping").text


def test_a_row_is_added_by_address_and_changed(operator: TestClient, store: Store) -> None:
    row = {"user": "CY@welkin.example", "platform": "google", "account": "Cy@Example.org"}
    assert send(operator, "/mapping/row", **row, enabled="true").status_code == 303
    assert ("cy", "google", "cy@example.org", True) in rows(store)
    assert store.marks.of("cy", Platform.GOOGLE).marked
    change = {"user": "cy", "platform": "google", "account": "cy2@example.org", "revision": "2"}
    assert send(operator, "/mapping/row", **change, direction="bidirectional").status_code == 303
    assert store.config.mapped("cy", Platform.GOOGLE) == MappedUser(
        "cy", Platform.GOOGLE, "cy2@example.org", False, Direction.BIDIRECTIONAL, 3
    )
    [newest, *_] = store.config.mapping_history()
    assert newest.author == f"airflow:{OPERATOR}"
    assert "cy2@example.org" in operator.get("/mapping/history").text


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"user": "ada", "account": "new@example.org"}, "edit that row"),
        ({"user": "cy", "account": "ada@example.org"}, "one account belongs to one user"),
        ({"user": "cy", "account": "nonsense"}, "is not an e-mail address"),
        ({"user": "zed@welkin.example", "account": "z@example.org"}, "no Welkin user has"),
        ({"user": "cy", "account": "c@example.org", "revision": "1"}, "removed in the meantime"),
    ],
)
def test_a_wrong_row_is_refused_with_what_was_typed(
    operator: TestClient, store: Store, row: dict[str, str], said: str
) -> None:
    before = rows(store)
    answer = send(operator, "/mapping/row", platform="google", **row)
    assert answer.status_code == 422
    assert said in html.unescape(answer.text)
    assert f'value="{row["account"]}"' in answer.text
    assert rows(store) == before


def test_a_form_of_a_row_that_was_changed_meanwhile_is_refused(
    pages: Pages, operator: TestClient, store: Store
) -> None:
    address = "/mapping/row?user=ada&platform=google"
    field = re.compile(r'name="(user|platform|account|revision|enabled)" value="([^"]*)"')
    form = dict(field.findall(operator.get(address).text))
    # Another row is of no concern, this one is.
    send(operator, "/mapping/switch", user_id="bob", platform="microsoft", to="enable")
    store.config.edit_mapping(
        lambda found: [replace(row, enabled=row.user_id != "ada") for row in found],
        "airflow:somebody",
        NOW,
    )
    before = rows(store)
    assert ("ada", "google", "ada@example.org", False) in before
    answer = send(operator, "/mapping/row", **form, direction="welkin_to_calendar")
    assert answer.status_code == 409
    assert "changed in the meantime by airflow:somebody" in answer.text
    assert rows(store) == before, "the other person's change was undone without a word"
    # What is shown is the row as it is now: nothing is enabled, and it can be stored.
    anew = dict(field.findall(answer.text))
    assert 'name="enabled" value="true" checked' not in answer.text
    del anew["enabled"]
    assert send(operator, "/mapping/row", **anew, direction="bidirectional").status_code == 303
    assert store.config.mapped("ada", Platform.GOOGLE) == MappedUser(
        "ada", Platform.GOOGLE, "ada@example.org", False, Direction.BIDIRECTIONAL, 4
    )


def test_a_row_is_switched_off_and_on_and_removed(operator: TestClient, store: Store) -> None:
    for to, left in (
        ("disable", ("ada", "google", "ada@example.org", False)),
        ("enable", ("ada", "google", "ada@example.org", True)),
        ("remove", None),
    ):
        row = {"user_id": "ada", "platform": "google", "to": to}
        answer = send(operator, "/mapping/switch", **row)
        assert operator.get(answer.headers["location"].partition("sync")[2]).status_code == 200
        assert [r for r in rows(store) if r[0] == "ada"] == ([left] if left else [])
    row = {"user_id": "ada", "platform": "google", "to": "disable"}
    assert send(operator, "/mapping/switch", **row).status_code == 404


def test_a_file_is_shown_before_it_is_stored(operator: TestClient, store: Store) -> None:
    before = rows(store)
    text = upload(
        operator,
        "welkin_user_id,platform,account\nada,google,new@example.org\ncy,google,c@x.org\n",
        mode="replace",
    ).text
    assert "1 added, 1 changed, 1 removed" in text
    assert rows(store) == before
    assert confirm(operator, text).status_code == 303
    assert rows(store) == {
        ("ada", "google", "new@example.org", True),
        ("cy", "google", "c@x.org", True),
    }


def test_a_file_removes_rows_only_if_that_is_chosen(operator: TestClient, store: Store) -> None:
    text = upload(operator, f"{HEADER}cy,google,c@x.org\n").text
    assert "1 added, 0 changed, 0 removed" in text
    assert "2 rows of the mapping are not in the file and stay" in text
    other = confirm(operator, text, again="replace").text
    assert "1 added, 0 changed, 2 removed" in other
    assert "2 rows removed or disabled" in other
    assert confirm(operator, text).status_code == 303
    assert {row[0] for row in rows(store)} == {"ada", "bob", "cy"}


def test_many_removals_are_typed(operator: TestClient, store: Store) -> None:
    many = [MappedUser(f"u{n}", Platform.GOOGLE, f"u{n}@example.org") for n in range(24)]
    store.config.edit_mapping(lambda _: many, "tests", NOW)
    text = upload(operator, f"{HEADER}u0,google,u0@example.org\n", mode="replace").text
    assert "type how many rows stop being synced (23)" in text
    for typed in ("", "22", "x"):
        assert confirm(operator, text, remove=typed).status_code == 422
    assert len(rows(store)) == 24
    assert confirm(operator, text, remove="23").status_code == 303
    assert len(rows(store)) == 1
    # And back: the history offers each version, and shows the differences first.
    assert 'name="number" value="2"' in operator.get("/mapping/history").text
    shown = send(operator, "/mapping/restore", number="2").text
    assert "23 added, 0 changed, 0 removed" in shown
    assert len(rows(store)) == 1
    back = {"number": "2", "based_on": "3"}
    assert send(operator, "/mapping/restore/apply", **back).status_code == 303
    assert len(rows(store)) == 24
    emptied = {"number": "0", "based_on": "4"}
    assert "type how many" in send(operator, "/mapping/restore", number="0").text
    assert send(operator, "/mapping/restore/apply", **emptied).status_code == 422
    assert send(operator, "/mapping/restore", number="9").status_code == 404


def test_disable_and_remove_ask_and_say_what_is_taken_away(
    operator: TestClient, viewer: TestClient, store: Store
) -> None:
    with store.database.write() as connection:
        for each in LINKS:
            store.links.save(connection, each, NOW, 1)
    before = rows(store)
    assert "to=disable" in html.unescape(operator.get("/mapping").text)
    for to in ("disable", "remove"):
        address = f"/mapping/switch?user=ada&platform=google&to={to}"
        text = operator.get(address).text
        for said in ("ada@welkin.example", "ada@example.org", "2 synced events", "1 busy block"):
            assert said in text
        assert f'name="to" value="{to}"' in text
        assert 'name="to"' not in viewer.get(address).text
    assert rows(store) == before
    assert operator.get("/mapping/switch?user=zed&platform=google&to=remove").status_code == 404


def test_a_file_on_an_older_state_is_refused_when_it_is_confirmed(
    operator: TestClient, store: Store
) -> None:
    text = upload(operator, "welkin_user_id,platform,account\ncy,google,c@x.org\n").text
    store.config.edit_mapping(lambda rows: [rows[0]], "airflow:first", NOW)
    before = rows(store)
    answer = confirm(operator, text)
    assert answer.status_code == 422
    assert "airflow:first" in answer.text
    assert rows(store) == before


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "welkin_user_id,platform,account\nada,yahoo,a@x.org\nb,google,c\n", "line 3"),
        ("a.yaml", "users:\n- welkin_user_id: 12\n", "line 2, column"),
        ("a.csv", b"\xff\xfe\x00", "UTF-16"),
        ("a.csv", "", "missing or empty"),
        ("<script>.csv", "x\n", "unknown column"),
    ],
)
def test_mistakes_in_a_file_are_named_with_their_place(
    operator: TestClient, store: Store, name: str, content: str | bytes, said: str
) -> None:
    before = rows(store)
    answer = upload(operator, content, name)
    assert answer.status_code == 422
    assert said in html.unescape(answer.text)
    assert "<script>." not in answer.text
    assert rows(store) == before


def test_a_large_file_is_refused(operator: TestClient) -> None:
    assert upload(operator, b"x" * (LARGEST + 1)).status_code == 413


def test_a_file_of_the_largest_size_is_shown_and_stored(operator: TestClient, store: Store) -> None:
    line = "user-{0:05},google,{0:05}-firstname-lastname@a-{1}-organisation.example.org\n"
    rest = "x" * (LARGEST // 20_000)
    text = "welkin_user_id,platform,account\n" + "".join(
        line.format(number, rest) for number in range(10_000)
    )
    assert LARGEST * 0.8 < len(text) < LARGEST
    shown = upload(operator, text).text
    assert "10\u202f000 added" in shown
    fields = dict(re.findall(r'name="(based_on|name)" value="([^"]*)"', shown))
    content = html.unescape(shown.split('name="content" hidden>\n')[1].split("</textarea>")[0])
    # As a browser sends it: line breaks of two characters, in parts.
    form = {**fields, "csrf_token": csrf(operator), "content": content.replace("\n", "\r\n")}
    answer = operator.post(
        "/mapping/import/apply", data=form, files={"none": b""}, follow_redirects=False
    )
    assert answer.status_code == 303, answer.text
    assert len(rows(store)) == 10_000 + 2  # added to those that there were


def test_thousands_of_proposals_are_ticked_at_once(operator: TestClient, store: Store) -> None:
    ticked = [json.dumps([f"u{n}", "google", f"u{n}@example.org"]) for n in range(5_000)]
    based_on = store.config.mapping_revision()
    answer = send(operator, "/mapping/proposals/apply", based_on=based_on, row=ticked)
    assert answer.status_code == 303
    assert len(rows(store)) == 5_002


@pytest.mark.parametrize("form", ["csv", "yaml"])
def test_what_is_exported_can_be_imported(viewer: TestClient, store: Store, form: str) -> None:
    odd = MappedUser("=1+1", Platform.GOOGLE, "=cmd|x@example.org")
    store.config.edit_mapping(lambda rows: [*rows, odd], "tests", NOW)
    answer = viewer.get(f"/mapping.{form}")
    assert "attachment" in answer.headers["content-disposition"]
    found = read_mapping(answer.content, f"m.{form}").users
    assert {(r.user_id, r.account, r.enabled, r.direction) for r in found} == {
        (r.user_id, r.account, r.enabled, r.direction) for r in store.config.mapping()
    }
    if form == "csv":
        cells = [cell for row in csv.reader(io.StringIO(answer.text)) for cell in row]
        assert "'=cmd|x@example.org" in cells
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)


def test_proposals_are_applied_only_when_ticked(
    pages: Pages, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        outside(store, tmp_path, NOW, monkeypatch) as world,
        pages.browser(OPERATOR) as operator,
    ):
        before = rows(store)
        text = finished(operator, "/mapping/proposals", {}, csrf(operator))
        values = [html.unescape(found) for found in re.findall(r'name="row" value="([^"]*)"', text)]
        assert 'type="checkbox" data-ticks="row"' in text
        [based_on] = re.findall(r'name="based_on" value="(\d+)"', text)
        assert len(values) == 1
        assert rows(store) == before
        assert send(operator, "/mapping/proposals/apply", based_on=based_on).status_code == 422
        answer = send(operator, "/mapping/proposals/apply", based_on=based_on, row=values)
        assert answer.status_code == 303
        new = (world.ids["nora"], "google", "nora@example.org", True)
        assert rows(store) == before | {new}
        # The same once more is on an older state of the mapping.
        again = send(operator, "/mapping/proposals/apply", based_on=based_on, row=values)
        assert again.status_code == 409


@pytest.mark.parametrize("row", ["", "[]", '["a"]', '["a", "google", 7]', "[" * 9999])
def test_a_row_that_is_none_is_refused(operator: TestClient, store: Store, row: str) -> None:
    before = rows(store)
    answer = send(operator, "/mapping/proposals/apply", based_on=1, row=[row])
    assert answer.status_code in {409, 422}
    assert rows(store) == before


def test_the_users_shown_are_checked_now(
    pages: Pages, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        outside(store, tmp_path, NOW, monkeypatch) as world,
        pages.browser(OPERATOR) as operator,
    ):
        world.sandbox.google.no_licence("dana@example.org")
        text = finished(operator, "/mapping/validate", {"q": "dana"}, csrf(operator))
        assert "1 of 1 account needs attention" in text
        assert "licence" in text
        assert [one.account for one in store.health.verdicts()] == ["dana@example.org"]
        assert "no calendar licence" in operator.get("/mapping?only=wrong").text


def test_rules_are_shown_and_their_proposals_become_rows_of_the_rule(
    pages: Pages, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        outside(store, tmp_path, NOW, monkeypatch) as world,
        pages.browser(OPERATOR) as operator,
    ):
        rule = {"name": "all", "platform": "google", "email_domain": "example.org"}
        document = store.config.revision().settings.model_dump(mode="json")
        profiles = {"basic": {"mirror_moved": "report"}}
        ruled = parse(
            document | {"profiles": profiles, "mapping_rules": [rule | {"profile": "basic"}]}
        )
        store.config.save_settings(ruled, "tests", NOW)
        assert "have not been evaluated yet" in operator.get("/mapping").text
        text = finished(operator, "/mapping/proposals", {}, csrf(operator))
        [value] = [html.unescape(one) for one in re.findall(r'name="row" value="([^"]*)"', text)]
        assert json.loads(value)[1:] == ["google", "nora@example.org", "basic", "all"]
        assert '<td data-label="Profile">basic</td>' in text
        [based_on] = re.findall(r'name="based_on" value="(\d+)"', text)
        other = json.dumps([*json.loads(value)[:4], "no rule"])
        refused = send(operator, "/mapping/proposals/apply", based_on=based_on, row=[other])
        assert refused.status_code == 409
        answer = send(operator, "/mapping/proposals/apply", based_on=based_on, row=[value])
        assert answer.status_code == 303
        [made] = store.rules.rows().values()
        assert (made.rule, made.user_id, made.profile) == ("all", world.ids["nora"], "basic")
    with pages.script(OPERATOR) as script:
        assert script.get("/api/v1/mapping/rules").status_code == 404


def test_the_api_evaluates_rules_and_says_what_was_found(
    pages: Pages, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with outside(store, tmp_path, NOW, monkeypatch), pages.script(OPERATOR) as script:
        document = store.config.revision().settings.model_dump(mode="json")
        rule = {"name": "all", "platform": "google", "email_domain": "example.org", "apply": True}
        gone = {"name": "gone", "platform": "google", "group": "gone@example.org"}
        ruled = parse(document | {"mapping_rules": [rule, gone]})
        store.config.save_settings(ruled, "tests", NOW)
        shown = script.post("/api/v1/mapping/rules", json={}).json()
        assert (shown["dry_run"], shown["counts"]) == (True, {"add": 1})
        assert script.get("/api/v1/mapping/rules").status_code == 404
        done = script.post("/api/v1/mapping/rules", json={"mode": "daily"}).json()
        assert [one["account"] for one in done["done"]] == ["nora@example.org"]
        assert script.get("/api/v1/mapping/rules").json() == done
        assert [one["code"] for one in done["rules"]] == ["", "google_groups_denied"]
        assert script.post("/api/v1/mapping/rules", json={"mode": "all"}).status_code == 422
    with pages.script(VIEWER) as viewer:
        assert viewer.post("/api/v1/mapping/rules", json={}).status_code == 403
        assert viewer.get("/api/v1/mapping/rules").status_code == 200
    with pages.browser(VIEWER) as browser:
        assert "google groups denied" in browser.get("/mapping").text
