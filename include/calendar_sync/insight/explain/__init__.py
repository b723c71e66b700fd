"""Why: what the sync thinks of an appointment, an event, a user. Reads only, on all sides.

The judgement is the planner's own; here it is put into words. Pages and the command line show the
same `Explanation`.
"""

from calendar_sync.insight.explain.appointment import explain_appointment
from calendar_sync.insight.explain.day import Day, explain_day
from calendar_sync.insight.explain.event import explain_event
from calendar_sync.insight.explain.explanation import Explanation, Fact, Part, Rule
from calendar_sync.insight.explain.look import Look
from calendar_sync.insight.explain.user import explain_user

__all__ = [
    "Day",
    "Explanation",
    "Fact",
    "Look",
    "Part",
    "Rule",
    "explain_appointment",
    "explain_day",
    "explain_event",
    "explain_user",
]
