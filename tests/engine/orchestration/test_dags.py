"""The DAG files as Airflow meets them: cheap to parse, whole, and of the designed shape."""

from __future__ import annotations

import copy
import inspect
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, RetryAction
from airflow.sdk._shared.module_loading import import_string
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import ParamValidationError
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.sdk.execution_time.xcom import XCom
from airflow.serialization.serialized_objects import DagSerialization
from airflow.utils.file import might_contain_dag_via_default_heuristic

from calendar_sync.adapters.welkin.client import AuditUnavailable
from calendar_sync.core import codes, errors
from calendar_sync.core.codes import SetupCode
from calendar_sync.core.dag_ids import DAGS, MAINTENANCE, REMOVE
from calendar_sync.orchestration.dags import health as health_dag
from calendar_sync.orchestration.dags import sync as sync_dags
from calendar_sync.orchestration.dags import unsync as unsync_dag
from calendar_sync.orchestration.dags.sync import sync_dag
from calendar_sync.orchestration.running import StateUnavailable
from calendar_sync.orchestration.tasks import closing, health, maintenance, sync, unsync
from calendar_sync.orchestration.watching import ChangesTrigger
from tests.servers import REPOSITORY

FILES = sorted((REPOSITORY / "dags").glob("*.py"))
UPKEEP = {
    "calendar_sync_approvals": {"list_waiting", "decide.ask", "decide.grant"},
    "calendar_sync_maintenance": {"remove_old_runs", "tidy_state"},
    "calendar_unsync": {"ask", "approve", "switch_off", "unsync_users", "prove"},
    "sync_health": {"evaluate_rules", "list_accounts", "validate_accounts", "report"},
}
ASKS = {"calendar_sync_approvals", "calendar_unsync"}
TASKS = ("find_changed_users", "sync_user", "record_run")
#: On one worker: what a file costs is measured once.
pytestmark = pytest.mark.xdist_group("dags")
PLATFORMS = {"google_calendar_sync": "google", "microsoft_calendar_sync": "microsoft"}
MEASURE = """
import json, runpy, sys, time
started = time.process_time()
import airflow.sdk
from airflow.sdk import DAG, dag, task
alone = time.process_time() - started
before = set(sys.modules)
started = time.process_time()
found = runpy.run_path(sys.argv[1])
print(json.dumps({
    "alone": alone,
    "file": time.process_time() - started,
    "new": sorted(set(sys.modules) - before),
    "all": sorted(sys.modules),
    "dags": [value.dag_id for value in found.values() if isinstance(value, DAG)],
}))
"""
ALLOWED = {
    "calendar_sync",
    "calendar_sync.core",
    "calendar_sync.core.codes",
    *{family.__module__ for family in vars(codes).values() if inspect.isclass(family)},
    "calendar_sync.core.dag_ids",
    "calendar_sync.core.errors",
    "calendar_sync.orchestration",
    "calendar_sync.orchestration.dags",
    *(
        f"calendar_sync.orchestration.dags.{name}"
        for name in ("approvals", "common", "health", "maintenance", "sync", "unsync")
    ),
    "calendar_sync.core.redaction",
    "calendar_sync.orchestration.watching",
    # Airflow itself reads this one to learn of our connection type.
    "calendar_sync.orchestration.provider_info",
}
ERRORS = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, errors.SyncError)
] + [AuditUnavailable]


def dag_id_of(file: Path) -> str:
    return file.stem


@pytest.fixture(scope="module", params=PLATFORMS)
def dag(request: pytest.FixtureRequest) -> Any:
    """The DAG of a platform."""
    return dag_of(REPOSITORY / "dags" / f"{request.param}.py")


def dag_of(file: Path) -> Any:
    """The DAG that a file makes, found as Airflow finds it."""
    bag = DagBag(file, safe_mode=True)
    assert bag.import_errors == {}
    assert list(bag.dags) == [file.stem]
    return bag.dags[file.stem]


