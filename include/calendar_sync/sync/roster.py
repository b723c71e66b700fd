"""Whom the sync of a platform is about: the mapped, less those who no longer work in Welkin."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from calendar_sync.config.settings import Settings
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import STANDING, MappedUser, Platform, WelkinUser
from calendar_sync.state import Store
from calendar_sync.state.pauses import Pause
from calendar_sync.sync.pauses import checked_for

LEAVING = "leaving"
# Disabled in the mapping, since no mapping rule names them any more.
LEFT_RULE = "left_rule"
# So many people may leave Welkin at once before it looks like a fault of the list.
LEAVERS = 3
#: So many users are read by themselves; more, with everybody.
FEW = 200


@dataclass(frozen=True)
class Members:
    """The people of one platform.

    `synced` are kept in step, `leaving` lose their mirrors and blocks, `held` should, but are so
    many at once that a person must say so: until then they are among the synced. Those `paused` are
    left alone; whether calendars of the `unchecked` among them show what they must not is not known
    yet, or it is being put right.
    """

    platform: Platform
    synced: Mapping[str, MappedUser]
    leaving: frozenset[str]
    held: frozenset[str] = frozenset()
    paused: Mapping[str, Pause] = field(default_factory=dict)
    unchecked: frozenset[str] = frozenset()

    @property
    def served(self) -> frozenset[str]:
        """Whose marks runs follow."""
        return self.leaving | self.unchecked | self.synced.keys()

    @property
    def known(self) -> frozenset[str]:
        """Whom a person may name."""
        return self.served | self.paused.keys()

    @property
    def digest(self) -> str:
        """Names the held users, for an approval."""
        text = "\n".join([self.platform.value, *sorted(self.held)])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def members(
    store: Store,
    settings: Settings,
    platform: Platform,
    now: datetime,
    users: Collection[str] | None = None,
) -> Members:
    """Who is synced on this platform now, and whose mirrors and blocks must be deleted.

    A user leaves by being unmapped or disabled, or by being inactive in Welkin. One whom Welkin's
    list merely lacks counts as inactive after a day: lists are incomplete at times. One whose
    profile is newer than these settings waits for whoever has read the newest. This is the one
    place that keeps paused users out; a cycle that has begun asks again before it writes.

    `users`: what is said of these is right, and the others may be missing, which saves time.
    """
    with store.database.read():
        inactive = store.config.inactive(now)
        # Whether one who leaves is held depends on how many do.
        if users is not None and (len(users) > FEW or not inactive.isdisjoint(users)):
            users = None
        rows = store.config.mapping(platform, users)
        mapped = {user.user_id: user for user in rows if user.enabled}
        inactive &= mapped.keys()
        holders = store.links.holders(platform, users)
        pauses = store.pauses.current(platform, now)
        doubtful = inactive & holders
        if doubtful:
            doubtful -= store.runs.approved_users(LEAVING, platform, now)
    many = too_many(len(doubtful), len(mapped.keys() & holders), settings)
    held = frozenset(doubtful if many else ())
    synced = {
        user_id: user
        for user_id, user in mapped.items()
        if user_id not in inactive or user_id in held
    }
    if waiting := {one for one, user in synced.items() if not settings.knows(user.profile)}:
        synced = {one: user for one, user in synced.items() if one not in waiting}
    gone = holders - synced.keys() - waiting
    leaving = frozenset(gone if settings.on_unmapped == "remove" else ())
    if not pauses:
        return Members(platform, synced, leaving, held)
    # Who leaves does so all the same.
    paused = {user_id: pause for user_id, pause in pauses.items() if user_id in synced}
    unchecked = frozenset(
        user_id
        for user_id, pause in paused.items()
        if pause.checked != checked_for(_level(settings, synced[user_id]), synced[user_id])
    )
    synced = {user_id: user for user_id, user in synced.items() if user_id not in paused}
    return Members(platform, synced, leaving, held, paused, unchecked)


def _level(settings: Settings, user: MappedUser) -> str:
    return settings.of_user(user).mirror_content.level


def user_named(store: Store, name: str, platform: Platform | None = None) -> str:
    """`Names.user` for one name."""
    return Names(store, platform).user(name)


class Names:
    """Users by id, mailbox or address in Welkin; everybody is read once, however many are named."""

    def __init__(self, store: Store, platform: Platform | None = None) -> None:
        self._store, self._platform = store, platform

    def user(self, name: str) -> str:
        """The id of the user whose id, mailbox or address in Welkin this is.

        An unknown address is returned unchanged: the caller reports it.

        Raises:
            ConfigurationError: it is several users'.
        """
        name = name.strip()
        if "@" not in name:
            return name
        address = name.lower()
        staff = self._staff[address]
        # Who works there comes before who has left; a mailbox of the mapping before all others.
        found = (
            self._mapped[address]
            or {user.id for user in staff if user.active}
            or {user.id for user in staff}
            or self._store.links.holders_of(address)
        )
        if len(found) > 1:
            ids = ", ".join(sorted(found))
            raise ConfigurationError(
                detail=f"{name} is the address of several users ({ids}): use the id"
            )
        return next(iter(found), name)

    @cached_property
    def _mapped(self) -> Mapping[str, set[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        for row in self._store.config.mapping(self._platform):
            found[row.account.lower()].add(row.user_id)
        return found

    @cached_property
    def _staff(self) -> Mapping[str, list[WelkinUser]]:
        found: dict[str, list[WelkinUser]] = defaultdict(list)
        for user in self._store.config.welkin_users():
            found[user.email.lower()].append(user)
        return found


def too_many(leaving: int, holders: int, settings: Settings) -> bool:
    """So many of the users with mirrors or blocks leave at once that a person must confirm it."""
    return leaving > max(LEAVERS, int(settings.deletion_guard.max_share * holders))


def former_account(store: Store, user_id: str, platform: Platform) -> str:
    """The account of a user who is not mapped any more, if it still has mirrors or blocks."""
    links = store.links.of(user_id, platform)
    return next((link.account for link in links if link.state in STANDING), "")
