"""The command `calendar-sync`, as a person uses it: over HTTPS, with connections of Airflow."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import update
from typer.testing import CliRunner

from calendar_sync.cli.app import app
from calendar_sync.cli.environment import load_secrets
from calendar_sync.config.settings import parse
from calendar_sync.insight.attention import decisions
from calendar_sync.state import Database, Store
from calendar_sync.state import tables as t
from calendar_sync_sandbox import Sandbox, running
from tests.harness import fresh

HOUR = timedelta(hours=1)
pytestmark = pytest.mark.xdist_group("cli")


class Command:
    """Runs `calendar-sync` in this process, against a sandbox of its own."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        self.runner = CliRunner()

    def __call__(self, *words: object, code: int = 0) -> str:
        result = self.runner.invoke(app, [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.output

    def json(self, *words: object, code: int = 0) -> Any:
        return json.loads(self(*words, "--json", code=code))

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def map_everybody(self) -> None:
        rows = ["welkin_user_id,platform,account"]
        for row in self.sandbox.users():
            for platform in ("google", "microsoft"):
                if account := row[f"{platform}_account"]:
                    rows.append(f"{row['welkin_user_id']},{platform},{account}")
        self("mapping", "import", self.write("everybody.csv", "\n".join(rows) + "\n"))
        # No waiting for one's turn.
        self.sandbox.welkin.rate_limit = None
        database = Database()
        quick = parse({"limits": {"welkin_requests_per_second": 100}})
        Store(database, "").config.save_settings(quick, "tests", datetime.now(UTC))
        database.close()

    def visit(self, name: str = "dana", hours: int = 24) -> Any:
        [user] = [u for u in self.sandbox.welkin.users.values() if u.email.startswith(name)]
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + hours * HOUR
        return self.sandbox.welkin.book_encounter(user.id, start, start + HOUR)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    sandbox = Sandbox()
    for name in ("dana", "ruben"):
        sandbox.welkin.add_user(f"{name}@example.org", name.title())
        sandbox.google.add_account(f"{name}@example.org")
    with running(sandbox, tmp_path / "served"):
        connections = json.loads((tmp_path / "served" / "connections.json").read_text())
        for name, values in connections.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(values))
        key = json.dumps({"conn_type": "generic", "password": "made-up key"})
        monkeypatch.setenv("AIRFLOW_CONN_CALENDAR_SYNC_HMAC_KEY", key)
        monkeypatch.setenv("CALENDAR_SYNC_DATABASE_URL", f"sqlite:///{tmp_path}/state.db")
        monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
        # Airflow takes hold of the standard streams when it is first used: not of a runner's.
        load_secrets()
        fresh(f"sqlite:///{tmp_path}/state.db").close()
        yield Command(sandbox, tmp_path)
    assert sandbox.requests.mail_risk == []


def test_a_command_says_when_the_database_is_missing(
    cli: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CALENDAR_SYNC_DATABASE_URL", f"sqlite:///{tmp_path}/other.db")
    assert "calendar-sync db upgrade" in cli("status", code=1)
    assert "revision" in cli("db", "upgrade")
    assert "no users are mapped" in cli("status")


def test_a_command_says_which_connection_is_missing(
    cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.map_everybody()
    monkeypatch.delenv("AIRFLOW_CONN_WELKIN_DEFAULT")
    output = cli("sync", code=1)
    assert "welkin_default" in output
    assert "Traceback" not in output


def test_a_platform_without_a_connection_is_named(
    cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_MICROSOFT_GRAPH_DEFAULT")
    output = cli("sync", "--platform", "microsoft", code=1)
    assert "no connection for microsoft" in output
    assert "unexpected" not in output


def test_sync_brings_both_sides_in_step_and_says_so(cli: Command) -> None:
    cli.map_everybody()
    cli.visit("dana")
    cli.visit("ruben")
    output = cli("sync")
    assert "dana@example.org" in output
    assert "1 created" in output
    assert len(cli.sandbox.google.mirrors_of("dana@example.org")) == 1
    before = len(cli.sandbox.requests)
    document = cli.json("sync", "--full")
    assert document["failed"] == []
    assert document["faults"] == {}
    assert {user["status"] for user in document["users"]} == {"ok"}
    assert cli.sandbox.requests.writes(since=before) == []


def test_sync_ends_with_3_when_users_failed_and_names_them(cli: Command) -> None:
    cli.map_everybody()
    cli.visit("dana")
    cli.visit("ruben")
    cli.sandbox.google.revoke("ruben@example.org")
    document = cli.json("sync", code=3)
    [ruben] = [u.id for u in cli.sandbox.welkin.users.values() if u.email.startswith("ruben")]
    assert document["failed"] == [ruben]
    assert document["done"] == {"create_mirror": 1}
    [row] = [user for user in document["users"] if user["user_id"] == ruben]
    assert row["code"] == "google_account_refused"
    found = cli.json("status")
    [platform] = found["platforms"]
    assert platform["failing"][0]["account"] == "ruben@example.org"


def test_sync_of_one_user_leaves_the_others(cli: Command) -> None:
    cli.map_everybody()
    cli.visit("dana")
    cli.visit("ruben")
    [ruben] = [u.id for u in cli.sandbox.welkin.users.values() if u.email.startswith("ruben")]
    cli("sync", "--user", ruben)
    assert len(cli.sandbox.google.mirrors_of("ruben@example.org")) == 1
    assert cli.sandbox.google.mirrors_of("dana@example.org") == []
    assert "not mapped" in cli("sync", "--user", "nobody", code=1)


def test_sync_takes_all_mapped_platforms_or_the_one_that_is_named(cli: Command) -> None:
    """Dana is on Google, Ruben on both, Mira on Microsoft."""
    cli.sandbox.welkin.add_user("mira@example.org", "Mira")
    for name in ("ruben", "mira"):
        cli.sandbox.microsoft.add_account(f"{name}@example.org")
    cli.map_everybody()
    ids = {u.email.split("@")[0]: u.id for u in cli.sandbox.welkin.users.values()}
    for name in ids:
        cli.visit(name)

    def mirrors(name: str) -> tuple[int, int]:
        worlds = (cli.sandbox.google, cli.sandbox.microsoft)
        google, microsoft = (
            len(world.mirrors(account))
            if (account := f"{name}@example.org") in world.accounts
            else 0
            for world in worlds
        )
        return google, microsoft

    cli("sync", "--platform", "microsoft", "--user", ids["mira"])
    assert [mirrors(name) for name in ids] == [(0, 0), (0, 0), (0, 1)]
    cli("sync", "--user", ids["ruben"])
    assert [mirrors(name) for name in ids] == [(0, 0), (1, 1), (0, 1)]
    assert "not mapped on google" in cli(
        "sync", "--platform", "google", "--user", ids["mira"], code=1
    )
    cli.sandbox.microsoft.revoke("ruben@example.org")
    cli.visit("ruben", hours=48)
    document = cli.json("sync", code=3)
    assert [mirrors(name) for name in ids] == [(1, 0), (2, 1), (0, 1)]
    assert document["failed"] == [ids["ruben"]]
    failed = [row["platform"] for row in document["users"] if row["status"] == "failed"]
    assert failed == ["microsoft"]


def test_sync_where_only_microsoft_is_configured(
    cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_GOOGLE_CALENDAR_DEFAULT")
    assert "no users are mapped" in cli("sync", code=1)
    cli.map_everybody()
    assert "no connection for google" in cli("sync", code=1)
    for name in ("dana", "ruben"):
        cli.sandbox.microsoft.add_account(f"{name}@example.org")
    rows = [f"{u.id},microsoft,{u.email}\n" for u in cli.sandbox.welkin.users.values()]
    file = cli.write("m.csv", "welkin_user_id,platform,account\n" + "".join(rows))
    cli("mapping", "import", file, "--remove", "2")
    cli.visit("dana")
    output = cli("sync")
    assert "1 created" in output
    assert "google" not in output
    assert len(cli.sandbox.microsoft.mirrors("dana@example.org")) == 1
    [platform] = cli.json("status")["platforms"]
    assert (platform["platform"], platform["mirrors"]) == ("microsoft", 1)


def test_a_dry_run_writes_nothing_and_says_what_it_would_do(cli: Command) -> None:
    cli.map_everybody()
    cli.visit("dana")
    output = cli("sync", "--dry-run")
    assert "create_mirror: wanted" in output
    assert "nothing was written" in output
    document = cli.json("sync", "--dry-run")
    [dana] = [user for user in document["users"] if user["planned"]]
    assert dana["planned"] == {"create_mirror: wanted": 1}
    assert cli.sandbox.requests.writes() == []
    assert not any(canary in output + json.dumps(document) for canary in cli.sandbox.canaries)
    cli("sync")
    assert len(cli.sandbox.google.mirrors_of("dana@example.org")) == 1


def test_text_is_shown_on_a_terminal_only(cli: Command) -> None:
    cli.map_everybody()
    for words in (
        ["--show-text"],
        ["--dry-run", "--show-text"],
        ["--dry-run", "--show-text", "--json"],
    ):
        assert "--show-text" in cli("sync", *words, code=1)


def test_who_reads_the_text_of_mirrors_is_on_record(cli: Command) -> None:
    cli.map_everybody()
    visit = cli.visit()
    program = Path(sys.executable).with_name("calendar-sync")
    environment = dict(os.environ) | {"AIRFLOW_HOME": str(cli.folder / "home"), "COLUMNS": "200"}
    ours, theirs = pty.openpty()
    words = [str(program), "sync", "--dry-run", "--show-text"]
    with subprocess.Popen(words, stdout=theirs, stderr=subprocess.DEVNULL, env=environment) as run:
        os.close(theirs)
        output = b""
        # The other end's closing is an error here, not an end.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 4096):
                output += part
    os.close(ours)
    assert run.returncode == 0
    assert "Busy" in output.decode()
    database = Database()
    with database.read() as connection:
        [look] = connection.execute(t.operation.select()).all()
    database.close()
    assert (look.step, look.source_id, look.level) == ("show_text", visit.event_id, "busy/busy")
    assert look.reason.startswith("cli:")
    assert "audit: OK" in cli("audit", "verify")
    assert cli.sandbox.requests.writes() == []


# Colons around a word are no picture, wherever it is printed.
SETTINGS = "time_zone: US/Eastern\nencounter_types:\n  include: ['etmp-*', 'Locked :lock:']\n"


def test_config_is_validated_applied_and_shown(cli: Command) -> None:
    folder = cli.folder / "config"
    folder.mkdir()
    (folder / "settings.yaml").write_text(SETTINGS)
    assert "valid" in cli("config", "validate", folder)
    assert cli.json("config", "apply", folder) == {"settings_revision": 1, "settings_changed": True}
    assert "unchanged" in cli("config", "apply", folder)
    shown = cli.json("config", "show")
    assert shown["revision"] == 1
    assert shown["settings"]["time_zone"] == "US/Eastern"
    assert shown["settings"]["polling"]["interval_seconds"] == 60
    text = cli("config", "show").partition("\n")[2]
    assert "- Locked :lock:" in text.replace("'", "")
    (folder / "settings.yaml").write_text(text)
    assert "unchanged" in cli("config", "apply", folder)


@pytest.mark.parametrize(
    "notify", ["to: [a@b.c], arguments: {files: [/etc/passwd]}", "notifier: subprocess.Popen"]
)
def test_settings_that_name_a_file_or_a_command_are_not_applied(cli: Command, notify: str) -> None:
    cli.write("settings.yaml", f"notify: {{{notify}}}\n")
    for command in ("validate", "apply"):
        said = "".join(cli("config", command, cli.folder, code=1).split())
        assert "line1,column" in said
        assert "isnotallowed" in said or "cannotcomefromthesettings" in said


@pytest.mark.parametrize("name", ["config"])
def test_the_worked_examples_of_the_repository_are_valid(cli: Command, name: str) -> None:
    folder = Path(__file__).resolve().parents[3] / name
    assert "valid" in cli("config", "validate", folder)
    result = cli.json("config", "apply", folder)
    assert result["users_added"] > 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time_zone: [", ["settings.yaml", "line", "column"]),
        ("timezone: UTC", ["timezone", "time_zone"]),
        ("- a\n- b", ["mapping"]),
        ("polling: {interval_seconds: 1}", ["polling.interval_seconds"]),
    ],
)
def test_wrong_settings_are_named_and_change_nothing(
    cli: Command, text: str, words: list[str]
) -> None:
    folder = cli.folder / "config"
    folder.mkdir()
    (folder / "settings.yaml").write_text(text)
    for command in ("validate", "apply"):
        output = cli("config", command, folder, code=1)
        assert all(word in output for word in words)
        assert "Traceback" not in output
    assert cli.json("config", "show")["revision"] == 0


def test_old_names_of_settings_are_taken_with_a_warning(cli: Command) -> None:
    cli.write("settings.yaml", "poll: {interval_seconds: 90}\n")
    for command in ("validate", "apply"):
        output = cli("config", command, cli.folder)
        assert "warning: " in output
        assert "settings.yaml: poll is now called polling" in output
    assert cli.json("config", "show")["settings"]["polling"]["interval_seconds"] == 90
    cli.write("settings.yaml", "poll: {interval_seconds: 90}\npolling: {interval_seconds: 90}\n")
    assert "give only polling, not both" in cli("config", "apply", cli.folder, code=1)


def test_settings_have_a_history_that_can_be_compared_and_gone_back_to(cli: Command) -> None:
    assert "no settings were applied" in cli("config", "history")
    for text in ("block_time: {tentative: true}", "deletion_guard: {max_deletions: 20}"):
        cli.write("settings.yaml", text)
        cli("config", "apply", cli.folder)
    newest, first = cli.json("config", "history")
    assert first["changed"] == ["block_time.tentative"]
    assert newest["changed"] == ["block_time.tentative", "deletion_guard.max_deletions"]
    assert newest["author"].startswith("cli")
    assert [
        row["revision"] for row in cli.json("config", "history", "--newest", "1", "--json")
    ] == [newest["revision"]]
    shown = cli("config", "diff", first["revision"])
    assert "block_time.tentative: true -> false" in shown
    assert "deletion_guard.max_deletions: 10 -> 20" in shown
    assert "deletion_guard.max_deletions: 10 -> 20" in cli(
        "config", "diff", "0", newest["revision"]
    )
    cli("config", "rollback", first["revision"])
    assert cli.json("config", "show")["settings"]["block_time"]["tentative"] is True
    assert len(cli.json("config", "history")) == 3
    assert "unchanged" in cli("config", "rollback", first["revision"])
    assert "are the same" in cli("config", "diff", first["revision"])
    assert "no revision 99" in cli("config", "rollback", "99", code=1)


def test_a_folder_is_validated_without_knowing_the_staff(cli: Command) -> None:
    folder = cli.folder / "config"
    folder.mkdir()
    (folder / "settings.yaml").write_text(SETTINGS)
    row = ",dana@example.org,google,dana@example.org,true,\n"
    header = "welkin_user_id,email,platform,account,enabled,direction\n"
    (folder / "user_mapping.csv").write_text(header + row)
    assert "valid" in cli("config", "validate", folder)
    (folder / "user_mapping.csv").write_text(
        header + row + ",x@example.org,yahoo,x@example.org,,\n"
    )
    assert "line 3, platform" in cli("config", "validate", folder, code=1)


def test_a_mapping_by_address_works_on_a_fresh_installation(cli: Command) -> None:
    # Nobody has asked Welkin for its staff yet.
    file = cli.write("m.csv", "email,platform,account\ndana@example.org,google,dana@example.org\n")
    output = cli("mapping", "import", file)
    assert "1 added" in output


def test_a_mapping_with_mistakes_changes_nothing_and_names_line_and_column(cli: Command) -> None:
    cli.map_everybody()
    before = cli("mapping", "export")
    file = cli.write(
        "bad.csv", "welkin_user_id,platform,account\nu1,google,dana@example.org\nu2,yahoo,x\n"
    )
    output = cli("mapping", "import", file, code=1).replace("\n", " ")
    assert "line 3, platform" in output
    assert "line 3, account" in output
    assert cli("mapping", "export") == before


def test_a_mapping_exported_and_imported_is_the_same(cli: Command) -> None:
    cli.map_everybody()
    cli("sync")
    file = cli.folder / "out.csv"
    cli("mapping", "export", file)
    assert file.read_text() == cli("mapping", "export")
    assert "dana@example.org" in file.read_text()
    result = cli.json("mapping", "import", file)
    assert result == {
        "mapping_revision": 1, "users_added": 0, "users_changed": 0, "users_removed": 0,
    }  # fmt: skip


def test_status_tells_how_it_stands(cli: Command) -> None:
    cli.map_everybody()
    cli.visit()
    assert "2 not synced yet" in cli("status")
    cli("sync")
    output = cli("status")
    assert "2 ok" in output
    assert "1 mirror, 0 blocks" in output
    [platform] = cli.json("status")["platforms"]
    assert platform["mirrors"] == 1
    assert platform["freshness_seconds"] == 0
    assert platform["last_run"]


def test_a_damaged_record_is_found(cli: Command) -> None:
    cli.map_everybody()
    cli.visit()
    cli("sync")
    assert "audit: OK" in cli("audit", "verify")
    database = Database()
    with database.write() as connection:
        connection.execute(update(t.operation).values(outcome="other"))
    database.close()
    assert "does not fit" in cli("audit", "verify", code=1)
    assert cli.json("audit", "verify", code=1)["audit"]


def test_a_seal_that_was_noted_is_looked_for(cli: Command) -> None:
    cli.map_everybody()
    cli.visit()
    cli("sync")
    seal = cli.json("audit", "verify")["seal"]
    assert f"newest seal {seal}" in cli("audit", "verify", "--seal", seal)
    assert "audit: OK" in cli("audit", "verify", seal)
    database = Database()
    with database.write() as connection:
        for table in (t.operation, t.audit_seal, t.sync_run):
            connection.execute(table.delete())
    assert "the audit log is empty" in cli("audit", "verify", code=1)
    told = cli("audit", "verify", "--seal", seal, code=1)
    assert "the expected seal is not part of the chain" in told
    assert "40 hexadecimal digits" in cli("audit", "verify", "--seal", "x", code=1)
    assert "audit verify" in cli("status", "--seal", seal, code=1)
    with database.write() as connection:
        connection.exec_driver_sql("DROP TABLE audit_seal")
    database.close()
    assert "table audit_seal is missing" in cli("audit", "verify", code=1)


def test_the_first_names_of_commands_work_and_tell_the_new_ones(cli: Command) -> None:
    cli.map_everybody()
    cli.visit()
    cli("sync")

    def both(old: tuple[str, ...], new: tuple[str, ...], code: int = 0) -> None:
        """The same answer; the new name on standard error alone."""
        results = [cli.runner.invoke(app, [*words, "--json"]) for words in (old, new)]
        assert [result.exit_code for result in results] == [code, code]
        before, after = (json.loads(result.stdout) for result in results)
        assert before.items() >= after.items() if isinstance(before, dict) else before == after
        assert "is now called" in results[0].stderr
        assert "is now called" not in results[1].stderr

    both(("approve",), ("approvals", "list"))
    both(("approve", "d1"), ("approvals", "grant", "d1"), code=1)
    both(("status", "--verify-audit"), ("audit", "verify"))
    account = ("--account", "dana@example.org")
    both(("mapping", "exposure", *account), ("audit", "exposure", *account))
    assert "`calendar-sync selftest`" in cli("test", "--user", "nobody", code=1)
    helped = cli("--help") + cli("mapping", "--help") + cli("status", "--help")
    assert not re.search(r"^│ (approve|test|exposure|--verify-audit)\s", helped, re.M)


def test_approving_an_unknown_id_fails(cli: Command) -> None:
    assert "no approval is needed for 0123" in cli("approvals", "grant", "0123456789abcdef", code=1)
    assert cli.json("approvals", "list") == []
    cli("approvals", "grant", "--all", code=1)


def test_what_waits_is_listed_and_approved_for_many_at_once(cli: Command) -> None:
    cli.map_everybody()
    for name in ("dana", "ruben"):
        for number in range(12):
            cli.visit(name, hours=24 + number)
    cli("sync")
    for event in list(cli.sandbox.welkin.events):
        cli.sandbox.welkin.delete_event(event)
    cli("sync", "--full")
    waiting = cli.json("approvals", "list")
    assert [(entry["reason"], entry["count"]) for entry in waiting] == [("brake", 12)] * 2
    listed = cli("approvals", "list")
    assert all(entry["digest"] in listed for entry in waiting)
    assert "12 deletions" in listed
    first, second = (entry["digest"] for entry in waiting)
    told = cli("approvals", "grant", first)
    assert "approved for 1 user, for 24 hours" in told
    assert "stays open" in told
    assert "is ignored" in told
    answer = cli.json("approvals", "grant", second)
    assert answer == {"approved": {second: 1}, "closed_in_airflow": False}
    assert cli.json("approvals", "list") == []
    database = Database()
    recorded = decisions(Store(database, ""))
    database.close()
    assert {one.source_id for one in recorded} == {entry["digest"] for entry in waiting}
    assert {one.author.partition(":")[0] for one in recorded} == {"cli"}
    cli("audit", "verify")
    cli("sync")
    assert cli.sandbox.google.mirrors_of("dana@example.org") == []


def test_a_probe_says_whether_encounters_move(cli: Command) -> None:
    cli.map_everybody()
    visit = cli.visit()
    before = cli.sandbox.welkin.events[visit.event_id].start
    assert "can be rescheduled" in cli("probe", "--appointment", visit.event_id)
    assert cli.sandbox.welkin.events[visit.event_id].start == before
    cli.sandbox.welkin.encounter_moves = False
    assert "cannot be rescheduled" in cli("probe", "--appointment", visit.event_id)
    assert "not the event" in cli("probe", "--appointment", "nothing", code=1)


def test_exposure_tells_what_a_mailbox_showed_and_when(cli: Command) -> None:
    cli.map_everybody()
    kept, gone = cli.visit("dana", 24), cli.visit("dana", 48)
    cli.visit("ruben")
    cli("sync")
    removed = gone.event_id
    cli.sandbox.welkin.delete_event(removed)
    cli("sync", "--full")
    found = cli.json("audit", "exposure", "--account", "Dana@Example.org")
    assert {(e["appointment_id"], e["state"], e["until"] is None) for e in found} == {
        (kept.event_id, "live", True),
        (removed, "deleted", False),
    }
    assert {tuple(entry["levels"]) for entry in found} == {("busy/busy",)}
    nobody = cli.write("nobody.csv", "welkin_user_id,platform,account\n")
    cli("mapping", "import", nobody, "--remove", "2")
    cli("sync")
    found = cli.json("audit", "exposure", "--account", "dana@example.org")
    assert all(entry["until"] >= entry["since"] for entry in found)
    output = cli("audit", "exposure", "--account", "dana@example.org")
    assert "2 appointments" in output
    assert cli.json("audit", "exposure", "--account", "nobody@example.org") == []


def test_the_whole_way_is_tested_and_nothing_stays(cli: Command) -> None:
    cli.map_everybody()
    cli.visit()
    cli("sync")
    output = cli("selftest")
    assert "PASS in" in output
    assert "first enabled user who is up to date" in output
    assert output.count("\nok ") == 12
    [dana] = [u.id for u in cli.sandbox.welkin.users.values() if u.email.startswith("dana")]
    document = cli.json("selftest", "--user", dana, "--platform", "google")
    assert (document["result"], document["user_id"]) == ("pass", dana)
    assert [step["state"] for step in document["steps"]] == ["ok"] * 12
    assert all(step["seconds"] is not None for step in document["steps"])
    assert not any(canary in output + str(document) for canary in cli.sandbox.canaries)
    assert "audit: OK" in cli("audit", "verify")
    assert len(cli.sandbox.welkin.events) == 1
    assert len(cli.sandbox.google.own("dana@example.org")) == 0


def test_a_test_that_fails_names_step_code_and_advice(cli: Command) -> None:
    cli.map_everybody()
    cli("sync")
    [dana] = [u.id for u in cli.sandbox.welkin.users.values() if u.email.startswith("dana")]
    cli.sandbox.google.revoke("dana@example.org")
    output = cli("selftest", "--user", dana, code=1)
    assert 'FAIL at "remains of an earlier test are removed": google_account_refused' in output
    assert "is the address right" in output
    document = cli.json("selftest", "--user", dana, code=1)
    assert (document["result"], document["failed_step"]) == ("fail", "leftovers")
    assert "not mapped" in cli("selftest", "--user", "nobody", code=1)


def test_ctrl_c_cleans_up(cli: Command) -> None:
    """The program itself, interrupted while it waits for a mirror that nobody brings."""
    cli.map_everybody()
    program = Path(sys.executable).with_name("calendar-sync")
    environment = dict(os.environ) | {"AIRFLOW_HOME": str(cli.folder / "home")}
    # A shell's background jobs, of which the tests may be one, ignore Ctrl-C.
    words = ["env", "--default-signal=INT", str(program), "selftest", "--wait"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if "a test appointment was created" in line:
                run.send_signal(signal.SIGINT)
                break
        rest = run.stdout.read()
    assert run.returncode == 1
    assert "interrupted" in rest
    assert "the test left nothing behind" in rest
    assert cli.sandbox.welkin.events == {}


def test_explain_says_why_and_writes_nothing(cli: Command) -> None:
    cli.map_everybody()
    visit = cli.visit()
    cli("sync")
    before = len(cli.sandbox.requests)
    output = cli("explain", "--appointment", visit.event_id)
    assert "dana@example.org on google: mirror OK" in output
    assert "passes     its type is synced" in output
    [mirror] = cli.sandbox.google.mirrors("dana@example.org")
    assert visit.event_id in cli("explain", "--event", mirror.id)
    assert "up to date" in cli("explain", "--user", "dana@example.org")
    document = cli.json("explain", "--appointment", visit.event_id)
    assert document["parts"][0]["verdict"] == "mirror_ok"
    assert "searched:" in cli("explain", "--appointment", "nonsense", code=1)
    assert "give one of" in cli("explain", code=1)
    assert "give one of" in cli("explain", "--appointment", "a", "--event", "b", code=1)
    assert cli.sandbox.requests.writes(since=before) == []
    assert not any(canary in output + str(document) for canary in cli.sandbox.canaries)


def test_welkin_out_of_reach_is_one_line_and_exit_1(cli: Command) -> None:
    from calendar_sync_sandbox import Fault

    cli.map_everybody()
    cli.sandbox.faults.add(Fault("welkin", "status", code=403, times=None))
    output = cli("sync", code=1)
    assert "Traceback" not in output
    assert "welkin" in output


@pytest.mark.parametrize("fernet_key", [True, False], ids=["with key", "no Airflow yet"])
def test_the_program_itself(cli: Command, fernet_key: bool) -> None:
    cli.map_everybody()
    cli.visit()
    program = Path(sys.executable).with_name("calendar-sync")
    environment = dict(os.environ) | {"AIRFLOW_HOME": str(cli.folder / "home")}
    if not fernet_key:
        del environment["AIRFLOW__CORE__FERNET_KEY"]
    result = subprocess.run(
        [program, "sync", "--json"], capture_output=True, text=True, env=environment, check=False
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["done"] == {"create_mirror": 1}
