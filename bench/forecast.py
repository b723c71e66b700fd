"""What larger organisations would cost: measured costs of one piece, times how often it occurs.

Nothing here is measured at that size. Formulas are shown beside the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.least import window_reads
from bench.measure import Measurement, Spread
from calendar_sync.config.settings import Settings
from calendar_sync.sync.freshness import QUOTA_SHARE
from calendar_sync.sync.noticing import SLOTS, task_count
from calendar_sync.sync.noticing.watch import DELETIONS_EVERY
from calendar_sync.sync.permits import BURST_SECONDS, RATE_MARGIN, sustained

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.results import Results

GOOGLE_PER_MINUTE, GOOGLE_PER_DAY = 10_000, 1_000_000
#: What `sync/permits.py` makes of that.
GOOGLE_PER_SECOND = sustained(GOOGLE_PER_MINUTE)
#: Assumptions, said on the page.
CHANGES_PER_USER_AND_DAY = 10
WORKING_HOURS = 8
GOOGLE_LATENCY = 0.1
DAY = 86_400
SIZES = (2_000, 10_000)


@dataclass(frozen=True)
class Costs:
    """Measured costs of the pieces, medians.

    Attributes:
        poll_seconds, poll_cpu: of one account in an idle poll with its token at hand.
        token_cpu: of one access token for an account.
        task_cpu: of one task of Airflow with one changed user.
        write_cpu: of one write of a first fill, reads included.
        mirrors, blocks: made for one user by a first fill.
    """

    poll_seconds: float
    poll_cpu: float
    token_cpu: float
    task_cpu: float
    write_cpu: float
    mirrors: float
    blocks: float


def window_requests(users: int) -> int:
    """Requests to Welkin a day for full comparisons."""
    return users * window_reads()


def noticing_requests() -> float:
    """Requests to Welkin a day for its two feeds, and for deletions."""
    feeds = 2 / Settings().notice.welkin_seconds
    return DAY * (feeds + 2 / DELETIONS_EVERY.total_seconds())


def costs(results: Results) -> Costs:
    """Divide the measured cases into pieces."""
    scale, cases = results.scale, results.cases
    idle, cold, fill, dag = (cases[key] for key in ("idle", "idle_cold", "fill", "dag"))
    poll = _median(idle.runs, lambda run: run.cpu) / scale.accounts
    token = max(0.0, _median(cold.runs, lambda run: run.cpu) / scale.accounts - poll)
    tasks = _median(dag.runs, lambda run: run.cpu) - poll * scale.accounts
    done = fill.any.outcome["done"]
    return Costs(
        poll_seconds=_median(idle.runs, lambda run: run.wall) / scale.accounts,
        poll_cpu=poll,
        token_cpu=token,
        task_cpu=tasks / dag.any.outcome["tasks"],
        write_cpu=_median(fill.runs, lambda run: run.cpu / run.writes),
        mirrors=done.get("create_mirror", 0) / scale.fill_users,
        blocks=done.get("create_block", 0) / scale.fill_users,
    )


@dataclass(frozen=True)
class Forecast:
    """The numbers for one size."""

    users: int
    costs: Costs

    @property
    def interval(self) -> float:
        """Seconds between two polls of an account."""
        least = DAY * self.users / (GOOGLE_PER_DAY * QUOTA_SHARE)
        return max(Settings().polling.interval_seconds, least)

    @property
    def round_seconds(self) -> float:
        """Seconds that one round of polls takes."""
        at_once = Settings().limits.poll_concurrency
        return max(
            self.users * self.costs.poll_seconds,
            self.users * GOOGLE_LATENCY / at_once,
            self.users / GOOGLE_PER_SECOND - BURST_SECONDS,
        )

    @property
    def welkin_per_second(self) -> float:
        """What the sync asks of Welkin at most."""
        return Settings().limits.welkin_requests_per_second * RATE_MARGIN

    @property
    def fill_hours(self) -> float:
        """Hours of the first fill: Welkin's rate is what limits it."""
        return self.users * (window_reads() + self.costs.blocks) / self.welkin_per_second / 3600

    @property
    def changes(self) -> int:
        """Changes a day."""
        return self.users * CHANGES_PER_USER_AND_DAY

    @property
    def welkin_requests(self) -> float:
        """Requests to Welkin a day: changes (half end in a block), full comparisons, noticing."""
        return self.changes * 1.5 + window_requests(self.users) + noticing_requests()

    @property
    def welkin_share(self) -> float:
        """Of what Welkin's rate allows in a day."""
        return self.welkin_requests / (self.welkin_per_second * DAY)

    @property
    def google_requests(self) -> float:
        """Requests to Google a day: polls, changes, full comparisons."""
        return DAY / self.interval * self.users + self.changes * 1.5 + self.users

    @property
    def cpu_hours(self) -> float:
        """CPU hours a day of our tasks: polls, tokens, changes, two tasks of every run."""
        c = self.costs
        polls = DAY / self.interval * self.users * c.poll_cpu
        tokens = 24 * self.users * c.token_cpu
        return (polls + tokens + (self.changes + 2 * 1440) * c.task_cpu) / 3600

    @property
    def tasks(self) -> int:
        """Mapped tasks of a run each minute in the working hours."""
        changed = self.changes / (WORKING_HOURS * 60)
        return task_count(round(changed), Settings().limits.max_user_tasks)


