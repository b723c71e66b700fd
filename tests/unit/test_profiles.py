"""Profiles: merged over the settings of the organisation, or refused by name."""

from typing import Any

import pytest

from calendar_sync.config.differences import differences, rebase, with_profiles
from calendar_sync.config.documents import read_yaml
from calendar_sync.config.settings import Calendars, Settings, parse
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Direction, MappedUser, Platform
from calendar_sync.insight.profiles import changed_by
from calendar_sync.state.config import Revision, blocks_hash

BAA = {"by": "Dana", "on": "2026-01-01"}
FULL = {"level": "full", "template": "{patient_initials}"}


def profiled(**given: Any) -> Settings:
    """Settings with one profile, `nurses`."""
    return parse({"profiles": {"nurses": given}})


def test_a_profile_replaces_what_it_gives_and_nothing_else() -> None:
    found = parse(
        {
            "windows": {"mirrors_past_days": 7, "blocks_future_days": 60},
            "encounter_types": {"include": ["a", "b"]},
            "mirror_content": {"type_titles": {"a": "First", "b": "Second"}},
            "profiles": {
                "nurses": {
                    "windows": {"mirrors_past_days": 3},
                    "encounter_types": {"include": ["c"]},
                    "mirror_content": {"type_titles": {"b": "Other"}},
                    "mirror_moved": "report",
                }
            },
        }
    )
    own = found.of("nurses")
    assert (own.windows.mirrors_past_days, own.windows.blocks_future_days) == (3, 60)
    assert own.encounter_types.include == ("c",)
    assert own.mirror_content.type_titles == {"a": "First", "b": "Other"}
    assert own.mirror_moved == "report"
    assert found.of("") is found
    assert found.windows.mirrors_past_days == 7


def test_a_profile_is_valid_together_with_what_it_is_over() -> None:
    level = {"mirror_content": {"title": {"level": "full"}}}
    shared = {"mirror_content": {"baa_confirmed": BAA, "title": {"template": "{mode}"}}}
    found = parse({**shared, "profiles": {"a": level}}).of("a").mirror_content
    assert (found.title.level, found.title.template) == ("full", "{mode}")
    with pytest.raises(ConfigurationError, match="baa_confirmed"):
        parse({"profiles": {"a": {"mirror_content": {"title": FULL}}}})


def test_a_direction_of_a_profile_is_behind_that_of_the_mapping() -> None:
    own = profiled(direction={"google": "calendar_to_welkin"}).of("nurses")
    assert own.direction_of(Platform.GOOGLE, None) is Direction.CALENDAR_TO_WELKIN
    assert own.direction_of(Platform.MICROSOFT, None) is Direction.BIDIRECTIONAL
    override = Direction.WELKIN_TO_CALENDAR
    assert own.direction_of(Platform.GOOGLE, override) is override


