"""`calendar-sync check`: what works is shown to work with what is stored now, each by itself."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from calendar_sync.config.settings import parse
from calendar_sync.orchestration.hooks import WelkinHook
from calendar_sync.state import Database, Store
from calendar_sync_sandbox.google.delegation import LIST_SCOPES, MAKING_SCOPE, READ_SCOPES
from tests.engine.cli import test_cli
from tests.engine.cli.test_cli import Command

pytestmark = pytest.mark.xdist_group("cli")
cli = test_cli.cli
Environment = pytest.MonkeyPatch
WELKIN, GOOGLE, MICROSOFT = "WELKIN_DEFAULT", "GOOGLE_CALENDAR_DEFAULT", "MICROSOFT_GRAPH_DEFAULT"


def change(environment: Environment, name: str, **values: Any) -> None:
    """Store a connection with these fields changed."""
    variable = f"AIRFLOW_CONN_{name}"
    environment.setenv(variable, json.dumps({**json.loads(os.environ[variable]), **values}))


def another_key(environment: Environment, **values: str) -> None:
    """Store a service account's key with these fields changed."""
    extra = json.loads(os.environ[f"AIRFLOW_CONN_{GOOGLE}"])["extra"]
    keyfile = {**json.loads(extra["keyfile_dict"]), **values}
    change(environment, GOOGLE, extra={**extra, "keyfile_dict": keyfile})


def faults(document: dict[str, Any]) -> dict[str, list[str]]:
    """Codes by system, of those that do not work."""
    return {
        one["system"]: [fault["code"] for fault in one["faults"]]
        for one in document["connections"]
        if one["works"] is False
    }


def both(cli: Command) -> None:
    """Dana is on Google, Ruben on both."""
    cli.sandbox.microsoft.add_account("ruben@example.org")
    cli.map_everybody()


def test_all_that_works_is_green_and_nothing_is_written(cli: Command) -> None:
    both(cli)
    before = len(cli.sandbox.requests)
    assert "all connections work" in cli("check")
    document = cli.json("check")
    assert document["works"] is True
    assert {one["system"]: one["tried"] for one in document["connections"]} == {
        "key": 0, "welkin": 0, "google": 2, "microsoft": 1,
    }  # fmt: skip
    written = [e for e in cli.sandbox.requests.writes(since=before) if e.status < 400]
    assert written == []


def test_an_invalid_google_key_is_red_even_without_mapped_users(
    cli: Command, monkeypatch: Environment
) -> None:
    another_key(monkeypatch, private_key="this is no key")
    document = cli.json("check", "--platform", "google", code=1)
    assert faults(document)["google"] == ["configuration"]
    assert "private_key cannot be read" in cli("check", code=1)


def test_an_unknown_google_key_is_red_even_without_mapped_users(
    cli: Command, monkeypatch: Environment
) -> None:
    another_key(monkeypatch, client_email="other@sandbox-project.example.org")
    assert faults(cli.json("check", "--platform", "google", code=1)) == {
        "google": ["google_invalid_grant"]
    }


def test_no_mailbox_tried_is_not_green(cli: Command) -> None:
    """The tenant has nobody; with Google the key alone is accepted."""
    for platform in ("google", "microsoft"):
        document = cli.json("check", "--platform", platform, code=1)
        assert faults(document) == {platform: ["no_mailbox_tried"]}
    assert len(faults(cli.json("check", code=1))) == 2
    output = cli("check", code=1)
    assert "all connections work" not in output
    assert "access to calendars was not tested" in output


def test_an_unused_system_is_neither_good_nor_red(
    cli: Command,
) -> None:
    cli.map_everybody()
    output = cli("check")
    assert "all connections work" not in output
    assert "microsoft (microsoft_graph_default): not tested" in output
    assert [one["works"] for one in cli.json("check")["connections"]] == [True, True, True, None]


def test_anybody_of_the_tenant_can_show_that_microsoft_works(cli: Command) -> None:
    cli.sandbox.microsoft.add_account("ruben@example.org")
    cli("check", "--platform", "microsoft")


@pytest.mark.parametrize(
    ("name", "values", "system", "code"),
    [
        (WELKIN, {"password": "rotated"}, "welkin", "welkin_unauthorized"),
        (MICROSOFT, {"password": "rotated"}, "microsoft", "microsoft_invalid_client"),
    ],
    ids=["welkin", "microsoft"],
)
def test_a_wrong_secret_is_red_though_a_good_token_is_cached(
    cli: Command,
    monkeypatch: Environment,
    name: str,
    values: dict[str, str],
    system: str,
    code: str,
) -> None:
    both(cli)
    cli("sync")
    cli("check")
    change(monkeypatch, name, **values)
    document = cli.json("check", code=1)
    assert faults(document) == {system: [code]}
    assert "rotated" not in json.dumps(document)
    if system == "welkin":
        passed, message = WelkinHook().test_connection()
        assert not passed
        assert message.startswith("welkin_unauthorized")


def test_a_wrong_key_is_red_though_good_tokens_are_cached(
    cli: Command, monkeypatch: Environment
) -> None:
    both(cli)
    cli("sync")
    cli("check")
    another_key(monkeypatch, private_key="this is no key")
    assert faults(cli.json("check", code=1)) == {"google": ["configuration"]}
    # The self-test does not pass on a token of before either.
    output = cli("selftest", "--platform", "google", code=1)
    assert "private_key" in output


def welkin_tokens(cli: Command) -> int:
    return sum(entry.kind == "welkin.token" for entry in cli.sandbox.requests)