@pytest.fixture(scope="module", params=FILES, ids=dag_id_of)
def parsed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What it cost (seconds of processor time) to run a file in a fresh Python."""
    folder = tmp_path_factory.mktemp("nothing")
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW_", "_AIRFLOW_", "CALENDAR_SYNC_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(request.param)],
        cwd=folder,
        env=env | {"AIRFLOW_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    seen["id"] = request.param.stem
    seen["state"] = [path.name for path in folder.rglob("*.db")]
    return seen


def test_there_is_a_dag_file_for_each_name() -> None:
    assert {file.stem for file in FILES} == set(DAGS) == PLATFORMS.keys() | UPKEEP.keys()


@pytest.mark.parametrize("file", FILES, ids=dag_id_of)
def test_a_file_is_thin_and_passes_safe_mode(file: Path) -> None:
    assert len(file.read_text().splitlines()) < 80
    assert might_contain_dag_via_default_heuristic(str(file))


def test_a_file_is_parsed_with_nothing_configured(parsed: Any) -> None:
    assert parsed["dags"] == [parsed["id"]]
    assert parsed["state"] == []


def test_a_file_costs_less_than_a_second_of_processor_time_beyond_airflow(parsed: Any) -> None:
    assert parsed["file"] < 1.0, f"airflow.sdk alone: {parsed['alone']:.1f} s"


def test_a_file_imports_nothing_heavy(parsed: Any) -> None:
    ours = {name for name in parsed["all"] if name.split(".")[0] == "calendar_sync"}
    assert ours - ALLOWED == set()
    brought = {name.split(".")[0] for name in parsed["new"]}
    if parsed["id"] in ASKS | PLATFORMS.keys():
        brought.discard("pydantic")  # comes with Airflow's own operator or trigger
    assert brought.isdisjoint(
        {"sqlalchemy", "alembic", "httpx", "pydantic", "google", "msal", "cryptography", "yaml"}
    )


# --- Shape ------------------------------------------------------------------


def test_the_tasks_and_their_order(dag: Any) -> None:
    assert set(dag.task_dict) == set(TASKS)
    find, sync, record = (dag.task_dict[name] for name in TASKS)
    assert find.upstream_task_ids == set()
    assert find.downstream_task_ids == {"sync_user"}
    assert sync.downstream_task_ids == {"record_run"}
    assert record.downstream_task_ids == set()
    assert [task.is_mapped for task in (find, sync, record)] == [False, True, False]
    assert sync.map_index_template == "{{ label }}"


def test_the_last_task_closes_the_run_without_hiding_a_failure(dag: Any) -> None:
    record = dag.task_dict["record_run"]
    assert record.is_teardown
    assert record.on_failure_fail_dagrun is False
    assert not any(dag.task_dict[name].is_teardown for name in ("find_changed_users", "sync_user"))


def test_runs_come_by_event_and_every_five_minutes_and_none_for_the_past(dag: Any) -> None:
    assert dag.max_active_runs == sync_dags.RUNS_AT_ONCE > 1
    assert dag.catchup is False
    assert isinstance(dag.timetable, AssetOrTimeSchedule)
    assert isinstance(dag.timetable.timetable, CronTriggerTimetable)
    assert dag.timetable.timetable.expression == "*/5 * * * *"
    assert str(dag.timetable.timetable.timezone) == "UTC"
    assert dag.dagrun_timeout == timedelta(minutes=10)
    platform = PLATFORMS[dag.dag_id]
    (asset,) = dag.timetable.asset_condition.objects  # type: ignore[attr-defined]
    (watcher,) = asset.watchers
    path, arguments = watcher.trigger.serialize()
    again = import_string(path)(**arguments)
    assert isinstance(again, ChangesTrigger)
    assert again.platform == platform


def test_without_a_triggerer_runs_come_every_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_dags, "HAS_TRIGGERER", False)
    made = sync_dag("google", "text")
    assert isinstance(made.timetable, CronTriggerTimetable)
    assert made.timetable.expression == "* * * * *"


def test_what_the_interface_shows(dag: Any) -> None:
    assert "find_changed_users" in dag.doc_md
    assert {"calendar-sync", PLATFORMS[dag.dag_id]} <= set(dag.tags)


def test_the_platform_is_the_files_own(dag: Any) -> None:
    platform = PLATFORMS[dag.dag_id]
    tasks = dag.task_dict
    assert tasks["find_changed_users"].op_args == (platform,)
    assert tasks["sync_user"].partial_kwargs["op_kwargs"] == {"platform": platform}
    assert tasks["record_run"].op_args == (platform,)


def test_a_dag_survives_the_scheduler(dag: Any) -> None:
    stored = DagSerialization.from_dict(
        json.loads(json.dumps(DagSerialization.to_dict(dag), default=str))
    )
    assert set(stored.task_dict) == set(dag.task_dict)
    assert stored.max_active_runs == sync_dags.RUNS_AT_ONCE
    assert stored.task_dict["record_run"].is_teardown


@pytest.mark.parametrize("name", UPKEEP)
def test_the_dags_beside_the_sync(name: str) -> None:
    made = dag_of(REPOSITORY / "dags" / f"{name}.py")
    assert set(made.task_dict) == UPKEEP[name]
    assert (made.max_active_runs, made.catchup) == (1, False)
    assert "calendar-sync" in made.tags
    stored = DagSerialization.from_dict(
        json.loads(json.dumps(DagSerialization.to_dict(made), default=str))
    )
    assert set(stored.task_dict) == UPKEEP[name]
    scheduled = isinstance(made.timetable, CronTriggerTimetable)
    assert scheduled == (name in {"sync_health", "calendar_sync_maintenance"})


def test_the_schedule_may_be_another() -> None:
    made = sync_dag("google", "text", "*/5 * * * *")
    assert isinstance(made.timetable, CronTriggerTimetable)
    assert made.timetable.expression == "*/5 * * * *"


def test_the_removal_of_an_unsync_has_the_time_that_welkins_rate_takes() -> None:
    """Groups run side by side, as many as Airflow lets one DAG run, and share the rate."""
    made = dag_of(REPOSITORY / "dags" / "calendar_unsync.py")
    at_once, blocks, a_second = conf.getint("core", "max_active_tasks_per_dag"), 120, 4.75
    least = timedelta(seconds=at_once * unsync.GROUP * blocks / a_second)
    assert timedelta(hours=2) < least < made.task_dict["unsync_users"].execution_timeout / 2
    assert made.task_dict["prove"].execution_timeout == timedelta(minutes=30)


# --- Params -----------------------------------------------------------------


def test_whom_to_sync_is_not_marked_as_required(dag: Any) -> None:
    """Empty means everybody. The form marks what may not be null."""
    assert "null" in dag.params.get_param("users").schema["type"]


def test_params_by_default_ask_for_nothing(dag: Any) -> None:
    assert dag.params.dump() == {"users": [], "full_comparison": False, "dry_run": False}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("users", "d0c70000"),
        ("users", [7]),
        ("full_comparison", "yes"),
        ("full_comparison", 1),
        ("full_comparison", None),
        ("dry_run", "false"),
        ("dry_run", []),
    ],
)
def test_params_of_a_wrong_type_are_refused(dag: Any, name: str, value: object) -> None:
    params = copy.deepcopy(dag.params)
    with pytest.raises(ParamValidationError, match=name):
        params[name] = value


@pytest.mark.parametrize(
    ("name", "value"),
    [("users", ["u-1", "u-2"]), ("users", None), ("full_comparison", True), ("dry_run", True)],
)
def test_params_of_the_right_type_are_taken(dag: Any, name: str, value: object) -> None:
    params = copy.deepcopy(dag.params)
    params[name] = value
    assert params.validate() == {
        "users": [],
        "full_comparison": False,
        "dry_run": False,
        name: value,
    }


# --- Leases -----------------------------------------------------------------


@pytest.mark.parametrize("run_id", ["scheduled__2026-01-01T00:00:00+00:00", "r" * 250])
def test_tasks_of_both_dags_never_share_a_lease(
    monkeypatch: pytest.MonkeyPatch, run_id: str
) -> None:
    """Runs of the schedule are named alike in each DAG, and their tasks are numbered alike."""
    owners = []

    def sync_group(*_: object, owner: str, **__: object) -> sync.Done:
        owners.append(owner)
        return sync.Done([], {})

    context = {
        "run_id": run_id,
        "ti": SimpleNamespace(map_index=0, try_number=1, xcom_push=lambda **_: None),
        "params": {"dry_run": False, "users": []},
    }
    monkeypatch.setattr(sync_dags, "get_current_context", lambda: context)
    monkeypatch.setattr(sync, "sync_group", sync_group)
    for platform in PLATFORMS.values():
        sync_dags.sync_user.function(platform, ["u-1"])
    assert len(set(owners)) == len(PLATFORMS)
    assert all(len(owner) <= 255 for owner in owners)


# --- What the last task of a DAG gathers from mapped tasks --------------------


class Gathering:
    """A task instance that pulls as Airflow's own does; each task has pushed these values."""

    dag_id, run_id, task_id, map_index = "dag", "run", "last", -1
    xcom_pull = RuntimeTaskInstance.xcom_pull
    _normalize_xcom_pull_params = RuntimeTaskInstance._normalize_xcom_pull_params

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **pushed: list[Any]) -> None:
        def get_all(*, task_id: str, key: str, **_: object) -> list[Any] | None:
            found = pushed.get(task_id if key == "return_value" else f"{task_id}_{key}")
            return found or None

        monkeypatch.setattr(XCom, "get_all", get_all)
        context = {"ti": self, "run_id": self.run_id, "dag_run": SimpleNamespace(start_date=None)}
        for module in (health_dag, sync_dags, unsync_dag):
            monkeypatch.setattr(module, "get_current_context", lambda: context)


