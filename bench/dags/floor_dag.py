"""An empty DAG that an event starts: what comes before any work of ours."""

from datetime import datetime

from airflow.sdk import Asset, AssetWatcher, dag, task
from bench.floor import FloorTrigger


@dag(
    schedule=[Asset("floor_changes", watchers=[AssetWatcher("floor", trigger=FloorTrigger())])],
    start_date=datetime(2026, 1, 1),
    catchup=False,
)
def floor() -> None:
    """One task, nothing in it."""
    nothing()


@task
def nothing() -> None:
    """Do nothing."""


floor()
