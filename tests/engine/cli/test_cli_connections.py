"""Connections from the environment or a secrets backend; no providers, no database of Airflow's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from airflow.models.connection import Connection

from calendar_sync.config.credentials import GOOGLE, HMAC_KEY, MICROSOFT, WELKIN
from tests.engine.cli import test_cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.engine.cli.test_cli import Command

pytestmark = pytest.mark.xdist_group("cli")
cli = test_cli.cli
CONNECTIONS = (WELKIN, GOOGLE, MICROSOFT, HMAC_KEY)
#: As where the package is installed without its extras.
WITHOUT_PROVIDERS = """
import importlib.abc, sys

ABSENT = ("airflow.providers.google.", "airflow.providers.microsoft.azure.", "googleapiclient")

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        # Airflow itself asks who is there.
        if name.startswith(ABSENT) and not name.endswith(".get_provider_info"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""
#: One command after the other, each of whose answers is a line; to import everything costs seconds.
COMMANDS = """
import contextlib, io, json
from calendar_sync.cli import main

for command in sys.argv[1:]:
    sys.argv = ["calendar-sync", command, "--json"]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            main()
    except SystemExit as end:
        assert not end.code, (command, end.code, said.getvalue())
    print(json.dumps(json.loads(said.getvalue())))
"""
EVERY_MODULE = """
import importlib, pkgutil
import calendar_sync
for module in pkgutil.walk_packages(calendar_sync.__path__, "calendar_sync."):
    if "migrations" not in module.name and not module.name.endswith("cli.sandbox"):
        importlib.import_module(module.name)
"""


def environment(folder: Path, **given: str) -> dict[str, str]:
    """This process's without its connections, and with no database of Airflow's."""
    found = {name: value for name, value in os.environ.items() if "AIRFLOW_CONN_" not in name}
    nowhere = "postgresql+psycopg://nobody@127.0.0.1:1/nowhere"
    return found | {
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": nowhere,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": nowhere,
        **given,
    }


def run(program: str, env: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PROVIDERS + program, *words],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def stored() -> dict[str, dict[str, Any]]:
    return {name: json.loads(os.environ[f"AIRFLOW_CONN_{name.upper()}"]) for name in CONNECTIONS}


def as_json(_folder: Path) -> dict[str, str]:
    return {f"AIRFLOW_CONN_{name.upper()}": json.dumps(one) for name, one in stored().items()}


def as_uri(_folder: Path) -> dict[str, str]:
    """As `airflow connections export` writes them."""
    return {
        f"AIRFLOW_CONN_{name.upper()}": Connection(
            conn_id=name, **{**one, "extra": json.dumps(one.get("extra", {}))}
        ).get_uri()
        for name, one in stored().items()
    }


def in_a_backend(folder: Path) -> dict[str, str]:
    """Airflow's own backend of a file stands for Vault, Secrets Manager and the like."""
    file = folder / "connections.json"
    file.write_text(json.dumps(stored()))
    return {
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(file)}),
    }


@pytest.mark.parametrize("form", [as_json, as_uri, in_a_backend])
def test_every_connection_works_in_every_form(
    cli: Command, tmp_path: Path, form: Callable[[Path], dict[str, str]]
) -> None:
    cli.sandbox.microsoft.add_account("ruben@example.org")
    cli.map_everybody()
    env = environment(tmp_path, **form(tmp_path))
    made, checked = (json.loads(line) for line in run(COMMANDS, env, "init", "check").splitlines())
    # The key is there: nothing is left for `init` to write into Airflow's database.
    assert (made["key_made"], made["missing"]) == (False, [])
    assert checked["works"] is True
    assert {one["system"]: one["tried"] for one in checked["connections"]} == {
        "key": 0,
        "welkin": 0,
        "google": 2,
        "microsoft": 1,
    }


def test_no_module_needs_a_provider_of_a_calendar_system(tmp_path: Path) -> None:
    run(EVERY_MODULE, environment(tmp_path))
