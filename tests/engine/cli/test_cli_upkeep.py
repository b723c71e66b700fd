"""The commands with which an organisation is run: health, report, runs, un-sync, preview."""

import contextlib
import json
import os
import pwd
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from calendar_sync.cli.environment import author
from calendar_sync.core.model import Platform
from calendar_sync.state import Database, Store
from calendar_sync.state import tables as t
from tests.engine.cli.test_cli import Command, cli

__all__ = ["cli"]
pytestmark = pytest.mark.xdist_group("cli")
DANA, RUBEN = "dana@example.org", "ruben@example.org"


@contextlib.contextmanager
def opened() -> Iterator[Store]:
    database = Database()
    yield Store(database, "made-up key")
    database.close()


def filled(cli: Command) -> Command:
    cli.map_everybody()
    cli.visit("dana")
    cli.visit("ruben")
    cli("sync")
    return cli


def mirrors(cli: Command, account: str) -> int:
    return len(cli.sandbox.google.mirrors_of(account))


# --- health ---------------------------------------------------------------------


def test_a_healthy_organisation_has_nothing_to_report(cli: Command) -> None:
    filled(cli)
    output = cli("health")
    assert "no problems" in output
    assert "2 ok" in output
    assert "2 events synced in 24 hours" in output
    found = cli.json("report")
    assert (found["attention"], found["items"]) == (0, [])


def test_a_revoked_account_is_named_with_what_to_do(cli: Command) -> None:
    filled(cli)
    cli.sandbox.google.no_licence(DANA)
    output = cli("health", code=1)
    assert DANA in output
    assert "no_calendar_licence" in output
    assert "licence" in output
    [item] = cli.json("report")["items"]
    assert (item["account"], item["code"]) == (DANA, "no_calendar_licence")
    # The older report is still there; the newest is the one that is shown.
    cli.sandbox.google.restore(DANA)
    cli("health")
    assert cli.json("report")["attention"] == 0
    assert cli.json("report", 1)["attention"] == 1


def test_a_report_is_a_page_too(cli: Command, tmp_path: Path) -> None:
    filled(cli)
    cli("health")
    page = tmp_path / "report.html"
    cli("report", "--html", page)
    assert page.read_text().startswith("<!doctype html>")
    assert "no such report" in cli("report", 77, code=1)


def test_sending_without_recipients_says_so(cli: Command) -> None:
    filled(cli)
    assert "no recipients" in cli("health", "--send", code=1)


# --- runs -----------------------------------------------------------------------


def test_runs_that_did_something_are_distinguished_from_the_others(cli: Command) -> None:
    filled(cli)
    cli("sync")
    rows = cli.json("runs")
    assert [row["done"] for row in rows] == [{"create_mirror": 2}]
    assert rows[0]["requests"] > 4
    everything = cli.json("runs", "--all")
    assert len(everything) == 2
    assert everything[0]["done"] == {}
    assert "2 synced events created; 2 users, 0 failed" in cli("runs", "--platform", "google")
    assert cli.json("runs", "--platform", "microsoft") == []


# --- un-sync --------------------------------------------------------------------


def test_an_unsync_asks_first_and_a_no_changes_nothing(cli: Command) -> None:
    filled(cli)
    user = next(u.id for u in cli.sandbox.welkin.users.values() if u.email == DANA)
    assert "delete 1 mirror and" in cli("unsync", "--user", user, code=1)
    assert mirrors(cli, DANA) == 1


def test_an_unsync_of_one_leaves_the_others(cli: Command) -> None:
    filled(cli)
    user = next(u.id for u in cli.sandbox.welkin.users.values() if u.email == DANA)
    [row] = cli.json("unsync", "--user", user, "--yes")
    assert (row["clean"], row["removed"]) == (True, {"delete_mirror": 1})
    assert (mirrors(cli, DANA), mirrors(cli, RUBEN)) == (0, 1)
    cli("sync")
    assert mirrors(cli, DANA) == 0
    assert "1 disabled" in cli("status")
    assert "audit: OK" in cli("audit", "verify")
    assert cli.json("mapping", "history", "--user", user)[0]["after"]["enabled"] is False


def test_an_unsync_of_all_with_one_out_of_reach(cli: Command) -> None:
    filled(cli)
    cli.sandbox.google.revoke(DANA)
    output = cli("unsync", "--all", "--yes", code=3)
    assert "1 of 2 accounts without synced events" in output
    assert mirrors(cli, RUBEN) == 0
    cli.sandbox.google.restore(DANA)
    assert "2 of 2 accounts" in cli("unsync", "--all", "--yes")
    assert mirrors(cli, DANA) == 0


