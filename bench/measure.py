"""What a measurement is, and how it is taken of a process of our own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.servers import REPOSITORY

from bench.setup import connection_variables
from calendar_sync_sandbox.standalone import airflow_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

TIMEOUT = 1800
#: Where every process finds the product and the bench: beside each other.
PYTHONPATH = os.pathsep.join((str(REPOSITORY / "include"), str(REPOSITORY)))


class BenchError(RuntimeError):
    """Something did not work: then no page is written."""


@dataclass(frozen=True)
class Spread:
    """Median, least and largest of some values."""

    median: float
    least: float
    largest: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Of at least one value."""
        found = sorted(values)
        return cls(statistics.median(found), found[0], found[-1], len(found))

    def text(self, digits: int = 1) -> str:
        """`2.1 (1.9-2.4)`; one value alone has no spread."""
        median = f"{self.median:,.{digits}f}"
        if self.count == 1:
            return median
        return f"{median} ({self.least:,.{digits}f}-{self.largest:,.{digits}f})"


@dataclass(frozen=True)
class Measurement:
    """One repetition."""

    wall: float
    cpu: float
    memory_mb: float
    requests: Mapping[str, int]
    start_cpu: float = 0.0
    outcome: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        """Requests for access tokens, and where to get them."""
        return self._of(".token", ".discovery")

    @property
    def batches(self) -> int:
        """Requests that only carry others, which are counted by themselves."""
        return self._of(".batch")

    @property
    def total(self) -> int:
        """All requests but those for tokens; what travels together counts each."""
        return sum(self.requests.values()) - self.tokens - self.batches

    def _of(self, *kinds: str) -> int:
        return sum(count for kind, count in self.requests.items() if kind.endswith(kinds))

    @property
    def writes(self) -> int:
        """Requests that changed something."""
        verbs = ("insert", "update", "patch", "delete", "create", "put")
        return sum(
            count for kind, count in self.requests.items() if kind.rsplit(".", 1)[-1] in verbs
        )


def difference(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """What came to a counter, without zeros."""
    return {
        kind: count - before.get(kind, 0)
        for kind, count in sorted(after.items())
        if count != before.get(kind, 0)
    }


def worker_environment(folder: Path, state: Path) -> dict[str, str]:
    """The environment of a worker: connections to the sandbox of `folder`, its state database."""
    home = folder / "airflow-home"
    home.mkdir(exist_ok=True)
    return (
        airflow_environment(home, home, None, 0)
        | connection_variables(folder)
        | {"CALENDAR_SYNC_DATABASE_URL": f"sqlite:///{state}", "PYTHONPATH": PYTHONPATH}
    )


def run_worker(what: str, env: Mapping[str, str], platform: str) -> dict[str, Any]:
    """Run `bench.worker` and return its report.

    Raises:
        BenchError: it failed, or its work did.
    """
    done = subprocess.run(
        [sys.executable, "-m", "bench.worker", what, platform],
        cwd=REPOSITORY,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"worker {what} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if report["outcome"].get("fault") or report["outcome"].get("failed"):
        raise BenchError(f"worker {what}: {report['outcome']}")
    return report


def load() -> float:
    """How many processes wanted a core during the last minute, others' included."""
    return os.getloadavg()[0]
