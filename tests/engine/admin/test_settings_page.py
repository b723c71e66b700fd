"""Settings in the browser: the whole model, refused as a whole, never lost to the second person."""

import asyncio
import html
import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import BaseModel
from sqlalchemy import insert
from starlette.testclient import TestClient

from calendar_sync.admin.settings import effects
from calendar_sync.admin.settings.forms import controls, fill, sections
from calendar_sync.admin.settings.reading import read
from calendar_sync.admin.web import jobs
from calendar_sync.admin.web.rendering import plural
from calendar_sync.config.settings import Settings, parse
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.operations.preview import Effect
from calendar_sync.state import Store
from calendar_sync.state.tables import settings_revision
from tests.engine.admin.outside import finished, outside
from tests.engine.admin.stage import OPERATOR, Pages, csrf

NOW = datetime.now(UTC)
RICH = {
    "time_zone": "America/New_York",
    "direction": {"google": "welkin_to_calendar"},
    "encounter_types": {"exclude": ["etmp-*", "x, y"]},
    "calendars": {"microsoft": {"busy": ["primary", "second"], "mirrors": "second"}},
    "mirror_content": {
        "title": {"level": "full", "template": "{encounter_type}: {patient_initials}"},
        "type_titles": {"etmp-follow.up": "Follow-up"},
        "buffers": {"types": {"etmp-follow.up": {"before_minutes": 15}}},
        "baa_confirmed": {"by": "Jo", "on": "2026-01-02"},
    },
    "polling": {"working_hours": {"days": ["mon", "sat"], "start": "22:00", "end": "06:30"}},
    "notify": {"to": ["a@b.c"], "arguments": {"cc": ["x@b.c", "y@b.c"], "subject": "{subject}"}},
    "deletion_guard": {"max_share": 0.35},
}


def posted(client: TestClient, settings: Settings, revision: int, **changes: list[str]) -> Any:
    form: dict[str, Any] = {**fill(settings), "based_on": [str(revision)]}
    form.update({name.replace("__", "."): value for name, value in changes.items()})
    form["csrf_token"] = csrf(client)
    return client.post("/settings/review", data=form)


def document(text: str) -> str:
    found = re.search(r'name="document" value="([^"]*)"', text)
    assert found is not None, text
    return html.unescape(found[1])


def save(client: TestClient, text: str, revision: int) -> Any:
    form = {"document": document(text), "based_on": str(revision), "csrf_token": csrf(client)}
    return client.post("/settings", data=form, follow_redirects=False)


# --- the form and the model -------------------------------------------------------------------


def test_every_setting_of_the_model_is_in_the_form_and_explained() -> None:
    def leaves(model: type[BaseModel], prefix: str) -> set[str]:
        found = set()
        for name in model.model_fields:
            found.add(f"{prefix}{name}")
        return found

    names = {control.name for control in controls()}
    assert leaves(Settings, "") <= names
    for name, info in Settings.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            assert leaves(kind, f"{name}.") <= names
    assert not [section for section in sections() if section.title == "Others"]
    made_up = {"google", "microsoft"}
    for control in controls():
        assert control.help or control.name.rpartition(".")[2] in made_up, control.name


@pytest.mark.parametrize("written", [{}, RICH], ids=["defaults", "rich"])
def test_what_the_form_shows_is_what_it_means(written: dict[str, Any]) -> None:
    settings = parse(written)
    found = read(fill(settings))
    assert found.mistakes == {}
    assert found.settings == settings


names = st.sampled_from(list(fill(parse(RICH))))


@given(st.dictionaries(names, st.lists(st.text(max_size=12), max_size=3), max_size=4))
@hypothesis_settings(max_examples=150)
def test_any_filling_is_read_or_refused(changes: dict[str, list[str]]) -> None:
    found = read({**fill(parse(RICH)), **changes})
    assert (found.settings is None) == bool(found.mistakes)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_no_setting_is_infinite(value: float) -> None:
    with pytest.raises(ConfigurationError):
        parse({"limits": {"max_cycle_seconds": value}})


# --- what no form may name --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("notify.arguments", "files: [/proc/self/environ]"),
        ("notify.arguments", "template: /opt/airflow/airflow.cfg"),
        ("notify.notifier", "subprocess.Popen"),
    ],
)
def test_the_form_cannot_read_files_of_the_server(
    operator: TestClient, store: Store, name: str, value: str
) -> None:
    form = {**fill(parse({"notify": {"to": ["a@b.c"]}})), name: [value], "based_on": ["0"]}
    answer = operator.post("/settings/review", data={**form, "csrf_token": csrf(operator)})
    assert answer.status_code == 422
    assert 'id="s-notify-' in answer.text
    assert "is not allowed" in answer.text or "cannot come from the settings" in answer.text
    assert store.config.revision().id == 0


