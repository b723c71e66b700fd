"""Old runs go from Airflow, page by page over its API, and their rows with them."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from sqlalchemy import insert, select

from calendar_sync.core.codes import SetupCode
from calendar_sync.core.dag_ids import GOOGLE, HEALTH
from calendar_sync.core.errors import TransientError
from calendar_sync.orchestration.airflow_api import AirflowApi
from calendar_sync.orchestration.tasks import maintenance
from calendar_sync.state import Database
from calendar_sync.state import tables as t
from tests.harness import fresh

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from calendar_sync.orchestration.tasks.maintenance import Removed

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LONG = timedelta(seconds=20)
CONNECTION = "AIRFLOW_CONN_CALENDAR_SYNC_AIRFLOW"


class Organisation:
    """What Airflow and the state database hold of the runs of one DAG, and what time it is."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = START
        self.airflow: dict[str, datetime] = {}
        self.empty: set[str] = set()
        self.refused: set[str] = set()

    def runs(self, made: list[tuple[datetime, bool]]) -> None:
        """Runs of the schedule and their rows: when each began, and whether it wrote anything."""
        rows = []
        for at, works in made:
            run_id = f"scheduled__{at.isoformat()}"
            self.airflow[run_id] = at
            if not works:
                self.empty.add(run_id)
            rows.append(
                {
                    "run_id": run_id,
                    "platform": "google",
                    "started_at": at,
                    "ended_at": at + LONG,
                    "summary": {"done": {"create_mirror": 1} if works else {}},
                }
            )
        with self.database.write() as connection:
            connection.execute(insert(t.sync_run), rows)

    def mornings(self, days: int) -> list[Removed]:
        """The DAG as it runs each morning."""
        found = []
        for _ in range(days):
            found.append(maintenance.remove_old_runs(GOOGLE))
            maintenance.tidy_state()
            self.now += DAY
        return found

    def rows(self) -> set[str]:
        with self.database.read() as connection:
            return set(connection.scalars(select(t.sync_run.c.run_id)))

    def answer(self, method: str, path: str) -> dict[str, Any]:
        """As Airflow's API server does."""
        if path == "/auth/token":
            return {"access_token": "token"}
        parts = urlsplit(path)
        if method == "DELETE":
            run_id = unquote(parts.path.rpartition("/")[2])
            if run_id in self.refused:
                raise TransientError(SetupCode.AIRFLOW_UNAVAILABLE, detail="500")
            del self.airflow[run_id]
            return {}
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        before = datetime.fromisoformat(asked["end_date_lte"])
        old = sorted((at, run) for run, at in self.airflow.items() if at + LONG <= before)
        first = int(asked["offset"])
        page = [
            {"dag_run_id": run, "state": "success", "end_date": (at + LONG).isoformat()}
            for at, run in old[first : first + int(asked["limit"])]
        ]
        return {"dag_runs": page, "total_entries": len(old)}


@pytest.fixture
def organisation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Organisation]:
    url = f"sqlite:///{tmp_path}/state.db"
    database = fresh(url)
    made = Organisation(database)
    connections = {
        CONNECTION: {"conn_type": "generic", "host": "http://airflow", "login": "maintenance"},
        "AIRFLOW_CONN_CALENDAR_SYNC_HMAC_KEY": {"conn_type": "generic", "password": "made-up-key"},
        "AIRFLOW_CONN_WELKIN_DEFAULT": {
            "conn_type": "welkin",
            "host": "https://welkin.example.org",
            "login": "client",
            "password": "secret",
            "extra": {"tenant": "t", "instance": "i"},
        },
    }
    for name, fields in connections.items():
        monkeypatch.setenv(name, json.dumps(fields))
    monkeypatch.setenv("CALENDAR_SYNC_DATABASE_URL", url)

    class Clock:
        def now(self) -> datetime:
            return made.now

    monkeypatch.setattr(maintenance, "SystemClock", Clock)
    monkeypatch.setattr(AirflowApi, "_ask", lambda _, method, path, *__: made.answer(method, path))
    yield made
    database.close()


def scheduled(day: int, count: int, *, works: bool) -> list[tuple[datetime, bool]]:
    """Runs of a day's first minutes."""
    return [(START + day * DAY + timedelta(minutes=n), works) for n in range(count)]


