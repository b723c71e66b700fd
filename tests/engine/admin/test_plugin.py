"""What Airflow loads in each of its processes: the pages, and the guard around its API."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
