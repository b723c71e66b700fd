"""CPU time and memory of all that belongs to one Airflow, by what the processes do."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bench.worker import peak_memory_mb
from calendar_sync_sandbox.processes import session_members

if TYPE_CHECKING:
    from types import TracebackType

TICKS = os.sysconf("SC_CLK_TCK")
LOOK_EVERY_SECONDS = 0.5
#: Words in the titles that Airflow gives its processes, most telling first.
ROLES = (
    ("LocalExecutor", "executor"),
    ("airflow worker --", "task"),
    ("scheduler", "scheduler"),
    ("api_server", "api-server"),
    ("api-server", "api-server"),
    ("dag-processor", "dag-processor"),
    ("triggerer", "triggerer"),
)


def role_of(title: str) -> str:
    """What a process of Airflow does, by its title."""
    return next((role for word, role in ROLES if word in title), "other")


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and of all that it has waited for."""
    text = Path(f"/proc/{pid}/stat").read_text()
    # The name in parentheses may hold spaces; utime is the 14th field of the line.
    fields = text.rpartition(")")[2].split()
    return sum(int(value) for value in fields[11:15]) / TICKS


def title_of(pid: int) -> str:
    """The command line, which may have been rewritten."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


class Watch:
    """Watches a session from a thread while it is entered.

    Attributes:
        memory_mb: the most memory that a process of each role had.
    """

    def __init__(self, session: int) -> None:
        self._session = session
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._before: dict[str, float] = {}
        self.memory_mb: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._before = self.by_role()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        after = self.by_role()
        self.cpu = {role: after[role] - self._before.get(role, 0.0) for role in after}

    @property
    def tasks_cpu(self) -> float:
        """Of the executor's workers and the tasks that they ran."""
        return self.cpu.get("executor", 0.0) + self.cpu.get("task", 0.0)

    @property
    def task_memory_mb(self) -> float:
        """The most that a task's process had."""
        return self.memory_mb["task"]

    def by_role(self) -> dict[str, float]:
        """CPU seconds so far; time of ended children counts where they were waited for."""
        found: dict[str, float] = defaultdict(float)
        for pid in session_members(self._session):
            try:
                found[role_of(title_of(pid))] += cpu_seconds(pid)
            except OSError:
                continue
        return dict(found)

    def _look(self) -> None:
        while not self._ended.wait(LOOK_EVERY_SECONDS):
            for pid in session_members(self._session):
                try:
                    role = role_of(title_of(pid))
                    self.memory_mb[role] = max(self.memory_mb[role], peak_memory_mb(pid))
                except OSError:
                    continue
