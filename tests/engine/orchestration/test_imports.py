"""What every task would pay for before it begins: three quarters of its time were imports."""

import subprocess
import sys

import pytest

#: Migrations are the command's; MSAL and google.auth are for who needs a new token, certificates
#: for who has one; reports and alarms are for the last task of a run.
HEAVY = (
    "alembic",
    "mako",
    "msal",
    "google.auth",
    "requests",
    "rich",
    "fastapi",
    "cryptography.x509",
    "calendar_sync.config.certificate",
    "calendar_sync.insight",
)
PROGRAM = """
import sys
import airflow.sdk.execution_time.task_runner
before = set(sys.modules)
import calendar_sync.orchestration.tasks.sync
import calendar_sync.orchestration.running
print(*sorted(sys.modules.keys() - before))
"""


def test_a_task_imports_nothing_that_it_may_not_need() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    imported = done.stdout.splitlines()[-1].split()
    assert "calendar_sync.orchestration.tasks.sync" in imported
    assert [name for name in HEAVY if name in imported] == []


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["airflow", "scheduler"], True),
        (["airflow", "celery", "worker", "--queues", "default"], True),
        (["airflow", "triggerer"], False),
        (["airflow", "dags", "list"], False),
        (["calendar-sync", "status"], False),
    ],
)
def test_who_forks_tasks_imports_for_them_and_no_other_process_does(
    command: list[str], expected: bool
) -> None:
    program = f"import sys; sys.argv = {command!r}; import calendar_sync.orchestration.preload; "
    program += "from calendar_sync.orchestration.preload import MODULES; "
    program += "print({name in sys.modules for name in MODULES})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == str({expected})


def test_what_cannot_be_imported_keeps_airflow_from_nothing() -> None:
    program = "import sys; sys.argv = ['airflow', 'scheduler']; "
    program += "sys.modules['calendar_sync.orchestration.tasks.closing'] = None; "
    program += "import calendar_sync.orchestration.preload; "
    program += "print('calendar_sync.orchestration.tasks.sync' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "True"
    # Airflow has configured logging by then.
    assert "preload: calendar_sync.orchestration.tasks.closing: " in done.stdout + done.stderr


REQUEST = """
import sys
sys.argv = ["airflow", "scheduler"]
import calendar_sync.orchestration.preload
import asyncio, contextlib, httpx, logging
before = set(sys.modules)

async def ask():
    async with httpx.AsyncClient(trust_env=False) as client:
        with contextlib.suppress(httpx.ConnectError):
            await client.get("https://127.0.0.1:9/")

asyncio.run(ask())
print(*sorted(sys.modules.keys() - before))
"""


def test_the_preload_leaves_the_event_loop_of_other_tasks_alone() -> None:
    program = "import sys; sys.argv = ['airflow', 'scheduler']; "
    program += "import calendar_sync.orchestration.preload; import asyncio, warnings; "
    program += "warnings.simplefilter('ignore'); print(asyncio.get_event_loop().is_running())"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_a_forked_tasks_first_request_imports_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", REQUEST], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1:] == [""]
