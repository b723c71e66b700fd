"""The calendars that were made for users' mirrors, by user and mailbox.

Accounts are in lower case, as they are in the mapping, which is read together with these.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select

from calendar_sync.core.model import Platform
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database

KEY = ("user_id", "platform", "account")
Place = tuple[str, Platform, str]


@dataclass(frozen=True)
class OwnCalendar:
    """The calendar of one mailbox: its id, empty while it is not known whether it was made.

    `created_at` is when it was made or found, or when we began to make it.
    """

    account: str
    calendar: str
    created_at: datetime


class OwnCalendarStore:
    """Reads and writes `own_calendar`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, user_id: str, platform: Platform) -> list[OwnCalendar]:
        """Those of all mailboxes that the user has, or had."""
        table = t.own_calendar
        query = select(table.c.account, table.c.calendar, table.c.created_at).where(
            table.c.user_id == user_id, table.c.platform == platform.value
        )
        with self._database.read() as connection:
            return [OwnCalendar(*row) for row in connection.execute(query)]

    def holders(self, platform: Platform) -> dict[str, str]:
        """Everybody who has one, with a mailbox where it is."""
        table = t.own_calendar
        query = select(table.c.user_id, table.c.account).where(table.c.platform == platform.value)
        with self._database.read() as connection:
            return {row.user_id: row.account for row in connection.execute(query)}

    def at(self, place: Place) -> OwnCalendar | None:
        """That of this user in this mailbox."""
        user_id, platform, account = place
        return next((one for one in self.of(user_id, platform) if one.account == account), None)

    def elsewhere(self, place: Place, ids: Collection[str]) -> set[str]:
        """Those of these calendars that were made for another user in another mailbox."""
        user_id, platform, account = place
        table = t.own_calendar
        query = select(table.c.calendar).where(
            table.c.user_id != user_id,
            table.c.platform == platform.value,
            table.c.account != account,
            table.c.calendar.in_(sorted(ids)),
        )
        with self._database.read() as connection:
            return set(connection.scalars(query))

    def begin(self, connection: Connection, place: Place, now: datetime) -> None:
        """One is about to be made; an earlier one there is forgotten."""
        self._put(connection, place, "", now)

    def save(self, connection: Connection, place: Place, calendar: str, now: datetime) -> None:
        """It is this one, and no longer that of whoever had this mailbox before."""
        table = t.own_calendar
        connection.execute(
            delete(table).where(table.c.platform == place[1].value, table.c.calendar == calendar)
        )
        self._put(connection, place, calendar, now)

    def forget(self, connection: Connection, place: Place) -> None:
        """There is none, as far as we know."""
        user_id, platform, account = place
        table = t.own_calendar
        connection.execute(
            delete(table).where(
                table.c.user_id == user_id,
                table.c.platform == platform.value,
                table.c.account == account,
            )
        )

    def _put(self, connection: Connection, place: Place, calendar: str, now: datetime) -> None:
        user_id, platform, account = place
        values = {"calendar": calendar, "created_at": now}
        key = {"user_id": user_id, "platform": platform.value, "account": account}
        upsert = self._database.upsert(t.own_calendar, KEY, tuple(values))
        connection.execute(upsert, key | values)
