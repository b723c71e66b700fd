"""Builds the DAGs beside the sync. Like dags.py it is parsed again and again: no heavy imports."""

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import (
    DAG,
    CronTriggerTimetable,
    ExceptionRetryPolicy,
    Param,
    RetryAction,
    RetryRule,
    dag,
    get_current_context,
    task,
    task_group,
)

from calendar_sync.core.errors import UsersFailed
from calendar_sync.orchestration.dag_ids import (
    APPROVALS,
    DAGS,
    GRANT,
    HEALTH,
    LEAVE,
    MAINTENANCE,
    REMOVE,
    UNSYNC,
)
from calendar_sync.orchestration.dags import ONLY_LOST_WORK

START = datetime(2026, 1, 1)
ARGUMENTS = {
    "retries": 1,
    "retry_delay": timedelta(seconds=5),
    "execution_timeout": timedelta(minutes=30),
}
TAGS = ["calendar-sync"]
# No state of ours keeps a back-off for Airflow's own API, and to remove a run twice does no harm.
UNTIL_IT_ANSWERS = ExceptionRetryPolicy(
    rules=[
        RetryRule("calendar_sync.core.errors.TransientError", RetryAction.RETRY),
        *ONLY_LOST_WORK.rules,
    ]
)
# Where Airflow's auth manager knows rights for single DAGs (FAB): who is given them for the DAGs
# that ask. Whom another role gives all DAGs, admin/dag_guard.py stops.
DECIDERS = os.environ.get("CALENDAR_SYNC_DECIDING_ROLES", "Op").split(",")
ACCESS = {
    role.strip(): {"DAGs": {"can_read", "can_edit"}, "DAG Runs": {"can_read", "can_create"}}
    for role in DECIDERS
    if role.strip()
}
# An unanswered question must not block its DAG for a day. The next run asks again.
ASKED_FOR = timedelta(hours=1)
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


def _one_at_a_time(
    dag_id: str, doc: str, cron: str | None, **more: Any
) -> Callable[[Callable[[], None]], Callable[[], DAG]]:
    """The decorator of all of these: never two runs at once; scheduled in UTC, or by hand."""
    schedule = CronTriggerTimetable(cron, timezone="UTC") if cron else None
    return dag(
        dag_id=dag_id,
        schedule=schedule,
        start_date=START,
        catchup=False,
        max_active_runs=1,
        doc_md=doc,
        tags=TAGS,
        default_args=ARGUMENTS,
        **more,
    )


