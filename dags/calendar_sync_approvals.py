"""### What waits for a person's word.

Trigger this Airflow DAG: each thing that a brake holds back becomes a question under *Required
Actions*, with the users and counts concerned. What is approved goes on with the next run of the
sync, for 24 hours; what is left stays as it is, and can be asked about again. Starting and
answering it needs the right to edit Airflow's connections or its configuration.
"""

from calendar_sync.orchestration.upkeep_dags import approvals_dag

calendar_sync_approvals = approvals_dag(__doc__)