@pytest.mark.parametrize(
    ("groups", "validated", "complete"),
    [(0, 0, True), (1, 1, True), (2, 2, True), (3, 3, True), (1, 0, False), (2, 1, False)],
)
def test_the_health_report_knows_whether_all_groups_were_checked(
    monkeypatch: pytest.MonkeyPatch, groups: int, validated: int, complete: bool
) -> None:
    pushed = {"list_accounts": [[{"platform": "google"}] * groups]}
    Gathering(monkeypatch, **pushed, validate_accounts=[1] * validated)
    seen = []

    def report(run_id: str, *, checked: bool) -> health.Reported:
        seen.append(checked)
        return health.Reported(7, 0, "")

    monkeypatch.setattr(health, "report", report)
    if complete:
        assert health_dag.report.function() == {"report": 7, "attention": 0, "sent": True}
    else:
        with pytest.raises(errors.UsersFailed, match="not all accounts were checked"):
            health_dag.report.function()
    assert seen == [complete]


@pytest.mark.parametrize("groups", [0, 1, 2])
def test_the_record_of_a_run_has_every_group(monkeypatch: pytest.MonkeyPatch, groups: int) -> None:
    row, asked = {"user_id": "u", "status": "ok"}, {"google.events.list": 1}
    Gathering(
        monkeypatch,
        find_changed_users_requests=[asked],
        sync_user_outcomes=[[row, row]] * groups,
        sync_user_requests=[asked] * groups,
    )
    seen: list[Any] = []
    monkeypatch.setattr(closing, "close_run", lambda *given: seen.extend(given[3:]))
    monkeypatch.setattr(maintenance, "tidy_logs", seen.append)
    sync_dags.record_run.function("google")
    logs = Path(conf.get("logging", "base_log_folder"))
    assert seen == [[row, row] * groups, [asked] * (groups + 1), logs]


