"""A lost worker and a lost broker during runs: nobody else waits, and nothing is lost or doubled.

`make cluster-test` strikes more often, with more users, and prints seconds; here none counts.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from calendar_sync.core.model import Platform
from calendar_sync.sync.runner import LOST_AFTER
from tests.e2e.cluster.faults import Faults
from tests.e2e.cluster.stage import Stage, open_stage
from tests.servers import ServerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calendar_sync_sandbox.standalone import TaskInstance

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.postgres,
    pytest.mark.xdist_group("cluster"),
    pytest.mark.timeout(3600),
]

DAG_ID = "google_calendar_sync"
USERS, SLOTS = 24, 2
#: Airflow never finds out by itself that a task is lost: whoever is in step is so without that.
NEVER = {"AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "86400"}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("cluster")
    try:
        with open_stage(folder, USERS, slots=SLOTS, schedulers=1, env=NEVER) as made:
            yield made
    except ServerUnavailableError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"needed in CI: {error}")
        pytest.skip(f"NOT TESTED: {error}")


def test_users_of_a_lost_worker_and_of_a_lost_queue_come_in_step_and_nobody_waits_for_them(
    stage: Stage,
) -> None:
    faults = Faults(stage, None)
    held = faults.hold(faults.google[: 2 * SLOTS])
    had = faults.users_by_worker()
    worker = max(had, key=lambda name: len(had[name]))
    stage.airflow.lose(worker)
    # What it had then: it may have done something since.
    had, tasks = faults.users_by_worker(), stage.airflow.holders(DAG_ID).get(worker, [])
    faults.go_on()
    lost = [edit for edit in held if edit.user.welkin_id in had[worker]]
    assert lost
    edits = [stage.edit(user, visit=number % 2 == 0) for number, user in enumerate(stage.users)]
    stage.shows([edit for edit in edits if edit.user.welkin_id not in had[worker]])
    assert declared_lost(stage, tasks) == []

    # Tasks of all these users are queued for the one worker that is left, when the queue is lost.
    queued = faults.hold(faults.google[2 * SLOTS :])
    stage.redis.kill()
    faults.go_on()
    stage.redis.start()
    stage.shows([*lost, *queued])
    assert declared_lost(stage, tasks) == []

    # Airflow ends such a run sooner or later.
    for run_id in {str(task["dag_run_id"]) for task in tasks}:
        path = f"/dags/{DAG_ID}/dagRuns/{quote(run_id, safe='')}"
        stage.airflow.call("PATCH", path, {"state": "failed"})
    # Noticing sees that a run never told of its end.
    long_ago = datetime.now(UTC) - LOST_AFTER - timedelta(minutes=1)
    stage.store.runs.begin("ended without its last task", Platform.GOOGLE, long_ago)
    stage.wait(
        lambda: not stage.store.runs.unclosed(Platform.GOOGLE, datetime.now(UTC) - LOST_AFTER),
        "record of a run that was never closed",
        stage.progress,
    )
    stage.settle()
    assert stage.problems() == []


def declared_lost(stage: Stage, tasks: list[dict[str, Any]]) -> list[TaskInstance]:
    """Those of these tasks of which Airflow knows that nobody works on them.

    On a slow machine their runs may have lasted too long by now: then they are skipped.
    """
    wanted = {(task["dag_run_id"], task["task_id"], task["map_index"]) for task in tasks}
    return [
        task
        for run_id in {str(run_id) for run_id, *_ in wanted}
        for task in stage.airflow.task_instances(DAG_ID, run_id)
        if (run_id, task.task_id, task.map_index) in wanted
        and (task.state not in {"running", "skipped"} or task.try_number > 1)
    ]
