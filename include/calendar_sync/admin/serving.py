"""The application as Airflow's API server runs it: its auth manager, one state database."""

from fastapi import FastAPI

from calendar_sync.admin.factory import create_app
from calendar_sync.admin.security import AirflowAccess
from calendar_sync.admin.web.opening import State
from calendar_sync.admin.web.outside import as_server
from calendar_sync.orchestration.first_start import first_start


def serve() -> FastAPI:
    """The application of this process. At the very first start the state database is made."""
    with as_server():
        first_start()
    return create_app(AirflowAccess(), State())
