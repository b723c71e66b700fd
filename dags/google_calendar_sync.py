"""### Welkin and Google Calendar, in step.

This Airflow DAG runs each minute. `find_changed_users` reads Welkin's change feeds and asks every
mapped Google account for changes; `sync_user` is mapped over the users that have work, and its
label says what was done; `record_run` closes the run in the state database.

*A user failed?* The task's log names the reason. Clear the task to try at once; otherwise the
user is tried again on its own back-off. *Sync somebody now:* trigger the DAG with `users`.
"""

from calendar_sync.orchestration.dags import sync_dag

google_calendar_sync = sync_dag("google", __doc__)
