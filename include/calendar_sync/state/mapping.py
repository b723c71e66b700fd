"""The user mapping in the state database: its rows, its revisions, and who changed what when.

Each change is one revision: its number is in each row that came with it, and in the history. The
next number is above both, so that none is used twice, whatever was removed meanwhile.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
)

from calendar_sync.core.codes import RequestCode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Choices, Direction, MappedUser, Platform
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database
from calendar_sync.state.marks import MarkStore, Pair

_CHOSEN = tuple(each.name for each in fields(Choices))
_WITH_OWN = (
    select(
        t.user_mapping,
        t.own_calendar.c.calendar.label("own_calendar"),
        *(t.user_choice.c[name].label(f"chosen_{name}") for name in _CHOSEN),
    )
    .outerjoin(
        t.own_calendar,
        and_(
            t.own_calendar.c.user_id == t.user_mapping.c.user_id,
            t.own_calendar.c.platform == t.user_mapping.c.platform,
            t.own_calendar.c.account == t.user_mapping.c.account,
        ),
    )
    .outerjoin(t.user_choice, t.user_choice.c.user_id == t.user_mapping.c.user_id)
)
# Made once: see links.py. Every pass asks several times.
_ALL = _WITH_OWN.order_by(t.user_mapping.c.user_id, t.user_mapping.c.platform)
_OF_PLATFORM = _ALL.where(t.user_mapping.c.platform == bindparam("of"))
_MAPPED = _OF_PLATFORM.where(t.user_mapping.c.user_id == bindparam("user"))
_NEWEST_SETTINGS = (
    select(t.settings_revision.c.document).order_by(t.settings_revision.c.id.desc()).limit(1)
)
Edit = Callable[[list[MappedUser]], Iterable[MappedUser]]
Then = Callable[[Connection], None]


@dataclass(frozen=True)
class MappingDifference:
    """What a new mapping changes. `replaced` are the former rows of `changed`, in its order.

    `revision` is the mapping's number afterwards; the one before, where nothing differs.
    """

    added: tuple[MappedUser, ...]
    changed: tuple[MappedUser, ...]
    removed: tuple[MappedUser, ...]
    replaced: tuple[MappedUser, ...] = ()
    revision: int = 0

    def __bool__(self) -> bool:
        """Something differs."""
        return bool(self.added or self.changed or self.removed)


@dataclass(frozen=True)
class MappingChange:
    """One row of the history; `before` and `after` are None where there was no row."""

    revision: int
    at: datetime
    author: str
    user_id: str
    platform: Platform
    before: MappedUser | None
    after: MappedUser | None


class MappingStore:
    """Reads and writes the user mapping."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def mapping(
        self, platform: Platform | None = None, users: Collection[str] | None = None
    ) -> list[MappedUser]:
        """All rows, or those of some (not many) users, disabled ones too, by their ids."""
        query, named = (_ALL, {}) if platform is None else (_OF_PLATFORM, {"of": platform.value})
        if users is not None:
            query = query.where(t.user_mapping.c.user_id.in_(sorted(users)))
        with self._database.read() as connection:
            return [_mapped(row) for row in connection.execute(query, named)]

    def mapped(self, user_id: str, platform: Platform) -> MappedUser | None:
        """One row, None for a user who is not mapped."""
        named = {"user": user_id, "of": platform.value}
        with self._database.read() as connection:
            row = connection.execute(_MAPPED, named).one_or_none()
        return _mapped(row) if row is not None else None

    def mapping_revision(self) -> int:
        """The number of the newest change; 0 before the first."""
        with self._database.read() as connection:
            return _newest(connection)

    def mapping_of(self, revision: int) -> list[MappedUser]:
        """The rows as that revision left them; 0 is before the first. Later changes are undone.

        Raises:
            ConfigurationError: there is no such revision (yet).
        """
        table = t.mapping_change
        later = select(table).where(table.c.revision > revision).order_by(table.c.id.desc())
        with self._database.read() as connection:
            newest = _newest(connection)
            if not 0 <= revision <= newest:
                raise ConfigurationError(
                    detail=f"there is no revision {revision} of the mapping: the newest is {newest}"
                )
            rows = {
                (row.user_id, row.platform): _mapped(row) for row in connection.execute(_WITH_OWN)
            }
            for change in map(_change, connection.execute(later)):
                rows.pop((change.user_id, change.platform.value), None)
                if change.before is not None:
                    rows[change.user_id, change.platform.value] = change.before
        return sorted(rows.values(), key=lambda row: (row.user_id, row.platform.value))

    def mapping_history(
        self, user_id: str | None = None, account: str | None = None, newest: int = 50
    ) -> list[MappingChange]:
        """Who changed which row when, newest first; of one user, of one mailbox, or of all."""
        table = t.mapping_change
        query = select(table).order_by(table.c.id.desc()).limit(newest)
        if user_id is not None:
            query = query.where(table.c.user_id == user_id)
        if account is not None:
            name = account.lower()
            held = [table.c[side]["account"].as_string() == name for side in ("before", "after")]
            query = query.where(or_(*held))
        with self._database.read() as connection:
            return [_change(row) for row in connection.execute(query)]

    def preview_mapping(
        self,
        users: Iterable[MappedUser],
        *,
        based_on: int | None = None,
        profiles: Collection[str] | None = None,
    ) -> MappingDifference:
        """What `edit_mapping` would change if these were all rows, without changing it.

        With `profiles` as if the settings had these.

        Raises:
            ConfigurationError: `edit_mapping` would refuse.
        """
        with self._database.read() as connection:
            return _compare(connection, lambda _: users, based_on, profiles)[0]

    def edit_mapping(
        self,
        edit: Edit,
        author: str,
        now: datetime,
        *,
        based_on: int | None = None,
        then: Then | None = None,
    ) -> MappingDifference:
        """Make the mapping what `edit` makes of its rows, in one transaction.

        New and changed users are marked, and both sides are read in full: changes up to the cursor
        were handled under the old row. `then` writes what belongs with it, also if no row differs.

        Raises:
            ConfigurationError: two rows for one user and platform, two users on one account, or a
                profile that the settings do not have; or the mapping was changed since the
                revision `based_on`.
        """
        with self._database.write() as connection:
            self._database.lock(connection, t.user_mapping)
            found, revision = _compare(connection, edit, based_on)
            if found:
                self._write(connection, found, revision, author, now)
            if then is not None:
                then(connection)
        return found

    def _write(
        self,
        connection: Connection,
        found: MappingDifference,
        revision: int,
        author: str,
        now: datetime,
    ) -> None:
        """Insert rows and history; the rest is done in the database from the history."""
        connection.execute(
            insert(t.mapping_change),
            [
                {
                    "revision": revision,
                    "at": now,
                    "author": author,
                    "user_id": (after or before).user_id,
                    "platform": (after or before).platform.value,
                    "before": _as_json(before),
                    "after": _as_json(after),
                }
                for before, after in _pairs(found)
            ],
        )
        rows, cursors, change = t.user_mapping.c, t.cursor.c, t.mapping_change.c
        touched = select(change.user_id, change.platform).where(change.revision == revision)
        if found.changed or found.removed:
            old = tuple_(rows.user_id, rows.platform).in_(touched)
            connection.execute(delete(t.user_mapping).where(old))
        if new := [*found.changed, *found.added]:
            connection.execute(
                insert(t.user_mapping),
                [
                    {
                        "user_id": user.user_id,
                        "platform": user.platform.value,
                        "account": user.account,
                        "enabled": user.enabled,
                        "direction": user.direction.value if user.direction else None,
                        "profile": user.profile,
                        "busy_calendars": " ".join(user.busy_calendars),
                        "mirrors_calendar": user.mirrors_calendar,
                        "revision": revision,
                        "changed_at": now,
                        "changed_by": author,
                    }
                    for user in new
                ],
            )
        if found.removed:
            # Whoever is mapped again is mapped by a person.
            made = t.mapping_rule_row.c
            there = (rows.user_id == made.user_id) & (rows.platform == made.platform)
            connection.execute(delete(t.mapping_rule_row).where(~exists().where(there)))
        passed = tuple_(cursors.owner, cursors.scope).in_(touched)
        connection.execute(delete(t.cursor).where(passed))
        MarkStore(self._database).mark_mapped(connection, revision, now)


