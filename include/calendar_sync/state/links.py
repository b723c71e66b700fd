"""Links: the rows become mirror links and block links here, and nowhere else."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, assert_never

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    case,
    func,
    insert,
    or_,
    select,
    update,
)

from calendar_sync.core.model import (
    STANDING,
    AnyLink,
    Around,
    BlockLink,
    Link,
    LinkKind,
    LinkState,
    MirrorLink,
    Platform,
    Source,
    Span,
    exceeds,
)
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database

_BATCH = 500

# Made once: putting a statement together takes longer than running it, and these are the ones
# that every write to either side needs.
_INSERT = insert(t.link)
_UPDATE = update(t.link).where(t.link.c.id == bindparam("link_id"))
_OF_PLATFORM = select(t.link).where(t.link.c.platform == bindparam("of"))
_OF = _OF_PLATFORM.where(t.link.c.user_id == bindparam("user"))
_SHARED = _OF.where(t.link.c.state == LinkState.SHARED.value)
# A subquery for each user, answered by an index: there are a hundred times as many links.
_STANDING = _OF_PLATFORM.where(
    t.link.c.user_id == t.user_sync.c.user_id, t.link.c.state.in_(STANDING)
)
_HOLDERS = select(t.user_sync.c.user_id).where(
    t.user_sync.c.platform == bindparam("of"), _STANDING.exists()
)
_OURS = or_(
    and_(
        t.link.c.kind == LinkKind.MIRROR.value,
        t.link.c.source_id.in_(bindparam("ids", expanding=True)),
    ),
    and_(
        t.link.c.kind == LinkKind.BLOCK.value,
        t.link.c.remote_id.in_(bindparam("ids", expanding=True)),
    ),
)
_DELETED = select(t.link.c.id).where(t.link.c.state == LinkState.DELETED.value, _OURS).limit(1)


@cache
def _live(kind: LinkKind, column: str) -> Select[Any]:
    states = STANDING if kind is LinkKind.BLOCK else STANDING - {LinkState.RETIRED}
    return select(t.link).where(
        t.link.c.kind == kind.value,
        t.link.c[column].in_(bindparam("ids", expanding=True)),
        t.link.c.state.in_(states),
    )


class LinkStore:
    """Reads and writes links."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, user_id: str, platform: Platform) -> list[Link]:
        """All links of one (user, platform), deleted ones too: their generations count."""
        named = {"user": user_id, "of": platform.value}
        with self._database.read() as connection:
            return [_link(row) for row in connection.execute(_OF, named)]

    def standing(self, user_id: str, platform: Platform) -> list[Link]:
        """Live links of one (user, platform)."""
        return [link for link in self.of(user_id, platform) if link.state is LinkState.LIVE]

    def shared(self, user_id: str, platform: Platform) -> list[BlockLink]:
        """Links of one (user, platform) to meetings that have a block of another calendar."""
        named = {"user": user_id, "of": platform.value}
        with self._database.read() as connection:
            rows = connection.execute(_SHARED, named)
            return [_block(row) for row in rows]

    def deleted_among(self, welkin_ids: Iterable[str]) -> bool:
        """One of these Welkin events had a mirror or was a block, and its link is closed."""
        wanted = sorted(set(welkin_ids))
        if not wanted:
            return False
        with self._database.read() as connection:
            for first in range(0, len(wanted), _BATCH):
                part = {"ids": wanted[first : first + _BATCH]}
                if connection.scalar(_DELETED, part) is not None:
                    return True
        return False

    def counts(
        self, platform: Platform, users: Collection[str] = ()
    ) -> dict[str, tuple[str, int, int]]:
        """An account, and the numbers of mirrors and blocks, of each user (of `users`) with any.

        It reads every link; `holders` returns these users twenty times as fast.
        """
        link = t.link.c
        of_kind = (func.sum(case((link.kind == kind.value, 1), else_=0)) for kind in LinkKind)
        query = (
            select(link.user_id, func.min(link.account), *of_kind)
            .where(_standing_on(platform))
            .group_by(link.user_id)
        )
        if users:
            query = query.where(link.user_id.in_(sorted(users)[:_BATCH]))
        with self._database.read() as connection:
            return {
                user_id: (account, int(mirrors), int(blocks))
                for user_id, account, mirrors, blocks in connection.execute(query)
            }

    def holders(self, platform: Platform, users: Collection[str] | None = None) -> set[str]:
        """Users with mirrors or blocks: all, or those of some (not many)."""
        query = _HOLDERS
        if users is not None:
            query = query.where(t.user_sync.c.user_id.in_(sorted(users)))
        with self._database.read() as connection:
            return set(connection.scalars(query, {"of": platform.value}))

    def too_detailed(self, platform: Platform, allowed: str) -> set[str]:
        """Users with mirrors that show more than this level."""
        query = select(t.link.c.user_id, t.link.c.level).where(
            _standing_on(platform),
            t.link.c.kind == LinkKind.MIRROR.value,
            t.link.c.level != allowed,
        )
        with self._database.read() as connection:
            rows = connection.execute(query.distinct()).all()
        return {row.user_id for row in rows if exceeds(row.level, allowed)}

    def mirrors_of(self, appointments: Iterable[str]) -> list[MirrorLink]:
        """Mirrors that exist or may exist, by their appointments' ids."""
        return [_mirror(row) for row in self._live(LinkKind.MIRROR, "source_id", appointments)]

    def mirrors(self, ids: Iterable[str]) -> list[MirrorLink]:
        """The same by their own ids in the calendar."""
        return [_mirror(row) for row in self._live(LinkKind.MIRROR, "remote_id", ids)]

    def blocks_of(self, events: Iterable[str]) -> list[BlockLink]:
        """Blocks that exist or may exist, by the ids of their single events or series.

        Past ones, too: a user may move one into the future.
        """
        return [_block(row) for row in self._live(LinkKind.BLOCK, "source_id", events)]

    def blocks(self, ids: Iterable[str]) -> list[BlockLink]:
        """The same by their own ids in Welkin."""
        return [_block(row) for row in self._live(LinkKind.BLOCK, "remote_id", ids)]

    def _live(self, kind: LinkKind, column: str, ids: Iterable[str]) -> Iterator[Row[Any]]:
        wanted = sorted(set(ids))
        if not wanted:
            return
        with self._database.read() as connection:
            for first in range(0, len(wanted), _BATCH):
                part = {"ids": wanted[first : first + _BATCH]}
                yield from connection.execute(_live(kind, column), part)

    def about(self, key: str) -> list[Link]:
        """Links of any state with this id: of the appointment or event, the mirror or block."""
        columns = (t.link.c.source_id, t.link.c.event_id, t.link.c.remote_id)
        query = select(t.link).where(or_(*(column == key for column in columns)))
        with self._database.read() as connection:
            return [_link(row) for row in connection.execute(query.order_by(t.link.c.id))]

    def of_sources(self, ids: Collection[str]) -> list[Link]:
        """Links of any state of these appointments, events or series (not many)."""
        query = select(t.link).where(t.link.c.source_id.in_(sorted(ids))).order_by(t.link.c.id)
        with self._database.read() as connection:
            return [_link(row) for row in connection.execute(query)]

    def save(self, connection: Connection, link: AnyLink, now: datetime, revision: int) -> AnyLink:
        """Insert a link, or write the values of a known one."""
        values = _values(link) | {"updated_at": now, "mapping_revision": revision}
        if link.id is None:
            made = connection.execute(_INSERT, {**values, "created_at": now})
            key = made.inserted_primary_key
            return replace(link, id=int(key[0]) if key else None)
        connection.execute(_UPDATE, {**values, "link_id": link.id})
        return link

    def holders_of(self, account: str) -> set[str]:
        """Users who have mirrors or blocks in this mailbox, whoever is mapped to it now."""
        query = select(t.link.c.user_id).where(
            func.lower(t.link.c.account) == account.lower(), t.link.c.state.in_(STANDING)
        )
        with self._database.read() as connection:
            return set(connection.scalars(query.distinct()))


