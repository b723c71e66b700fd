"""`python -m bench.server`: one organisation, filled or not, served over HTTPS."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from bench.fill import BenchClock, empty_state, fill
from bench.organisation import busy_person, staff
from calendar_sync.core.model import Platform
from calendar_sync_sandbox import Sandbox, serve

STATE = "state.db"
STORY = "seeded.json"


def main() -> None:
    """Build, tell what was built, serve until ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--users", type=int, default=0)
    parser.add_argument("--encounters", type=int, default=50)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--filled", action="store_true")
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--platform", type=Platform, action="append", required=True)
    given = parser.parse_args()
    begun = time.monotonic()
    clock = BenchClock()
    sandbox = Sandbox(clock=clock)
    sandbox.welkin.rate_limit = None
    # Pages without rows and lost tombstones are for tests; here everybody meets a kind server.
    sandbox.google.unfriendly = sandbox.microsoft.unfriendly = False
    if given.rows:
        busy_person(sandbox, given.rows, clock.now(), given.platform[0])
    else:
        staff(
            sandbox,
            given.users,
            given.encounters,
            clock.now(),
            given.platform,
            light=given.light,
        )
    seeded = time.monotonic() - begun
    written: dict[str, int] = {}
    if given.filled:
        written = fill(sandbox, clock, given.folder / STATE, given.platform)
    else:
        clock.advance(minutes=60)
        empty_state(sandbox, given.folder / STATE, given.platform)
    clock.go_live()
    sandbox.requests.clear()
    story = {"seeded": seeded, "filled": time.monotonic() - begun - seeded, "written": written}
    (given.folder / STORY).write_text(json.dumps(story))
    serve(sandbox, 0, given.folder)


if __name__ == "__main__":
    main()
