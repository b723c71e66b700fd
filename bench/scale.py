"""How large a bench is: full by default, smaller by environment variables."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

SHARE_CHANGED = 0.05


@dataclass(frozen=True)
class Scale:
    """Numbers of accounts, rows and repetitions.

    Attributes:
        accounts: members of staff of the large organisation (cases 1, 2 and 5).
        encounters: visits that each of them has in Welkin.
        fill_users: users of the first fill (case 3).
        rows: rows of the one busy user (case 4), half on each side.
        idle_runs, pass_runs, fill_runs, rows_runs, dag_runs: repetitions of each measurement.
        window_users: users of the comparison that lists the sync's window only.
        edits: edits in each direction of which the latency is measured.
        idle_minutes: how long an idle organisation is watched.
        many: accounts of the organisation that is polled and swept only.
        tasks: mapped tasks of a run whose cost is measured.
    """

    accounts: int = 1000
    encounters: int = 50
    fill_users: int = 100
    rows: int = 2000
    idle_runs: int = 5
    pass_runs: int = 3
    fill_runs: int = 2
    rows_runs: int = 2
    dag_runs: int = 3
    window_users: int = 50
    edits: int = 60
    idle_minutes: float = 5.0
    many: int = 10_000
    tasks: int = 31

    @property
    def changed(self) -> int:
        """Users with a change in a pass."""
        return max(2, round(self.accounts * SHARE_CHANGED))

    @property
    def is_full(self) -> bool:
        """Whether the figures are those that the targets are about."""
        return self == Scale()


def scale_from_environment() -> Scale:
    """`BENCH_ACCOUNTS` shrinks everything in proportion; the rest has variables of its own."""
    full = Scale()
    accounts = int(os.environ.get("BENCH_ACCOUNTS", full.accounts))
    if accounts >= full.accounts:
        return replace(full, accounts=accounts)
    share = accounts / full.accounts
    return replace(
        full,
        accounts=accounts,
        fill_users=max(2, round(full.fill_users * share)),
        rows=max(40, round(full.rows * share)),
        window_users=max(2, round(full.window_users * share)),
        idle_runs=3,
        pass_runs=2,
        fill_runs=2,
        rows_runs=2,
        dag_runs=2,
        edits=max(4, round(full.edits * share)),
        idle_minutes=full.idle_minutes * share,
        many=max(100, round(full.many * share)),
        tasks=max(4, round(full.tasks * share)),
    )
