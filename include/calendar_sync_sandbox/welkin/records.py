"""What Welkin keeps: users, patients, calendar events, encounters, templates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

Json = dict[str, Any]


@dataclass(slots=True, eq=False)
class User:
    """A member of the care team; ``time_zone`` and names may be missing."""

    id: str
    username: str
    email: str
    first: str | None
    last: str | None
    time_zone: str | None
    created: datetime
    updated: datetime
    state: str = "ACTIVE"
    instances: tuple[str, ...] = ("live",)
    roles: tuple[str, ...] = ("care-team",)
    policies: tuple[str, ...] = ()

    @property
    def enabled(self) -> bool:
        """Whether the user can work."""
        return self.state == "ACTIVE"

    @property
    def name(self) -> str:
        """First and last name."""
        return " ".join(part for part in (self.first, self.last) if part)


@dataclass(slots=True, eq=False)
class Patient:
    """A patient; ``masked`` ones show ``*****`` to the API client."""

    id: str
    first: str
    last: str
    masked: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of encounter; ``minutes`` is its usual length."""

    id: str
    name: str
    title: str
    mode: str
    minutes: int
    color: str


@dataclass(slots=True, eq=False)
class Participant:
    """A row of an event: ``role`` is ``psm`` for a user and ``patient`` for a patient."""

    id: str
    participant_id: str
    role: str
    status: str = ""


@dataclass(slots=True, eq=False)
class Event:
    """A calendar event; times in UTC, ``wire`` is the cached JSON of the present state."""

    id: str
    host_id: str
    start: datetime
    end: datetime
    created: datetime
    updated: datetime
    external_id_updated: datetime
    created_by: str
    updated_by: str
    external_id: str | None = None
    title: str | None = None
    description: str | None = None
    all_day: bool = False
    type: str | None = None
    status: str | None = None
    mode: str | None = None
    color: str | None = None
    time_zone: str | None = None
    additional_info: Any = None
    participants: list[Participant] = field(default_factory=list)
    wire: Json | None = None

    @property
    def cancelled(self) -> bool:
        """Whether the event no longer takes place."""
        return (self.status or "").upper() == "CANCELLED"

    @property
    def patient_id(self) -> str | None:
        """Id of the first patient taking part."""
        return next((p.participant_id for p in self.participants if p.role == "patient"), None)

    def psm_ids(self) -> list[str]:
        """Ids of the users taking part."""
        return [p.participant_id for p in self.participants if p.role == "psm"]

    def people(self) -> list[str]:
        """Ids of everybody taking part."""
        return [p.participant_id for p in self.participants]


@dataclass(slots=True, eq=False)
class Encounter:
    """An encounter; its schedule is the event ``event_id``, ``linked`` the event as it was then."""

    id: str
    patient_id: str
    template: str
    title: str | None
    created: datetime
    updated: datetime
    created_by: str
    updated_by: str
    disposition_id: str
    event_id: str | None = None
    status: str = "DRAFT"
    description: str | None = ""
    notes: str | None = None
    linked: Json | None = None
    opened: datetime | None = None
    closed: datetime | None = None
    active_user_id: str | None = None
    external_id: str | None = None
