"""Keeping the run history readable: what did nothing goes after a week, the rest after a quarter.

The record of what was done is the operation table, which stays.
"""

import logging
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from calendar_sync.config.credentials import Missing
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.dag_ids import DAGS, GOOGLE, MICROSOFT
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Platform
from calendar_sync.orchestration.airflow_api import CONNECTION, AirflowApi, Run
from calendar_sync.orchestration.connections import connection_fields
from calendar_sync.orchestration.running import guarded, with_store
from calendar_sync.state import Store

logger = logging.getLogger(__name__)

EMPTY_AFTER = timedelta(days=7)
WORKING_AFTER = timedelta(days=90)
# Of mailboxes that were not read since.
TOKENS_AFTER = timedelta(days=1)
# Names a file in the folder of the logs that shows when that was last tidied.
TIDIED, LOGS_EVERY = ".calendar_sync_tidied", timedelta(days=1)
# So many runs of a DAG are removed at most in one go: a week of them, in time for the task.
MOST = 10_000
SYNC_DAGS = {GOOGLE: Platform.GOOGLE, MICROSOFT: Platform.MICROSOFT}


class NoConnection(ConfigurationError):
    """The connection to Airflow's API is missing: old runs are kept."""


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


def remove_old_runs(dag_id: str) -> Removed:
    """Remove old runs of one DAG; their logs follow within a day (`tidy_logs`).

    Raises:
        NoConnection: there is no connection.
        ConfigurationError: the connection is refused.
        TransientError: Airflow's API does not answer.
    """
    with guarded():
        try:
            fields = connection_fields(CONNECTION)
        except Missing:
            raise NoConnection(detail=f"no connection {CONNECTION}: old runs are kept") from None
    done = with_store(lambda store: _remove(AirflowApi(fields), store, dag_id))
    logger.info("%s", done.label)
    return done


def _remove(api: AirflowApi, store: Store, dag_id: str) -> Removed:
    """Page after page, the oldest first: most of a busy organisation's runs are to stay."""
    now, platform = SystemClock().now(), SYNC_DAGS.get(dag_id)
    empty_ones, others, kept, more = 0, 0, 0, True
    while more and empty_ones + others < MOST:
        page = api.ended_runs(dag_id, now - EMPTY_AFTER, kept)
        empty = _empty(store, platform, page.runs)
        old = [r for r in page.runs if r.run_id in empty or r.ended_at <= now - WORKING_AFTER]
        old = old[: MOST - empty_ones - others]
        removed: list[str] = []
        try:
            for run in old:
                api.delete_run(dag_id, run.run_id)
                removed.append(run.run_id)
        finally:
            if platform is not None:
                # Not before: a run without its row would not count as empty.
                store.runs.drop(platform, removed)
        gone = sum(run.run_id in empty for run in old)
        empty_ones, others = empty_ones + gone, others + len(old) - gone
        kept, more = kept + page.size - len(old), not page.last
    return Removed(dag_id, empty_ones, others)


def _empty(store: Store, platform: Platform | None, runs: list[Run]) -> set[str]:
    """Runs that neither wrote anything nor had a user fail."""
    if platform is None:
        return set()
    return store.runs.empty(platform, [run.run_id for run in runs if run.state == "success"])


def tidy_logs(folder: Path) -> int:
    """Remove log files of old runs from this machine, once a day; returns of how many runs.

    Each worker has files of its own, and runs this sooner or later. Airflow's default layout; logs
    kept elsewhere have rules of their own.
    """
    now, marker = SystemClock().now(), folder / TIDIED
    if not folder.is_dir() or now - _changed(marker) < LOGS_EVERY:
        return 0
    try:
        marker.touch()
        os.utime(marker, (now.timestamp(), now.timestamp()))
    except OSError as error:
        logger.warning("old logs stay: %s", type(error).__name__)
        return 0
    return with_store(lambda store: _tidy_logs(store, folder, now))


def _tidy_logs(store: Store, folder: Path, now: datetime) -> int:
    removed = 0
    if not _removes_runs():
        return removed  # nor the runs that they belong to
    for dag_id in DAGS:
        old = {
            path.name.removeprefix("run_id="): path
            for path in folder.glob(f"dag_id={dag_id}/run_id=*")
            if now - _changed(path) >= EMPTY_AFTER
        }
        platform = SYNC_DAGS.get(dag_id)
        kept = old.keys() if platform is None else store.runs.known(platform, old)
        for run_id, path in old.items():
            if run_id not in kept or now - _changed(path) >= WORKING_AFTER:
                # Another process may be at it.
                shutil.rmtree(path, ignore_errors=True)
                removed += 1
    return removed


def _changed(path: Path) -> datetime:
    """When; long ago for what has just been removed."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return datetime.min.replace(tzinfo=UTC)


def tidy_state() -> dict[str, int]:
    """Drop what the state database need not keep: rows of old runs, old reports and drift.

    Rows of empty runs are deleted with the runs, or after the same time if runs are kept.
    """

    def work(store: Store) -> dict[str, int]:
        now: datetime = SystemClock().now()
        empty_after = WORKING_AFTER if _removes_runs() else EMPTY_AFTER
        return {
            "runs": store.runs.forget(now - empty_after, now - WORKING_AFTER),
            "reports": store.health.forget_before(now - WORKING_AFTER),
            "tokens": store.tokens.drop_ended(now - TOKENS_AFTER),
            "sweeps": store.sweeps.forget(now - TOKENS_AFTER),
        }

    done = with_store(work)
    words = ", ".join(f"{count} {what} removed" for what, count in done.items())
    logger.info("state: %s", words)
    return done


def _removes_runs() -> bool:
    try:
        connection_fields(CONNECTION)
    except Missing:
        return False
    return True
