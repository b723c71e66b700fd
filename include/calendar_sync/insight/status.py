"""How each platform is doing, in numbers: for `calendar-sync status`, the report and metrics."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select

from calendar_sync.core.model import LinkState, MappedUser, Platform
from calendar_sync.insight.noticing import NoticingState, noticing
from calendar_sync.insight.push import Coverage, coverage
from calendar_sync.insight.sweeps import SweepCoverage, sweep_coverage
from calendar_sync.insight.user_state import UserState
from calendar_sync.insight.users import NO_USERS, Everybody, UserStatus
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.config import Revision
from calendar_sync.state.open_items import (
    listed,
    open_conflicts,
    parked,
    unanswered,
    undecided,
)
from calendar_sync.state.runs import (
    AUDIT_MATCHED_AT,
    DELETIONS_FROM,
    LOOKED_AT,
    SKIPPED_AT,
    SWEEP,
    WELKIN,
)
from calendar_sync.sync.roster import members


@dataclass(frozen=True)
class PlatformStatus:
    """How one platform's sync is doing.

    `freshness_seconds` is the age of the oldest change that waits, or, of an account that has not
    been seen into for too long, the time since it was last in step. `conflicts` are those that are
    shown, `undecided` those of them that need a person, `overlaps` are visits over busy time
    (`state.open_items`). `paused` are users who have paused the sync, or for whom an operator has.
    """

    platform: str
    users: dict[UserState, int]
    mirrors: int
    blocks: int
    freshness_seconds: float
    oldest_success: datetime | None
    fault: str | None
    last_run: datetime | None
    looked_at: datetime | None
    conflicts: int
    undecided: int
    parked: int
    approvals: int
    rereading: int
    failing: list[dict[str, Any]]
    noticing: tuple[NoticingState, ...]
    paused: list[dict[str, Any]]
    push: Coverage | None = None
    sweeps: SweepCoverage | None = None
    overlaps: int = 0


def status(
    store: Store,
    now: datetime,
    everybody: Everybody | None = None,
    platforms: Iterable[Platform] = Platform,
) -> list[PlatformStatus]:
    """One entry a platform that has mapped users, or something of ours, or for a person to see.

    Args:
        store: the state database.
        now: the time.
        everybody: all users of this moment, if they are known already.
        platforms: of these only.
    """
    known = {user.platform for user in store.config.mapping()}
    known |= {one.platform for one in store.runs.pending()}
    revision = store.config.revision()
    everybody = everybody or Everybody(store, revision.settings, now)
    found = []
    for platform in platforms:
        entry = _status(store, revision, platform, everybody, now)
        if platform in known or entry.conflicts or store.links.holders(platform):
            found.append(entry)
    return found


def _status(
    store: Store, revision: Revision, platform: Platform, everybody: Everybody, now: datetime
) -> PlatformStatus:
    found = everybody.standing.get(platform, NO_USERS)
    failing = [one for one in everybody.in_trouble(platform) if one.failures]
    failing += everybody.left_behind(platform)
    behind = found.oldest_change
    fault = store.runs.fault(platform)
    synced = members(store, revision.settings, platform, now).synced
    return PlatformStatus(
        platform=platform.value,
        users={state: count for state, count in found.states.items() if count},
        freshness_seconds=(now - behind).total_seconds() if behind else 0.0,
        oldest_success=found.oldest_success,
        fault=fault.code if fault is not None else None,
        failing=[_failing(one) for one in failing],
        paused=[_paused(one) for one in everybody.paused(platform)],
        looked_at=looked_at(store, platform),
        push=coverage(store, revision.settings, platform, synced, now),
        sweeps=sweep_coverage(store, revision.settings, platform, synced.values(), now),
        noticing=noticing(store, platform, now),
        **_counts(store, revision, platform, synced, now),
    )


def _failing(one: UserStatus) -> dict[str, Any]:
    return {
        "user_id": one.user_id,
        "account": one.account,
        "code": one.error,
        "since": one.failing_since,
        "retry_at": one.retry_at,
    }


def _paused(one: UserStatus) -> dict[str, Any]:
    return {
        "user_id": one.user_id,
        "account": one.account,
        "until": one.paused_until,
        "by": one.paused_by,
    }


def looked_at(store: Store, platform: Platform) -> datetime | None:
    """When both sides were last asked for changes, and answered."""
    found = store.runs.facts(platform.value).get(LOOKED_AT)
    return datetime.fromisoformat(found) if isinstance(found, str) else None


def deletions_told_by(store: Store) -> str:
    """The source of deletions in Welkin, in words; empty before anything has been read."""
    facts = store.runs.facts(WELKIN)
    found = facts.get(DELETIONS_FROM)
    if found is None:
        return ""
    if found == SWEEP:
        return (
            "a comparison of the next 7 days every 10 minutes, since the audit log is not reliable"
        )
    if not facts.get(AUDIT_MATCHED_AT):
        return "Welkin's audit log (not confirmed by a deletion yet)"
    return "Welkin's audit log"


def bulk_skipped_at(store: Store) -> datetime | None:
    """When a feed last had more rows at one instant than can be read: everybody was compared."""
    found = store.runs.facts(WELKIN).get(SKIPPED_AT)
    return datetime.fromisoformat(found) if isinstance(found, str) else None


def _counts(
    store: Store,
    revision: Revision,
    platform: Platform,
    synced: Mapping[str, MappedUser],
    now: datetime,
) -> dict[str, Any]:
    name = platform.value
    by_profile: dict[str, list[str]] = {}
    for user_id, user in synced.items():
        by_profile.setdefault(user.profile, []).append(user_id)
    live = select(t.link.c.kind, func.count()).where(
        t.link.c.platform == name, t.link.c.state == LinkState.LIVE.value
    )
    with store.database.read() as connection:
        rows = connection.execute(live.group_by(t.link.c.kind))
        links: dict[str, int] = {row[0]: row[1] for row in rows}
        return {
            "mirrors": links.get("mirror", 0),
            "blocks": links.get("block", 0),
            "last_run": connection.scalar(
                select(func.max(t.sync_run.c.ended_at)).where(t.sync_run.c.platform == name)
            ),
            "conflicts": connection.scalar(
                select(func.count()).where(t.conflict.c.platform == name, open_conflicts(now))
            ),
            "undecided": connection.scalar(
                select(func.count()).where(t.conflict.c.platform == name, undecided(now))
            ),
            "overlaps": connection.scalar(
                select(func.count()).where(t.conflict.c.platform == name, listed(now))
            ),
            "parked": connection.scalar(
                select(func.count()).select_from(t.parked_item).where(*parked(name))
            ),
            "approvals": connection.scalar(
                select(func.count()).where(t.approval.c.platform == name, unanswered())
            ),
            "rereading": sum(
                connection.scalar(_rereading(revision.of(profile), platform, users)) or 0
                for profile, users in by_profile.items()
            ),
        }


def _rereading(revision: Revision, platform: Platform, users: Collection[str]) -> Select[Any]:
    """How many of these users were read under other settings than these."""
    cursor = t.cursor.c
    return select(func.count(func.distinct(cursor.owner))).where(
        cursor.scope == platform.value,
        cursor.shape.not_like(f"%:{revision.blocks_hash}:%"),
        cursor.owner.in_(users),
        cursor.calendar.in_(revision.settings.calendars_of(platform).all),
    )


def requests_since(store: Store, platform: Platform, since: datetime) -> dict[str, int]:
    """Requests by kind that the runs of a platform have made, as each run recorded them."""
    table = t.sync_run
    query = select(table.c.summary).where(
        table.c.platform == platform.value, table.c.started_at > since
    )
    found: Counter[str] = Counter()
    with store.database.read() as connection:
        for summary in connection.scalars(query):
            found.update(summary.get("requests", {}))
    return dict(found)
