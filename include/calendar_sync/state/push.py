"""Channels and subscriptions of push: what was opened, what came, and what polls made of it.

The receiver adds to `notices` and nothing else is decided there; polls note how many they have
answered. So a notice that comes during a poll is kept, whatever the clocks say.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    delete,
    distinct,
    func,
    or_,
    select,
    update,
)
from sqlalchemy import Row as DatabaseRow

from calendar_sync.core.model import Platform
from calendar_sync.core.model.push import HEARD, ChannelState, Granted, Told
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database
from calendar_sync.state.marks import BATCH, Pair
from calendar_sync.state.runs import WELKIN

#: The row in which the receiver shows that it runs.
RECEIVER = "receiver"
SILENT_AFTER = timedelta(minutes=2)
#: So many misses more than notices that proved right, and a channel is not relied upon.
DOUBTS = 3
MOST_DOUBTS = 6
DELAYS_FOR = timedelta(days=2)
#: A channel is healthy when something came within this time, and its end is not near.
DELIVERED_WITHIN = timedelta(hours=24)
NEAR_ITS_END = timedelta(minutes=10)
#: So many polls besides one a minute may be open at most.
FURTHER_POLLS = 3

_C = t.push_channel.c
_HEAR = (
    update(t.push_channel)
    .where(_C.id == bindparam("which"), _C.state.in_([state.value for state in HEARD]))
    .values(
        delivered_at=bindparam("now"),
        notices=_C.notices + bindparam("more"),
        wanted_since=case(
            (_C.notices + bindparam("more") == _C.answered, None),
            (_C.notices == _C.answered, bindparam("now", type_=_C.wanted_since.type)),
            else_=_C.wanted_since,
        ),
        told=case((bindparam("told") != "", bindparam("told")), else_=_C.told),
        next_at=case(
            (bindparam("told") != "", bindparam("now", type_=_C.next_at.type)), else_=_C.next_at
        ),
    )
    .returning(_C.id)
)
_OF_PLATFORM = select(t.push_channel).where(_C.platform == bindparam("of")).order_by(_C.id)
_HEALTHY = and_(
    _C.state == ChannelState.OPEN.value,
    _C.trusted,
    _C.delivered_at >= bindparam("delivered", type_=_C.delivered_at.type),
    _C.expires_at > bindparam("ends", type_=_C.expires_at.type),
)
_WANTED = _C.notices > _C.answered
_ONE_MORE = case((_C.further_polls < FURTHER_POLLS, _C.further_polls + 1), else_=FURTHER_POLLS)
_LAST = func.max(_C.asked_at)
_MAY_ASK = or_(_LAST.is_(None), bindparam("before", type_=_C.asked_at.type) >= _LAST)
_STANDING = (
    select(
        _C.user_id,
        func.count(distinct(case((_HEALTHY, _C.calendar)))),
        # Of all the user's channels: there is a notice and time for it, or a further poll.
        func.max(case((and_(_WANTED, _C.further_polls > 0), 2), (_WANTED, 1), else_=0))
        + case((_MAY_ASK, 1), else_=0)
        >= 2,
    )
    .where(_C.platform == bindparam("of"))
    .group_by(_C.user_id)
)
_ANSWER = (
    update(t.push_channel)
    .where(_C.id == bindparam("which"))
    .values(
        answered=bindparam("seen"),
        wanted_since=case(
            (_C.notices > bindparam("seen"), bindparam("now", type_=_C.wanted_since.type)),
            else_=None,
        ),
    )
)


@dataclass(frozen=True)
class Heard:
    """What came for one channel: how many notices of changes, and what was told about itself."""

    changes: int = 1
    told: Told | None = None


@dataclass(frozen=True)
class Channel:
    """One row; see `tables.push_channel`."""

    id: str
    platform: str
    user_id: str
    account: str
    calendar: str
    address: str
    state: ChannelState
    opened_at: datetime
    remote_id: str = ""
    code: str = ""
    tries: int = 0
    expires_at: datetime | None = None
    next_at: datetime | None = None
    told: str = ""
    notices: int = 0
    answered: int = 0
    wanted_since: datetime | None = None
    delivered_at: datetime | None = None
    asked_at: datetime | None = None
    further_polls: int = 0
    untold_at: datetime | None = None
    missed: int = 0
    doubts: int = 0
    trusted: bool = True

    @property
    def wanted(self) -> bool:
        """A notice came that no poll has answered."""
        return self.notices > self.answered

    def silent(self, now: datetime) -> bool:
        """Of the receiver's row: it has not shown for a while that it runs."""
        return now - (self.delivered_at or self.opened_at) >= SILENT_AFTER


