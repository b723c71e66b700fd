"""Profiles in the browser and in the API: who has which, and what each changes."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from calendar_sync.config.settings import parse
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.state import Store
from tests.engine.admin.stage import csrf
from tests.engine.admin.test_settings_page import posted, save

NOW = datetime.now(UTC)
PROFILES = {
    "clinicians": {"mirror_content": {"title": {"level": "type"}}},
    "front-desk": {
        "windows": {"mirrors_future_days": 60},
        "direction": {"google": "bidirectional"},
    },
}


@pytest.fixture(autouse=True)
def two(store: Store) -> None:
    store.config.save_settings(parse({"profiles": PROFILES}), "tests", NOW)
    rows = [
        MappedUser("ada", Platform.GOOGLE, "ada@example.org", profile="clinicians"),
        MappedUser("bob", Platform.GOOGLE, "bob@example.org"),
    ]
    store.config.edit_mapping(lambda _: rows, "tests", NOW)


def row(client: TestClient, **values: Any) -> Any:
    form = {"user": "bob", "platform": "google", "account": "bob@example.org", "revision": "1"}
    form |= {"enabled": "true", "csrf_token": csrf(client), **values}
    return client.post("/mapping/row", data=form, follow_redirects=False)


def test_each_profile_is_listed_with_its_users_and_changes(viewer: TestClient) -> None:
    text = viewer.get("/settings/profiles").text
    assert re.search(r'id="profile-clinicians">clinicians</h2>\s*<p>1 user</p>', text)
    assert "No users have it yet." in text
    assert "<code>mirror_content.title.level</code>" in text
    assert "<code>windows.mirrors_future_days</code>" in text
    assert "clinicians" in viewer.get("/settings").text


def test_two_profiles_are_compared(viewer: TestClient) -> None:
    both = {"one": "clinicians", "other": "front-desk"}
    text = viewer.get("/settings/profiles", params=both).text
    compared = text[text.index("clinicians and front-desk") : text.index('id="profile-')]
    assert "mirror_content.title.level" in compared
    assert "windows.mirrors_future_days" in compared
    alone = viewer.get("/settings/profiles", params={"other": "front-desk"}).text
    assert "without a profile and front-desk" in alone
    assert viewer.get("/settings/profiles", params={"one": "ghosts"}).status_code == 404


def test_the_api_lists_them(viewer: TestClient) -> None:
    [clinicians, desk] = viewer.get("/api/v1/profiles").json()
    assert (clinicians["name"], clinicians["users"], desk["users"]) == ("clinicians", 1, 0)
    [setting] = clinicians["settings"]
    assert setting == {"name": "mirror_content.title.level", "own": "type", "usual": "busy"}


def test_a_users_page_shows_what_the_profile_changes(viewer: TestClient) -> None:
    assert "mirror_content.title.level" in viewer.get("/users/ada").text
    assert "mirror_content.title.level" not in viewer.get("/users/bob").text


def test_values_are_shown_as_people_write_them(viewer: TestClient, store: Store) -> None:
    given = {"people_may_choose": ["level", "colour"], "block_time": {"tentative": True}}
    store.config.save_settings(parse({"profiles": PROFILES | {"clinicians": given}}), "tests", NOW)
    for path in ("/users/ada", "/settings/profiles"):
        text = viewer.get(path).text
        assert "level, colour" in text
        assert ">yes<" in text.replace("</strong>", "<")
        assert not re.search(r"\[&#39;|\['|True|False|None", text), path


def test_a_profile_is_given_on_the_row(operator: TestClient, store: Store) -> None:
    assert (
        '<option value="front-desk">' in operator.get("/mapping/row?user=bob&platform=google").text
    )
    assert row(operator, profile="front-desk").status_code == 303
    mapped = store.config.mapped("bob", Platform.GOOGLE)
    assert mapped is not None
    assert mapped.profile == "front-desk"
    answer = row(operator, profile="ghosts", revision="2")
    assert answer.status_code == 422
    assert "no profile ghosts" in answer.text


def test_calendars_of_a_person_are_given_on_the_row(operator: TestClient, store: Store) -> None:
    answer = row(operator, busy_calendars="team@x\r\n second ", mirrors_calendar=" visits ")
    assert answer.status_code == 303
    mapped = store.config.mapped("bob", Platform.GOOGLE)
    assert mapped is not None
    assert (mapped.busy_calendars, mapped.mirrors_calendar) == (("team@x", "second"), "visits")
    text = operator.get("/mapping/row?user=bob&platform=google").text
    assert "team@x\nsecond</textarea>" in text
    many = " ".join(f"c{number}" for number in range(11))
    assert "at most 10 calendars" in row(operator, busy_calendars=many, revision="2").text
    other = row(operator, busy_calendars="ada@example.org", revision="2").text
    assert "is the main calendar of ada" in other


def test_the_api_takes_them_with_a_row(operator: TestClient, store: Store) -> None:
    found = operator.get("/api/v1/mapping").json()
    assert [one["profile"] for one in found["users"]] == ["clinicians", ""]
    found["users"][1] |= {"profile": "clinicians", "busy_calendars": ["team"]}
    headers = {"x-csrf-token": csrf(operator)}
    assert operator.put("/api/v1/mapping", json=found, headers=headers).status_code == 200
    assert [one.busy_calendars for one in store.config.mapping()] == [(), ("team",)]
    found = operator.get("/api/v1/mapping").json()
    found["users"][0]["profile"] = "ghosts"
    answer = operator.put("/api/v1/mapping", json=found, headers=headers)
    assert answer.status_code == 422
    assert "no profile ghosts" in answer.json()["detail"]


def test_a_form_with_profiles_is_reviewed_and_stored(operator: TestClient, store: Store) -> None:
    changed = "clinicians:\n  windows:\n    mirrors_past_days: 3\n"
    answer = posted(operator, parse({"profiles": PROFILES}), 1, profiles=[changed])
    assert "Profile clinicians" in answer.text
    assert save(operator, answer.text, 1).status_code == 303
    settings = store.config.revision().settings
    assert settings.profiles == {"clinicians": {"windows": {"mirrors_past_days": 3}}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clinicians:\n  windos: {}\n", "clinicians windos"),
        ("clinicians: [\n", "line"),
        ("A b: {}\nclinicians: {}\n", "lower-case"),
    ],
)
def test_mistakes_in_a_profile_are_shown_beside_it(
    operator: TestClient, text: str, said: str
) -> None:
    answer = posted(operator, parse({"profiles": PROFILES}), 1, profiles=[text])
    assert answer.status_code == 422
    assert said in answer.text


def test_a_profile_that_somebody_has_cannot_be_removed(operator: TestClient) -> None:
    answer = posted(operator, parse({"profiles": PROFILES}), 1, profiles=[""])
    stored = save(operator, answer.text, 1)
    assert stored.status_code == 422
    assert "profiles.clinicians is missing" in stored.text
