"""The DAG `sync_health`."""

from typing import Any

from airflow.sdk import DAG, get_current_context, task

from calendar_sync.core.dag_ids import HEALTH
from calendar_sync.core.errors import UsersFailed
from calendar_sync.orchestration.dags.common import ONLY_LOST_WORK, one_at_a_time, setting

DOC = """### Check all accounts and send a report.

`evaluate_rules` adds and disables users of the mapping as the mapping rules of the settings say;
what needs a person is in the report. `list_accounts` reads Welkin's list of users.
`validate_accounts` checks every mapped account without changing anything, and gives each user one
verdict. `report` creates a report with verdicts, failures, late users, conflicts, failed items,
approvals, mapping rules and numbers of the day, stores it (`calendar-sync report`), and sends it
to the recipients in the settings (`notify`).

*Check now:* trigger this Airflow DAG.
"""
SCHEDULE = setting("CALENDAR_SYNC_HEALTH_SCHEDULE", "0 5 * * *")


def health_dag(doc: str = DOC, schedule: str = SCHEDULE) -> DAG:
    """The DAG `sync_health`: evaluate the mapping rules, check every mapped account, report."""

    @one_at_a_time(HEALTH, doc, schedule)
    def build() -> None:
        groups = list_accounts()
        evaluate_rules() >> groups
        validate_accounts.expand(group=groups) >> report()

    return build()


@task(retry_policy=ONLY_LOST_WORK)
def evaluate_rules() -> str:
    """Evaluate the mapping rules, if the settings have some; returns what was done."""
    from calendar_sync.orchestration.tasks import health

    return health.evaluate_rules()


# Whatever becomes of the rules: whoever is mapped is checked.
@task(trigger_rule="all_done", retry_policy=ONLY_LOST_WORK)
def list_accounts() -> list[dict[str, Any]]:
    """Read Welkin's list of users, and return all mapped users in groups."""
    from calendar_sync.orchestration.tasks import health

    return health.list_accounts()


@task(map_index_template="{{ label }}", retry_policy=ONLY_LOST_WORK)
def validate_accounts(group: dict[str, Any]) -> int:
    """Look at the accounts of one group; the label counts the verdicts."""
    from calendar_sync.orchestration.tasks import health

    context: Any = get_current_context()
    context["label"] = health.validate_accounts(group)
    return 1


# The only leaf, and always run: a run that checked nothing must not be green.
@task(trigger_rule="all_done", retry_policy=ONLY_LOST_WORK)
def report() -> dict[str, Any]:
    """Create, store and send the report; fails if accounts could not be checked."""
    from calendar_sync.orchestration.tasks import health

    context: Any = get_current_context()
    pull = context["ti"].xcom_pull
    listed = pull(task_ids="list_accounts")
    # One value for each mapped task; asked for by its bare name, one value would come by itself.
    validated = [one for one in pull(task_ids=["validate_accounts"]) if one is not None]
    checked = listed is not None and len(validated) == len(listed)
    done = health.report(context["run_id"], checked=checked)
    if not checked:
        raise UsersFailed(detail="not all accounts were checked: see the tasks before this one")
    return {"report": done.id, "attention": done.attention, "sent": not done.not_sent_because}
