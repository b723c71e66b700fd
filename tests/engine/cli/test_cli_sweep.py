"""Whatever a command is given: a helpful line, exit code 1 or 2, and never a traceback."""

import json
import os
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from calendar_sync.cli.app import app
from calendar_sync.cli.output import as_json, console, table
from calendar_sync_sandbox.processes import dismiss, guard
from tests.harness import fresh

RUN = CliRunner()
pytestmark = pytest.mark.xdist_group("cli")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty installation, and wrong things to name."""
    monkeypatch.setenv("CALENDAR_SYNC_DATABASE_URL", f"sqlite:///{tmp_path}/state.db")
    fresh(f"sqlite:///{tmp_path}/state.db").close()
    (tmp_path / "empty").touch()
    (tmp_path / "empty.yaml").touch()
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    (tmp_path / "folder").mkdir()
    (tmp_path / "odd" / "settings.yaml").mkdir(parents=True)
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow" / "settings.yaml").touch()
    (tmp_path / "hollow" / "user_mapping.csv").mkdir()
    return tmp_path


def invoke(*words: str) -> tuple[int, str]:
    result = RUN.invoke(app, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    assert "unexpected" not in result.output
    return result.exit_code, result.output


PATHS = ["nowhere", "empty", "empty.yaml", "binary.csv", "folder", "odd", "hollow", "empty/below"]
TAKES_A_PATH = [
    ("config", "apply", "{}"),
    ("config", "validate", "{}"),
    ("config", "preview", "{}"),
    ("mapping", "import", "{}"),
    ("mapping", "import", "{}", "--dry-run"),
    ("sandbox", "--port", "0", "--directory", "{}"),
]


@pytest.mark.spread
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("words", TAKES_A_PATH, ids=" ".join)
def test_a_wrong_kind_of_path_is_named(here: Path, words: tuple[str, ...], path: str) -> None:
    if words[0] == "sandbox" and (here / path).is_dir():
        pytest.skip("a folder is what it takes")
    if words[0] == "sandbox" and path == "nowhere":
        pytest.skip("it is made")
    code, output = invoke(*(word.format(here / path) for word in words))
    assert code in (1, 2), output
    if (words[1], path) == ("preview", "hollow"):
        return  # its settings are the defaults, and the mapping is none of its business
    said = "".join(output.split())
    assert Path(path).parts[0] in said.replace("│", ""), output


@pytest.mark.parametrize("words", [("mapping", "export"), ("report", "1", "--html")])
def test_what_cannot_be_written_is_named(here: Path, words: tuple[str, ...]) -> None:
    for path in ("folder", "nowhere/below.csv", "empty/below.csv"):
        code, output = invoke(*words, str(here / path))
        assert code in (1, 2), output


def test_all_mistakes_of_a_file_stand_one_a_line_with_its_path(here: Path) -> None:
    file = here / "m.csv"
    rows = "".join(f"u{n},yahoo,no address\n" for n in range(30))
    file.write_text("welkin_user_id,platform,account\n" + rows)
    code, output = invoke("mapping", "import", str(file))
    lines = [line for line in output.splitlines() if f"{file}: line" in line]
    assert (code, len(lines)) == (1, 60)
    folder = here / "settings"
    folder.mkdir()
    text = "limits: {user_concurrency: many, oddity: 1}\nblock_time: {all_day: 7}\n"
    (folder / "settings.yaml").write_text(text)
    for words in (("config", "apply"), ("config", "validate")):
        code, output = invoke(*words, str(folder))
        lines = [line for line in output.splitlines() if f"{folder}/settings.yaml: line" in line]
        assert (code, len(lines)) == (1, 3), output


def program(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("calendar-sync")), *words]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80", **environment},
        check=False,
        timeout=280,
    )


def test_an_unreachable_database_is_named_and_distinguished_from_airflows(tmp_path: Path) -> None:
    url = "postgresql+psycopg://sync:hidden-word@127.0.0.1:9/calendar_sync"
    done = program("status", CALENDAR_SYNC_DATABASE_URL=url)
    assert done.returncode == 1
    assert "the state database does not answer (OperationalError" in done.stderr
    assert "127.0.0.1" in done.stderr
    assert "hidden-word" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    done = program("status", CALENDAR_SYNC_DATABASE_URL="nonsense")
    assert "no database URL" in done.stderr
    sqlite = {"CALENDAR_SYNC_DATABASE_URL": f"sqlite:///{tmp_path}/s.db"}
    empty = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__UNIT_TEST_MODE": "False"}
    metadata = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db"}
    done = program("init", **sqlite, **empty, **metadata)
    assert done.returncode == 1
    assert "Airflow's own database" in done.stderr
    assert "airflow db migrate" in done.stderr
    assert done.stdout.splitlines() == ["state database: up to date"]


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, output = invoke("sandbox", "--port", port, "--directory", str(tmp_path))
    assert code == 1
    assert f"port {port} is in use" in output


def test_the_sandbox_says_where_it_is(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("calendar-sync")), "sandbox", "--port", "0"]
    words = [*command, "--directory", str(tmp_path), "--users", "2", "--encounters", "1"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as served:
        guarding = guard(served.pid)
        assert served.stdout is not None
        line = served.stdout.readline()
        served.terminate()
    dismiss(guarding)
    assert "https://localhost:" in line
    assert str(tmp_path / "connections.json") in line


def test_the_usual_options_are_there() -> None:
    for words in (["--version"], ["-h"], ["mapping", "set", "-h"], ["config", "-h"]):
        code, output = invoke(*words)
        assert code == 0
        assert output.strip()
    assert "calendar-sync 0." in invoke("--version")[1]
    assert "--install-completion" in invoke("--help")[1]


def test_whatever_reports_something_does_so_for_scripts(here: Path) -> None:
    assert json.loads(invoke("db", "upgrade", "--json")[1])["schema"]
    assert json.loads(invoke("config", "validate", str(filled(here)), "--json")[1]) == {
        "valid": True
    }
    invoke("config", "apply", str(filled(here)))
    assert json.loads(invoke("config", "rollback", "1", "--json")[1]) == {
        "settings_changed": False,
        "settings_revision": 1,
    }
    at = json.loads(invoke("config", "history", "--json")[1])[0]["created_at"]
    assert datetime.fromisoformat(at).tzinfo is not None
    assert "T" in at


def filled(here: Path) -> Path:
    folder = here / "filled"
    folder.mkdir(exist_ok=True)
    (folder / "settings.yaml").write_text("time_zone: US/Eastern\n")
    return folder


def test_times_are_iso_8601(capsys: pytest.CaptureFixture[str]) -> None:
    moment = datetime.fromisoformat("2026-03-02T09:00:00+00:00")
    as_json({"at": moment})
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found == {"at": "2026-03-02T09:00:00+00:00"}


def test_no_code_is_broken_in_eighty_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "width", 80)
    code, account = "google_access_token_scope_insufficient", "a.very.long.name@clinic.example.org"
    row = ("d1c2b3a4-0000-4a4a-8b8b-123456789abc", account, code, "2026-03-02 09:00")
    table("Failing", ("user", "account", "code", "since"), [row])
    output = capsys.readouterr().out
    for value in row:
        assert value in output
