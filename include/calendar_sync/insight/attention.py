"""Conflicts and parked items: what happened, in words, and what a person may decide about it.

Moving an appointment to where its mirror was moved is not among the choices: whether that is
possible depends on the appointment, which only a cycle knows (`mirror_moved: reschedule`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, case, func, or_, select

from calendar_sync.config.settings import Settings
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.model import (
    ConflictDecision,
    ConflictKind,
    Link,
    LinkKind,
    LinkState,
    MappedUser,
    Platform,
    Source,
)
from calendar_sync.core.model.conflicts import decision_in_words
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.audit import DECISION
from calendar_sync.state.items import REFUSED_PAUSE, TRANSIENT_PAUSE
from calendar_sync.state.open_items import UNDECIDED, listed, parked
from calendar_sync.state.open_items import open_conflicts as shown

PAGE = 50
DECISIONS = 20
# Whose item of which kind a conflict is about.
Item = tuple[str, Platform, LinkKind, Source]


class Choice(StrEnum):
    """What a person may decide about a conflict."""

    ACCEPT = "accept"
    REAPPLY_WELKIN = "reapply_welkin"
    REAPPLY_CALENDAR = "reapply_calendar"
    DISMISS = "dismiss"


# Where both sides still differ, whether a person or a setting left it so.
_LEFT = frozenset({ConflictDecision.REPORTED, ConflictDecision.PARKED, ConflictDecision.ACCEPTED})
# Settled elsewhere: by an approval, a setting, or a look at the account.
_WAITS = frozenset(UNDECIDED) - _LEFT
_OF_MIRRORS = frozenset(
    {
        ConflictKind.MIRROR_MOVED,
        ConflictKind.MIRROR_EDITED,
        ConflictKind.MIRROR_DELETED,
        ConflictKind.BOTH_CHANGED,
    }
)


@dataclass(frozen=True)
class OpenConflict:
    """One open conflict; `choices` are what is possible now. At `ends_at` it is over by itself."""

    id: int
    user_id: str
    account: str
    platform: Platform
    kind: str
    source: Source
    decision: str
    times: int
    first_at: datetime
    last_at: datetime
    choices: tuple[Choice, ...]
    ends_at: datetime | None = None

    @property
    def happened(self) -> str:
        """A sentence; the code itself where another version of the sync has written it."""
        return ConflictKind(self.kind).happened if self.kind in set(ConflictKind) else self.kind

    @property
    def decided(self) -> str:
        """What came of it: a sentence, or the code."""
        if (self.kind, self.decision) == (ConflictKind.BLOCK_EDITED, ConflictDecision.RESTORED):
            return "The calendar's version was restored."
        return decision_in_words(self.decision)

    @property
    def hint(self) -> str:
        """A sentence, where there is one."""
        return ConflictKind(self.kind).hint if self.kind in set(ConflictKind) else ""


@dataclass(frozen=True)
class Parked:
    """One item that is not tried now; `until` is when the sync tries it again."""

    user_id: str
    account: str
    platform: Platform
    step: str
    source: Source
    code: str
    tries: int
    first_at: datetime
    last_at: datetime
    until: datetime


@dataclass(frozen=True)
class Decided:
    """One decision of a person, as the audit log has it.

    An approval may be for many: `account` is one of them, `more` says how many others.
    """

    at: datetime
    author: str
    choice: str
    account: str
    platform: str
    source_id: str
    more: int = 0


def count_conflicts(
    store: Store,
    platform: Platform | None = None,
    search: str = "",
    now: datetime | None = None,
) -> int:
    """How many conflicts are open or listed."""
    where = _open(platform, search, now or SystemClock().now())
    query = select(func.count()).select_from(_joined()).where(*where)
    with store.database.read() as connection:
        return int(connection.scalar(query) or 0)


def open_conflicts(
    store: Store,
    now: datetime,
    *,
    platform: Platform | None = None,
    search: str = "",
    user_id: str | None = None,
    page: int = 1,
    size: int = PAGE,
) -> list[OpenConflict]:
    """One page of the open conflicts, the undecided first and what is only listed last.

    With `user_id` those of this user alone.
    """
    table = t.conflict.c
    query = (
        select(t.conflict)
        .select_from(_joined())
        .where(*_open(platform, search, now))
        .where(*([table.user_id == user_id] if user_id is not None else []))
        .order_by(
            table.decision.in_(UNDECIDED).desc(),
            table.decision == ConflictDecision.LISTED.value,
            table.last_at.desc(),
            table.id.desc(),
        )
        .offset((max(page, 1) - 1) * size)
        .limit(size)
    )
    with store.database.read() as connection:
        rows = connection.execute(query).all()
    return _described(store, rows, now)


def open_conflict(store: Store, number: int, now: datetime) -> OpenConflict | None:
    """One of them."""
    query = select(t.conflict).where(t.conflict.c.id == number, t.conflict.c.dismissed_at.is_(None))
    with store.database.read() as connection:
        rows = connection.execute(query).all()
    return next(iter(_described(store, rows, now)), None)


def count_parked(store: Store, platform: Platform | None = None) -> int:
    """How many items are not tried for now."""
    query = select(func.count()).select_from(t.parked_item).where(*_parked(platform))
    with store.database.read() as connection:
        return int(connection.scalar(query) or 0)


def parked_items(
    store: Store,
    platform: Platform | None = None,
    *where: ColumnElement[bool],
    page: int = 1,
    size: int = PAGE,
) -> list[Parked]:
    """One page of what is not tried for now, the newest first."""
    table = t.parked_item
    query = (
        select(table, t.user_mapping.c.account)
        .select_from(table.outerjoin(t.user_mapping, _mapped_as(table)))
        .where(*_parked(platform), *where)
        .order_by(table.c.last_at.desc(), *table.primary_key.columns)
        .offset((max(page, 1) - 1) * size)
        .limit(size)
    )
    with store.database.read() as connection:
        return [
            Parked(
                row.user_id,
                row.account or "",
                Platform(row.platform),
                row.step,
                Source(row.source_id, row.original_start),
                row.code,
                row.tries,
                row.first_at,
                row.last_at,
                row.last_at + (TRANSIENT_PAUSE if row.transient else REFUSED_PAUSE),
            )
            for row in connection.execute(query)
        ]


def users_of(store: Store, accounts: Iterable[str]) -> dict[tuple[str, str], str]:
    """Welkin user ids by account and platform."""
    table = t.user_mapping
    query = select(table).where(table.c.account.in_(sorted(set(accounts))))
    with store.database.read() as connection:
        return {(row.account, row.platform): row.user_id for row in connection.execute(query)}


def decisions(store: Store) -> list[Decided]:
    """What people have decided lately, newest first."""
    table = t.operation
    last = select(table).where(table.c.step == DECISION).order_by(table.c.id.desc()).limit(2000)
    found = last.subquery().c
    # One decision is recorded for each of its users, all at the same moment.
    same = (found.at, found.run_id, found.reason, found.platform, found.source_id)
    query = (
        select(
            *same,
            func.min(case((found.account != "", found.account), else_=found.user_id)),
            func.count() - 1,
        )
        .group_by(*same)
        .order_by(func.max(found.id).desc())
        .limit(DECISIONS)
    )
    with store.database.read() as connection:
        return [
            Decided(at, author, choice, account, platform, source_id, more)
            for at, author, choice, platform, source_id, account, more in connection.execute(query)
        ]


def _joined() -> Any:
    return t.conflict.outerjoin(t.user_mapping, _mapped_as(t.conflict))


def _mapped_as(table: Any) -> ColumnElement[bool]:
    mapping = t.user_mapping.c
    return and_(mapping.user_id == table.c.user_id, mapping.platform == table.c.platform)


def _parked(platform: Platform | None) -> Sequence[ColumnElement[bool]]:
    return parked() if platform is None else parked(platform.value)


def _open(platform: Platform | None, search: str, now: datetime) -> list[ColumnElement[bool]]:
    table = t.conflict.c
    found: list[ColumnElement[bool]] = [or_(shown(now), listed(now))]
    if platform is not None:
        found.append(table.platform == platform.value)
    if word := search.strip().lower():
        found.append(
            or_(
                func.lower(t.user_mapping.c.account).contains(word, autoescape=True),
                func.lower(table.user_id) == word,
                func.lower(table.source_id) == word,
            )
        )
    return found


def _described(store: Store, rows: Iterable[Row[Any]], now: datetime) -> list[OpenConflict]:
    rows, settings = list(rows), store.config.revision().settings
    users = {row.user_id for row in rows}
    mapped = {(row.user_id, row.platform): row for row in store.config.mapping(users=users)}
    links = _links(store, rows)
    found: list[OpenConflict] = []
    for row in rows:
        platform = Platform(row.platform)
        source = Source(row.source_id, row.original_start)
        its = mapped.get((row.user_id, platform))
        link = of_account(links.get(item_of(row.kind, row.user_id, platform, source), ()), its)
        found.append(
            OpenConflict(
                row.id,
                row.user_id,
                its.account if its is not None else "",
                platform,
                row.kind,
                source,
                row.decision,
                row.times,
                row.first_at,
                row.last_at,
                _choices(row, link, its, settings, now),
                row.ends_at,
            )
        )
    return found


def item_of(kind: str, user_id: str, platform: Platform, source: Source) -> Item:
    """The user and item that it is about."""
    wanted = LinkKind.BLOCK if kind == ConflictKind.BLOCK_EDITED else LinkKind.MIRROR
    return user_id, platform, wanted, source


def _links(store: Store, rows: Iterable[Row[Any]]) -> dict[Item, list[Link]]:
    """The links of all these conflicts' items, in one query."""
    found: dict[Item, list[Link]] = {}
    for link in store.links.of_sources({row.source_id for row in rows}):
        found.setdefault(item_of_link(link), []).append(link)
    return found


