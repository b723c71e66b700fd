"""The Airflow DAG `sync_health`."""

from calendar_sync.orchestration.dags.health import health_dag

sync_health = health_dag()
