"""What processes share: leases on users, access tokens, and the request rate."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, or_, select, update

from calendar_sync.core.errors import LeaseHeld, LeaseLost
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database

LEASE_SECONDS = 90
RENEW_SECONDS = 30
REFRESH_SECONDS = 45
LONGEST_QUEUE = 900.0
#: The names of tokens that act as one mailbox begin so, and end with its address.
OF_ACCOUNT = "google"

# Made once: see links.py. Every write asks for its lease three times and for its turn once.
_FENCE = select(t.lease.c.fence).where(t.lease.c.user_id == bindparam("user"))
_HELD_FENCE = _FENCE.with_for_update(read=True)
_LEASE = select(t.lease).where(t.lease.c.user_id == bindparam("user")).with_for_update()
_TAKE_OVER = update(t.lease).where(t.lease.c.user_id == bindparam("user"))
_MINE = _TAKE_OVER.where(t.lease.c.fence == bindparam("own"))
_TOKEN = select(t.access_token).where(t.access_token.c.name == bindparam("of"))
_CLAIM = update(t.access_token).where(
    t.access_token.c.name == bindparam("of"),
    or_(
        t.access_token.c.refresher.is_(None),
        t.access_token.c.refresher == bindparam("by"),
        t.access_token.c.refreshing_until < bindparam("now"),
    ),
)
_REFRESHED = update(t.access_token).where(
    t.access_token.c.name == bindparam("of"), t.access_token.c.refresher == bindparam("by")
)
_MOMENT = case(
    (t.rate.c.free_at - bindparam("now") > LONGEST_QUEUE, bindparam("now")),
    (t.rate.c.free_at < bindparam("first"), bindparam("first")),
    else_=t.rate.c.free_at,
)
_RESERVE = (
    update(t.rate)
    .where(t.rate.c.name == bindparam("of"))
    .values(free_at=_MOMENT + bindparam("taken"))
    .returning(t.rate.c.free_at)
)


@dataclass(frozen=True)
class Lease:
    """The right to work on one user. A higher fence elsewhere means that it was taken over."""

    user_id: str
    owner: str
    fence: int


class LeaseStore:
    """One worker for each user, for both platforms together: both write to Welkin."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, user_id: str, owner: str, now: datetime) -> Lease:
        """Take a free, expired or own lease.

        Raises:
            LeaseHeld: another worker is busy with the user.
        """
        table = t.lease
        expires = now + timedelta(seconds=LEASE_SECONDS)
        with self._database.write() as connection:
            row = connection.execute(_LEASE, {"user": user_id}).one_or_none()
            if row is None:
                statement = self._database.insert(table).values(
                    user_id=user_id, owner=owner, fence=1, expires_at=expires
                )
                statement = statement.on_conflict_do_nothing().returning(table.c.user_id)
                # Not every database counts the rows of an INSERT; what it returns is certain.
                if connection.scalar(statement) is None:
                    raise LeaseHeld(detail=user_id)
                return Lease(user_id, owner, 1)
            if row.owner not in {owner, ""} and row.expires_at > now:
                raise LeaseHeld(detail=user_id)
            values = {"owner": owner, "fence": row.fence + 1, "expires_at": expires}
            connection.execute(_TAKE_OVER, {"user": user_id, **values})
            return Lease(user_id, owner, row.fence + 1)

    @contextmanager
    def alone(self, name: str, now: datetime) -> Iterator[bool]:
        """For what one process does at a time: false while another does it (for 90 s at most)."""
        lease = None
        with suppress(LeaseHeld):
            lease = self.take(name, uuid.uuid4().hex, now)
        try:
            yield lease is not None
        finally:
            if lease is not None:
                self.release(lease, now)

    def renew(self, lease: Lease, now: datetime) -> None:
        """Keep it for another 90 s.

        Raises:
            LeaseLost: another worker has it.
        """
        expires = now + timedelta(seconds=LEASE_SECONDS)
        with self._database.write() as connection:
            if connection.execute(_MINE, _named(lease, expires_at=expires)).rowcount != 1:
                raise LeaseLost(detail=lease.user_id)

    def check(self, connection: Connection, lease: Lease) -> None:
        """Fencing: nothing is written for a user whom another worker has taken over.

        Raises:
            LeaseLost: another worker has it.
        """
        # Shared lock: no takeover commits before the caller's transaction does.
        if connection.scalar(_HELD_FENCE, {"user": lease.user_id}) != lease.fence:
            raise LeaseLost(detail=lease.user_id)

    def check_now(self, lease: Lease) -> None:
        """`check` in a transaction of its own."""
        with self._database.read() as connection:
            if connection.scalar(_FENCE, {"user": lease.user_id}) != lease.fence:
                raise LeaseLost(detail=lease.user_id)

    def release(self, lease: Lease, now: datetime) -> None:
        """End the lease; the row stays, so that the fence only rises."""
        with self._database.write() as connection:
            connection.execute(_MINE, _named(lease, owner="", expires_at=now))


