"""The organisations that the bench runs against: staff, visits, personal calendars."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bench.calendars import KINDS, ZONES, Calendars, keep
from calendar_sync.core.model import Platform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calendar_sync_sandbox import Sandbox
    from calendar_sync_sandbox.welkin.records import User

# Visits lie between four weeks ago and ten weeks ahead: inside the window of the mirrors.
FIRST_DAY, LAST_DAY = -28, 70
DENSE_AHEAD = 100
LIGHT_EVENTS = 3
BETWEEN_USERS = timedelta(minutes=30)
TEMPLATES = ("etmp-follow-up", "etmp-home-visit", "etmp-initial-consultation")


def staff(
    sandbox: Sandbox,
    users: int,
    encounters: int,
    start: datetime,
    platforms: Sequence[Platform] = (Platform.GOOGLE,),
    *,
    light: bool = False,
) -> None:
    """Add members of staff with visits in Welkin and years of history in their calendars.

    Args:
        sandbox: filled in place; the records come from the weeks before now, a user at a time, as
            nobody's tenant was written in one moment.
        users: how many.
        encounters: visits booked for each; one in ten is cancelled.
        start: moment around which everything lies.
        platforms: where their mailboxes are, in turn.
        light: their calendars hold a few events and no history, as many thousands need memory.
    """
    calendars = Calendars(sandbox.clock, start)
    try:
        for number in range(1, users + 1):
            sandbox.welkin.backdate = (users - number + 1) * BETWEEN_USERS
            platform = platforms[number % len(platforms)]
            user, zone = _hire(sandbox, number, platform)
            kind = KINDS[number % len(KINDS)]
            if light:
                _plan(sandbox, user, zone, platform, LIGHT_EVENTS, start)
            elif platform is Platform.GOOGLE:
                mailbox = sandbox.google.calendar(sandbox.accounts_of[user.id])
                calendars.give(mailbox, kind)
            else:
                keep(sandbox.microsoft, sandbox.microsoft_accounts_of[user.id], kind, start)
            _book(sandbox, user, zone, encounters, start)
    finally:
        sandbox.welkin.backdate = timedelta(0)


def busy_person(
    sandbox: Sandbox, rows: int, start: datetime, platform: Platform = Platform.GOOGLE
) -> None:
    """Add one user with half of the rows as appointments, half as events that block time."""
    sandbox.welkin.backdate = timedelta(days=1)
    try:
        user, zone = _hire(sandbox, 1, platform)
        _book(sandbox, user, zone, rows // 2, start, cancel=False)
        _plan(sandbox, user, zone, platform, rows - rows // 2, start)
    finally:
        sandbox.welkin.backdate = timedelta(0)


def _plan(
    sandbox: Sandbox, user: User, zone: ZoneInfo, platform: Platform, count: int, start: datetime
) -> None:
    calendars = sandbox.google if platform is Platform.GOOGLE else sandbox.microsoft
    for number in range(count):
        days = 1 + number * DENSE_AHEAD // count
        begin = _wall(start, zone, days, 6 + number % 14, number % 4 * 15)
        calendars.plan(user.email, begin, begin + timedelta(minutes=15), "Busy hour")


def _hire(sandbox: Sandbox, number: int, platform: Platform) -> tuple[User, ZoneInfo]:
    mailbox = f"person{number:05d}@example.org"
    zone = ZONES[number % len(ZONES)]
    user = sandbox.welkin.add_user(
        mailbox,
        "Person",
        f"Number{number}",
        zone,
        id=f"d0c70000-0000-4000-8000-{number:012d}",
        instances=(sandbox.instance,),
    )
    if platform is Platform.GOOGLE:
        sandbox.google.add_account(mailbox, zone)
        sandbox.accounts_of[user.id] = mailbox
    else:
        sandbox.microsoft.add_account(mailbox, zone)
        sandbox.microsoft_accounts_of[user.id] = mailbox
    return user, ZoneInfo(zone)


def _book(
    sandbox: Sandbox,
    user: User,
    zone: ZoneInfo,
    count: int,
    start: datetime,
    *,
    cancel: bool = True,
) -> None:
    welkin = sandbox.welkin
    patients = [
        welkin.add_patient(f"Zyxwanda{user.username}{n}", f"Qanaryson{user.username}{n}").id
        for n in range(5)
    ]
    for number in range(count):
        days = FIRST_DAY + number * (LAST_DAY - FIRST_DAY) // count
        begin = _wall(start, zone, days, 8 + number % 10, number // 10 % 4 * 15)
        encounter = welkin.book_encounter(
            user.id,
            begin,
            begin + timedelta(minutes=45),
            TEMPLATES[number % len(TEMPLATES)],
            patients[number % len(patients)],
        )
        if cancel and number % 10 == 9:
            welkin.cancel_encounter(encounter.id)


def _wall(start: datetime, zone: ZoneInfo, days: int, hour: int, minute: int) -> datetime:
    day = start.astimezone(zone).date() + timedelta(days=days)
    return datetime.combine(day, time(hour, minute), zone).astimezone(UTC)
