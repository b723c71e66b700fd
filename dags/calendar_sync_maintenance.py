"""### Keep the run history readable.

This Airflow DAG runs each day: runs of the sync that wrote nothing go after 7 days, all others
after 90, with their local logs; so do old reports. The record of what was done, the operation
table, stays. Needs the connection `calendar_sync_airflow` (base URL of the API server, login and
password of an account that may delete runs); without it `remove_old_runs` is skipped.
"""

from calendar_sync.orchestration.upkeep_dags import maintenance_dag

calendar_sync_maintenance = maintenance_dag(__doc__, "30 4 * * *")
