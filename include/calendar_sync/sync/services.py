"""What a cycle and the search for changes work with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from calendar_sync.adapters.http import Meter
from calendar_sync.adapters.welkin import Welkin
from calendar_sync.core.clock import Clock
from calendar_sync.core.identity import Identity
from calendar_sync.core.model import Platform
from calendar_sync.core.ports import CalendarPlatform, Directory, FreeBusy
from calendar_sync.state import Store


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
    free_busy: Mapping[Platform, FreeBusy] = field(default_factory=dict)
