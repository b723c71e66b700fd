"""The Airflow DAG `google_calendar_sync`."""

from calendar_sync.orchestration.dags.sync import sync_dag

google_calendar_sync = sync_dag("google")
