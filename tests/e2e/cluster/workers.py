"""What a second worker brings: one slot each, each kept to a core, one and two in turns.

All else (servers, schedulers, API server, database) runs on the same cores and is not kept to one:
with two cores the second worker has less than a whole one more.
"""

from __future__ import annotations

import os
import statistics
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

from calendar_sync.config.settings import parse
from calendar_sync_sandbox import Fault
from calendar_sync_sandbox.standalone import AirflowError
from tests.e2e.cluster.cluster import WORKERS
from tests.e2e.cluster.preload import ended_tasks, worked
from tests.e2e.cluster.stage import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calendar_sync_sandbox.demo.world import User
    from tests.e2e.cluster.stage import Stage

DAG, USERS = "google_calendar_sync", 40
TURNS = (1, 2, 1, 2)
#: The services are not next door.
FAR_SECONDS = 0.1
TASKS = (
    "SELECT count(*), extract(epoch FROM max(end_date) - min(start_date)) FROM task_instance "
    "WHERE dag_id = :dag AND task_id = 'sync_user' AND state = 'success' AND start_date > :since"
)


def measure(stage: Stage) -> Iterator[str]:
    """A line for each turn, and one with what two have done in the time of one."""
    users = [user for user in stage.users if user.platform == "google"][:USERS]
    cores = sorted(os.sched_getaffinity(0))
    rates: dict[int, list[float]] = {}
    stage.settle()
    # A task for each, or most of what is measured would be how users are grouped.
    _configure(stage, max_user_tasks=len(users))
    for count in TURNS:
        _lose_all(stage)
        for core, worker in zip(cores, WORKERS[:count], strict=False):
            stage.airflow.begin(worker, core=core, AIRFLOW__CELERY__WORKER_CONCURRENCY="1")
        # The first task of each process imports what the others have.
        for user in users[:8]:
            stage.edit(user, visit=True)
        stage.settle()
        before, ended = _worked(stage), ended_tasks(stage)
        tasks, seconds = _together(stage, users)
        # A user may be looked at once more.
        if tasks < len(users):
            raise AirflowError(f"{len(users)} users, but {tasks} tasks")
        ended = ended_tasks(stage) - ended
        each = {part: (cpu - before[part]) / ended for part, cpu in _worked(stage).items()}
        rates.setdefault(count, []).append(tasks / seconds)
        yield (
            f"{count} of {len(WORKERS)} workers: {tasks} tasks in {seconds:.1f} s, "
            f"{tasks / seconds:.2f} a second; CPU-s for each of {ended} tasks of all kinds: "
            + ", ".join(f"{part} {cpu:.2f}" for part, cpu in each.items())
        )
    one, two = (statistics.median(rates[count]) for count in (1, 2))
    yield f"two workers run {two / one:.2f} times as many tasks a second as one"
    _configure(stage)
    _lose_all(stage)
    for worker in WORKERS:
        stage.airflow.begin(worker)


def _together(stage: Stage, users: list[User]) -> tuple[int, float]:
    """All have a visit when the run begins; tasks of theirs, and seconds from first to last."""
    stage.airflow.pause(DAG)
    for user in users:
        stage.edit(user, visit=True)
    stage.wait(lambda: len(stage.marked()) >= len(users), "marks", lambda: len(stage.marked()))
    far = Fault("*", "latency", times=None, seconds=FAR_SECONDS)
    stage.sandbox.faults.add(far)
    since = datetime.now(UTC)
    stage.airflow.unpause(DAG)
    stage.settle()
    stage.sandbox.faults.clear()
    with stage.of_airflow.connect() as connection:
        row = connection.execute(text(TASKS), {"dag": DAG, "since": since}).one()
    return int(row[0]), float(row[1])


def _worked(stage: Stage) -> dict[str, float]:
    """Processor seconds so far of the workers, and of all other parts of Airflow."""
    found = {"workers": 0.0, "rest of Airflow": 0.0}
    for name in stage.airflow.parts:
        found["workers" if name in WORKERS else "rest of Airflow"] += worked(stage, name)
    return found


def _lose_all(stage: Stage) -> None:
    for worker in WORKERS:
        if worker in stage.airflow.parts:
            stage.airflow.lose(worker)


def _configure(stage: Stage, **limits: int) -> None:
    changed = {**SETTINGS, "limits": {**SETTINGS["limits"], **limits}}
    stage.store.config.save_settings(parse(changed), "tests", datetime.now(UTC))
