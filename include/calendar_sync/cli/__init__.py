"""The command `calendar-sync`: set up, inspect, and sync without a scheduler.

Exit codes: 0 all done, 1 the command failed, 2 wrong usage, 3 some users failed.
"""

from calendar_sync.cli.app import main

__all__ = ["main"]
