"""docs/benchmarks.md, written from what was measured."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from bench import calendars, forecast
from bench.measure import Measurement, Spread
from bench.organisation import FIRST_DAY, LAST_DAY
from bench.setup import WELKIN_REQUESTS_PER_SECOND
from calendar_sync.config.settings import Settings
from calendar_sync.sync.freshness import QUOTA_SHARE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bench.cases import Case
    from bench.results import Results

IDLE_SECONDS, MEMORY_MB, TIMES = 20, 400, 10
WIDTH = 100
OWN = ("idle", "idle_cold", "pass", "fill", "rows", "rows_change")
SCHEDULED = ("dag", "hook", "window")


def page(results: Results) -> str:
    """The whole page."""
    parts = [
        _head(results),
        _setting(results),
        _targets(results),
        _own(results),
        _scheduler(results),
        _forecast(results),
        _kinds(results),
    ]
    return "\n\n".join(wrapped(part) for part in parts) + "\n"


def wrapped(text: str) -> str:
    """Break lines as in all our texts; tables and headings stay."""
    blocks = []
    for block in text.split("\n\n"):
        if block.startswith(("|", "#")):
            blocks.append(block)
            continue
        items = block.split("\n- ")
        lines = [item if n == 0 else f"- {item}" for n, item in enumerate(items)]
        blocks.append("\n".join(_filled(line) for line in lines))
    return "\n\n".join(blocks)


def _filled(text: str) -> str:
    return textwrap.fill(
        " ".join(text.split()),
        WIDTH,
        subsequent_indent="  " if text.startswith("- ") else "",
        break_long_words=False,
        break_on_hyphens=False,
    )


def machine(results: Results) -> str:
    """The machine, in a few words: sections are measured on different days."""
    return f"{results.machine['cores']} cores of {results.machine['CPU']}"


def _head(results: Results) -> str:
    warning = (
        ""
        if results.scale.is_full
        else "\n\n**A trial with smaller numbers: the targets below are about 1,000 accounts.**"
    )
    return f"""# Benchmarks

Written by `make bench` on {results.date} from what it measured in {results.minutes:.0f} minutes;
nothing is filled in by hand. Treat the figures as directional: one machine, shared with others
(load {results.load_before:.1f} before the start), a server that answers from memory a hair's
breadth away. Ratios and numbers of requests travel better than seconds. Each figure is the median
of its repetitions, least and largest in parentheses.{warning}"""


def _setting(results: Results) -> str:
    scale = results.scale
    machine = ", ".join(f"{name}: {value}" for name, value in results.machine.items())
    versions = ", ".join(f"{name} {value}" for name, value in results.versions.items())
    written = sum(results.organisation["written"].values())
    return f"""## What was measured on what

- **Machine**: {machine}.
- **Versions**: {versions}.
- **Servers**: the sandbox in a process of its own, over HTTPS, on the same machine: its own CPU
  time is not in the figures, but it takes a core away. Its limit for Welkin is off and
  `limits.welkin_requests_per_second` is {WELKIN_REQUESTS_PER_SECOND} (default 5), or that limit
  would be all that is measured; the forecast uses 5. All other settings are as shipped.
- **Organisation**: {scale.accounts:,} accounts with {scale.encounters} encounters each in Welkin,
  from {-FIRST_DAY} days ago to {LAST_DAY} days ahead, one in ten cancelled. Each has a personal
  calendar with {calendars.DESCRIPTION}. It was chosen before the first comparison was run.
- **In step**: cases 1, 2 and 5 begin with everything in step: {written:,} mirrors and blocks, made
  by the same engine without the network, in {results.organisation["filled"]:.0f} s.
- **A change** is a new visit in Welkin or a new private event, in turn.
- **CPU** and **peak memory** are of our process alone, Airflow's modules included. Wall and CPU
  time begin when Python and Airflow are loaded ({results.cases["idle"].any.start_cpu:.1f} CPU-s).
