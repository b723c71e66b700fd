"""Registers the pages (the app; two entries in Airflow's navigation) and the guard."""

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from calendar_sync.admin import app, receiving
from calendar_sync.admin.dag_guard import DagGuard
from calendar_sync.admin.web import PREFIX


def _apps() -> list[dict[str, Any]]:
    apps = [{"app": app, "url_prefix": PREFIX, "name": "Calendar Sync"}]
    if receiving.wanted():
        push = receiving.receiving_app()
        apps.append({"app": push, "url_prefix": receiving.PREFIX, "name": "Calendar Sync Push"})
    return apps


class CalendarSyncAdmin(AirflowPlugin):
    """The pages show inside the Airflow UI, which frames them."""

    name = "calendar_sync_admin"
    fastapi_apps = _apps()
    # Around all of Airflow's API: who may start and answer what removes things for many.
    fastapi_root_middlewares = [{"middleware": DagGuard, "name": "Calendar Sync"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Calendar Sync",
            # Relative to where the Airflow UI is, which may be below a path of its own.
            "href": f"{PREFIX[1:]}/",
            "destination": "nav",
            "url_route": "calendar-sync",
            "nav_top_level": True,
            "icon": f"{PREFIX[1:]}/static/icon/icon.svg",
            "icon_dark_mode": f"{PREFIX[1:]}/static/icon/icon-dark.svg",
        },
        {
            # Airflow shows it to those who may see its plugins; the address works for all, and
            # `orchestration/own_page` puts it on Airflow's home page.
            "name": "My calendar sync",
            "href": f"{PREFIX[1:]}/mine",
            "destination": "nav",
            "url_route": "my-calendar-sync",
            "nav_top_level": True,
            "icon": f"{PREFIX[1:]}/static/icon/icon.svg",
            "icon_dark_mode": f"{PREFIX[1:]}/static/icon/icon-dark.svg",
        },
    ]
