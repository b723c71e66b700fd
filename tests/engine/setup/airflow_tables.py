"""Airflow's own database of the tests' process, as far as the set-up asks it."""

import contextlib
from collections.abc import Iterator

from airflow.models import import_all_models
from airflow.models.base import Base
from airflow.models.connection import Connection
from airflow.models.dag import DagModel
from airflow.models.dagbag import DagPriorityParsingRequest
from airflow.models.dagbundle import DagBundleModel
from airflow.models.log import Log
from airflow.utils.session import create_session
from sqlalchemy import delete, select


@contextlib.contextmanager
def tables() -> Iterator[None]:
    """There, and empty again at the end."""
    import_all_models()  # type: ignore[no-untyped-call]
    with create_session() as session:
        Base.metadata.create_all(session.get_bind(), checkfirst=True)
    try:
        yield
    finally:
        with create_session() as session:
            for model in (Connection, Log, DagModel, DagBundleModel):
                session.execute(delete(model))


def add_dags(dag_ids: list[str]) -> None:
    """As the DAG processor stores them, switched off."""
    with create_session() as session:
        session.add(DagBundleModel(name="dags"))
        session.flush()
        for dag_id in dag_ids:
            made = DagModel(dag_id=dag_id, bundle_name="dags")  # type: ignore[no-untyped-call]
            made.is_paused, made.is_stale = True, False
            made.fileloc, made.relative_fileloc = f"/dags/{dag_id}.py", f"{dag_id}.py"
            made.max_active_tasks, made.max_consecutive_failed_dag_runs = 16, 0
            made.has_task_concurrency_limits, made.has_import_errors = False, False
            session.add(made)


def to_parse() -> set[str]:
    """Files that the DAG processor was asked to parse."""
    with create_session() as session:
        return {row.relative_fileloc for row in session.scalars(select(DagPriorityParsingRequest))}


def switched_off() -> list[str]:
    """Names of paused DAGs."""
    with create_session() as session:
        return [row.dag_id for row in session.scalars(select(DagModel)) if row.is_paused]
