"""`calendar-sync selftest`: test the sync in both directions on the configured systems.

A marked appointment and a marked busy event are made, followed to the other side and back, and
removed again. Everything that a test makes carries a unique mark, so that a
later test finds and removes what a lost process has left.
"""

from calendar_sync.operations.selftest.choose import Chosen, choose
from calendar_sync.operations.selftest.report import Report, SelfTestStep, StepState
from calendar_sync.operations.selftest.run import SelfTest
from calendar_sync.operations.selftest.syncing import Options

__all__ = ["Chosen", "Options", "Report", "SelfTest", "SelfTestStep", "StepState", "choose"]
