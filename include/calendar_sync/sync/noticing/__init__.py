"""Find out which users have work: Welkin's feeds, polls of the calendars, and what is due."""

from calendar_sync.sync.noticing.find import Looking, WorkFound, find_work

__all__ = ["Looking", "WorkFound", "find_work"]
