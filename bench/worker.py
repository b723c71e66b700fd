"""`python -m bench.worker poll|sweep|pass PLATFORM`: one piece of the sync as a process.

It does what a task of the DAG or `calendar-sync sync` does, with the connections that Airflow
finds in the environment, and prints what it took as one JSON document. Starting Python and Airflow
is kept apart from the work.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calendar_sync.core.model import Platform
from calendar_sync.orchestration.connections import load_secrets
from calendar_sync.state import Database, Store
from calendar_sync.sync.noticing import find_work
from calendar_sync.sync.noticing.sweeps import Sweep
from calendar_sync.sync.roster import members
from calendar_sync.sync.runner import run_pass, store_run
from calendar_sync.sync.runtime import open_services

if TYPE_CHECKING:
    from calendar_sync.state.config import Revision
    from calendar_sync.sync.services import Services


def main() -> None:
    """Prepare, work, report."""
    what, platform = sys.argv[1], Platform(sys.argv[2])
    secrets = load_secrets()
    database = Database()
    store = Store(database, secrets.hmac_key)
    revision = store.config.revision()
    works = {"poll": _poll, "sweep": _sweep, "pass": _pass}
    start_cpu = _cpu()

    async def work() -> dict[str, Any]:
        async with open_services(secrets, database, revision.settings.limits) as services:
            return await works[what](services, revision, platform)

    begun = time.perf_counter()
    outcome = asyncio.run(work())
    report = {
        "wall": time.perf_counter() - begun,
        "cpu": _cpu() - start_cpu,
        "start_cpu": start_cpu,
        "memory_mb": peak_memory_mb(os.getpid()),
        "outcome": outcome,
    }
    database.close()
    print(json.dumps(report))


async def _poll(services: Services, revision: Revision, platform: Platform) -> dict[str, Any]:
    found = await find_work(services, revision, platform)
    return {"polled": found.polled, "marked": found.marked, "fault": found.fault}


async def _sweep(services: Services, revision: Revision, platform: Platform) -> dict[str, Any]:
    now = services.clock.now()
    people = members(services.store, revision.settings, platform, now).synced.values()
    result = await Sweep(services, revision, platform).run(people)
    changed = len(result.changed)
    return {"asked": result.asked, "unseen": result.unseen, "changed": changed}


async def _pass(services: Services, revision: Revision, platform: Platform) -> dict[str, Any]:
    run_id, started_at = f"bench-{uuid.uuid4().hex[:8]}", datetime.now(UTC)
    result = await run_pass(
        services, revision, platform, run_id=run_id, owner=f"{run_id}/{os.getpid()}"
    )
    rows = [outcome.row for outcome in result.outcomes.values()]
    store_run(services.store, platform, run_id, started_at, rows, datetime.now(UTC))
    return {
        "users": len(result.outcomes),
        "rounds": result.rounds,
        "failed": len(result.failed),
        "fault": result.fault,
        "done": {str(step): count for step, count in result.done.items()},
    }


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_memory_mb(pid: int) -> float:
    """The most memory that a process ever had (not its parent's, as `ru_maxrss` may be)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
