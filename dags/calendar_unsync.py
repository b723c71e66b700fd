"""The Airflow DAG `calendar_unsync`."""

from calendar_sync.orchestration.dags.unsync import unsync_dag

calendar_unsync = unsync_dag()
