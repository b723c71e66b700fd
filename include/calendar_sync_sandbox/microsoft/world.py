"""The Microsoft 365 of the sandbox: mailboxes, their calendars, and what people do in them."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.microsoft import glance, recurrence, writes
from calendar_sync_sandbox.microsoft.ids import Ids
from calendar_sync_sandbox.microsoft.mailboxes import Mailboxes
from calendar_sync_sandbox.microsoft.preferences import Preferences
from calendar_sync_sandbox.microsoft.store import Change, Folder, Mailbox, Version
from calendar_sync_sandbox.microsoft.times import Json, When, span_after, span_of
from calendar_sync_sandbox.microsoft.wire import event_json

if TYPE_CHECKING:
    from calendar_sync_sandbox.calendars import Glimpse

MARKER = "String {3f1c0a5e-6d0b-4c7e-9a54-5a0c1f0d7b21} Name calendarSync"
PERSON = Preferences(immutable=True, text=True)
RESPONSES = {
    "declined": "declined",
    "tentative": "tentativelyAccepted",
    "accepted": "accepted",
    "needsAction": "notResponded",
}
# What people, other mailboxes and the server itself can set, but no client.
BEYOND = (
    "organizer", "isCancelled", "responseStatus", "onlineMeeting", "onlineMeetingUrl", "iCalUId",
)  # fmt: skip


class MicrosoftWorld(Mailboxes):
    """All mailboxes, and the verbs of a person at one of them."""

    def add_account(self, email: str, time_zone: str = "America/New_York") -> Mailbox:
        """Open a mailbox with its primary calendar, and a user in the directory."""
        guid = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.seed}:{email.lower()}"))
        mailbox = Mailbox(email, guid, time_zone, Ids(guid))
        mailbox.add_calendar("Calendar")
        self.accounts[email.lower()] = self._by_guid[guid] = mailbox
        self.users.add(guid, email, self.clock.now())
        return mailbox

    def add_calendar(self, account: str, name: str) -> Folder:
        """Add a further calendar to a mailbox."""
        return self.account(account).add_calendar(name)

    def delete_calendar(self, account: str, calendar: str) -> None:
        """Delete a further calendar with everything in it."""
        owner = self.account(account)
        folder = owner.calendars.pop(calendar)
        for version in list(owner.living(folder.number, owner.seq)):
            self.remove(owner, version, None)

    def share_calendar(self, account: str, calendar: str, other: str) -> None:
        """Put a calendar into the list of another mailbox, as its owner's."""
        shared = self.calendar(account, calendar)
        seen = self.account(other).add_calendar(shared.name)
        seen.owner = self.account(account).email

    def calendars_of(self, account: str) -> dict[str, str]:
        """Return the names of a mailbox's further calendars by their ids."""
        found = self.account(account).calendars.values()
        return {each.id: each.name for each in found if not each.primary}

    # What a person does

    def add_event(
        self, account: str, *, start: When, end: When, calendar: str = "primary", **fields: Any
    ) -> Json:
        """Put an event into a calendar, as its owner or an application would.

        Args:
            account: the mailbox.
            start: a moment, a day, or JSON of the API (custom zones are allowed).
            end: the same, exclusive.
            calendar: which of the mailbox's calendars.
            **fields: other properties of the API's event; also ``organizer``, ``isCancelled``,
                ``responseStatus``, ``onlineMeeting`` and ``iCalUId``, which no client can set.

        Returns:
            The event with its immutable id, times in UTC, body as text.
        """
        owner = self.account(account)
        all_day = fields.pop("isAllDay", False)
        span = span_of(start, end, owner.time_zone, all_day=all_day)
        rule = fields.pop("recurrence", None)
        body = self._said(owner, fields)
        if rule is not None:
            body["recurrence"], span = writes.begun(rule, span)
        number = self.calendar(account, calendar).number
        properties = writes.read_properties(fields)
        version = self.create(owner, number, body, span, properties)
        return self._shown(owner, version)

    def add_series(self, account: str, rrule: str, start: When, end: When, **fields: Any) -> Json:
        """Put a series into a calendar; ``rrule`` is a rule of iCalendar that Outlook can keep."""
        span = span_of(start, end, self.account(account).time_zone)
        rule = recurrence.from_rrule(rrule, span.first_day, span.zone_name, span.hour)
        return self.add_event(account, start=start, end=end, recurrence=rule, **fields)

    def patch_event(
        self, account: str, event_id: str, *, calendar: str = "primary", **changes: Any
    ) -> Json:
        """Change properties of an event or of one occurrence, as a person with every right.

        A ``recurrence`` may be text of iCalendar.
        """
        owner = self.account(account)
        version, day = owner.find(event_id)
        start, end = changes.pop("start", None), changes.pop("end", None)
        rule = changes.pop("recurrence", version.fields["recurrence"])
        fields = self._said(owner, changes, version.fields)
        fields.pop("recurrence", None)
        properties = writes.read_properties(changes)
        if day is not None:
            instance = version.instance(day)
            assert instance is not None  # noqa: S101 - it was found
            span = span_after(instance.span, start, end, owner.time_zone)
            old = instance.change.fields if instance.change else {}
            new = {k: v for k, v in fields.items() if v != {**version.fields, **old}.get(k)}
            held = instance.change.properties if instance.change else {}
            change = Change({**old, **new}, span, self.clock.now(), {**held, **properties})
            return self._shown(owner, self.keep_exception(owner, version, day, change), day)
        span = span_after(version.span, start, end, owner.time_zone)
        if isinstance(rule, str):
            rule = recurrence.from_rrule(rule, span.first_day, span.zone_name, span.hour)
        elif rule is not None and span.first_day != version.span.first_day:
            rule = recurrence.shifted(rule, span.first_day)
        if rule is not None:
            rule, span = writes.begun(rule, span)
        fields["recurrence"] = rule
        merged = {**version.properties, **properties}
        return self._shown(owner, self.rewrite(owner, version, fields, span, merged))

    def move_event(
        self, account: str, event_id: str, start: When, end: When, *, calendar: str = "primary"
    ) -> Json:
        """Move an event, a series or one occurrence by its own id."""
        return self.patch_event(account, event_id, start=start, end=end, calendar=calendar)

    def move_to_calendar(self, account: str, event_id: str, calendar: str) -> Json:
        """Move an event or a series into another calendar; its mutable ids change."""
        owner = self.account(account)
        version, _ = owner.find(event_id)
        number = self.calendar(account, calendar).number
        moved = owner.put(replace(version, folder=number), self.clock.now())
        return self._shown(owner, moved)

    def delete_event(self, account: str, event_id: str, *, calendar: str = "primary") -> None:
        """Delete an event, a whole series, or one occurrence by its own id."""
        owner = self.account(account)
        self.remove(owner, *owner.find(event_id))

    def instance_id(
        self,
        account: str,
        series_id: str,
        original_start: datetime | date,
        *,
        calendar: str = "primary",
    ) -> str:
        """Return the id of the occurrence that the rule puts at that start."""
        owner = self.account(account)
        version, _ = owner.find(series_id)
        day = original_start
        if isinstance(day, datetime):
            day = day.astimezone(version.span.zone).date()
        return owner.id_of(version, day)

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
        """Move one occurrence of a series."""
        event_id = self.instance_id(account, series_id, original_start)
        return self.move_event(account, event_id, start, end)

    def delete_instance(
        self,
        account: str,
        series_id: str,
        original_start: datetime | date,
        *,
        calendar: str = "primary",
    ) -> None:
        """Delete one occurrence of a series."""
        self.delete_event(account, self.instance_id(account, series_id, original_start))

    def decline(self, account: str, event_id: str, *, calendar: str = "primary") -> Json:
        """Answer "no" to an event and keep it in the calendar."""
        return self.respond(account, event_id, "declined", calendar=calendar)

    def respond(
        self, account: str, event_id: str, answer: str, *, calendar: str = "primary"
    ) -> Json:
        """Answer an event with declined, tentative, accepted or needsAction.

        An event of the user's own becomes an invitation from another person.
        """
        owner = self.account(account)
        version, _day = owner.find(event_id)
        organizer = version.fields["organizer"]
        if organizer["emailAddress"]["address"].lower() == owner.email.lower():
            organizer = writes.person("organiser@partner.example")
        status = {"response": RESPONSES[answer], "time": f"{self.clock.now():%Y-%m-%dT%H:%M:%SZ}"}
        guest = {"type": "required", "status": status, **writes.person(owner.email)}
        others = [
            each
            for each in version.fields["attendees"]
            if each["emailAddress"]["address"].lower() != owner.email.lower()
        ]
        return self.patch_event(
            account,
            event_id,
            attendees=[*others, guest],
            organizer=organizer,
            responseStatus=status,
        )

    # What an administrator does

    def revoke(self, account: str) -> None:
        """Put a mailbox outside the scope of the application: every call is 403."""
        self._set_state(account, "revoked")

    def restore(self, account: str) -> None:
        """Make a mailbox healthy again."""
        self._set_state(account, "ok")

    def suspend(self, account: str) -> None:
        """Block a user from signing in; the calendar answers 404."""
        self._set_state(account, "suspended")

    def delete_account(self, account: str, *, for_ever: bool = False) -> None:
        """Delete a user; for a while it could be restored."""
        self._set_state(account, "purged" if for_ever else "deleted")

    def no_licence(self, account: str) -> None:
        """Take the mailbox's licence away: calls are 404 ``MailboxNotEnabledForRESTAPI``."""
        self._set_state(account, "unlicensed")

    def on_premises(self, account: str) -> None:
        """Move the mailbox to an Exchange server on premises: calls are 404."""
        self._set_state(account, "on_premises")

    def expire_sync_tokens(self, account: str, *, calendar: str = "primary") -> None:
        """Make every delta token of a calendar answer 410 from now on."""
        self.calendar(account, calendar).generation += 1

    # What a test looks at

    def events_of(self, account: str, calendar: str | None = None) -> list[Json]:
        """Return the live events (masters, singles, changed occurrences) of all or one calendar."""
        owner = self.account(account)
        number = None if calendar is None else self.calendar(account, calendar).number
        return [
            self._shown(owner, version, day)
            for version in owner.living(number, owner.seq)
            for day in (None, *sorted(version.changed))
        ]

    def mirrors_of(self, account: str) -> list[Json]:
        """Return the live events that carry our marker."""
        owner = self.account(account)
        return [
            self._shown(owner, version)
            for version in owner.living(None, owner.seq)
            if MARKER.lower() in version.properties
        ]

    def shift_mirrors(self, account: str, by: timedelta) -> None:
        """Show all mirrors at another time; etag, change number and time of change stay."""
        owner = self.account(account)
        for version in owner.living(None, owner.seq):
            if MARKER.lower() in version.properties and not version.span.all_day:
                span = version.span
                version.span = replace(span, start=span.start + by, end=span.end + by)

    def marker_of(self, account: str, event_id: str) -> str | None:
        """Return the value of our marker on an event, None where it has none."""
        version, day = self.account(account).find(event_id)
        change = version.changed.get(day) if day else None
        held = change.properties if change else {} if day else version.properties
        return held[MARKER.lower()][1] if MARKER.lower() in held else None

    def expanded(
        self, account: str, low: datetime, high: datetime, calendar: str = "primary"
    ) -> list[Json]:
        """Return the live single events and occurrences that touch a window."""
        owner = self.account(account)
        found: list[Json] = []
        for version in owner.living(self.calendar(account, calendar).number, owner.seq):
            if version.is_series:
                found.extend(
                    self._shown(owner, version, each.day) for each in version.instances(low, high)
                )
            elif version.span.touches(low, high):
                found.append(self._shown(owner, version))
        return found

    def words(
        self,
        *,
        title: str | None = None,
        free: bool | None = None,
        private: bool | None = None,
        rrule: str | None = None,
    ) -> Json:
        """Return the properties of the API for these; None leaves one out."""
        return glance.fields_of(title, free=free, private=private, rrule=rrule)

    def glimpse(self, account: str, event: Json) -> Glimpse:
        """Look at one of the events that this world returns."""
        return glance.glimpse_of(event, MARKER, self.account(account).time_zone)

    def _said(self, owner: Mailbox, fields: Json, old: Json | None = None) -> Json:
        """Merge what a person says about an event into what it was."""
        body = dict(old or writes.blank(owner))
        body.update(writes.read_fields(fields))
        body.update({k: v for k, v in fields.items() if k in BEYOND})
        return body

    def _shown(self, owner: Mailbox, version: Version, day: date | None = None) -> Json:
        instance = version.instance(day) if day else None
        written = event_json(owner, version, PERSON, instance)
        held = version.properties
        if instance is not None:
            held = instance.change.properties if instance.change else {}
        if held:
            written["singleValueExtendedProperties"] = [
                {"id": name, "value": value} for name, value in held.values()
            ]
        return written

    def _set_state(self, account: str, state: str) -> None:
        found = self.account(account)
        found.state = state
        self.users.set_state(found.guid, state, self.clock.now())
