"""The Airflow DAG `microsoft_calendar_sync`."""

from calendar_sync.orchestration.dags.sync import sync_dag

microsoft_calendar_sync = sync_dag("microsoft")
