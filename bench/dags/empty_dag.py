"""Mapped tasks with nothing in them: what Airflow itself takes for one."""

from datetime import datetime

from airflow.sdk import Param, dag, get_current_context, task


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    params={"tasks": Param(1, type="integer", description="how many")},
)
def empty_mapped() -> None:
    """As many tasks as asked for."""
    nothing.expand(number=numbers())


@task
def numbers() -> list[int]:
    """One for each task."""
    return list(range(get_current_context()["params"]["tasks"]))


@task
def nothing(number: int) -> None:
    """Do nothing."""


empty_mapped()
