"""Edits are noticed without anybody asking for a run; the safety run works when nobody notices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from bench.processes import role_of, title_of
from sqlalchemy import update

from calendar_sync.state import tables as t
from calendar_sync.state.runs import WELKIN
from tests.e2e.airflow.stage import Stage, open_stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calendar_sync_sandbox.demo.world import Slot, User

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow")]

PRIVATE = "Dentist, private 7731"
DAG_ID = "google_calendar_sync"
#: The product's DAG with its safety run at another time.
SAFETY_RUN = """# A DAG of Airflow.
from calendar_sync.orchestration.dags import sync

sync.EVERY_FIVE_MINUTES = "{cron}"
made = sync.sync_dag("google", "See dags/google_calendar_sync.py.")
"""
ONCE_A_YEAR, EACH_MINUTE = "0 0 1 1 *", "* * * * *"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """After the first fill; the safety run comes once a year, so that only events bring runs."""
    folder = tmp_path_factory.mktemp("noticing")
    (folder / "dags").mkdir()
    safety_run(folder, ONCE_A_YEAR)
    with open_stage(folder, dags=folder / "dags") as made:
        made.airflow.unpause(DAG_ID)
        made.wait(lambda: bool(made.airflow.runs(DAG_ID, "success")))
        made.wait(lambda: alive(made))
        made.wait_idle()
        yield made


def safety_run(folder: Path, cron: str) -> None:
    (folder / "dags" / "google.py").write_text(SAFETY_RUN.format(cron=cron))


def alive(stage: Stage) -> bool:
    now = datetime.now(UTC)
    return all(stage.store.noticing.of(name).alive(now) for name in (WELKIN, "google"))


def long_ago(stage: Stage, age: timedelta) -> None:
    """As if nobody had looked for so long, with a DAG that was switched on even before."""
    then = datetime.now(UTC) - age
    with stage.database.write() as connection:
        connection.execute(update(t.noticing).values(heartbeat_at=then))
        connection.execute(
            update(t.noticing)
            .where(t.noticing.c.expected_since.is_not(None))
            .values(expected_since=then)
        )


def mirrored(stage: Stage, user: User, slot: Slot) -> bool:
    return len(stage.world.mirrors(user, slot)) == 1


def runs_that(stage: Stage, step: str, user: User, since: datetime) -> dict[str, Any]:
    """The runs that did this for a user since then, as Airflow has them."""
    runs = stage.airflow.runs(DAG_ID, newest=1000)
    return {
        str(run["dag_run_id"]): run
        for run in runs
        for operation in stage.operations(str(run["dag_run_id"]))
        if (operation.step, operation.user_id) == (step, user.welkin_id) and operation.at >= since
    }


def test_edits_on_both_sides_are_noticed_and_start_runs_by_themselves(stage: Stage) -> None:
    dana, mira = stage.users[0], stage.users[2]
    booked, private = stage.slot(0), stage.slot(1)
    begun = datetime.now(UTC)
    stage.book(dana, booked)
    stage.wait(lambda: mirrored(stage, dana, booked))
    stage.world.plan_privately(mira, private, PRIVATE)
    stage.wait(lambda: len(stage.world.unavailable(mira, private)) == 1)
    stage.wait_idle()
    for step, user in (("create_mirror", dana), ("create_block", mira)):
        [run] = runs_that(stage, step, user, begun).values()
        assert (run["run_type"], run["state"]) == ("asset_triggered", "success")
    runs = stage.airflow.runs(DAG_ID, newest=1000)
    assert [run["run_type"] for run in runs].count("scheduled") == 1
    assert {run["run_type"] for run in runs} == {"scheduled", "asset_triggered"}
    for run in runs:
        tasks = stage.tasks(str(run["dag_run_id"]), "record_run")
        assert [task.state for task in tasks] == ["success"]
        assert stage.row(str(run["dag_run_id"])).failed == 0


def test_without_a_triggerer_the_safety_run_works_and_status_says_so(stage: Stage) -> None:
    """Keep this last: the triggerer is gone."""
    dana, slot = stage.users[0], stage.slot(2)
    assert stage.airflow.program is not None
    ended = [pid for pid in stage.airflow.program.members if role_of(title_of(pid)) == "triggerer"]
    assert ended
    for pid in ended:
        os.kill(pid, signal.SIGKILL)
    begun = datetime.now(UTC)
    long_ago(stage, timedelta(minutes=5))
    assert not alive(stage)
    stage.book(dana, slot)
    safety_run(stage.folder, EACH_MINUTE)
    stage.wait(lambda: mirrored(stage, dana, slot), patience=900)
    [run] = runs_that(stage, "create_mirror", dana, begun).values()
    assert run["run_type"] == "scheduled"
    tool = Path(sys.executable).with_name("calendar-sync")
    told = subprocess.run(
        [tool, "status"], env=stage.airflow.env, capture_output=True, text=True, check=False
    )
    assert "Changes in Welkin are looked for only every 5 minutes since" in told.stdout, told
    assert "Check that Airflow's triggerer runs" in told.stdout