def test_empty_runs_go_however_many_working_ones_stay(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Working runs stay for 90 days: they may not be all that is looked at."""
    monkeypatch.setattr(maintenance, "MOST", 200)
    for day in range(30):
        organisation.runs(scheduled(day, 20, works=False))
        organisation.runs([(at + DAY / 2, True) for at, _ in scheduled(day, 25, works=True)])
    organisation.now = START + 30 * DAY
    done = organisation.mornings(5)
    # Arrears of 23 days: 200 in a morning, then what each day brings.
    assert [one.empty for one in done] == [200, 200, 100, 20, 20]
    assert not any(one.working for one in done)
    old = {run for run, at in organisation.airflow.items() if at < organisation.now - 9 * DAY}
    assert len(old) == 26 * 25
    assert not old & organisation.empty
    assert organisation.rows() == set(organisation.airflow)
    organisation.now = START + 98 * DAY
    assert [(one.empty, one.working) for one in organisation.mornings(2)] == [(0, 200), (60, 25)]


def test_what_is_not_removed_today_still_counts_as_empty_tomorrow(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    organisation.runs(scheduled(0, 250, works=False))
    monkeypatch.setattr(maintenance, "MOST", 110)
    organisation.now = START + 10 * DAY
    assert [one.empty for one in organisation.mornings(3)] == [110, 110, 30]
    assert organisation.airflow == {}
    assert organisation.rows() == set()


def test_what_was_removed_before_airflow_failed_leaves_no_row(organisation: Organisation) -> None:
    organisation.runs(scheduled(0, 5, works=False))
    organisation.now = START + 10 * DAY
    organisation.refused = {sorted(organisation.airflow)[3]}
    with pytest.raises(TransientError):
        organisation.mornings(1)
    assert organisation.rows() == set(organisation.airflow)
    assert len(organisation.airflow) == 2
    organisation.refused.clear()
    assert [one.empty for one in organisation.mornings(1)] == [2]
    assert organisation.rows() == set()


def test_a_run_that_has_just_ended_when_old_runs_are_removed(organisation: Organisation) -> None:
    """Its row may not go on the same morning: the run would count as working for 90 days."""
    organisation.runs([(START, False)])
    organisation.now = START + 7 * DAY + LONG / 2
    assert [one.empty for one in organisation.mornings(2)] == [0, 1]
    assert organisation.rows() == set()


def test_rows_without_a_run_go_after_a_quarter(organisation: Organisation) -> None:
    organisation.runs([(START, False), (START + DAY, True)])
    organisation.airflow.clear()
    organisation.now = START + 90 * DAY
    organisation.mornings(1)
    assert len(organisation.rows()) == 2
    organisation.mornings(1)
    assert len(organisation.rows()) == 1
    organisation.mornings(1)
    assert organisation.rows() == set()


def test_a_run_without_a_row_goes_after_a_quarter(organisation: Organisation) -> None:
    organisation.airflow["scheduled__lost"] = START
    organisation.now = START + 89 * DAY
    assert [one.working for one in organisation.mornings(3)] == [0, 0, 1]


def test_without_a_connection_rows_of_empty_runs_go_after_a_week(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody removes the runs: the state database need not grow with them."""
    monkeypatch.delenv(CONNECTION)
    organisation.runs([(START, False), (START + timedelta(hours=1), True)])
    organisation.now = START + 8 * DAY
    with pytest.raises(maintenance.NoConnection):
        maintenance.remove_old_runs(GOOGLE)
    assert maintenance.tidy_state()["runs"] == 1
    assert len(organisation.rows()) == 1
    assert len(organisation.airflow) == 2


def logged(folder: Path, dag_id: str, run_id: str, at: datetime) -> Path:
    """A task's log as Airflow writes it, and when."""
    run = folder / f"dag_id={dag_id}" / f"run_id={run_id}"
    (run / "task_id=record_run").mkdir(parents=True)
    (run / "task_id=record_run" / "attempt=1.log").write_text("done")
    os.utime(run, (at.timestamp(), at.timestamp()))
    return run


def test_logs_of_removed_runs_go_on_every_worker(
    organisation: Organisation, tmp_path: Path
) -> None:
    """Runs are removed by one; each has logs of its own."""
    organisation.runs([(START, False), (START + timedelta(hours=1), True)])
    empty, working = sorted(organisation.airflow)
    later = START + timedelta(hours=1)
    workers = [tmp_path / "one", tmp_path / "two"]
    logs = {
        worker: [logged(worker, GOOGLE, empty, START), logged(worker, GOOGLE, working, later)]
        for worker in workers
    }
    health = logged(workers[0], HEALTH, "scheduled__1", START)
    foreign = logged(workers[0], "etl", "scheduled__1", START)
    organisation.now = START + 9 * DAY
    assert [maintenance.tidy_logs(worker) for worker in workers] == [0, 0]
    organisation.mornings(1)
    organisation.now += DAY
    assert [maintenance.tidy_logs(worker) for worker in workers] == [1, 1]
    for kept in logs.values():
        assert [path.exists() for path in kept] == [False, True]
    organisation.now = START + 91 * DAY
    assert maintenance.tidy_logs(workers[0]) == 2
    assert [path.exists() for path in (logs[workers[0]][1], health, foreign)] == [
        False,
        False,
        True,
    ]


def test_logs_are_looked_through_once_a_day(organisation: Organisation, tmp_path: Path) -> None:
    organisation.now = datetime.now(UTC)
    assert maintenance.tidy_logs(tmp_path) == 0
    old = logged(tmp_path, GOOGLE, "removed", organisation.now - 8 * DAY)
    assert maintenance.tidy_logs(tmp_path) == 0
    assert old.exists()
    organisation.now += DAY
    assert maintenance.tidy_logs(tmp_path) == 1


def test_logs_stay_where_nobody_removes_runs(
    organisation: Organisation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(CONNECTION)
    old = logged(tmp_path, GOOGLE, "old", START)
    organisation.now = START + 100 * DAY
    assert maintenance.tidy_logs(tmp_path) == 0
    assert old.exists()
