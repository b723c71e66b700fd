"""Rule 14 as a circuit breaker: many accounts that fail at once stop a platform, for so long only.

`closed`     cycles start. It opens when too many accounts fail that were healthy just now.
`open`       no cycle starts.
`half-open`  in each run some of those that failed are asked. When most of them answer, it closes,
             and the failures that had opened it are forgotten: no user waits for a past fault.

The state is the platform's fault in the state database; what is here are its decisions.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from calendar_sync.core.codes import SyncCode
from calendar_sync.core.model import MappedUser
from calendar_sync.state.marks import Pair, UserSync

FAULT_WITHIN = timedelta(minutes=15)
FAULT_SHARE = 0.2
FAULT_OF_AT_LEAST = 10
PROBES = 3


def platform_fault(states: Iterable[UserSync], now: datetime) -> SyncCode | None:
    """From closed to open: too many accounts that were healthy a quarter of an hour ago fail."""
    healthy, newly = 0, 0
    for state in states:
        if state.last_poll_at is None:
            continue
        if state.poll_error is None:
            healthy += 1
        elif (
            state.poll_failed_at is not None
            and now - state.poll_failed_at <= FAULT_WITHIN
            and state.last_success_at is not None
        ):
            newly += 1
    candidates = healthy + newly
    if candidates >= FAULT_OF_AT_LEAST and newly > FAULT_SHARE * candidates:
        return SyncCode.MANY_ACCOUNTS_FAILING
    return None


def begins(since: datetime) -> datetime:
    """Failures that are no older than this belong to the fault of `since`."""
    return since - FAULT_WITHIN


def to_ask(
    users: Iterable[MappedUser], states: Mapping[Pair, UserSync], since: datetime, now: datetime
) -> list[MappedUser]:
    """From open to half-open: some accounts whose failures belong to the fault, in turn.

    Where none does (the credentials were refused), any.
    """

    def failed(user: MappedUser) -> bool:
        state = states.get((user.user_id, user.platform))
        failed_at = state.poll_failed_at if state is not None else None
        return failed_at is not None and failed_at >= begins(since)

    everybody = sorted(users, key=lambda user: user.user_id)
    chosen = [user for user in everybody if failed(user)] or everybody
    turn = int(now.timestamp() // 60) * PROBES
    return [chosen[(turn + step) % len(chosen)] for step in range(min(PROBES, len(chosen)))]


def closes(asked: Sequence[MappedUser], well: Collection[Pair]) -> bool:
    """From half-open to closed: most of those asked answer well. With none, it closes."""
    return not asked or 2 * len(well) > len(asked)
