"""The bodies of the tasks that find work and do it.

Everything that is returned, raised or logged here is free of patient data: opaque ids, staff
accounts, counts and codes.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from calendar_sync.core.codes import RequestCode
from calendar_sync.core.errors import ConfigurationError, PlatformStopped, UsersFailed
from calendar_sync.core.model import Platform
from calendar_sync.orchestration.running import run
from calendar_sync.push.channels import tend_channels
from calendar_sync.state.config import Revision
from calendar_sync.state.runs import WELKIN
from calendar_sync.sync.noticing import SLOTS, Looking, WorkFound, find_work
from calendar_sync.sync.outcomes import OutcomeStatus, UserOutcome
from calendar_sync.sync.roster import Names, members
from calendar_sync.sync.runner import judged, sync_users
from calendar_sync.sync.services import Services

logger = logging.getLogger(__name__)

LONGEST_LABEL = 240
# Airflow's types of runs; the others are by hand.
MANUAL = "manual"
LONGEST_CYCLE = 90.0
BY_EVENT = "asset_triggered"
LOOKING = {BY_EVENT: Looking.NEVER, "scheduled": Looking.IF_STILL}


@dataclass(frozen=True)
class Work:
    """Groups of Welkin user ids that have work, and the requests that finding them took."""

    groups: list[list[str]]
    requests: dict[str, int]


@dataclass(frozen=True)
class Done:
    """How the cycles of one group ended, and the requests that they took."""

    outcomes: list[UserOutcome]
    requests: dict[str, int]


def find_groups(
    platform: str,
    *,
    users: Sequence[str] = (),
    full_comparison: bool = False,
    run_id: str = "",
    run_type: str = MANUAL,
    noticing: bool = False,
    dry_run: bool = False,
    slots: int = SLOTS,
) -> Work:
    """Who has work.

    A run by event takes whoever is marked. One by timetable looks for changes itself where
    noticing stands still, and one by hand in any case. `noticing`: the deployment has a triggerer.
    With a `run_id` the users are this run's until their tasks have begun, unless it is a dry run.
    `slots` says how many of them run at the same time.

    Of several users who are named by id or address, one who is not mapped gets a group of its own,
    and fails there: the others are not kept waiting.

    Raises:
        SyncError: no user can be synced now; the code says why.
    """

    async def work(
        services: Services, revision: Revision
    ) -> tuple[WorkFound, list[str], dict[str, int]]:
        if run_id:
            services.store.runs.begin(run_id, Platform(platform), services.clock.now())
        known, strangers = _known(services, revision, Platform(platform), users)
        found = await find_work(
            services,
            revision,
            Platform(platform),
            # If none of them is known, `find_work` says so.
            users=known or strangers,
            full_comparison=full_comparison,
            looking=LOOKING.get(run_type, Looking.ALWAYS),
            take_for="" if dry_run else run_id,
            slots=slots,
        )
        store, now = services.store, services.clock.now()
        if run_type != BY_EVENT and not store.noticing.of(platform).alive(now):
            await tend_channels(services, revision, Platform(platform))
        store.noticing.run_came(platform, now, expected=noticing)
        requests = store.noticing.take_requests(platform, WELKIN) + Counter(services.meter.row)
        return found, strangers, dict(requests)

    found, strangers, requests = run(work, platforms=[Platform(platform)])
    logger.info(
        "%s: %d calendars checked, %d users with changes, %d waiting after a failure",
        platform,
        found.polled,
        found.marked,
        found.waiting,
    )
    if found.fault:
        raise PlatformStopped(detail=f"{platform}: {found.fault}")
    groups = [list(group) for group in found.groups]
    return Work([*groups, *([name] for name in strangers)], requests)


def _known(
    services: Services, revision: Revision, platform: Platform, names: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The ids of these users, and the names that match no user of this platform."""
    if not names:
        return [], []
    store = services.store
    ids, named = list[str](), Names(store, platform)
    for name in names:
        try:
            ids.append(named.user(name))
        except ConfigurationError:
            ids.append(name)  # several users'
    ids = list(dict.fromkeys(ids))
    there = members(store, revision.settings, platform, services.clock.now(), ids).known
    return [one for one in ids if one in there], [one for one in ids if one not in there]


def sync_group(
    platform: str,
    group: Sequence[str],
    *,
    run_id: str,
    owner: str,
    dry_run: bool = False,
    named: bool = False,
) -> Done:
    """Run the cycles of one group; `named`: a person has asked for these users."""

    async def work(services: Services, revision: Revision) -> Done:
        users, strangers = group, list[str]()
        if named:
            users, strangers = _known(services, revision, Platform(platform), group)
        outcomes = await sync_users(
            services,
            revision,
            Platform(platform),
            users,
            run_id=run_id,
            owner=owner,
            dry_run=dry_run,
            # Runs overlap: who was asked for by name may be in the hands of another just now.
            patience=LONGEST_CYCLE if named else 0.0,
        )
        outcomes += [
            UserOutcome(
                name,
                "",
                OutcomeStatus.FAILED,
                RequestCode.NOT_MAPPED,
                detail=f"not mapped on {platform}",
            )
            for name in strangers
        ]
        outcomes = [judged(services.store, Platform(platform), outcome) for outcome in outcomes]
        return Done(outcomes, services.meter.row)

    done = run(work, platforms=[Platform(platform)])
    for outcome in done.outcomes:
        level = "warning" if outcome.failed else "info"
        getattr(logger, level)("%s", outcome.label)
    return done


def raise_failures(outcomes: Sequence[UserOutcome]) -> None:
    """Fail the task for users that failed, however often they did before.

    Raises:
        UsersFailed: names opaque ids, accounts and codes.
    """
    failed = [outcome for outcome in outcomes if outcome.failed]
    if failed:
        raise UsersFailed(
            detail="; ".join(f"{_who(o)}: {_what(o)}" for o in failed),
            words="; ".join(
                f"{_who(o)}: {o.code.in_words} (responsible: {o.code.whose}) [{_what(o)}]"
                for o in failed
                if o.code
            ),
        )


def _who(outcome: UserOutcome) -> str:
    return f"{outcome.account or '-'} ({outcome.user_id})"


def _what(outcome: UserOutcome) -> str:
    """The code, for looking it up."""
    return f"{outcome.code} {outcome.detail}".rstrip()


def group_label(outcomes: Sequence[UserOutcome]) -> str:
    """What the run history shows: one user's line, or the sum of a group."""
    if len(outcomes) == 1:
        text = outcomes[0].label
    else:
        told = {OutcomeStatus.FAILED, OutcomeStatus.PAUSED}
        working = [o.label for o in outcomes if o.result.writes or o.status in told]
        text = f"{len(outcomes)} users: " + ("; ".join(working) or "up to date")
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"
