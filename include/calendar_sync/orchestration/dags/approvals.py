"""The DAG `calendar_sync_approvals`."""

from typing import Any

from airflow.sdk import DAG, get_current_context, task, task_group

from calendar_sync.core.dag_ids import APPROVALS, GRANT
from calendar_sync.orchestration.dags.common import ACCESS, ONLY_LOST_WORK, one_at_a_time, question

DOC = """### Changes that need your approval.

Trigger this Airflow DAG: it asks for each approval under *Required Actions* for an hour. Each
question says what would be done, for whom, on which dates, and why it needs approval. Approved
changes are carried out by the next syncs; an approval is valid for 24 hours. After "Keep for now"
you are asked again after a day. The page *Attention* of Calendar Sync has the same questions; an
answer there closes the question here. To start this DAG and to answer, you need the right to edit
Airflow's connections or configuration.
"""


def approvals_dag(doc: str = DOC) -> DAG:
    """The DAG `calendar_sync_approvals`: ask for each approval, and carry out the answer."""

    @one_at_a_time(APPROVALS, doc, None, access_control=ACCESS)
    def build() -> None:
        @task_group
        def decide(digest: str, subject: str, body: str) -> None:
            question("ask", digest, _waiting_words, GRANT) >> grant()

        decide.expand_kwargs(list_waiting())

    return build()


@task(retry_policy=ONLY_LOST_WORK)
def list_waiting() -> list[dict[str, str]]:
    """What needs approval, as questions."""
    from calendar_sync.orchestration.tasks import approvals

    return approvals.list_waiting()


def _waiting_words(digest: str, _params: Any) -> dict[str, str]:
    from airflow.sdk.exceptions import AirflowSkipException

    from calendar_sync.orchestration.tasks import approvals

    for waiting in approvals.list_waiting():
        if waiting["digest"] == digest:
            return waiting
    raise AirflowSkipException(f"{digest} no longer needs approval")


@task(map_index_template="{{ label }}", retry_policy=ONLY_LOST_WORK)
def grant() -> None:
    """Carry out the answer."""
    from calendar_sync.core.plurals import plural
    from calendar_sync.orchestration import answers
    from calendar_sync.orchestration.tasks import approvals

    context: Any = get_current_context()
    answer = answers.take(context)
    about = approvals.short(answer.about)
    if answer.choice != GRANT:
        # Without an author the question was not answered in time.
        if answer.author:
            approvals.leave(answer.about, answer.author)
        context["label"] = f"kept for now: {about}"
        return
    count = approvals.approve(answer.about, answer.author)
    context["label"] = f"approved for {plural(count, 'user')}: {about}"
