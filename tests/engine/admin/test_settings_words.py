"""The settings page as an administrator reads it: words, defaults, what is folded and picked."""

import html
import re
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from calendar_sync.admin.settings import type_names
from calendar_sync.admin.settings.forms import controls, fill, sections
from calendar_sync.admin.settings.reading import read
from calendar_sync.admin.settings.usual import changed, defaults
from calendar_sync.admin.settings.words import CHOICES, FIELDS, NAMES, full_name, name_of
from calendar_sync.admin.web.lanes import Lane
from calendar_sync.config.settings import TEXT_FIELDS, Settings, parse
from calendar_sync.state import Store
from tests.engine.admin.outside import outside
from tests.engine.admin.stage import OPERATOR, Pages, csrf

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    """Names that another test was given."""
    type_names.forget()


def part(text: str, section: str) -> str:
    """One section of the page."""
    found = re.search(rf'<details class="card part" id="{section}".*?\n  </details>', text, re.S)
    assert found is not None, section
    return found[0]


def plain(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


# --- words ------------------------------------------------------------------------------------


def test_every_setting_and_choice_has_words_of_its_own() -> None:
    named = {
        re.sub(r"^(direction|calendars)\.(google|microsoft)\b", r"\1.*", c.name) for c in controls()
    }
    assert named - set(NAMES) - {"direction.*", "calendars.*"} == set()
    assert set(NAMES) - named == set()
    for control in controls():
        assert "_" not in control.label
        if control.kind in {"select", "choices"}:
            path = re.sub(r"^direction\.\w+$", "direction.*", control.name)
            assert {value for value, _ in control.options} == set(CHOICES[path]), control.name
    assert set(FIELDS) == TEXT_FIELDS


def test_names_without_written_labels_are_readable() -> None:
    assert name_of("limits.some_new_limit") == "Some new limit"
    assert full_name("notify.some_new.deep_name") == "Notifications: Some new: Deep name"
    assert full_name("mirror_content.type_titles.etmp-a.b_c") == (
        "Event details: Titles for types of visit: etmp-a.b_c"
    )


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ({}, set()),
        ({"encounter_types": {"include": ["*"]}, "notify": {"to": []}}, set()),
        ({"direction": {"google": "bidirectional"}}, {"direction.google"}),
        ({"limits": {"max_cycle_seconds": 61}}, {"limits.max_cycle_seconds"}),
        ({"mirror_content": {"type_titles": {"etmp-x": "Visit"}}}, {"mirror_content.type_titles"}),
        ({"polling": {"working_hours": {}}}, {"polling.working_hours"}),
        ({"calendars": {"google": {"busy": ["primary", "b"]}}}, {"calendars.google.busy"}),
        ({"block_time": {"tentative": True}}, {"block_time.tentative"}),
    ],
)
def test_what_is_not_as_usual_is_known(written: dict[str, Any], names: set[str]) -> None:
    assert changed(fill(parse(written))) == names


def test_a_form_that_came_back_differs_only_where_something_was_filled_in() -> None:
    """Browsers send line ends of their own, and a name may be ticked and written."""
    form = {
        **fill(Settings()),
        "encounter_types.include": ["*", "*\r\n"],
        "mirror_moved": ["report"],
    }
    assert changed(form) == {"mirror_moved"}


def test_each_default_is_shown_in_words() -> None:
    told = defaults()
    assert told["mirror_moved"] == "Restore Welkin's version"
    assert told["direction.google"] == "both ways (not set)"
    assert told["block_time.enabled"] == "on"
    assert told["encounter_types.include"] == "*"
    assert told["encounter_types.exclude"] == "none"
    assert told["polling.working_hours.days"] == "Monday, Tuesday, Wednesday, Thursday, Friday"
    assert set(told) == {control.name for control in controls() if control.kind != "group"}


# --- the page ---------------------------------------------------------------------------------


def test_what_an_organisation_decides_first_is_open_and_the_rest_is_folded(
    operator: TestClient,
) -> None:
    text = operator.get("/settings").text
    found = re.findall(r'<details class="card part" id="part-([\w-]+)"( open)?>', text)
    assert [name for name, shown in found if shown] == [
        "direction",
        "encounter-types",
        "block-time",
        "event-details",
    ]
    assert len(found) == len(sections())
    assert text.index('id="part-event-details"') < text.index('id="part-user-mapping"')
    assert text.index('id="part-user-mapping"') < text.index('id="part-changes-made-by-hand"')
    assert f'href="{operator.base_url.path.rstrip("/")}/mapping"' in text


def test_defaults_and_changes_are_shown(operator: TestClient, store: Store) -> None:
    store.config.save_settings(
        parse({"limits": {"user_concurrency": 8}, "block_time": {"duplicates": "block"}}),
        "tests",
        NOW,
    )
    text = operator.get("/settings").text
    rates = plain(part(text, "part-rates-and-sizes"))
    assert "1 changed from default" in rates
    assert "Changed from the default: 4 ." in rates
    assert "Default: 16 ." in rates
    assert "More 1 changed from default" in plain(part(text, "part-block-time"))
    assert "changed from default" not in plain(part(text, "part-event-details"))


