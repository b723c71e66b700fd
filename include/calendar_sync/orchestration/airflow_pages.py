"""Where Airflow's own UI shows a run, and a user's task in it. For the API server only."""

from urllib.parse import quote

from sqlalchemy import func, or_, select

from calendar_sync.core.dag_ids import DAGS, GOOGLE, MICROSOFT

SYNC_DAGS = {"google": GOOGLE, "microsoft": MICROSOFT}


def find_page(platform: str, run_id: str = "", account: str = "") -> str | None:
    """The path of a page of Airflow, None where there is none (any more).

    Args:
        platform: whose DAG is meant where several have a run of this name.
        run_id: the run; without it the newest in which the account had a task.
        account: the user whose task is meant; without it the run itself.
    """
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    dag_id = SYNC_DAGS.get(platform, "")
    with create_session() as session:
        if run_id:
            runs = select(DagRun.dag_id).where(DagRun.run_id == run_id, DagRun.dag_id.in_(DAGS))
            found = sorted(session.scalars(runs), key=lambda each: each != dag_id)
            if not found:
                return None
            dag_id = found[0]
        if account:
            label = func.lower(TaskInstance.rendered_map_index)
            name = f"{account.lower()}:"
            query = (
                select(TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index)
                .where(
                    TaskInstance.dag_id == dag_id,
                    # A group of several users names those who had something done.
                    or_(
                        label.startswith(name, autoescape=True),
                        label.contains(f" {name}", autoescape=True),
                    ),
                )
                .order_by(TaskInstance.start_date.desc())
                .limit(1)
            )
            if run_id:
                query = query.where(TaskInstance.run_id == run_id)
            task = session.execute(query).one_or_none()
            if task is not None:
                path = f"{_run(dag_id, task.run_id)}/tasks/{quote(task.task_id, safe='')}"
                return f"{path}/mapped/{task.map_index}"
    return _run(dag_id, run_id) if run_id else None


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
