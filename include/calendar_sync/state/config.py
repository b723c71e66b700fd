"""Settings revisions, the user mapping, and what Welkin said of its users."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, case, delete, func, insert, or_, select, update

from calendar_sync.errors import ConfigurationError
from calendar_sync.model import (
    INACTIVE,
    NO_ACCESS,
    NOT_LISTED,
    Direction,
    MappedUser,
    Platform,
    WelkinUser,
)
from calendar_sync.settings import Settings, parse
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database
from calendar_sync.state.marks import MarkStore

UNLISTED_FOR = timedelta(days=1)
CHANGED_MEANWHILE = "changed_meanwhile"


@dataclass(frozen=True)
class Revision:
    """A stored state of the settings. `blocks_hash` covers what decides which events block."""

    id: int
    settings: Settings
    blocks_hash: str
    author: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True)
class MappingDifference:
    """What an import changed."""

    added: tuple[MappedUser, ...]
    changed: tuple[MappedUser, ...]
    removed: tuple[MappedUser, ...]


class ConfigStore:
    """Reads and writes the organisation's configuration."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- settings -----------------------------------------------------------------------------

    def revision(self) -> Revision:
        """The newest settings; the defaults as revision 0 before any was applied."""
        query = select(t.settings_revision).order_by(t.settings_revision.c.id.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return self.revision_of(0) if row is None else _revision(row)

    def revisions(self, newest: int = 50) -> list[Revision]:
        """The newest revisions, newest first."""
        query = select(t.settings_revision).order_by(t.settings_revision.c.id.desc()).limit(newest)
        with self._database.read() as connection:
            return [_revision(row) for row in connection.execute(query)]

    def revision_of(self, number: int) -> Revision:
        """One stored revision; 0 are the defaults.

        Raises:
            ConfigurationError: there is no such revision.
        """
        if number == 0:
            settings = Settings()
            return Revision(0, settings, blocks_hash(settings))
        query = select(t.settings_revision).where(t.settings_revision.c.id == number)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise ConfigurationError(detail=f"there is no revision {number} of the settings")
        return _revision(row)

    def save_settings(
        self, settings: Settings, author: str, now: datetime, *, based_on: int | None = None
    ) -> tuple[int, bool]:
        """Store a revision unless nothing changed; returns its number and whether it is new.

        Args:
            settings: what shall hold from now on.
            author: who wants it.
            now: the time of the revision.
            based_on: the revision that the author has seen; None where nobody looked before.

        Raises:
            ConfigurationError: somebody else has changed the settings since `based_on`.
        """
        values = {
            "created_at": now,
            "author": author,
            "document": settings.model_dump(mode="json"),
            "blocks_hash": blocks_hash(settings),
        }
        newest = select(t.settings_revision).order_by(t.settings_revision.c.id.desc()).limit(1)
        with self._database.write() as connection:
            self._database.lock(connection, t.settings_revision)
            row = connection.execute(newest).one_or_none()
            before = self.revision_of(0) if row is None else _revision(row)
            if before.id and before.settings == settings:
                return before.id, False
            if based_on is not None and based_on != before.id:
                raise ConfigurationError(CHANGED_MEANWHILE, detail=_meanwhile(before, based_on))
            made = connection.execute(insert(t.settings_revision).values(values))
            key = made.inserted_primary_key
        return int(key[0]) if key else 0, True

    # --- user mapping -------------------------------------------------------------------------

    def mapping(self, platform: Platform | None = None) -> list[MappedUser]:
        """All rows, disabled ones too, in the order of the user ids."""
        query = select(t.user_mapping).order_by(t.user_mapping.c.user_id, t.user_mapping.c.platform)
        if platform is not None:
            query = query.where(t.user_mapping.c.platform == platform.value)
        with self._database.read() as connection:
            return [_mapped(row) for row in connection.execute(query)]

    def mapped(self, user_id: str, platform: Platform) -> MappedUser | None:
        """One row, None for a user who is not mapped."""
        query = select(t.user_mapping).where(
            t.user_mapping.c.user_id == user_id, t.user_mapping.c.platform == platform.value
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return _mapped(row) if row is not None else None

    def replace_mapping(
        self, users: Iterable[MappedUser], author: str, now: datetime
    ) -> MappingDifference:
        """Make the mapping exactly these rows, in one transaction.

        Who is new or changed gets work: both sides are read in full, because what a cursor has
        passed by was judged under the old row.
        """
        wanted = {(user.user_id, user.platform): user for user in users}
        table = t.user_mapping
        with self._database.write() as connection:
            current = {
                (user.user_id, user.platform): user
                for user in map(_mapped, connection.execute(select(table)))
            }
            revision = 1 + (connection.scalar(select(func.max(table.c.revision))) or 0)
            removed = [user for key, user in current.items() if key not in wanted]
            changed = [
                user
                for key, user in wanted.items()
                if key in current and not _same(user, current[key])
            ]
            added = [user for key, user in wanted.items() if key not in current]
            for user in (*removed, *changed):
                connection.execute(
                    delete(table).where(
                        table.c.user_id == user.user_id, table.c.platform == user.platform.value
                    )
                )
            rows = [
                {
                    "user_id": user.user_id,
                    "platform": user.platform.value,
                    "account": user.account,
                    "enabled": user.enabled,
                    "direction": user.direction.value if user.direction else None,
                    "revision": revision,
                    "changed_at": now,
                    "changed_by": author,
                }
                for user in (*changed, *added)
            ]
            if rows:
                connection.execute(insert(table), rows)
            for user in (*removed, *changed):
                connection.execute(
                    delete(t.cursor).where(
                        t.cursor.c.scope == user.platform.value, t.cursor.c.owner == user.user_id
                    )
                )
            marks = MarkStore(self._database)
            pairs = [(user.user_id, user.platform) for user in (*changed, *added) if user.enabled]
            marks.mark(connection, pairs, now)
            marks.compare_fully(connection, pairs, now)
        return MappingDifference(tuple(added), tuple(changed), tuple(removed))

    # --- Welkin's users -----------------------------------------------------------------------

    def save_welkin_users(self, users: Iterable[WelkinUser], now: datetime) -> None:
        """Keep zone and state of every member of staff; who is no longer listed is inactive."""
        listed = list(users)
        rows = [
            {
                "user_id": user.id,
                "email": user.email,
                "time_zone": user.time_zone,
                "active": user.active,
                "inactive_because": user.inactive_because,
                "inactive_since": None if user.active else now,
                "seen_at": now,
            }
            for user in listed
        ]
        table = t.welkin_user
        with self._database.write() as connection:
            before = {row.user_id: row.active for row in connection.execute(select(table))}
            if rows:
                statement = self._database.insert(table)
                keys = ("email", "time_zone", "active", "inactive_because", "seen_at")
                new = {key: statement.excluded[key] for key in keys}
                since = func.coalesce(table.c.inactive_since, now)
                new["inactive_since"] = case((statement.excluded.active, None), else_=since)
                connection.execute(
                    statement.on_conflict_do_update(index_elements=["user_id"], set_=new), rows
                )
            connection.execute(
                update(table)
                .where(table.c.seen_at < now)
                .values(
                    active=False,
                    inactive_because=NOT_LISTED,
                    inactive_since=func.coalesce(table.c.inactive_since, now),
                )
            )
            away = {user_id for user_id, active in before.items() if not active}
            back = [user.id for user in listed if user.active and user.id in away]
            self._welcome_back(connection, back, now)

    def _welcome_back(self, connection: Connection, users: list[str], now: datetime) -> None:
        """Who is active again is read in full: what a cursor has passed by was not for them."""
        mapping = t.user_mapping
        query = select(mapping.c.user_id, mapping.c.platform).where(
            mapping.c.user_id.in_(users), mapping.c.enabled.is_(True)
        )
        pairs = [(row.user_id, Platform(row.platform)) for row in connection.execute(query)]
        marks = MarkStore(self._database)
        marks.mark(connection, pairs, now)
        marks.compare_fully(connection, pairs, now)

    def welkin_user(self, user_id: str) -> WelkinUser | None:
        """What Welkin last said of this user."""
        query = select(t.welkin_user).where(t.welkin_user.c.user_id == user_id)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return _welkin_user(row) if row else None

    def inactive(self, now: datetime) -> set[str]:
        """Who is not at work in Welkin; whom its list merely lacks, after a day."""
        table = t.welkin_user
        certain = table.c.inactive_because.in_([INACTIVE, NO_ACCESS])
        query = select(table.c.user_id).where(
            table.c.active.is_(False), or_(certain, table.c.inactive_since <= now - UNLISTED_FOR)
        )
        with self._database.read() as connection:
            return set(connection.scalars(query))

    def welkin_users_seen_at(self) -> datetime | None:
        """When the list of staff was last read."""
        with self._database.read() as connection:
            seen: datetime | None = connection.scalar(select(func.max(t.welkin_user.c.seen_at)))
        return seen

    def welkin_users(self) -> list[WelkinUser]:
        """All members of staff as last read."""
        with self._database.read() as connection:
            rows = connection.execute(select(t.welkin_user).order_by(t.welkin_user.c.user_id))
            return [_welkin_user(row) for row in rows]


def _welkin_user(row: Row[Any]) -> WelkinUser:
    return WelkinUser(
        row.user_id,
        row.email,
        row.time_zone,
        row.active,
        row.inactive_because,
        row.inactive_since,
    )


def _revision(row: Row[Any]) -> Revision:
    return Revision(row.id, parse(row.document), row.blocks_hash, row.author, row.created_at)


def _meanwhile(newest: Revision, seen: int) -> str:
    return (
        f"the settings were changed after revision {seen}: revision {newest.id} is by "
        f"{newest.author}, {newest.created_at:%Y-%m-%d %H:%M} UTC; see what differs with "
        f"`calendar-sync config diff {seen} {newest.id}`, then save again on top of it"
    )


# Settings that change nothing of what a full read would plan.
_RUNNING = {"limits", "poll", "brake", "freshness", "notify", "unmapped"}


def blocks_hash(settings: Settings) -> str:
    """Names the settings that decide what a full read would plan: a cursor carries it."""
    document = settings.model_dump(mode="json", exclude=_RUNNING)
    text = json.dumps(document, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _same(one: MappedUser, other: MappedUser) -> bool:
    return (one.account, one.enabled, one.direction) == (
        other.account,
        other.enabled,
        other.direction,
    )


def _mapped(row: Row[Any]) -> MappedUser:
    return MappedUser(
        row.user_id,
        Platform(row.platform),
        row.account,
        row.enabled,
        Direction(row.direction) if row.direction else None,
        row.revision,
    )
