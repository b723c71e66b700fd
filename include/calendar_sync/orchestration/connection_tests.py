"""Trying the connections that are Airflow's own business: mail, and its API.

Only the type of a failure is told, as its text may hold addresses and answers of servers.
"""

import json
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from calendar_sync.config.credentials import Fields
from calendar_sync.orchestration.airflow_api import AirflowApi

ANY_DAG = "calendar_sync_maintenance"
#: For each answer of a mail server.
MAIL_SECONDS = 10


def mail_fault(name: str, reading: AbstractContextManager[None]) -> str:
    """Why mail cannot be sent over this connection; empty when the server answers.

    The connection is read within `reading`; the server is asked once, and not waited for long.
    """
    from airflow.providers.smtp.hooks.smtp import SmtpHook
    from airflow.sdk import BaseHook, Connection

    with reading:
        connection = BaseHook.get_connection(name)
    connection.extra = json.dumps(
        {**connection.extra_dejson, "timeout": MAIL_SECONDS, "retry_limit": 0}
    )

    class Known(SmtpHook):
        """Asks Airflow for nothing."""

        @classmethod
        def get_connection(cls, conn_id: str) -> Connection:
            """The one that was read."""
            return connection

    try:
        with Known(smtp_conn_id=name) as hook:
            works, _ = hook.test_connection()
    except Exception as error:
        return type(error).__name__
    return "" if works else "the server is not a mail server"


def try_airflow(fields: Fields) -> None:
    """Sign in to Airflow's API and ask for runs.

    Raises:
        SyncError: why not.
    """
    AirflowApi(fields).ended_runs(ANY_DAG, datetime(2000, 1, 1, tzinfo=UTC))
