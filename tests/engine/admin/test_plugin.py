"""What Airflow loads in each of its processes: the pages, and the guard around its API."""

import os
import subprocess
import sys
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from calendar_sync_admin import CalendarSyncAdmin as made
[app], [guard], [view] = made.fastapi_apps, made.fastapi_root_middlewares, made.external_views
print(app["url_prefix"], callable(app["app"]), guard["middleware"].__name__, view["href"])
ours = [name for name in sys.modules if name.startswith("calendar_sync.")]
print(any(name.startswith(("calendar_sync.admin.web.", "calendar_sync.state")) for name in ours))
"""


def test_the_plugin_loads_and_brings_pages_and_guard_but_nothing_heavy(tmp_path: Path) -> None:
    env = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    command = [sys.executable, "-c", SCRIPT, str(PLUGINS)]
    made = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    *_, said, heavy = made.stdout.splitlines()
    assert said == "/calendar-sync True DagGuard calendar-sync/"
    assert heavy == "False"
