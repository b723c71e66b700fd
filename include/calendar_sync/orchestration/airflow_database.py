"""What only Airflow's own database tells or takes, outside of its API: server and CLI use it."""

from collections.abc import Iterable, Mapping
from typing import Any

from calendar_sync.orchestration.connections import airflow_database


def paused(dag_ids: Iterable[str]) -> dict[str, bool | None]:
    """Whether each DAG is switched off; None for one that Airflow does not know (any more).

    Raises:
        ConfigurationError: the database cannot be read.
    """
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    wanted = list(dag_ids)
    query = select(DagModel.dag_id, DagModel.is_paused).where(
        DagModel.dag_id.in_(wanted), DagModel.is_stale.is_(False)
    )
    with airflow_database(), create_session() as session:
        found = {row.dag_id: bool(row.is_paused) for row in session.execute(query)}
    return {dag_id: found.get(dag_id) for dag_id in wanted}


def switch_on(dag_ids: Iterable[str]) -> None:
    """Unpause these DAGs, as `airflow dags unpause` does.

    Raises:
        ConfigurationError: the database cannot be written.
    """
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with airflow_database(), create_session() as session:
        wanted = DagModel.dag_id.in_(list(dag_ids))
        session.execute(update(DagModel).where(wanted).values(is_paused=False))


def store_connection(document: Mapping[str, Any]) -> None:
    """Add a connection, or replace it. `document` is what Airflow's API takes.

    Raises:
        ConfigurationError: the database cannot be written.
    """
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    values = dict(document)
    name = values.pop("connection_id")
    with airflow_database(), create_session() as session:
        session.execute(delete(Connection).where(Connection.conn_id == name))
        session.add(Connection(conn_id=name, **values))
