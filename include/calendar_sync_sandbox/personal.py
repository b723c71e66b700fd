"""The private events of one member of staff: every kind that has ever broken a calendar sync."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from calendar_sync_sandbox.google.world import GoogleWorld

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ELSEWHERE = {"email": "organiser@partner.example"}
TITLES = (
    "Zahnarzt 🦷 & 👩‍👧‍👦 abholen",
    "\u200fموعد مع المدرسة\u200f",
    "<script>alert('calendar')</script>",
    '=HYPERLINK("https://example.org/","Budget")',
    "Two\r\nlines",
    "Nul\x00byte",
    "x" * 10_000,
    "",
)


def fill(google: GoogleWorld, account: str, start: datetime) -> None:
    """Put about thirty awkward events into the weeks after ``start``, and a few before.

    Args:
        google: the world.
        account: whose primary calendar.
        start: moment around which the events lie; its local date in the account's zone counts.
    """
    _Person(google, account, start).fill()


class Weeks:
    """The days around a moment, on the clock of one account."""

    def __init__(self, account: str, zone_name: str, start: datetime) -> None:
        """Take the local date of ``start`` as the first day."""
        self.account = account
        self.zone_name = zone_name
        self.zone = ZoneInfo(zone_name)
        self.today = start.astimezone(self.zone).date()

    def at(self, days: int, hour: int, minute: int = 0) -> datetime:
        """Return the moment of a local time so many days later."""
        wall = datetime.combine(self.today + timedelta(days=days), time(hour, minute), self.zone)
        return wall.astimezone(UTC)

    def clock_change(self) -> date | None:
        """Return the next day that has not 24 hours."""
        for days in range(1, 200):
            day = self.today + timedelta(days=days)
            noon = datetime.combine(day, time(), self.zone)
            later = datetime.combine(day + DAY, time(), self.zone)
            if noon.utcoffset() != later.utcoffset():
                return day
        return None


class _Person(Weeks):
    def __init__(self, google: GoogleWorld, account: str, start: datetime) -> None:
        super().__init__(account, google.account(account).time_zone, start)
        self.google = google

    def fill(self) -> None:
        self._answers()
        self._status_events()
        self._days()
        self._series()
        self._titles()
        self._strange_times()

    def meet(
        self, days: int, hour: int, title: str, length: timedelta = HOUR, **fields: Any
    ) -> dict[str, Any]:
        start = self.at(days, hour)
        return self.google.add_event(
            self.account, start=start, end=start + length, summary=title, **fields
        )

    def _answers(self) -> None:
        self.meet(-3, 9, "Yesterday's news")
        self.meet(1, 8, "Plain and busy")
        self.meet(1, 10, "Shown as free", transparency="transparent")
        self.meet(2, 9, "Perhaps", status="tentative")
        self.meet(2, 13, "Private matter", visibility="private")
        guest: dict[str, Any] = {"organizer": ELSEWHERE, "creator": ELSEWHERE}
        for hour, answer in enumerate(("declined", "tentative", "accepted", "needsAction"), 9):
            guests = [
                {"email": ELSEWHERE["email"], "organizer": True, "responseStatus": "accepted"},
                {"email": self.account, "responseStatus": answer},
            ]
            self.meet(4, hour, f"Invited, {answer}", attendees=guests, **guest)
        gone = self.meet(5, 9, "Deleted long ago")
        self.google.delete_event(self.account, gone["id"])

    def _status_events(self) -> None:
        decline = {"autoDeclineMode": "declineNone"}
        self.meet(
            3,
            9,
            "Home",
            8 * HOUR,
            eventType="workingLocation",
            transparency="transparent",
            visibility="public",
            workingLocationProperties={"type": "homeOffice", "homeOffice": {}},
        )
        self.meet(3, 14, "Focus", eventType="focusTime", focusTimeProperties=decline)
        self.meet(6, 12, "Away", 4 * HOUR, eventType="outOfOffice", outOfOfficeProperties=decline)
        self.meet(7, 18, "Table for two", eventType="fromGmail")
        birthday = self.today + timedelta(days=8)
        self.google.add_series(
            self.account,
            "FREQ=YEARLY",
            birthday,
            birthday + DAY,
            summary="Birthday",
            eventType="birthday",
            transparency="transparent",
            visibility="private",
            birthdayProperties={"type": "birthday"},
        )

    def _days(self) -> None:
        def whole(first: date, days: int, title: str, **fields: Any) -> None:
            end = first + timedelta(days=days)
            self.google.add_event(self.account, start=first, end=end, summary=title, **fields)

        whole(self.today + timedelta(days=9), 1, "Training day")
        whole(self.today + timedelta(days=10), 1, "Colleague away", transparency="transparent")
        whole(self.today + timedelta(days=20), 16, "Holiday")
        change = self.clock_change()
        if change is not None:
            whole(change, 1, "Day the clocks change")

    def _series(self) -> None:
        first = self.at(-13, 11)
        series = self.google.add_series(
            self.account, "FREQ=WEEKLY", first, first + HOUR, summary="Team, for ever"
        )
        walls = [self.at(-13 + 7 * week, 11) for week in range(6)]
        self.google.move_instance(
            self.account, series["id"], walls[3], walls[3] + 3 * HOUR, walls[3] + 4 * HOUR
        )
        self.google.delete_instance(self.account, series["id"], walls[4])
        start = self.at(2, 16)
        self.google.add_series(
            self.account, "FREQ=DAILY;COUNT=5", start, start + HOUR / 2, summary="Course"
        )
        monday = self.today + timedelta(days=11)
        self.google.add_series(
            self.account, "FREQ=WEEKLY;COUNT=3", monday, monday + DAY, summary="On call"
        )

    def _titles(self) -> None:
        for number, title in enumerate(TITLES):
            self.meet(12 + number // 3, 8 + number % 3 * 2, title)

    def _strange_times(self) -> None:
        instant = self.at(15, 15)
        self.google.add_event(self.account, start=instant, end=instant, summary="No length")
        night = self.at(16, 22)
        self.google.add_event(self.account, start=night, end=night + 5 * HOUR, summary="Night")
        far = datetime.combine(self.today + timedelta(days=17), time(1), ZoneInfo("UTC"))
        for name in ("Pacific/Kiritimati", "Etc/GMT+12"):
            zoned = {"dateTime": f"{far:%Y-%m-%dT%H:%M:%S}", "timeZone": name}
            until = {"dateTime": f"{far + HOUR:%Y-%m-%dT%H:%M:%S}", "timeZone": name}
            self.google.add_event(self.account, start=zoned, end=until, summary="Far away")
        change = self.clock_change()
        if change is None:
            return
        # On one of the two changes of a year this hour is missing, on the other it comes twice.
        hour = {"dateTime": f"{change}T02:30:00", "timeZone": self.zone_name}
        after = {"dateTime": f"{change}T04:00:00", "timeZone": self.zone_name}
        self.google.add_event(self.account, start=hour, end=after, summary="Small hours")
