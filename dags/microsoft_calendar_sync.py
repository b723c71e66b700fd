"""### Sync Welkin with Microsoft 365 calendars.

This Airflow DAG runs every minute. `find_changed_users` reads changes from Welkin and from every
mapped mailbox; `sync_user` is mapped over the users with changes, and its label says what was
done; `record_run` closes the run in the state database.

*A user failed?* The log of the task gives the reason. Clear the task to retry at once; otherwise
the user is retried later. *Sync users now:* trigger the DAG with `users`.
"""

from calendar_sync.orchestration.dags.sync import sync_dag

microsoft_calendar_sync = sync_dag("microsoft", __doc__)
