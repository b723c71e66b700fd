"""What was measured, with what is needed to read it, as one JSON document."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from bench.cases import Case
from bench.least import Least
from bench.measure import Measurement
from bench.scale import Scale

PACKAGES = (
    "calendar-sync",
    "apache-airflow",
    "apache-airflow-providers-google",
    "google-api-python-client",
    "httpx",
    "SQLAlchemy",
)


@dataclass
class Kept:
    """What a part of the bench has measured, when, and the load of the machine before."""

    date: str
    load: float

    def save(self, path: Path) -> None:
        """Write everything, so that the page can be written again without measuring."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load_from(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        return cls(**json.loads(path.read_text()))


@dataclass
class Results:
    """All cases of one run of the bench."""

    scale: Scale
    date: str
    machine: dict[str, str]
    versions: dict[str, str]
    load_before: float
    cases: dict[str, Case] = field(default_factory=dict)
    organisation: dict[str, Any] = field(default_factory=dict)
    minutes: float = 0.0

    @classmethod
    def begin(cls, scale: Scale) -> Results:
        """Nothing is measured yet."""
        return cls(
            scale,
            f"{datetime.now(UTC):%Y-%m-%d}",
            _machine(),
            {"Python": platform.python_version()}
            | {name: version(name) for name in PACKAGES}
            | {"SQLite": sqlite3.sqlite_version},
            os.getloadavg()[0],
        )

    def add(self, *cases: Case) -> None:
        """Keep measured cases by their keys."""
        self.cases |= {case.key: case for case in cases}

    def save(self, path: Path) -> None:
        """Write everything, so that the page can be written again without measuring."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what `save` wrote."""
        stored = json.loads(path.read_text())
        stored["scale"] = Scale(**stored["scale"])
        stored["cases"] = {key: _case(case) for key, case in stored["cases"].items()}
        return cls(**stored)


def _case(stored: dict[str, Any]) -> Case:
    least = stored["least"]
    return Case(
        stored["key"],
        stored["title"],
        [Measurement(**run) for run in stored["runs"]],
        Least(**least) if least else None,
    )


def _machine() -> dict[str, str]:
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": str(os.cpu_count()),
        "CPU": cpu,
        "memory": f"{memory:.0f} GB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
    }
