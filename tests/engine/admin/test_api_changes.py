"""What scripts may change: as whole documents, on the state that they have seen."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from calendar_sync.config.settings import Settings, parse
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.state import Store
from tests.engine.admin.stage import OPERATOR, VIEWER, Pages
from tests.engine.admin.test_attention_page import approval, conflict

NOW = datetime.now(UTC)
ADA = {"welkin_user_id": "ada", "platform": "google", "account": "ada@example.org"}


@pytest.fixture
def script(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("AIRFLOW_CONN_CALENDAR_SYNC_HMAC_KEY", '{"password": "audit key"}')
    with pages.script(OPERATOR) as client:
        yield client


def put(client: TestClient, what: str, revision: int, **rest: Any) -> Any:
    headers = {"content-type": "application/json"}
    body = json.dumps({"revision": revision, **rest})
    return client.put(f"/api/v1/{what}", content=body, headers=headers)


def test_settings_are_read_and_put_on_what_was_read(script: TestClient, store: Store) -> None:
    found = script.get("/api/v1/settings").json()
    assert (found["revision"], parse(found["settings"])) == (0, Settings())
    changed = {**found["settings"], "mirror_moved": "report"}
    answer = put(script, "settings", 0, settings=changed)
    assert answer.json() == {"revision": 1, "changed": True}
    assert store.config.revision().author == f"airflow:{OPERATOR}"
    assert put(script, "settings", 1, settings=changed).json() == {"revision": 1, "changed": False}
    answer = put(script, "settings", 0, settings=found["settings"])
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert store.config.revision().settings == parse(changed)


def test_an_old_name_of_a_setting_is_taken_with_a_warning(script: TestClient, store: Store) -> None:
    answer = put(script, "settings", 0, settings={"poll": {"interval_seconds": 90}})
    [warning] = answer.json()["warnings"]
    assert "poll is now called polling" in warning
    found = script.get("/api/v1/settings").json()["settings"]
    assert found["polling"]["interval_seconds"] == 90
    assert "poll" not in found
    refused = put(script, "settings", 1, settings={"poll": {}, "polling": {}})
    assert refused.status_code == 422
    assert "give only polling, not both" in refused.json()["detail"]


@pytest.mark.parametrize(
    "settings",
    [
        {"colour": 1},
        {"mirror_content": {"title": {"level": "full", "template": "x"}}},
        {"block_time": {"title": "a\x00b"}},
        {"block_time": {"title": "\ud800"}},
        {"notify": {"to": ["a@b.c"], "arguments": {"files": ["/proc/self/environ"]}}},
        {"notify": {"notifier": "subprocess.Popen"}},
    ],
    ids=["unknown", "no agreement", "nul", "half a character", "file", "command"],
)
def test_settings_that_cannot_be_are_refused(
    script: TestClient, store: Store, settings: dict[str, Any]
) -> None:
    assert put(script, "settings", 0, settings=settings).status_code == 422
    assert store.config.revision().id == 0


def test_infinity_is_no_number_of_ours(script: TestClient) -> None:
    endless = {"limits": {"max_cycle_seconds": float("inf")}}
    assert put(script, "settings", 0, settings=endless).status_code == 422


def test_the_mapping_is_read_and_put_as_a_whole(script: TestClient, store: Store) -> None:
    first = put(script, "mapping", 0, users=[ADA])
    assert first.json() == {"revision": 1, "added": 1, "changed": 0, "removed": 0}
    found = script.get("/api/v1/mapping").json()
    assert found["revision"] == 1
    [row] = found["users"]
    assert row == {
        **ADA,
        "email": "",
        "enabled": True,
        "direction": None,
        "profile": "",
        "busy_calendars": [],
        "mirrors_calendar": "",
    }
    assert put(script, "mapping", 1, **{"users": found["users"]}).json()["revision"] == 1
    off = put(script, "mapping", 1, users=[{**row, "enabled": False}])
    assert off.json() == {"revision": 2, "added": 0, "changed": 1, "removed": 0}
    assert put(script, "mapping", 1, users=[]).status_code == 409
    assert store.config.mapping() == [
        MappedUser("ada", Platform.GOOGLE, "ada@example.org", enabled=False, revision=2)
    ]


def test_a_patch_that_names_no_profile_and_no_calendars_leaves_them(
    script: TestClient, store: Store
) -> None:
    store.config.save_settings(parse({"profiles": {"nurses": {}}}), "tests", NOW)
    own = {"profile": "nurses", "busy_calendars": ["team"], "mirrors_calendar": "visits"}
    assert put(script, "mapping", 0, users=[{**ADA, **own}]).status_code == 200

    def patched(revision: int, **row: object) -> MappedUser:
        sent = {"revision": revision, "users": [{**ADA, **row}]}
        assert script.patch("/api/v1/mapping", json=sent).status_code == 200
        [found] = store.config.mapping()
        return found

    found = patched(1, enabled=False)
    assert (found.enabled, found.profile, found.busy_calendars) == (False, "nurses", ("team",))
    found = patched(2, profile="", enabled=False)
    assert (found.profile, found.mirrors_calendar) == ("", "visits")
    assert put(script, "mapping", 3, users=[ADA]).status_code == 200
    [found] = store.config.mapping()
    assert (found.busy_calendars, found.mirrors_calendar) == ((), "")


def test_rows_are_patched_and_many_removals_need_their_number(
    script: TestClient, store: Store
) -> None:
    users = [{**ADA, "welkin_user_id": f"u{n}", "account": f"u{n}@x.org"} for n in range(24)]
    assert put(script, "mapping", 0, users=users).json()["added"] == 24
    patched = script.patch("/api/v1/mapping", json={"revision": 1, "users": [ADA]})
    assert patched.json() == {"revision": 2, "added": 1, "changed": 0, "removed": 0}
    refused = put(script, "mapping", 2, users=[ADA])
    assert refused.status_code == 422
    assert "24 of 25 rows" in refused.json()["detail"]
    assert put(script, "mapping", 2, users=[ADA], remove=3).status_code == 422
    off = [{**user, "enabled": False} for user in users]
    assert script.patch("/api/v1/mapping", json={"revision": 2, "users": off}).status_code == 422
    assert len([row for row in store.config.mapping() if row.enabled]) == 25
    assert put(script, "mapping", 2, users=[ADA], remove=24).json()["removed"] == 24
    # Rolled back: the rows of then, put on what is now.
    then = script.get("/api/v1/mapping?at=2").json()
    assert (then["revision"], len(then["users"])) == (3, 25)
    assert put(script, "mapping", **then).json()["added"] == 24
    assert script.get("/api/v1/mapping").json()["users"] == then["users"]
    assert script.get("/api/v1/mapping?at=9").status_code == 404


def test_one_wrong_row_refuses_all_and_is_named(script: TestClient, store: Store) -> None:
    wrong = {**ADA, "welkin_user_id": "bob", "account": "nonsense"}
    answer = put(script, "mapping", 0, users=[ADA, wrong])
    assert answer.status_code == 422
    assert "users.1.account" in answer.json()["detail"]
    twice = put(script, "mapping", 0, users=[ADA, {**ADA, "welkin_user_id": "bob"}])
    assert twice.status_code == 422
    assert store.config.mapping() == []


def test_conflicts_are_listed_and_decided(script: TestClient, store: Store) -> None:
    number = conflict(store, "mirror_moved", "reported")
    found = script.get("/api/v1/conflicts").json()
    assert found["total"] == 1
    assert found["conflicts"][0]["choices"] == ["accept", "reapply_welkin"]
    path = f"/api/v1/conflicts/{number}"
    assert script.post(path, json={"choice": "dismiss"}).status_code == 409
    assert script.post(path, json={"choice": "reapply_welkin"}).json()["id"] == number
    assert store.links.of("ada", Platform.GOOGLE)[0].wanted_hash == ""
    assert script.get("/api/v1/conflicts").json()["total"] == 0


def test_approvals_are_listed_and_granted(script: TestClient, store: Store) -> None:
    conflict(store, "mirror_moved", "restored")
    approval(store, "ada", "d1")
    [found] = script.get("/api/v1/approvals").json()
    assert (found["digest"], found["users"]) == ("d1", {"ada@example.org": 12})
    answer = script.post("/api/v1/approvals", json={"digests": ["d1", "d2"]})
    assert answer.json() == {"approved": {"d1": 1, "d2": 0}}
    assert store.runs.approved("ada", Platform.GOOGLE, datetime.now(UTC)) == {"d1"}


def test_a_viewer_reads_and_changes_nothing(pages: Pages, store: Store) -> None:
    with pages.script(VIEWER) as viewer:
        for what in ("settings", "mapping", "conflicts", "approvals", "connections"):
            assert viewer.get(f"/api/v1/{what}").status_code == 200, what
        assert put(viewer, "settings", 0, settings={"time_zone": "UTC"}).status_code == 403
        assert put(viewer, "mapping", 0, users=[ADA]).status_code == 403
    assert store.config.mapping() == []


# --- choices of people ----------------------------------------------------------------------------


def choices(client: TestClient, user: str, **chosen: str) -> Any:
    return client.put(f"/api/v1/users/{user}/choices", json=chosen)


def test_choices_of_a_person_are_read_and_put(script: TestClient, store: Store) -> None:
    mapped = [MappedUser("ada", Platform.GOOGLE, "ada@example.org")]
    store.config.edit_mapping(lambda _: mapped, "tests", NOW)
    put(script, "settings", 0, settings={"people_may_choose": ["reminder", "colour"]})
    found = script.get("/api/v1/users/ada/choices").json()
    assert found["chosen"] == {"level": "", "reminder": "", "colour": "", "category": ""}
    assert "tomato" in found["offered"]["colour"]
    assert found["offered"]["level"] == found["offered"]["category"] == []
    answer = choices(script, "ada", reminder="15", colour="tomato")
    assert answer.status_code == 200
    assert answer.json()["chosen"] == {**found["chosen"], "reminder": "15", "colour": "tomato"}
    assert store.marks.of("ada", Platform.GOOGLE).marked
    # As a whole: what is not in it is chosen no more.
    assert choices(script, "ada", reminder="15").json()["chosen"]["colour"] == ""
    for wrong in ({"level": "busy"}, {"reminder": "9999"}, {"colour": "mauve"}):
        refused = choices(script, "ada", **wrong)
        assert refused.status_code == 409
        assert "is not offered" in refused.json()["detail"]
    assert choices(script, "ada", colour="x" * 17).status_code == 422
    assert choices(script, "nobody").status_code == 404
    assert script.get("/api/v1/users/nobody/choices").status_code == 404


def test_who_may_only_look_cannot_choose_for_others(pages: Pages, store: Store) -> None:
    mapped = [MappedUser("ada", Platform.GOOGLE, "ada@example.org")]
    store.config.edit_mapping(lambda _: mapped, "tests", NOW)
    with pages.script(VIEWER) as client:
        assert client.get("/api/v1/users/ada/choices").status_code == 200
        assert choices(client, "ada", reminder="15").status_code == 403