- **Requests** leave out those for tokens, which have a column of their own."""


def _targets(results: Results) -> str:
    cases = results.cases
    idle = Spread.of(run.wall for run in cases["idle"].runs)
    memory = max(run.memory_mb for key in (*OWN, "dag") for run in cases[key].runs)
    faster = _median(cases["hook"], _wall) / _median(cases["dag"], _wall)
    fewer = _median(cases["hook"], _total) / _median(cases["dag"], _total)
    with_tokens = _median(cases["hook"], _all) / _median(cases["dag"], _all)
    rows = [
        (
            "idle poll of 1,000 accounts",
            f"< {IDLE_SECONDS} s",
            f"{idle.text()} s",
            met(idle.median < IDLE_SECONDS),
        ),
        (
            "peak memory of any of our processes",
            f"< {MEMORY_MB} MB",
            f"{memory:.0f} MB",
            met(memory < MEMORY_MB),
        ),
        (
            "our DAG against the provider's hook, time",
            f"{TIMES} x faster",
            f"{faster:.1f} x",
            met(faster >= TIMES),
        ),
        (
            "our DAG against the provider's hook, requests",
            f"{TIMES} x fewer",
            f"{fewer:.1f} x ({with_tokens:.1f} x with tokens)",
            met(fewer >= TIMES),
        ),
    ]
    return "## Targets\n\n" + table(("", "target", "measured", ""), rows)


def _own(results: Results) -> str:
    rows = [row(results.cases[key]) for key in OWN]
    least = [
        f"- {case.title}: {case.least.because}."
        for key in OWN
        if (case := results.cases[key]).least is not None
    ]
    idle = results.cases["idle"].any.requests
    look = sum(count for kind, count in idle.items() if kind.startswith("welkin."))
    return f"""## Without a scheduler

Each repetition is a process of its own that does what a task or `calendar-sync sync` does.

{table(HEADINGS, rows)}

Rows of one user count both sides, half each. A pass ends with a look for what has come meanwhile,
which finds nothing here: {look} requests to Welkin and a poll of those whom a feed had named. A
cycle writes {Settings().limits.max_cycle_writes} items at most and goes on in the next round,
which reads both sides again.

The least is what the rules allow (I17); further pages where a chunk of the window has more
than 200 rows are not in it:

{chr(10).join(least)}"""


#: Of a table with a line for each case.
HEADINGS = (
    "case",
    "runs",
    "wall, s",
    "CPU, s",
    "peak memory, MB",
    "requests",
    "least",
    "tokens",
)


def row(case: Case) -> tuple[str, ...]:
    """A line of the table with `HEADINGS`."""
    return (
        case.title,
        str(len(case.runs)),
        _spread(case, _wall).text(),
        _spread(case, _cpu).text(),
        f"{max(run.memory_mb for run in case.runs):.0f}",
        _spread(case, _total).text(0),
        f"{case.least.requests:,}" if case.least else "-",
        _spread(case, lambda run: run.tokens).text(0),
    )


def _scheduler(results: Results) -> str:
    cases = results.cases
    headings = (
        "run",
        "runs",
        "wall, s",
        "CPU of tasks, s",
        "of all of Airflow, s",
        "peak memory of a task, MB",
        "tasks",
        "requests",
        "least",
        "tokens",
    )
    rows = []
    for key in SCHEDULED:
        case = cases[key]
        all_cpu = _spread(case, lambda run: sum(run.outcome["cpu"].values()))
        line = row(case)
        tasks = str(case.any.outcome["tasks"])
        rows.append((*line[:4], all_cpu.text(), line[4], tasks, *line[5:]))
    window, hook = cases["window"], cases["hook"]
    per_window = window.any.total / results.scale.window_users
    per_hook = hook.any.total / results.scale.accounts
    less_cpu = _median(hook, _cpu) / _median(cases["dag"], _cpu)
    per_ours = _median(cases["dag"], _total) / results.scale.accounts
    with_token = _all(hook.any) / results.scale.accounts
    return f"""## Under one Airflow scheduler

One Airflow (LocalExecutor, 8 tasks at once, SQLite) has both DAGs and runs them one after the other
on the same accounts: ours, and the one that would be written without it
([hook_dag.py](../bench/dags/hook_dag.py)): one mapped task a user, `GoogleCalendarHook` with
its defaults to list the calendar, default pages from Welkin, a comparison in memory, `create_event`
for what is missing. From the creation of a run to its end:

