"""The adapter for calendars of Microsoft 365, by Microsoft Graph."""

from calendar_sync.microsoft.client import MicrosoftCalendar
from calendar_sync.microsoft.directory import MicrosoftDirectory
from calendar_sync.microsoft.tokens import fetch_token

__all__ = ["MicrosoftCalendar", "MicrosoftDirectory", "fetch_token"]
