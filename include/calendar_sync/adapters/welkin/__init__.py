"""The adapter for Welkin's REST API."""

from calendar_sync.adapters.welkin.client import AuditUnavailable, BlockDraft, Encounters, Welkin
from calendar_sync.adapters.welkin.feeds import Deletions, EncounterRow, EventRow, FeedPage

__all__ = [
    "AuditUnavailable",
    "BlockDraft",
    "Deletions",
    "EncounterRow",
    "Encounters",
    "EventRow",
    "FeedPage",
    "Welkin",
]
