"""The adapter for calendars of Microsoft 365, by Microsoft Graph."""

from calendar_sync.adapters.microsoft.client import MicrosoftCalendar
from calendar_sync.adapters.microsoft.directory import MicrosoftDirectory
from calendar_sync.adapters.microsoft.tokens import fetch_token

__all__ = ["MicrosoftCalendar", "MicrosoftDirectory", "fetch_token"]
