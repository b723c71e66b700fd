"""`python -m tests.bench`: measure everything, write docs/benchmarks.md.

`BENCH_ACCOUNTS=50` makes it small; `--page` writes the page again from the last results.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from calendar_sync.sandbox.processes import ProgramError
from calendar_sync.sandbox.standalone import AirflowError
from tests.bench import cases
from tests.bench.measure import BenchError
from tests.bench.page import page
from tests.bench.results import Results
from tests.bench.scale import scale_from_environment
from tests.bench.scheduler import under_one_scheduler
from tests.bench.stage import Stage
from tests.servers import REPOSITORY

if TYPE_CHECKING:
    from types import FrameType

    from tests.bench.scale import Scale

RESULTS = REPOSITORY / ".bench" / "results.json"
PARTIAL = RESULTS.with_name("partial.json")
PAGE = REPOSITORY / "docs" / "benchmarks.md"
TRIAL = REPOSITORY / ".bench" / "benchmarks.md"


def measure(folder: Path, scale: Scale) -> Results:
    """All cases, one after the other: nothing else of ours runs beside what is measured."""
    results = Results.begin(scale)
    begun = time.monotonic()
    results.add(cases.first_fill(folder, scale), *cases.many_rows(folder, scale))
    cases.say(f"making an organisation of {scale.accounts:,} accounts that is in step")
    arguments = ("--users", str(scale.accounts), "--encounters", str(scale.encounters), "--filled")
    with Stage(folder / "organisation", *arguments) as stage:
        cases.say(f"made: {stage.story}")
        results.organisation = dict(stage.story)
        results.add(*cases.idle_polls(stage, scale))
        results.add(cases.changed_pass(stage, scale))
        # The longest case comes last: what was measured before outlives its failure.
        results.save(PARTIAL)
        results.add(*under_one_scheduler(stage, scale))
    results.minutes = (time.monotonic() - begun) / 60
    return results


def _on_signal(number: int, frame: FrameType | None) -> None:
    # As Ctrl-C does, so that everything that was started is ended.
    raise KeyboardInterrupt


def main() -> int:
    """Measure and write; 0 when the page is there."""
    signal.signal(signal.SIGTERM, _on_signal)
    try:
        if "--page" in sys.argv:
            results = Results.load(RESULTS)
        else:
            with tempfile.TemporaryDirectory(prefix="calendar-sync-bench-") as folder:
                results = measure(Path(folder), scale_from_environment())
            results.save(RESULTS)
    except KeyboardInterrupt:
        return 130
    except (BenchError, AirflowError, ProgramError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    # A trial must not replace the figures that the targets are about.
    target = PAGE if results.scale.is_full else TRIAL
    target.write_text(page(results))
    print(f"bench: {target.relative_to(REPOSITORY)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
