"""Cycles for a group of users, and whole passes without a scheduler (the CLI, the simulation)."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from calendar_sync.core.codes import AccountVerdict, Code, code_of
from calendar_sync.core.concurrency import together
from calendar_sync.core.errors import (
    BadItem,
    LeaseHeld,
    LeaseLost,
    PlatformStopped,
    RateLimited,
    TenantMisconfigured,
)
from calendar_sync.core.model import LinkState, MappedUser, Platform
from calendar_sync.core.plurals import plural
from calendar_sync.core.redaction import as_ours, describe
from calendar_sync.state import Store, seals
from calendar_sync.state.audit import TRY, CycleLog, Operation
from calendar_sync.state.config import Revision
from calendar_sync.state.database import of_database
from calendar_sync.state.pauses import Pause
from calendar_sync.state.shared import RENEW_SECONDS, Lease
from calendar_sync.sync.cycle import Cycle, Paused
from calendar_sync.sync.noticing import Looking, find_work
from calendar_sync.sync.outcomes import OutcomeStatus, UserOutcome
from calendar_sync.sync.roster import Members, members
from calendar_sync.sync.services import Services

logger = logging.getLogger(__name__)

ROUNDS = 200
# Airflow ends a run after 10 minutes (orchestration/dags/sync).
LOST_AFTER = timedelta(minutes=15)
GROUP_SECONDS = 120.0
# After an error of the database; a lease lasts for 90 seconds, and is renewed well before.
RENEW_AGAIN_SECONDS = 5.0
# Between two looks whether another process is done with a user.
AGAIN_SECONDS = 2.0


async def sync_users(
    services: Services,
    revision: Revision,
    platform: Platform,
    user_ids: Iterable[str],
    *,
    run_id: str,
    owner: str,
    full: bool = False,
    dry_run: bool = False,
    patience: float = 0.0,
) -> list[UserOutcome]:
    """Run the cycles of a group, several users at once; one user's failure stays that user's.

    With `patience`, a user whom another process works on is waited for, so many seconds.
    """
    begun = services.clock.monotonic()
    now, user_ids = services.clock.now(), list(user_ids)
    people = members(services.store, revision.settings, platform, now, user_ids)

    async def one(user_id: str) -> UserOutcome:
        outcome = await in_time(user_id)
        if not outcome.status.ran and not dry_run:
            services.store.marks.give_back((user_id, platform), run_id)
        return outcome

    async def in_time(user_id: str) -> UserOutcome:
        if services.clock.monotonic() - begun > GROUP_SECONDS:
            # The rest of a large group stays marked for the next run.
            return UserOutcome(
                user_id, _mapped(services, platform, user_id).account, OutcomeStatus.BUSY
            )
        return await _sync_user(
            services,
            revision,
            people,
            user_id,
            run_id,
            owner,
            full=full,
            dry_run=dry_run,
            patience=patience,
        )

    at_once = revision.settings.limits.user_concurrency
    return await together((one(user_id) for user_id in user_ids), at_once)


async def _sync_user(
    services: Services,
    revision: Revision,
    people: Members,
    user_id: str,
    run_id: str,
    owner: str,
    *,
    full: bool,
    dry_run: bool,
    patience: float,
) -> UserOutcome:
    store, platform = services.store, people.platform
    mapped = _mapped(services, platform, user_id)
    state = store.marks.of(user_id, platform)
    if resting := people.paused.get(user_id):
        if dry_run or not (state.marked and user_id in people.unchecked):
            return _paused(mapped, resting)
    elif user_id not in people.synced:
        mapped = replace(mapped, enabled=False)
    kept = not mapped.enabled and user_id not in people.leaving
    if kept or not (state.marked or full or dry_run):
        return UserOutcome(user_id, mapped.account, OutcomeStatus.IDLE)
    begun = services.clock.monotonic()
    try:
        lease = await _lease(services, user_id, owner, patience)
    except LeaseHeld:
        return UserOutcome(user_id, mapped.account, OutcomeStatus.BUSY)
    try:
        # Whoever dies from here on leaves the user to the next run as soon as the lease has ended.
        store.marks.give_back((user_id, platform), run_id)
        async with hold(services, lease):
            cycle = Cycle(services, revision, mapped, lease, run_id)
            result = await cycle.run(full=full, dry_run=dry_run)
    except (LeaseLost, PlatformStopped):
        return UserOutcome(user_id, mapped.account, OutcomeStatus.BUSY)
    except Paused as begun_since:
        return _paused(mapped, begun_since.pause)
    except Exception as caught:
        if of_database(caught):
            raise
        error = as_ours(caught)
        if isinstance(error, TenantMisconfigured):
            store.runs.set_fault(platform, error.code, services.clock.now())
        if dry_run:
            return UserOutcome(
                user_id, mapped.account, OutcomeStatus.FAILED, error.code, detail=error.detail
            )
        pause = error.retry_after if isinstance(error, RateLimited) else None
        store.marks.failed((user_id, platform), error.code, services.clock.now(), pause)
        took = services.clock.monotonic() - begun
        _record_try(services, mapped, run_id, error.code, state.failures + 1, took)
        return UserOutcome(
            user_id, mapped.account, OutcomeStatus.FAILED, error.code, state.attention, error.detail
        )
    finally:
        store.leases.release(lease, services.clock.now())
    status = OutcomeStatus.OK if result.complete else OutcomeStatus.MORE
    return UserOutcome(user_id, mapped.account, status, result=result)


def _paused(mapped: MappedUser, pause: Pause) -> UserOutcome:
    until = f"until {pause.until:%Y-%m-%d %H:%M} UTC"
    return UserOutcome(mapped.user_id, mapped.account, OutcomeStatus.PAUSED, detail=until)


async def _lease(services: Services, user_id: str, owner: str, patience: float) -> Lease:
    """The user's lease, as soon as another process gives it up.

    Raises:
        LeaseHeld: it has not within `patience` seconds.
    """
    until = services.clock.monotonic() + patience
    while True:
        try:
            return services.store.leases.take(user_id, owner, services.clock.now())
        except LeaseHeld:
            if services.clock.monotonic() >= until:
                raise
        await services.clock.sleep(AGAIN_SECONDS)


def judged(store: Store, platform: Platform, outcome: UserOutcome) -> UserOutcome:
    """The outcome, as a failure where not one write of this user was ever taken.

    A refused item of a user who is otherwise in step is that item's matter. There is no back-off,
    as each refused item has its own.
    """
    result = outcome.result
    if not outcome.status.ran or result.writes:
        return outcome
    if not (result.bad_items or result.parked) or not _has_nothing(store, platform, outcome):
        return outcome
    codes = Counter(result.bad_items or store.items.parked_codes(outcome.user_id, platform))
    code = code_of(codes.most_common(1)[0][0]) if codes else BadItem.code
    staff = {user.id for user in store.config.welkin_users()}
    if staff and outcome.user_id not in staff:
        code = AccountVerdict.WELKIN_USER_UNKNOWN
    count = result.refused + result.parked
    return replace(
        outcome,
        status=OutcomeStatus.FAILED,
        code=code,
        detail=f"all {plural(count, 'write')} rejected",
    )


def _has_nothing(store: Store, platform: Platform, outcome: UserOutcome) -> bool:
    """Not one item of this user was ever taken."""
    taken = {LinkState.LIVE, LinkState.RETIRED}
    return not any(link.state in taken for link in store.links.of(outcome.user_id, platform))


def _record_try(
    services: Services, mapped: MappedUser, run_id: str, code: Code, number: int, seconds: float
) -> None:
    """The user's timeline has every try that failed, whoever looks and however often it did."""
    store = services.store
    log = CycleLog.of(mapped, run_id)
    tried = Operation(TRY, f"try {number}", "", "", "", "", code[:64], round(1000 * seconds))
    # A record that refuses the row must not keep the others of the group from being synced.
    with contextlib.suppress(IntegrityError), store.database.write() as connection:
        store.audit.append(connection, log, tried, services.clock.now())


