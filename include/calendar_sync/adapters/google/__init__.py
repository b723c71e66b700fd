"""The adapter for Google Calendar, and for the directory of Google Workspace."""

from calendar_sync.adapters.google.client import GoogleCalendar
from calendar_sync.adapters.google.directory import GoogleDirectory
from calendar_sync.adapters.google.freebusy import GoogleFreeBusy
from calendar_sync.adapters.google.tokens import (
    DIRECTORY_SCOPE,
    FREEBUSY_SCOPE,
    GROUPS_SCOPE,
    SCOPE,
    fetch_token,
)

__all__ = [
    "DIRECTORY_SCOPE",
    "FREEBUSY_SCOPE",
    "GROUPS_SCOPE",
    "SCOPE",
    "GoogleCalendar",
    "GoogleDirectory",
    "GoogleFreeBusy",
    "fetch_token",
]
