"""The health report: what needs attention, and what was synced. From the state database alone.

It names opaque ids, staff accounts, times, counts and codes: no patient data, no text of an event.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select

from calendar_sync.core.codes import AccountVerdict, SyncCode, code_of
from calendar_sync.core.model import ConflictDecision, Platform
from calendar_sync.core.model.conflicts import decision_in_words
from calendar_sync.core.plurals import plural
from calendar_sync.insight.mapping_rules import last_evaluation, to_look_at
from calendar_sync.insight.noticing import silent_after
from calendar_sync.insight.push import in_words
from calendar_sync.insight.status import PlatformStatus, requests_since, status
from calendar_sync.insight.user_state import UserState
from calendar_sync.insight.users import Everybody, UserStatus
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.config import Revision
from calendar_sync.state.health import Checked
from calendar_sync.state.open_items import listed, parked, undecided
from calendar_sync.sync.roster import former_account

DAY = timedelta(days=1)
SHOWN = 200
_APPROVE = "Review it on the page Attention, or with `calendar-sync approvals list`."


@dataclass(frozen=True)
class Item:
    """One item that needs attention: user, code, since when, and what to do."""

    kind: str
    platform: str
    account: str
    user_id: str
    code: str
    since: datetime | None
    advice: str


@dataclass(frozen=True)
class Report:
    """The number of items that need attention, and the whole report."""

    attention: int
    document: dict[str, Any]


def build(
    store: Store,
    revision: Revision,
    now: datetime,
    *,
    audit: Iterable[str] = (),
    checked: bool = True,
) -> Report:
    """Create the report.

    Args:
        store: the state database.
        revision: the current settings.
        now: the time of the report; numbers are of the 24 hours before.
        audit: the problems that the verification of the audit log found.
        checked: the accounts could be checked.
    """
    items = [Item("audit", "", "", "", "damaged", None, problem) for problem in audit]
    if not checked:
        text = "Welkin's list of users could not be read: see the log of the task."
        items.append(Item("check_failed", "", "", "", "accounts_not_checked", None, text))
    items += _of_rules(store, revision)
    platforms = []
    everybody = Everybody(store, revision.settings, now)
    for each in status(store, now, everybody):
        platform = Platform(each.platform)
        stopped = _of_platform(store, revision, each, now)
        items += stopped
        items += _of_users(store, everybody, platform, stopped=bool(stopped))
        items += _left_to_people(store, platform, now)
        platforms.append(
            {
                **{key: value for key, value in asdict(each).items() if key != "failing"},
                "push_in_words": in_words(each.push) if each.push is not None else "",
                "target_seconds": revision.settings.freshness.target_seconds,
                "synced": _synced(store, platform, now - DAY),
                "requests": requests_since(store, platform, now - DAY),
                "verdicts": dict(Counter(one.verdict for one in store.health.verdicts(platform))),
                "conflicts_by_kind": _conflicts(store, platform, now - DAY, now),
                "drift": _drift(store, platform, now - DAY),
            }
        )
    attention = len(items)
    document = {
        "at": now.isoformat(),
        "settings_revision": revision.id,
        "attention": attention,
        "items": [_plain(asdict(item)) for item in items[:SHOWN]],
        "more": max(0, attention - SHOWN),
        "platforms": [_plain(entry) for entry in platforms],
        "mapping_rules": _rules(store, revision),
    }
    return Report(attention, document)


def _of_rules(store: Store, revision: Revision) -> list[Item]:
    """What the last evaluation of the mapping rules leaves to people."""
    found = last_evaluation(store) if revision.settings.mapping_rules else None
    return [
        Item("rule", one.platform, one.rule and f"rule {one.rule}", "", one.code, None, one.advice)
        for one in (to_look_at(found) if found is not None else [])
    ]


def _rules(store: Store, revision: Revision) -> dict[str, Any] | None:
    """The numbers of that evaluation; None without rules, or before the first."""
    found = last_evaluation(store) if revision.settings.mapping_rules else None
    if found is None:
        return None
    return {"at": found.at, "counts": dict(found.counts), "in_words": found.sentence}


def _of_platform(
    store: Store, revision: Revision, each: PlatformStatus, now: datetime
) -> list[Item]:
    """A platform whose sync is paused or not running."""
    fault = store.runs.fault(Platform(each.platform))
    if fault is not None:
        text = "The sync is paused until this is fixed: run `calendar-sync check`."
        return [Item("platform_fault", each.platform, "", "", fault.code.value, fault.since, text)]
    patience = silent_after(store, revision.settings, Platform(each.platform), now)
    concerned = any(state.synced for state in each.users) or each.mirrors or each.blocks
    if concerned and each.looked_at is not None and now - each.looked_at > patience:
        return [
            Item(
                "silent",
                each.platform,
                "",
                "",
                SyncCode.NOT_LOOKED_AT.value,
                each.looked_at,
                SyncCode.NOT_LOOKED_AT.sentence,
            )
        ]
    return []


def _of_users(
    store: Store, everybody: Everybody, platform: Platform, *, stopped: bool
) -> list[Item]:
    """Users who cannot be synced, by the check of their account or by their failures.

    Late users are left out while the whole platform is `stopped`.
    """
    mapped = {row.user_id: row for row in store.config.mapping(platform) if row.enabled}
    bad = {
        one.user_id: one
        for one in store.health.verdicts(platform)
        if one.verdict != AccountVerdict.OK and one.user_id in mapped
    }
    items = [_verdict(one) for one in bad.values()]
    for one in everybody.in_trouble(platform):
        if one.user_id in bad:
            continue
        if one.state is UserState.NEEDS_ATTENTION:
            items.append(_failing(one))
        elif one.late and not stopped:
            code = SyncCode.OVER_TARGET if one.marked else SyncCode.NOT_SEEN
            found = (one.account, one.user_id, code.value, one.behind_since, code.sentence)
            items.append(Item("late", platform.value, *found))
    return items + [_failing(one) for one in everybody.left_behind(platform)]


def _verdict(one: Checked) -> Item:
    text = code_of(one.verdict).sentence
    found = (one.account, one.user_id, one.verdict, one.since, text)
    return Item("account", one.platform.value, *found)


def _failing(one: UserStatus) -> Item:
    code = one.error or ""
    found = (one.account, one.user_id, code, one.failing_since, code_of(code).sentence)
    return Item("failing", one.platform.value, *found)


def _left_to_people(store: Store, platform: Platform, now: datetime) -> list[Item]:
    """Approvals, parked items and open conflicts."""
    accounts = {row.user_id: row.account for row in store.config.mapping(platform)}

    def item(kind: str, user_id: str, code: str, since: datetime, text: str) -> Item:
        account = accounts.get(user_id) or former_account(store, user_id, platform)
        return Item(kind, platform.value, account, user_id, code, since, text)

    found = [
        item("approval", one.user_id, f"{one.reason}:{one.count}", one.requested_at, _APPROVE)
        for one in store.runs.pending()
        if one.platform is platform and not one.declined
    ]
    found += _parked(store, platform, item)
    return found + _open_conflicts(store, platform, now, item)


def _parked(store: Store, platform: Platform, item: Callable[..., Item]) -> list[Item]:
    """One line a user and code."""
    table = t.parked_item
    query = (
        select(table.c.user_id, table.c.code, func.count(), func.min(table.c.first_at))
        .where(*parked(platform.value))
        .group_by(table.c.user_id, table.c.code)
        .order_by(table.c.user_id, table.c.code)
    )
    with store.database.read() as connection:
        rows = connection.execute(query).all()
    return [
        item(
            "parked",
            user_id,
            code,
            since,
            f"{plural(count, 'item')} rejected three times: {code_of(code).sentence}",
        )
        for user_id, code, count, since in rows
    ]


def _open_conflicts(
    store: Store, platform: Platform, now: datetime, item: Callable[..., Item]
) -> list[Item]:
    """One line a user, kind and decision."""
    table = t.conflict
    query = (
        select(
            table.c.user_id,
            table.c.kind,
            table.c.decision,
            func.count(),
            func.min(table.c.first_at),
        )
        .where(table.c.platform == platform.value, undecided(now))
        .group_by(table.c.user_id, table.c.kind, table.c.decision)
        .order_by(table.c.user_id, table.c.kind)
    )
    with store.database.read() as connection:
        rows = connection.execute(query).all()
    return [
        item(
            "conflict",
            user_id,
            kind,
            since,
            f"{plural(count, 'conflict')}: {decision_in_words(decision)} "
            "See the page Attention, or `calendar-sync explain`.",
        )
        for user_id, kind, decision, count, since in rows
    ]


def _conflicts(store: Store, platform: Platform, since: datetime, now: datetime) -> dict[str, int]:
    """What happened since then, and what lasts, by kind and decision."""
    table = t.conflict
    recent = and_(table.c.last_at > since, table.c.decision != ConflictDecision.LISTED.value)
    query = (
        select(table.c.kind, table.c.decision, func.count())
        .where(table.c.platform == platform.value, or_(recent, listed(now)))
        .group_by(table.c.kind, table.c.decision)
    )
    with store.database.read() as connection:
        rows = connection.execute(query)
        return {f"{kind}: {decision}": count for kind, decision, count in rows}


def _synced(store: Store, platform: Platform, since: datetime) -> dict[str, int]:
    """Writes that worked, by step."""
    table = t.operation
    query = (
        select(table.c.step, func.count())
        .where(table.c.platform == platform.value, table.c.at > since, table.c.outcome == "ok")
        .group_by(table.c.step)
    )
    with store.database.read() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def _drift(store: Store, platform: Platform, since: datetime) -> dict[str, Any]:
    """What the daily comparisons had to correct: users compared, corrections by reason and user."""
    accounts = {row.user_id: row.account for row in store.config.mapping(platform)}
    states = store.marks.all(platform).values()
    compared = sum(
        1 for state in states if state.compared_at is not None and state.compared_at > since
    )
    query = select(t.drift).where(t.drift.c.platform == platform.value, t.drift.c.at > since)
    writes: Counter[str] = Counter()
    users: Counter[str] = Counter()
    with store.database.read() as connection:
        for row in connection.execute(query):
            writes.update(row.writes)
            users[accounts.get(row.user_id, row.user_id)] += sum(row.writes.values())
    return {"compared": compared, "writes": dict(writes), "users": dict(users.most_common(SHOWN))}


def _plain(value: Any) -> Any:
    """For JSON: times as text, at any depth."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value
