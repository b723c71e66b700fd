"""### Is everybody's mapping right, and what needs a person?

`list_accounts` reads Welkin's list of staff; `validate_accounts` looks at every mapped account,
without changing anything, and gives each user one verdict; `report` puts verdicts, failures, late
users, conflicts, parked items, approvals, drift and the day's numbers together, keeps the report in
the state database (`calendar-sync report`), and sends it as the settings say (`notify`).

*Check now:* trigger this Airflow DAG.
"""

from calendar_sync.orchestration.upkeep_dags import health_dag

sync_health = health_dag(__doc__, "0 5 * * *")
