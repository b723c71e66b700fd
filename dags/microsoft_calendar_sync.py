"""### Welkin and Microsoft 365 calendars, in step.

This Airflow DAG runs each minute. `find_changed_users` reads Welkin's change feeds and asks every
mapped mailbox for changes; `sync_user` is mapped over the users that have work, and its label says
what was done; `record_run` closes the run in the state database.

*A user failed?* The task's log names the reason. Clear the task to try at once; otherwise the
user is tried again on its own back-off. *Sync somebody now:* trigger the DAG with `users`.
"""

from calendar_sync.orchestration.dags import sync_dag

microsoft_calendar_sync = sync_dag("microsoft", __doc__)
