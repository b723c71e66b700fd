"""The Airflow DAG `calendar_sync_approvals`."""

from calendar_sync.orchestration.dags.approvals import approvals_dag

calendar_sync_approvals = approvals_dag()