@pytest.mark.parametrize("key", ["\u00b2", "9" * 5000])
def test_a_name_that_looks_like_a_line_is_a_name(key: str) -> None:
    form = {"notify.notifier": ["subprocess.Popen"], "notify.arguments": [f"{key}: {{a: b}}"]}
    assert "notify.notifier" in read({**fill(Settings()), **form}).mistakes


def test_what_was_stored_before_is_shown_and_can_neither_be_kept_nor_restored(
    operator: TestClient, store: Store
) -> None:
    document = Settings().model_dump(mode="json")
    document["notify"] |= {"to": ["a@b.c"], "arguments": {"files": ["/proc/self/environ"]}}
    values = {"created_at": NOW, "author": "x", "document": document, "blocks_hash": "x"}
    with store.database.write() as connection:
        connection.execute(insert(settings_revision).values(values))
    assert "/proc/self/environ" in operator.get("/settings").text
    assert operator.get("/").status_code == 200
    before = store.config.revision().settings
    assert posted(operator, before, 1, mirror_moved=["report"]).status_code == 422
    assert posted(operator, before, 1, notify__arguments=[""]).status_code == 200
    form = {"number": "1", "csrf_token": csrf(operator)}
    answer = operator.post("/settings/restore", data=form)
    assert answer.status_code == 422
    assert "files cannot come from the settings" in answer.text


# --- the page ---------------------------------------------------------------------------------


def test_a_change_is_reviewed_then_stored_with_its_author(
    operator: TestClient, store: Store
) -> None:
    answer = posted(operator, Settings(), 0, mirror_moved=["report"])
    assert "<code>mirror_moved</code>" in answer.text
    assert store.config.revision().id == 0
    assert save(operator, answer.text, 0).headers["location"].endswith("/settings?saved=1")
    stored = store.config.revision()
    assert (stored.id, stored.author) == (1, f"airflow:{OPERATOR}")
    assert stored.settings == parse({"mirror_moved": "report"})
    assert "version 1" in operator.get("/settings?saved=1").text


def test_what_is_wrong_is_said_beside_its_input_and_nothing_is_lost(
    operator: TestClient, store: Store
) -> None:
    answer = posted(
        operator,
        Settings(),
        0,
        time_zone=["Mars"],
        limits__user_concurrency=["99"],
        deletion_guard__max_share=["x"],
    )
    assert answer.status_code == 422
    for name in ("time-zone", "limits-user-concurrency", "deletion-guard-max-share"):
        assert f'id="s-{name}-mistake1"' in answer.text
    assert 'value="Mars"' in answer.text
    assert 'value="99"' in answer.text
    assert store.config.revision().id == 0


@pytest.mark.parametrize(
    "changes",
    [{"colour": ["red"]}, {"mirror_moved": ["explode"]}, {"mirror_moved": []}, {"time_zone": []}],
    ids=str,
)
def test_unknown_and_missing_inputs_are_refused(
    operator: TestClient, changes: dict[str, list[str]]
) -> None:
    assert posted(operator, Settings(), 0, **changes).status_code == 422


def test_level_full_needs_the_recorded_agreement(operator: TestClient) -> None:
    full = {
        "mirror_content__title__level": ["full"],
        "mirror_content__title__template": ["{patient_initials}"],
    }
    answer = posted(operator, Settings(), 0, **full)
    assert answer.status_code == 422
    assert "needs baa_confirmed" in answer.text
    by = {
        "mirror_content.baa_confirmed#set": ["on"],
        "mirror_content__baa_confirmed__by": ["Jo"],
        "mirror_content__baa_confirmed__on": ["2026-01-02"],
    }
    answer = posted(operator, Settings(), 0, **full, **by)
    assert answer.status_code == 200
    assert "<strong>FL</strong>" in answer.text


def test_the_sample_shows_the_inputs_and_no_real_name(viewer: TestClient) -> None:
    form = {name: v for name, v in fill(parse(RICH)).items() if name.startswith("mirror_content.")}
    text = viewer.get("/settings/sample", params=form).text
    assert "<strong>Follow-up: FL (" in text
    form["mirror_content.title.level"] = ["busy"]
    assert "<strong>Busy" in viewer.get("/settings/sample", params=form).text
    form["mirror_content.title.template"] = ["{patient_secret}"]
    assert "Not available until the mistakes" in viewer.get("/settings/sample", params=form).text


