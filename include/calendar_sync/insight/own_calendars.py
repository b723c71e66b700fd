"""Calendars of users that the sync makes, as people look at them."""

from calendar_sync.config.calendars import OWN_NAME
from calendar_sync.config.settings import Settings
from calendar_sync.core.model import MappedUser


def own_calendar(settings: Settings, mapped: MappedUser) -> str:
    """Whether a user's synced events have a calendar of their own; empty where none is wanted.

    Raises:
        ConfigurationError: these settings do not have the user's profile.
    """
    mine, calendars = settings.of(mapped.profile), settings.calendars_for(mapped)
    if not calendars.pending:
        own = calendars.mirrors == mapped.own_calendar
        return f"{OWN_NAME} (id {calendars.mirrors})" if own else ""
    if mine.direction_of(mapped.platform, mapped.direction).writes_calendar:
        return f"{OWN_NAME}, which the next sync makes"
    return f"{OWN_NAME}, not made: nothing is written to the calendar"