{table(headings, rows)}

The other DAG does less. It works in one direction, keeps no state and so lists everything each
time, misses deletions and moves, leaves old events where they were, resolves no conflict and
recognises an event by its time. Two things help it: its hook is a subclass that adds the delegation
(the provider's Calendar hook has none) and the sandbox's address, and one task fetches Welkin's
token for all, because Welkin blocks a client after 100 token requests in five minutes; the token is
then readable in XCom. Every task asks Google for a token, ours do so once an hour for each account.
A careful author would list the sync's window only: {per_window:.1f} requests a user instead of
{per_hook:.1f} (last line; fewer users, since it takes as many tasks); ours are {per_ours:.1f}.

In CPU time of tasks, which depends less on what else the machine does, ours takes 1/{less_cpu:.0f}.
Ours are two tasks and one for each changed user, and a poll costs one request whatever the calendar
holds; the other DAG grows with what the calendars hold. Nearly all of our
{_median(cases["dag"], _total):,.0f} requests are polls, one for each account that no feed has
named, and no delta can save those: the ratio of requests ends at what the other DAG asks for a
user ({per_hook:.1f}; {with_token:.1f} with the token). Without any change it is
{hook.any.total / cases["idle"].any.total:.1f}."""


def _forecast(results: Results) -> str:
    rows = [(name, f"`{formula}`", *values) for name, formula, values in forecast.rows(results)]
    headings = ("", "formula", *(f"N = {size:,}" for size in forecast.SIZES))
    c = forecast.costs(results)
    return f"""## Forecast

Not measured: the costs above, multiplied. Quotas as published: Google
{forecast.GOOGLE_PER_MINUTE:,} requests a minute and {forecast.GOOGLE_PER_DAY:,} a day for a
project (polls take {QUOTA_SHARE:.0%} at most), 600 a minute for a user; 5 requests a
second to Welkin.
Assumed, not measured: {forecast.CHANGES_PER_USER_AND_DAY} changes a user and day within
{forecast.WORKING_HOURS} hours, each a cycle of its own, half of them ending in Welkin;
{forecast.GOOGLE_LATENCY * 1000:.0f} ms for a request to Google; {c.blocks:.0f} blocks a user as in
case 3; one project, polls without sweeps ([more](#ten-thousand-accounts)); a task for each change,
and a run each minute; the machine above.

{table(headings, rows)}

Where the share of Welkin's rate is above 100 %, changes queue up during the day: ask Welkin for a
higher rate, or shorten the window (`windows`), since each change reads it once."""


def _kinds(results: Results) -> str:
    lines = []
    for key in (*OWN, *SCHEDULED):
        case = results.cases[key]
        counts = ", ".join(f"`{kind}` {n:,}" for kind, n in case.any.requests.items())
        lines.append(f"- **{case.title}**: {counts}.")
    return "## Requests by kind\n\nOf the last repetition.\n\n" + "\n".join(lines)


def _spread(case: Case, value: Callable[[Measurement], float]) -> Spread:
    return Spread.of(value(run) for run in case.runs)


def _median(case: Case, value: Callable[[Measurement], float]) -> float:
    return _spread(case, value).median


def _wall(run: Measurement) -> float:
    return run.wall


def _cpu(run: Measurement) -> float:
    return run.cpu


def _total(run: Measurement) -> float:
    return run.total


def _all(run: Measurement) -> float:
    return run.total + run.tokens


def met(reached: bool) -> str:
    """A word of the last column."""
    return "met" if reached else "**missed**"


def median_wall(case: Case) -> float:
    """Seconds."""
    return _median(case, _wall)


def replaced(page: str, heading: str, new: str) -> str:
    """The page with a section in the place of the former one, or at its end."""
    rest = re.sub(rf"\n{re.escape(heading)}\n.*?(?=\n## |\Z)", "", page, flags=re.DOTALL)
    return f"{rest.rstrip()}\n\n{new}"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
