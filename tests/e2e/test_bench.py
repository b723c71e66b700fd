"""The bench's own parts work: a small organisation is idle when it says so, and counts add up."""

from __future__ import annotations

import os
import runpy
from typing import TYPE_CHECKING

import pytest
from bench import comparison, latency_page, least, many, pages, receiver, task_cost
from bench.cases import Case
from bench.latency import DIRECTIONS, NOTICING, PUSH, TIMETABLE, Edit, Idle, Latency, Part
from bench.least import Least
from bench.measure import Measurement, Spread, difference
from bench.page import page
from bench.processes import cpu_seconds, role_of
from bench.receiver import Answers, Receiver
from bench.results import Results
from bench.scale import Scale, scale_from_environment
from bench.stage import Stage
from bench.task_cost import TaskCosts

from tests.servers import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("bench")
USERS = 5


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    arguments = ("--users", str(USERS), "--encounters", "30", "--filled")
    with Stage(tmp_path_factory.mktemp("bench") / "organisation", *arguments) as made:
        yield made
    assert made.program.members == []


def test_an_idle_organisation_costs_a_poll_an_account(stage: Stage) -> None:
    stage.let_time_pass()
    run = stage.measure("poll")
    assert run.outcome == {"polled": USERS, "marked": 0, "fault": None}
    assert run.requests["google.events.list"] == USERS
    assert run.total <= least.idle(USERS).requests
    assert run.writes == 0
    assert run.tokens == USERS + 1
    assert 0 < run.memory_mb < 400


def test_a_changed_user_costs_a_read_of_both_sides_and_a_write(stage: Stage) -> None:
    stage.edit(2)
    stage.let_time_pass()
    run = stage.measure("pass")
    # What has ended since the fill is noted as over: whether anything has, the time of day decides.
    written = {step: count for step, count in run.outcome["done"].items() if step != "noted"}
    assert written == {"create_mirror": 1, "create_block": 1}
    assert run.requests["welkin.events.list"] == 2
    assert (run.writes, run.tokens) == (2, 0)


def test_the_median_is_shown_with_its_spread() -> None:
    assert Spread.of([3.0, 1.0, 2.0]).text() == "2.0 (1.0-3.0)"
    assert Spread.of([1234.5]).text(0) == "1,234"


def test_counts_are_kept_apart() -> None:
    requests = difference({"a.token": 3, "b.insert": 5, "c.list": 2}, {"b.insert": 1, "c.list": 2})
    run = Measurement(1.0, 1.0, 1.0, requests)
    assert (run.tokens, run.total, run.writes) == (3, 4, 4)


def test_airflows_processes_are_known_by_their_titles() -> None:
    assert role_of("airflow worker -- LocalExecutor: <idle>") == "executor"
    assert role_of("airflow worker -- 01a21406-8679") == "task"
    assert role_of("airflow api_server -- host:127.0.0.1") == "api-server"
    assert cpu_seconds(os.getpid()) > 0


def test_a_smaller_bench_is_smaller_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_ACCOUNTS", "50")
    small = scale_from_environment()
    assert (small.accounts, small.fill_users, small.rows, small.changed) == (50, 5, 100, 2)
    assert not small.is_full
    assert Scale().changed == 50


def test_the_page_says_where_a_target_is_missed(tmp_path: Path) -> None:
    results = Results.begin(Scale())
    run = Measurement(
        wall=30.0,
        cpu=10.0,
        memory_mb=100.0,
        requests={"google.events.insert": 10, "google.events.list": 90, "google.token": 1},
        outcome={"tasks": 3, "cpu": {"task": 1.0}, "done": {"create_block": 100}},
    )
    keys = ("idle", "idle_cold", "pass", "fill", "rows", "rows_change", "dag", "hook", "window")
    results.add(*(Case(key, key, [run], Least(100, "because")) for key in keys))
    results.organisation = {"written": {"create_block": 1}, "filled": 1.0}
    results.save(tmp_path / "kept" / "results.json")
    text = page(Results.load(tmp_path / "kept" / "results.json"))
    assert "| idle poll of 1,000 accounts | < 20 s | 30.0 s | **missed** |" in text
    assert "| < 400 MB | 100 MB | met |" in text
    assert all(len(line) <= 100 or line.startswith("|") for line in text.splitlines())


