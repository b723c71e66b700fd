"""Made-up people are told from the organisation's own before anything is synced."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from calendar_sync.orchestration.tasks.sync import find_groups, sync_group
from tests.engine.cli import test_cli
from tests.engine.cli.test_cli import HOUR, Command

pytestmark = pytest.mark.xdist_group("cli")
cli = test_cli.cli
REPOSITORY = Path(__file__).resolve().parents[3]
VARIABLE = "AIRFLOW_CONN_WELKIN_DEFAULT"
STRANGER = "7a1e0000-0000-4a4a-8b8b-123456789abc"


def leave_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """Welkin is a server of the internet. Nobody answers there in a test: port 9 of nowhere."""
    values = {**json.loads(os.environ[VARIABLE]), "host": "https://api.live.welkincloud.io:9"}
    monkeypatch.setenv(VARIABLE, json.dumps(values))


def quick(cli: Command) -> None:
    """No waiting for one's turn."""
    cli.sandbox.welkin.rate_limit = None
    folder = cli.folder / "quick"
    folder.mkdir()
    (folder / "settings.yaml").write_text("limits: {welkin_requests_per_second: 100}\n")
    cli("config", "apply", folder)


def test_the_example_folder_stores_no_users_outside_the_sandbox(
    cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = os.environ[VARIABLE]
    leave_the_sandbox(monkeypatch)
    output = cli("config", "apply", REPOSITORY / "config", code=1)
    assert "sample" in output
    assert "dana.hale@example.org" in output
    assert "no users are mapped" in cli("status")
    assert "valid" in cli("config", "validate", REPOSITORY / "config")
    # In the sandbox they can be stored, and are said to be unknown.
    monkeypatch.setenv(VARIABLE, sandbox)
    named = cli.json("config", "apply", REPOSITORY / "config")["unknown_users"]
    assert len(named) == 2
    assert all(user_id.startswith("sample-") for user_id in named)


@pytest.mark.parametrize("account", ["dana@example.org", "d@mail.example.com", "d@clinic.test"])
def test_made_up_mailboxes_are_refused_outside_the_sandbox(
    cli: Command, monkeypatch: pytest.MonkeyPatch, account: str
) -> None:
    file = cli.write("m.csv", f"welkin_user_id,platform,account\n{STRANGER},google,{account}\n")
    folder = cli.folder / "config"
    folder.mkdir()
    (folder / "settings.yaml").write_text("time_zone: US/Eastern\n")
    (folder / "user_mapping.csv").write_text(file.read_text())
    leave_the_sandbox(monkeypatch)
    one = ("--user", STRANGER, "--platform", "google", "--account", account)
    for words in (
        ("config", "apply", folder),
        ("mapping", "import", file),
        ("mapping", "import", file, "--dry-run"),
        ("mapping", "set", *one),
    ):
        assert account in cli(*words, code=1)
    assert "no users are mapped" in cli("status")
    # Before there is a connection nobody can say which Welkin it will be.
    monkeypatch.delenv(VARIABLE)
    assert "sample" in cli("config", "apply", REPOSITORY / "config", code=1)
    assert "no users are mapped" in cli("status")
    cli("config", "apply", folder)


def test_ids_that_welkin_does_not_know_are_named(cli: Command) -> None:
    quick(cli)
    [dana] = [u.id for u in cli.sandbox.welkin.users.values() if u.email.startswith("dana")]
    text = "welkin_user_id,platform,account\n"
    text += f"{dana},google,dana@example.org\n{STRANGER},google,ruben@example.org\n"
    file = cli.write("m.csv", text)
    folder = cli.folder / "config"
    folder.mkdir()
    (folder / "settings.yaml").write_text("limits: {welkin_requests_per_second: 100}\n")
    (folder / "user_mapping.csv").write_text(text)
    for words in (("mapping", "import", file, "--dry-run"), ("config", "apply", folder)):
        output = cli(*words)
        assert f"Welkin has no users with these ids: {STRANGER}" in output
        assert dana not in output.partition("Welkin has no users")[2]
    assert cli.json("mapping", "import", file)["unknown_users"] == [STRANGER]
    one = ("--user", STRANGER, "--platform", "google", "--account", "ruben@example.org")
    assert STRANGER in cli("mapping", "set", *one)
    document = cli.json("check", code=1)
    faults = [f for one in document["connections"] if one["works"] is False for f in one["faults"]]
    assert [(f["account"], f["code"]) for f in faults] == [(STRANGER, "welkin_user_unknown")]


def test_ids_that_could_not_be_compared_are_reported_and_the_file_is_stored(
    cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {**json.loads(os.environ[VARIABLE]), "password": "wrong"}
    monkeypatch.setenv(VARIABLE, json.dumps(values))
    text = f"welkin_user_id,platform,account\n{STRANGER},google,dana@example.org\n"
    output = cli("mapping", "import", cli.write("m.csv", text))
    assert "1 added" in output
    assert "could not be checked" in output
    assert "secret is wrong" in output


def test_a_user_none_of_whose_writes_was_taken_has_failed(cli: Command) -> None:
    """The mailbox is there, the Welkin user is not: every block is refused."""
    quick(cli)
    [dana] = [u.id for u in cli.sandbox.welkin.users.values() if u.email.startswith("dana")]
    text = f"welkin_user_id,platform,account\n{dana},google,dana@example.org\n"
    text += f"{STRANGER},google,ruben@example.org\n"
    cli("mapping", "import", cli.write("m.csv", text))
    cli.visit()
    tomorrow = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + 24 * HOUR
    for hours in (3, 6):
        start = tomorrow + hours * HOUR
        cli.sandbox.google.add_event("ruben@example.org", start=start, end=start + HOUR)
    for words in (("sync",), ("sync", "--full"), ("sync", "--full")):
        document = cli.json(*words, code=3)
        assert document["failed"] == [STRANGER]
        [row] = [user for user in document["users"] if user["user_id"] == STRANGER]
        assert (row["status"], row["code"]) == ("failed", "welkin_user_unknown")
    assert len(cli.sandbox.google.mirrors_of("dana@example.org")) == 1
    output = cli("sync", "--full", code=3)
    assert "1 failed" in output
    find_groups("google", users=[STRANGER], full_comparison=True)
    done = sync_group("google", [STRANGER], run_id="r", owner="o")
    assert [outcome.status for outcome in done.outcomes] == ["failed"]
