"""The names of our DAGs, and the answers that they offer. Imports nothing: DAG files read it."""

GOOGLE = "google_calendar_sync"
MICROSOFT = "microsoft_calendar_sync"
HEALTH = "sync_health"
APPROVALS = "calendar_sync_approvals"
UNSYNC = "calendar_unsync"
MAINTENANCE = "calendar_sync_maintenance"
#: Where admin/dag_guard.py leaves the rest of Airflow's API server in the scope of each request.
AIRFLOW_HERE = "calendar_sync.airflow"
DAGS = (GOOGLE, MICROSOFT, HEALTH, APPROVALS, UNSYNC, MAINTENANCE)
# They can delete many events: see admin/dag_guard.py.
DECIDING = frozenset({APPROVALS, UNSYNC})
# Answers to what waits for approval, and to an un-sync.
GRANT, REMOVE, LEAVE = "Approve", "Delete", "Keep for now"


def sync_of(platform: str) -> str:
    """The DAG that syncs this platform."""
    return f"{platform}_calendar_sync"
