"""Does a recurrence rule promise anything in a window? Only to judge an empty answer."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from calendar_sync.model import Span, Window


def promises(lines: Sequence[str], first: Span, window: Window) -> bool:
    """False only when the rule (RFC 5545 lines) surely gives nothing that overlaps the window.

    `first` is the time of the first instance. Cancelled exceptions are not known here: a rule
    whose every instance was cancelled one by one counts as promising.
    """
    start, end = first.instants(ZoneInfo("UTC"))
    length = max(end - start, timedelta(0))
    try:
        rule = rrulestr("\n".join(lines), dtstart=start, forceset=True)
        found = rule.after(window.start - length - timedelta(days=1), inc=True)
    except Exception:  # a rule that nobody can read may promise anything
        return True
    return isinstance(found, datetime) and found < window.end + timedelta(days=1)
