"""Imports what tasks of the sync need in the processes that Airflow forks them from.

Write `import calendar_sync.orchestration.preload` into `airflow_local_settings.py`, which every
process of Airflow imports at its start. The scheduler (with LocalExecutor) and a Celery worker hand
on what they have imported to each task; all other processes import nothing here.
"""

import importlib
import logging
import sys

logger = logging.getLogger(__name__)

#: Commands of Airflow's whose processes fork tasks.
FORKS = frozenset({"scheduler", "worker"})
MODULES = (
    "airflow.sdk.bases.hook",
    "airflow.sdk.execution_time.supervisor",
    # With the decorators of Airflow's that every DAG file imports.
    "calendar_sync.orchestration.dags.sync",
    "calendar_sync.orchestration.running",
    "calendar_sync.orchestration.tasks.closing",
    "calendar_sync.orchestration.tasks.sync",
    # httpx imports these when it is first used.
    "anyio._backends._asyncio",
    "anyio.streams.stapled",
    "anyio.streams.tls",
    # For a new token of Google's.
    "google.auth.crypt",
    "google.auth.jwt",
)


def preload() -> None:
    """Import them all, and read the usual certificates, which takes as long as a task."""
    for name in MODULES:
        try:
            importlib.import_module(name)
        except Exception as error:
            # The task that needs it says what is wrong: it must not keep Airflow from starting.
            logger.warning("preload: %s: %s", name, type(error).__name__)
    try:
        from calendar_sync.adapters.certificates import ssl_context

        ssl_context()
    except Exception as error:
        logger.warning("preload: certificates: %s", type(error).__name__)


if FORKS & set(sys.argv[1:]):
    preload()