def item_of_link(link: Link) -> Item:
    """The user and item that the link belongs to."""
    return link.user_id, link.platform, link.kind, link.source


def of_account(links: Iterable[Link], mapped: MappedUser | None) -> Link | None:
    """The present account's."""
    return next(
        (
            link
            for link in links
            if mapped is not None and link.account.lower() == mapped.account.lower()
        ),
        None,
    )


def _choices(
    row: Row[Any], link: Link | None, mapped: MappedUser | None, settings: Settings, now: datetime
) -> tuple[Choice, ...]:
    """Nothing but to take note of it, unless something is left as a hand has made it."""
    if row.decision in _WAITS:
        return (Choice.ACCEPT,)
    if row.decision not in _LEFT or link is None or mapped is None or not mapped.enabled:
        return (Choice.DISMISS,)
    direction = settings.direction_of(mapped.platform, mapped.direction)
    zone = settings.zone()
    ahead = link.span.instants(zone)[1] > now
    stands = link.state in {LinkState.LIVE, LinkState.DISMISSED}
    found = [Choice.ACCEPT]
    if row.kind in _OF_MIRRORS and direction.writes_calendar and stands and ahead:
        found.append(Choice.REAPPLY_WELKIN)
    if row.kind == ConflictKind.BLOCK_EDITED and direction.writes_welkin and stands and ahead:
        found.append(Choice.REAPPLY_CALENDAR)
    return tuple(found)