def _compare(
    connection: Connection,
    edit: Edit,
    based_on: int | None,
    profiles: Collection[str] | None = None,
) -> tuple[MappingDifference, int]:
    """What differs, and the number that the change would get."""
    newest = _newest(connection)
    current = {
        (user.user_id, user.platform): user for user in map(_mapped, connection.execute(_WITH_OWN))
    }
    wanted = _checked(_filled(edit(list(current.values())), current))
    changed = [
        key for key, user in wanted.items() if key in current and not _same(user, current[key])
    ]
    found = MappingDifference(
        added=tuple(user for key, user in wanted.items() if key not in current),
        changed=tuple(wanted[key] for key in changed),
        removed=tuple(user for key, user in current.items() if key not in wanted),
        replaced=tuple(current[key] for key in changed),
    )
    if profiles is not None:
        refuse_unknown(wanted.values(), profiles)
    if not found:
        return replace(found, revision=newest), newest
    if profiles is None:
        _refuse_unknown_profiles(connection, [*found.added, *found.changed])
    if based_on is not None and based_on != newest:
        raise ConfigurationError(
            RequestCode.CHANGED_MEANWHILE, detail=_meanwhile(connection, newest, based_on)
        )
    return replace(found, revision=newest + 1), newest + 1


def _filled(
    users: Iterable[MappedUser], current: Mapping[Pair, MappedUser]
) -> Iterable[MappedUser]:
    """The rows with what they say nothing of as it is now."""
    for user in users:
        before = current.get((user.user_id, user.platform))
        if before is None or not user.unsaid:
            yield user
            continue
        kept = {name: getattr(before, name) for name in user.unsaid}
        yield replace(user, **kept, unsaid=frozenset())


def _refuse_unknown_profiles(connection: Connection, users: Iterable[MappedUser]) -> None:
    users = [user for user in users if user.profile]
    if users:
        refuse_unknown(users, (connection.scalar(_NEWEST_SETTINGS) or {}).get("profiles") or {})


