"""The application as Airflow's API server runs it: its auth manager, one state database."""

from fastapi import FastAPI

from calendar_sync.admin.factory import create_app
from calendar_sync.admin.security import AirflowAccess
from calendar_sync.admin.web.opening import State


def serve() -> FastAPI:
    """The application of this process."""
    return create_app(AirflowAccess(), State())
