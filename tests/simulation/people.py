"""What people do during a simulation: one method a rule, each chosen and placed by the seed."""

import contextlib
import random
from datetime import date, datetime, timedelta
from typing import Any

from calendar_sync.core.model import Platform
from calendar_sync_sandbox.calendars import CalendarWorld, Glimpse
from calendar_sync_sandbox.microsoft.wire import foreign_uid
from tests.harness import World

PRIMARY = "primary"
ZONES = ("US/Eastern", "US/Pacific", "Europe/Berlin")
Seat = tuple[str, Platform]
Found = tuple[CalendarWorld, str, Glimpse]


#: Where appointments of a type are.
PLACES = {None: "Room 7", "GROUP_THERAPY": "https://us02.zoom.us/j/8551234567"}


class People:
    """Schedulers in Welkin and the owners of the calendars.

    `accounts` are the mailboxes by user and platform: the first user is on the first platform, the
    second on the second, the third on all that take part.
    """

    def __init__(
        self, world: World, chance: random.Random, platforms: tuple[Platform, ...]
    ) -> None:
        self.world = world
        self.chance = chance
        self.users: list[str] = []
        self.accounts: dict[Seat, str] = {}
        #: What was deleted and might be taken out of the bin, and mirrors that were given guests.
        self.binned: list[tuple[Seat, str]] = []
        self.shifted = self.undone = False
        self.restored: set[tuple[str, Platform]] = set()
        #: When a mailbox was last restored without a trace of its old events.
        self.erased_at: datetime | None = None
        self.invited = 0
        #: Meetings in both calendars of the last user: their ids by platform.
        self.meetings: list[dict[Platform, str]] = []
        #: Where meetings are that stand in two calendars of one account.
        self.doubled: list[list[tuple[CalendarWorld, str, str, str]]] = []
        for number, zone in enumerate(ZONES):
            email = f"staff{number}@example.org"
            user = world.welkin.add_user(email, "Staff", f"Number{number}", zone)
            self.users.append(user.id)
            last = number == len(ZONES) - 1
            for platform in platforms if last else [platforms[number % len(platforms)]]:
                world.calendars(platform).add_account(email, zone)
                self.accounts[user.id, platform] = email

    # --- when ---------------------------------------------------------------------------------

    def _time(self, *, past: bool = False) -> tuple[datetime, datetime]:
        low = -3 * 24 * 4 if past else 8
        quarter = self.chance.randint(low, 60 * 24 * 4)
        start = self.world.clock.now().replace(minute=0, second=0, microsecond=0)
        start += timedelta(minutes=15 * quarter)
        return start, start + timedelta(minutes=self.chance.choice([15, 30, 60, 90, 600]))

    def _day(self) -> tuple[date, date]:
        first = self.world.clock.now().date() + timedelta(days=self.chance.randint(1, 60))
        return first, first + timedelta(days=self.chance.choice([1, 1, 2, 9]))

    def _user(self) -> str:
        return self.chance.choice(self.users)

    def seat(self) -> Seat:
        """Somebody on one of their platforms."""
        return self.chance.choice(list(self.accounts))

    def _mailbox(self) -> tuple[CalendarWorld, str]:
        seat = self.seat()
        return self.world.calendars(seat[1]), self.accounts[seat]

    # --- Welkin -------------------------------------------------------------------------------

    def visits(self) -> list[Any]:
        """Welkin events that are not leave, in a stable order."""
        events = self.world.welkin.events.values()
        return [event for event in events if event.type != "LEAVE"]

    def _visit(self) -> Any:
        visits = self.visits()
        return self.chance.choice(visits) if visits else None

    def _encounter(self) -> Any:
        encounters = list(self.world.welkin.encounters.values())
        return self.chance.choice(encounters) if encounters else None

    def book_encounter(self) -> None:
        start, end = self._time(past=self.chance.random() < 0.1)
        others = [self._user()] if self.chance.random() < 0.3 else []
        self.world.welkin.book_encounter(self._user(), start, end, extra_user_ids=others)

    def book_appointment(self) -> None:
        start, end = self._time()
        kind = self.chance.choice(["APPOINTMENT", None, "GROUP_THERAPY", "TELEPORT"])
        info = {"location": PLACES.get(kind)}
        self.world.welkin.book_event(self._user(), start, end, kind, additional_info=info)

    def take_leave(self) -> None:
        start, end = self._time()
        self.world.welkin.book_event(self._user(), start, end, "LEAVE")

    def move_visit(self) -> None:
        if visit := self._visit():
            self.world.welkin.move_event(visit.id, *self._time())

    def retitle_visit(self) -> None:
        if visit := self._visit():
            self.world.welkin.retitle(visit.id)
            # It changes rooms, too: from none into one, or the other way.
            info = None if visit.additional_info else {"location": "Room 4"}
            self.world.welkin.change_event(visit.id, additional_info=info)

    def cancel_visit(self) -> None:
        if visit := self._visit():
            self.world.welkin.cancel_event(visit.id)

    def uncancel_visit(self) -> None:
        if visit := self._visit():
            self.world.welkin.uncancel_event(visit.id)

    def delete_visit(self) -> None:
        if visit := self._visit():
            self.world.welkin.delete_event(visit.id)

    def change_host(self) -> None:
        if visit := self._visit():
            self.world.welkin.set_host(visit.id, self._user())

    def add_participant(self) -> None:
        if visit := self._visit():
            self.world.welkin.add_participant(visit.id, self._user())

    def remove_participant(self) -> None:
        visit = self._visit()
        others = [u for u in (visit.psm_ids() if visit else []) if u != visit.host_id]
        if others:
            self.world.welkin.remove_participant(visit.id, self.chance.choice(others))

    def cancel_encounter(self) -> None:
        if encounter := self._encounter():
            self.world.welkin.cancel_encounter(encounter.id)

    def uncancel_encounter(self) -> None:
        if encounter := self._encounter():
            self.world.welkin.uncancel_encounter(encounter.id)

    def delete_encounter(self) -> None:
        if encounter := self._encounter():
            self.world.welkin.delete_encounter(encounter.id)

    def write_notes(self) -> None:
        if encounter := self._encounter():
            self.world.welkin.touch_encounter_notes(encounter.id)

    def _block(self) -> Any:
        blocks = [
            block for user in self.users for block in self.world.welkin.blocks_of(user, "calsync-")
        ]
        return self.chance.choice(blocks) if blocks else None

    def edit_block(self) -> None:
        if block := self._block():
            self.world.welkin.move_event(block.id, *self._time())

    def delete_block(self) -> None:
        if block := self._block():
            self.world.welkin.delete_event(block.id)

    # --- the calendars ------------------------------------------------------------------------

    def _own(self, *, series: bool | None = None) -> Found | None:
        calendars, account = self._mailbox()
        events = [
            event
            for event in calendars.glimpses(account, PRIMARY)
            if event.marker is None
            and event.series_id is None
            and (series is None or event.is_series == series)
        ]
        return (calendars, account, self.chance.choice(events)) if events else None

    def _mirror(self) -> Found | None:
        calendars, account = self._mailbox()
        events = calendars.glimpses(account, PRIMARY)
        mirrors = [event for event in events if event.marker is not None]
        return (calendars, account, self.chance.choice(mirrors)) if mirrors else None

    def _elsewhere(self) -> tuple[CalendarWorld, str, str]:
        """A further calendar of somebody: one of their own, or one that the sync has made."""
        calendars, account = self._mailbox()
        return calendars, account, self.chance.choice(sorted(calendars.calendars_of(account)))

    def make_event(self) -> None:
        start, end = self._time(past=self.chance.random() < 0.1)
        free = self.chance.random() < 0.2
        calendars, account = self._mailbox()
        calendars.plan(account, start, end, "Dentist", free=free)

    def make_private(self) -> None:
        """What only the owner sees looks most like a mirror."""
        start, end = self._time()
        calendars, account = self._mailbox()
        calendars.plan(account, start, end, "Busy", private=True)

    def make_all_day(self) -> None:
        first, last = self._day()
        calendars, account = self._mailbox()
        calendars.plan(account, first, last, "Day off")

    def make_away(self) -> None:
        """Out of office, for some hours."""
        start, end = self._time()
        calendars, account = self._mailbox()
        decline = {"autoDeclineMode": "declineNone"}
        google = {"eventType": "outOfOffice", "outOfOfficeProperties": decline}
        fields: dict[str, Any] = google if calendars is self.world.google else {"showAs": "oof"}
        calendars.add_event(account, start=start, end=end, **fields)

    def make_free_day(self) -> None:
        """A day as calendars propose it."""
        first, last = self._day()
        calendars, account = self._mailbox()
        calendars.plan(account, first, last, "Conference", free=True)

    def make_series(self) -> None:
        start, _ = self._time()
        rule = self.chance.choice(
            ["FREQ=WEEKLY", "FREQ=DAILY;COUNT=6", "FREQ=WEEKLY;COUNT=4", "FREQ=MONTHLY;COUNT=5"]
        )
        calendars, account = self._mailbox()
        if rule.startswith("FREQ=MONTHLY") and start.day > 27:
            # Outlook and iCalendar differ about short months: nobody's series is to begin there.
            start = start.replace(day=27)
        calendars.plan_series(account, rule, start, start + timedelta(minutes=45), "Choir")

    def move_event(self) -> None:
        if found := self._own():
            calendars, account, event = found
            calendars.move_event(account, event.id, *self._time())

    def free_event(self) -> None:
        found = self._own()
        # Google shows nobody as free who is out of office.
        if found and not found[2].out_of_office:
            calendars, account, event = found
            calendars.show_as(account, event.id, free=self.chance.choice([True, False]))

    def decline_event(self) -> None:
        if found := self._own(series=False):
            calendars, account, event = found
            answer = self.chance.choice(["declined", "accepted", "tentative"])
            calendars.respond(account, event.id, answer)

    def rename_event(self) -> None:
        if found := self._own():
            calendars, account, event = found
            calendars.rename(account, event.id, "Renamed")

    def delete_event(self) -> None:
        if found := self._own():
            calendars, account, event = found
            calendars.delete_event(account, event.id)

    def _instance(self) -> Found | None:
        found = self._own(series=True)
        if found is None:
            return None
        calendars, account, master = found
        now = self.world.clock.now()
        instances = [
            event
            for event in calendars.expanded_glimpses(account, now, now + timedelta(days=60))
            if event.series_id == master.id
        ]
        return (calendars, account, self.chance.choice(instances)) if instances else None

    def change_rule(self) -> None:
        """The series is held on other days from now on: every original start is a new one."""
        if found := self._own(series=True):
            calendars, account, event = found
            rule = self.chance.choice(
                ["FREQ=WEEKLY;BYDAY=MO", "FREQ=WEEKLY;BYDAY=TU", "FREQ=WEEKLY;BYDAY=MO,TU"]
            )
            calendars.change_rule(account, event.id, rule)

    def move_instance(self) -> None:
        if found := self._instance():
            calendars, account, event = found
            calendars.move_event(account, event.id, *self._time())

    def delete_instance(self) -> None:
        if found := self._instance():
            calendars, account, event = found
            calendars.delete_event(account, event.id)

    def move_mirror(self) -> None:
        if found := self._mirror():
            calendars, account, event = found
            start, end = self._time()
            if "(" in event.title and start.hour % 2:  # longer than its visit: it is not resized
                end = start + (event.end - event.start)  # type: ignore[operator]
            calendars.move_event(account, event.id, start, end)

    def rename_mirror(self) -> None:
        if found := self._mirror():
            calendars, account, event = found
            calendars.rename(account, event.id, "My visit")

    def repeat_mirror(self) -> None:
        if found := self._mirror():
            calendars, account, event = found
            calendars.change_rule(account, event.id, "FREQ=WEEKLY;COUNT=3")

    def delete_mirror(self) -> None:
        if found := self._mirror():
            calendars, account, event = found
            calendars.delete_event(account, event.id)

    # --- the same on both platforms -------------------------------------------------------------

    def make_meeting(self) -> None:
        """The last user is invited at both addresses, at times to a series."""
        start, end = self._time()
        uid = f"meeting-{len(self.meetings)}@google.com"
        given = {
            Platform.GOOGLE: {"iCalUID": uid},
            Platform.MICROSOFT: {"iCalUId": self.chance.choice([uid, foreign_uid(uid)])},
        }
        rule = self.chance.choice([None, None, "FREQ=DAILY;COUNT=4"])
        made = {}
        for platform, fields in given.items():
            calendars, account = self._of_last(platform)
            if rule is None:
                found = calendars.add_event(account, start=start, end=end, **fields)
            else:
                short = start + timedelta(minutes=45)
                found = calendars.add_series(account, rule, start, short, **fields)
            made[platform] = str(found["id"])
        self.meetings.append(made)

    def move_meeting(self) -> None:
        start, end = self._time()
        for calendars, account, event_id in self._meeting():
            calendars.move_event(account, event_id, start, end)

    def delete_meeting(self) -> None:
        for calendars, account, event_id in self._meeting():
            calendars.delete_event(account, event_id)

    def _meeting(self) -> list[tuple[CalendarWorld, str, str]]:
        """Where one of the meetings still is."""
        meeting = self.chance.choice(self.meetings) if self.meetings else {}
        return [
            (calendars, account, event_id)
            for platform, event_id in meeting.items()
            for calendars, account in [self._of_last(platform)]
            if any(seen.id == event_id for seen in calendars.own(account))
        ]

    def _of_last(self, platform: Platform) -> tuple[CalendarWorld, str]:
        return self.world.calendars(platform), self.accounts[self.users[-1], platform]

    # --- further calendars ----------------------------------------------------------------------

    def make_elsewhere(self) -> None:
        calendars, account, calendar = self._elsewhere()
        calendars.plan(account, *self._time(), "Lecture", calendar=calendar)

    def move_elsewhere(self) -> None:
        """An event of the owner's, or a mirror."""
        calendars, account, calendar = self._elsewhere()
        if events := calendars.glimpses(account, calendar):
            event = self.chance.choice(events)
            calendars.move_event(account, event.id, *self._time(), calendar=calendar)

    def delete_elsewhere(self) -> None:
        calendars, account, calendar = self._elsewhere()
        if events := calendars.glimpses(account, calendar):
            calendars.delete_event(account, self.chance.choice(events).id, calendar=calendar)

    def meet_elsewhere(self) -> None:
        """A meeting that stands in the main calendar and in a further one, at times a series."""
        calendars, account, calendar = self._elsewhere()
        start, end = self._time()
        uid = f"elsewhere-{len(self.doubled)}@google.com"
        name = "iCalUID" if calendars is self.world.google else "iCalUId"
        rule = self.chance.choice([None, None, "FREQ=DAILY;COUNT=4"])
        made = []
        for place in ("primary", calendar):
            if rule is None:
                found = calendars.add_event(
                    account, start=start, end=end, calendar=place, **{name: uid}
                )
            else:
                short = start + timedelta(minutes=45)
                found = calendars.add_series(
                    account, rule, start, short, calendar=place, **{name: uid}
                )
            made.append((calendars, account, place, str(found["id"])))
        self.doubled.append(made)

    def move_doubled(self) -> None:
        """In both calendars, or in one of them."""
        start, end = self._time()
        for calendars, account, calendar, event_id in self._doubled():
            if self.chance.random() < 0.75:
                calendars.move_event(account, event_id, start, end, calendar=calendar)

    def delete_doubled(self) -> None:
        for calendars, account, calendar, event_id in self._doubled():
            if self.chance.random() < 0.6:
                calendars.delete_event(account, event_id, calendar=calendar)

    def _doubled(self) -> list[tuple[CalendarWorld, str, str, str]]:
        """Where one of them still is."""
        places = self.chance.choice(self.doubled) if self.doubled else []
        return [
            (calendars, account, calendar, event_id)
            for calendars, account, calendar, event_id in places
            if any(seen.id == event_id for seen in calendars.glimpses(account, calendar))
        ]

    # --- what seldom happens --------------------------------------------------------------------

    def bin_mirror(self) -> None:
        """Delete a mirror, to think better of it later."""
        seat = self.seat()
        calendars, account = self.world.calendars(seat[1]), self.accounts[seat]
        if mirrors := calendars.mirrors(account):
            chosen = self.chance.choice(mirrors).id
            calendars.delete_event(account, chosen)
            # By other ids than ours, what comes back to no visit is a stray: a person's to decide.
            if (account, seat[1]) not in self.restored:
                self.binned.append((seat, chosen))

    def take_out_of_bin(self) -> None:
        if self.binned:
            seat, event_id = self.binned.pop(self.chance.randrange(len(self.binned)))
            with contextlib.suppress(KeyError):  # the mailbox was restored meanwhile
                self.world.calendars(seat[1]).undelete_event(self.accounts[seat], event_id)
            self.undone = True

    def invite_guests(self) -> None:
        if found := self._mirror():
            calendars, account, event = found
            guest = "friend@partner.example"
            google = {"email": guest}
            exchange = {"emailAddress": {"address": guest}}
            person = google if calendars is self.world.google else exchange
            calendars.patch_event(account, event.id, attendees=[person])
            self.invited += 1

    def restore_mailbox(self) -> None:
        if self.undone:
            return  # nobody could say of it any more that it was ours: a stray, as above
        seat = self.seat()
        calendars, account = self.world.calendars(seat[1]), self.accounts[seat]
        tombstones = self.chance.random() < 0.5
        calendars.reimport(account, tombstones=tombstones)
        self.restored.add((account, seat[1]))
        if not tombstones:
            self.erased_at = self.world.clock.now()
            self.let_replicas_follow(calendars.lag_seconds)

    def let_replicas_follow(self, lag: float) -> None:
        """Wait until no read that lags goes back to before a mailbox was restored.

        Its old events left no trace, so such a read would show neither these nor the new ones. No
        server does that: a replica that is late shows the old ones.
        """
        if lag and self.erased_at is not None:
            since = (self.world.clock.now() - self.erased_at).total_seconds()
            self.world.clock.advance(max(0.0, lag + 1 - since))

    def rename_mailbox(self) -> None:
        """The address changes, and the mapping with it."""
        seat = self.seat()
        old = self.accounts[seat]
        new = f"new{self.chance.randrange(10**6)}-{old[-40:]}"
        self.world.calendars(seat[1]).rename_account(old, new)
        if (old, seat[1]) in self.restored:
            self.restored.add((new, seat[1]))
        self.accounts[seat] = new

    def move_away(self) -> None:
        """Somebody works in another time zone from now on, or Welkin no longer knows which."""
        user = self.world.welkin.users[self.chance.choice(self.users)]
        user.time_zone = self.chance.choice([*ZONES, "Asia/Tokyo", None])

    def shift_mirrors(self) -> None:
        """The server follows other rules of a time zone, and gives no new version."""
        calendars, account = self._mailbox()
        calendars.shift_mirrors(account, timedelta(hours=1))
        self.shifted = True