@contextlib.asynccontextmanager
async def hold(services: Services, lease: Lease) -> AsyncIterator[None]:
    """Hold the lease while its work waits for its turn or for a slow server."""
    renewing = asyncio.create_task(_keep(services, lease))
    try:
        yield
    finally:
        renewing.cancel()


async def _keep(services: Services, lease: Lease) -> None:
    """Renew until another worker has it. Failures of the database are retried."""
    pause: float = RENEW_SECONDS
    with contextlib.suppress(LeaseLost):
        while True:
            await asyncio.sleep(pause)
            try:
                services.store.leases.renew(lease, services.clock.now())
                pause = RENEW_SECONDS
            except SQLAlchemyError as error:
                logger.warning("lease of %s not renewed: %s", lease.user_id, describe(error))
                pause = RENEW_AGAIN_SECONDS


def _mapped(services: Services, platform: Platform, user_id: str) -> MappedUser:
    found = services.store.config.mapped(user_id, platform)
    if found is not None:
        return found
    return MappedUser(user_id, platform, account="", enabled=False)


@dataclass(frozen=True)
class PassResult:
    """What a whole pass did: the last outcome of every user, and sums over all rounds."""

    outcomes: dict[str, UserOutcome]
    done: Counter[str]
    rounds: int
    fault: Code | None = None

    @property
    def failed(self) -> list[UserOutcome]:
        """Users whose last cycle failed."""
        return [outcome for outcome in self.outcomes.values() if outcome.failed]


