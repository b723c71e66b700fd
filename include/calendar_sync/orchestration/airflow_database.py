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
    """Unpause these DAGs, as `airflow dags unpause` does, and have their files parsed.

    Airflow starts the triggers that look for changes when it next parses the file of a DAG.

    Raises:
        ConfigurationError: the database cannot be written.
    """
    from airflow.models.dag import DagModel
    from airflow.models.dagbag import DagPriorityParsingRequest
    from airflow.utils.session import create_session
    from sqlalchemy import select

    request = DagPriorityParsingRequest
    with airflow_database(), create_session() as session:
        waiting = session.execute(select(request.bundle_name, request.relative_fileloc))
        asked = {(row.bundle_name, row.relative_fileloc) for row in waiting}
        for dag in session.scalars(select(DagModel).where(DagModel.dag_id.in_(list(dag_ids)))):
            dag.is_paused = False
            bundle, file = dag.bundle_name, dag.relative_fileloc
            if file is not None and (bundle, file) not in asked:
                asked.add((bundle, file))
                session.add(request(bundle, file))


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