def test_the_page_of_tasks_compares_them_with_empty_ones(tmp_path: Path) -> None:
    kinds = task_cost.NOTHING, task_cost.IDLE, task_cost.WRITE
    cpu = {
        variant: {kind: [second, second + 0.01] for kind, second in zip(kinds, costs, strict=True)}
        for variant, costs in {
            task_cost.PRELOAD: (0.1, 0.15, 0.19),
            task_cost.PLAIN: (0.1, 0.4, 0.5),
        }.items()
    }
    # 0.3 s for each wave of tasks, and 0.2 s for each of 15.5 users.
    waves = {2: 1, 4: 2, 8: 4, 16: 8, 31: 16}
    packed = {
        "2": {str(most): [0.3 * count + 3.1] for most, count in waves.items()},
        "8": {str(most): [12.0, 14.0] for most in waves},
    }
    found = TaskCosts("2026-03-02", 0.1, 31, cpu, packed)
    found.save(tmp_path / "tasks.json")
    text = task_cost.section(TaskCosts.load_from(tmp_path / "tasks.json"))
    assert "| preload | 0.11 (0.10-0.11) | 0.15 (0.15-0.16) | 0.20 (0.19-0.20) | 1.9 x |" in text
    assert "in empty tasks, preload | <= 2 x | 1.9 x | met |" in text
    assert "preload, in empty tasks without it | <= 2 x | 1.9 x | met |" in text
    assert "without preload, in empty tasks | <= 4 x | 4.8 x | **missed** |" in text
    assert "| 31 | 7.9 | 13.0 (12.0-14.0) | 0.5 |" in text
    assert "| 8 | 4.3 | 13.0 (12.0-14.0) | 1.1 |" in text


def test_the_page_of_other_libraries_compares_time_and_processor_time() -> None:
    results = Results.begin(Scale())
    results.versions |= comparison.pins()
    for platform, libraries in comparison.LIBRARIES.items():
        for name in (comparison.OURS, *libraries):
            factor = 1 if name == comparison.OURS else 3
            run = Measurement(2.0 * factor, 1.5 * factor, 100.0, {"google.events.list": 1000})
            for far in (False, True):
                key = f"{platform}_{name}_{far}"
                results.add(Case(key, name + ", far" * far, [run]))
    text = comparison.section(results)
    assert "- gcal_sync, far: 3.0 times our time, 3.0 times our CPU time." in text
    assert f"msgraph-sdk {comparison.pins()['msgraph-sdk']}" in text
    assert text.count("| this project | 1 | 2.0 | 1.5 | 100 | 1,000 |") == 2


def test_the_page_of_latency_compares_each_variant_with_its_target(tmp_path: Path) -> None:
    found = Latency("2026-03-02", 20, {})
    for variant, seconds in ((TIMETABLE, 70.0), (NOTICING, 9.0), (PUSH, 7.0)):
        edits = [
            Edit(source, target, "id", 100.0, 100.0 + seconds, 101.0, 102.0, 103.0)
            for source, target in DIRECTIONS
            for _ in range(20)
        ]
        # One edit of twenty is late: the 95th percentile does not know it.
        edits[0].written += 100
        triggerer = 6.0 if variant == TIMETABLE else 15.0
        cpu = {"triggerer": triggerer, "task": 300.0 if variant == TIMETABLE else 30.0}
        idle = Idle(600.0, 20 if variant == TIMETABLE else 4, 12, cpu, {"welkin.audit": 120})
        watched = None if variant == PUSH else idle
        off = Idle(600.0, 0, 0, {"triggerer": 5.0}, {}) if variant == NOTICING else None
        found.parts.append(Part(25, variant, 0.5, edits, watched, [3.0], off))
    found.save(tmp_path / "kept" / "latency.json")
    text = latency_page.section(Latency.load(tmp_path / "kept" / "latency.json"))
    assert "| 25 | noticing | Welkin to Google | 20 | 9.0 | 9.0 | 109.0 |" in text
    assert "| 25 | noticing | Google to Welkin | 1.0 | 2.0 | 3.0 | 9.0 |" in text
    lines = {line.split(" | ")[0][2:]: line for line in text.splitlines() if line.startswith("| ")}
    assert lines["Welkin to Google, noticing"].endswith("| 9.0 s, 9.0 s | **missed** |")
    assert lines["Welkin to Google, runs each minute"].endswith("| 70.0 s | met |")
    assert lines["Google to Welkin, noticing and push"].endswith("| 7.0 s | met |")
    assert lines["noticing, CPU-s a second"].endswith("| 0.015 | met |")
    assert lines["Welkin, requests/s"].endswith("| 0.20 | met |")
    assert lines["runs a day"].endswith("| 576 | met |")
    compared = "of that with runs each minute"
    assert lines[f"CPU of tasks, {compared}"].endswith("| 10% | met |")
    beyond = f"CPU beyond an Airflow whose DAGs are switched off, {compared}"
    assert lines[beyond].endswith("| 13% | met |")
    assert lines[f"CPU of all of Airflow, {compared}"].endswith("| 15% | met |")
    assert "| 25 | switched off | 10.0 min | 0 | 0 | 0 | 720 |" in text
    for part in found.parts:
        part.idle = part.off = None
    large = latency_page.section_large(found)
    assert large.startswith(latency_page.HEADING_LARGE)
    assert "| 25 | noticing | Welkin to Google | 20 | 9.0 | 9.0 | 109.0 |" in large
    assert "target" not in large
    assert "a day's worth" not in large