async def run_pass(
    services: Services,
    revision: Revision,
    platform: Platform,
    *,
    run_id: str,
    owner: str,
    users: Collection[str] = (),
    full: bool = False,
    dry_run: bool = False,
    rounds: int = ROUNDS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PassResult:
    """Feeds, polls, then cycles until nothing is marked or everything left is waiting.

    What changes during a pass is found by the next one.
    A pass is one run: `store_run` is the caller's. One round is what a run of the DAG does.
    """
    outcomes: dict[str, UserOutcome] = {}
    refused: dict[str, UserOutcome] = {}
    wrote: set[str] = set()
    done: Counter[str] = Counter()

    def ended(number: int, fault: Code | None = None) -> PassResult:
        for user, outcome in outcomes.items():
            if not outcome.failed and user not in wrote:
                outcomes[user] = judged(services.store, platform, refused.get(user, outcome))
        return PassResult(outcomes, done, number, fault)

    for number in range(1, rounds + 1):
        first = number == 1
        failed = any(outcome.failed for outcome in outcomes.values())
        found = await find_work(
            services,
            revision,
            platform,
            users=users if first else (),
            full_comparison=full and first,
            # A failure may be everybody's: who asks each account finds out.
            looking=Looking.ALWAYS if first or failed else Looking.NEVER,
        )
        if found.fault:
            return ended(number, found.fault)
        wanted = [user for group in found.groups for user in group]
        if users:
            wanted = [user for user in wanted if user in users]
        wanted = [user for user in wanted if _worth_trying(outcomes.get(user))]
        if not wanted:
            return ended(number)
        finished, known = 0, outcomes.keys() - ()
        for batch in _batches(wanted, revision.settings.limits.user_concurrency * 4):
            for outcome in await sync_users(
                services, revision, platform, batch, run_id=run_id, owner=owner, dry_run=dry_run
            ):
                outcomes[outcome.user_id] = outcome
                done.update(outcome.result.done)
                if outcome.result.writes:
                    wrote.add(outcome.user_id)
                if outcome.result.bad_items:
                    refused[outcome.user_id] = outcome
            finished += len(batch)
            progress(finished, len(wanted))
        stuck = known.issuperset(wanted) and not any(outcomes[u].result.writes for u in wanted)
        if dry_run or stuck:
            return ended(number)
    return ended(rounds)


def _worth_trying(outcome: UserOutcome | None) -> bool:
    return outcome is None or outcome.status.ran


def _batches(users: list[str], size: int) -> list[list[str]]:
    return [users[first : first + size] for first in range(0, len(users), size)]


def store_run(
    store: Store,
    platform: Platform,
    run_id: str,
    started_at: datetime,
    rows: Iterable[Mapping[str, Any]],
    now: datetime,
    requests: Mapping[str, int] | None = None,
) -> str:
    """Write the run's row and seal its operations; returns the newest seal, for the log.

    `rows` are outcomes as `UserOutcome.row` gives them, `requests` attempts by kind.
    """
    rows = list(rows)
    counts = Counter(row["status"] for row in rows)
    done: Counter[str] = Counter()
    for row in rows:
        done.update(row["done"])
    seal = seals.seal(store, run_id, now)
    store.runs.record(
        run_id,
        platform,
        started_at,
        now,
        users=len(rows),
        failed=counts[OutcomeStatus.FAILED],
        summary={
            "statuses": dict(counts),
            "done": dict(done),
            "seal": seal,
            "requests": dict(requests or {}),
        },
    )
    return seal


def close_lost_runs(store: Store, platform: Platform, now: datetime) -> None:
    """Write the rows of runs that ended without `store_run`, by what the audit log has of them."""
    for run_id, started_at in store.runs.unclosed(platform, now - LOST_AFTER).items():
        logger.warning("the run %s was never closed: recorded now", run_id)
        rows = store.audit.of_run(run_id, platform)
        tried = {row.user_id for row in rows if row.step == TRY}
        done = Counter(row.step for row in rows if row.step != TRY and row.outcome == "ok")
        store.runs.record(
            run_id,
            platform,
            started_at,
            now,
            users=len({row.user_id for row in rows}),
            failed=len(tried),
            summary={"done": dict(done), "seal": seals.seal(store, run_id, now), "lost": True},
        )