def test_the_sample_shows_place_link_colour_reminder_and_status(viewer: TestClient) -> None:
    content: dict[str, Any] = {
        "title": {"level": "type"},
        "places": {"Room *": "Elm Street 1"},
        "link_hosts": ["*.zoom.us"],
        "colours": {"etmp-a": "sage"},
        "categories": {"etmp-b": "Visit <b>"},
        "reminder": 10,
        "tentative": ["AWAITING"],
        "buffers": {"types": {"etmp-b": {"before_minutes": 20}, "*": {"after_minutes": 1}}},
    }

    def shown() -> str:
        form = fill(parse({"mirror_content": content}))
        wanted = {name: v for name, v in form.items() if name.startswith("mirror_content.")}
        return str(viewer.get("/settings/sample", params=wanted).text)

    text = shown()
    for words in (
        "Location: https://eu.zoom.us/j/1234567890", "Location: Elm Street 1", "Google: sage",
        "Outlook: category Visit &lt;b&gt;", "with the status AWAITING", "tentative",
        "10 minutes before", "busy time around it: 20 minutes before, 1 minute after",
    ):  # fmt: skip
        assert words in text
    content["title"] = {"level": "busy"}
    text = shown()
    for words in ("zoom", "Elm Street", "sage", "Visit"):
        assert words not in text
    assert "tentative" in text
    assert "an encounter of *" not in text.lower()


def test_the_second_of_two_people_is_warned_and_can_go_on(
    operator: TestClient, store: Store
) -> None:
    mine = posted(operator, Settings(), 0, mirror_moved=["report"]).text
    theirs = parse({"mirror_deleted": "report", "time_zone": "Europe/Berlin"})
    store.config.save_settings(theirs, "airflow:first", NOW)
    answer = save(operator, mine, 0)
    assert answer.status_code == 409
    assert "airflow:first" in answer.text
    assert "Europe/Berlin" in answer.text
    assert store.config.revision().settings == theirs
    # The same is said to who has the form open still.
    assert posted(operator, Settings(), 0, mirror_moved=["report"]).status_code == 409
    form = {"document": document(answer.text), "based_on": "0", "csrf_token": csrf(operator)}
    again = operator.post("/settings/rebase", data=form)
    save(operator, again.text, 1)
    both = {"mirror_deleted": "report", "time_zone": "Europe/Berlin", "mirror_moved": "report"}
    assert store.config.revision().settings == parse(both)


def test_history_compares_and_rolls_back_as_a_new_revision(
    operator: TestClient, store: Store
) -> None:
    first = parse({"mirror_moved": "report"})
    store.config.save_settings(first, "airflow:a", NOW)
    store.config.save_settings(parse({"time_zone": "Europe/Berlin"}), "airflow:b", NOW)
    text = operator.get("/settings/history").text
    assert "airflow:a" in text
    assert "<code>time_zone</code>" in text
    diff = operator.get("/settings/diff?one=1&other=2").text
    assert "<del>report</del>" in diff
    assert "<ins>Europe/Berlin</ins>" in diff
    assert operator.get("/settings/diff?one=1&other=9").status_code == 404
    form = {"number": "1", "csrf_token": csrf(operator)}
    review = operator.post("/settings/restore", data=form).text
    assert save(operator, review, 2).status_code == 303
    assert store.config.revision().id == 3
    assert store.config.revision().settings == first


def test_a_viewer_sees_the_settings_and_can_send_nothing(viewer: TestClient) -> None:
    text = viewer.get("/settings").text
    assert '<fieldset class="bare" disabled>' in text
    assert "Review the change" not in text


@pytest.mark.parametrize(
    "given", ["", "x", "[]", '{"a": 1}', '{"time_zone": "\\ud800"}', "[" * 9000]
)
def test_a_document_that_is_none_is_refused(operator: TestClient, store: Store, given: str) -> None:
    form = {"document": given, "based_on": "0", "csrf_token": csrf(operator)}
    assert operator.post("/settings", data=form).status_code == 422
    assert store.config.revision().id == 0


# --- what it would do -------------------------------------------------------------------------


def test_the_effect_of_a_change_is_planned_and_nothing_is_written(
    pages: Pages, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        outside(store, tmp_path, NOW, monkeypatch) as world,
        pages.browser(OPERATOR) as operator,
    ):
        world.sandbox.google.no_licence("ruben@example.org")
        start = NOW.replace(minute=0, second=0, microsecond=0).replace(hour=12)
        start += timedelta(days=2)
        world.sandbox.welkin.book_encounter(world.ids["dana"], start, start + timedelta(hours=1))
        wanted = json.dumps(parse({"mirror_moved": "report"}).model_dump(mode="json"))
        text = finished(operator, "/settings/effect", {"document": wanted}, csrf(operator))
        assert "This change affects 1 user: 1 synced event created." in text
        assert "1 account cannot be read" in text
        assert "ruben@example.org" in text
        assert world.sandbox.requests.writes() == []
        narrow = json.dumps(parse({"encounter_types": {"include": []}}).model_dump(mode="json"))
        text = finished(operator, "/settings/effect", {"document": narrow}, csrf(operator))
        assert "This change affects no users." in text
        assert store.config.revision().id == 1


