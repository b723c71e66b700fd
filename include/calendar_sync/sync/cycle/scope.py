"""Whom a cycle is about, and the values that stay the same while it runs."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from calendar_sync.config.settings import Calendars, Settings
from calendar_sync.core.model import Direction, MappedUser, Platform, Window
from calendar_sync.state import Store
from calendar_sync.state.config import Revision

# Instead of a position: this account has no calendar of that name (checked again daily).
NO_CALENDAR = "no such calendar"
# Likewise: its list of changes cannot be read, the window itself can.
NO_CHANGES = "no list of changes"


@dataclass(frozen=True)
class Scope:
    """One (user, platform) at one moment, under one revision of the settings.

    `revision` is as it is for them, `organisation` as it is for everybody.
    """

    mapped: MappedUser
    revision: Revision
    organisation: Revision
    zone: ZoneInfo
    now: datetime

    @property
    def settings(self) -> Settings:
        """The settings of the user: the organisation's, with profile and choices."""
        return self.revision.settings

    @property
    def user_id(self) -> str:
        """Welkin's id of the user."""
        return self.mapped.user_id

    @property
    def platform(self) -> Platform:
        """The calendar system."""
        return self.mapped.platform

    @property
    def account(self) -> str:
        """The mailbox."""
        return self.mapped.account

    @property
    def pair(self) -> tuple[str, Platform]:
        """The key of everything that is kept by user and platform."""
        return self.mapped.user_id, self.mapped.platform

    def place(self, calendar: str) -> tuple[str, Platform, str, str]:
        """Whose a new link is, and where."""
        return *self.pair, self.account, calendar

    @property
    def direction(self) -> Direction:
        """Which sides are written."""
        return self.settings.direction_of(self.platform, self.mapped.direction)

    @property
    def calendars(self) -> Calendars:
        """Which calendars are read, and where mirrors go."""
        return self.settings.calendars_with(self.mapped)

    @property
    def mirror_window(self) -> Window:
        """Where appointments get mirrors."""
        return self.settings.mirror_window(self.now)

    @property
    def block_window(self) -> Window:
        """Where busy time gets blocks."""
        return self.settings.block_window(self.now, self.zone)

    @property
    def list_window(self) -> Window:
        """What a full read of a calendar covers."""
        return self.settings.list_window(self.now)

    @property
    def welkin_window(self) -> Window:
        """What is read of Welkin."""
        mirrors, blocks = self.mirror_window, self.block_window
        return Window(min(mirrors.start, blocks.start), max(mirrors.end, blocks.end))


def scope_of(store: Store, revision: Revision, mapped: MappedUser, now: datetime) -> Scope:
    """The scope of a mapped user, in the zone that Welkin last named for them.

    Raises:
        ConfigurationError: this revision does not have the user's profile.
    """
    known, own = store.config.welkin_user(mapped.user_id), revision.of_user(mapped)
    zone = own.settings.zone(known.time_zone if known else None)
    return Scope(mapped, own, revision, zone, now)


def cursor_shape(
    platform_shape: str, revision: Revision, mapped: MappedUser, zone: ZoneInfo
) -> str:
    """A cursor counts only for the same request, settings, account, and zone of whole days.

    `revision` is the user's own: see `Revision.of`.
    """
    own = mapped.direction.value if mapped.direction is not None else ""
    account = mapped.account.lower()
    return f"{platform_shape}:{revision.blocks_hash}:{own}:{account}:{zone.key}"


def is_of(shape: str, account: str) -> bool:
    """The cursor was got for this account."""
    return shape.rpartition(":")[2] == account.lower()


def same_request(one: str, other: str) -> bool:
    """Two shapes differ in settings and zone at most: the cursor still shows what changed."""
    return _without_settings(one) == _without_settings(other)


def _without_settings(shape: str) -> tuple[str, ...]:
    platform, _, *rest = shape.split(":", 4)
    return platform, *rest[:2]


def next_full(now: datetime, fraction: float) -> datetime:
    """The next daily full comparison; `fraction` (0 to 1) spreads the users over the day."""
    return now + timedelta(hours=20) + fraction * timedelta(hours=8)
