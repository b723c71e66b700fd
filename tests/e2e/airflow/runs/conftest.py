"""One Airflow whose runs the tests ask for: after the first, nothing else brings one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from calendar_sync_sandbox.demo.world import PLATFORMS
from tests.e2e.airflow.stage import Stage, open_stage

if TYPE_CHECKING:
    from collections.abc import Iterator

DAG_ID = "google_calendar_sync"
ONCE_A_YEAR = """# A DAG of Airflow.
from calendar_sync.orchestration.dags.sync import sync_dag

made = sync_dag("{platform}", "See dags.", "0 0 1 1 *")
"""
#: A DAG that is not ours: what the REST API says of each task.
TOY = """
from airflow.sdk import dag, get_current_context, task

@dag(schedule=None)
def toy():
    @task
    def find():
        return ["one", "two"]

    @task(map_index_template="{{ label }}")
    def sync(name):
        get_current_context()["label"] = f"{name}: done"
        if name == "two":
            raise RuntimeError("only two fails")

    @task
    def record():
        return "recorded"

    sync.expand(name=find()) >> record().as_teardown(on_failure_fail_dagrun=False)

toy()
"""
ENV = {
    "CALENDAR_SYNC_TRIGGERER": "off",
    # Vera is a viewer.
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,vera:viewer",
}


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("runs")
    dags = folder / "dags"
    dags.mkdir()
    for platform in PLATFORMS:
        (dags / f"{platform}_once_a_year.py").write_text(ONCE_A_YEAR.format(platform=platform))
    (dags / "toy.py").write_text(TOY)
    with open_stage(folder, env=ENV, dags=dags) as made:
        yield made


@pytest.fixture(scope="package")
def filled(stage: Stage) -> Stage:
    """After the first fill."""
    stage.airflow.unpause(DAG_ID)
    # The schedule's own first run comes at once.
    stage.wait(lambda: bool(stage.airflow.runs(DAG_ID, "success", "failed")))
    stage.wait_idle()
    return stage
