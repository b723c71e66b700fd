"""What the rest of the package talks about: frozen values without behaviour of their own.

Patient data appears only in `Appointment` and `Draft`, which live in memory during a cycle and are
never stored or printed.
"""

from calendar_sync.model.accounts import DirectoryAccount, DirectoryAccounts
from calendar_sync.model.calendar import (
    Availability,
    CalendarEvent,
    Changes,
    Draft,
    SeriesSet,
    Source,
)
from calendar_sync.model.links import STANDING, Link, LinkKind, LinkState
from calendar_sync.model.plans import UNRECORDED, Action, Conflict, Hold, Plan, Step
from calendar_sync.model.times import (
    SETTLING,
    Span,
    Window,
    instant,
    iso,
    parse_iso,
    to_second,
    zone_or_none,
)
from calendar_sync.model.welkin import (
    INACTIVE,
    MISSING,
    NO_ACCESS,
    NOT_LISTED,
    Appointment,
    Encounter,
    MappedUser,
    Patient,
    WelkinEvent,
    WelkinUser,
)
from calendar_sync.model.words import DetailLevel, Direction, Platform, exceeds

__all__ = [
    "INACTIVE",
    "MISSING",
    "NOT_LISTED",
    "NO_ACCESS",
    "SETTLING",
    "STANDING",
    "UNRECORDED",
    "Action",
    "Appointment",
    "Availability",
    "CalendarEvent",
    "Changes",
    "Conflict",
    "DetailLevel",
    "Direction",
    "DirectoryAccount",
    "DirectoryAccounts",
    "Draft",
    "Encounter",
    "Hold",
    "Link",
    "LinkKind",
    "LinkState",
    "MappedUser",
    "Patient",
    "Plan",
    "Platform",
    "SeriesSet",
    "Source",
    "Span",
    "Step",
    "WelkinEvent",
    "WelkinUser",
    "Window",
    "exceeds",
    "instant",
    "iso",
    "parse_iso",
    "to_second",
    "zone_or_none",
]
