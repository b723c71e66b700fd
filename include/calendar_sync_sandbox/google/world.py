"""The Google Workspace of the sandbox: mailboxes, their calendars, and what people do in them."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.google import glance
from calendar_sync_sandbox.google.delegation import Delegation
from calendar_sync_sandbox.google.freebusy import FreeBusy
from calendar_sync_sandbox.google.groups import Groups
from calendar_sync_sandbox.google.mailboxes import Mailboxes
from calendar_sync_sandbox.google.push import Channels
from calendar_sync_sandbox.google.store import Calendar, Json, Version
from calendar_sync_sandbox.google.times import from_python, moment_of
from calendar_sync_sandbox.google.writes import (
    check_zones,
    finish,
    guest_may_write,
    merge,
    new_event,
    patched,
    replaced,
)
from calendar_sync_sandbox.outbox import Outbox

if TYPE_CHECKING:
    from calendar_sync_sandbox.calendars import Glimpse
    from calendar_sync_sandbox.clock import Clock

MARKER = "calendarSync"
# What Google or an add-on puts into an event.
NOT_FROM_CLIENTS = frozenset({"organizer", "creator", "hangoutLink", "conferenceData"})
When = datetime | date | dict[str, Any]


@dataclass(slots=True)
class Account:
    """A mailbox; ``state`` is ok, revoked, suspended, archived, deleted or unlicensed.

    ``aliases`` are further addresses, for mail only: they cannot be impersonated.
    ``org_unit`` is the path of its organisational unit.
    """

    email: str
    time_zone: str
    state: str = "ok"
    aliases: list[str] = field(default_factory=list)
    admin: bool = False
    org_unit: str = "/"
    calendars: dict[str, Calendar] = field(default_factory=dict)


class GoogleWorld(Mailboxes):
    """All mailboxes, and the verbs of a person at one of them.

    Attributes:
        unfriendly: whether tombstones of series get thinned and lists grow empty pages.
        lose_tombstones: whether a deleted series leaves no tombstone at all.
        lag_seconds: reads answer as the world was so long ago (0: at once).
        user_limit: requests a minute for one mailbox, None for no limit.
        project_limit: requests a minute for all, None for no limit.
        api_enabled: False makes every call 403 ``accessNotConfigured``.
        directory_enabled: the same for the Admin SDK API.
        delegation: who may act for whom.
        groups: groups of people, and who is in them.
        push: the channels through which changes are told.
        freebusy: who shows when they are busy.
    """

    def __init__(self, clock: Clock, seed: int, root: str, outbox: Outbox | None = None) -> None:
        """Start with no mailbox; without ``outbox`` nobody hears of changes."""
        self.clock = clock
        self.random = random.Random(f"google-{seed}")  # noqa: S311 - reproducible, not secret
        self.seed = seed
        self.accounts: dict[str, Account] = {}
        self.unfriendly = True
        self.lose_tombstones = False
        self.invited_only: set[str] = set()
        self.lag_seconds = 0.0
        self.user_limit: int | None = None
        self.project_limit: int | None = None
        self.api_enabled = True
        self.directory_enabled = True
        self.delegation = Delegation(root)
        self.groups = Groups()
        self.push = Channels(self, outbox or Outbox(clock, seed), seed)
        self.freebusy = FreeBusy(self)

    def keyfile(self) -> dict[str, str]:
        """Return the service account's key as downloaded from the Cloud console."""
        return self.delegation.keyfile()

    def add_account(self, email: str, time_zone: str = "America/New_York") -> Account:
        """Open a mailbox with its primary calendar."""
        account = Account(email, time_zone)
        account.calendars[email] = Calendar(email, email, time_zone, email)
        self.accounts[email.lower()] = account
        return account

    def add_calendar(self, account: str, name: str) -> Calendar:
        """Add a further calendar to a mailbox; its id looks like a group calendar's."""
        owner = self.account(account)
        key = f"c_{self.random.getrandbits(128):032x}@group.calendar.google.com"
        owner.calendars[key] = Calendar(key, owner.email, owner.time_zone, name, primary=False)
        return owner.calendars[key]

    def delete_calendar(self, account: str, calendar: str) -> None:
        """Delete a further calendar with everything in it, for whomever it is shared with."""
        for each in self.accounts.values():
            each.calendars.pop(calendar, None)

    def share_calendar(self, account: str, calendar: str, other: str) -> None:
        """Let another mailbox manage a calendar, as its list then says."""
        self.account(other).calendars[calendar] = self.calendar(account, calendar)

    def calendars_of(self, account: str) -> dict[str, str]:
        """Return the names of a mailbox's further calendars by their ids."""
        found = self.account(account).calendars.values()
        return {each.id: each.summary for each in found if not each.primary}

    def account(self, email: str) -> Account:
        """Return a mailbox by its address, in any case.

        Raises:
            KeyError: when there is none.
        """
        return self.accounts[email.lower()]

    def calendar(self, account: str, calendar: str = "primary") -> Calendar:
        """Return a calendar of a mailbox: ``primary``, the address, or the id of another one.

        Raises:
            KeyError: when the mailbox has none of that name.
        """
        owner = self.account(account)
        name = calendar.lower() if calendar != "primary" else owner.email.lower()
        if name == owner.email.lower():
            return owner.calendars[owner.email]
        return owner.calendars[calendar]

    # What a person does

    def add_event(
        self,
        account: str,
        *,
        start: When,
        end: When,
        calendar: str = "primary",
        **fields: Any,
    ) -> Json:
        """Put an event into a calendar, as its owner or an application would.

        Args:
            account: the mailbox.
            start: a moment, a day, or JSON of the API.
            end: the same, exclusive.
            calendar: which of the mailbox's calendars.
            **fields: other fields of the API's Event; also those of NOT_FROM_CLIENTS, which no
                client can set. Empty and negative spans and made-by-Google kinds are allowed here.
        """
        target = self.calendar(account, calendar)
        event_id = fields.pop("id", None) or self.new_id()
        now = self.clock.now()
        times = {
            "start": from_python(start, target.time_zone),
            "end": from_python(end, target.time_zone),
        }
        zone_name = target.time_zone
        impossible = moment_of(times["end"], zone_name) <= moment_of(times["start"], zone_name)
        if times["end"] == times["start"] and "date" in times["start"]:
            impossible = False  # Google takes a whole day that ends where it begins
        end_allowed = times["end"]
        if impossible:
            later = moment_of(times["start"], zone_name) + timedelta(hours=1)
            end_allowed = from_python(later, zone_name)
        sent = {**fields, "start": times["start"], "end": end_allowed}
        body = new_event(target, sent, event_id, now)
        if impossible:
            body.update(times)
        body.update({k: v for k, v in fields.items() if k in NOT_FROM_CLIENTS})
        return copy.deepcopy(target.put(body, now).body)

    def add_series(
        self, account: str, rrule: str | list[str], start: When, end: When, **fields: Any
    ) -> Json:
        """Put a series into a calendar; ``rrule`` is one rule or the recurrence lines."""
        lines = [rrule] if isinstance(rrule, str) else rrule
        lines = [line if ":" in line else f"RRULE:{line}" for line in lines]
        return self.add_event(account, start=start, end=end, recurrence=lines, **fields)

    def patch_event(
        self, account: str, event_id: str, *, calendar: str = "primary", **changes: Any
    ) -> Json:
        """Change fields of an event or of one instance, as a person with every right."""
        target = self.calendar(account, calendar)
        old = self._found(target, event_id).body
        for which in ("start", "end"):
            if which in changes:
                changes[which] = from_python(changes[which], target.time_zone)
        times = ("start", "end")
        whole: Json = {k: changes.pop(k) for k in times if k in changes}
        body = {**merge(old, changes), **whole}
        if whole:
            body["sequence"] = old["sequence"] + 1
        return copy.deepcopy(target.put(finish(target, body), self.clock.now()).body)

    def move_event(
        self, account: str, event_id: str, start: When, end: When, *, calendar: str = "primary"
    ) -> Json:
        """Move an event, a series or one instance by its own id."""
        return self.patch_event(account, event_id, start=start, end=end, calendar=calendar)

    def delete_event(self, account: str, event_id: str, *, calendar: str = "primary") -> None:
        """Delete an event, a whole series, or one instance by its own id."""
        target = self.calendar(account, calendar)
        self.remove(target, self._found(target, event_id))

    def instance_id(
        self,
        account: str,
        series_id: str,
        original_start: datetime | date,
        *,
        calendar: str = "primary",
    ) -> str:
        """Return the id of the instance that the rule puts at that start."""
        if isinstance(original_start, datetime):
            return f"{series_id}_{original_start.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        return f"{series_id}_{original_start:%Y%m%d}"

    def move_instance(
        self,
        account: str,
        series_id: str,
        original_start: datetime | date,
        start: When,
        end: When,
        *,
        calendar: str = "primary",
    ) -> Json:
        """Move one instance of a series."""
        event_id = self.instance_id(account, series_id, original_start)
        return self.move_event(account, event_id, start, end, calendar=calendar)

    def delete_instance(
        self,
        account: str,
        series_id: str,
        original_start: datetime | date,
        *,
        calendar: str = "primary",
    ) -> None:
        """Delete one instance of a series."""
        event_id = self.instance_id(account, series_id, original_start)
        self.delete_event(account, event_id, calendar=calendar)

    def decline(self, account: str, event_id: str, *, calendar: str = "primary") -> Json:
        """Answer "no" to an event."""
        return self.respond(account, event_id, "declined", calendar=calendar)

    def respond(
        self, account: str, event_id: str, answer: str, *, calendar: str = "primary"
    ) -> Json:
        """Answer an event with declined, tentative, accepted or needsAction."""
        old = self._found(self.calendar(account, calendar), event_id).body
        email = self.account(account).email
        others = [g for g in old.get("attendees", []) if not glance.is_owner(g, email)]
        guests = [*others, {"email": email, "responseStatus": answer}]
        return self.patch_event(account, event_id, attendees=guests, calendar=calendar)

    # What an administrator does

    def revoke(self, account: str) -> None:
        """Take the delegation away for one mailbox: its tokens die and no new one is given."""
        self._set_state(account, "revoked")

    def restore(self, account: str) -> None:
        """Make a mailbox healthy again."""
        self._set_state(account, "ok")

    def suspend(self, account: str) -> None:
        """Suspend a user; Google then does not know the address."""
        self._set_state(account, "suspended")

    def archive(self, account: str) -> None:
        """Give a user who has left the "archived" licence: data are kept, nothing can be used."""
        self._set_state(account, "archived")

    def delete_account(self, account: str) -> None:
        """Delete a user."""
        self._set_state(account, "deleted")

    def no_licence(self, account: str) -> None:
        """Switch Calendar off for a user: tokens are given, every call is 403."""
        self._set_state(account, "unlicensed")

    def expire_sync_tokens(self, account: str, *, calendar: str = "primary") -> None:
        """Make every sync token of a calendar answer 410 from now on."""
        self.calendar(account, calendar).token_generation += 1

    # What a test looks at

    def events_of(self, account: str, calendar: str | None = None) -> list[Json]:
        """Return the live events (masters, singles, changed instances) of all or one calendar."""
        calendars = (
            list(self.account(account).calendars.values())
            if calendar is None
            else [self.calendar(account, calendar)]
        )
        return [
            version.body
            for each in calendars
            for event_id in list(each.records)
            if (version := each.latest(event_id)) is not None and self._alive(each, version)
        ]

    def mirrors_of(self, account: str) -> list[Json]:
        """Return the live events that carry our marker."""
        return [
            event
            for event in self.events_of(account)
            if MARKER in event.get("extendedProperties", {}).get("private", {})
        ]

    def expanded(
        self, account: str, low: datetime, high: datetime, calendar: str = "primary"
    ) -> list[Json]:
        """Return the live single events and instances that touch a window."""
        target = self.calendar(account, calendar)
        found: list[Json] = []
        for event_id in list(target.records):
            version = target.latest(event_id)
            if version is None or not version.live or version.series:
                continue
            if version.is_series:
                instances = target.instances(event_id, low, high)
                found.extend(v.body for v in instances if v.live)
            elif version.touches(low, high):
                found.append(version.body)
        return found

    def words(
        self,
        *,
        title: str | None = None,
        free: bool | None = None,
        private: bool | None = None,
        rrule: str | None = None,
    ) -> Json:
        """Return the fields of the API for these; None leaves a field out."""
        return glance.fields_of(title, free=free, private=private, rrule=rrule)

    def glimpse(self, account: str, event: Json) -> Glimpse:
        """Look at one of the events that this world returns."""
        owner = self.account(account)
        return glance.glimpse_of(event, owner.email, owner.time_zone, MARKER)

    # Shared by the API and by people

    def new_id(self) -> str:
        """Return an id as Google makes them."""
        return "".join(self.random.choices("abcdefghijklmnopqrstuv0123456789", k=26))

    def remove(self, calendar: Calendar, version: Version) -> None:
        """Delete what a version stands for."""
        body = {**version.body, "status": "cancelled"}
        calendar.put(body, self.clock.now())

    def shift_mirrors(self, account: str, by: timedelta) -> None:
        """Show all mirrors at another time; etag, change number and time of change stay."""
        for calendar in self.account(account).calendars.values():
            for versions in calendar.records.values():
                now = versions[-1]
                held = now.body.get("extendedProperties", {}).get("private", {})
                if now.live and MARKER in held and "dateTime" in now.body["start"]:
                    now.start, now.end = now.start + by, now.end + by
                    times = {"start": now.start, "end": now.end}
                    now.body = now.body | {
                        key: from_python(value, calendar.time_zone) for key, value in times.items()
                    }

    def insert(self, calendar: Calendar, sent: Json, event_id: str) -> Json:
        """Store a new event for the API."""
        check_zones(sent, self.unknown_zones)
        now = self.clock.now()
        return calendar.put(new_event(calendar, sent, event_id, now), now).body

    def change(self, calendar: Calendar, old: Json, sent: Json, *, whole: bool) -> Json:
        """Store a full or partial update for the API."""
        check_zones(sent, self.unknown_zones)
        new = (replaced if whole else patched)(calendar, old, sent)
        guest_may_write(old, new)
        return calendar.put(new, self.clock.now()).body

    def _alive(self, calendar: Calendar, version: Version) -> bool:
        if not version.live:
            return False
        if version.series is None:
            return True
        master = calendar.latest(version.series)
        return master is not None and master.live

    def _found(self, calendar: Calendar, event_id: str) -> Version:
        version = calendar.find(event_id)
        if version is None:
            raise KeyError(event_id)
        return version

    def _set_state(self, account: str, state: str) -> None:
        found = self.account(account)
        found.state = state
        if state in ("revoked", "suspended", "archived", "deleted"):
            self.delegation.forget(found.email)
