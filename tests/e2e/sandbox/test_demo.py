"""The demo's own parts: the search for patient data, time slots, people, interrupts, totals."""

from __future__ import annotations

import csv
import os
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from calendar_sync_sandbox import Sandbox, running
from calendar_sync_sandbox.control import summary
from calendar_sync_sandbox.demo.checks import contents, leaks, run_problems, totals
from calendar_sync_sandbox.demo.runs import together
from calendar_sync_sandbox.demo.stage import Interrupts, write_mapping
from calendar_sync_sandbox.demo.world import PLATFORMS, Slot, World
from calendar_sync_sandbox.standalone import TaskInstance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from calendar_sync_sandbox.demo.runs import Waiting

CANARIES = ["Zoë Quillfeather", "MRN-7731"]


def test_a_canary_in_a_log_is_found_and_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "task.log").write_text("visit of Zoë Quillfeather")
    assert leaks(contents(tmp_path), CANARIES) == ["task.log: canary 0"]


def test_a_canary_that_json_has_escaped_is_found() -> None:
    assert leaks([("XComs", b'{"x": "Zo\\u00eb Quillfeather"}')], CANARIES) == ["XComs: canary 0"]


def test_a_canary_scattered_over_pages_of_a_database_is_found(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        database.execute("create table t (v text)")
        database.execute("insert into t values (?)", ("x" * 4070 + "MRN-7731" + "x" * 9000,))
        database.commit()
    assert "state.db (rows): canary 1" in leaks(contents(tmp_path), CANARIES)


def test_what_is_to_be_skipped_is_not_searched(tmp_path: Path) -> None:
    (tmp_path / "sandbox").mkdir()
    (tmp_path / "sandbox" / "patients.json").write_text("MRN-7731")
    assert leaks(contents(tmp_path, skip=frozenset({"sandbox"})), CANARIES) == []


def _run(state: str, closing: str | None = "success") -> tuple[str, list[TaskInstance]]:
    tasks = [("find_changed_users", "success"), ("record_run", closing)]
    return state, [TaskInstance(name, -1, state, None, 1) for name, state in tasks if state]


def test_a_run_that_was_not_closed_or_failed_unexpectedly_is_reported() -> None:
    good = {"r-1": _run("success"), "r-2": _run("failed")}
    assert run_problems(good, ["r-2"]) == []
    assert run_problems(good, []) == ["r-2: failed"]
    assert run_problems(good, ["r-1", "r-2"]) == ["r-1: success"]
    assert run_problems(good, ["r-2", "r-3"]) == ["r-3: not found"]
    # The run itself looks well.
    assert run_problems({"r-1": _run("success", "failed")}, []) == ["record_run of r-1: failed"]
    assert run_problems({"r-1": _run("success", None)}, []) == ["record_run of r-1: missing"]


def test_a_slot_is_recognised_in_any_zone_and_precision() -> None:
    start = datetime(2026, 3, 2, 15, 7, tzinfo=UTC)
    slot = Slot(start, start + timedelta(minutes=34))
    assert slot.covers("2026-03-02T15:07:00.000Z", "2026-03-02T10:41:00-05:00")
    assert not (slot + timedelta(minutes=1)).covers("2026-03-02T15:07:00Z", "2026-03-02T15:41:00Z")
    assert slot.body() == {"start": "2026-03-02T15:07:00Z", "end": "2026-03-02T15:41:00Z"}


def test_the_mapping_names_each_user_and_mailbox(tmp_path: Path) -> None:
    """Whoever has a mailbox on each platform has two lines."""
    sandbox = Sandbox()
    sandbox.organise(users=3, encounters=1, microsoft="half")
    with running(sandbox, tmp_path):
        world = World(tmp_path)
        mailboxes = [user for platform in PLATFORMS for user in world.users(platform)]
    write_mapping(tmp_path / "user_mapping.csv", mailboxes)
    heading, *rows = csv.reader((tmp_path / "user_mapping.csv").read_text().splitlines())
    assert heading == ["welkin_user_id", "email", "platform", "account", "enabled", "direction"]
    assert [(row[0][-1], row[2], row[3].partition("@")[0]) for row in rows] == [
        ("1", "google", "dana.hale"),
        ("2", "google", "ruben.thorne"),
        ("3", "google", "mira.okafor"),
        ("2", "microsoft", "ruben.thorne"),
    ]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_people_do_and_see_the_same_on_each_platform(tmp_path: Path, platform: str) -> None:
    sandbox = Sandbox()
    sandbox.organise(users=2, encounters=1, microsoft="half")
    start = datetime.now(UTC).replace(minute=7, second=0, microsecond=0) + timedelta(days=9)
    slot = Slot(start, start + timedelta(minutes=34))
    later = slot + timedelta(hours=1)
    with running(sandbox, tmp_path):
        world = World(tmp_path)
        user = world.users(platform)[-1]
        event = world.plan_privately(user, slot, "Dentist")
        assert [seen["title"] for seen in world.events(user, slot)] == ["Dentist"]
        world.drag(user, event, later)
        assert world.events(user, slot) == []
        assert [seen["id"] for seen in world.events(user, later)] == [event]
        assert world.mirrors(user, later) == []
        assert world.blocks(user) == 0
        world.revoke(user)
        world.restore(user)


def test_stories_are_played_at_the_same_time() -> None:
    played = []

    def story(name: str, steps: int) -> Waiting[None]:
        for number in range(steps):
            played.append(f"{name}{number}")
            yield

    together([story("a", 1), story("b", 3)])
    assert played == ["a0", "b0", "b1", "b2"]


def test_the_last_line_counts_each_platform() -> None:
    """Whoever reads it by machine relies on its names and their order."""
    sandbox = Sandbox()
    sandbox.organise(users=2, encounters=1, microsoft="half")
    assert list(totals(summary(sandbox), 3, 4).items()) == [
        ("users", 2),
        ("google_mirrors", 0),
        ("microsoft_mirrors", 0),
        ("blocks", 0),
        ("duplicates", 0),
        ("canary_leaks", 3),
        ("failed_users", 4),
    ]


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    installed = Interrupts()
    installed.install()
    yield installed
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts(interrupts: Interrupts, number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


def test_a_signal_waits_until_a_held_block_has_ended(interrupts: Interrupts) -> None:
    reached = []

    def interrupted_while_held() -> None:
        with interrupts.held():
            os.kill(os.getpid(), signal.SIGTERM)
            reached.append("end of block")

    with pytest.raises(KeyboardInterrupt):
        interrupted_while_held()
    assert reached == ["end of block"]
