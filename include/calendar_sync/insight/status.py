"""Read models for the CLI (and later the dashboard and the report)."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from calendar_sync.core.model import LinkKind, LinkState, MappedUser, Platform, Step
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.marks import Pair, UserSync
from calendar_sync.state.open_items import open_conflicts, parked, unanswered, undecided
from calendar_sync.state.runs import (
    AUDIT_MATCHED_AT,
    DELETIONS_FROM,
    LOOKED_AT,
    SKIPPED_AT,
    SWEEP,
    WELKIN,
)
from calendar_sync.sync.freshness import late_since, limits
from calendar_sync.sync.roster import Members, former_account, members

_MIRROR_STEPS = (
    Step.CREATE_MIRROR,
    Step.ADOPT_MIRROR,
    Step.UPDATE_MIRROR,
    Step.DELETE_MIRROR,
)


# Every state that a mapped user can be in.
OK, LATE, NEW, RETRYING = "ok", "late", "not synced yet", "retrying"
ATTENTION, WAITING = "needs attention", "waiting for approval"
DISABLED, AWAY = "disabled", "inactive in Welkin"
STATES = (OK, LATE, NEW, RETRYING, ATTENTION, WAITING, DISABLED, AWAY)


@dataclass(frozen=True)
class PlatformStatus:
    """How one platform's sync is doing.

    `freshness_seconds` is the age of the oldest change that waits, or, of an account that has not
    been seen into for too long, the time since it was last in step. `conflicts` are those that are
    shown, `undecided` those of them that need a person (`state.open_items`).
    """

    platform: str
    users: dict[str, int]
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


def status(store: Store, now: datetime) -> list[PlatformStatus]:
    """One entry a platform that has mapped users, or something of ours, or for a person to see."""
    known = {user.platform for user in store.config.mapping()}
    known |= {one.platform for one in store.runs.pending()}
    found = []
    for platform in Platform:
        entry = _status(store, platform, now)
        if platform in known or entry.conflicts or store.links.holders(platform):
            found.append(entry)
    return found


def _status(store: Store, platform: Platform, now: datetime) -> PlatformStatus:
    mapped = {user.user_id: user for user in store.config.mapping(platform)}
    settings = store.config.revision().settings
    people = members(store, settings, platform, now)
    enabled = people.synced.keys()
    limit = limits(settings, platform, len(enabled), now)
    states = store.marks.all(platform)
    waiting = {
        one.user_id for one in store.runs.pending() if one.platform is platform and not one.declined
    }
    users: Counter[str] = Counter()
    failing, behind, successes = [], [], []
    for user_id in mapped:
        state = states.get((user_id, platform))
        if not mapped[user_id].enabled:
            users[DISABLED] += 1
        elif user_id not in enabled:
            users[AWAY] += 1
        elif state is not None and state.attention:
            users[ATTENTION] += 1
        elif state is not None and state.failures:
            users[RETRYING] += 1
        elif state is None or state.last_success_at is None:
            users[NEW] += 1
        elif user_id in waiting:
            users[WAITING] += 1
        elif late_since(state, limit) is not None:
            users[LATE] += 1
        else:
            users[OK] += 1
        if state is None or user_id not in enabled:
            continue
        since = late_since(state, limit) or (state.marked_at if state.marked else None)
        if since is not None:
            behind.append(since)
        if state.last_success_at is not None:
            successes.append(state.last_success_at)
        if state.failures:
            failing.append(_failing(mapped[user_id], state))
    failing += [_failing(row, state) for row, state in stuck(store, people, states)]
    fault = store.runs.fault(platform)
    counts = _counts(store, platform, enabled, now)
    return PlatformStatus(
        platform=platform.value,
        users=dict(users),
        freshness_seconds=(now - min(behind)).total_seconds() if behind else 0.0,
        oldest_success=min(successes) if successes else None,
        fault=fault.code if fault is not None else None,
        failing=failing,
        looked_at=looked_at(store, platform),
        **counts,
    )


def _failing(row: MappedUser, state: UserSync) -> dict[str, Any]:
    return {
        "user_id": row.user_id,
        "account": row.account,
        "code": state.error_code,
        "since": state.failing_since,
        "retry_at": state.retry_at,
    }


def stuck(
    store: Store, people: Members, states: Mapping[Pair, UserSync]
) -> list[tuple[MappedUser, UserSync]]:
    """Who leaves, and whose mirrors and blocks could not be removed; with the former account."""
    found = []
    for user_id in sorted(people.leaving):
        state = states.get((user_id, people.platform))
        if state is not None and state.attention:
            account = former_account(store, user_id, people.platform)
            row = MappedUser(user_id, people.platform, account, enabled=False)
            found.append((row, state))
    return found


def looked_at(store: Store, platform: Platform) -> datetime | None:
    """When both sides were last asked for changes, and answered."""
    found = store.runs.facts(platform.value).get(LOOKED_AT)
    return datetime.fromisoformat(found) if isinstance(found, str) else None


def deletions_told_by(store: Store) -> str:
    """What tells of deletions in Welkin, in words; empty before anything has been read."""
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
    store: Store, platform: Platform, enabled: Collection[str], now: datetime
) -> dict[str, Any]:
    revision = store.config.revision()
    name = platform.value
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
            "parked": connection.scalar(
                select(func.count()).select_from(t.parked_item).where(*parked(name))
            ),
            "approvals": connection.scalar(
                select(func.count()).where(t.approval.c.platform == name, unanswered())
            ),
            "rereading": connection.scalar(
                select(func.count(func.distinct(t.cursor.c.owner))).where(
                    t.cursor.c.scope == name,
                    t.cursor.c.shape.not_like(f"%:{revision.blocks_hash}:%"),
                    t.cursor.c.owner.in_(enabled),
                    t.cursor.c.calendar.in_(revision.settings.calendars_of(platform).all),
                )
            ),
        }


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


@dataclass(frozen=True)
class Exposure:
    """One appointment that a mailbox showed: to what detail, from when until when.

    `until` is None while the mirror is there (`state` live or retired), may be there (intent: its
    creation was interrupted), or was taken away by its owner (dismissed).
    """

    platform: str
    user_id: str
    appointment_id: str
    calendar: str
    levels: tuple[str, ...]
    since: datetime
    until: datetime | None
    state: str


def exposure(store: Store, account: str) -> list[Exposure]:
    """What one mailbox has shown, or may have, former owners' mirrors included, oldest first.

    A write that failed counts as shown: its answer may be all that was lost.
    """
    link, operation = t.link, t.operation
    links = select(link).where(
        func.lower(link.c.account) == account.lower(), link.c.kind == LinkKind.MIRROR.value
    )
    writes = (
        select(operation)
        .where(
            func.lower(operation.c.account) == account.lower(),
            operation.c.step.in_(_MIRROR_STEPS),
        )
        .order_by(operation.c.id)
    )
    done: dict[tuple[str, ...], list[Any]] = {}
    with store.database.read() as connection:
        for row in connection.execute(writes):
            key = (row.platform, row.user_id, row.source_id)
            done.setdefault(key, []).append(row)
        rows = connection.execute(links).all()
    found = []
    for row in rows:
        written = done.get((row.platform, row.user_id, row.source_id), [])
        shown = [op for op in written if op.step != Step.DELETE_MIRROR]
        if not shown and row.state == LinkState.DELETED.value:
            continue  # its creation was given up before anything was written
        gone = row.state == LinkState.DELETED.value
        last = written[-1] if written else None
        ended = last is not None and last.step == Step.DELETE_MIRROR and last.outcome == "ok"
        removed = last.at if last is not None and ended else None
        found.append(
            Exposure(
                platform=row.platform,
                user_id=row.user_id,
                appointment_id=row.source_id,
                calendar=row.calendar,
                levels=tuple(dict.fromkeys([*(op.level for op in shown), row.level])),
                since=shown[0].at if shown else row.created_at,
                until=(removed or row.updated_at) if gone else None,
                state=row.state,
            )
        )
    return sorted(found, key=lambda entry: (entry.since, entry.user_id, entry.appointment_id))
