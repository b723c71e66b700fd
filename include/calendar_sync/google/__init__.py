"""The adapter for Google Calendar."""

from calendar_sync.google.client import GoogleCalendar
from calendar_sync.google.tokens import SCOPE, fetch_token

__all__ = ["SCOPE", "GoogleCalendar", "fetch_token"]
