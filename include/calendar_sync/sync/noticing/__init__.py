"""Find out which users have work: Welkin's feeds, polls of the calendars, and what is due."""

from calendar_sync.sync.noticing.find import Found, find_changed_users

__all__ = ["Found", "find_changed_users"]
