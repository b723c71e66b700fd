"""Programs are ended with all that they started, and never anybody else's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil

from calendar_sync_sandbox.processes import Program, session_members

if TYPE_CHECKING:
    from pathlib import Path

# Starts a child in a process group of its own that ignores SIGTERM, as a task of Airflow may.
STUBBORN = """
import os, signal, subprocess, sys, time
child = "import os, signal, time; os.setpgid(0, 0); signal.signal(signal.SIGTERM, signal.SIG_IGN)"
subprocess.Popen([sys.executable, "-c", child + "; time.sleep(600)"])
{then}
"""


def start(folder: Path, then: str = "time.sleep(600)") -> Program:
    return Program(
        [sys.executable, "-c", STUBBORN.format(then=then)],
        log=folder / "log",
        folder=folder,
        env=dict(os.environ),
    )


def wait_for_members(program: Program, count: int) -> list[int]:
    while len(members := program.members) != count or not has_settled(members):
        time.sleep(0.05)
    return members


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def has_settled(members: list[int]) -> bool:
    """The child has left the group of its parent."""
    return len({os.getpgid(pid) for pid in members}) == len(members)


def test_a_child_in_another_process_group_that_ignores_sigterm_is_ended_too(tmp_path: Path) -> None:
    with start(tmp_path) as program:
        members = wait_for_members(program, 2)
        program.stop(patience=0.5)
        assert program.members == []
    assert not any(is_alive(pid) for pid in members)


def test_what_a_program_leaves_behind_is_ended(tmp_path: Path) -> None:
    with start(tmp_path, then="time.sleep(0.5)") as program:
        wait_for_members(program, 2)
        while program.running:
            time.sleep(0.05)
        assert len(program.members) == 1
        program.stop(patience=0.5)
    assert program.members == []


def test_stopping_twice_is_harmless(tmp_path: Path) -> None:
    program = start(tmp_path)
    program.stop(patience=0.5)
    program.stop(patience=0.5)


def test_zombies_are_not_counted(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"], start_new_session=True)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert session_members(process.pid) == []
    process.wait()
