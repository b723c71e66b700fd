"""Programs in sessions of their own, so that all they start can be found and ended.

A process group would not do: Airflow gives every running task a group of its own, and `airflow
standalone` leaves its components behind when it ends. All of them stay in the session, though.

A process that is killed ends nothing. So each session has a guard: this file, run as a program in
a session of its own, which ends the other once its starter is gone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType


class ProgramError(RuntimeError):
    """A program did not start, ended early or cannot be ended."""


class Program:
    """One running program and everything that it started.

    Args:
        command: the program and its arguments.
        log: file that receives what it prints.
        folder: its working directory.
        env: its whole environment.
    """

    def __init__(
        self, command: Sequence[str], *, log: Path, folder: Path, env: Mapping[str, str]
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self._leader = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=dict(env),
                start_new_session=True,
            )
        self.session = self._leader.pid
        self._guard = guard(self.session)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the program itself (not what it started) still runs."""
        return self._leader.poll() is None

    @property
    def code(self) -> int | None:
        """With what it ended; None while it runs."""
        return self._leader.poll()

    @property
    def members(self) -> list[int]:
        """Process ids of the program and of all that it started and that still run."""
        self._leader.poll()
        return session_members(self.session)

    @property
    def ended_children(self) -> set[int]:
        """Process ids of what the program itself started, that ended and that it did not notice."""
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.session).children()
            return {child.pid for child in children if _zombie(child)}
        return set()

    @property
    def worked(self) -> tuple[int, float]:
        """Processes of it that run, and the tenths of seconds that they have computed."""
        seconds = 0.0
        members = self.members
        for pid in members:
            with contextlib.suppress(psutil.Error):
                seconds += sum(psutil.Process(pid).cpu_times()[:2])
        return len(members), round(seconds, 1)

    def stop(self, patience: float = 10) -> None:
        """End the program and all that it started; return when none is left.

        Raises:
            ProgramError: something outlived even SIGKILL.
        """
        # Ctrl-C a second time must not leave half of it running.
        end_session(self.session, patience)
        self._leader.wait()
        dismiss(self._guard)

    def tail(self, lines: int = 20) -> str:
        """The last lines of what it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def _zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def session_members(session: int) -> list[int]:
    """The living processes of a session. Zombies are not alive: they only await their parent."""
    members = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == session and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                members.append(pid)
        except (OSError, psutil.NoSuchProcess):
            continue
    return members


def end_session(session: int, patience: float = 10) -> None:
    """Ask every member of a session to end, then make the rest; return when none is left.

    Raises:
        ProgramError: something outlived even SIGKILL.
    """
    # SIGKILL is repeated, since a member may have started another one while we looked.
    deadline = time.monotonic() + patience
    _signal_all(session_members(session), signal.SIGTERM)
    while members := session_members(session):
        if time.monotonic() > deadline + 10:
            raise ProgramError(f"processes that cannot be ended: {members}")
        if time.monotonic() > deadline:
            _signal_all(members, signal.SIGKILL)
        time.sleep(0.05)


def guard(session: int, *folders: Path) -> subprocess.Popen[bytes]:
    """Have a session ended, and folders removed, when this process has ended, however it did."""
    # Only this process has the other end of its standard input: it closes with us.
    return subprocess.Popen(
        [sys.executable, "-P", __file__, str(session), *map(str, folders)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def dismiss(guard: subprocess.Popen[bytes]) -> None:
    """End a guard, when its session has ended. A second call does nothing."""
    if guard.stdin is not None and not guard.stdin.closed:
        guard.communicate(b"over")


def _stand_guard(session: int, folders: Sequence[str]) -> None:
    if sys.stdin.buffer.read():
        return
    end_session(session)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _signal_all(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    _stand_guard(int(sys.argv[1]), sys.argv[2:])
