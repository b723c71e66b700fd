"""`make cluster-test`: every fault in turn, 300 users on both platforms, seconds beside the wanted.

`python -m tests.e2e.cluster USERS [FAULT...]`; ends with 1 if something was lost, doubled or not
recorded. Seconds are printed, and fail nothing.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from calendar_sync_sandbox.standalone import AirflowError
from tests.e2e.cluster import preload, workers
from tests.e2e.cluster.cluster import small_disk
from tests.e2e.cluster.faults import CLOCK_OFF, Faults
from tests.e2e.cluster.stage import DAGS, open_stage

if TYPE_CHECKING:
    from types import FrameType

#: Megabytes for the state database of 300 users, and some room.
DISK = 400
NAMES = (
    "nothing",
    "worker_killed",
    "redis_killed",
    "redis_restarted",
    "scheduler_killed",
    "postgres_restarted",
    "disk_full",
    "clock_ahead",
    "clock_behind",
    "preload",
    "workers",
)
#: No faults: what tasks cost, and how many run in a second.
COSTS = {"preload": preload.measure, "workers": workers.measure}


def _on_signal(number: int, frame: FrameType | None) -> None:
    # As Ctrl-C does, so that the small disk is unmounted.
    raise KeyboardInterrupt


def main() -> int:
    """Run them all, or those that are named."""
    signal.signal(signal.SIGTERM, _on_signal)
    users = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    names, bad = sys.argv[2:] or NAMES, 0
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cluster-")))
        folder.chmod(0o755)  # PostgreSQL, as another user, has the small disk in it.
        disk = None
        try:
            disk = stack.enter_context(small_disk(folder / "disk", DISK))
        except AirflowError as error:
            print(f"the disk cannot be full here: {error}", flush=True)
        begun = time.monotonic()
        stage = stack.enter_context(open_stage(folder, users, disk=disk))
        print(f"up after {time.monotonic() - begun:.0f} s: {stage.before}", flush=True)
        faults = Faults(stage, disk)
        for name in names:
            if name in COSTS:
                for line in COSTS[name](stage):
                    print(line, flush=True)
                continue
            if name == "clock_ahead":
                done = faults.clock_off(CLOCK_OFF)
            elif name == "clock_behind":
                done = faults.clock_off(f"-{CLOCK_OFF}")
            else:
                done = getattr(faults, name)()
            if done is not None:
                bad += len(done.problems)
                print(done.line(), flush=True)
        runs = sum(len(stage.airflow.runs(dag, newest=10_000)) for dag in DAGS)
        print(
            f"{len(stage.edits)} edits, {runs} runs, {bad} problems, "
            f"{time.monotonic() - begun:.0f} s"
        )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
