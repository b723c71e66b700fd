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
    "all_day_kind_ignored": lambda event, rules, zone: (
        event.span.all_day and _of_its_kind(event, rules) == "ignore"
    ),
    "all_day_ignored": lambda event, rules, zone: (
        event.span.all_day and _of_its_kind(event, rules) == "same" and rules.all_day == "ignore"
    ),
    "ignored": lambda event, rules, zone: rules.ignore_external.ignores(
        event.creator, event.organizer, event.ical_uid, event.source_url
    ),
}


def why_not_busy(event: CalendarEvent, rules: BlockTime, zone: ZoneInfo) -> str | None:
    """The rule by which the event does not make its owner busy; None when it does."""
    return next((name for name, says in NOT_BUSY.items() if says(event, rules, zone)), None)


def blocks_time(event: CalendarEvent, rules: BlockTime, zone: ZoneInfo) -> bool:
    """The event makes its owner busy."""
    return why_not_busy(event, rules, zone) is None


def _of_its_kind(event: CalendarEvent, rules: BlockTime) -> str:
    """What is set for all-day events of its kind alone."""
    kinds = rules.all_day_kinds
    if event.availability is Availability.TENTATIVE:
        return kinds.tentative
    if event.working_elsewhere:
        return kinds.working_elsewhere
    return kinds.out_of_office if event.out_of_office else "same"
