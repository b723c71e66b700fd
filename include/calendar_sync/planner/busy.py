"""What makes the owner of a calendar busy (rule 5)."""

from zoneinfo import ZoneInfo

from calendar_sync.model import Availability, CalendarEvent
from calendar_sync.settings import BlockTime


def blocks_time(event: CalendarEvent, rules: BlockTime, zone: ZoneInfo) -> bool:
    """The event makes its owner busy."""
    if event.deleted or event.span is None or event.is_master or event.span.empty(zone):
        return False
    if event.declined or event.informational or event.availability is Availability.FREE:
        return False
    if event.availability is Availability.TENTATIVE and not rules.tentative:
        return False
    if event.span.all_day and rules.all_day == "ignore":
        return False
    return not rules.ignore_external.ignores(event.creator, event.organizer, event.ical_uid)
