"""Does a recurrence rule promise anything in a window? Only to judge an empty answer."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo

from dateutil.rrule import rrulestr

from calendar_sync.core.model import Span, Window

DAY = timedelta(days=1)
# A rule that gives more before the window is not looked through: it promises something, as most.
LONGEST = 50_000
_UNTIL = re.compile(r"UNTIL=([0-9TZ]+)", re.IGNORECASE)


def promises(lines: Sequence[str], first: Span, window: Window, zone: tzinfo = UTC) -> bool:
    """False only when the rule (RFC 5545 lines) surely gives nothing that overlaps the window.

    `first` is the time of the first instance, which counts whether the rule gives it or not;
    `zone` is where the rule's days are meant: an evening in the Americas is the next day in UTC.
    Cancelled exceptions are not known here: a rule whose every instance was cancelled one by one
    counts as promising.
    """
    try:
        start, end = _clock(first.start, zone), _clock(first.end, zone)
        # Clocks are less than a day from UTC.
        low = _clock(window.start, UTC) - max(end - start, timedelta(0)) - DAY
        high = _clock(window.end, UTC) + DAY
        if low <= start < high:
            return True
        rule = rrulestr("\n".join(_by_the_clock(lines, zone)), dtstart=start, forceset=True)
        for number, moment in enumerate(rule):
            if moment >= low or number == LONGEST:
                return bool(moment < high)
    except Exception:  # an unreadable rule may have occurrences
        return True
    return False


def _by_the_clock(lines: Sequence[str], zone: tzinfo) -> Iterator[str]:
    """The rule with every moment in it as the clocks of its zone show it."""
    for line in lines:
        name, _, value = line.partition(":")
        kind = name.partition(";")[0].upper()
        if kind in {"EXDATE", "RDATE"}:
            moments = (_written(moment, zone, "000000") for moment in value.split(","))
            yield f"{kind}:{','.join(moments)}"
        else:
            # A rule that ends with a day, ends with that day.
            yield _UNTIL.sub(lambda until: f"UNTIL={_written(until[1], zone, '235959')}", line)


def _written(text: str, zone: tzinfo, hour: str) -> str:
    day, _, time = text.strip().partition("T")
    moment = datetime.strptime(f"{day}T{time.rstrip('Zz') or hour}", "%Y%m%dT%H%M%S")
    if text.strip().upper().endswith("Z"):
        moment = _clock(moment.replace(tzinfo=UTC), zone)
    return moment.strftime("%Y%m%dT%H%M%S")


def _clock(moment: datetime | date, zone: tzinfo) -> datetime:
    """What the clocks there show, without a zone: days and weeks are counted by it."""
    if isinstance(moment, datetime):
        return moment.astimezone(zone).replace(tzinfo=None)
    return datetime(moment.year, moment.month, moment.day)
