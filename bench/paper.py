"""A hundred thousand users, on paper: costs measured at ten thousand, and the published quotas.

One deployment has one state database, one project of Google's and one application of Microsoft's.
So the question is into how many deployments so many users must be divided.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bench.forecast import CHANGES_PER_USER_AND_DAY, DAY, noticing_requests, window_requests
from bench.measure import Spread
from bench.page import median_wall, table
from calendar_sync.config.settings import Settings
from calendar_sync.core.model import Platform
from calendar_sync.sync.permits import RATE_MARGIN
from calendar_sync.sync.swept import AT_ONCE, pace

if TYPE_CHECKING:
    from bench.cases import Case
    from bench.results import Results

USERS = 100_000
HEADINGS = ("", "formula", f"N = {USERS:,}")


def projects(sweep: Case, accounts: int, noticed_seconds: float) -> tuple[int, float]:
    """The fewest projects of Google's that notice a new busy time in time, and what they take, s.

    Args:
        sweep: one of `accounts` calendars, measured.
        accounts: so many.
        noticed_seconds: from one sweep to the next, and the time of one.
    """
    now, count = datetime.now(UTC), 1
    while True:
        each = math.ceil(USERS / count)
        found = pace(Settings(), Platform.GOOGLE, each, 0, now)
        every = found.sweeps if found else timedelta(seconds=Settings().polling.interval_seconds)
        took = every.total_seconds() + median_wall(sweep) * each / accounts
        if took <= noticed_seconds:
            return count, took
        count += 1


def section(results: Results, noticed_seconds: float, round_seconds: float) -> str:
    """A table with formulas, and what follows."""
    accounts, limits = results.scale.many, Settings().limits
    cases, sizes = results.cases, results.organisation
    sweep, mailboxes = cases["google_sweep"], cases["microsoft_polls_1"]
    of_google, took = projects(sweep, accounts, noticed_seconds)
    each_mailbox = median_wall(mailboxes) / accounts
    of_microsoft = math.ceil(USERS * each_mailbox / round_seconds)
    # Each deployment notices by itself.
    parts = max(of_google, of_microsoft)
    welkin = CHANGES_PER_USER_AND_DAY * USERS * 1.5 + window_requests(USERS)
    welkin += parts * noticing_requests()
    allowed = limits.welkin_requests_per_second * RATE_MARGIN
    changed = accounts // 100
    a_change = (_cpu(cases["google_pass"]) - _cpu(cases["google_polls_1"])) / changed
    made = {
        one: sizes[f"{one}_mb"] * 1024 / sum(sizes[f"{one}_written"].values()) for one in Platform
    }
    a_day = CHANGES_PER_USER_AND_DAY * USERS * max(made.values()) / 2**20
    rows = [
        (
            f"all at Google, sweeps: projects so that a new busy time is noticed within "
            f"{noticed_seconds:.0f} s",
            f"quota / (N / {AT_ONCE} a sweep)",
            f"{of_google} ({took:.0f} s)",
        ),
        (
            f"all at Microsoft: processes so that a round of polls takes {round_seconds:.0f} s",
            f"N x {each_mailbox * 1000:.1f} ms / {round_seconds:.0f} s",
            f"{of_microsoft}",
        ),
        (
            "requests to Welkin a second, of those that it allows",
            f"({CHANGES_PER_USER_AND_DAY} N x 1.5 + 5 N + {parts} x {noticing_requests():,.0f})"
            f" / {DAY:,} s",
            f"{welkin / DAY:.0f} of {allowed:.1f}",
        ),
        (
            "CPU of cycles a day",
            f"{CHANGES_PER_USER_AND_DAY} N x {a_change * 1000:.0f} ms",
            f"{CHANGES_PER_USER_AND_DAY * USERS * a_change / 3600:.0f} h",
        ),
        (
            "state database, more each day",
            f"{CHANGES_PER_USER_AND_DAY} N x {max(made.values()):.1f} kB",
            f"{a_day:.1f} GB",
        ),
    ]
    more = welkin / DAY / allowed
    each = math.ceil(USERS / parts)
    return f"""### A hundred thousand users, on paper

Not measured: the costs above, multiplied, with the assumptions of the [forecast](#forecast); each
change makes a mirror or a block, which is the most that it can add to the state database.

{table(HEADINGS, rows)}

So many users need {parts} deployments of {each:,} users, each with a state database, and a project
of Google's or an application of Microsoft's. They need of Welkin {more:.1f} times the rate that it
usually allows, which it must grant: the rate is counted for an API client, and all of them read the
same tenant. Mirrors, blocks and the audit log are kept for good, since un-sync and proof need them:
a year adds {a_day * 365 / 1024:.1f} TB in all, or {a_day * 36.5:.0f} GB for {USERS // 10:,}
users."""


def _cpu(case: Case) -> float:
    return Spread.of(run.cpu for run in case.runs).median
