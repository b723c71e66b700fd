"""Case 5: our DAG and the one that would be written without us, under one Airflow."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.servers import REPOSITORY

from bench import least
from bench.cases import Case, say
from bench.measure import PYTHONPATH, BenchError, Measurement, difference
from bench.processes import Watch
from bench.setup import HMAC_KEY
from calendar_sync.adapters.google.tokens import SCOPE
from calendar_sync_sandbox.demo.stage import write_mapping
from calendar_sync_sandbox.standalone import FINAL_STATES, StandaloneAirflow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.scale import Scale
    from bench.stage import Stage

OURS, HOOK = "google_calendar_sync", "hook_calendar_sync"
LONGEST_RUN = 3600


@dataclass
class Scheduler:
    """An Airflow with both DAGs, beside a stage whose accounts are in step."""

    stage: Stage
    airflow: StandaloneAirflow

    @classmethod
    def prepare(cls, stage: Stage, folder: str = "airflow", *, preload: bool = True) -> Scheduler:
        """Not started yet."""
        mapping = stage.folder / "user_mapping.csv"
        write_mapping(mapping, stage.users)
        env = {
            "CALENDAR_SYNC_DATABASE_URL": f"sqlite:///{stage.state}",
            # Runs are asked for by hand: nothing else may work beside them.
            "CALENDAR_SYNC_TRIGGERER": "off",
            "BENCH_MAPPING": str(mapping),
            "BENCH_GOOGLE": f"{stage.world.root}/google/calendar/v3/",
            "PYTHONPATH": PYTHONPATH,
            "HTTPLIB2_CA_CERTS": str(stage.folder / "ca.pem"),
        }
        dags = REPOSITORY / "bench" / "dags"
        home = stage.folder / folder
        return cls(stage, StandaloneAirflow(home, dags, env=env, port=0, preload=preload))

    def connect(self, *dags: str, usual: bool = False) -> None:
        """Store the connections and let these DAGs run.

        `usual`: they name no certificates, as those for the real services.
        """
        connections = dict(self.stage.world.connections)
        for fields in connections.values() if usual else ():
            fields["extra"].pop("verify", None)
        connections["calendar_sync_hmac_key"] = {"conn_type": "generic", "password": HMAC_KEY}
        google = connections["google_calendar_default"]["extra"]
        connections["google_cloud_default"] = {
            "conn_type": "google_cloud_platform",
            "extra": json.dumps({"keyfile_dict": google["keyfile_dict"], "scope": SCOPE}),
        }
        for name, fields in connections.items():
            self.airflow.add_connection(name, fields)
        for dag in dags:
            self.airflow.wait_dag(dag)
            self.airflow.unpause(dag)

    def run(self, dag: str, conf: Mapping[str, Any] | None = None) -> Measurement:
        """One run from its creation to its end, alone on this Airflow.

        Raises:
            BenchError: it failed or took too long.
        """
        assert self.airflow.program is not None
        before = self.stage.world.counts()
        with Watch(self.airflow.program.session) as watch:
            run_id = self.airflow.trigger(dag, conf)
            self._wait(dag, run_id)
            # The executor takes a moment to collect its last tasks, and their CPU time.
            time.sleep(2)
        path = f"/dags/{dag}/dagRuns/{quote(run_id, safe='')}"
        run = self.airflow.call("GET", path)
        created, ended = (datetime.fromisoformat(run[name]) for name in ("queued_at", "end_date"))
        tasks = self.airflow.call("GET", f"{path}/taskInstances?limit=1")["total_entries"]
        return Measurement(
            wall=(ended - created).total_seconds(),
            cpu=watch.tasks_cpu,
            memory_mb=watch.task_memory_mb,
            requests=difference(self.stage.world.counts(), before),
            outcome={"tasks": tasks, "cpu": watch.cpu, "memory": dict(watch.memory_mb)},
        )

    def expect_writes(self, run: Measurement, count: int) -> None:
        """A run must have synced what was changed.

        Raises:
            BenchError: it wrote more or less.
        """
        if run.writes != count:
            raise BenchError(f"{count} changes, but {dict(run.requests)}")

    def _wait(self, dag: str, run_id: str) -> None:
        deadline = time.monotonic() + LONGEST_RUN
        # Asking costs the API server CPU time: not more often than a person would.
        while (state := self.airflow.run_state(dag, run_id)) not in FINAL_STATES:
            if time.monotonic() > deadline:
                raise BenchError(f"{dag} has not ended within {LONGEST_RUN} s")
            time.sleep(1)
        if state != "success":
            raise BenchError(f"{dag} {run_id}: {state}")


def under_one_scheduler(stage: Stage, scale: Scale) -> list[Case]:
    """Ours with some users changed, the other DAG with as many, and that one with a window."""
    accounts, changed = scale.accounts, scale.changed
    ours = Case("dag", f"our DAG, {changed} of {accounts:,} users changed")
    hook = Case("hook", f"DAG with the provider's hook, {accounts:,} users")
    window = Case(
        "window", f"the same, listing the sync's window only, {scale.window_users:,} users"
    )
    scheduler = Scheduler.prepare(stage)
    with scheduler.airflow:
        scheduler.connect(OURS, HOOK)
        stage.let_time_pass()
        # Forks the executor's workers and gets this hour's tokens.
        _note(Case("", "warm-up"), scheduler.run(OURS))
        for _ in range(scale.dag_runs):
            stage.edit(changed)
            stage.let_time_pass()
            _note(ours, scheduler.run(OURS))
            scheduler.expect_writes(ours.any, changed)
        stage.edit(changed)
        _note(hook, scheduler.run(HOOK))
        visits = -(-changed // 2)
        if hook.any.requests.get("google.events.insert") != visits:
            raise BenchError(f"{visits} new visits, but {dict(hook.any.requests)}")
        conf = {"users": scale.window_users, "window": True}
        _note(window, scheduler.run(HOOK, conf))
    ours.least = least.changes(accounts, changed, changed)
    return [ours, hook, window]


def _note(case: Case, run: Measurement) -> None:
    case.runs.append(run)
    say(
        f"{case.title}: {run.wall:.1f} s, {run.cpu:.1f} CPU-s of tasks, {run.memory_mb:.0f} MB, "
        f"{run.total} requests, {run.tokens} tokens, {run.outcome['tasks']} tasks"
    )
