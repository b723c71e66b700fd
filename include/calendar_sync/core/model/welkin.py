"""What Welkin has: events, encounters, staff. Patient data appears here and in `Draft` only."""

from dataclasses import dataclass, field
from datetime import datetime

from calendar_sync.core.model.times import Span
from calendar_sync.core.model.words import Direction, Platform


@dataclass(frozen=True, slots=True)
class Patient:
    """Patient data, for the detail level `full` only. Never stored, never printed.

    The names are shown; everything else only tells which links carry it.
    """

    first_name: str
    last_name: str
    id: str = ""
    email: str = ""
    phone: str = ""
    birth_date: str = ""

    def __repr__(self) -> str:
        """Say nothing, so that no log or traceback can."""
        return "Patient(…)"


@dataclass(frozen=True, slots=True, repr=False)
class WelkinEvent:
    """A Welkin calendar event, as much of it as the sync needs.

    `instants` are start and end as Welkin wrote them: an all-day event's may be at any hour.
    `version` is when Welkin last changed it: texts that sort by time. `former_patients` took part
    once. `status` is Welkin's word ("SCHEDULED"), empty for none.
    """

    id: str
    span: Span
    host_id: str | None
    user_ids: frozenset[str]
    kind: str = "APPOINTMENT"
    cancelled: bool = False
    external_id: str | None = None
    title: str | None = None
    patients: tuple[Patient, ...] = ()
    mode: str | None = None
    location: str | None = None
    time_zone: str | None = None
    instants: str = ""
    version: str = ""
    former_patients: tuple[Patient, ...] = ()
    status: str = ""

    def __repr__(self) -> str:
        """Only what may stand in a log."""
        return f"WelkinEvent(id={self.id!r}, kind={self.kind!r}, cancelled={self.cancelled})"


MISSING = "MISSING"


@dataclass(frozen=True, slots=True)
class Encounter:
    """What the encounter index keeps of an encounter: nothing that a patient would mind."""

    event_id: str
    encounter_id: str
    template: str | None
    status: str

    @property
    def cancelled(self) -> bool:
        """Cancelled (in either spelling), deleted, or no longer listed anywhere."""
        return self.status in {"CANCELLED", "CANCELED", "DELETED", MISSING}


@dataclass(frozen=True, slots=True)
class Appointment:
    """A Welkin event that is a visit, joined with its encounter."""

    event: WelkinEvent
    encounter: Encounter | None
    source_hash: str

    @property
    def id(self) -> str:
        """Welkin's id of the calendar event."""
        return self.event.id

    @property
    def pending(self) -> bool:
        """An encounter's event whose encounter is not known yet: neither create nor remove."""
        return self.event.kind == "ENCOUNTER" and self.encounter is None

    @property
    def cancelled(self) -> bool:
        """Either side says so (the event, or its encounter)."""
        return self.event.cancelled or (self.encounter is not None and self.encounter.cancelled)

    @property
    def type_name(self) -> str:
        """The encounter template, or the plain event type."""
        if self.encounter is not None and self.encounter.template:
            return self.encounter.template
        return self.event.kind


# Why a member of staff is not active: the account itself, its access to the configured
# environment, or that Welkin's list no longer has it.
INACTIVE = "inactive"
NO_ACCESS = "no_access"
NOT_LISTED = "not_listed"


@dataclass(frozen=True, slots=True)
class WelkinUser:
    """A member of staff; for an inactive one, the reason and the time.

    If the row is `unreadable`, only the id is known, and everything else stays as it was.
    `roles` and `policies` are names of security roles and policies in the configured environment;
    they are known only of a list that was just read, and stored nowhere.
    """

    id: str
    email: str
    time_zone: str | None
    active: bool
    inactive_because: str = ""
    inactive_since: datetime | None = None
    unreadable: bool = False
    roles: frozenset[str] = frozenset()
    policies: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person has chosen for their calendar; empty for what the settings say.

    `level` is the most that a mirror shows, `reminder` as in `mirror_content`. `colour` is of all
    mirrors in Google Calendar, `category` of all in Outlook; "none" for none.
    """

    level: str = ""
    reminder: str = ""
    colour: str = ""
    category: str = ""


NO_CHOICES = Choices()


@dataclass(frozen=True, slots=True)
class MappedUser:
    """One row of the user mapping: a Welkin user and the account on one platform.

    `busy_calendars` are ids of further calendars of the person that count as busy, and
    `mirrors_calendar` is that of their calendar for mirrors; empty for what the settings say.
    `own_calendar` is no part of the row: the id of the calendar that was made for this account's
    mirrors, empty while there is none. Nor is `chosen`, what the person has chosen.
    `unsaid` names fields that whoever gives the row says nothing of: they stay as they are.
    """

    user_id: str
    platform: Platform
    account: str
    enabled: bool = True
    direction: Direction | None = None
    revision: int = 0
    profile: str = ""
    busy_calendars: tuple[str, ...] = ()
    mirrors_calendar: str = ""
    own_calendar: str = field(default="", compare=False)
    chosen: Choices = field(default=NO_CHOICES, compare=False)
    unsaid: frozenset[str] = field(default=frozenset(), compare=False)
