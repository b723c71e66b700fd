"""### Changes that need your approval.

Trigger this Airflow DAG: it asks for each approval under *Required Actions* for an hour. Each
question says what would be done, for whom, on which dates, and why it needs approval. Approved
changes are carried out by the next syncs; an approval is valid for 24 hours. After "Keep for now"
you are asked again after a day. The page *Attention* of Calendar Sync has the same questions; an
answer there closes the question here. To start this DAG and to answer, you need the right to edit
Airflow's connections or configuration.
"""

from calendar_sync.orchestration.dags.approvals import approvals_dag

calendar_sync_approvals = approvals_dag(__doc__)
