"""Questions that Airflow has open for us, and where our pages are.

Answers need Airflow's own database: the API server has it, the CLI may have it, tasks have not.
"""

from datetime import UTC, datetime

from calendar_sync.core.dag_ids import APPROVALS

PAGES = "/calendar-sync"


def pages_address() -> str:
    """Where our pages are, as a task can know it; without a configured address a path."""
    from airflow.sdk.configuration import conf

    base: str = conf.get("api", "base_url", fallback="") or ""
    return f"{base.rstrip('/')}{PAGES}"


def close_questions(digest: str, option: str, user_id: str, name: str) -> int:
    """Answer what Airflow asks about this approval, as a person has answered it on a page.

    Done as Airflow's own API does it, by the same person: the waiting task goes on with the answer.
    Returns how many questions were open.
    """
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import handle_event_submit
    from airflow.triggers.base import TriggerEvent
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    waiting = (TaskInstanceState.AWAITING_INPUT, TaskInstanceState.DEFERRED)
    asked = (
        select(HITLDetail)
        .join(TaskInstance, TaskInstance.id == HITLDetail.ti_id)
        .where(
            TaskInstance.dag_id == APPROVALS,
            TaskInstance.state.in_(waiting),
            HITLDetail.responded_at.is_(None),
            HITLDetail.body.contains(f"`{digest}`", autoescape=True),
        )
    )
    closed = 0
    with create_session() as session:
        for found in session.scalars(asked).unique().all():
            # The task first, then the question: the order in which Airflow itself locks them.
            task = session.get(TaskInstance, found.ti_id, with_for_update={"of": TaskInstance})
            session.refresh(found, with_for_update={"of": HITLDetail})
            if task is None or found.response_received or option not in found.options:
                continue
            found.responded_by = {"id": user_id, "name": name}
            found.responded_at = datetime.now(UTC)
            found.chosen_options = [option]
            found.params_input = {}
            if task.state in waiting:
                event = TriggerEvent(found.as_resume_event_payload())  # type: ignore[no-untyped-call]
                handle_event_submit(event, task_instance=task, session=session)
            closed += 1
    return closed
