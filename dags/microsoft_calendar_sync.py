"""### Sync Welkin with Microsoft 365 calendars.

Airflow's triggerer looks for changes and starts this DAG when somebody has work; besides, it
runs every 5 minutes. `find_changed_users` takes the users with work; `sync_user` is mapped over
them, and its label says what was done; `record_run` closes the run in the state database.

*A user failed?* The log of the task gives the reason. Clear the task to retry at once; otherwise
the user is retried later. *Sync users now:* trigger the DAG with `users`.
"""

from calendar_sync.orchestration.dags.sync import sync_dag

microsoft_calendar_sync = sync_dag("microsoft", __doc__)