def refuse_unknown(users: Iterable[MappedUser], profiles: Collection[str]) -> None:
    """Refuse rows whose profile is not among these.

    Raises:
        ConfigurationError: names the first of them, and the profiles that there are.
    """
    for user in users:
        if user.profile and user.profile not in profiles:
            said = f"the profiles are {', '.join(sorted(profiles))}" if profiles else ""
            raise ConfigurationError(
                detail=f"mapping: {user.user_id} ({user.platform}): the settings have no profile "
                f"{user.profile}; {said or 'there are none'}"
            )


def _checked(users: Iterable[MappedUser]) -> Mapping[Pair, MappedUser]:
    """The rows by user and platform, accounts in lower case.

    Raises:
        ConfigurationError: names both rows of a user, both users of an account, or whose main
            calendar is another's further one.
    """
    wanted: dict[Pair, MappedUser] = {}
    holders: dict[tuple[str, Platform], str] = {}
    for given in users:
        account, platform = given.account.lower(), given.platform
        user = given if given.account == account else replace(given, account=account)
        other = wanted.setdefault((user.user_id, platform), user)
        if other is not user:
            raise ConfigurationError(
                detail=f"mapping: {user.user_id} is mapped on {platform} twice, "
                f"to {other.account} and to {account}"
            )
        holder = holders.setdefault((account, platform), user.user_id)
        if holder != user.user_id:
            raise ConfigurationError(
                detail=f"mapping: {account} ({platform}) is mapped to {holder} and to "
                f"{user.user_id}: one account belongs to one user"
            )
    for user in wanted.values():
        for calendar in (*user.busy_calendars, user.mirrors_calendar):
            holder = holders.get((calendar.lower(), user.platform), user.user_id)
            if holder != user.user_id:
                raise ConfigurationError(
                    detail=f"mapping: {user.user_id} ({user.platform}): the calendar {calendar} is "
                    f"the main calendar of {holder}"
                )
    return wanted


def _pairs(found: MappingDifference) -> Sequence[tuple[Any, Any]]:
    """The previous and the new row of each user concerned, in the order of the user ids."""
    pairs: list[tuple[MappedUser | None, MappedUser | None]] = [
        *((None, user) for user in found.added),
        *zip(found.replaced, found.changed, strict=True),
        *((user, None) for user in found.removed),
    ]

    def key(pair: tuple[Any, Any]) -> tuple[str, str]:
        row = pair[1] or pair[0]
        return row.user_id, row.platform.value

    return sorted(pairs, key=key)


def _newest(connection: Connection) -> int:
    """Rows from before there was a history have numbers, too."""
    numbers = [
        connection.scalar(select(func.max(table.c.revision)))
        for table in (t.mapping_change, t.user_mapping)
    ]
    return max(number or 0 for number in numbers)


def _meanwhile(connection: Connection, newest: int, seen: int) -> str:
    if seen > newest:
        return f"there is no revision {seen} of the mapping: the newest is {newest}"
    table = t.mapping_change
    query = select(table.c.author, table.c.at).where(table.c.revision == newest).limit(1)
    row = connection.execute(query).one_or_none()
    by = f" is by {row.author}, {row.at:%Y-%m-%d %H:%M} UTC" if row else " is newer"
    return (
        f"the mapping was changed after revision {seen}: revision {newest}{by}; see what with "
        "`calendar-sync mapping history`, export it again, and make the change on top of it"
    )


def _same(one: MappedUser, other: MappedUser) -> bool:
    return replace(one, revision=0) == replace(other, revision=0)


def _mapped(row: Row[Any]) -> MappedUser:
    return MappedUser(
        row.user_id,
        Platform(row.platform),
        row.account,
        row.enabled,
        Direction(row.direction) if row.direction else None,
        row.revision,
        row.profile,
        tuple(row.busy_calendars.split()),
        row.mirrors_calendar,
        row.own_calendar or "",
        Choices(*(getattr(row, f"chosen_{name}") or "" for name in _CHOSEN)),
    )


def _as_json(user: MappedUser | None) -> dict[str, Any]:
    if user is None:
        return {}
    direction = user.direction.value if user.direction else None
    return {
        "account": user.account,
        "enabled": user.enabled,
        "direction": direction,
        "profile": user.profile,
        "busy_calendars": list(user.busy_calendars),
        "mirrors_calendar": user.mirrors_calendar,
    }


def _change(row: Row[Any]) -> MappingChange:
    platform = Platform(row.platform)

    def side(values: dict[str, Any]) -> MappedUser | None:
        if not values:
            return None
        direction = values["direction"]
        return MappedUser(
            row.user_id,
            platform,
            values["account"],
            values["enabled"],
            Direction(direction) if direction else None,
            profile=values.get("profile", ""),
            busy_calendars=tuple(values.get("busy_calendars", ())),
            mirrors_calendar=values.get("mirrors_calendar", ""),
        )

    return MappingChange(
        row.revision,
        row.at,
        row.author,
        row.user_id,
        platform,
        side(row.before),
        side(row.after),
    )
