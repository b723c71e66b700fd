"""`calendar-sync pause` and `resume`."""

import pytest

from calendar_sync.insight.explain import words
from tests.engine.cli import test_cli
from tests.engine.cli.test_cli import Command

pytestmark = pytest.mark.xdist_group("cli")
cli = test_cli.cli


def test_a_user_is_paused_and_resumed_by_address(cli: Command) -> None:
    cli.map_everybody()
    cli("sync")
    cli.visit("dana")
    said = cli("pause", "Dana@example.org", "--days", "3")
    assert "is paused until" in said
    assert "paused until" in cli("sync", "--user", "dana@example.org")
    cli("sync")
    assert cli.sandbox.google.mirrors_of("dana@example.org") == []
    shown = cli("status")
    assert "1 paused" in shown
    assert "paused users" in shown
    assert "dana@example.org" in shown
    [entry] = cli.json("status")["platforms"]
    [paused] = entry["paused"]
    assert paused["account"] == "dana@example.org"
    assert paused["by"].startswith("cli:")
    [part] = cli.json("explain", "--user", "dana@example.org")["parts"]
    assert part["verdict"] == "paused"
    assert words.MIRROR["paused"] in part["text"]
    assert "synced again" in cli("resume", "dana@example.org")
    cli("sync")
    assert len(cli.sandbox.google.mirrors_of("dana@example.org")) == 1
    cli("audit", "verify")


def test_json_says_until_when(cli: Command) -> None:
    cli.map_everybody()
    cli("sync")
    found = cli.json("pause", "dana@example.org", "--days", "1")
    assert found["paused_until"]
    assert cli.json("resume", "dana@example.org") == {
        "user_id": found["user_id"], "paused_until": None,
    }  # fmt: skip


@pytest.mark.parametrize("days", ["0", "15", "-1", "1.5", "soon"])
def test_other_lengths_are_refused_by_name(cli: Command, days: str) -> None:
    assert "--days" in cli("pause", "dana@example.org", "--days", days, code=2)
    assert "--days" in cli("pause", "dana@example.org", code=2)


def test_who_is_unknown_unmapped_or_not_paused_is_refused_by_name(cli: Command) -> None:
    cli.map_everybody()
    said = cli("pause", "no.one@example.org", "--days", "3", code=1)
    assert "no.one@example.org is not mapped" in said
    assert "no-such-id is not mapped" in cli("pause", "no-such-id", "--days", "3", code=1)
    assert "is not paused" in cli("resume", "dana@example.org", code=1)
    cli("mapping", "disable", "--user", "dana@example.org")
    assert "disabled in the mapping" in cli("pause", "dana@example.org", "--days", "3", code=1)
