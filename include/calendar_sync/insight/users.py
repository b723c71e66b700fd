"""Every connected user with how their sync is doing: searched, filtered, sorted and paged in SQL.

The one place that decides how a user is doing. The database does it, so that a page of 10,000
users costs what a page costs.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
)

from calendar_sync.config.settings import Settings
from calendar_sync.core.model import STANDING, LinkKind, LinkState, Platform
from calendar_sync.insight.user_state import GONE, NOT_SYNCED, UserState
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.open_items import unanswered
from calendar_sync.sync.freshness import deadlines
from calendar_sync.sync.roster import LEAVING, too_many

Sort = Literal["state", "account", "last_success", "freshness", "retry"]
PAGE = 50


@dataclass(frozen=True)
class Wanted:
    """Which users, in which order; `page` counts from 1.

    `search` is part of an account, of an address in Welkin, or of a Welkin user id.
    """

    search: str = ""
    platform: Platform | None = None
    state: UserState | None = None
    sort: Sort = "state"
    descending: bool = False
    page: int = 1
    size: int = PAGE


@dataclass(frozen=True)
class UserStatus:
    """How one (user, platform) is doing.

    `behind_since` is since when a change waits (`marked`), or since when the sync has not read the
    account where that is too long; None when all is known and synced. `late`: that is longer than
    the target. `error` is the code of the last cycle or poll where that failed, `failing_since`
    since when. `paused_until` and `paused_by` are there while the sync of the user is paused.
    """

    user_id: str
    platform: Platform
    account: str
    state: UserState
    last_success_at: datetime | None
    late: bool
    marked: bool
    behind_since: datetime | None
    error: str | None
    failing_since: datetime | None
    failures: int
    retry_at: datetime | None
    paused_until: datetime | None
    paused_by: str


@dataclass(frozen=True)
class ListedUser(UserStatus):
    """The same, with how many live mirrors and blocks there are."""

    mirrors: int
    blocks: int


@dataclass(frozen=True)
class UserList:
    """One page; `total` counts all that were wanted, `states` those of every state."""

    users: tuple[ListedUser, ...]
    total: int
    states: Mapping[UserState, int]
    page: int
    pages: int


@dataclass(frozen=True)
class PlatformStanding:
    """How all users of one platform are doing.

    `late` are those who are behind for longer than the target; `oldest_change` is the earliest
    `behind_since`, `oldest_success` the earliest last success, of those who are synced.
    """

    states: Mapping[UserState, int]
    late: int = 0
    oldest_change: datetime | None = None
    oldest_success: datetime | None = None

    @property
    def synced(self) -> int:
        """Accounts that are kept in step."""
        return sum(count for state, count in self.states.items() if state.synced)


NO_USERS = PlatformStanding(dict.fromkeys(UserState, 0))


def list_users(store: Store, settings: Settings, wanted: Wanted, now: datetime) -> UserList:
    """One page of them."""
    source = _source(store, settings, now)
    found = source.subquery()
    by_state = select(found.c.state, func.count()).where(*_filters(found, wanted, state=False))
    with store.database.read() as connection:
        counted: dict[str, int] = {
            row[0]: row[1] for row in connection.execute(by_state.group_by(found.c.state))
        }
        states = {state: counted.get(state, 0) for state in UserState}
        total = sum(states.values()) if wanted.state is None else states[wanted.state]
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
    return UserList(users, total, states, page, pages)


class Everybody:
    """All users as they are at one moment; the query that tells is built once, and asked once.

    Args:
        store: the state database.
        settings: say which users are synced, and when they are late.
        now: that moment.
    """

    def __init__(self, store: Store, settings: Settings, now: datetime) -> None:
        self._store, self._settings, self._now = store, settings, now
        self._found = _source(store, settings, now).subquery()

    @cached_property
    def standing(self) -> dict[Platform, PlatformStanding]:
        """All users counted, by platform; only platforms that have any."""
        found = self._found
        synced = found.c.state.not_in(NOT_SYNCED)
        query = select(
            found.c.platform,
            found.c.state,
            func.count(),
            func.sum(case((and_(synced, found.c.late), 1), else_=0)),
            func.min(case((synced, found.c.behind_since))),
            func.min(case((synced, found.c.last_success_at))),
        ).group_by(found.c.platform, found.c.state)
        rows: dict[str, list[Any]] = {}
        with self._store.database.read() as connection:
            for row in connection.execute(query):
                rows.setdefault(row.platform, []).append(row)
        return {Platform(platform): _counted(rows[platform]) for platform in sorted(rows)}

    def in_trouble(self, platform: Platform) -> list[UserStatus]:
        """Whoever should be in step and fails, or is late; by account."""
        return [one for one in self._in_trouble if one.platform == platform]

    def paused(self, platform: Platform) -> list[UserStatus]:
        """Whose sync is paused, by account."""
        counted = self.standing.get(platform, NO_USERS).states
        if not counted[UserState.PAUSED]:
            return []
        found = self._found
        query = select(found).where(
            found.c.state == UserState.PAUSED, found.c.platform == platform.value
        )
        with self._store.database.read() as connection:
            rows = connection.execute(query.order_by(found.c.account))
            return [UserStatus(**_status(row)) for row in rows]

    def left_behind(self, platform: Platform) -> list[UserStatus]:
        """Who leaves, and what they still have cannot be removed; with the former account."""
        return [one for one in self._left_behind if one.platform == platform]

    def needing_attention(self, platform: Platform | None = None) -> tuple[ListedUser, ...]:
        """Whoever failed three times in a row, until they are well; and those `left_behind`."""
        query = select(self._found).where(self._found.c.state == UserState.NEEDS_ATTENTION)
        with self._store.database.read() as connection:
            rows = [*connection.execute(query), *self._left(connection)]
            rows = [row for row in rows if platform is None or row.platform == platform.value]
            counts = _links(connection, [row.user_id for row in rows])
        users = (_listed(row, counts) for row in rows)
        return tuple(sorted(users, key=lambda one: (one.account, one.platform)))

    @cached_property
    def _in_trouble(self) -> list[UserStatus]:
        found = self._found
        failing = found.c.state.in_([UserState.NEEDS_ATTENTION, UserState.RETRYING])
        late = and_(found.c.state.not_in(NOT_SYNCED), found.c.late)
        query = select(found).where(or_(failing, late)).order_by(found.c.account)
        with self._store.database.read() as connection:
            return [UserStatus(**_status(row)) for row in connection.execute(query)]

    @cached_property
    def _left_behind(self) -> list[UserStatus]:
        with self._store.database.read() as connection:
            return [UserStatus(**_status(row)) for row in self._left(connection)]

    def _left(self, connection: Connection) -> list[Any]:
        return _left_behind(connection, self._settings, self._found, self._now)


def _counted(rows: list[Any]) -> PlatformStanding:
    """One platform's rows: state, count, late, oldest change, oldest success."""
    counts = {row.state: row[2] for row in rows}
    return PlatformStanding(
        {state: counts.get(state, 0) for state in UserState},
        sum(row[3] for row in rows),
        min((row[4] for row in rows if row[4] is not None), default=None),
        min((row[5] for row in rows if row[5] is not None), default=None),
    )


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