RULES: tuple[tuple[str, int], ...] = (
    ("book_encounter", 8),
    ("book_appointment", 4),
    ("take_leave", 1),
    ("move_visit", 5),
    ("retitle_visit", 2),
    ("cancel_visit", 2),
    ("uncancel_visit", 2),
    ("delete_visit", 2),
    ("change_host", 3),
    ("add_participant", 2),
    ("remove_participant", 2),
    ("cancel_encounter", 3),
    ("uncancel_encounter", 2),
    ("delete_encounter", 1),
    ("write_notes", 2),
    ("edit_block", 2),
    ("delete_block", 2),
    ("make_event", 6),
    ("make_all_day", 2),
    ("make_series", 2),
    ("move_event", 4),
    ("free_event", 2),
    ("decline_event", 2),
    ("rename_event", 1),
    ("delete_event", 4),
    ("change_rule", 2),
    ("move_instance", 2),
    ("delete_instance", 2),
    ("move_mirror", 2),
    ("rename_mirror", 1),
    ("delete_mirror", 2),
)
# Further rules where Microsoft takes part; Google's seeds stay what they were.
FURTHER: tuple[tuple[str, int], ...] = (("make_private", 3), ("repeat_mirror", 1))
# Users on both platforms have the same meeting on both sides.
MEETINGS: tuple[tuple[str, int], ...] = (
    ("make_meeting", 8),
    ("move_meeting", 4),
    ("delete_meeting", 3),
)
# Kinds of busy time, where profiles have policies for them.
KINDS: tuple[tuple[str, int], ...] = (("make_away", 4), ("make_free_day", 4))
# What happens in further calendars, where there are some.
ELSEWHERE: tuple[tuple[str, int], ...] = (
    ("make_elsewhere", 5),
    ("move_elsewhere", 4),
    ("delete_elsewhere", 3),
)
# Meetings that stand in a further calendar as well.
DOUBLED: tuple[tuple[str, int], ...] = (
    ("meet_elsewhere", 8),
    ("move_doubled", 5),
    ("delete_doubled", 3),
)
# What seldom happens, in simulations of its own: the other seeds stay what they were.
SELDOM: tuple[tuple[str, int], ...] = (
    ("bin_mirror", 3),
    ("take_out_of_bin", 4),
    ("invite_guests", 2),
    ("restore_mailbox", 1),
    ("rename_mailbox", 1),
    ("move_away", 2),
    ("shift_mirrors", 1),
)
