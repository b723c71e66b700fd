"""What Airflow loads in each of its processes: the pages, and the guard around its API."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.api_fastapi.core_api.routes.public.plugins import plugins_router
from airflow.api_fastapi.core_api.routes.ui.config import config_router
from fastapi import APIRouter
from fastapi.routing import APIRoute

from calendar_sync.admin.plugin import CalendarSyncAdmin
from calendar_sync.orchestration import own_page

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
SCRIPT = """
import sys
from calendar_sync.admin.plugin import CalendarSyncAdmin as made
[app], [guard], views = made.fastapi_apps, made.fastapi_root_middlewares, made.external_views
hrefs = [view["href"] for view in views]
print(app["url_prefix"], callable(app["app"]), guard["middleware"].__name__, *hrefs)
ours = [name for name in sys.modules if name.startswith("calendar_sync.")]
print(any(name.startswith(("calendar_sync.admin.web.", "calendar_sync.state")) for name in ours))
"""


def test_the_plugin_loads_and_brings_pages_and_guard_but_nothing_heavy(tmp_path: Path) -> None:
    env = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    command = [sys.executable, "-c", SCRIPT]
    made = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    *_, said, heavy = made.stdout.splitlines()
    assert said == "/calendar-sync True DagGuard calendar-sync/ calendar-sync/mine"
    assert heavy == "False"


TWICE = """
from airflow import plugins_manager
plugins, errors = plugins_manager._get_plugins()
assert not errors, errors
print(*[type(one.source).__name__ for one in plugins if one.name == "calendar_sync_admin"])
"""


@pytest.mark.parametrize(
    "folder", [PLUGINS, None], ids=["installed and in the folder", "installed"]
)
def test_airflow_loads_it_once_wherever_the_package_is_installed(
    tmp_path: Path, folder: Path | None
) -> None:
    (tmp_path / "plugins").mkdir()
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(folder or tmp_path / "plugins"),
    }
    command = [sys.executable, "-c", TWICE]
    made = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert len(made.stdout.splitlines()[-1].split()) == 1


def test_everybody_who_can_sign_in_sees_the_link_to_their_own_page(tmp_path: Path) -> None:
    """Airflow asks for the right to see plugins for their entries, and for none for alerts."""

    def rights(router: APIRouter, path: str) -> list[str]:
        [route] = [one for one in router.routes if isinstance(one, APIRoute) and one.path == path]
        return [str(one.dependency).split()[1].split(".")[0] for one in route.dependencies]

    assert rights(plugins_router, "/plugins") == ["requires_access_view"]
    assert rights(config_router, "/config") == ["requires_authenticated"]
    (tmp_path / "config").mkdir()
    line = "from calendar_sync.orchestration.own_page import DASHBOARD_UIALERTS"
    assert line in (own_page.__doc__ or "")
    (tmp_path / "config" / "airflow_local_settings.py").write_text(line)
    script = "import airflow.settings as s; print([one.text for one in s.DASHBOARD_UIALERTS])"
    env = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    made = subprocess.run(
        [sys.executable, "-c", f"import airflow.settings; airflow.settings.initialize(); {script}"],
        env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert made.stdout.splitlines()[-1] == str([own_page.TEXT])
    assert f"({CalendarSyncAdmin.external_views[1]['href']})" in own_page.TEXT
