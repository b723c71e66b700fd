"""What the DAGs share: retries, rights, and tasks that ask a person."""

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import (
    DAG,
    CronTriggerTimetable,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
    dag,
)

from calendar_sync.core.dag_ids import LEAVE

# The sync retries its own errors, by times in the state database. Airflow retries only a lost
# process or database.
ONLY_LOST_WORK = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="calendar_sync.core.errors.SyncError",
            action=RetryAction.FAIL,
            reason="the sync retries by itself",
        )
    ]
)
START = datetime(2026, 1, 1)


def setting(variable: str, otherwise: str = "") -> str:
    """What the deployment wants: a variable of the environment, set for all parts of Airflow."""
    return os.environ.get(variable, "").strip() or otherwise


_WHERE = {
    "queue": setting("CALENDAR_SYNC_QUEUE"),
    "pool": setting("CALENDAR_SYNC_POOL"),
    "executor": setting("CALENDAR_SYNC_EXECUTOR"),
}
#: Where tasks run, as arguments of each; what is not named, Airflow's own settings decide.
PLACE = {name: value for name, value in _WHERE.items() if value}
ARGUMENTS = PLACE | {
    "retries": 1,
    "retry_delay": timedelta(seconds=5),
    "execution_timeout": timedelta(minutes=30),
}
TAGS = ["calendar-sync"]
# Whether the deployment runs Airflow's triggerer, which looks for changes all the time.
HAS_TRIGGERER = setting("CALENDAR_SYNC_TRIGGERER", "on").lower() != "off"
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


def one_at_a_time(
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


def question(
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