class PushStanding(NamedTuple):
    """What notices mean for the next poll of one user's account.

    Attributes:
        healthy: of how many of the calendars notices can be relied upon.
        wanted: a notice waits for its poll, and may have it now.
    """

    healthy: int
    wanted: bool


class PushStore:
    """Reads and writes `push_channel` and `push_delay`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- the receiver's only write ------------------------------------------------------------

    def hear(self, heard: Mapping[str, Heard], now: datetime) -> set[str]:
        """Note what came, in one transaction; returns the ids of channels that are ours."""
        known: set[str] = set()
        with self._database.write() as connection:
            # In one order, so that no two processes wait for each other.
            for which, each in sorted(heard.items()):
                told = each.told.value if each.told is not None else ""
                named = {"which": which, "now": now, "more": each.changes, "told": told}
                if connection.scalar(_HEAR, named) is not None:
                    known.add(which)
        return known

    # --- channels -----------------------------------------------------------------------------

    def channels(self, platform: Platform, users: Collection[str] | None = None) -> list[Channel]:
        """All of a platform, or of these users there."""
        queries = [_OF_PLATFORM]
        if users is not None:
            ids = sorted(users)
            parts = (ids[first : first + BATCH] for first in range(0, len(ids), BATCH))
            queries = [_OF_PLATFORM.where(_C.user_id.in_(part)) for part in parts]
        named = {"of": platform.value}
        with self._database.read() as connection:
            rows = [row for query in queries for row in connection.execute(query, named)]
        return [_channel(row) for row in rows]

    def told(self, platform: Platform, before: datetime) -> list[str]:
        """Users of whom a notice waits for its poll, and may have it.

        They had none for a notice since then, or may have a further one.
        """
        query = select(_C.user_id).where(
            _C.platform == platform.value,
            _WANTED,
            or_(_rested(before), _C.further_polls > 0),
        )
        with self._database.read() as connection:
            return sorted(set(connection.scalars(query)))

    def standing(
        self,
        platform: Platform,
        now: datetime,
        before: datetime,
        users: Collection[str] | None = None,
    ) -> dict[str, PushStanding]:
        """Of each user with channels, or of these; their last poll for a notice was by `before`.

        One row a user, as every look for who is due asks for all of them.
        """
        query = _STANDING
        if users is not None:
            query = query.where(_C.user_id.in_(sorted(users)))
        named = {
            "of": platform.value,
            "delivered": now - DELIVERED_WITHIN,
            "ends": now + NEAR_ITS_END,
            "before": before,
        }
        with self._database.read() as connection:
            rows = connection.execute(query, named)
            return {row[0]: PushStanding(row[1], bool(row[2])) for row in rows}

    def any(self, platform: Platform) -> bool:
        """There is a channel of this platform."""
        query = select(_C.id).where(_C.platform == platform.value).limit(1)
        with self._database.read() as connection:
            return connection.scalar(query) is not None

    def add(self, channel: Channel) -> None:
        """A new row; `hear` finds it from now on."""
        values = {**vars(channel), "state": channel.state.value}
        with self._database.write() as connection:
            connection.execute(self._database.insert(t.push_channel).values(values))

    def granted(self, channel_id: str, granted: Granted, next_at: datetime) -> None:
        """The service has opened or renewed it."""
        self._set(
            channel_id,
            state=ChannelState.OPEN.value,
            remote_id=granted.remote_id,
            expires_at=granted.expires_at,
            next_at=next_at,
            code="",
            tries=0,
            told="",
        )

    def refused(
        self, channel_id: str, state: ChannelState, code: str, tries: int, next_at: datetime
    ) -> None:
        """The service did not do what was asked; `next_at` is the next try."""
        self._set(channel_id, state=state.value, code=code[:64], tries=tries, next_at=next_at)

    def stopping(self, channel_ids: Iterable[str], now: datetime) -> None:
        """Notices of these are refused from now on, whenever the service gets to know."""
        ids = sorted(channel_ids)
        statement = update(t.push_channel).where(_C.id.in_(ids))
        values = {"state": ChannelState.STOPPING.value, "next_at": now, "tries": 0, "code": ""}
        with self._database.write() as connection:
            connection.execute(statement.values(values))

    def drop(self, channel_id: str) -> None:
        """It is closed."""
        with self._database.write() as connection:
            connection.execute(delete(t.push_channel).where(_C.id == channel_id))

    def _set(self, channel_id: str, **values: Any) -> None:
        with self._database.write() as connection:
            connection.execute(update(t.push_channel).where(_C.id == channel_id).values(values))

    # --- what polls make of notices -----------------------------------------------------------

    def asked(
        self, connection: Connection, channel_ids: Collection[str], now: datetime, before: datetime
    ) -> None:
        """A poll because of a notice has begun.

        If the one before it was later than `before`, this is a further one.
        """
        left = case(
            (or_(_rested(before), _C.further_polls == 0), _C.further_polls),
            else_=_C.further_polls - 1,
        )
        values = {"asked_at": now, "further_polls": left}
        for which in sorted(channel_ids):
            connection.execute(update(t.push_channel).where(_C.id == which).values(values))

    def wrote(self, connection: Connection, pair: Pair, calendar: str) -> None:
        """The sync changed events of this user's calendar; notices will tell of that."""
        user_id, platform = pair
        mine = (_C.user_id == user_id, _C.platform == platform.value, _C.calendar == calendar)
        connection.execute(update(t.push_channel).where(*mine).values(further_polls=_ONE_MORE))

    def answer(self, connection: Connection, seen: Mapping[str, int], now: datetime) -> None:
        """A poll has answered so many notices of each channel; later ones stay."""
        for which, count in sorted(seen.items()):
            connection.execute(_ANSWER, {"which": which, "seen": count, "now": now})

    def found(
        self,
        connection: Connection,
        told: Mapping[str, float | None],
        untold: Collection[str],
        platform: Platform,
        now: datetime,
    ) -> None:
        """Polls found changes: told by notices (after so many seconds, if known), or untold.

        A notice that was right lets the next one cause a poll at once, as after a write of our own:
        people make several edits in a minute.
        """
        for which in sorted(told):
            better = case((_C.doubts > 0, _C.doubts - 1), else_=0)
            connection.execute(
                update(t.push_channel)
                .where(_C.id == which)
                .values(
                    doubts=better,
                    trusted=case((_C.doubts <= 1, True), else_=_C.trusted),
                    untold_at=None,
                    further_polls=_ONE_MORE,
                )
            )
        for which in sorted(untold):
            connection.execute(
                update(t.push_channel)
                .where(_C.id == which, _C.untold_at.is_(None))
                .values(untold_at=now)
            )
        delays = [
            {"platform": platform.value, "at": now, "seconds": seconds}
            for seconds in told.values()
            if seconds is not None
        ]
        if delays:
            connection.execute(t.push_delay.insert(), delays)

    def judge(self, platform: Platform, before: datetime, fair: timedelta) -> int:
        """Changes that polls found before then: told within a fair time after all, or missed.

        Returns how many were missed.
        """
        late = (_C.platform == platform.value, _C.untold_at <= before)
        with self._database.write() as connection:
            rows = connection.execute(
                select(_C.id, _C.untold_at, _C.delivered_at).where(*late).order_by(_C.id)
            ).all()
            missed = 0
            for row in rows:
                came = row.delivered_at is not None and row.delivered_at >= row.untold_at - fair
                values: dict[str, Any] = {"untold_at": None}
                if not came:
                    missed += 1
                    values["missed"] = _C.missed + 1
                    values["doubts"] = case(
                        (_C.doubts >= MOST_DOUBTS, MOST_DOUBTS), else_=_C.doubts + 1
                    )
                    values["trusted"] = case((_C.doubts + 1 >= DOUBTS, False), else_=_C.trusted)
                connection.execute(update(t.push_channel).where(_C.id == row.id).values(values))
        return missed

    def untold(self, platform: Platform, before: datetime) -> bool:
        """Some change waits to be judged."""
        query = select(_C.id).where(_C.platform == platform.value, _C.untold_at <= before)
        with self._database.read() as connection:
            return connection.scalar(query.limit(1)) is not None

    def delays(self, platform: Platform, since: datetime) -> list[float]:
        """Seconds from changes to their notices, the shortest first."""
        table = t.push_delay.c
        query = (
            select(table.seconds)
            .where(table.platform == platform.value, table.at > since)
            .order_by(table.seconds)
        )
        with self._database.read() as connection:
            return list(connection.scalars(query))

    def forget_delays(self, now: datetime) -> None:
        """Delete those that nobody counts any more."""
        with self._database.write() as connection:
            connection.execute(delete(t.push_delay).where(t.push_delay.c.at < now - DELAYS_FOR))

    # --- Welkin and the receiver itself: one row each, for everybody --------------------------

    def listen(self, now: datetime) -> None:
        """Take notices of Welkin's from now on, and expect that a receiver runs."""
        of_nobody = {"user_id": "", "account": "", "calendar": "", "address": ""}
        rows = [
            {"id": name, "platform": name, **of_nobody, "state": ChannelState.OPEN.value}
            | {"opened_at": now}
            for name in (WELKIN, RECEIVER)
        ]
        with self._database.write() as connection:
            statement = self._database.insert(t.push_channel).on_conflict_do_nothing()
            connection.execute(statement, rows)

    def stop_listening(self) -> None:
        """Push is off."""
        with self._database.write() as connection:
            connection.execute(delete(t.push_channel).where(_C.id.in_([WELKIN, RECEIVER])))

    def receiver(self) -> Channel | None:
        """Its row: `delivered_at` is when it last showed that it runs. None while push is off."""
        with self._database.read() as connection:
            row = connection.execute(_OF_PLATFORM, {"of": RECEIVER}).one_or_none()
        return _channel(row) if row is not None else None

    def receiver_silent(self, now: datetime) -> bool:
        """It should run, and has not shown for a while that it does."""
        row = self.receiver()
        return row is not None and row.silent(now)

    def welkin(self) -> Channel | None:
        """What Welkin has told; None where its notices are not taken."""
        with self._database.read() as connection:
            row = connection.execute(_OF_PLATFORM, {"of": WELKIN}).one_or_none()
        return _channel(row) if row is not None else None

    def welkin_answered(self, notices: int, now: datetime) -> None:
        """The feeds were read after so many notices."""
        with self._database.write() as connection:
            self.asked(connection, [WELKIN], now, now)
            self.answer(connection, {WELKIN: notices}, now)


def _rested(before: datetime) -> ColumnElement[bool]:
    return or_(_C.asked_at.is_(None), _C.asked_at <= before)


def _channel(row: DatabaseRow[Any]) -> Channel:
    values = dict(row._mapping)
    values["state"] = ChannelState(values["state"])
    return Channel(**values)