def _left_behind(
    connection: Connection, settings: Settings, found: Any, now: datetime
) -> list[Any]:
    if settings.on_unmapped != "remove":
        return []
    sync, link = t.user_sync, t.link
    query = (
        select(
            sync.c.user_id,
            sync.c.platform,
            func.min(link.c.account).label("account"),
            literal(UserState.NEEDS_ATTENTION.value).label("state"),
            *(sync.c[name] for name in ("last_success_at", "failing_since", "failures")),
            literal(False).label("late"),
            (sync.c.mark_seq > sync.c.done_seq).label("marked"),
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
            or_(found.c.state.is_(None), found.c.state.in_(GONE)),
        )
        .group_by(sync.c.user_id, sync.c.platform)
    )
    return [*connection.execute(query)]


def _source(store: Store, settings: Settings, now: datetime) -> Select[Any]:
    """A row for each mapped (user, platform), with its state."""
    mapping, sync, welkin, approval = t.user_mapping, t.user_sync, t.welkin_user, t.approval
    waits = exists().where(
        approval.c.user_id == mapping.c.user_id,
        approval.c.platform == mapping.c.platform,
        unanswered(),
    )
    pause = t.user_pause
    paused = func.coalesce(pause.c.until > now, False)
    marked = sync.c.mark_seq > sync.c.done_seq
    # Nobody is late because of a pause, nor right after it.
    seen_at = case(
        (pause.c.until > sync.c.last_success_at, pause.c.until), else_=sync.c.last_success_at
    )
    unseen, overdue = _late(store, settings, now, seen_at)
    late = and_(not_(paused), func.coalesce(or_(unseen, and_(marked, overdue)), False))
    state = case(
        (mapping.c.enabled.is_(False), UserState.DISABLED.value),
        (_away(store, settings, now), UserState.AWAY.value),
        (paused, UserState.PAUSED.value),
        (sync.c.attention.is_(True), UserState.NEEDS_ATTENTION.value),
        (sync.c.failures > 0, UserState.RETRYING.value),
        (sync.c.last_success_at.is_(None), UserState.NEW.value),
        (waits, UserState.WAITING.value),
        (late, UserState.LATE.value),
        else_=UserState.OK.value,
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
            func.coalesce(marked, False).label("marked"),
            case(
                (and_(not_(paused), unseen), seen_at),
                (and_(not_(paused), marked), sync.c.marked_at),
            ).label("behind_since"),
            func.coalesce(sync.c.error_code, sync.c.poll_error).label("error"),
            func.coalesce(sync.c.failing_since, sync.c.poll_failed_at).label("failing_since"),
            func.coalesce(sync.c.failures, 0).label("failures"),
            case((sync.c.retry_at > now, sync.c.retry_at)).label("retry_at"),
            case((paused, pause.c.until)).label("paused_until"),
            case((paused, pause.c.author), else_="").label("paused_by"),
        )
        .select_from(mapping)
        .join(
            sync,
            and_(sync.c.user_id == mapping.c.user_id, sync.c.platform == mapping.c.platform),
            isouter=True,
        )
        .join(
            pause,
            and_(pause.c.user_id == mapping.c.user_id, pause.c.platform == mapping.c.platform),
            isouter=True,
        )
        .join(welkin, welkin.c.user_id == mapping.c.user_id, isouter=True)
    )


