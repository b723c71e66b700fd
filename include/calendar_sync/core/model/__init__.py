"""What the rest of the package talks about: frozen values without behaviour of their own.

Patient data appears only in `Appointment` and `Draft`, which live in memory during a cycle and are
never stored or printed.
"""

from calendar_sync.core.model.accounts import DirectoryAccount, DirectoryAccounts, Finding
from calendar_sync.core.model.calendar import (
    Availability,
    CalendarEvent,
    Changes,
    Draft,
    SeriesSet,
    Source,
)
from calendar_sync.core.model.links import (
    GUESTS,
    STANDING,
    Link,
    LinkKind,
    LinkState,
    without_guests,
)
from calendar_sync.core.model.plans import UNRECORDED, Action, Conflict, Hold, Plan, Refusal, Step
from calendar_sync.core.model.times import (
    SETTLING,
    Span,
    Window,
    instant,
    iso,
    local,
    parse_iso,
    to_second,
    whole_days,
    zone_or_none,
)
from calendar_sync.core.model.welkin import (
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
from calendar_sync.core.model.words import DetailLevel, Direction, Platform, exceeds

__all__ = [
    "GUESTS",
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
    "Finding",
    "Hold",
    "Link",
    "LinkKind",
    "LinkState",
    "MappedUser",
    "Patient",
    "Plan",
    "Platform",
    "Refusal",
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
    "local",
    "parse_iso",
    "to_second",
    "whole_days",
    "without_guests",
    "zone_or_none",
]
