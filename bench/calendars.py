"""Personal calendars with years of history, built once for each kind and copied to accounts.

Building an event checks it as the API does and takes a tenth of a millisecond; a thousand
calendars of a thousand events are copied instead. Bodies are never changed in place, so copies
share what does not name the owner.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from calendar_sync_sandbox.google.store import Calendar, Version
from calendar_sync_sandbox.google.world import GoogleWorld

if TYPE_CHECKING:
    from calendar_sync_sandbox.calendars import CalendarWorld
    from calendar_sync_sandbox.clock import Clock
    from calendar_sync_sandbox.microsoft.world import MicrosoftWorld

YEARS = 3
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
#: The last day that each month of each year has: Outlook and iCalendar differ about later ones.
EACH_MONTH = 28
NOTES = "Please bring what was agreed last time. Dial in with the usual number. " * 3


@dataclass(frozen=True)
class Kind:
    """How full a calendar is: single events of the past three years, and of the next 60 days."""

    name: str
    past: int
    ahead: int


KINDS = (Kind("light", 300, 12), Kind("usual", 600, 20), Kind("heavy", 900, 30))
ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")
DESCRIPTION = (
    f"{YEARS} years of history: {', '.join(str(kind.past) for kind in KINDS)} single events in the "
    f"past (a third of the accounts each) and {', '.join(str(kind.ahead) for kind in KINDS)} in "
    "the next 60 days; a weekly team meeting since three years with instances moved and cancelled, "
    "a fortnightly talk since a year, a monthly evening, a weekly course that has ended, four "
    "birthdays, seven holidays"
)


class Calendars:
    """Originals of every kind and zone, and copies of them."""

    def __init__(self, clock: Clock, start: datetime) -> None:
        self._clock = clock
        self._start = start
        self._originals: dict[tuple[str, str], Calendar] = {}

    def give(self, target: Calendar, kind: Kind) -> None:
        """Fill an empty primary calendar as if its owner had kept it for three years."""
        original = self._original(kind, target.time_zone)
        own = {
            "creator": {"email": target.owner, "self": True},
            "organizer": {"email": target.owner, "self": True},
        }
        for event_id, versions in original.records.items():
            last = versions[-1]
            body = {**last.body, **own}
            target.records[event_id] = [Version(last.seq, last.at, body, last.start, last.end)]
        target.seq = original.seq
        target.journal = dict(original.journal)
        target.exceptions = {key: list(ids) for key, ids in original.exceptions.items()}
        target.changed_at = list(original.changed_at)

    def _original(self, kind: Kind, zone: str) -> Calendar:
        key = (kind.name, zone)
        if key not in self._originals:
            world = GoogleWorld(self._clock, len(self._originals), "https://localhost")
            world.add_account("original@example.org", zone)
            _Keeper(world, zone, self._start, kind).fill()
            self._originals[key] = world.calendar("original@example.org")
        return self._originals[key]


def keep(world: MicrosoftWorld, account: str, kind: Kind, start: datetime) -> None:
    """The same for a mailbox of Microsoft, less what lies before the window: no view shows it."""
    keeper = _OutlookKeeper(world, world.account(account).time_zone, start, kind)
    keeper.account = account
    keeper.fill()


class _Keeper:
    """Somebody who has kept a calendar for years."""

    account = "original@example.org"
    years: float = YEARS

    def __init__(self, world: CalendarWorld, zone: str, start: datetime, kind: Kind) -> None:
        self.world: Any = world
        self.kind = kind
        self.zone = ZoneInfo(zone)
        self.today = start.astimezone(self.zone).date()
        self.dice = random.Random(f"calendar-{kind.name}-{zone}")  # noqa: S311 - reproducible

    def fill(self) -> None:
        span = YEARS * 365
        for number in range(self.kind.past):
            days = -1 - number * span // self.kind.past
            if days > -self.years * 365:
                self._single(days)
        for number in range(self.kind.ahead):
            self._single(1 + number * 60 // self.kind.ahead)
        self._series()
        self._days()

    def _at(self, days: int, hour: int, minute: int = 0) -> datetime:
        day = self.today + timedelta(days=days)
        # Weekends move to Monday: these are working people.
        day += timedelta(days=7 - day.weekday()) if day.weekday() > 4 else timedelta()
        return datetime.combine(day, time(hour, minute), self.zone)

    def _single(self, days: int) -> None:
        begin = self._at(days, self.dice.randint(8, 17), self.dice.choice((0, 30)))
        length = self.dice.choice((30, 30, 60, 60, 90))
        title = f"Appointment {self.dice.randint(1, 999)}"
        fields = self._fields(
            title, notes=self.dice.random() < 0.3, guests=3 if self.dice.random() < 0.25 else 0
        )
        end = begin + timedelta(minutes=length)
        self.world.add_event(self.account, start=begin, end=end, **fields)

    def _fields(self, title: str, *, notes: bool, guests: int) -> dict[str, Any]:
        fields: dict[str, Any] = {"summary": title}
        if notes:
            fields |= {"description": NOTES, "location": "Room 4, second floor"}
        if guests:
            fields["attendees"] = [
                {"email": f"guest{number}@example.org", "responseStatus": "accepted"}
                for number in range(guests)
            ]
        return fields

    def _series(self) -> None:
        account = self.account
        monday = -YEARS * 365 - (self.today - timedelta(days=YEARS * 365)).weekday()
        team = self._repeat(self._at(monday, 9), HOUR, "FREQ=WEEKLY", "Team")
        for week in (10, 45, 90, 120, 158):
            wall = self._at(monday + 7 * week, 9)
            self.world.move_instance(account, team, wall, wall + 2 * HOUR, wall + 3 * HOUR)
        for week in (20, 52, 104, 130, 160):
            self.world.delete_instance(account, team, self._at(monday + 7 * week, 9))
        since = monday + 2 * 365 - (2 * 365) % 7
        self._repeat(self._at(since + 2, 14), HOUR / 2, "FREQ=WEEKLY;INTERVAL=2", "Talk")
        evening = since + 3
        while self._at(evening, 18).day > EACH_MONTH:
            evening += 1
        self._repeat(self._at(evening, 18), 2 * HOUR, "FREQ=MONTHLY", "Evening")
        self._repeat(self._at(since - 4, 12), HOUR, "FREQ=WEEKLY;COUNT=40", "Course")

    def _repeat(self, begin: datetime, length: timedelta, rule: str, title: str) -> str:
        return str(self.world.plan_series(self.account, rule, begin, begin + length, title))

    def _days(self) -> None:
        account = self.account
        for number in range(4):
            day = self.today - timedelta(days=YEARS * 365 - 90 * number)
            day = day.replace(day=min(day.day, EACH_MONTH))
            title = self.world.words(title=f"Birthday {number}", free=True)
            self.world.add_series(account, "FREQ=YEARLY", day, day + DAY, **title)
        for number in range(7):
            first = self.today + timedelta(days=40 - 180 * number)
            self.world.plan(account, first, first + timedelta(days=10), "Holiday")


class _OutlookKeeper(_Keeper):
    """The same person with Outlook; only what a view of the sync's window can show is kept."""

    years = 0.1

    def _fields(self, title: str, *, notes: bool, guests: int) -> dict[str, Any]:
        fields: dict[str, Any] = {"subject": title}
        if notes:
            fields["body"] = {"contentType": "text", "content": NOTES}
        if guests:
            fields["attendees"] = [
                {
                    "emailAddress": {"address": f"guest{number}@example.org"},
                    "type": "required",
                    "status": {"response": "accepted"},
                }
                for number in range(guests)
            ]
        return fields