def _named(lease: Lease, **values: Any) -> dict[str, Any]:
    return {"user": lease.user_id, "own": lease.fence, **values}


@dataclass(frozen=True)
class StoredToken:
    """An encrypted access token and when it ends."""

    ciphertext: bytes = field(repr=False)
    expires_at: datetime


class TokenStore:
    """Access tokens for all processes; one process refreshes, the others wait for it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> StoredToken | None:
        """The stored token, expired or not."""
        with self._database.read() as connection:
            row = connection.execute(_TOKEN, {"of": name}).one_or_none()
        if row is None or row.ciphertext is None or row.expires_at is None:
            return None
        return StoredToken(row.ciphertext, row.expires_at)

    def claim(self, name: str, process: str, now: datetime) -> bool:
        """Become the process that refreshes the token; a claim expires after 45 s."""
        until = now + timedelta(seconds=REFRESH_SECONDS)
        values = {"refresher": process, "refreshing_until": until}
        row = self._database.insert(t.access_token).on_conflict_do_nothing()
        with self._database.write() as connection:
            connection.execute(row, {"name": name})
            named = {"of": name, "by": process, "now": now}
            return connection.execute(_CLAIM, {**named, **values}).rowcount == 1

    def save(self, name: str, process: str, token: StoredToken) -> None:
        """Store the new token and end the claim."""
        self._end(name, process, ciphertext=token.ciphertext, expires_at=token.expires_at)

    def give_up(self, name: str, process: str) -> None:
        """The refresh failed: let another try."""
        self._end(name, process)

    def _end(self, name: str, process: str, **values: object) -> None:
        ended = {"of": name, "by": process, "refresher": None, "refreshing_until": None}
        with self._database.write() as connection:
            connection.execute(_REFRESHED, {**ended, **values})

    def forget(self, name: str, ciphertext: bytes) -> None:
        """Drop a token that the server refused, unless a newer one is there already."""
        table = t.access_token
        with self._database.write() as connection:
            connection.execute(
                update(table)
                .where(table.c.name == name, table.c.ciphertext == ciphertext)
                .values(ciphertext=None, expires_at=None)
            )

    def drop_account(self, account: str) -> None:
        """Delete the token for this mailbox."""
        table = t.access_token
        with self._database.write() as connection:
            connection.execute(
                delete(table).where(
                    table.c.name.startswith(OF_ACCOUNT),
                    table.c.name.endswith(f":{account.lower()}", autoescape=True),
                )
            )

    def drop_ended(self, before: datetime) -> int:
        """Delete tokens that expired before then and are not being refreshed; returns how many."""
        table = t.access_token
        ended = or_(table.c.expires_at < before, table.c.expires_at.is_(None))
        idle = or_(table.c.refreshing_until < before, table.c.refreshing_until.is_(None))
        with self._database.write() as connection:
            return connection.execute(delete(table).where(ended, idle)).rowcount


class RateStore:
    """One queue of request times for all processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(
        self, name: str, per_second: float, now: float, count: int = 1, lag: float = 0.0
    ) -> float:
        """Reserve the next `count` moments; returns the seconds until the first.

        `now` is seconds since the epoch. After a pause the queue begins `lag` seconds in the past:
        so much may be made up for at once. A queue of a quarter of an hour comes from a wrong
        clock: then the queue starts again.
        """
        taken = count / per_second
        asked = {"of": name, "now": now, "first": now - lag, "taken": taken}
        with self._database.write() as connection:
            end = connection.scalar(_RESERVE, asked)
            if end is None:
                # The first process inserts the row.
                row = self._database.insert(t.rate).on_conflict_do_nothing()
                connection.execute(row, {"name": name, "free_at": now - lag})
                end = connection.execute(_RESERVE, asked).scalar_one()
        # To a microsecond: more digits than that are lost in a time since 1970.
        return max(0.0, round(float(end) - taken - now, 6))
