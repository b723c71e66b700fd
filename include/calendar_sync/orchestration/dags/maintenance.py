"""The DAG `calendar_sync_maintenance`."""

from datetime import timedelta
from typing import Any

from airflow.sdk import (
    DAG,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
    get_current_context,
    task,
)

from calendar_sync.core.dag_ids import DAGS, MAINTENANCE
from calendar_sync.orchestration.dags.common import ONLY_LOST_WORK, one_at_a_time, setting

DOC = """### Delete old runs.

This Airflow DAG runs every day. It deletes runs of the sync that wrote nothing after 7 days and
all others after 90 days, and old reports. Each worker deletes its log files of such runs within a
day, at the end of a run of the sync. The audit log is kept. It needs
the connection `calendar_sync_airflow` (base URL of the API server, login and password of an
account that can delete runs); without it `remove_old_runs` is skipped.
"""
SCHEDULE = setting("CALENDAR_SYNC_MAINTENANCE_SCHEDULE", "30 4 * * *")

# No state of ours keeps a back-off for Airflow's own API, and to remove a run twice does no harm.
UNTIL_IT_ANSWERS = ExceptionRetryPolicy(
    rules=[
        RetryRule("calendar_sync.core.errors.TransientError", RetryAction.RETRY),
        *ONLY_LOST_WORK.rules,
    ]
)


def maintenance_dag(doc: str = DOC, schedule: str = SCHEDULE) -> DAG:
    """The DAG `calendar_sync_maintenance`: remove old runs and old rows."""

    @one_at_a_time(MAINTENANCE, doc, schedule)
    def build() -> None:
        # Which runs were empty, the rows say that are tidied away afterwards.
        remove_old_runs.expand(dag_id=list(DAGS)) >> tidy_state()

    return build()


@task(
    map_index_template="{{ label }}",
    retry_policy=UNTIL_IT_ANSWERS,
    retries=4,
    retry_delay=timedelta(seconds=10),
)
def remove_old_runs(dag_id: str) -> None:
    """Remove old runs of one DAG; skipped where no connection says how to reach Airflow."""
    from airflow.sdk.exceptions import AirflowSkipException

    from calendar_sync.orchestration.tasks import maintenance

    context: Any = get_current_context()
    try:
        done = maintenance.remove_old_runs(dag_id)
    except maintenance.NoConnection as error:
        context["label"] = f"{dag_id}: {error.detail}"
        raise AirflowSkipException(error.detail) from None
    context["label"] = done.label


@task(trigger_rule="none_failed", retry_policy=ONLY_LOST_WORK)
def tidy_state() -> dict[str, int]:
    """Delete old rows of the state database."""
    from calendar_sync.orchestration.tasks import maintenance

    return maintenance.tidy_state()