def test_the_line_breaks_of_a_template_survive_the_form(operator: TestClient, store: Store) -> None:
    template = "\n{encounter_type}\n\n  by {mode} <b>\n"
    baa = {"by": "Jo", "on": "2026-01-02"}
    details = {"description": {"level": "full", "template": template}, "baa_confirmed": baa}
    store.config.save_settings(parse({"mirror_content": details}), "tests", NOW)
    text = operator.get("/settings").text
    shown = text.partition('name="mirror_content.description.template"')[2]
    found = re.match(r"[^>]*>\n(.*?)</textarea>", shown, re.S)
    assert found is not None
    assert html.unescape(found[1]) == template
    assert 'type="long"' not in text
    # As a browser sends it.
    sent = {"mirror_content__description__template": [template.replace("\n", "\r\n")]}
    revision = store.config.revision()
    answer = posted(operator, revision.settings, revision.id, mirror_moved=["report"], **sent)
    assert save(operator, answer.text, revision.id).status_code == 303
    assert store.config.revision().settings.mirror_content.description.template == template


@pytest.mark.parametrize("ends", ["time", "cancelled"])
def test_what_was_found_until_the_end_is_shown_with_how_many_were_looked_at(
    operator: TestClient, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    async def slow(job: jobs.Job) -> effects.Effects:
        effect = Effect(Platform.GOOGLE, users=837, affected=1)
        effect.planned["create_mirror", "new"] = 40
        job.result = effects.Effects([effect], 837, 10_000)
        await asyncio.sleep(600)
        raise AssertionError

    if ends == "time":
        monkeypatch.setattr(jobs, "MINUTES", 0.0005)
    job = jobs.JOBS.start("effect", "x", slow)
    while job.state == "running":
        if ends == "cancelled" and job.result:
            job.cancel()
        time.sleep(0.01)
    text = operator.get(f"/settings/effect/{job.id}").text
    assert "This change affects 1 user: 40 synced events created." in text
    assert f"Only 837 of {plural(10_000, 'user')} were checked" in text
    assert ("It took longer than" if ends == "time" else "Cancelled") in text


@pytest.mark.parametrize(
    ("users", "rate", "offered"),
    [
        (15, 5, [(0, 15)]),
        (312, 5, [(0, 312), (200, 200), (20, 20)]),
        (720, 5, [(0, 720), (200, 200), (20, 20)]),
        (721, 5, [(700, 700), (200, 200), (20, 20)]),
        (10_000, 5, [(700, 700), (200, 200), (20, 20)]),
        (10_000, 100, [(0, 10_000), (200, 200), (20, 20)]),
        (10_000, 0.5, [(72, 72), (20, 20)]),
    ],
)
def test_no_more_are_offered_than_fit_into_the_time(
    users: int, rate: float, offered: list[tuple[int, int]]
) -> None:
    assert [(one.most, one.users) for one in effects.sample_sizes(users, rate)] == offered


def test_the_review_says_how_long_it_would_take(operator: TestClient, store: Store) -> None:
    mapped = [MappedUser(f"u{n}", Platform.GOOGLE, f"u{n}@example.org") for n in range(900)]
    store.config.edit_mapping(lambda _: mapped, "tests", NOW)
    text = posted(operator, Settings(), 0, mirror_moved=["report"]).text
    assert "all users (" not in text
    assert "700 of 900: about 11 min 40 s" in text
    assert '<option value="20" selected>20 of 900: about 20 s' in text


def test_a_missing_connection_is_named(operator: TestClient, store: Store) -> None:
    form = {"document": json.dumps({})}
    text = finished(operator, "/settings/effect", form, csrf(operator))
    assert "calendar_sync_hmac_key is missing" in text


def test_a_job_of_another_process_is_asked_for_again(operator: TestClient) -> None:
    other = operator.get("/settings/effect/otherone-1")
    assert "hx-trigger" in other.text
    assert operator.get(f"/settings/effect/{jobs.HERE}-1").status_code == 404


def test_mapping_rules_are_written_as_yaml_and_mistakes_name_the_rule() -> None:
    rule = {"name": "all", "platform": "google", "email_domain": "example.org", "apply": True}
    settings = parse({"mapping_rules": [rule]})
    filled = fill(settings)
    assert "email_domain: example.org" in filled["mapping_rules"][0]
    assert read(filled).settings == settings
    wrong = ["- {name: none, platform: google}\n"]
    [said] = read({**filled, "mapping_rules": wrong}).mistakes["mapping_rules"]
    assert said.startswith("Rule 1: Rule none has no condition")
