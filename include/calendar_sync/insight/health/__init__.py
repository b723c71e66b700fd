"""Is everybody's mapping right, and what needs a person? Verdicts on accounts, and the report."""

from calendar_sync.insight.health.accounts import groups, validate
from calendar_sync.insight.health.report import build
from calendar_sync.insight.health.verdicts import ADVICE, AccountVerdict

__all__ = ["ADVICE", "AccountVerdict", "build", "groups", "validate"]
