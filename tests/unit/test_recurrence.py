"""What a rule promises, against an engine of its own that only knows how to look at one day."""

import calendar
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from calendar_sync.adapters.google.recurrence import may_have_instances
from calendar_sync.core.model import Window

CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
ZONES = ("America/Los_Angeles", "America/New_York", "Europe/Berlin", "Asia/Tokyo",
         "Pacific/Kiritimati", "Pacific/Pago_Pago", "Australia/Lord_Howe")  # fmt: skip
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Rule:
    """A random rule whose first day is one of its days."""

    def __init__(self, chance: random.Random) -> None:
        self.first = date(2025, 1, 1) + chance.randrange(500) * DAY
        self.every = chance.choice([1, 1, 1, 2, 3, 5])
        self.kind = chance.choice(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
        self.opening = chance.choice([0, 6])
        own = self.first.weekday()
        self.days = {own, *chance.sample(range(7), chance.randrange(3))}
        # Which such weekday of its month it is, from either end; 0 for the day of the month.
        length = calendar.monthrange(self.first.year, self.first.month)[1]
        ordinals = [(self.first.day - 1) // 7 + 1, -((length - self.first.day) // 7 + 1)]
        self.ordinal = chance.choice([0, *ordinals])
        self.from_end = chance.random() < 0.3
        self.count = chance.choice([0, 0, 1, 2, 7, 30])
        self.until = None if self.count else chance.choice([None, chance.randrange(200)])

    def text(self, hour: datetime, *, as_day: bool) -> str:
        parts = [f"FREQ={self.kind}", f"INTERVAL={self.every}"]
        if self.kind == "WEEKLY":
            names = ",".join(CODES[day] for day in sorted(self.days))
            parts += [f"BYDAY={names}", f"WKST={CODES[self.opening]}"]
        elif self.kind in ("MONTHLY", "YEARLY"):
            if self.ordinal:
                parts.append(f"BYDAY={self.ordinal}{CODES[self.first.weekday()]}")
            else:
                parts.append(
                    f"BYMONTHDAY={self._from_end(self.first) if self.from_end else self.first.day}"
                )
            if self.kind == "YEARLY":
                parts.append(f"BYMONTH={self.first.month}")
        if self.count:
            parts.append(f"COUNT={self.count}")
        if self.until is not None:
            last = hour + self.until * DAY
            parts.append(f"UNTIL={last:%Y%m%d}" if as_day else
                         f"UNTIL={last.astimezone(UTC):%Y%m%dT%H%M%SZ}")  # fmt: skip
        return "RRULE:" + ";".join(parts)

    def _from_end(self, day: date) -> int:
        return day.day - calendar.monthrange(day.year, day.month)[1] - 1

    def holds(self, day: date) -> bool:
        """It is one of the rule's days, whatever its end."""
        months = (day.year - self.first.year) * 12 + day.month - self.first.month
        if self.kind == "DAILY":
            return (day - self.first).days % self.every == 0
        if self.kind == "WEEKLY":
            weeks = (self._week(day) - self._week(self.first)).days // 7
            return weeks % self.every == 0 and day.weekday() in self.days
        if self.kind == "MONTHLY" and months % self.every:
            return False
        if self.kind == "YEARLY" and (months % (12 * self.every)):
            return False
        if self.ordinal:
            length = calendar.monthrange(day.year, day.month)[1]
            place = (day.day - 1) // 7 + 1
            if self.ordinal < 0:
                place = -((length - day.day) // 7 + 1)
            return day.weekday() == self.first.weekday() and place == self.ordinal
        if self.from_end:
            return self._from_end(day) == self._from_end(self.first)
        return day.day == self.first.day

    def _week(self, day: date) -> date:
        return day - (day.weekday() - self.opening) % 7 * DAY

    def takes_place(self, last: date) -> list[date]:
        found: list[date] = []
        end = last if self.until is None else min(last, self.first + self.until * DAY)
        day = self.first
        while day <= end and not (self.count and len(found) == self.count):
            if self.holds(day):
                found.append(day)
            day += DAY
        return found


@pytest.mark.parametrize("whole_days", [False, True])
def test_an_empty_answer_is_judged_as_the_days_of_the_rule_say(whole_days: bool) -> None:
    chance = random.Random(17)  # noqa: S311 - seeded on purpose
    promised = 0
    for _ in range(2500):
        rule = Rule(chance)
        zone = ZoneInfo(chance.choice(ZONES))
        hour = datetime(rule.first.year, rule.first.month, rule.first.day, chance.randrange(24),
                        chance.choice([0, 30]), tzinfo=zone)  # fmt: skip
        row: dict[str, Any] = {"id": "s", "recurrence": [rule.text(hour, as_day=whole_days)]}
        if whole_days:
            row |= {"start": {"date": f"{rule.first}"}, "end": {"date": f"{rule.first + DAY}"}}
        else:
            row |= {
                name: {"dateTime": moment.astimezone(UTC).isoformat(), "timeZone": zone.key}
                for name, moment in (("start", hour), ("end", hour + HOUR))
            }
        low = hour.astimezone(UTC) + chance.randrange(-20, 400) * DAY
        window = Window(low, low + chance.choice([1, 7, 30, 120]) * DAY)
        days = rule.takes_place((window.end + 3 * DAY).date())
        moments = [
            datetime.combine(day, hour.timetz() if not whole_days else datetime.min.time(), zone)
            for day in days
        ]
        length = DAY if whole_days else HOUR
        inside = any(m < window.end and m + length > window.start for m in moments)
        near = any(
            m < window.end + 3 * DAY and m + length > window.start - 3 * DAY for m in moments
        )
        judged = may_have_instances(row, window)
        promised += judged
        assert judged or not inside, (row, window)
        assert near or not judged, (row, window)
    assert 500 < promised < 2300, "both answers were asked for"


def test_a_late_evening_in_the_americas_is_meant_by_its_own_day() -> None:
    """Monday 22:00 in New York is Tuesday in UTC."""
    row = {
        "id": "s",
        "recurrence": ["RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=1"],
        "start": {"dateTime": "2026-03-02T22:00:00-05:00", "timeZone": "America/New_York"},
        "end": {"dateTime": "2026-03-02T23:00:00-05:00", "timeZone": "America/New_York"},
    }
    window = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 5, tzinfo=UTC))
    assert may_have_instances(row, window)
    later = Window(datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 3, 12, tzinfo=UTC))
    assert not may_have_instances(row, later)


