"""The Welkin tenant of the sandbox, and what people do in its user interface."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.clock import Clock, stamp
from calendar_sync_sandbox.outbox import Outbox
from calendar_sync_sandbox.welkin.automations import Automations
from calendar_sync_sandbox.welkin.habits import Habits
from calendar_sync_sandbox.welkin.lag import History
from calendar_sync_sandbox.welkin.records import (
    Encounter,
    Event,
    Json,
    Participant,
    Patient,
    Template,
    User,
)
from calendar_sync_sandbox.welkin.wire import event_json

if TYPE_CHECKING:
    from collections.abc import Iterable

MILLISECOND = timedelta(milliseconds=1)
# Author of everything that a person does; not a user of the tenant.
USER_INTERFACE = "0a0e5b8e-0000-4000-8000-00000000d0e5"


class WelkinWorld:
    """All records of one tenant and instance.

    Times are stamped by the sandbox clock, each write at least a millisecond after the one before,
    so that exports have an order.

    Attributes:
        canaries: recognisable patient data; shared with the sandbox.
        audit_enabled: False makes ``admin/audit-data`` 403.
        rate_limit: requests a second, None for no limit.
        retry_after: value of Retry-After on 429, None for none.
        closed_editable: whether the event of a finalised encounter may still be changed.
        encounter_moves: whether the schedule of an encounter can be changed through the API.
        lag_seconds: exports leave out what changed so recently.
        read_lag_seconds: lists and single reads answer as the world was so long ago.
        backdate: writes are stamped so long before now, for records that were always there.
        habits: what this tenant does otherwise than others.
        automations: webhooks, which are sent when something happens.
    """

    def __init__(
        self, clock: Clock, seed: int, instance: str, client_name: str, canaries: set[str],
        outbox: Outbox | None = None, tenant: str = "demo-care",
    ) -> None:  # fmt: skip
        """Start with the templates and no users."""
        self.clock = clock
        self.random = random.Random(f"welkin-{seed}")  # noqa: S311 - reproducible, not secret
        self.instance = instance
        self.client_name = client_name
        self.canaries = canaries
        self.audit_enabled = True
        self.rate_limit: int | None = 5
        self.retry_after: str | None = None
        self.closed_editable = False
        self.encounter_moves = True
        self.lag_seconds = 0.0
        self.read_lag_seconds = 0.0
        self._history = History()
        self.backdate = timedelta(0)
        self.habits = Habits()
        self.automations = Automations(outbox or Outbox(clock, seed), seed, tenant, instance)
        self.client_id = self.new_id()
        self.encounter_cdt_id = self.new_id()
        self.users: dict[str, User] = {}
        self.patients: dict[str, Patient] = {}
        self.events: dict[str, Event] = {}
        self.encounters: dict[str, Encounter] = {}
        self.templates: dict[str, Template] = {}
        self.audit: list[Json] = []
        self.by_participant: dict[str, dict[str, None]] = {}
        self.by_external_id: dict[str, str] = {}
        # Ids in the order of their last change; the exports read them backwards.
        self.event_journal: dict[str, None] = {}
        self.encounter_journal: dict[str, None] = {}
        self._encounter_of: dict[str, str] = {}
        self._last_stamp = datetime(1970, 1, 1, tzinfo=UTC)
        self._canary_count = 0
        for name, title, mode, minutes, color in (
            ("etmp-initial-consultation", "Initial Consultation", "VIDEO", 60, "#e67b2d"),
            ("etmp-follow-up", "Follow-up", "VIDEO", 30, "green"),
            ("etmp-home-visit", "Home Visit", "IN-PERSON", 90, "#3355aa"),
            ("etmp-phone-check-in", "Phone Check-in", "CALL", 15, "pink"),
        ):
            self.templates[name] = Template(self.new_id(), name, title, mode, minutes, color)

    # People

    def add_user(
        self,
        email: str,
        first: str | None = "Sam",
        last: str | None = "Sandbox",
        time_zone: str | None = "US/Eastern",
        id: str | None = None,
        state: str = "ACTIVE",
        instances: tuple[str, ...] = ("live",),
    ) -> User:
        """Add a member of the care team."""
        now = self.stamp()
        username = email.split("@")[0].lower()
        user = User(
            id or self.new_id(), username, email, first, last, time_zone, now, now, state, instances
        )
        self.users[user.id] = user
        return user

    def deactivate_user(self, user_id: str) -> None:
        """Disable a user; the events stay."""
        self.users[user_id].state = "INACTIVE"
        self.users[user_id].updated = self.stamp()
        self._forget_wires(user_id)

    def activate_user(self, user_id: str) -> None:
        """Enable a user again."""
        self.users[user_id].state = "ACTIVE"
        self.users[user_id].updated = self.stamp()
        self._forget_wires(user_id)

    def add_patient(self, first: str, last: str, *, masked: bool = False) -> Patient:
        """Add a patient; the names become canaries."""
        patient = Patient(self.new_id(), first, last, masked)
        self.patients[patient.id] = patient
        self.canaries.update((first, last))
        return patient

    # Appointments

    def book_encounter(
        self,
        host_id: str,
        start: datetime,
        end: datetime,
        template: str = "etmp-follow-up",
        patient_id: str | None = None,
        title: str | None = None,
        extra_user_ids: Iterable[str] = (),
        by: str = USER_INTERFACE,
    ) -> Encounter:
        """Book an encounter with its calendar event.

        Args:
            host_id: the user who holds it.
            start: aware; stored in UTC.
            end: aware.
            template: name of a template.
            patient_id: an own patient with canary names is made for None.
            title: of encounter and event; a canary is made for None.
            extra_user_ids: further users taking part.
            by: user id of the author.
        """
        if patient_id is None:
            number = self._next_canary()
            patient_id = self.add_patient(f"Zyxwanda{number}", f"Qanaryson{number}").id
        if title is None:
            title = self.canary("TITLE")
        people = [(host_id, "psm"), *((user, "psm") for user in extra_user_ids)]
        event = self.store_event(
            host_id=host_id,
            start=start,
            end=end,
            type="ENCOUNTER",
            status="SCHEDULED",
            mode=self.templates[template].mode,
            title=title,
            participants=[*people, (patient_id, "patient")],
            by=by,
        )
        return self.store_encounter(patient_id, template, title, event, by=by)

    def store_encounter(
        self, patient_id: str, template: str, title: str | None, event: Event | None, *, by: str
    ) -> Encounter:
        """Store an encounter and tie it to its event."""
        now = self.stamp()
        encounter = Encounter(
            id=self.new_id(),
            patient_id=patient_id,
            template=template,
            title=title,
            created=now,
            updated=now,
            created_by=by,
            updated_by=by,
            disposition_id=self.new_id(),
            event_id=event.id if event else None,
            notes=self.canary("NOTE") if by == USER_INTERFACE else None,
            linked=event_json(self, event) if event else None,
        )
        self.encounters[encounter.id] = encounter
        self.encounter_journal[encounter.id] = None
        if event:
            self._encounter_of[event.id] = encounter.id
        self.automations.tell_encounter("CREATED", encounter)
        return encounter

    def book_event(
        self,
        host_id: str,
        start: datetime,
        end: datetime,
        type: str | None = "APPOINTMENT",
        *,
        title: str | None = None,
        patient_ids: Iterable[str] = (),
        extra_user_ids: Iterable[str] = (),
        status: str | None = "Scheduled",
        **fields: Any,
    ) -> Event:
        """Book an event without encounter: an appointment, leave, group session or no type."""
        people = [(host_id, "psm"), *((user, "psm") for user in extra_user_ids)]
        return self.store_event(
            host_id=host_id,
            start=start,
            end=end,
            type=type,
            status=status,
            title=title if title is not None else self.canary("TITLE"),
            participants=[*people, *((patient, "patient") for patient in patient_ids)],
            **{"description": "", "color": "green", "mode": "IN-PERSON", **fields},
        )

    def move_event(self, event_id: str, start: datetime, end: datetime) -> Event:
        """Give an event, also that of an encounter, another time."""
        return self.change_event(event_id, start=start, end=end)

    def retitle(self, event_id: str, title: str | None = None) -> Event:
        """Give an event another title; a canary for None."""
        title = title if title is not None else self.canary("TITLE")
        return self.change_event(event_id, title=title)

    def set_host(self, event_id: str, user_id: str) -> Event:
        """Hand an event over: the new host takes the old one's place."""
        event = self.events[event_id]
        old = event.host_id
        rows = [p for p in event.participants if p.participant_id not in (old, user_id)]
        rows.insert(0, Participant(self.new_id(), user_id, "psm"))
        return self.change_event(event_id, host_id=user_id, participants=rows)

    def add_participant(self, event_id: str, user_id: str) -> Event:
        """Add a user to an event."""
        rows = [p for p in self.events[event_id].participants if p.participant_id != user_id]
        rows.append(Participant(self.new_id(), user_id, "psm"))
        return self.change_event(event_id, participants=rows)

    def remove_participant(self, event_id: str, user_id: str) -> Event:
        """Take a user out of an event."""
        rows = [p for p in self.events[event_id].participants if p.participant_id != user_id]
        return self.change_event(event_id, participants=rows)

    def cancel_event(self, event_id: str) -> Event:
        """Set an event to cancelled."""
        return self.change_event(event_id, status="CANCELLED")

    def uncancel_event(self, event_id: str) -> Event:
        """Set a cancelled event back to scheduled."""
        return self.change_event(event_id, status="SCHEDULED")

    def delete_event(self, event_id: str, *, by: str = USER_INTERFACE) -> None:
        """Delete an event: a future one vanishes, a past one stays as cancelled."""
        event = self.events[event_id]
        if event.start <= self.clock.now():
            if not event.cancelled:
                self.change_event(event_id, status="CANCELLED", by=by)
            return
        self._note(event_id)
        del self.events[event_id]
        self.event_journal.pop(event_id, None)
        for person in {event.host_id, *(p.participant_id for p in event.participants)}:
            self.by_participant.get(person, {}).pop(event_id, None)
        if event.external_id:
            self.by_external_id.pop(event.external_id, None)
        encounter = self.encounters.get(self._encounter_of.pop(event_id, ""))
        if encounter is not None:
            encounter.event_id, encounter.linked = None, None
            self._touch_encounter(encounter, by)
        self._audit("CALENDAR", "CALENDAR_EVENT_DELETED", event_id)
        self.automations.tell_event("DELETED", event)

    # Encounters

    def cancel_encounter(self, encounter_id: str) -> Encounter:
        """Cancel an encounter; its event stays scheduled."""
        return self.set_encounter_status(encounter_id, "CANCELLED")

    def uncancel_encounter(self, encounter_id: str) -> Encounter:
        """Put a cancelled encounter back to planned."""
        return self.set_encounter_status(encounter_id, "DRAFT")

    def open_encounter(self, encounter_id: str) -> Encounter:
        """Start the session."""
        encounter = self.encounters[encounter_id]
        encounter.opened = self.clock.now()
        return self.set_encounter_status(encounter_id, "OPEN")

    def finalize_encounter(self, encounter_id: str) -> Encounter:
        """Close the session."""
        self.encounters[encounter_id].closed = self.clock.now()
        return self.set_encounter_status(encounter_id, "FINALIZED")

    def set_encounter_status(
        self, encounter_id: str, status: str, *, by: str = USER_INTERFACE
    ) -> Encounter:
        """Give an encounter a status and touch its event."""
        encounter = self.encounters[encounter_id]
        encounter.status = status
        self._touch_encounter(encounter, by)
        return encounter

    def touch_encounter_notes(self, encounter_id: str) -> Encounter:
        """Write clinical notes: nothing that a calendar shows changes, but the event's stamp."""
        encounter = self.encounters[encounter_id]
        encounter.notes = self.canary("NOTE")
        self._touch_encounter(encounter, USER_INTERFACE)
        return encounter

    def delete_encounter(self, encounter_id: str) -> None:
        """Delete an encounter; its event stays scheduled and only its time stamp moves."""
        encounter = self.encounters.pop(encounter_id)
        self.encounter_journal.pop(encounter_id, None)
        if encounter.event_id in self.events:
            self._encounter_of.pop(encounter.event_id, None)
            self._touch_event(self.events[encounter.event_id], USER_INTERFACE)
        self._audit("CDT", "CDT_DELETED", encounter_id)
        self.automations.tell_encounter("DELETED", encounter)

    def encounter_of(self, event_id: str) -> Encounter | None:
        """Return the encounter that an event belongs to."""
        return self.encounters.get(self._encounter_of.get(event_id, ""))

    # What a test looks at

    def blocks_of(self, user_id: str, prefix: str = "") -> list[Event]:
        """Return the leave of a user that is not cancelled, by the start of its external id."""
        return [
            event
            for event in self.events_of(user_id)
            if event.type == "LEAVE"
            and not event.cancelled
            and (event.external_id or "").startswith(prefix)
        ]

    def events_of(self, user_id: str) -> list[Event]:
        """Return every event that has participants, cancelled ones too."""
        return [self.events[i] for i in self.by_participant.get(user_id, {})]

    # Shared by the API and by people

    def store_event(
        self,
        *,
        host_id: str,
        start: datetime,
        end: datetime,
        participants: Iterable[tuple[str, str]],
        by: str = USER_INTERFACE,
        external_id: str | None = None,
        **fields: Any,
    ) -> Event:
        """Store a new event; participants are (id, role)."""
        now = self.stamp()
        event = Event(
            id=self.new_id(),
            host_id=host_id,
            start=start.astimezone(UTC),
            end=end.astimezone(UTC),
            created=now,
            updated=now,
            external_id_updated=now,
            created_by=by,
            updated_by=by,
            external_id=external_id,
            participants=[Participant(self.new_id(), who, role) for who, role in participants],
            **fields,
        )
        self._note(event.id)
        self.events[event.id] = event
        self.event_journal[event.id] = None
        self._index(event)
        self.automations.tell_event("CREATED", event)
        return event

    def change_event(self, event_id: str, *, by: str = USER_INTERFACE, **changes: Any) -> Event:
        """Set attributes of an event and move its time stamp, whether or not anything differs."""
        self._note(event_id)
        event = self.events[event_id]
        for person in {event.host_id, *(p.participant_id for p in event.participants)}:
            self.by_participant.get(person, {}).pop(event_id, None)
        if event.external_id:
            self.by_external_id.pop(event.external_id, None)
        if changes.get("external_id", event.external_id) != event.external_id:
            event.external_id_updated = self.stamp()
        for name, value in changes.items():
            moment = value.astimezone(UTC) if name in ("start", "end") else value
            setattr(event, name, moment)
        self._index(event)
        self._touch_event(event, by)
        return event

    def seen_events(self) -> dict[str, Event]:
        """What a read finds: the events now, or as they were before the lag."""
        if not self.read_lag_seconds:
            return self.events
        moment = self.clock.now() - timedelta(seconds=self.read_lag_seconds)
        return self._history.as_of(self.events, moment)

    def _note(self, event_id: str) -> None:
        before, now = self.events.get(event_id), self.clock.now()
        self._history.note(event_id, before, now, self.read_lag_seconds)

    def change_encounter(self, encounter: Encounter, *, by: str, **changes: Any) -> None:
        """Set attributes of an encounter and touch it with its event."""
        for name, value in changes.items():
            setattr(encounter, name, value)
        self._touch_encounter(encounter, by)

    def new_id(self) -> str:
        """Return a UUID from the seeded generator."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def stamp(self) -> datetime:
        """Return the time of a write: now, or a millisecond after the write before it."""
        now = self.clock.now() - self.backdate
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        after = timedelta(0) if self.habits.same_instant else MILLISECOND
        self._last_stamp = max(now, self._last_stamp + after)
        return self._last_stamp

    def canary(self, what: str) -> str:
        """Make a recognisable text and remember it."""
        text = f"CANARY-{what}-{self._next_canary():05d}"
        self.canaries.add(text)
        return text

    def name_of(self, author: str) -> str:
        """Name an author as encounters do."""
        if author == self.client_id:
            return f"API_CLIENT:{self.client_name}"
        user = self.users.get(author)
        return user.name if user else "Welkin"

    def _audit(self, entity: str, subtype: str, source: str) -> None:
        self.audit.append(
            {
                "id": self.new_id(),
                "createdAt": stamp(self.stamp()),
                "entity": entity,
                "eventSubtype": subtype,
                "instanceName": self.instance,
                self.habits.audit_key: source,
            }
        )

    def _next_canary(self) -> int:
        self._canary_count += 1
        return self._canary_count

    def _index(self, event: Event) -> None:
        for person in {event.host_id, *(p.participant_id for p in event.participants)}:
            self.by_participant.setdefault(person, {})[event.id] = None
        if event.external_id:
            self.by_external_id[event.external_id] = event.id

    def _touch_event(self, event: Event, by: str) -> None:
        event.updated, event.updated_by, event.wire = self.stamp(), by, None
        self.event_journal.pop(event.id, None)
        self.event_journal[event.id] = None
        self.automations.tell_event("UPDATED", event)

    def _touch_encounter(self, encounter: Encounter, by: str) -> None:
        event = self.events.get(encounter.event_id or "")
        if event is not None:
            self._touch_event(event, by)
        encounter.updated, encounter.updated_by = self.stamp(), by
        self.encounter_journal.pop(encounter.id, None)
        self.encounter_journal[encounter.id] = None
        self.automations.tell_encounter("UPDATED", encounter)

    def _forget_wires(self, person: str) -> None:
        for event_id in self.by_participant.get(person, {}):
            self.events[event_id].wire = None
