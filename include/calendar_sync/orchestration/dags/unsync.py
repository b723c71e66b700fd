"""The DAG `calendar_unsync`."""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task

from calendar_sync.core.dag_ids import REMOVE, UNSYNC
from calendar_sync.core.errors import UsersFailed
from calendar_sync.orchestration.dags.common import ACCESS, ONLY_LOST_WORK, one_at_a_time, question

DOC = """### Delete all synced events of users.

This Airflow DAG counts the synced events and busy blocks of some or all users, asks for
confirmation under *Required Actions* (for an hour; without an answer nothing is deleted),
disables their rows of the mapping, deletes the events, and reads both sides again. It fails while
anything is left. If you clear `unsync_users`, it continues where it stopped; if you clear
`approve`, it asks again, since an answer can be used only once. To start this DAG and to answer,
you need the right to edit Airflow's connections or configuration. Busy blocks in the past are
kept as a record in Welkin.
"""
UNSYNC_PARAMS = {
    "users": Param(
        [],
        type=["null", "array"],
        items={"type": "string"},
        title="Users",
        description="Welkin user ids or e-mail addresses. Leave empty for Everybody.",
    ),
    "everybody": Param(
        False, type="boolean", title="Everybody", description="All users. Leave Users empty."
    ),
    "platform": Param(
        "both",
        enum=["both", "google", "microsoft"],
        title="Platform",
        description="Which calendar systems",
    ),
}


def unsync_dag(doc: str = DOC) -> DAG:
    """The DAG `calendar_unsync`: ask, disable the mapping, delete, verify."""

    @one_at_a_time(UNSYNC, doc, None, params=UNSYNC_PARAMS, access_control=ACCESS)
    def build() -> None:
        groups = switch_off()
        ask() >> question("approve", "", _unsync_words, REMOVE) >> groups
        unsync_users.expand(group=groups) >> prove()

    return build()


@task(retry_policy=ONLY_LOST_WORK)
def ask() -> dict[str, str]:
    """Count what would be deleted; fails if there is nothing."""
    return _unsync_words("", get_current_context()["params"])


def _unsync_words(_about: str, params: Any) -> dict[str, str]:
    from calendar_sync.orchestration.tasks import unsync

    return unsync.ask(
        params["users"] or (), everybody=params["everybody"], platform=params["platform"]
    )


@task(retry_policy=ONLY_LOST_WORK)
def switch_off() -> list[list[dict[str, Any]]]:
    """Disable the rows, so that nothing is created meanwhile; none if the answer was no."""
    from calendar_sync.orchestration import answers
    from calendar_sync.orchestration.tasks import unsync

    context: Any = get_current_context()
    answer = answers.take(context)
    if answer.choice != REMOVE:
        return []
    params = context["params"]
    groups = unsync.switch_off(
        params["users"] or (), platform=params["platform"], author=answer.author
    )
    answers.permit(context["run_id"], [row for group in groups for row in group])
    return groups


# Each group takes ten minutes at Welkin's rate: 20 users with 120 blocks, 4.75 requests a second.
# But Airflow runs 16 side by side, which share it: 2 hours 15 minutes, which is soon enough.
@task(
    map_index_template="{{ label }}",
    retry_policy=ONLY_LOST_WORK,
    execution_timeout=timedelta(hours=6),
)
def unsync_users(group: list[dict[str, Any]]) -> None:
    """Delete the synced events of one group and verify it; fails while some are left."""
    from calendar_sync.orchestration import answers
    from calendar_sync.orchestration.tasks import unsync

    context: Any = get_current_context()
    answers.require_permitted(context["run_id"], group)
    owner = f"{context['run_id']}/{context['ti'].map_index}/unsync"[-255:]
    context["label"], rows = unsync.clean_up(group, run_id=context["run_id"], owner=owner)
    context["ti"].xcom_push(key="rows", value=rows)
    unsync.raise_left(rows)


# The only leaf, and always run: a run that verified nothing must not be green.
@task(trigger_rule="all_done", retry_policy=ONLY_LOST_WORK)
def prove() -> dict[str, int]:
    """Report what was deleted; fails if anything is left, or may be."""
    from calendar_sync.orchestration import task_log
    from calendar_sync.orchestration.tasks import unsync
    from calendar_sync.orchestration.tasks.closing import rows_of

    task_log.shorten_failures()
    context: Any = get_current_context()
    pull = context["ti"].xcom_pull
    if pull(task_ids="approve") is None:
        raise UsersFailed(detail="the question was not answered; nothing was done")
    rows = rows_of(pull(task_ids="unsync_users", key="rows"))
    expected = pull(task_ids="switch_off")
    if expected is None:
        raise UsersFailed(detail="the mapping was not disabled; nothing was done")
    return unsync.prove(context["run_id"], rows, expected=len(rows_of(expected)))