def test_left_out_and_added_days_are_meant_by_the_same_clocks() -> None:
    row = {
        "id": "s",
        "recurrence": [
            "EXDATE;TZID=America/New_York:20260309T220000",
            "RDATE:20260601T020000Z",
            "RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=2",
        ],
        "start": {"dateTime": "2026-03-02T22:00:00-05:00", "timeZone": "America/New_York"},
        "end": {"dateTime": "2026-03-02T23:00:00-05:00", "timeZone": "America/New_York"},
    }

    def around(month: int, day: int) -> Window:
        start = datetime(2026, month, day, tzinfo=UTC)
        return Window(start - 2 * DAY, start + 2 * DAY)

    assert may_have_instances(row, around(3, 2))
    assert not may_have_instances(row, around(3, 10))
    assert may_have_instances(row, around(6, 1))


@pytest.mark.parametrize("line", ["RRULE:FREQ=SECONDLY", "nonsense", "RDATE;VALUE=PERIOD:x/y"])
def test_a_rule_that_cannot_be_computed_may_have_instances(line: str) -> None:
    row = {
        "id": "s",
        "recurrence": [line],
        "start": {"dateTime": "2016-03-02T22:00:00Z", "timeZone": "UTC"},
        "end": {"dateTime": "2016-03-02T23:00:00Z", "timeZone": "UTC"},
    }
    window = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 5, tzinfo=UTC))
    assert may_have_instances(row, window)
