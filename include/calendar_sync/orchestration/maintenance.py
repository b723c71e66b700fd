"""Keeping the run history readable: what did nothing goes after a week, the rest after a quarter.

The record of what was done is the operation table, which stays.
"""

import contextlib
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from calendar_sync.clock import SystemClock
from calendar_sync.errors import ConfigurationError
from calendar_sync.model import Platform
from calendar_sync.orchestration.airflow_api import CONNECTION, AirflowApi, Run
from calendar_sync.orchestration.connections import Missing, connection_fields
from calendar_sync.orchestration.dag_ids import GOOGLE, MICROSOFT
from calendar_sync.orchestration.running import guarded, with_store
from calendar_sync.redaction import install
from calendar_sync.state import Store

EMPTY_AFTER = timedelta(days=7)
WORKING_AFTER = timedelta(days=90)
# So many runs at most in one go: two days of both platforms, with the arrears of as many.
MOST = 10_000
SYNC_DAGS = {GOOGLE: Platform.GOOGLE, MICROSOFT: Platform.MICROSOFT}


class NoConnection(ConfigurationError):
    """Nobody has said how to reach Airflow's API: old runs stay."""


@dataclass(frozen=True)
class Removed:
    """How many runs of one DAG went."""

    dag_id: str
    empty: int
    working: int

    @property
    def label(self) -> str:
        """For the run history."""
        return f"{self.dag_id}: {self.empty} empty, {self.working} other runs removed"


def remove_old_runs(dag_id: str, *, log_folder: str) -> Removed:
    """Remove old runs of one DAG with their local logs.

    Raises:
        NoConnection: there is no connection.
        ConfigurationError: the connection is refused.
        TransientError: Airflow's API does not answer.
    """
    now = SystemClock().now()
    try:
        fields = connection_fields(CONNECTION)
    except Missing:
        raise NoConnection(detail=f"no connection {CONNECTION}: old runs stay") from None
    with guarded():
        api = AirflowApi(fields)
        old = list(api.ended_runs(dag_id, now - EMPTY_AFTER, MOST))
        empty = _empty(dag_id, old)
        counts = {True: 0, False: 0}
        for run in old:
            idle = run.run_id in empty
            if idle or run.ended_at <= now - WORKING_AFTER:
                api.delete_run(dag_id, run.run_id)
                _remove_logs(Path(log_folder), dag_id, run.run_id)
                counts[idle] += 1
    done = Removed(dag_id, counts[True], counts[False])
    install().info("%s", done.label)
    return done


def _empty(dag_id: str, runs: list[Run]) -> set[str]:
    """Runs that neither wrote anything nor had a user fail."""
    platform = SYNC_DAGS.get(dag_id)
    if platform is None:
        return set()
    good = [run.run_id for run in runs if run.state == "success"]
    return with_store(lambda store: store.runs.empty(platform, good))


def _remove_logs(folder: Path, dag_id: str, run_id: str) -> None:
    """Airflow's default layout; logs kept elsewhere have rules of their own."""
    path = (folder / f"dag_id={dag_id}" / f"run_id={run_id}").resolve()
    if folder.resolve() in path.parents and path.is_dir():
        with contextlib.suppress(OSError):
            shutil.rmtree(path)


def tidy_state() -> dict[str, int]:
    """Drop what the state database need not keep: rows of old runs, old reports and drift."""

    def work(store: Store) -> dict[str, int]:
        now: datetime = SystemClock().now()
        return {
            "runs": store.runs.forget(now - EMPTY_AFTER, now - WORKING_AFTER),
            "reports": store.health.forget_before(now - WORKING_AFTER),
        }

    done = with_store(work)
    words = ", ".join(f"{count} {what} removed" for what, count in done.items())
    install().info("state: %s", words)
    return done
