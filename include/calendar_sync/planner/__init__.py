"""Decide what a cycle does: pure functions of what was read, without clock, I/O or chance.

`questions` says what must still be read before a plan can be made (an item that a complete read
does not show is read by its id before it counts as missing); `plan` then makes the actions.
"""

from calendar_sync.planner.buffers import block_span
from calendar_sync.planner.busy import blocks_time
from calendar_sync.planner.lookups import Questions, questions
from calendar_sync.planner.plan import plan
from calendar_sync.planner.snapshot import CalendarView, View

__all__ = ["CalendarView", "Questions", "View", "block_span", "blocks_time", "plan", "questions"]