def rows(results: Results) -> list[tuple[str, str, list[str]]]:
    """Lines of the table: what, formula, a value for each of `SIZES`."""
    c = costs(results)
    reads, limits = window_reads(), Settings().limits
    rate = f"{limits.welkin_requests_per_second:g} x {RATE_MARGIN}"
    shown: list[tuple[str, str, Callable[[Forecast], str]]] = [
        (
            "poll interval",
            f"max({Settings().polling.interval_seconds}, {DAY:,} x N / ({QUOTA_SHARE} x "
            f"{GOOGLE_PER_DAY:,})) s",
            lambda f: f"{f.interval:,.0f} s",
        ),
        (
            "time of a round of polls",
            f"max(N x {c.poll_seconds * 1000:.1f} ms, N x {GOOGLE_LATENCY * 1000:.0f} ms / "
            f"{limits.poll_concurrency} at once, N / {GOOGLE_PER_SECOND:.0f} - "
            f"{BURST_SECONDS:.0f} s)",
            lambda f: f"{f.round_seconds:.0f} s",
        ),
        (
            "requests to Google a day",
            "polls + 1.5 a change + 1 full comparison a user",
            lambda f: f"{f.google_requests:,.0f} ({f.google_requests / GOOGLE_PER_DAY:.0%})",
        ),
        (
            "first fill",
            f"N x ({reads} + {c.blocks:.0f} blocks) / ({rate}/s)",
            lambda f: f"{f.fill_hours:.1f} h",
        ),
        (
            "requests to Welkin a day, share of its rate",
            f"{CHANGES_PER_USER_AND_DAY} N x (1 + 0.5) + {reads} N + {noticing_requests():,.0f}",
            lambda f: f"{f.welkin_requests:,.0f} ({f.welkin_share:.0%})",
        ),
        (
            "CPU of our tasks a day",
            f"polls x {c.poll_cpu * 1000:.1f} ms + 24 N x {c.token_cpu * 1000:.1f} ms + "
            f"({CHANGES_PER_USER_AND_DAY} N + 2 x 1,440) x {c.task_cpu:.2f} s",
            lambda f: f"{f.cpu_hours:.1f} h",
        ),
        (
            "mapped tasks a run in working hours",
            f"min({SLOTS} slots, {CHANGES_PER_USER_AND_DAY} N / ({WORKING_HOURS} x 60))",
            lambda f: str(f.tasks),
        ),
    ]
    sizes = [Forecast(users, c) for users in SIZES]
    return [(name, formula, [value(size) for size in sizes]) for name, formula, value in shown]


def _median(runs: list[Measurement], value: Callable[[Measurement], float]) -> float:
    return Spread.of(value(run) for run in runs).median