def _standing_on(platform: Platform) -> ColumnElement[bool]:
    """Links on this platform whose mirror or block exists or may exist."""
    return and_(t.link.c.platform == platform.value, t.link.c.state.in_(STANDING))


def _values(link: Link) -> dict[str, Any]:
    """The columns of a link's row; those that the other type has stay as they are."""
    values = {
        "kind": link.kind.value,
        "user_id": link.user_id,
        "platform": link.platform.value,
        "account": link.account,
        "calendar": link.calendar,
        "source_id": link.source.id,
        "original_start": link.source.original_start,
        "span": str(link.span),
        "generation": link.generation,
        "state": link.state.value,
        "wanted_hash": link.wanted_hash,
        "version": link.version[:40],
        "written_at": link.written_at,
        "restores": link.restores,
        "restored_at": link.restored_at,
    }
    match link:
        case MirrorLink():
            return values | {
                "source_hash": link.appointment_hash,
                "remote_id": link.mirror_id,
                "creation_key": link.creation_key,
                "remote_hash": link.mirror_hash,
                "etag": link.etag,
                "level": link.level,
                "colour": link.colour,
                "before_minutes": link.around.before,
                "after_minutes": link.around.after,
            }
        case BlockLink():
            return values | {
                "event_id": link.event_id,
                "event_uid": link.event_uid,
                "remote_id": link.block_id,
                "creation_key": link.external_id,
                "remote_hash": link.block_hash,
            }
        case _:
            assert_never(link)


def _link(row: Row[Any]) -> Link:
    """The link of a row, of the type that its `kind` names."""
    return _mirror(row) if LinkKind(row.kind) is LinkKind.MIRROR else _block(row)


def _mirror(row: Row[Any]) -> MirrorLink:
    return MirrorLink(
        **_shared(row),
        appointment_id=row.source_id,
        appointment_hash=row.source_hash,
        mirror_id=row.remote_id,
        creation_key=row.creation_key,
        mirror_hash=row.remote_hash,
        etag=row.etag,
        level=row.level,
        colour=row.colour,
        around=Around(row.before_minutes, row.after_minutes),
    )


def _block(row: Row[Any]) -> BlockLink:
    return BlockLink(
        **_shared(row),
        source=Source(row.source_id, row.original_start),
        event_id=row.event_id,
        event_uid=row.event_uid,
        block_id=row.remote_id,
        external_id=row.creation_key,
        block_hash=row.remote_hash,
    )


def _shared(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "user_id": row.user_id,
        "platform": Platform(row.platform),
        "account": row.account,
        "calendar": row.calendar,
        "span": Span.parse(row.span),
        "generation": row.generation,
        "state": LinkState(row.state),
        "wanted_hash": row.wanted_hash,
        "version": row.version,
        "written_at": row.written_at,
        "restores": row.restores,
        "restored_at": row.restored_at,
    }
