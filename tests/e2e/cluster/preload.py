"""What a task costs on a Celery worker, with and without imports before the fork, in turns."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bench.processes import cpu_seconds
from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster.stage import Stage

USERS = 30
TURNS = ("off", "on", "off", "on")
WORKER, OTHER = "worker-1", "worker-2"


def measure(stage: Stage) -> Iterator[str]:
    """A line for each turn: processor seconds of one worker for a task, all of its kinds together.

    Four of five are mapped tasks with one write each, the others find users and record runs.
    """
    stage.settle()
    stage.airflow.lose(OTHER)
    for variant in TURNS:
        stage.airflow.lose(WORKER)
        stage.airflow.begin(WORKER, CLUSTER_PRELOAD=variant)
        # The first task of each of the pool's processes imports what all of its tasks have.
        for user in stage.users[-8:]:
            stage.edit(user, visit=True)
        stage.settle()
        tasks, before = ended_tasks(stage), worked(stage, WORKER)
        for user in stage.users[:USERS]:
            stage.edit(user, visit=True)
        stage.settle()
        count = ended_tasks(stage) - tasks
        each = (worked(stage, WORKER) - before) / count
        yield f"preload {variant:4} {each:5.2f} s of processor time a task ({count} tasks)"
    stage.airflow.begin(OTHER)


def ended_tasks(stage: Stage) -> int:
    """Tasks of all kinds that have ended, so far."""
    with stage.of_airflow.connect() as connection:
        ended = "SELECT count(*) FROM task_instance WHERE state IN ('success', 'failed')"
        return int(connection.scalar(text(ended)) or 0)


def worked(stage: Stage, part: str) -> float:
    """Processor seconds so far of a part of Airflow, with those of its tasks that have ended."""
    total = 0.0
    for pid in stage.airflow.parts[part].members:
        with contextlib.suppress(OSError):
            total += cpu_seconds(pid)
    return total
