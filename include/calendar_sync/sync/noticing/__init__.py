"""Find out which users have work: Welkin's feeds, polls of the calendars, and what is due."""

from calendar_sync.sync.noticing.find import SLOTS, Looking, WorkFound, find_work, task_count

__all__ = ["SLOTS", "Looking", "WorkFound", "find_work", "task_count"]
