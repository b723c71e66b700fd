"""Imports what tasks of the sync need in the processes that Airflow forks them from.

Write `import calendar_sync.orchestration.preload` into `airflow_local_settings.py`, which every
process of Airflow imports at its start. The scheduler (with LocalExecutor) and a Celery worker hand
on what they have imported to each task; all other processes import nothing here.
"""

import sys

#: Commands of Airflow's whose processes fork tasks.
FORKS = frozenset({"scheduler", "worker"})

if FORKS & set(sys.argv[1:]):
    from calendar_sync.adapters.certificates import ssl_context

    # To read the usual certificates takes as long as a task.
    ssl_context()
