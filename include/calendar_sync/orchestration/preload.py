"""Imports what tasks of the sync need in the processes that Airflow forks them from.

Write `import calendar_sync.orchestration.preload` into `airflow_local_settings.py`, which every
process of Airflow imports at its start. The scheduler (with LocalExecutor) and a Celery worker hand
on what they have imported to each task; all other processes import nothing here.
"""

import contextlib
import importlib
import sys

#: Commands of Airflow's whose processes fork tasks.
FORKS = frozenset({"scheduler", "worker"})

if FORKS & set(sys.argv[1:]):
    import airflow.sdk.bases.hook
    import airflow.sdk.execution_time.supervisor  # noqa: F401

    import calendar_sync.orchestration.dags.sync
    import calendar_sync.orchestration.running
    import calendar_sync.orchestration.tasks.closing
    import calendar_sync.orchestration.tasks.sync  # noqa: F401
    from calendar_sync.adapters.certificates import ssl_context
    from calendar_sync.core.errors import ConfigurationError

    # To read the usual certificates takes as long as a task. Whoever needs them says what is wrong.
    with contextlib.suppress(ConfigurationError):
        ssl_context()

    # What httpx imports when it is first used, and what a new token of Google's takes.
    for name in (
        "anyio._backends._asyncio",
        "anyio.streams.stapled",
        "anyio.streams.tls",
        "google.auth.crypt",
        "google.auth.jwt",
    ):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
