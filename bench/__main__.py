"""`python -m bench`: measure everything, write docs/benchmarks.md.

`BENCH_ACCOUNTS=50` makes it small.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers import REPOSITORY

from bench import (
    cases,
    comparison,
    latency,
    latency_page,
    many,
    microsoft,
    pages,
    receiver,
    shared_tasks,
    task_cost,
)
from bench.latency import Latency
from bench.measure import BenchError
from bench.page import page, replaced
from bench.pages import Times
from bench.receiver import Receiver
from bench.results import Results
from bench.scale import Scale, scale_from_environment
from bench.scheduler import under_one_scheduler
from bench.stage import Stage
from bench.task_cost import TaskCosts
from calendar_sync_sandbox.processes import ProgramError
from calendar_sync_sandbox.standalone import AirflowError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

RESULTS = REPOSITORY / ".bench" / "results.json"
MICROSOFT = RESULTS.with_name("microsoft.json")
COMPARISON = RESULTS.with_name("comparison.json")
LATENCY = RESULTS.with_name("latency.json")
LATENCY_LARGE = RESULTS.with_name("latency-large.json")
MANY = RESULTS.with_name("many.json")
PAGES = RESULTS.with_name("pages.json")
RECEIVER = RESULTS.with_name("receiver.json")
SHARED = RESULTS.with_name("shared.json")
TASKS = RESULTS.with_name("tasks.json")
PARTIAL = RESULTS.with_name("partial.json")
PAGE = REPOSITORY / "docs" / "benchmarks.md"
TRIAL = REPOSITORY / ".bench" / "benchmarks.md"
#: Parts that can be measured alone, and what they write: a heading and what stands below it.
PARTS: dict[str, Callable[[Path, Scale], object]] = {
    "microsoft": lambda folder, scale: microsoft.measure(folder, scale).save(MICROSOFT),
    "comparison": lambda folder, scale: comparison.measure(folder, scale).save(COMPARISON),
    "latency": lambda folder, scale: latency.measure(folder, scale, LATENCY),
    "latency-large": lambda folder, scale: latency.measure_large(folder, scale, LATENCY_LARGE),
    "many": lambda folder, scale: many.measure(folder, scale).save(MANY),
    "pages": lambda folder, scale: pages.measure(folder, scale).save(PAGES),
    "receiver": lambda folder, scale: receiver.measure(folder, scale).save(RECEIVER),
    "shared": lambda folder, scale: shared_tasks.measure(folder, scale).save(SHARED),
    "tasks": lambda folder, scale: task_cost.measure(folder, scale).save(TASKS),
}
SECTIONS: dict[str, Callable[[], tuple[str, str]]] = {
    "microsoft": lambda: (microsoft.HEADING, microsoft.section(Results.load(MICROSOFT))),
    "comparison": lambda: (comparison.HEADING, comparison.section(Results.load(COMPARISON))),
    "latency": lambda: (latency_page.HEADING, latency_page.section(Latency.load(LATENCY))),
    "latency-large": lambda: (
        latency_page.HEADING_LARGE,
        latency_page.section_large(Latency.load(LATENCY_LARGE)),
    ),
    "many": lambda: (many.HEADING, many.section(Results.load(MANY))),
    "pages": lambda: (pages.HEADING, pages.section(Times.load_from(PAGES))),
    "receiver": lambda: (receiver.HEADING, receiver.section(Receiver.load_from(RECEIVER))),
    "shared": lambda: (shared_tasks.HEADING, shared_tasks.section(Results.load(SHARED))),
    "tasks": lambda: (task_cost.HEADING, task_cost.section(TaskCosts.load_from(TASKS))),
}


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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--page", action="store_true", help="only write the page, from the results")
    for part in PARTS:
        words = f"measure and write the section `{part}` alone"
        parser.add_argument(
            f"--{part}", dest="parts", action="append_const", const=part, help=words
        )
    return parser.parse_args()


def main() -> int:
    """Measure and write; 0 when the page is there."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _on_signal)
    alone: list[str] = arguments.parts or []
    scale = Results.load(RESULTS).scale if arguments.page else scale_from_environment()
    try:
        if not arguments.page:
            with tempfile.TemporaryDirectory(prefix="calendar-sync-bench-") as name:
                folder = Path(name)
                if not alone:
                    measure(folder, scale).save(RESULTS)
                for part in alone or PARTS:
                    PARTS[part](folder, scale)
    except KeyboardInterrupt:
        return 130
    except (BenchError, AirflowError, ProgramError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    # A trial must not replace the figures that the targets are about.
    target = PAGE if scale.is_full else TRIAL
    text = PAGE.read_text("utf-8") if alone else page(Results.load(RESULTS))
    for part in alone or PARTS:
        text = replaced(text, *SECTIONS[part]())
    target.write_text(text, "utf-8")
    print(f"bench: {target.relative_to(REPOSITORY)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
