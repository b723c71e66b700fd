"""Every connected user with how their sync is doing: searched, filtered, sorted and paged in SQL.

The states are those of `reporting.STATES`; here the database decides them, so that a page of 10,000
users costs what a page costs.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, literal, or_, select

from calendar_sync.config.settings import Settings
from calendar_sync.core.model import STANDING, LinkKind, LinkState, Platform
from calendar_sync.insight.status import (
    ATTENTION,
    AWAY,
    DISABLED,
    LATE,
    NEW,
    OK,
    RETRYING,
    STATES,
    WAITING,
)
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.open_items import unanswered
from calendar_sync.sync.freshness import limits
from calendar_sync.sync.roster import LEAVING, too_many

Sort = Literal["state", "account", "last_success", "freshness", "retry"]
PAGE = 50
# The gravest first.
_ORDER = (ATTENTION, RETRYING, LATE, WAITING, NEW, OK, AWAY, DISABLED)


@dataclass(frozen=True)
class Wanted:
    """Which users, in which order; `page` counts from 1.

    `search` is part of an account, of an address in Welkin, or of a Welkin user id.
    """

    search: str = ""
    platform: Platform | None = None
    state: str | None = None
    sort: Sort = "state"
    descending: bool = False
    page: int = 1
    size: int = PAGE


@dataclass(frozen=True)
class ListedUser:
    """One (user, platform).

    `behind_since` is since when a change waits, or since when nobody has seen into the account
    where that is too long; None when all is known and synced. `error` is the code of the
    last cycle or poll where that failed, `failing_since` since when.
    """

    user_id: str
    platform: str
    account: str
    state: str
    last_success_at: datetime | None
    behind_since: datetime | None
    error: str | None
    failing_since: datetime | None
    failures: int
    retry_at: datetime | None
    mirrors: int
    blocks: int


@dataclass(frozen=True)
class UserList:
    """One page; `total` counts all that were wanted, `states` those of every state."""

    users: tuple[ListedUser, ...]
    total: int
    states: Mapping[str, int]
    page: int
    pages: int


@dataclass(frozen=True)
class Standing:
    """How all users of one platform are doing.

    `late` are those who are behind for longer than the target; `oldest_change` is the earliest
    `behind_since`.
    """

    states: Mapping[str, int]
    synced: int
    late: int
    oldest_change: datetime | None


NOBODY = Standing(dict.fromkeys(STATES, 0), 0, 0, None)


def list_users(store: Store, settings: Settings, wanted: Wanted, now: datetime) -> UserList:
    """One page of them."""
    source = _source(store, settings, now)
    found = source.subquery()
    by_state = select(found.c.state, func.count()).where(*_filters(found, wanted, state=False))
    with store.database.read() as connection:
        counted = connection.execute(by_state.group_by(found.c.state))
        states: dict[str, int] = {row[0]: row[1] for row in counted}
        total = sum(states.values()) if wanted.state is None else states.get(wanted.state, 0)
        pages = max(1, -(-total // wanted.size))
        page = min(max(1, wanted.page), pages)
        query = (
            select(found)
            .where(*_filters(found, wanted, state=True))
            .order_by(*_order(found, wanted))
            .limit(wanted.size)
            .offset((page - 1) * wanted.size)
        )
        rows = connection.execute(query).all()
        counts = _links(connection, [row.user_id for row in rows])
    users = tuple(_listed(row, counts) for row in rows)
    return UserList(users, total, {name: states.get(name, 0) for name in STATES}, page, pages)


def standing(store: Store, settings: Settings, now: datetime) -> dict[Platform, Standing]:
    """All users counted, by platform; only platforms that have any."""
    found = _source(store, settings, now).subquery()
    synced = found.c.state.not_in([DISABLED, AWAY])
    query = select(
        found.c.platform,
        found.c.state,
        func.count(),
        func.sum(case((and_(synced, found.c.late), 1), else_=0)),
        func.min(case((synced, found.c.behind_since))),
    ).group_by(found.c.platform, found.c.state)
    counts: dict[str, Counter[str]] = {}
    late: Counter[str] = Counter()
    oldest: dict[str, datetime] = {}
    with store.database.read() as connection:
        for platform, state, count, late_ones, moment in connection.execute(query):
            counts.setdefault(platform, Counter())[state] = count
            late[platform] += late_ones
            if moment is not None:
                oldest[platform] = min(moment, oldest.get(platform, moment))
    return {
        Platform(platform): Standing(
            {name: states[name] for name in STATES},
            sum(n for name, n in states.items() if name not in {DISABLED, AWAY}),
            late[platform],
            oldest.get(platform),
        )
        for platform, states in sorted(counts.items())
    }


def listed_user(
    store: Store, settings: Settings, user_id: str, now: datetime
) -> tuple[ListedUser, ...]:
    """One user on each platform that they are mapped on."""
    found = _source(store, settings, now).subquery()
    query = select(found).where(found.c.user_id == user_id).order_by(found.c.platform)
    with store.database.read() as connection:
        rows = connection.execute(query).all()
        counts = _links(connection, [user_id])
    return tuple(_listed(row, counts) for row in rows)


def needing_attention(
    store: Store, settings: Settings, now: datetime, platform: Platform | None = None
) -> tuple[ListedUser, ...]:
    """Whoever failed three times in a row, until they are well; those who leave, too.

    Who leaves has the state "needs attention" and the former account: what they still have there
    cannot be removed.
    """
    found, sync, link = _source(store, settings, now).subquery(), t.user_sync, t.link
    synced = select(found).where(found.c.state == ATTENTION)
    left = (
        select(
            sync.c.user_id,
            sync.c.platform,
            func.min(link.c.account).label("account"),
            literal(ATTENTION).label("state"),
            *(sync.c[name] for name in ("last_success_at", "failing_since", "failures")),
            sync.c.error_code.label("error"),
            case((sync.c.retry_at > now, sync.c.retry_at)).label("retry_at"),
        )
        .select_from(sync)
        .join(link, and_(link.c.user_id == sync.c.user_id, link.c.platform == sync.c.platform))
        .join(
            found,
            and_(found.c.user_id == sync.c.user_id, found.c.platform == sync.c.platform),
            isouter=True,
        )
        .where(
            sync.c.attention.is_(True),
            link.c.state.in_(STANDING),
            or_(found.c.state.is_(None), found.c.state.in_([DISABLED, AWAY])),
        )
        .group_by(sync.c.user_id, sync.c.platform)
    )
    with store.database.read() as connection:
        rows = [*connection.execute(synced)]
        if settings.on_unmapped == "remove":
            rows += connection.execute(left)
        rows = [row for row in rows if platform is None or row.platform == platform.value]
        counts = _links(connection, [row.user_id for row in rows])
    users = (_listed(row, counts) for row in rows)
    return tuple(sorted(users, key=lambda one: (one.account, one.platform)))


def _source(store: Store, settings: Settings, now: datetime) -> Select[Any]:
    """A row for each mapped (user, platform), with its state."""
    mapping, sync, welkin, approval = t.user_mapping, t.user_sync, t.welkin_user, t.approval
    waits = exists().where(
        approval.c.user_id == mapping.c.user_id,
        approval.c.platform == mapping.c.platform,
        unanswered(),
    )
    marked = sync.c.mark_seq > sync.c.done_seq
    unseen, overdue = _late(store, settings, now)
    late = func.coalesce(or_(unseen, and_(marked, overdue)), False)
    state = case(
        (mapping.c.enabled.is_(False), DISABLED),
        (_away(store, settings, now), AWAY),
        (sync.c.attention.is_(True), ATTENTION),
        (sync.c.failures > 0, RETRYING),
        (sync.c.last_success_at.is_(None), NEW),
        (waits, WAITING),
        (late, LATE),
        else_=OK,
    )
    return (
        select(
            mapping.c.user_id,
            mapping.c.platform,
            mapping.c.account,
            func.coalesce(welkin.c.email, "").label("email"),
            state.label("state"),
            sync.c.last_success_at,
            late.label("late"),
            case((unseen, sync.c.last_success_at), (marked, sync.c.marked_at)).label(
                "behind_since"
            ),
            func.coalesce(sync.c.error_code, sync.c.poll_error).label("error"),
            func.coalesce(sync.c.failing_since, sync.c.poll_failed_at).label("failing_since"),
            func.coalesce(sync.c.failures, 0).label("failures"),
            case((sync.c.retry_at > now, sync.c.retry_at)).label("retry_at"),
        )
        .select_from(mapping)
        .join(
            sync,
            and_(sync.c.user_id == mapping.c.user_id, sync.c.platform == mapping.c.platform),
            isouter=True,
        )
        .join(welkin, welkin.c.user_id == mapping.c.user_id, isouter=True)
    )


def _late(
    store: Store, settings: Settings, now: datetime
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """`freshness.late_since`: last in step too long ago, and what waits waits too long."""
    mapping, sync = t.user_mapping, t.user_sync
    count = select(mapping.c.platform, func.count()).where(mapping.c.enabled.is_(True))
    with store.database.read() as connection:
        rows = connection.execute(count.group_by(mapping.c.platform))
        accounts: dict[str, int] = {row[0]: row[1] for row in rows}
    found = {one: limits(settings, one, accounts.get(one.value, 0), now) for one in Platform}
    unseen = or_(
        *(
            and_(mapping.c.platform == platform.value, sync.c.last_success_at < limit.seen)
            for platform, limit in found.items()
        )
    )
    return unseen, sync.c.marked_at < now - settings.freshness.target


def _away(store: Store, settings: Settings, now: datetime) -> ColumnElement[bool]:
    """Inactive in Welkin and no longer kept in step, as `members` decides it."""
    inactive = t.user_mapping.c.user_id.in_(store.config.inactive_query(now))
    held = [
        and_(t.user_mapping.c.platform == platform.value, t.user_mapping.c.user_id.in_(users))
        for platform in Platform
        if (users := _held(store, settings, platform, now))
    ]
    return and_(inactive, ~or_(*held)) if held else inactive


def _held(store: Store, settings: Settings, platform: Platform, now: datetime) -> frozenset[str]:
    """The `held` of `members`, without looking at everybody where few leave."""
    mapping, link = t.user_mapping, t.link
    remains = exists().where(
        link.c.user_id == mapping.c.user_id,
        link.c.platform == platform.value,
        link.c.state.in_(STANDING),
    )
    here = (mapping.c.platform == platform.value, mapping.c.enabled.is_(True), remains)
    inactive = mapping.c.user_id.in_(store.config.inactive_query(now))
    approved = store.runs.approved_users(LEAVING, platform, now)
    with store.database.read() as connection:
        leaving = set(connection.scalars(select(mapping.c.user_id).where(*here, inactive)))
        leaving -= approved
        if not too_many(len(leaving), 0, settings):
            return frozenset()
        holders = connection.scalar(select(func.count()).select_from(mapping).where(*here)) or 0
    return frozenset(leaving if too_many(len(leaving), holders, settings) else ())


def _filters(found: Any, wanted: Wanted, *, state: bool) -> Iterable[ColumnElement[bool]]:
    if wanted.platform is not None:
        yield found.c.platform == wanted.platform.value
    if state and wanted.state is not None:
        yield found.c.state == wanted.state
    if word := wanted.search.strip().lower():
        yield or_(
            func.lower(found.c.account).contains(word, autoescape=True),
            func.lower(found.c.user_id).contains(word, autoescape=True),
            func.lower(found.c.email).contains(word, autoescape=True),
        )


def _order(found: Any, wanted: Wanted) -> Iterable[Any]:
    """What is empty comes last, whatever the direction; equals by account."""
    if wanted.sort == "state":
        key: Any = case({name: index for index, name in enumerate(_ORDER)}, value=found.c.state)
    elif wanted.sort == "account":
        key = func.lower(found.c.account)
    else:
        # Ages grow as times shrink: most behind first is the earliest time first.
        columns = {
            "last_success": "last_success_at",
            "freshness": "behind_since",
            "retry": "retry_at",
        }
        key = found.c[columns[wanted.sort]]
        yield case((key.is_(None), literal(1)), else_=literal(0))
    yield key.desc() if wanted.descending else key.asc()
    yield found.c.account
    yield found.c.platform


def _links(connection: Any, user_ids: list[str]) -> Counter[tuple[str, str, str]]:
    """Live mirrors and blocks of these users, by user, platform and kind."""
    link = t.link
    query = (
        select(link.c.user_id, link.c.platform, link.c.kind, func.count())
        .where(
            link.c.user_id.in_(user_ids),
            link.c.platform.in_([platform.value for platform in Platform]),
            link.c.state == LinkState.LIVE.value,
        )
        .group_by(link.c.user_id, link.c.platform, link.c.kind)
    )
    return Counter({tuple(row[:3]): row[3] for row in connection.execute(query)})


def _listed(row: Any, counts: Counter[tuple[str, str, str]]) -> ListedUser:
    values = {"behind_since": None, **row._mapping}
    values = {key: value for key, value in values.items() if key not in {"email", "late"}}
    pair = (row.user_id, row.platform)
    return ListedUser(
        **values,
        mirrors=counts[(*pair, LinkKind.MIRROR.value)],
        blocks=counts[(*pair, LinkKind.BLOCK.value)],
    )
