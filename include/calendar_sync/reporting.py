"""Read models for the CLI (and later the dashboard and the report)."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from calendar_sync.model import LinkState, Platform
from calendar_sync.state import Store
from calendar_sync.state import tables as t


@dataclass(frozen=True)
class PlatformStatus:
    """How one platform's sync is doing."""

    platform: str
    users: dict[str, int]
    mirrors: int
    blocks: int
    freshness_seconds: float
    oldest_success: datetime | None
    fault: str | None
    last_run: datetime | None
    conflicts: int
    parked: int
    approvals: int
    failing: list[dict[str, Any]]


def status(store: Store, now: datetime) -> list[PlatformStatus]:
    """One entry a platform that has mapped users."""
    platforms = sorted({user.platform for user in store.config.mapping()})
    return [_status(store, platform, now) for platform in platforms]


def _status(store: Store, platform: Platform, now: datetime) -> PlatformStatus:
    mapped = {user.user_id: user for user in store.config.mapping(platform)}
    enabled = {user_id for user_id, user in mapped.items() if user.enabled}
    states = {state.user_id: state for state in store.marks.all(platform).values()}
    users: Counter[str] = Counter()
    failing, marked, successes = [], [], []
    for user_id in mapped:
        state = states.get(user_id)
        if user_id not in enabled:
            users["disabled"] += 1
        elif state is None or state.last_success_at is None:
            users["not synced yet"] += 1
        elif state.attention:
            users["needs attention"] += 1
        elif state.failures:
            users["retrying"] += 1
        else:
            users["ok"] += 1
        if state is None or user_id not in enabled:
            continue
        if state.marked and state.marked_at is not None:
            marked.append(state.marked_at)
        if state.last_success_at is not None:
            successes.append(state.last_success_at)
        if state.failures:
            failing.append(
                {
                    "user_id": user_id,
                    "account": mapped[user_id].account,
                    "code": state.error_code,
                    "since": state.failing_since,
                    "retry_at": state.retry_at,
                }
            )
    fault = store.runs.fault(platform)
    counts = _counts(store, platform, now)
    return PlatformStatus(
        platform=platform.value,
        users=dict(users),
        freshness_seconds=(now - min(marked)).total_seconds() if marked else 0.0,
        oldest_success=min(successes) if successes else None,
        fault=fault.code if fault is not None else None,
        failing=failing,
        **counts,
    )


def _counts(store: Store, platform: Platform, now: datetime) -> dict[str, Any]:
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
                select(func.count()).where(
                    t.conflict.c.platform == name,
                    t.conflict.c.dismissed_at.is_(None),
                    t.conflict.c.last_at > now - timedelta(days=7),
                )
            ),
            "parked": connection.scalar(
                select(func.count()).where(t.parked_item.c.platform == name)
            ),
            "approvals": connection.scalar(
                select(func.count()).where(
                    t.approval.c.platform == name, t.approval.c.granted_at.is_(None)
                )
            ),
        }
