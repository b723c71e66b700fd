"""Users whose sync is paused for some days.

A pause is a user's, on all platforms. Each platform has a row of its own, so that its runs end the
pause there and mark the user, whatever the other platform does.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from calendar_sync.core.model import Platform
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database
from calendar_sync.state.marks import Pair

# Made once: see links.py.
_CURRENT = select(
    *(t.user_pause.c[name] for name in ("user_id", "since", "until", "author", "checked"))
).where(t.user_pause.c.platform == bindparam("of"), t.user_pause.c.until > bindparam("now"))
_OVER = select(t.user_pause.c.user_id).where(
    t.user_pause.c.platform == bindparam("of"),
    t.user_pause.c.until <= bindparam("now"),
    t.user_pause.c.closed.is_(False),
)
_OF = _CURRENT.where(t.user_pause.c.user_id == bindparam("user"))


@dataclass(frozen=True)
class Pause:
    """One user's pause on one platform.

    `author` is who has paused. `checked` names the detail level and the mailbox for which nothing
    must be put right during the pause (`sync/pauses`), empty before the first check.
    """

    user_id: str
    since: datetime
    until: datetime
    author: str
    checked: str = ""


class PauseStore:
    """Reads and writes `user_pause`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self, platform: Platform, now: datetime) -> dict[str, Pause]:
        """Pauses that last, by user."""
        with self._database.read() as connection:
            rows = connection.execute(_CURRENT, {"of": platform.value, "now": now})
            return {row.user_id: Pause(*row) for row in rows}

    def of(self, user_id: str, platform: Platform, now: datetime) -> Pause | None:
        """The pause of this user, if it lasts."""
        named = {"of": platform.value, "now": now, "user": user_id}
        with self._database.read() as connection:
            row = connection.execute(_OF, named).one_or_none()
        return Pause(*row) if row is not None else None

    def over(self, platform: Platform, now: datetime) -> list[str]:
        """Users whose pause has ended, and who were not marked since."""
        with self._database.read() as connection:
            return sorted(connection.scalars(_OVER, {"of": platform.value, "now": now}))

    def begin(
        self, connection: Connection, user_id: str, until: datetime, author: str, now: datetime
    ) -> None:
        """Pause a user on all platforms. One who is paused already is from now on until then."""
        statement = self._database.upsert(
            t.user_pause,
            ("user_id", "platform"),
            ("since", "until", "author", "closed", "checked"),
        )
        row = {
            "user_id": user_id,
            "since": now,
            "until": until,
            "author": author[:255],
            "closed": False,
            "checked": "",
        }
        rows = [{**row, "platform": platform.value} for platform in Platform]
        connection.execute(statement, rows)

    def end(self, connection: Connection, user_id: str, now: datetime) -> None:
        """The pause is over now, on all platforms."""
        table = t.user_pause
        mine = update(table).where(table.c.user_id == user_id, table.c.until > now)
        connection.execute(mine.values(until=now))

    def close(
        self, connection: Connection, platform: Platform, users: Collection[str], now: datetime
    ) -> None:
        """The users are marked: nothing is left to do about their pauses."""
        table = t.user_pause
        ended = update(table).where(table.c.platform == platform.value, table.c.until <= now)
        for user_id in sorted(users):
            connection.execute(ended.where(table.c.user_id == user_id).values(closed=True))

    def check(self, pair: Pair, checked: str) -> None:
        """Nothing of this user must be put right for this detail level and mailbox."""
        user_id, platform = pair
        table = t.user_pause
        mine = update(table).where(table.c.user_id == user_id, table.c.platform == platform.value)
        with self._database.write() as connection:
            connection.execute(mine.values(checked=checked))
