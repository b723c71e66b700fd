"""### Take everything back.

An Airflow DAG for the users named (or everybody): it counts what the sync has made, asks for
approval under *Required Actions* (for an hour; unanswered, nothing is removed), switches their rows
of the mapping off, removes exactly our mirrors and blocks, reads both sides again, and fails while
anything of ours is left. Clearing `unsync_users` goes on where it stopped; an answer counts once,
and to clear `approve` asks anew. Starting and answering it needs the right to edit Airflow's
connections or its configuration. Past blocks stay: they are Welkin's record of time that was taken.
"""

from calendar_sync.orchestration.upkeep_dags import unsync_dag

calendar_unsync = unsync_dag(__doc__)
