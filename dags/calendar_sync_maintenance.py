"""### Delete old runs.

This Airflow DAG runs every day. It deletes runs of the sync that wrote nothing after 7 days and
all others after 90 days, with their local logs, and old reports. The audit log is kept. It needs
the connection `calendar_sync_airflow` (base URL of the API server, login and password of an
account that can delete runs); without it `remove_old_runs` is skipped.
"""

from calendar_sync.orchestration.dags.maintenance import maintenance_dag

calendar_sync_maintenance = maintenance_dag(__doc__, "30 4 * * *")