def test_the_page_of_many_accounts_counts_against_the_quota() -> None:
    results = Results.begin(Scale())
    seconds = {
        "google_polls_1": 120.0,
        "google_polls_2": 60.0,
        "google_pass": 130.0,
        "google_sweep": 5.0,
        "microsoft_polls_1": 70.0,
        "microsoft_pass": 70.0,
    }
    for key, wall in seconds.items():
        run = Measurement(
            wall, wall / 6, 100.0, {"google.freebusy.query": 200, "welkin.events.create": 4}
        )
        results.add(Case(key, key, [run], Least(200, "because")))
    made = {"create_mirror": 20_000, "create_block": 30_000}
    results.organisation = {"google_mb": 100.0, "google_written": made}
    results.organisation |= {"microsoft_mb": 150.0, "microsoft_written": made}
    text = many.section(results)
    assert "100 MB, 2.0 kB for each of 50,000 mirrors" in text.replace("\n  ", " ")
    assert (
        "| a look for changes at 5,000 Google accounts, one poll each | <= 60 s | 60 s | met |"
        in text
    )
    assert "| memory of any of these | < 400 MB | 100 MB | met |" in text
    assert "each account every 1,440 s, 60% of 1,000,000 requests a day" in text
    assert "| <= 60% of 1,000,000 | 50% | met |" in text
    assert (
        "| a round of polls of 10,000 Microsoft mailboxes | <= 60 s | 70 s | **missed** |" in text
    )
    # On paper: 700 s for a round of 100,000, in a minute; 3.1 kB for each of a million writes.
    assert "| N x 7.0 ms / 60 s | 12 |" in text
    assert "| 10 N x 3.1 kB | 2.9 GB |" in text
    assert "So many users need 12 deployments" in text


def test_the_page_of_pages_names_the_slowest() -> None:
    times = {path: [float(number)] * 40 for number, path in enumerate(pages.PATHS)}
    found = pages.Times("2026-03-02", 0.1, 10_000)
    for name in ("PostgreSQL", "SQLite"):
        found.pages[name] = times
        found.commands[name] = {"status": [1.0, 3.0, 2.0]}
    text = pages.section(found)
    slowest = pages.PATHS[-1]
    assert f"`{slowest}` is slowest: p95 {len(times) - 1} ms" in " ".join(text.split())
    assert "| `/users` | 1 | 1 | 1 | 1 |" in text
    assert "| `status` | 2.0 (1.0-3.0) | 2.0 (1.0-3.0) |" in text


def test_the_page_of_the_receiver_tells_the_slowest_hundredth(tmp_path: Path) -> None:
    quick, slow = [*[5.0] * 995, *[900.0] * 5], [*[5.0] * 985, *[60.0] * 15]
    found = Receiver(
        "2026-03-02", 0.1, [Answers("SQLite", quick, 0), Answers("PostgreSQL", slow, 0)]
    )
    found.save(tmp_path / "kept" / "receiver.json")
    text = receiver.section(Receiver.load_from(tmp_path / "kept" / "receiver.json"))
    assert "| SQLite | 1,000 | 5.0 | 5.0 | 5.0 | 900.0 |" in text
    assert "| answers with SQLite, p99 | <= 50 ms | 5 ms | met |" in text
    assert "| answers with PostgreSQL, p99 | <= 50 ms | 60 ms | **missed** |" in text


@pytest.mark.parametrize("name", ["sync_dag", "hook_dag", "floor_dag"])
def test_the_dags_of_the_bench_can_be_parsed(name: str) -> None:
    runpy.run_path(str(REPOSITORY / "bench" / "dags" / f"{name}.py"))
