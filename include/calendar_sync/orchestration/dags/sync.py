"""The DAGs `google_calendar_sync` and `microsoft_calendar_sync`."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import (
    DAG,
    Asset,
    AssetOrTimeSchedule,
    AssetWatcher,
    CronTriggerTimetable,
    Param,
    dag,
    get_current_context,
    task,
)

from calendar_sync.core.dag_ids import sync_of
from calendar_sync.orchestration.dags.common import HAS_TRIGGERER, ONLY_LOST_WORK, PLACE, setting
from calendar_sync.orchestration.watching import ChangesTrigger

DOC = """### Sync Welkin with {calendars}.

Airflow's triggerer looks for changes and starts this DAG when somebody has work; besides, it
runs every 5 minutes. `find_changed_users` takes the users with work; `sync_user` is mapped over
them, and its label says what was done; `record_run` closes the run in the state database.

*A user failed?* The log of the task gives the reason. Clear the task to retry at once; otherwise
the user is retried later. *Sync users now:* trigger the DAG with `users`.
"""
CALENDARS = {"google": "Google Calendar", "microsoft": "Microsoft 365 calendars"}
EVERY_MINUTE, EVERY_FIVE_MINUTES = "* * * * *", "*/5 * * * *"
#: Of the safety run, or without a triggerer of each run.
SCHEDULE = setting("CALENDAR_SYNC_SCHEDULE")
LONGEST_OWNER = 255
# One user who takes long, or a large group, holds nobody up: leases and marks keep runs apart. Runs
# whose tasks are lost stay until Airflow notices: three may have lost them with the queue.
RUNS_AT_ONCE = 6
PARAMS = {
    "users": Param(
        [],
        # What may be null is not marked as required.
        type=["null", "array"],
        items={"type": "string"},
        title="Users",
        description="Users to sync now: Welkin user ids or e-mail addresses. Empty: all users "
        "with changes.",
    ),
    "full_comparison": Param(
        False,
        type="boolean",
        title="Full comparison",
        description="Read both sides completely, not only what changed",
    ),
    "dry_run": Param(
        False,
        type="boolean",
        title="Dry run",
        description="Show what would be done. Writes nothing.",
    ),
}


def sync_dag(platform: str, doc: str = DOC, schedule: str = "") -> DAG:
    """The DAG `{platform}_calendar_sync`: find who has work, sync each, record the run.

    Args:
        platform: `google` or `microsoft`.
        doc: the text shown in the Airflow UI.
        schedule: cron expression in UTC, instead of events and the safety run.
    """

    @dag(
        dag_id=sync_of(platform),
        schedule=_schedule(platform, schedule),
        start_date=datetime(2026, 1, 1),
        catchup=False,
        max_active_runs=RUNS_AT_ONCE,
        dagrun_timeout=timedelta(minutes=10),
        params=PARAMS,
        doc_md=doc.replace("{calendars}", CALENDARS[platform]),
        tags=["calendar-sync", platform],
        default_args=PLACE
        | {
            "retries": 1,
            "retry_delay": timedelta(seconds=5),
            "execution_timeout": timedelta(minutes=5),
        },
    )
    def build() -> None:
        groups = find_changed_users(platform)
        synced = sync_user.partial(platform=platform).expand(group=groups)
        recorded = record_run(platform)
        synced >> recorded.as_teardown(on_failure_fail_dagrun=False)

    return build()


def _schedule(platform: str, cron: str) -> CronTriggerTimetable | AssetOrTimeSchedule:
    """By events of the triggerer, and every 5 minutes in any case; without one every minute."""
    if cron or not HAS_TRIGGERER:
        return CronTriggerTimetable(cron or SCHEDULE or EVERY_MINUTE, timezone="UTC")
    watcher = AssetWatcher(name=f"{platform}_changes", trigger=ChangesTrigger(platform))
    changes = Asset(name=f"{platform}_calendar_changes", watchers=[watcher])
    safety_run = CronTriggerTimetable(SCHEDULE or EVERY_FIVE_MINUTES, timezone="UTC")
    return AssetOrTimeSchedule(timetable=safety_run, assets=[changes])


@task(retry_policy=ONLY_LOST_WORK)
def find_changed_users(platform: str) -> list[list[str]]:
    """Return the users with work; where nobody else does, look for it first."""
    from airflow.sdk.configuration import conf

    from calendar_sync.orchestration.tasks import sync

    context: Any = get_current_context()
    params = context["params"]
    work = sync.find_groups(
        platform,
        users=params["users"] or (),
        full_comparison=params["full_comparison"],
        run_id=context["run_id"],
        dry_run=params["dry_run"],
        run_type=str(context["dag_run"].run_type),
        noticing=HAS_TRIGGERER,
        slots=min(context["dag"].max_active_tasks, conf.getint("core", "parallelism")),
    )
    context["ti"].xcom_push(key="requests", value=work.requests)
    return work.groups


@task(map_index_template="{{ label }}", retry_policy=ONLY_LOST_WORK)
def sync_user(platform: str, group: list[str]) -> None:
    """Sync the users of one group; the label says what was done."""
    from calendar_sync.orchestration.tasks import sync

    context: Any = get_current_context()
    instance = context["ti"]
    # Scheduled runs are named alike in both DAGs, and whoever has a user's lease may take it again.
    owner = f"{context['run_id']}/{instance.map_index}/{platform}"
    done = sync.sync_group(
        platform,
        group,
        run_id=context["run_id"],
        owner=owner[-LONGEST_OWNER:],
        dry_run=context["params"]["dry_run"],
        named=bool(context["params"]["users"]),
    )
    context["label"] = sync.group_label(done.outcomes)
    instance.xcom_push(key="outcomes", value=[outcome.row for outcome in done.outcomes])
    instance.xcom_push(key="requests", value=done.requests)
    # A run with a failed user is not green, even if the user failed before.
    sync.raise_failures(done.outcomes)


# A state database that is away for two minutes costs no run its row.
@task(retry_policy=ONLY_LOST_WORK, retries=8, retry_delay=timedelta(seconds=15))
def record_run(platform: str) -> str:
    """Write the run's row and seal its operations, whatever happened before."""
    from airflow.sdk.configuration import conf

    from calendar_sync.orchestration.tasks import closing, maintenance

    context: Any = get_current_context()
    # One list for each mapped task; Airflow hands over the list itself when there was only one.
    pull = context["ti"].xcom_pull
    rows = closing.rows_of(pull(task_ids="sync_user", key="outcomes"))
    asked = [
        pull(task_ids=task_id, key="requests") for task_id in ("find_changed_users", "sync_user")
    ]
    started_at = context["dag_run"].start_date
    seal = closing.close_run(platform, context["run_id"], started_at, rows, closing.rows_of(asked))
    maintenance.tidy_logs(Path(conf.get("logging", "base_log_folder")))
    return seal
