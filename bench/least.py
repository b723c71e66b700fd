"""The least number of requests with which a case could be done, from the rules alone (I17)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.setup import settings

#: Users, encounters, events, two kinds of deletions, and one for a page more.
IDLE_WELKIN = 6
CHUNK_DAYS, MARGIN_DAYS = 90, 1
EXPORT_PAGE = 500


@dataclass(frozen=True)
class Least:
    """A number of requests and how it comes about."""

    requests: int
    because: str


def window_reads() -> int:
    """Requests for all of one user's appointments in parts of 90 days, as comparisons ask."""
    windows = settings().windows
    days = windows.mirrors_past_days + windows.mirrors_future_days + 2 * MARGIN_DAYS
    return math.ceil(days / CHUNK_DAYS)


def idle(accounts: int) -> Least:
    """Nothing is new."""
    return Least(accounts + IDLE_WELKIN, f"{accounts:,} polls + {IDLE_WELKIN} to Welkin")


def changes(accounts: int, changed: int, writes: int) -> Least:
    """Some users have a change: one read of either side, and the writes."""
    return Least(
        accounts + IDLE_WELKIN + changed * 2 + writes,
        f"{accounts:,} polls + {IDLE_WELKIN} to Welkin + {changed} users x (1 window + "
        f"1 calendar) + {writes} writes",
    )


def first_fill(users: int, encounters: int, writes: int, lists: int = 1) -> Least:
    """Nothing is there yet: no cursor to poll with, and all encounters are exported once.

    `lists` are the requests for a calendar without a cursor: Microsoft's cursor is a second one.
    """
    pages = math.ceil(encounters / EXPORT_PAGE)
    return Least(
        IDLE_WELKIN - 1 + pages + users * (window_reads() + lists) + writes,
        f"{IDLE_WELKIN - 1 + pages} feeds + {users} users x ({window_reads()} parts of a window + "
        f"{lists} calendar) + {writes:,} writes",
    )
