"""The Airflow DAG `calendar_sync_maintenance`."""

from calendar_sync.orchestration.dags.maintenance import maintenance_dag

calendar_sync_maintenance = maintenance_dag()
