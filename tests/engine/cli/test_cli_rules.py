"""`calendar-sync mapping rules`, and the rights that rules need in `calendar-sync check`."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from calendar_sync.cli.output import console
from tests.engine.cli import test_cli, test_cli_mapping
from tests.engine.cli.test_cli import Command
from tests.engine.cli.test_cli_mapping import ids, proposals, rows

pytestmark = pytest.mark.xdist_group("cli")
cli, boss = test_cli.cli, test_cli_mapping.boss
SETTINGS = """
profiles:
  surgeons: {mirror_moved: report}
mapping_rules:
- {name: surgeons, platform: google, group: surgeons@example.org, profile: surgeons}
- {name: night, platform: microsoft, group: night@example.org, apply: true}
"""


@pytest.fixture(autouse=True)
def wide() -> Iterator[None]:
    """Tables break no line."""
    before, console.width = console.width, 250
    yield
    console.width = before


@pytest.fixture
def ruled(boss: Command) -> Command:
    """Dana is a surgeon at Google, Mira works at night with Microsoft; nobody is mapped."""
    boss.sandbox.welkin.add_user("mira@example.org", "Mira")
    boss.sandbox.microsoft.add_account("mira@example.org")
    boss.sandbox.google.groups.add("surgeons@example.org", "dana@example.org")
    boss.sandbox.microsoft.groups.add("night@example.org", "mira@example.org")
    boss.write("settings.yaml", SETTINGS)
    boss("config", "apply", boss.folder)
    return boss


def test_rules_are_shown_evaluated_and_taken_over(ruled: Command) -> None:
    output = ruled("mapping", "rules", "--dry-run", code=1)
    assert "1 added; 1 proposal; nothing was stored" in output
    assert rows(ruled) == []
    output = ruled("mapping", "rules", code=1)
    assert "[rule_proposals]" in output
    assert [line.split(",")[2:5] for line in rows(ruled)] == [
        ["microsoft", "mira@example.org", "true"]
    ]
    document = ruled.json("mapping", "rules", "--apply")
    assert document["counts"] == {"add": 1}
    [done] = document["done"]
    assert (done["account"], done["profile"], done["rule"]) == (
        "dana@example.org", "surgeons", "surgeons",
    )  # fmt: skip
    assert "no row changed" in ruled("mapping", "rules")
    assert {entry["author"] for entry in ruled.json("mapping", "history")} != {"mapping rules"}


def test_two_modes_at_once_are_refused(ruled: Command) -> None:
    assert "only one of" in ruled("mapping", "rules", "--dry-run", "--apply", code=1)
    assert rows(ruled) == []


def test_without_rules_there_is_nothing_to_evaluate(cli: Command) -> None:
    assert "no mapping rules" in cli("mapping", "rules")


def test_proposals_have_the_profile_of_the_rule(ruled: Command) -> None:
    assert proposals(ruled) == {
        ("dana", "google"): "dana@example.org",
        ("mira", "microsoft"): "mira@example.org",
    }
    file = ruled.folder / "proposed.csv"
    output = ruled("mapping", "propose", "--out", file)
    assert "surgeons" in output
    assert f"{ids(ruled)['dana']},dana@example.org,google,dana@example.org,true,,surgeons" in (
        file.read_text()
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("profile: surgeons", "profile: nobody"),
        ("group: surgeons@example.org, ", ""),
    ],
    ids=["unknown profile", "no condition"],
)  # fmt: skip
def test_a_wrong_rule_is_refused_with_its_line(ruled: Command, change: str, words: str) -> None:
    ruled.write("settings.yaml", SETTINGS.replace(change, words))
    output = ruled("config", "apply", ruled.folder, code=1)
    assert "line 5" in output
    assert "rule surgeons" in output


def no_scope(cli: Command) -> None:
    delegation = cli.sandbox.google.delegation
    delegation.authorised_scopes = frozenset(
        scope for scope in delegation.authorised_scopes if "group" not in scope
    )


@pytest.mark.parametrize(
    ("spoil", "system", "code"),
    [
        (no_scope, "google", "google_groups_denied"),
        (
            lambda cli: cli.sandbox.microsoft.directory.roles.discard("GroupMember.Read.All"),
            "microsoft",
            "microsoft_groups_denied",
        ),
        (
            lambda cli: cli.sandbox.google.groups.delete("surgeons@example.org"),
            "google",
            "group_unknown",
        ),
    ],
    ids=["scope", "permission", "unknown group"],
)
def test_check_says_whether_the_rights_are_there_that_rules_need(
    ruled: Command, spoil: Callable[[Command], Any], system: str, code: str
) -> None:
    ruled("mapping", "rules", "--apply")
    assert "google mapping rules" in ruled("check")
    spoil(ruled)
    output = ruled("check", code=1)
    assert f"{system} mapping rules" in output
    assert f"[{code}]" in output
    failed = [one for one in ruled.json("check", code=1)["connections"] if not one["works"]]
    assert [one["system"] for one in failed] == [f"{system} mapping rules"]