@pytest.mark.parametrize("words", [[], ["--user", "x", "--all"], ["--all", "--json"]])
def test_an_unsync_must_know_whose(cli: Command, words: list[str]) -> None:
    filled(cli)
    cli("unsync", *words, code=1)
    assert mirrors(cli, DANA) == 1


# --- settings -------------------------------------------------------------------


def test_a_preview_shows_what_would_change_and_stores_nothing(cli: Command) -> None:
    filled(cli)
    cli.write("settings.yaml", "encounter_types: {exclude: ['*']}\n")
    output = cli("config", "preview", cli.folder)
    assert "encounter_types.exclude" in output
    assert "affects 2 of 2 users" in output
    found = cli.json("config", "preview", cli.folder)
    [google] = found["platforms"]
    assert google["planned"] == {"delete_mirror: filtered": 2}
    assert mirrors(cli, DANA) == 1
    assert len(cli.json("config", "history")) == 1


def test_the_second_of_two_who_save_is_warned(cli: Command) -> None:
    cli.write("settings.yaml", "time_zone: Europe/Berlin\n")
    cli("config", "apply", cli.folder)
    seen = cli("config", "show")
    cli.write("settings.yaml", seen.replace("interval_seconds: 60", "interval_seconds: 90"))
    assert "revision 2" in cli("config", "apply", cli.folder)
    # The other one has looked at revision 1 as well.
    cli.write("settings.yaml", seen.replace("tentative: false", "tentative: true"))
    output = cli("config", "apply", cli.folder, code=1)
    assert "changed after revision 1" in output
    assert "config diff 1 2" in output
    assert len(cli.json("config", "history")) == 2
    cli.write("settings.yaml", "block_time: {tentative: true}\n")
    assert "changed after" in cli("config", "apply", cli.folder, "--based-on", 1, code=1)
    assert "revision 3" in cli("config", "apply", cli.folder, "--based-on", 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("block_time:\n  tentatve: true\n", ["line 2, column 3", "did you mean tentative"]),
        ("windows:\n  mirrors_past_days: soon\n", ["line 2, column 3", "mirrors_past_days"]),
        ("time_zone: UTC\ntime_zone: UTC\n", ["line 2, column 1", "given twice"]),
        ("mirror_content: {title: {level: full\n", ["settings.yaml", "line 2"]),
        ("revision: soon\n", ["line 1, column 1", "revision must be a number"]),
        (
            "polling:\n  working_hours: {days: [monday]}\n",
            ["line 2, column", "polling.working_hours"],
        ),
    ],
)
def test_a_mistake_in_the_settings_has_line_and_column(
    cli: Command, text: str, words: list[str]
) -> None:
    cli.write("settings.yaml", text)
    for command in ("validate", "apply"):
        output = " ".join(cli("config", command, cli.folder, code=1).split())
        assert [word for word in words if word not in output] == []
    assert cli.json("config", "history") == []


# --- approvals ------------------------------------------------------------------


def test_one_approval_for_many_who_left(cli: Command) -> None:
    filled(cli)
    with opened() as store:
        users = [row.user_id for row in store.config.mapping()]
        now = datetime.now(UTC)
        store.runs.ask_for("leaving", "d1", dict.fromkeys(users, 1), Platform.GOOGLE, now)
    assert {entry["reason"] for entry in cli.json("approvals", "list")} == {"leaving"}
    assert "approved for 2 users" in cli("approvals", "grant", "d1")
    assert json.loads(cli("approvals", "list", "--json")) == []


def test_an_unsync_leaves_no_token_of_the_mailbox(cli: Command) -> None:
    filled(cli)

    def tokens(account: str) -> list[str]:
        with opened() as store, store.database.read() as connection:
            names = connection.scalars(select(t.access_token.c.name)).all()
        return [name for name in names if name.endswith(f":{account}")]

    assert tokens(DANA)
    with opened() as store:
        [user] = [row.user_id for row in store.config.mapping() if row.account == DANA]
    cli("unsync", "--user", user, "--yes")
    assert tokens(DANA) == []
    assert tokens(RUBEN)


# --- who did it -----------------------------------------------------------------


def test_the_author_is_the_account_of_the_process_and_not_what_the_environment_says(
    cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "ceo")
    filled(cli)
    cli("unsync", "--all", "--yes")
    account = pwd.getpwuid(os.getuid()).pw_name
    with opened() as store:
        assert store.config.mapping_history()[0].author == f"cli:{account}"


def test_an_account_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_123)
    assert author() == "cli:uid 4000123"


def test_check_says_who_may_take_back_what_was_synced(
    cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(cli)
    told = cli("check")
    assert "SimpleAuthManager has no rights for single DAGs" in told
    assert "calendar_unsync" in told
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    assert "everyone who can open Airflow is an administrator" in cli("check")
