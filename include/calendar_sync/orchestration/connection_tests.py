"""Trying the connections that are Airflow's own business: mail, and its API.

Only the type of a failure is told, as its text may hold addresses and answers of servers.
"""

from datetime import UTC, datetime

from calendar_sync.connections import Fields
from calendar_sync.orchestration.airflow_api import AirflowApi

ANY_DAG = "calendar_sync_maintenance"


def mail_fault(name: str) -> str:
    """Why mail cannot be sent over this connection; empty when the server answers."""
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    try:
        with SmtpHook(smtp_conn_id=name) as hook:
            works, _ = hook.test_connection()
    except Exception as error:
        return type(error).__name__
    return "" if works else "the server does not answer as a mail server does"


def try_airflow(fields: Fields) -> None:
    """Sign in to Airflow's API and ask for runs.

    Raises:
        SyncError: why not.
    """
    AirflowApi(fields).ended_runs(ANY_DAG, datetime(2000, 1, 1, tzinfo=UTC))
