"""One typed model; refused as a whole when a part is wrong."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from calendar_sync.config.documents import read_yaml
from calendar_sync.config.settings import (
    DeletionGuard,
    EncounterTypes,
    IgnoreExternal,
    Settings,
    parse,
)
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Direction, Platform

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
BAA = {"by": "Dana", "on": "2026-01-01"}


def test_nothing_at_all_is_the_everyday_case() -> None:
    found = parse(None)
    assert found == parse({}) == Settings()
    assert found.direction_of(Platform.GOOGLE, None) is Direction.BIDIRECTIONAL
    assert found.block_time.enabled
    assert not found.block_time.tentative
    assert found.block_time.all_day == "block"
    assert found.polling.interval_seconds == 60
    assert found.mirror_content.level == "busy/busy"
    assert (found.mirror_moved, found.mirror_deleted) == ("restore", "restore")
    assert found.block_time.block_edited == "restore"
    assert found.encounter_types.unknown_type == "skip"


@pytest.mark.parametrize("on", ["2026-01-02", '"2026-01-02"'])
def test_the_agreement_is_recorded_in_yaml_as_it_is_documented(on: str) -> None:
    text = f"mirror_content: {{baa_confirmed: {{by: Dana, on: {on}}}}}"
    found = parse(read_yaml(text, "settings.yaml").value).mirror_content.baa_confirmed
    assert found is not None
    assert (found.by, found.on) == ("Dana", "2026-01-02")


@pytest.mark.parametrize("on", ["2026-02-30", "true", "2026-01-02 10:00:00", "yesterday"])
def test_the_agreement_names_a_day(on: str) -> None:
    text = f"mirror_content: {{baa_confirmed: {{by: Dana, on: {on!r}}}}}"
    with pytest.raises(ConfigurationError, match=r"baa_confirmed\.on"):
        parse(read_yaml(text, "settings.yaml").value)


def test_names_stay_names_whatever_yaml_takes_them_for() -> None:
    text = "mirror_content: {type_titles: {on: Switched on, 007: Agent, no: Declined, ~: Nothing}}"
    found = parse(read_yaml(text, "settings.yaml").value).mirror_content.type_titles
    assert found == {"on": "Switched on", "007": "Agent", "no": "Declined", "~": "Nothing"}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], ["mapping"]),
        ("text", ["mapping"]),
        ({"timezone": "UTC"}, ["timezone", "time_zone"]),
        ({"time_zone": "Mars/Base"}, ["time_zone", "IANA"]),
        ({"direction": {"google": "both"}}, ["direction.google"]),
        ({"direction": {"yahoo": "bidirectional"}}, ["direction.yahoo"]),
        ({"block_time": {"tentatve": True}}, ["block_time.tentatve", "tentative"]),
        ({"block_time": {"title": ""}}, ["block_time.title"]),
        ({"block_time": {"instances_per_series": 0}}, ["instances_per_series"]),
        (
            {"block_time": {"buffers": {"online": {"after_minutes": 241}}}},
            ["block_time.buffers.online.after_minutes", "240"],
        ),
        (
            {"block_time": {"buffers": {"online": {"before_minutes": -1}}}},
            ["block_time.buffers.online.before_minutes"],
        ),
        (
            {"block_time": {"buffers": {"with_places": {}}}},
            ["block_time.buffers.with_places", "with_place"],
        ),
        ({"windows": {"mirrors_future_days": "soon"}}, ["windows.mirrors_future_days"]),
        ({"polling": {"interval_seconds": 1}}, ["polling.interval_seconds"]),
        ({"deletion_guard": {"max_share": 2}}, ["deletion_guard.max_share"]),
        ({"mirror_content": {"title": {"level": "everything"}}}, ["mirror_content.title.level"]),
        ({"mirror_content": {"title": {"level": "full"}}}, ["mirror_content.title", "template"]),
        (
            {"mirror_content": {"title": {"level": "full", "template": "{patient_name}"}}},
            ["patient_name", "patient_"],
        ),
        (
            {"mirror_content": {"title": {"level": "full", "template": "{patient_initials}"}}},
            ["mirror_content", "baa_confirmed"],
        ),
        ({"mirror_content": {"title": {"template": "{mode!r}"}}}, ["mode"]),
        ({"mirror_content": {"title": {"template": "{mode:>9}"}}}, ["mode"]),
        ({"mirror_content": {"title": {"template": "{mode.__class__}"}}}, ["mode.__class__"]),
        ({"mirror_content": {"title": {"template": "{0}"}}}, ["unknown field"]),
        ({"mirror_content": {"title": {"template": "{"}}}, ["not a template"]),
        (
            {"mirror_content": {"buffers": {"types": {"etmp-*": {"after_minutes": 241}}}}},
            ["mirror_content.buffers.types.etmp-*.after_minutes", "240"],
        ),
        (
            {"mirror_content": {"buffers": {"types": {" ": {"after_minutes": 5}}}}},
            ["mirror_content.buffers.types", "empty"],
        ),
        (
            {"mirror_content": {"buffers": {"every_visits": {"after_minutes": 5}}}},
            ["mirror_content.buffers.every_visits", "every_visit?"],
        ),
        ({"people_may_choose": ["color"]}, ["people_may_choose", "colour"]),
        ({"mirror_content": {"colours": {"etmp-a": "sag"}}}, ["colours", "sag:", "sage", "tomato"]),
        ({"mirror_content": {"colours": {"etmp-a": "11"}}}, ["mirror_content.colours", "11"]),
        ({"mirror_content": {"categories": {"etmp-a": "A, B"}}}, ["categories", "comma"]),
        ({"mirror_content": {"categories": {"etmp-a": "x" * 61}}}, ["categories", "60"]),
        ({"mirror_content": {"places": {"Room": "x" * 256}}}, ["places", "Room", "255"]),
        ({"mirror_content": {"places": {"Room": " "}}}, ["places", "Room"]),
        ({"mirror_content": {"link_hosts": ["*"]}}, ["link_hosts", "not a host"]),
        ({"mirror_content": {"link_hosts": ["*.com"]}}, ["link_hosts", "*.com"]),
        ({"mirror_content": {"link_hosts": ["zoom.*"]}}, ["link_hosts", "zoom.*"]),
        ({"mirror_content": {"link_hosts": ["https://zoom.us"]}}, ["link_hosts", "zoom.us"]),
        ({"mirror_content": {"reminder": 40321}}, ["mirror_content.reminder", "40320"]),
        ({"mirror_content": {"reminder": -1}}, ["mirror_content.reminder", "none"]),
        ({"mirror_content": {"reminder": "soon"}}, ["mirror_content.reminder", "default"]),
        ({"mirror_content": {"tentative": ["canceled"]}}, ["tentative", "CANCELED"]),
        ({"mirror_content": {"tentative": [" "]}}, ["tentative", "empty"]),
        (
            {"mirror_content": {"baa_confirmed": {"by": "", "on": "2026-01-01"}}},
            ["baa_confirmed.by"],
        ),
        (
            {"mirror_content": {"baa_confirmed": {"by": "x", "on": "yesterday"}}},
            ["baa_confirmed.on"],
        ),
    ],
    ids=str,
)
def test_a_mistake_is_refused_and_named(document: Any, words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(document)
    for word in words:
        assert word in caught.value.detail


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse({"time_zone": "x", "polling": {"interval_seconds": 0}, "wrong": 1})
    assert all(word in caught.value.detail for word in ("time_zone", "poll", "wrong"))


def test_full_with_an_agreement_and_a_template() -> None:
    text = {"level": "full", "template": "{patient_initials} {encounter_type} {{x}}"}
    found = parse({"mirror_content": {"title": text, "baa_confirmed": BAA}})
    assert found.mirror_content.level == "full/busy"
    text = {"level": "type"}
    assert parse({"mirror_content": {"description": text}}).mirror_content.level == "busy/type"


@pytest.mark.parametrize(
    ("document", "level"),
    [
        ({"title": {"level": "type"}, "places": {"a": "b"}}, "type/busy+place"),
        ({"title": {"level": "type"}, "link_hosts": ["zoom.us", "*.x.org"]}, "type/busy+link"),
        ({"places": {"a": "b"}, "link_hosts": ["zoom.us"]}, "busy/busy"),
        ({"description": {"level": "type"}, "places": {"a": "b"}}, "busy/type"),
    ],
)
def test_the_level_names_what_else_may_be_shown(document: dict[str, Any], level: str) -> None:
    assert parse({"mirror_content": document}).mirror_content.level == level


def test_reminders_and_statuses_are_written_in_one_way() -> None:
    found = parse({"mirror_content": {"reminder": 15, "tentative": ["to be confirmed"]}})
    assert found.mirror_content.reminder == "15"
    assert found.mirror_content.tentative == ("TO_BE_CONFIRMED",)
    assert parse({"mirror_content": {"reminder": " none "}}).mirror_content.reminder == "none"


def test_a_stored_document_reads_back() -> None:
    found = parse(
        {
            "direction": {"google": "welkin_to_calendar"},
            "encounter_types": {"include": ["etmp-*"]},
            "calendars": {"google": {"busy": ["primary", "c_1"], "mirrors": "c_2"}},
            "mirror_content": {"type_titles": {"etmp-a": "Visit"}},
        }
    )
    assert parse(found.model_dump(mode="json")) == found
    assert found.calendars_of(Platform.GOOGLE).all == ("c_2", "primary", "c_1")
    assert found.calendars_of(Platform.MICROSOFT).all == ("primary",)


@pytest.mark.parametrize(
    ("types", "name", "wanted"),
    [
        (EncounterTypes(), "anything", True),
        (EncounterTypes(include=("a*",)), "ABC", True),
        (EncounterTypes(include=("a*",)), "bc", False),
        (EncounterTypes(exclude=("*c",)), "abc", False),
        # Brackets are part of a name.
        (EncounterTypes(exclude=("Therapy [sensitive]",)), "Therapy [sensitive]", False),
        (EncounterTypes(exclude=("* [?]",)), "Visit [b]", False),
        (EncounterTypes(exclude=("*[!a]*",)), "abc", True),
        (EncounterTypes(include=()), "abc", False),
    ],
)
def test_filters(types: EncounterTypes, name: str, wanted: bool) -> None:
    assert types.wants(name) is wanted


def test_ignored_sources() -> None:
    rules = IgnoreExternal(creators=("bot@*",), ical_uids=("x-?",))
    assert rules.ignores("Bot@example.org", None, None)
    assert rules.ignores(None, None, "X-1")
    assert not rules.ignores(None, "bot@example.org", "x-12")
    assert not IgnoreExternal().ignores("a", "b", "c")


@pytest.mark.parametrize(
    ("removals", "live", "allowed"),
    [
        (10, 0, True),
        (11, 0, False),
        (11, 55, True),
        (11, 54, False),
        (20, 100, True),
        (21, 104, False),
    ],
)
def test_the_deletion_guard(removals: int, live: int, allowed: bool) -> None:
    assert DeletionGuard().allows(removals, live) is allowed


def test_windows() -> None:
    found, zone = Settings(), ZoneInfo("America/New_York")
    mirrors, blocks = found.mirror_window(NOW), found.block_window(NOW, zone)
    assert (mirrors.start, mirrors.end) == (NOW - timedelta(days=30), NOW + timedelta(days=365))
    assert blocks.start == datetime(2026, 3, 2, 5, tzinfo=UTC)
    assert blocks.end == NOW + timedelta(days=120)
    listed = found.list_window(NOW)
    assert listed.start <= min(mirrors.start, blocks.start)
    assert listed.end >= max(mirrors.end, blocks.end) + timedelta(days=14)
    short = parse({"windows": {"mirrors_past_days": 0, "mirrors_future_days": 1}})
    assert short.list_window(NOW).start <= short.block_window(NOW, zone).start
    assert short.list_window(NOW).end >= short.block_window(NOW, zone).end


def test_directions_and_zones() -> None:
    found = parse({"direction": {"google": "welkin_to_calendar"}, "time_zone": "Europe/Berlin"})
    assert found.direction_of(Platform.GOOGLE, None) is Direction.WELKIN_TO_CALENDAR
    assert found.direction_of(Platform.GOOGLE, Direction.BIDIRECTIONAL) is Direction.BIDIRECTIONAL
    assert found.direction_of(Platform.MICROSOFT, None) is Direction.BIDIRECTIONAL
    assert found.zone(None, "Mars/Base", "US/Hawaii").key == "US/Hawaii"
    assert found.zone(None).key == "Europe/Berlin"
