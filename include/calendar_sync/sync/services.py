"""What a cycle and the search for changes work with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from calendar_sync.adapters.http import Meter
from calendar_sync.adapters.welkin import Welkin
from calendar_sync.config.settings import Settings
from calendar_sync.core.clock import Clock
from calendar_sync.core.codes import SetupCode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.identity import Identity
from calendar_sync.core.model import Platform
from calendar_sync.core.ports import CalendarPlatform, CalendarSource, Directory, FreeBusy
from calendar_sync.state import Store

#: What is wrong with a platform's connection.
Refusals = Mapping[Platform, ConfigurationError]


def why_not(platform: Platform, unusable: Refusals) -> ConfigurationError:
    """Why there is no client for a platform."""
    if (error := unusable.get(platform)) is not None:
        return error
    said = f"no connection for {platform.value} is configured"
    return ConfigurationError(SetupCode.NO_CONNECTION_CONFIGURED, detail=said)


@dataclass(frozen=True)
class Services:
    """Both sides, the state between them, and time. All live in one event loop.

    A platform is missing where there is no connection, or it is among the `unusable`.
    """

    welkin: Welkin
    platforms: Mapping[Platform, CalendarPlatform]
    store: Store
    identity: Identity
    clock: Clock
    meter: Meter
    directories: Mapping[Platform, Directory] = field(default_factory=dict)
    free_busy: Mapping[Platform, FreeBusy] = field(default_factory=dict)
    busy_calendars: Mapping[Platform, CalendarSource] = field(default_factory=dict)
    unusable: Refusals = field(default_factory=dict)

    def why_not(self, platform: Platform) -> ConfigurationError:
        """Why this platform is missing."""
        return why_not(platform, self.unusable)

    def reader(self, settings: Settings, platform: Platform) -> CalendarSource:
        """What reads the calendars of users with these settings: events, or busy times alone."""
        only_busy = settings.block_time.source == "free_busy"
        return self.busy_calendars[platform] if only_busy else self.platforms[platform]
