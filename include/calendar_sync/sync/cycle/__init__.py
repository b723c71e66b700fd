"""One pass over one (user, platform): read both sides, plan, apply, record."""

from calendar_sync.sync.cycle.paused import Paused
from calendar_sync.sync.cycle.run import Cycle, CycleResult

__all__ = ["Cycle", "CycleResult", "Paused"]
