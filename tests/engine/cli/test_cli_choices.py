"""`calendar-sync choices`: what a person may choose, chosen for them."""

import pytest

from tests.engine.cli import test_cli
from tests.engine.cli.test_cli import Command

pytestmark = pytest.mark.xdist_group("cli")
cli = test_cli.cli
SETTINGS = """
people_may_choose: [level, reminder]
mirror_content: {title: {level: type}}
limits: {welkin_requests_per_second: 100}
"""


@pytest.fixture
def offered(cli: Command) -> Command:
    cli.map_everybody()
    cli.write("settings.yaml", SETTINGS)
    cli("config", "apply", cli.folder)
    cli("sync")
    return cli


def test_what_is_offered_is_shown(offered: Command) -> None:
    shown = offered("choices", "dana@example.org")
    assert "busy" in shown
    assert "usual" in shown
    assert "colour" not in shown
    found = offered.json("choices", "dana@example.org")
    assert found["offered"]["level"] == ["busy"]
    assert found["offered"]["colour"] == []
    assert set(found["chosen"].values()) == {""}


def test_a_choice_is_stored_applied_and_on_record(offered: Command) -> None:
    offered.visit("dana")
    offered("sync")
    [before] = offered.sandbox.google.mirrors_of("dana@example.org")
    found = offered.json("choices", "Dana@example.org", "--level", "busy", "--reminder", "10")
    assert found["chosen"] == {"level": "busy", "reminder": "10", "colour": "", "category": ""}
    offered("sync")
    [after] = offered.sandbox.google.mirrors_of("dana@example.org")
    assert after["id"] == before["id"]
    assert after["summary"] != before["summary"]
    # One is taken back, the other stays.
    found = offered.json("choices", "dana@example.org", "--level", "usual")
    assert (found["chosen"]["level"], found["chosen"]["reminder"]) == ("", "10")
    offered("sync")
    [again] = offered.sandbox.google.mirrors_of("dana@example.org")
    assert again["summary"] == before["summary"]
    offered("audit", "verify")


def test_a_choice_that_is_no_longer_offered_keeps_nobody_from_another(offered: Command) -> None:
    offered("choices", "dana@example.org", "--level", "busy")
    offered.write("settings.yaml", SETTINGS.replace("[level, reminder]", "[reminder]"))
    offered("config", "apply", offered.folder)
    found = offered.json("choices", "dana@example.org", "--reminder", "10")
    assert (found["chosen"]["level"], found["chosen"]["reminder"]) == ("busy", "10")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--level", "full"), "is not offered"),
        (("--colour", "grape"), "is not offered"),
        (("--reminder", "x" * 300), "is not offered"),
    ],
)
def test_what_is_not_offered_is_refused(
    offered: Command, words: tuple[str, str], said: str
) -> None:
    assert said in offered("choices", "dana@example.org", *words, code=1)
    assert set(offered.json("choices", "dana@example.org")["chosen"].values()) == {""}


def test_who_is_unknown_is_refused_and_nothing_may_be_nothing(cli: Command) -> None:
    cli.map_everybody()
    assert "is not mapped" in cli("choices", "no.one@example.org", code=1)
    assert "people_may_choose" in cli("choices", "dana@example.org")
