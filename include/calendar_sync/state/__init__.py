"""The state database: what the sync knows between two cycles."""

from calendar_sync.state.database import Database
from calendar_sync.state.store import Store

__all__ = ["Database", "Store"]
