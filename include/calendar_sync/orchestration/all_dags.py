"""All DAGs, for an Airflow whose folder of DAGs holds one short file instead of `dags/`.

The file is `from calendar_sync.orchestration.all_dags import *`, with the words Airflow and DAG in
a comment: Airflow does not read files without them.
"""

from calendar_sync.orchestration.dags.approvals import approvals_dag
from calendar_sync.orchestration.dags.health import health_dag
from calendar_sync.orchestration.dags.maintenance import maintenance_dag
from calendar_sync.orchestration.dags.sync import sync_dag
from calendar_sync.orchestration.dags.unsync import unsync_dag

google_calendar_sync = sync_dag("google")
microsoft_calendar_sync = sync_dag("microsoft")
sync_health = health_dag()
calendar_sync_approvals = approvals_dag()
calendar_unsync = unsync_dag()
calendar_sync_maintenance = maintenance_dag()

__all__ = [
    "calendar_sync_approvals",
    "calendar_sync_maintenance",
    "calendar_unsync",
    "google_calendar_sync",
    "microsoft_calendar_sync",
    "sync_health",
]