@pytest.mark.parametrize(
    ("profiles", "words"),
    [
        ({"nurses": {"windows": {"mirrors_past_days": -1}}}, r"profiles\.nurses\.windows\.mirrors"),
        ({"nurses": {"windos": {}}}, r"profiles\.nurses\.windos: unknown setting, did you mean w"),
        ({"nurses": {"windows": {"past": 1}}}, r"profiles\.nurses\.windows\.past: unknown setting"),
        ({"nurses": {"limits": {}}}, r"profiles\.nurses\.limits: .*organisation's"),
        ({"nurses": {"on_unmapped": "keep"}}, r"profiles\.nurses\.on_unmapped"),
        ({"nurses": {"profiles": {}}}, r"profiles\.nurses\.profiles"),
        ({"nurses": {"polling": {"sweep": "on"}}}, r"profiles\.nurses\.polling\.sweep"),
        ({"nurses": None}, r"profiles\.nurses"),
        ({"nurses": []}, r"profiles\.nurses"),
        ({"Nurses": {}}, r"profiles\.Nurses: .*lower-case"),
        ({"": {}}, r"profiles\.: .*lower-case"),
        ({"-a": {}}, "lower-case"),
        ({"a" * 65: {}}, "lower-case"),
        ({f"p{number}": {} for number in range(51)}, "at most 50 profiles"),
        ([], "profiles"),
        ({"nurses": {"mirror_content": {"title": {"template": "{patient}"}}}}, "unknown field"),
    ],
)
def test_a_wrong_profile_is_refused_with_its_place(profiles: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        parse({"profiles": profiles})


def test_every_mistake_of_every_profile_is_named() -> None:
    document = {"profiles": {"a": {"windos": {}}, "b": {"block_time": {"title": ""}}}}
    with pytest.raises(ConfigurationError) as refused:
        parse(document)
    assert len(refused.value.mistakes) == 2


def test_a_mistake_is_named_with_its_line() -> None:
    text = "time_zone: UTC\nprofiles:\n  nurses:\n    windows:\n      mirrors_past_days: far\n"
    document = read_yaml(text, "settings.yaml")
    with pytest.raises(ConfigurationError, match="line 5"):
        parse(document.value, document.where)


def test_what_is_stored_can_be_read_again() -> None:
    text = """
    profiles:
      nurses:
        polling: {working_hours: {start: 7:30, end: "19:00"}}
        mirror_content: {baa_confirmed: {by: Dana, on: 2026-01-02}}
        windows: {}
    """
    found = parse(read_yaml(text, "settings.yaml").value)
    stored = found.model_dump(mode="json")
    assert stored["profiles"]["nurses"] == {
        "polling": {"working_hours": {"start": "07:30:00", "end": "19:00:00"}},
        "mirror_content": {"baa_confirmed": {"by": "Dana", "on": "2026-01-02"}},
    }
    again = parse(stored, stored=True)
    assert again == found
    assert again.of("nurses") == found.of("nurses")


def test_profiles_change_no_cursor_but_those_of_their_users() -> None:
    plain, with_one = parse({}), profiled(block_time={"tentative": True})
    assert blocks_hash(plain) == blocks_hash(with_one)
    revision = Revision(1, with_one, blocks_hash(with_one))
    assert revision.of("") is revision
    assert revision.of("nurses").blocks_hash != revision.blocks_hash
    assert revision.of("nurses") is revision.of("nurses")
    nothing = profiled(polling={"interval_seconds": 600})
    assert Revision(1, nothing, "").of("nurses").blocks_hash == blocks_hash(nothing)


def test_a_profile_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no profile ghosts"):
        profiled().of("ghosts")


def test_what_a_profile_changes_is_listed_by_name() -> None:
    found = profiled(windows={"mirrors_past_days": 3}, mirror_moved="restore")
    changes = {one.name: (one.own, one.usual) for one in changed_by(found, "nurses")}
    assert changes == {"windows.mirrors_past_days": (3, 30)}
    assert changed_by(found, "") == changed_by(found, "ghosts") == ()


def test_two_people_change_profiles_at_the_same_time() -> None:
    base = parse({"profiles": {"a": {"mirror_moved": "report"}, "b": {}}})
    mine = parse({"profiles": {"b": {"mirror_deleted": "report"}, "c": {}}})
    theirs = parse({"profiles": {"a": {"mirror_moved": "report"}, "b": {}, "d": {}}})
    found = rebase(base, mine, theirs)
    assert found.settings.profiles == {"b": {"mirror_deleted": "report"}, "c": {}, "d": {}}
    assert found.overruled == ()
    assert set(differences(base, theirs)) == {"profiles.d"}


def test_profiles_that_go_can_be_kept_for_a_moment() -> None:
    before = parse({"profiles": {"a": {"mirror_moved": "report"}, "b": {}}})
    after = parse({"profiles": {"b": {"mirror_moved": "report"}}})
    assert with_profiles(after, before.profiles).profiles == {
        "a": {"mirror_moved": "report"},
        "b": {"mirror_moved": "report"},
    }
    assert with_profiles(before, after.profiles) is before


def test_a_persons_own_calendars_are_beside_those_of_the_profile() -> None:
    found = profiled(calendars={"google": {"busy": ["primary", "team"], "mirrors": "visits"}})
    plain = MappedUser("u1", Platform.GOOGLE, "a@example.org", profile="nurses")
    assert found.calendars_for(plain) == Calendars(busy=("primary", "team"), mirrors="visits")
    own = MappedUser(
        "u1",
        Platform.GOOGLE,
        "a@example.org",
        profile="nurses",
        busy_calendars=("team", "own"),
        mirrors_calendar="mine",
    )
    assert found.calendars_for(own) == Calendars(busy=("primary", "team", "own"), mirrors="mine")
    other = MappedUser("u2", Platform.GOOGLE, "b@example.org")
    assert found.calendars_for(other) == Calendars()
