"""A seeded organisation: its staff, patients and schedule in Welkin, its staff's mailboxes."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from calendar_sync_sandbox import personal
from calendar_sync_sandbox.microsoft import personal as outlook

if TYPE_CHECKING:
    from calendar_sync_sandbox.sandbox import Sandbox
    from calendar_sync_sandbox.welkin.records import User

FIRST = (
    "Dana", "Ruben", "Mira", "Teo", "Ilse", "Omar", "Priya", "Jonas", "Wren", "Lucia", "Kofi",
    "Nell", "Sora", "Bram", "Ada", "Yusuf", "Greta", "Pablo", "Hana", "Milo", "Vera", "Ines",
    "Tarek", "Juno", "Emil",
)  # fmt: skip
LAST = (
    "Hale", "Okafor", "Lind", "Marsh", "Petrov", "Quill", "Sandoval", "Thorne", "Underhill", "Voss",
    "Whitlock", "Yarrow", "Zeller",
)  # fmt: skip
# Welkin knows old alias names, and for some people no zone at all.
ZONES = (
    ("US/Eastern", "America/New_York"),
    ("US/Central", "America/Chicago"),
    ("US/Mountain", "America/Denver"),
    ("US/Pacific", "America/Los_Angeles"),
    (None, "America/New_York"),
    ("US/Hawaii", "Pacific/Honolulu"),
    ("Europe/Berlin", "Europe/Berlin"),
)
Share = Literal["none", "half", "all"] | Callable[[int], bool]
SHARES: dict[str, Callable[[int], bool]] = {
    "none": lambda _: False,
    "half": lambda number: number % 2 == 0,
    "all": lambda _: True,
}
BOTH = 2
ONSETS = ("Zyx", "Qua", "Vlo", "Xan", "Ozq", "Jyv")
MIDDLES = ("wan", "ruz", "mip", "kelv", "dox", "tyg")
ENDS = ("dael", "qorn", "vexa", "zuli", "braq", "nyth")


def organise(
    sandbox: Sandbox,
    *,
    users: int,
    encounters: int,
    start: datetime,
    microsoft: Share = "none",
) -> None:
    """Fill all services.

    Args:
        sandbox: filled in place; what is there stays.
        users: members of staff, each with a mailbox.
        encounters: booked for each of them, one in six in the past.
        start: moment around which everything lies.
        microsoft: which users have their mailbox with Microsoft instead of Google: none, all,
            every second one (the second person then has one with each), or those whose number,
            from 1, the function accepts.
    """
    sandbox.welkin.backdate = timedelta(days=1)
    try:
        _Organisation(sandbox, start, microsoft).build(users, encounters)
    finally:
        sandbox.welkin.backdate = timedelta(0)


def patient_names(number: int, dice: random.Random) -> tuple[str, str]:
    """Make a first and a last name that no person and no other patient has."""
    first = dice.choice(ONSETS) + dice.choice(MIDDLES) + dice.choice(ENDS)
    last = dice.choice(ONSETS) + dice.choice(ENDS) + dice.choice(MIDDLES)
    return f"{first}{_letters(number)}", f"{last}{_letters(number)}son"


class _Organisation:
    def __init__(self, sandbox: Sandbox, start: datetime, microsoft: Share) -> None:
        self.sandbox = sandbox
        self.microsoft = microsoft
        self.welkin = sandbox.welkin
        self.start = start
        self.dice = random.Random(f"organisation-{sandbox.seed}")  # noqa: S311 - reproducible
        self.patients: list[str] = []

    def build(self, users: int, encounters: int) -> None:
        staff = [self._hire(number) for number in range(1, users + 1)]
        for number in range(max(4, users * 2)):
            first, last = patient_names(number, self.dice)
            patient = self.welkin.add_patient(first, last, masked=number % 17 == 16)
            self.patients.append(patient.id)
        for user, zone in staff:
            self._schedule(user, zone, [u.id for u, _ in staff if u is not user], encounters)

    def _hire(self, number: int) -> tuple[User, ZoneInfo]:
        first = FIRST[(number - 1) % len(FIRST)]
        last = LAST[(number - 1) * 7 % len(LAST)]
        mailbox = f"{first}.{last}@example.org".lower()
        if number > len(FIRST):
            mailbox = f"{first}.{last}.{number}@example.org".lower()
        welkin_zone, zone_name = ZONES[(number - 1) % len(ZONES)]
        email = mailbox
        if number % 7 == 3:
            email = f"{first}.{last}@Example.org" if number <= len(FIRST) else mailbox.upper()
        elif number % 11 == 5:
            email = mailbox.replace("@", "+welkin@")
        user = self.welkin.add_user(
            email,
            first,
            last,
            welkin_zone,
            id=f"d0c70000-0000-4000-8000-{number:012d}",
            instances=(self.sandbox.instance,),
        )
        self._open(user, number, mailbox, zone_name)
        return user, ZoneInfo(zone_name)

    def _open(self, user: User, number: int, mailbox: str, zone_name: str) -> None:
        """Open the mailbox of a person, or two of them."""
        share = self.microsoft
        chosen = share(number) if callable(share) else SHARES[share](number)
        if chosen:
            self.sandbox.microsoft.add_account(mailbox, zone_name)
            self.sandbox.microsoft_accounts_of[user.id] = mailbox
            outlook.fill(self.sandbox.microsoft, mailbox, self.start)
        if not chosen or (share == "half" and number == BOTH):
            account = self.sandbox.google.add_account(mailbox, zone_name)
            account.admin = not self.sandbox.accounts_of
            self.sandbox.accounts_of[user.id] = mailbox
            personal.fill(self.sandbox.google, mailbox, self.start)

    def _schedule(self, user: User, zone: ZoneInfo, colleagues: list[str], encounters: int) -> None:
        for number in range(encounters):
            begin = self._slot(zone, number, encounters)
            template = self.dice.choice(list(self.welkin.templates.values()))
            guests = [self.dice.choice(colleagues)] if colleagues and number % 9 == 4 else []
            encounter = self.welkin.book_encounter(
                user.id,
                begin,
                begin + timedelta(minutes=template.minutes),
                template.name,
                self.dice.choice(self.patients),
                extra_user_ids=guests,
            )
            if number % 10 == 9:
                self.welkin.cancel_encounter(encounter.id)
            elif number % 13 == 12 and encounter.event_id:
                self.welkin.cancel_event(encounter.event_id)
        self._plain_events(user, zone)

    def _plain_events(self, user: User, zone: ZoneInfo) -> None:
        hour = timedelta(hours=1)

        def at(days: int, clock_hour: int) -> datetime:
            day = self.start.astimezone(zone).date() + timedelta(days=days)
            return datetime.combine(day, time(clock_hour), zone).astimezone(UTC)

        huddle = at(2, 8)
        self.welkin.book_event(user.id, huddle, huddle + hour, time_zone=user.time_zone)
        group = at(3, 16)
        self.welkin.book_event(
            user.id, group, group + 2 * hour, "GROUP_THERAPY", patient_ids=self.patients[:3]
        )
        untyped = at(5, 12)
        self.welkin.book_event(
            user.id, untyped, untyped + hour, None, status=None, color=None, mode=None
        )
        dropped = self.welkin.book_event(user.id, at(6, 9), at(6, 10))
        self.welkin.cancel_event(dropped.id)
        leave = at(40, 0)
        self.welkin.book_event(user.id, leave, at(41, 0), "LEAVE", color="grey", all_day=True)

    def _slot(self, zone: ZoneInfo, number: int, encounters: int) -> datetime:
        """Choose a quarter of an hour of a working day, later numbers on later days."""
        span = 24
        days = -4 + number * span // max(1, encounters)
        day = self.start.astimezone(zone).date() + timedelta(days=days)
        clock = time(self.dice.randint(8, 17), self.dice.choice((0, 15, 30, 45)))
        return datetime.combine(day, clock, zone).astimezone(UTC)


def _letters(number: int) -> str:
    """Write a number as letters, so that names stay words: 0 is ``a``, 26 is ``ba``."""
    text = ""
    while True:
        number, digit = divmod(number, 26)
        text = chr(ord("a") + digit) + text
        if number == 0:
            return text
