"""Revisions of the settings, and Welkin's users; the user mapping is in `mapping.py`."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    case,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from calendar_sync.config.renames import with_old_names
from calendar_sync.config.settings import Settings, parse
from calendar_sync.core.codes import RequestCode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import (
    INACTIVE,
    NO_ACCESS,
    NOT_LISTED,
    Choices,
    MappedUser,
    Platform,
    WelkinUser,
)
from calendar_sync.core.plurals import plural
from calendar_sync.state import tables as t
from calendar_sync.state.mapping import MappingStore
from calendar_sync.state.marks import MarkStore

UNLISTED_FOR = timedelta(days=1)


def _inactive(since: ColumnElement[datetime]) -> Select[tuple[str]]:
    staff = t.welkin_user.c
    certain = staff.inactive_because.in_([INACTIVE, NO_ACCESS])
    return select(staff.user_id).where(
        staff.active.is_(False), or_(certain, staff.inactive_since <= since)
    )


# Made once: see links.py. Every pass asks several times.
_INACTIVE = _inactive(bindparam("since", type_=t.welkin_user.c.inactive_since.type))
_SEEN_AT = select(func.max(t.welkin_user.c.seen_at))
_NEWEST = select(t.settings_revision).order_by(t.settings_revision.c.id.desc()).limit(1)
_NEWEST_NUMBER = select(func.max(t.settings_revision.c.id))


@dataclass(frozen=True)
class Revision:
    """A stored state of the settings; for `blocks_hash` see the function."""

    id: int
    settings: Settings
    blocks_hash: str
    author: str = ""
    created_at: datetime | None = None
    _of: dict[object, "Revision"] = field(default_factory=dict, compare=False, repr=False)

    def of(self, profile: str) -> "Revision":
        """The same with the settings of users with this profile; empty for users without one.

        Raises:
            ConfigurationError: there is no such profile.
        """
        return self._with(profile, lambda: self.settings.of(profile)) if profile else self

    def of_user(self, user: MappedUser) -> "Revision":
        """The same with the settings of one user (`Settings.of_user`).

        Raises:
            ConfigurationError: there is no such profile.
        """
        if user.chosen == Choices():
            return self.of(user.profile)
        key = (user.profile, user.chosen)
        return self._with(key, lambda: self.settings.of_user(user))

    def _with(self, key: object, settings: Callable[[], Settings]) -> "Revision":
        if key not in self._of:
            own = settings()
            made = replace(self, settings=own, blocks_hash=blocks_hash(own), _of={})
            self._of[key] = made
        return self._of[key]


class ConfigStore(MappingStore):
    """Reads and writes the organisation's configuration: settings, user mapping, staff."""

    # --- settings -----------------------------------------------------------------------------

    def revision(self) -> Revision:
        """The newest settings; the defaults as revision 0 before any was applied."""
        with self._database.read() as connection:
            row = connection.execute(_NEWEST).one_or_none()
        return self.revision_of(0) if row is None else _revision(row)

    def newest_revision(self) -> int:
        """The number of the newest settings; 0 before any was applied."""
        with self._database.read() as connection:
            return connection.scalar(_NEWEST_NUMBER) or 0

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
            return _defaults()
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
            settings: the new settings.
            author: who saves them.
            now: the time of the revision.
            based_on: the revision that the author has seen; None if none was seen.

        Raises:
            ConfigurationError: the settings were changed since `based_on`; they contain what is no
                longer allowed; or they lack a profile that somebody has.
        """
        if settings.notify.refusal:
            raise ConfigurationError(detail=settings.notify.refusal)
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
                raise ConfigurationError(
                    RequestCode.CHANGED_MEANWHILE, detail=_meanwhile(before, based_on)
                )
            self._refuse_missing_profiles(connection, settings)
            made = connection.execute(insert(t.settings_revision).values(values))
            key = made.inserted_primary_key
        return int(key[0]) if key else 0, True

    def _refuse_missing_profiles(self, connection: Connection, settings: Settings) -> None:
        self._database.lock(connection, t.user_mapping)
        users = t.user_mapping.c
        query = select(users.profile, func.count()).group_by(users.profile)
        for name, count in connection.execute(query.order_by(users.profile)):
            if name and name not in settings.profiles:
                raise ConfigurationError(
                    detail=f"settings: profiles.{name} is missing, and {plural(count, 'user')} "
                    "in the mapping have it: give them another profile first"
                )

    # --- Welkin's users -----------------------------------------------------------------------

    def save_welkin_users(self, users: Iterable[WelkinUser], now: datetime) -> None:
        """Store zone and state of each member of staff; whoever is not listed is inactive.

        If the row of a member cannot be read, nothing is changed for them.
        """
        listed = list(users)
        unreadable = [user.id for user in listed if user.unreadable]
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
            if not user.unreadable
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
                .where(table.c.seen_at < now, table.c.user_id.not_in(unreadable))
                .values(
                    active=False,
                    inactive_because=NOT_LISTED,
                    inactive_since=func.coalesce(table.c.inactive_since, now),
                )
            )
            away = {user_id for user_id, active in before.items() if not active}
            away -= set(unreadable)
            back = [user.id for user in listed if user.active and user.id in away]
            self._welcome_back(connection, back, now)

    def _welcome_back(self, connection: Connection, users: list[str], now: datetime) -> None:
        """Users who are active again are read in full: changes were not applied meanwhile."""
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

    def zones(self) -> dict[str, str | None]:
        """The time zone that Welkin last named for each member of staff."""
        table = t.welkin_user
        with self._database.read() as connection:
            rows = connection.execute(select(table.c.user_id, table.c.time_zone))
            return {row.user_id: row.time_zone for row in rows}

    def inactive(self, now: datetime) -> set[str]:
        """Users who are inactive in Welkin; those that its list only lacks count after a day."""
        with self._database.read() as connection:
            return set(connection.scalars(_INACTIVE, {"since": now - UNLISTED_FOR}))

    @staticmethod
    def inactive_query(now: datetime) -> Select[tuple[str]]:
        """The same, for a larger query."""
        return _inactive(literal(now - UNLISTED_FOR, t.welkin_user.c.inactive_since.type))

    def welkin_users_seen_at(self) -> datetime | None:
        """When the list of staff was last read."""
        with self._database.read() as connection:
            seen: datetime | None = connection.scalar(_SEEN_AT)
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
    settings = _parsed(json.dumps(row.document))
    return Revision(row.id, settings, row.blocks_hash, row.author, row.created_at)


@cache
def _defaults() -> Revision:
    settings = Settings()
    return Revision(0, settings, blocks_hash(settings))


@lru_cache(maxsize=8)
def _parsed(document: str) -> Settings:
    """Whoever looks for changes asks for the settings every few seconds."""
    return parse(json.loads(document), stored=True)


def _meanwhile(newest: Revision, seen: int) -> str:
    return (
        f"the settings were changed after revision {seen}: revision {newest.id} is by "
        f"{newest.author}, {newest.created_at:%Y-%m-%d %H:%M} UTC; see the changes with "
        f"`calendar-sync config diff {seen} {newest.id}`, then make your change again"
    )


# Settings that do not change what a full read would plan.
_RUNNING = {
    "limits",
    "polling",
    "notice",
    "push",
    "deletion_guard",
    "freshness",
    "notify",
    "on_unmapped",
    "mapping_rules",
    "people_may_choose",
    "profiles",
}


# Settings of later releases: with their defaults they count as not there.
_ADDED = (
    "block_time.all_day_kinds",
    "block_time.buffers",
    "block_time.out_of_office",
    "block_time.out_of_office_title",
    "block_time.report_overlaps",
    "block_time.source",
    "block_time.working_elsewhere",
    "mirror_content.buffers",
    "mirror_content.categories",
    "mirror_content.colours",
    "mirror_content.link_hosts",
    "mirror_content.places",
    "mirror_content.tentative",
)


def blocks_hash(settings: Settings) -> str:
    """A hash of the settings that decide what a full read would plan; part of each cursor.

    A new name for a setting, or a new setting with its default, changes no hash: otherwise every
    calendar would be read in full once.
    """
    document = with_old_names(_without_added(settings.model_dump(mode="json", exclude=_RUNNING)))
    text = json.dumps(document, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without_added(document: dict[str, Any]) -> dict[str, Any]:
    usual = Settings().model_dump(mode="json")
    # It is for new mirrors only.
    del document["mirror_content"]["reminder"]
    for path in _ADDED:
        section, _, name = path.rpartition(".")
        if document[section][name] == usual[section][name]:
            del document[section][name]
    return document
