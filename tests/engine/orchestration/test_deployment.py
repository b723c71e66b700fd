"""What a deployment says of our DAGs in its environment, and the folder with one short file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from calendar_sync.core.dag_ids import DAGS, GOOGLE, HEALTH, MAINTENANCE, MICROSOFT
from tests.servers import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

SHORT_FILE = """# The Airflow DAGs of Welkin Calendar Sync.
from calendar_sync.orchestration.all_dags import *
"""
PROGRAM = """
import json, sys
from airflow.dag_processing.dagbag import DagBag

def cron(timetable):
    return getattr(getattr(timetable, "timetable", timetable), "expression", "")

bag = DagBag(sys.argv[1], safe_mode=True)
print(json.dumps({
    "errors": bag.import_errors,
    "dags": {
        name: {
            "file": dag.fileloc,
            "doc": dag.doc_md,
            "schedule": cron(dag.timetable),
            "assets": type(dag.timetable).__name__ == "AssetOrTimeSchedule",
            "tasks": {
                task.task_id: [task.queue, task.pool, task.executor] for task in dag.tasks
            },
        }
        for name, dag in bag.dags.items()
    },
}))
"""
ELSEWHERE = {
    "CALENDAR_SYNC_QUEUE": "calendar-sync",
    "CALENDAR_SYNC_POOL": "calendar_sync",
    "CALENDAR_SYNC_EXECUTOR": "LocalExecutor",
    "CALENDAR_SYNC_SCHEDULE": "*/7 * * * *",
    "CALENDAR_SYNC_HEALTH_SCHEDULE": "0 11 * * 1-5",
    "CALENDAR_SYNC_MAINTENANCE_SCHEDULE": "15 3 * * *",
}


def parsed(folder: Path, environment: dict[str, str]) -> Any:
    """What Airflow finds in a folder of DAGs, in a process with this environment."""
    (folder / "dags").mkdir()
    (folder / "dags" / "welkin.py").write_text(SHORT_FILE)
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("CALENDAR_SYNC_")
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder / "dags")],
        env=inherited | {"AIRFLOW_HOME": str(folder)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return parsed(tmp_path_factory.mktemp("plain"), {})


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return parsed(tmp_path_factory.mktemp("told"), ELSEWHERE)


def test_a_folder_with_one_short_file_has_all_dags(plain: Any) -> None:
    assert plain["errors"] == {}
    assert plain["dags"].keys() == set(DAGS)
    # Workers find a DAG by the file that Airflow has noted.
    assert {dag["file"].rpartition("/")[2] for dag in plain["dags"].values()} == {"welkin.py"}
    assert all(dag["doc"].startswith("### ") for dag in plain["dags"].values())
    assert "Google Calendar" in plain["dags"][GOOGLE]["doc"]
    assert "Microsoft 365" in plain["dags"][MICROSOFT]["doc"]


def test_the_documentation_shows_this_file() -> None:
    assert SHORT_FILE in (REPOSITORY / "docs" / "deploy.md").read_text()


def test_without_a_word_tasks_run_where_airflow_puts_them(plain: Any) -> None:
    for dag in plain["dags"].values():
        assert {tuple(place) for place in dag["tasks"].values()} == {
            ("default", "default_pool", None)
        }


def test_the_deployment_names_queue_pool_and_executor_of_every_task(told: Any) -> None:
    assert told["errors"] == {}
    assert told["dags"].keys() == set(DAGS)
    for dag in told["dags"].values():
        assert dag["tasks"]
        assert {tuple(place) for place in dag["tasks"].values()} == {
            ("calendar-sync", "calendar_sync", "LocalExecutor")
        }


def test_the_deployment_names_the_schedules(plain: Any, told: Any) -> None:
    before = {name: dag["schedule"] for name, dag in plain["dags"].items() if dag["schedule"]}
    after = {name: dag["schedule"] for name, dag in told["dags"].items() if dag["schedule"]}
    sync = (GOOGLE, MICROSOFT)
    assert before == dict.fromkeys(sync, "*/5 * * * *") | {
        HEALTH: "0 5 * * *",
        MAINTENANCE: "30 4 * * *",
    }
    assert after == dict.fromkeys(sync, "*/7 * * * *") | {
        HEALTH: "0 11 * * 1-5",
        MAINTENANCE: "15 3 * * *",
    }
    # Events start runs all the same.
    assert {name for name, dag in told["dags"].items() if dag["assets"]} == set(sync)


def test_without_a_triggerer_the_schedule_is_of_all_runs(tmp_path: Path) -> None:
    found = parsed(tmp_path, ELSEWHERE | {"CALENDAR_SYNC_TRIGGERER": "off"})
    for name in (GOOGLE, MICROSOFT):
        assert (found["dags"][name]["schedule"], found["dags"][name]["assets"]) == (
            "*/7 * * * *",
            False,
        )
