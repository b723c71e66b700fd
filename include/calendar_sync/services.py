"""What a cycle and the search for changes work with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from calendar_sync.clock import Clock
from calendar_sync.http import Meter
from calendar_sync.identity import Identity
from calendar_sync.model import Platform
from calendar_sync.platforms import CalendarPlatform, Directory
from calendar_sync.state import Store
from calendar_sync.welkin import Welkin


@dataclass(frozen=True)
class Services:
    """Both sides, the state between them, and time. All live in one event loop."""

    welkin: Welkin
    platforms: Mapping[Platform, CalendarPlatform]
    store: Store
    identity: Identity
    clock: Clock
    meter: Meter
    directories: Mapping[Platform, Directory] = field(default_factory=dict)
