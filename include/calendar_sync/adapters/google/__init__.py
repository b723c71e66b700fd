"""The adapter for Google Calendar, and for the directory of Google Workspace."""

from calendar_sync.adapters.google.calendars import GoogleCalendars
from calendar_sync.adapters.google.client import GoogleCalendar
from calendar_sync.adapters.google.directory import GoogleDirectory
from calendar_sync.adapters.google.freebusy import GoogleFreeBusy
from calendar_sync.adapters.google.tokens import (
    CALENDAR_LIST_SCOPE,
    CALENDAR_MAKING_SCOPE,
    DIRECTORY_SCOPE,
    FREEBUSY_SCOPE,
    GROUPS_SCOPE,
    SCOPE,
    fetch_token,
)

__all__ = [
    "CALENDAR_LIST_SCOPE",
    "CALENDAR_MAKING_SCOPE",
    "DIRECTORY_SCOPE",
    "FREEBUSY_SCOPE",
    "GROUPS_SCOPE",
    "SCOPE",
    "GoogleCalendar",
    "GoogleCalendars",
    "GoogleDirectory",
    "GoogleFreeBusy",
    "fetch_token",
]
