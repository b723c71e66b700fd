"""### What waits for a person's word.

Trigger this Airflow DAG: each thing that a brake holds back becomes a question under *Required
Actions* for an hour: what would be done for whom, on which dates, and why it waits. What is
approved goes on with the next run of the sync, for 24 hours; what is to be kept for now is not
asked again for a day. The page *Attention* of Calendar Sync has the same questions: answered there,
they are closed here. Starting and answering it needs the right to edit Airflow's connections or its
configuration.
"""

from calendar_sync.orchestration.upkeep_dags import approvals_dag

calendar_sync_approvals = approvals_dag(__doc__)
