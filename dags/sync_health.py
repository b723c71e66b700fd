"""### Check all accounts and send a report.

`list_accounts` reads Welkin's list of users. `validate_accounts` checks every mapped account
without changing anything, and gives each user one verdict. `report` creates a report with
verdicts, failures, late users, conflicts, failed items, approvals and the numbers of the day,
stores it (`calendar-sync report`), and sends it to the recipients in the settings (`notify`).

*Check now:* trigger this Airflow DAG.
"""

from calendar_sync.orchestration.dags.health import health_dag

sync_health = health_dag(__doc__, "0 5 * * *")