def _late(
    store: Store, settings: Settings, now: datetime, seen_at: ColumnElement[Any]
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Last in step (`seen_at`) too long ago, and what waits waits too long (`freshness`)."""
    mapping, sync = t.user_mapping, t.user_sync
    count = select(mapping.c.platform, func.count()).where(mapping.c.enabled.is_(True))
    with store.database.read() as connection:
        rows = connection.execute(count.group_by(mapping.c.platform))
        accounts: dict[str, int] = {row[0]: row[1] for row in rows}
    found = {one: deadlines(settings, one, accounts.get(one.value, 0), now) for one in Platform}
    unseen = or_(
        *(
            and_(mapping.c.platform == platform.value, seen_at < limit.seen)
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
        grave = {state.value: index for index, state in enumerate(UserState)}
        key: Any = case(grave, value=found.c.state)
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
    pair = (row.user_id, row.platform)
    return ListedUser(
        **_status(row),
        mirrors=counts[(*pair, LinkKind.MIRROR.value)],
        blocks=counts[(*pair, LinkKind.BLOCK.value)],
    )


def _status(row: Any) -> dict[str, Any]:
    """The fields of a `UserStatus`."""
    values = {"behind_since": None, "paused_until": None, "paused_by": "", **row._mapping}
    values.pop("email", None)
    return {
        **values,
        "platform": Platform(row.platform),
        "state": UserState(row.state),
        "late": bool(row.late),
        "marked": bool(row.marked),
    }