def test_a_mistake_is_never_folded_away(operator: TestClient) -> None:
    form = {
        **fill(Settings()),
        "based_on": "0",
        "csrf_token": csrf(operator),
        "limits.user_concurrency": ["99"],
        "block_time.instances_per_series": ["0"],
    }
    text = operator.post("/settings/review", data=form).text
    assert '<details class="card part" id="part-rates-and-sizes" open>' in text
    assert "1 to correct" in plain(part(text, "part-rates-and-sizes"))
    assert '<details class="more" open>' in part(text, "part-block-time")
    assert ">Rates and sizes: Concurrent users in a task</a>" in text


def test_the_review_and_the_history_speak_of_settings_by_their_names(
    operator: TestClient, store: Store
) -> None:
    form = {
        **fill(Settings()),
        "based_on": "0",
        "csrf_token": csrf(operator),
        "mirror_moved": ["report"],
        "direction.google": ["welkin_to_calendar"],
    }
    text = plain(operator.post("/settings/review", data=form).text)
    assert "A synced event moved in the calendar mirror_moved" in text
    assert "Restore Welkin's version restore Only report it report" in text
    assert "Direction: Google direction.google" in text
    assert "not set Welkin to calendar only welkin_to_calendar" in text
    store.config.save_settings(parse({"deletion_guard": {"max_share": 0.5}}), "tests", NOW)
    assert "Deletion guard: Or this share" in plain(operator.get("/settings/history").text)


def test_fields_of_a_template_are_buttons_and_named_where_scripts_are_off(
    operator: TestClient,
) -> None:
    text = operator.get("/settings").text
    for name in ("title", "description"):
        found = re.search(
            rf'data-fields="s-mirror-content-{name}-template" hidden>(.*?)</div>(.*?)</p>',
            text,
            re.S,
        )
        assert found is not None
        buttons = re.findall(r'<button type="button" value="([^"]+)">', found[1])
        assert set(buttons) == {f"{{{field}}}" for field in TEXT_FIELDS}
        assert all(f"<code>{button}</code>" in found[2] for button in buttons)


# --- types of appointments --------------------------------------------------------------------


def test_types_are_picked_from_those_that_welkin_has(
    pages: Pages, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for by a button of the form: nothing is saved, and nothing filled in is lost."""
    with (
        outside(store, tmp_path, NOW, monkeypatch) as world,
        pages.browser(OPERATOR) as operator,
    ):
        revision = store.config.revision()
        text = operator.get("/settings").text
        assert "/settings/types" in text
        form = {
            **fill(revision.settings),
            "based_on": str(revision.id),
            "csrf_token": csrf(operator),
            "encounter_types.include": ["etmp-home-visit\r\netmp-old-*"],
            "time_zone": ["Europe/Berlin"],
        }
        text = operator.post("/settings/types", data=form).text
        types = part(text, "part-encounter-types")
        include = types.partition("Types never to sync")[0]
        boxes = re.findall(
            r'name="encounter_types.include" value="([^"]+)"( checked)?> <span>([^<]+) <', include
        )
        assert boxes[0] == ("*", "", "All types")
        assert ("etmp-home-visit", " checked", "Home Visit") in boxes
        assert ("etmp-follow-up", "", "Follow-up") in boxes
        assert ("GROUP_THERAPY", "", "Group sessions") in boxes
        assert re.search(r"<textarea[^>]*>\netmp-old-\*</textarea>", include)
        assert 'value="Europe/Berlin"' in text
        assert store.config.revision().id == revision.id
        # What is ticked and what is written count together.
        form["encounter_types.include"] = ["etmp-follow-up", "GROUP_THERAPY", "etmp-old-*"]
        answer = operator.post("/settings/review", data=form).text
        assert "etmp-follow-up, GROUP_THERAPY, etmp-old-*" in answer
        # The names are kept for a while: Welkin is not asked again.
        asked = world.sandbox.requests.count("welkin.formations")
        assert 'value="etmp-follow-up"' in operator.get("/settings").text
        assert world.sandbox.requests.count("welkin.formations") == asked == 1


def test_a_welkin_that_does_not_tell_its_types_costs_nothing(
    operator: TestClient, store: Store
) -> None:
    """Here no connection is stored: the names and patterns can be written as before."""
    form = {
        **fill(Settings()),
        "based_on": "0",
        "csrf_token": csrf(operator),
        "time_zone": ["Europe/Berlin"],
    }
    answer = operator.post("/settings/types", data=form)
    assert answer.status_code == 200
    assert "is missing" in plain(part(answer.text, "part-encounter-types"))
    assert 'value="Europe/Berlin"' in answer.text


def test_a_slow_welkin_keeps_the_form_as_it_was_filled_in(
    operator: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    monkeypatch.setattr("calendar_sync.admin.settings.page.TYPES", Lane("x", 1, 0.05))
    monkeypatch.setattr(type_names, "ask", lambda store: answered.wait())
    form = {
        **fill(Settings()),
        "based_on": "0",
        "csrf_token": csrf(operator),
        "time_zone": ["Europe/Berlin"],
    }
    try:
        answer = operator.post("/settings/types", data=form)
    finally:
        answered.set()
    assert answer.status_code == 200
    assert "did not answer within" in plain(part(answer.text, "part-encounter-types"))
    assert 'value="Europe/Berlin"' in answer.text


def test_names_are_ticked_or_written() -> None:
    form = {**fill(Settings()), "encounter_types.exclude": ["a", " b \r\na\r\n\r\n", "c"]}
    found = read(form)
    assert found.settings is not None
    assert found.settings.encounter_types.exclude == ("a", "b", "c")
