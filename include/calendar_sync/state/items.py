"""Conflicts, and parked items: those that failed."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    delete,
    insert,
    not_,
    or_,
    select,
    update,
)

from calendar_sync.core.model import (
    Conflict,
    ConflictDecision,
    ConflictKind,
    Overlap,
    Platform,
    Refusal,
    Source,
    Step,
)
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database
from calendar_sync.state.marks import of_pair

TRIES_BEFORE_PARKING = 3
_OVERLAP = ConflictKind.VISIT_OVER_BUSY
TRANSIENT_PAUSE = timedelta(hours=1)
REFUSED_PAUSE = timedelta(hours=23)

# Made once: see links.py.
_OF_PLATFORM = t.parked_item.c.platform == bindparam("of")
_OF = and_(_OF_PLATFORM, t.parked_item.c.user_id == bindparam("user"))
_OFTEN = t.parked_item.c.tries >= TRIES_BEFORE_PARKING
# An hour after a failure of the server, a day after a rejection.
_PAUSING = or_(
    and_(t.parked_item.c.transient.is_(True), t.parked_item.c.last_at > bindparam("failed_since")),
    and_(t.parked_item.c.transient.is_(False), t.parked_item.c.last_at > bindparam("since")),
)
_PARKED = select(t.parked_item).where(_OF, _OFTEN, _PAUSING)
_DUE_AGAIN = select(t.parked_item.c.user_id).where(_OF_PLATFORM, _OFTEN, not_(_PAUSING)).distinct()
_FORGET = delete(t.parked_item).where(
    _OF, t.parked_item.c.last_at < bindparam("begun"), not_(_PAUSING)
)
_UNREAD = select(t.parked_item).where(
    _OF, t.parked_item.c.step.in_([Step.READ.value, Step.FOLLOW.value])
)
_OVERLAPS = select(t.conflict.c.source_id, t.conflict.c.ends_at).where(
    t.conflict.c.user_id == bindparam("user"),
    t.conflict.c.platform == bindparam("of"),
    t.conflict.c.kind == _OVERLAP.value,
)
_UNPARK = delete(t.parked_item).where(
    _OF,
    t.parked_item.c.source_id == bindparam("source"),
    t.parked_item.c.original_start == bindparam("start"),
)


@dataclass(frozen=True)
class Try:
    """How often an item failed, with what content, and since when."""

    content: str
    tries: int
    transient: bool
    first_at: datetime
    last_at: datetime

    def pausing(self, now: datetime) -> bool:
        """It is parked: not tried for now."""
        pause = TRANSIENT_PAUSE if self.transient else REFUSED_PAUSE
        return self.tries >= TRIES_BEFORE_PARKING and self.last_at > now - pause


class ItemStore:
    """Reads and writes conflicts and parked items."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- conflicts ----------------------------------------------------------------------------

    def record_conflicts(
        self,
        connection: Connection,
        user_id: str,
        platform: Platform,
        conflicts: Iterable[Conflict],
        now: datetime,
    ) -> None:
        """One row for each item and kind; if it occurs again, it is counted and shown again."""
        for conflict in conflicts:
            statement = self._database.insert(t.conflict).values(
                user_id=user_id,
                platform=platform.value,
                kind=conflict.kind.value,
                source_id=conflict.source.id,
                original_start=conflict.source.original_start,
                decision=conflict.decision.value,
                times=1,
                first_at=now,
                last_at=now,
            )
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["user_id", "platform", "kind", "source_id", "original_start"],
                    set_={
                        "times": t.conflict.c.times + 1,
                        "last_at": now,
                        "decision": conflict.decision.value,
                        "dismissed_at": None,
                    },
                )
            )

    def settle(
        self, connection: Connection, pair: tuple[str, Platform], kind: str, now: datetime
    ) -> None:
        """Close conflicts of this kind: they are over."""
        table, (user_id, platform) = t.conflict, pair
        connection.execute(
            update(table)
            .where(
                table.c.user_id == user_id,
                table.c.platform == platform.value,
                table.c.kind == kind,
                table.c.dismissed_at.is_(None),
            )
            .values(dismissed_at=now)
        )

    def note_overlaps(
        self,
        connection: Connection,
        pair: tuple[str, Platform],
        overlaps: Iterable[Overlap],
        unsure: Collection[str],
        now: datetime,
    ) -> None:
        """These are all visits over busy time now: others are over, but for those `unsure`.

        One that a person has dismissed stays so until it is over.
        """
        table, found = t.conflict, {one.appointment_id: one.ends_at for one in overlaps}
        key = {"user_id": pair[0], "platform": pair[1].value, "kind": _OVERLAP.value}
        mine = and_(*(table.c[name] == value for name, value in key.items()))
        rows = connection.execute(_OVERLAPS, of_pair(pair))
        known = {row.source_id: row.ends_at for row in rows}
        if over := known.keys() - found.keys() - set(unsure):
            connection.execute(delete(table).where(mine, table.c.source_id.in_(over)))
        for visit in known.keys() & found.keys():
            if known[visit] != found[visit]:
                row = update(table).where(mine, table.c.source_id == visit)
                connection.execute(row.values(ends_at=found[visit]))
        new = [
            {
                **key,
                "source_id": visit,
                "original_start": "",
                "decision": ConflictDecision.LISTED.value,
                "times": 1,
                "first_at": now,
                "last_at": now,
                "ends_at": ends_at,
            }
            for visit, ends_at in found.items()
            if visit not in known
        ]
        if new:
            connection.execute(insert(table), new)

    # --- parked items -------------------------------------------------------------------------

    def parked(
        self, user_id: str, platform: Platform, now: datetime
    ) -> dict[tuple[Step, Source], str]:
        """Items that are not tried now, with the hash of the content that failed.

        After a failure of the server they are tried again in an hour, after a rejection in a day.
        """
        named = of_pair((user_id, platform), **_pauses(now))
        with self._database.read() as connection:
            return {
                (Step(row.step), Source(row.source_id, row.original_start)): row.content
                for row in connection.execute(_PARKED, named)
            }

    def parked_codes(self, user_id: str, platform: Platform) -> list[str]:
        """The codes of this user's failed items."""
        table = t.parked_item
        query = select(table.c.code).where(
            table.c.user_id == user_id, table.c.platform == platform.value
        )
        with self._database.read() as connection:
            return list(connection.scalars(query))

    def due_again(self, platform: Platform, now: datetime) -> set[str]:
        """Users with parked items whose pause has passed."""
        with self._database.read() as connection:
            return set(connection.scalars(_DUE_AGAIN, {"of": platform.value, **_pauses(now)}))

    def forget_parked(
        self, connection: Connection, pair: tuple[str, Platform], begun: datetime
    ) -> None:
        """After a full comparison: delete items that were due again and are no longer wanted."""
        connection.execute(_FORGET, of_pair(pair, begun=begun, **_pauses(begun)))

    def park(
        self,
        connection: Connection,
        pair: tuple[str, Platform],
        refusals: Iterable[Refusal],
        now: datetime,
    ) -> None:
        """Park items at once that cannot work until they change."""
        for one in refusals:
            self.refused(
                connection,
                pair,
                one.step,
                one.source,
                "",
                one.code,
                now,
                transient=False,
                tries=TRIES_BEFORE_PARKING,
            )

    def refused(
        self,
        connection: Connection,
        pair: tuple[str, Platform],
        step: Step,
        source: Source,
        content: str,
        code: str,
        now: datetime,
        *,
        transient: bool,
        tries: int = 1,
    ) -> None:
        """Count a rejection (as so many tries); changed content of the item starts from zero."""
        table = t.parked_item
        user_id, platform = pair
        statement = self._database.insert(table).values(
            user_id=user_id,
            platform=platform.value,
            step=step.value,
            source_id=source.id,
            original_start=source.original_start,
            content=content,
            code=code,
            tries=tries,
            transient=transient,
            first_at=now,
            last_at=now,
        )
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["user_id", "platform", "step", "source_id", "original_start"],
                set_={
                    "tries": _again(table, content, tries),
                    "first_at": case((table.c.content == content, table.c.first_at), else_=now),
                    "content": content,
                    "code": code,
                    "transient": transient,
                    "last_at": now,
                },
            )
        )

    def unread(self, user_id: str, platform: Platform) -> dict[tuple[Step, Source], Try]:
        """What of this user's calendars could not be read when it was last tried."""
        with self._database.read() as connection:
            return {
                (Step(row.step), Source(row.source_id, row.original_start)): Try(
                    row.content, row.tries, row.transient, row.first_at, row.last_at
                )
                for row in connection.execute(_UNREAD, of_pair((user_id, platform)))
            }

    def readable(
        self, connection: Connection, pair: tuple[str, Platform], step: Step, source: Source
    ) -> None:
        """It could be read; failures to write the same item stay."""
        statement = _UNPARK.where(t.parked_item.c.step == step.value)
        connection.execute(statement, of_pair(pair, source=source.id, start=source.original_start))

    def unpark(self, connection: Connection, pair: tuple[str, Platform], source: Source) -> None:
        """The item works again."""
        connection.execute(_UNPARK, of_pair(pair, source=source.id, start=source.original_start))


def _pauses(now: datetime) -> dict[str, datetime]:
    """Later failures than these still pause their items."""
    return {"failed_since": now - TRANSIENT_PAUSE, "since": now - REFUSED_PAUSE}


def _again(table: Any, content: str, tries: int) -> Any:
    return case((table.c.content == content, table.c.tries + tries), else_=tries)
