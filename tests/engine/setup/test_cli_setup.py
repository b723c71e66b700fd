"""`calendar-sync setup` at a terminal, and where there is none."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from calendar_sync.cli.app import app
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.operations.setup.steps import dags_of
from calendar_sync.state import Database, Store
from calendar_sync_sandbox import Sandbox, running
from tests.engine.setup.airflow_tables import add_dags, switched_off, tables, to_parse

RUN = CliRunner()
SECRET = "made-up-secret-that-nobody-may-see"


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An Airflow without connections, and no state database."""
    monkeypatch.setenv("CALENDAR_SYNC_DATABASE_URL", f"sqlite:///{tmp_path}/state.db")
    with tables():
        yield


@pytest.fixture
def world(tmp_path: Path) -> Iterator[dict[str, Any]]:
    sandbox = Sandbox(client_secret=SECRET)
    sandbox.welkin.rate_limit = None
    sandbox.organise(users=2, encounters=1, microsoft="none")
    with running(sandbox, tmp_path / "served"):
        found: dict[str, Any] = json.loads((tmp_path / "served" / "connections.json").read_text())
        found["sandbox"] = sandbox
        yield found


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calendar_sync.cli.setup._at_terminal", lambda: True)


def ran(*words: str, typed: str = "") -> tuple[int, str]:
    found = RUN.invoke(app, ["setup", *words], input=typed)
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    assert SECRET not in found.output
    return found.exit_code, found.output


def standings() -> dict[str, str]:
    found = RUN.invoke(app, ["setup", "--json"])
    return {one["key"]: one["standing"] for one in json.loads(found.stdout)["steps"]}


def test_an_empty_installation_says_what_is_next() -> None:
    code, said = ran()
    assert code == 0
    assert "1. Prepare the database: to do" in said
    assert "8. Switch on the sync: not known yet" in said
    assert "Command: calendar-sync init" in said
    found = json.loads(RUN.invoke(app, ["setup", "--json"]).stdout)
    assert (found["next"], len(found["steps"])) == ("prepare", 8)


def test_secrets_are_asked_for_on_a_terminal_only() -> None:
    assert RUN.invoke(app, ["init"]).exit_code == 0
    code, said = ran("--connect", "welkin", typed="x\n" * 9)
    assert code == 1
    assert "on a terminal only" in said
    assert ran("--connect", "yahoo")[0] == 1


def welkin_typed(fields: dict[str, Any], secret: str) -> str:
    extra = fields["extra"]
    words = (fields["host"], extra["tenant"], extra["instance"], fields["login"], secret, "y")
    return "\n".join((*words, extra["verify"])) + "\n"


@pytest.mark.usefixtures("terminal")
def test_from_nothing_to_the_switch(world: dict[str, Any], tmp_path: Path) -> None:
    assert RUN.invoke(app, ["init"]).exit_code == 0
    welkin = world["welkin_default"]
    code, said = ran("--connect", "welkin", typed=welkin_typed(welkin, "wrong") + "n\n")
    assert code == 1
    assert "welkin_unauthorized" in said
    assert "nothing was stored" in said
    code, said = ran("--connect", "welkin", typed=welkin_typed(welkin, welkin["password"]))
    assert (code, standings()["welkin"]) == (0, "done"), said
    extra = world["google_calendar_default"]["extra"]
    file = tmp_path / "key.json"
    file.write_text(extra["keyfile_dict"])
    special = (extra["api_root"], extra["directory_root"], extra["verify"])
    typed = "\n".join((str(file), extra.get("directory_admin", ""), "y", *special)) + "\n"
    code, said = ran("--connect", "google", typed=typed)
    assert standings()["calendars"] == "done", said
    sandbox: Sandbox = world["sandbox"]
    account = next(iter(sandbox.google.accounts.values())).email.lower()
    staff = next(one for one in sandbox.welkin.users.values() if one.email.lower() == account)
    database = Database()
    store = Store(database, "")
    now = datetime.now(UTC)
    store.config.edit_mapping(
        lambda _: [MappedUser(staff.id, Platform.GOOGLE, account)], "tests", now
    )
    database.close()
    ran("--preview")
    assert standings()["dry_run"] == "done"
    assert sandbox.requests.writes() == []
    code, said = ran("--switch-on")
    assert code == 1
    assert "Airflow does not know" in said
    add_dags(dags_of(Platform))
    assert standings()["switch_on"] == "to do"
    ran("--switch-on")
    ran("--switch-on", "--test")
    assert standings()["switch_on"] == "done"
    assert switched_off() == ["microsoft_calendar_sync"]
    # Only when it parses the file Airflow starts the trigger that looks for changes.
    assert to_parse() == {f"{dag_id}.py" for dag_id in dags_of([Platform.GOOGLE])}


@pytest.mark.usefixtures("terminal")
def test_a_mistake_is_reported_and_asked_again(world: dict[str, Any]) -> None:
    assert RUN.invoke(app, ["init"]).exit_code == 0
    welkin = world["welkin_default"]
    bad = {**welkin, "host": "http://x"}
    typed = welkin_typed(bad, SECRET) + welkin_typed(welkin, welkin["password"])
    code, said = ran("--connect", "welkin", typed=typed)
    assert "Base URL is no base URL" in said
    assert standings()["welkin"] == "done"
    assert code == 0