@pytest.mark.parametrize("groups", [0, 1, 2])
def test_the_proof_of_an_unsync_has_every_group(
    monkeypatch: pytest.MonkeyPatch, groups: int
) -> None:
    row = {"account": "dana@example.org"}
    Gathering(
        monkeypatch,
        approve=[{"chosen_options": [REMOVE]}],
        switch_off=[[[row, row]] * groups],
        unsync_users_rows=[[row, row]] * groups,
    )
    seen: list[Any] = []
    monkeypatch.setattr(unsync, "prove", lambda _, *rows, **more: seen.extend([*rows, more]))
    unsync_dag.prove.function()
    assert seen == [[row, row] * groups, {"expected": 2 * groups}]


# --- What is tried again ------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_tried_once_more_soon_and_ends_in_time(dag: Any, name: str) -> None:
    task = dag.task_dict[name]
    # The row of a run survives a state database that is away for a while.
    times, pause = (8, 15) if name == "record_run" else (1, 5)
    assert task.retries == times
    assert task.retry_delay == timedelta(seconds=pause)
    assert task.execution_timeout == timedelta(minutes=5)


@pytest.mark.spread
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
@pytest.mark.parametrize("name", TASKS)
def test_what_the_sync_reports_is_not_tried_again_by_airflow(
    dag: Any, name: str, error: type[errors.SyncError]
) -> None:
    decision = _policy(dag, name).evaluate(error(), 1, 1)
    assert decision.action is RetryAction.FAIL


@pytest.mark.spread
@pytest.mark.parametrize(
    "error", [StateUnavailable("x"), ConnectionError("x"), MemoryError(), KeyError("x")], ids=repr
)
@pytest.mark.parametrize("name", TASKS)
def test_lost_work_is_tried_again(dag: Any, name: str, error: BaseException) -> None:
    decision = _policy(dag, name).evaluate(error, 1, 1)
    assert decision.action is RetryAction.DEFAULT
    assert decision.retry_delay is None


def test_airflows_own_api_is_asked_again_until_it_answers() -> None:
    """SQLite and a server that restarts refuse a deletion now and then."""
    dag = dag_of(REPOSITORY / "dags" / f"{MAINTENANCE}.py")
    mapped = dag.task_dict["remove_old_runs"].partial_kwargs
    assert (mapped["retries"], mapped["retry_delay"]) == (4, timedelta(seconds=10))
    decide = _policy(dag, "remove_old_runs").evaluate
    assert (
        decide(errors.TransientError(SetupCode.AIRFLOW_UNAVAILABLE), 1, 4).action
        is RetryAction.RETRY
    )
    assert decide(errors.ConfigurationError(), 1, 4).action is RetryAction.FAIL
    assert decide(StateUnavailable("x"), 1, 4).action is RetryAction.DEFAULT


def _policy(dag: Any, name: str) -> Any:
    task = dag.task_dict[name]
    return task.partial_kwargs["retry_policy"] if task.is_mapped else task.retry_policy
