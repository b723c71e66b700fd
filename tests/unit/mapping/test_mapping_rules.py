"""The section `mapping_rules`: what is wrong in it is refused by name."""

from typing import Any

import pytest

from calendar_sync.config.settings import Settings, parse
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.state.config import blocks_hash

RULE: dict[str, Any] = {"name": "surgeons", "platform": "google", "group": "s@example.org"}


def rules(*given: dict[str, Any], **settings: Any) -> Settings:
    return parse({"mapping_rules": list(given)} | settings)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"group": ""}, "rule surgeons has no condition: give it one of group, org_unit"),
        ({"group": "  "}, "rule surgeons has no condition"),
        ({"welkin_role": "physician"}, "rule surgeons has group and welkin_role"),
        ({"profile": "nobody"}, "rule surgeons: the settings have no profile nobody"),
        ({"group": "", "org_unit": "Clinic"}, "a path that begins with /"),
        ({"group": "", "email_domain": "dana@example.org"}, "give a domain"),
        ({"group": "", "email_domain": "example"}, "give a domain"),
        ({"platform": "microsoft", "group": "", "org_unit": "/Clinic"}, "only Google"),
        ({"platform": "yahoo"}, "mapping_rules.0.platform"),
        ({"name": ""}, "mapping_rules.0.name"),
        ({"name": "a\nb"}, "mapping_rules.0.name"),
        ({"name": 7}, "mapping_rules.0.name"),
        ({"colour": "red"}, "mapping_rules.0.colour: unknown setting"),
        ({"groop": "x"}, "did you mean group?"),
        ({"apply": "perhaps"}, "mapping_rules.0.apply"),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_rule_is_refused_by_name(rule: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        rules(RULE | rule)
    assert words in caught.value.detail


@pytest.mark.parametrize("document", [RULE, "surgeons", [[]], [None], {"surgeons": RULE}], ids=str)
def test_a_section_of_another_shape_is_refused(document: Any) -> None:
    with pytest.raises(ConfigurationError, match="mapping_rules"):
        parse({"mapping_rules": document})


def test_two_rules_of_one_name_are_refused_and_too_many_too() -> None:
    with pytest.raises(ConfigurationError, match="another rule Surgeons"):
        rules(RULE, RULE | {"name": "Surgeons"})
    with pytest.raises(ConfigurationError, match="at most 100"):
        rules(*(RULE | {"name": f"rule {number}"} for number in range(101)))


def test_a_profile_that_a_rule_gives_cannot_go() -> None:
    profiles = {"basic": {"mirror_moved": "report"}}
    found = rules(RULE | {"profile": "basic"}, profiles=profiles)
    assert found.of("basic").mirror_moved == "report"
    with pytest.raises(ConfigurationError, match="there are none"):
        rules(RULE | {"profile": "basic"})


def test_rules_are_written_without_what_is_empty_and_read_again() -> None:
    found = rules(RULE | {"apply": False}, RULE | {"name": "b", "group": "", "org_unit": "/A/"})
    document = found.model_dump(mode="json")
    assert document["mapping_rules"] == [
        RULE,
        {"name": "b", "platform": "google", "org_unit": "/A"},
    ]
    assert parse(document) == found


def test_rules_change_nothing_that_a_full_read_would_plan() -> None:
    assert blocks_hash(rules(RULE)) == blocks_hash(Settings())


def test_a_profile_has_no_rules() -> None:
    with pytest.raises(ConfigurationError, match=r"profiles\.basic\.mapping_rules"):
        rules(profiles={"basic": {"mapping_rules": [RULE]}})
