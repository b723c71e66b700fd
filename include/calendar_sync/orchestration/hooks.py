"""The Airflow hook behind connections of type `welkin`: its Test button really authenticates."""

import asyncio
from typing import Any

from airflow.sdk import BaseHook

from calendar_sync.config.credentials import WelkinCredentials, welkin_credentials
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.errors import SyncError
from calendar_sync.core.redaction import describe
from calendar_sync.orchestration.connections import connection_fields
from calendar_sync.orchestration.running import guarded
from calendar_sync.sync.runtime import try_welkin


class WelkinHook(BaseHook):
    """Reads a connection of type `welkin`.

    Args:
        welkin_conn_id: the connection's id.
    """

    conn_name_attr = "welkin_conn_id"
    default_conn_name = "welkin_default"
    conn_type = "welkin"
    hook_name = "Welkin"

    def __init__(self, welkin_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.welkin_conn_id = welkin_conn_id

    def get_conn(self) -> WelkinCredentials:
        """The credentials of the connection.

        Raises:
            ConfigurationError: a field is missing.
        """
        with guarded():
            return welkin_credentials(connection_fields(self.welkin_conn_id), self.welkin_conn_id)

    def test_connection(self) -> tuple[bool, str]:
        """Get a token and read an empty stretch of the calendar."""
        try:
            asyncio.run(try_welkin(self.get_conn(), SystemClock()))
        except SyncError as error:
            return False, f"{error.code}: {error.remedy}"
        except Exception as error:
            # Its text may hold what the connection holds.
            return False, f"unexpected: {describe(error)}"
        return True, "Authenticated, and calendar events can be read"
