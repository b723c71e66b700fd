"""### Delete all synced events of users.

This Airflow DAG counts the synced events and busy blocks of some or all users, asks for
confirmation under *Required Actions* (for an hour; without an answer nothing is deleted),
disables their rows of the mapping, deletes the events, and reads both sides again. It fails while
anything is left. If you clear `unsync_users`, it continues where it stopped; if you clear
`approve`, it asks again, since an answer can be used only once. To start this DAG and to answer,
you need the right to edit Airflow's connections or configuration. Busy blocks in the past are
kept as a record in Welkin.
"""

from calendar_sync.orchestration.dags.unsync import unsync_dag

calendar_unsync = unsync_dag(__doc__)
