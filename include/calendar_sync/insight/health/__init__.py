"""Is everybody's mapping right, and what needs a person? Verdicts on accounts, and the report."""

from calendar_sync.insight.health.accounts import groups, validate
from calendar_sync.insight.health.report import build

__all__ = ["build", "groups", "validate"]
