"""The private events of one member of staff in Outlook, with what is awkward about Outlook."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.microsoft.recurrence import from_rrule
from calendar_sync_sandbox.microsoft.times import windows_name
from calendar_sync_sandbox.microsoft.writes import person
from calendar_sync_sandbox.personal import DAY, HOUR, TITLES, Weeks

if TYPE_CHECKING:
    from calendar_sync_sandbox.microsoft.times import Json
    from calendar_sync_sandbox.microsoft.world import MicrosoftWorld

ELSEWHERE = "organiser@partner.example"
ANSWERS = ("declined", "tentativelyAccepted", "accepted", "notResponded")
MEETING_BODY = (
    "<html><head></head><body><p>Agenda &amp; minutes</p><hr>"
    '<div><a href="https://teams.microsoft.com/l/meetup-join/0">Join the meeting</a></div>'
    "</body></html>"
)


def fill(world: MicrosoftWorld, account: str, start: datetime) -> None:
    """Put about thirty awkward events into the weeks after ``start``, and a few before.

    Args:
        world: the world.
        account: whose primary calendar.
        start: moment around which the events lie; its local date in the account's zone counts.
    """
    _Person(world, account, start).fill()


class _Person(Weeks):
    def __init__(self, world: MicrosoftWorld, account: str, start: datetime) -> None:
        super().__init__(account, world.account(account).time_zone, start)
        self.world = world

    def fill(self) -> None:
        self._answers()
        self._ways_to_be_away()
        self._days()
        self._series()
        self._titles()
        self._strange_times()

    def meet(
        self, days: int, hour: int, title: str, length: timedelta = HOUR, **fields: Any
    ) -> Json:
        start = self.at(days, hour)
        return self.world.add_event(
            self.account, start=start, end=start + length, subject=title, **fields
        )

    def _answers(self) -> None:
        self.meet(-3, 9, "Yesterday's news")
        self.meet(1, 8, "Plain and busy")
        self.meet(1, 10, "Shown as free", showAs="free")
        self.meet(2, 9, "Perhaps", showAs="tentative")
        for hour, word in enumerate(("private", "confidential", "personal"), 12):
            self.meet(2, hour, f"Marked {word}", sensitivity=word)
        for hour, answer in enumerate(ANSWERS, 9):
            self._invited(4, hour, f"Invited, {answer}", answer)
        self._invited(5, 14, "Canceled: Review", "accepted", isCancelled=True, showAs="free")
        self._invited(5, 16, "Canceled: Still busy", "accepted", isCancelled=True)
        gone = self.meet(5, 9, "Deleted long ago")
        self.world.delete_event(self.account, gone["id"])

    def _invited(self, days: int, hour: int, title: str, answer: str, **fields: Any) -> None:
        status = {"response": answer, "time": "2026-01-05T08:00:00Z"}
        guests = [
            {"type": "required", "status": {**status, "response": "none"}, **person(ELSEWHERE)},
            {"type": "optional", "status": status, **person(self.account)},
        ]
        self.meet(
            days,
            hour,
            title,
            attendees=guests,
            organizer=person(ELSEWHERE),
            responseStatus=status,
            **fields,
        )

    def _ways_to_be_away(self) -> None:
        self.meet(3, 9, "Working from home", 8 * HOUR, showAs="workingElsewhere")
        self.meet(6, 12, "Away", 4 * HOUR, showAs="oof")
        body = {"contentType": "html", "content": MEETING_BODY}
        self.meet(7, 11, "On line", body=body, isOnlineMeeting=True)

    def _days(self) -> None:
        def whole(first: date, days: int, title: str, **fields: Any) -> None:
            end = first + timedelta(days=days)
            self.world.add_event(self.account, start=first, end=end, subject=title, **fields)

        whole(self.today + timedelta(days=9), 1, "Training day", showAs="oof")
        whole(self.today + timedelta(days=10), 1, "Colleague away", showAs="free")
        whole(self.today + timedelta(days=20), 16, "Holiday", showAs="oof")
        abroad = self.today + timedelta(days=18)
        for name in ("Tokyo Standard Time", "Hawaiian Standard Time"):
            self.world.add_event(
                self.account,
                start=self._wall(datetime.combine(abroad, time()), name),
                end=self._wall(datetime.combine(abroad + DAY, time()), name),
                subject="Whole day elsewhere",
                isAllDay=True,
            )
        change = self.clock_change()
        if change is not None:
            whole(change, 1, "Day the clocks change")

    def _series(self) -> None:
        first = self.at(-13, 11)
        series = self.world.add_series(
            self.account, "FREQ=WEEKLY", first, first + HOUR, subject="Team, for ever"
        )
        walls = [self.at(-13 + 7 * week, 11) for week in range(6)]
        self.world.move_instance(
            self.account, series["id"], walls[3], walls[3] + 3 * HOUR, walls[3] + 4 * HOUR
        )
        self.world.delete_instance(self.account, series["id"], walls[4])
        start = self.at(2, 16)
        self.world.add_series(
            self.account, "FREQ=DAILY;COUNT=5", start, start + HOUR / 2, subject="Course"
        )
        monday = self.today + timedelta(days=11)
        self.world.add_series(
            self.account, "FREQ=WEEKLY;COUNT=3", monday, monday + DAY, subject="On call"
        )
        evening = self.at(1, 19)
        self.world.add_series(
            self.account, "FREQ=MONTHLY;BYDAY=-1FR", evening, evening + HOUR, subject="Last Friday"
        )
        # Outlook's 31st is the last day of a shorter month: no rule of iCalendar says so.
        where = self.world.account(self.account).zone_name
        monthly = from_rrule("FREQ=MONTHLY;BYMONTHDAY=1", self.today + DAY, where)
        monthly["pattern"]["dayOfMonth"] = 31
        self.world.add_event(
            self.account, start=evening, end=evening + HOUR, recurrence=monthly, subject="Accounts"
        )
        birthday = self.today + timedelta(days=8)
        birthday += (birthday.month == 2 and birthday.day == 29) * DAY  # Outlook has none of these
        self.world.add_series(
            self.account, "FREQ=YEARLY", birthday, birthday + DAY, subject="Birthday", showAs="free"
        )

    def _titles(self) -> None:
        for number, title in enumerate(TITLES):
            self.meet(12 + number // 3, 8 + number % 3 * 2, title)

    def _strange_times(self) -> None:
        instant = self.at(15, 15)
        self.world.add_event(self.account, start=instant, end=instant, subject="No length")
        night = self.at(16, 22)
        self.world.add_event(self.account, start=night, end=night + 5 * HOUR, subject="Night")
        far = datetime.combine(self.today + timedelta(days=17), time(1))
        for name in ("Line Islands Standard Time", "Dateline Standard Time"):
            self._walls(far, far + HOUR, name, "Far away")
        old = datetime.combine(self.today + timedelta(days=6), time(8))
        for number, name in enumerate(("tzone://Microsoft/Custom", "Customized Time Zone")):
            begin = old + number * HOUR
            self._walls(begin, begin + HOUR, name, "From an old phone")
        change = self.clock_change()
        if change is not None:
            # On one of the two changes of a year this hour is missing, on the other it comes twice.
            begin, end = (datetime.combine(change, time(*hour)) for hour in ((2, 30), (4, 0)))
            self._walls(begin, end, windows_name(self.zone_name), "Small hours")

    def _walls(self, start: datetime, end: datetime, zone_name: str, title: str) -> None:
        self.world.add_event(
            self.account,
            start=self._wall(start, zone_name),
            end=self._wall(end, zone_name),
            subject=title,
        )

    def _wall(self, moment: datetime, zone_name: str) -> Json:
        return {"dateTime": f"{moment:%Y-%m-%dT%H:%M:%S}", "timeZone": zone_name}