@pytest.mark.parametrize("words", [("mapping", "propose"), ("health",)], ids=" ".join)
def test_a_new_look_asks_for_one_token_and_passes_on_none_of_before(
    cli: Command, monkeypatch: Environment, words: tuple[str, ...]
) -> None:
    both(cli)
    cli("sync")
    before = welkin_tokens(cli)
    cli(*words)
    assert welkin_tokens(cli) == before + 1
    change(monkeypatch, WELKIN, password="rotated")
    assert "welkin_unauthorized" in cli(*words, code=1)


def test_a_broken_connection_hides_no_other_and_all_are_reported(
    cli: Command, monkeypatch: Environment
) -> None:
    both(cli)
    change(monkeypatch, WELKIN, password="rotated")
    change(monkeypatch, GOOGLE, extra={})
    cli.sandbox.microsoft.revoke("ruben@example.org")
    found = faults(cli.json("check", code=1))
    assert set(found) == {"welkin", "google", "microsoft"}
    output = cli("check", code=1)
    assert "the organization, the API client's name or its secret is wrong" in output
    assert "keyfile_dict is missing" in output
    assert "NOT_AUTHORIZED" not in output
    assert "welkin.token" not in output


@pytest.mark.parametrize("broken", [{"extra": {}}, {"extra": "this is no JSON"}])
def test_another_platforms_broken_connection_stops_nothing(
    cli: Command, monkeypatch: Environment, broken: dict[str, Any]
) -> None:
    both(cli)
    change(monkeypatch, GOOGLE, **broken)
    assert cli.json("check", "--platform", "microsoft")["works"] is True
    assert faults(cli.json("check", code=1)) == {"google": ["configuration"]}


def test_what_is_missing_is_named_with_the_rest(cli: Command, monkeypatch: Environment) -> None:
    both(cli)
    monkeypatch.delenv(f"AIRFLOW_CONN_{MICROSOFT}")
    monkeypatch.delenv("AIRFLOW_CONN_CALENDAR_SYNC_HMAC_KEY")
    monkeypatch.delenv(f"AIRFLOW_CONN_{WELKIN}")
    assert set(faults(cli.json("check", code=1))) == {"key", "welkin", "microsoft"}
    output = cli("check", "--platform", "microsoft", code=1)
    assert "no connection for microsoft" in output
    assert "welkin_default" in output


def test_a_platform_without_users_needs_no_connection(
    cli: Command, monkeypatch: Environment
) -> None:
    cli.map_everybody()
    monkeypatch.delenv(f"AIRFLOW_CONN_{MICROSOFT}")
    assert "microsoft" not in cli("check")
    monkeypatch.delenv(f"AIRFLOW_CONN_{GOOGLE}")
    assert "google_calendar_default" in cli("check", code=1)


def test_a_server_that_is_not_there_is_reported_once_in_words(
    cli: Command, monkeypatch: Environment
) -> None:
    both(cli)
    change(monkeypatch, WELKIN, host="https://127.0.0.1:9")
    assert "the server cannot be reached" in cli("check", code=1)


def test_a_named_mailbox_is_looked_at_where_it_belongs(cli: Command) -> None:
    both(cli)
    cli.sandbox.google.revoke("dana@example.org")
    document = cli.json("check", "--account", "dana@example.org", code=1)
    assert faults(document) == {"google": ["google_account_refused"]}
    [fault] = [f for one in document["connections"] for f in one["faults"]]
    assert fault["account"] == "dana@example.org"
    assert len(fault["advice"].split()) > 5
    cli("check", "--account", "ruben@example.org")


PILOT = {platform: {"mirrors": "own"} for platform in ("google", "microsoft")}


def pilots(cli: Command, *names: str) -> None:
    """These have a profile by which the sync makes them calendars for mirrors."""
    both(cli)
    database = Database()
    store, now = Store(database, ""), datetime.now(UTC)
    wanted = parse({"profiles": {"pilot": {"calendars": PILOT}}})
    store.config.save_settings(wanted, "tests", now)
    rows = [
        replace(row, profile="pilot" if row.account.startswith(names) else "")
        for row in store.config.mapping()
    ]
    store.config.edit_mapping(lambda _: rows, "tests", now)
    database.close()


def test_rights_for_calendars_of_their_own_are_tried_for_whoever_is_to_have_one(
    cli: Command,
) -> None:
    delegation = cli.sandbox.google.delegation
    delegation.authorised_scopes -= {MAKING_SCOPE, *LIST_SCOPES} - READ_SCOPES
    pilots(cli)
    assert cli.json("check")["works"] is True
    pilots(cli, "ruben")
    before = len(cli.sandbox.requests)
    document = cli.json("check", code=1)
    assert faults(document) == {
        "google": ["google_calendar_list_denied", "google_calendar_making_denied"]
    }
    assert "lacks the scope calendar.app.created" in cli("check", code=1)
    delegation.authorised_scopes |= {MAKING_SCOPE, *LIST_SCOPES}
    assert cli.json("check")["works"] is True
    asked = cli.sandbox.requests.since(before)
    assert [e.kind for e in asked if e.kind == "microsoft.calendars.list"]
    assert [e for e in asked if e.is_write and e.status < 400] == []
    assert cli.sandbox.google.calendars_of("ruben@example.org") == {}


def test_a_mailbox_that_cannot_be_opened_is_named_once(cli: Command) -> None:
    pilots(cli, "dana", "ruben")
    cli.sandbox.google.revoke("dana@example.org")
    found = {one["system"]: one["faults"] for one in cli.json("check", code=1)["connections"]}
    assert [fault["account"] for fault in found["google"]] == ["dana@example.org"]
