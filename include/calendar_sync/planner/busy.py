"""What makes the owner of a calendar busy (rules 5 and 8)."""

from collections.abc import Callable, Mapping
from zoneinfo import ZoneInfo

from calendar_sync.config.settings import BlockTime
from calendar_sync.core.model import Availability, CalendarEvent

#: Why an event does not make its owner busy, in the order of asking: the first one decides.
NOT_BUSY: Mapping[str, Callable[[CalendarEvent, BlockTime, ZoneInfo], bool]] = {
    "series": lambda event, rules, zone: event.is_master,
    "empty_time": lambda event, rules, zone: event.span.empty(zone),
    "declined": lambda event, rules, zone: event.declined,
    "informational": lambda event, rules, zone: event.informational,
    "working_elsewhere": lambda event, rules, zone: (
        event.working_elsewhere and rules.working_elsewhere == "ignore"
    ),
    "free": lambda event, rules, zone: (
        event.availability is Availability.FREE and not event.working_elsewhere
    ),
    "tentative": lambda event, rules, zone: (
        event.availability is Availability.TENTATIVE and not rules.tentative
    ),
    "out_of_office": lambda event, rules, zone: (
        event.out_of_office and rules.out_of_office == "ignore"
    ),
    "all_day_kind_ignored": lambda event, rules, zone: _day_of_kind(event, rules) == "ignore",
    "all_day_ignored": lambda event, rules, zone: event.span.all_day and rules.all_day == "ignore",
    "ignored": lambda event, rules, zone: rules.ignore_external.ignores(
        event.creator, event.organizer, event.ical_uid, event.source_url
    ),
}
#: Of these, nothing is asked about all-day events of a kind that `all_day_kinds` lets block.
_OVERRULED = {"working_elsewhere", "free", "tentative", "out_of_office", "all_day_ignored"}


def why_not_busy(event: CalendarEvent, rules: BlockTime, zone: ZoneInfo) -> str | None:
    """The rule by which the event does not make its owner busy; None when it does."""
    overruled = _OVERRULED if _day_of_kind(event, rules) == "block" else ()
    for name, says in NOT_BUSY.items():
        if name not in overruled and says(event, rules, zone):
            return name
    return None


def blocks_time(event: CalendarEvent, rules: BlockTime, zone: ZoneInfo) -> bool:
    """The event makes its owner busy."""
    return why_not_busy(event, rules, zone) is None


def _day_of_kind(event: CalendarEvent, rules: BlockTime) -> str:
    """What is set for all-day events of its kind alone."""
    kinds = rules.all_day_kinds
    if not event.span.all_day:
        return "same"
    if event.availability is Availability.TENTATIVE:
        return kinds.tentative
    if event.working_elsewhere:
        return kinds.working_elsewhere
    if event.availability is Availability.FREE:
        return kinds.free if event.chosen_free else "same"
    return kinds.out_of_office if event.out_of_office else "same"
