"""Our own DAG for the bench's Airflow, started by hand: the schedule would disturb the others."""

from calendar_sync.orchestration.dags.sync import sync_dag

google_calendar_sync = sync_dag("google", "See dags/google_calendar_sync.py.", "0 0 1 1 *")
