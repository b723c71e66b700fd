"""The adapter for Google Calendar, and for the directory of Google Workspace."""

from calendar_sync.adapters.google.client import GoogleCalendar
from calendar_sync.adapters.google.directory import GoogleDirectory
from calendar_sync.adapters.google.tokens import DIRECTORY_SCOPE, SCOPE, fetch_token

__all__ = ["DIRECTORY_SCOPE", "SCOPE", "GoogleCalendar", "GoogleDirectory", "fetch_token"]