def _question(
    task_id: str, about: Any, words: Callable[[Any, Any], dict[str, str]], yes: str
) -> Any:
    """A task that asks a person, and leaves to the next what Airflow has noted of the answer.

    Args:
        task_id: its name.
        about: what is asked about; may be what a mapped task group gives.
        words: makes `subject` and `body` of it and of the run's params when the task runs: from
            the state database, and not from an XCom, which others may have changed.
        yes: what lets it go on.
    """
    from airflow.providers.standard.operators.hitl import HITLOperator

    class Question(HITLOperator):
        template_fields = ("about",)

        def __init__(self, *, about: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.about = about

        def execute(self, context: Any) -> Any:
            from calendar_sync.orchestration import answers

            question = words(self.about, context["params"])
            self.subject, self.body = question["subject"], question["body"]
            answers.asked(context, self.about)
            return super().execute(context)

        def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
            from calendar_sync.orchestration import answers

            told = super().execute_complete(context, event)
            answers.answered(context, event, yes, LEAVE)
            return told

    return Question(
        task_id=task_id,
        about=about,
        subject="",
        options=[yes, LEAVE],
        defaults=[LEAVE],
        response_timeout=ASKED_FOR,
        execution_timeout=None,
        retries=0,
    )


# --- sync_health ------------------------------------------------------------------------------


def health_dag(doc: str, schedule: str) -> DAG:
    """The DAG `sync_health`: check every mapped account, then report."""

    @_one_at_a_time(HEALTH, doc, schedule)
    def build() -> None:
        validate_accounts.expand(group=list_accounts()) >> report()

    return build()


@task(retry_policy=ONLY_LOST_WORK)
def list_accounts() -> list[dict[str, Any]]:
    """Read Welkin's list of users, and return all mapped users in groups."""
    from calendar_sync.orchestration import upkeep

    return upkeep.list_accounts()


@task(map_index_template="{{ label }}", retry_policy=ONLY_LOST_WORK)
def validate_accounts(group: dict[str, Any]) -> int:
    """Look at the accounts of one group; the label counts the verdicts."""
    from calendar_sync.orchestration import upkeep

    context: Any = get_current_context()
    context["label"] = upkeep.validate_accounts(group)
    return 1


# The only leaf, and always run: a run that checked nothing must not be green.
@task(trigger_rule="all_done", retry_policy=ONLY_LOST_WORK)
def report() -> dict[str, Any]:
    """Create, store and send the report; fails if accounts could not be checked."""
    from calendar_sync.orchestration import upkeep

    context: Any = get_current_context()
    pull = context["ti"].xcom_pull
    listed = pull(task_ids="list_accounts")
    # One value for each mapped task; asked for by its bare name, one value would come by itself.
    validated = [one for one in pull(task_ids=["validate_accounts"]) if one is not None]
    checked = listed is not None and len(validated) == len(listed)
    done = upkeep.report(context["run_id"], checked=checked)
    if not checked:
        raise UsersFailed(detail="not all accounts were checked: see the tasks before this one")
    return {"report": done.id, "attention": done.attention, "sent": not done.not_sent_because}


# --- calendar_sync_approvals ------------------------------------------------------------------


def approvals_dag(doc: str) -> DAG:
    """The DAG `calendar_sync_approvals`: ask for each approval, and carry out the answer."""

    @_one_at_a_time(APPROVALS, doc, None, access_control=ACCESS)
    def build() -> None:
        @task_group
        def decide(digest: str, subject: str, body: str) -> None:
            _question("ask", digest, _waiting_words, GRANT) >> grant()

        decide.expand_kwargs(list_waiting())

    return build()


@task(retry_policy=ONLY_LOST_WORK)
def list_waiting() -> list[dict[str, str]]:
    """What needs approval, as questions."""
    from calendar_sync.orchestration import upkeep

    return upkeep.list_waiting()


def _waiting_words(digest: str, _params: Any) -> dict[str, str]:
    from airflow.sdk.exceptions import AirflowSkipException

    from calendar_sync.orchestration import upkeep

    for question in upkeep.list_waiting():
        if question["digest"] == digest:
            return question
    raise AirflowSkipException(f"{digest} no longer needs approval")


@task(map_index_template="{{ label }}", retry_policy=ONLY_LOST_WORK)
def grant() -> None:
    """Carry out the answer."""
    from calendar_sync.core.plurals import plural
    from calendar_sync.orchestration import answers, upkeep

    context: Any = get_current_context()
    answer = answers.take(context)
    about = upkeep.short(answer.about)
    if answer.choice != GRANT:
        # Without an author the question was not answered in time.
        if answer.author:
            upkeep.leave(answer.about, answer.author)
        context["label"] = f"kept for now: {about}"
        return
    count = upkeep.approve(answer.about, answer.author)
    context["label"] = f"approved for {plural(count, 'user')}: {about}"


# --- calendar_unsync --------------------------------------------------------------------------


def unsync_dag(doc: str) -> DAG:
    """The DAG `calendar_unsync`: ask, disable the mapping, delete, verify."""

    @_one_at_a_time(UNSYNC, doc, None, params=UNSYNC_PARAMS, access_control=ACCESS)
    def build() -> None:
        groups = switch_off()
        ask() >> _question("approve", "", _unsync_words, REMOVE) >> groups
        unsync_users.expand(group=groups) >> prove()

    return build()


@task(retry_policy=ONLY_LOST_WORK)
def ask() -> dict[str, str]:
    """Count what would be deleted; fails if there is nothing."""
    return _unsync_words("", get_current_context()["params"])


def _unsync_words(_about: str, params: Any) -> dict[str, str]:
    from calendar_sync.orchestration import upkeep

    return upkeep.ask_unsync(
        params["users"] or (), everybody=params["everybody"], platform=params["platform"]
    )


@task(retry_policy=ONLY_LOST_WORK)
def switch_off() -> list[list[dict[str, Any]]]:
    """Disable the rows, so that nothing is created meanwhile; none if the answer was no."""
    from calendar_sync.orchestration import answers, upkeep

    context: Any = get_current_context()
    answer = answers.take(context)
    if answer.choice != REMOVE:
        return []
    params = context["params"]
    groups = upkeep.switch_off(
        params["users"] or (), platform=params["platform"], author=answer.author
    )
    answers.permit(context["run_id"], [row for group in groups for row in group])
    return groups


# Each group takes ten minutes at Welkin's rate: 20 users with 120 blocks, 4.75 requests a second.
# But Airflow runs 16 side by side, which share it: 2 hours 15 minutes, and nobody is in a hurry.
@task(
    map_index_template="{{ label }}",
    retry_policy=ONLY_LOST_WORK,
    execution_timeout=timedelta(hours=6),
)
def unsync_users(group: list[dict[str, Any]]) -> None:
    """Delete the synced events of one group and verify it; fails while some are left."""
    from calendar_sync.orchestration import answers, upkeep

    context: Any = get_current_context()
    answers.require_permitted(context["run_id"], group)
    owner = f"{context['run_id']}/{context['ti'].map_index}/unsync"[-255:]
    context["label"], rows = upkeep.unsync_group(group, run_id=context["run_id"], owner=owner)
    context["ti"].xcom_push(key="rows", value=rows)
    upkeep.raise_left(rows)


# The only leaf, and always run: a run that verified nothing must not be green.
@task(trigger_rule="all_done", retry_policy=ONLY_LOST_WORK)
def prove() -> dict[str, int]:
    """Report what was deleted; fails if anything is left, or may be."""
    from calendar_sync.orchestration import task_log, tasks, upkeep

    task_log.shorten_failures()
    context: Any = get_current_context()
    pull = context["ti"].xcom_pull
    if pull(task_ids="approve") is None:
        raise UsersFailed(detail="the question was not answered; nothing was done")
    rows = tasks.rows_of(pull(task_ids="unsync_users", key="rows"))
    expected = pull(task_ids="switch_off")
    if expected is None:
        raise UsersFailed(detail="the mapping was not disabled; nothing was done")
    return upkeep.prove_unsync(context["run_id"], rows, expected=len(tasks.rows_of(expected)))


# --- calendar_sync_maintenance ----------------------------------------------------------------


def maintenance_dag(doc: str, schedule: str) -> DAG:
    """The DAG `calendar_sync_maintenance`: remove old runs and old rows."""

    @_one_at_a_time(MAINTENANCE, doc, schedule)
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
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import AirflowSkipException

    from calendar_sync.orchestration import maintenance

    context: Any = get_current_context()
    folder = conf.get("logging", "base_log_folder")
    try:
        done = maintenance.remove_old_runs(dag_id, log_folder=folder)
    except maintenance.NoConnection as error:
        context["label"] = f"{dag_id}: {error.detail}"
        raise AirflowSkipException(error.detail) from None
    context["label"] = done.label


@task(trigger_rule="none_failed", retry_policy=ONLY_LOST_WORK)
def tidy_state() -> dict[str, int]:
    """Delete old rows of the state database."""
    from calendar_sync.orchestration import maintenance

    return maintenance.tidy_state()
