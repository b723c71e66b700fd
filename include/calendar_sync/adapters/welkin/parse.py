"""From Welkin's JSON to our values: tolerant of everything that it may send.

Unknown keys are ignored, an absent key is a null one, words are compared without case; only `id`,
`startDateTime` and `endDateTime` are needed. `local*` fields are never read: they are derived, and
wrong for events without a zone.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from calendar_sync.core.bounded import read_json
from calendar_sync.core.model import (
    INACTIVE,
    NO_ACCESS,
    Encounter,
    Patient,
    Span,
    WelkinEvent,
    WelkinUser,
    instant,
    iso,
    parse_iso,
    to_second,
    zone_or_none,
)

APPOINTMENT_KINDS = frozenset({"ENCOUNTER", "APPOINTMENT", "GROUP_THERAPY"})
OTHER_KINDS = frozenset({"LEAVE"})


class UnreadableObject(ValueError):
    """The object lacks what no event can do without; carries its id where there is one."""

    def __init__(self, event_id: str) -> None:
        super().__init__(event_id)
        self.event_id = event_id


def parse_event(row: Any, zone: ZoneInfo) -> WelkinEvent:
    """A calendar event. `zone` places the dates of an all-day event that names none.

    Raises:
        UnreadableObject: the mandatory keys are missing or no times.
    """
    if not isinstance(row, Mapping):
        raise UnreadableObject("")
    event_id = text(row.get("id")) or ""
    start, end = _time(row.get("startDateTime")), _time(row.get("endDateTime"))
    if not event_id or start is None or end is None:
        raise UnreadableObject(event_id)
    own = zone_or_none(text(row.get("timezone")))
    try:
        span = _span(row, start, end, own, zone)
    except OverflowError:  # days that no zone's calendar has: after 9999, before year 1
        raise UnreadableObject(event_id) from None
    time_zone = text(row.get("timezone"))
    host = text(row.get("hostId"))
    every = _list(row.get("participants"))
    people = [p for p in every if p.get("deleted") is not True]
    status = word(row.get("eventStatus"))
    users = {
        text(p.get("participantId")) for p in people if word(p.get("participantRole")) == "PSM"
    }
    users.add(host)
    return WelkinEvent(
        id=event_id,
        span=span,
        host_id=host,
        user_ids=frozenset(user for user in users if user),
        kind=_kind(row.get("eventType")),
        cancelled=status in {"CANCELLED", "CANCELED"},
        external_id=text(row.get("externalId")),
        title=text(row.get("eventTitle")),
        patients=_patients(people),
        mode=word(row.get("eventMode")) or None,
        location=_location(row.get("additionalInfo")),
        time_zone=time_zone,
        instants=f"{iso(to_second(start))}/{iso(to_second(end))}",
        version=text(row.get("updatedAt")) or "",
        former_patients=_patients(p for p in every if p.get("deleted") is True),
        status=status,
    )


def _patients(people: Iterable[Mapping[str, Any]]) -> tuple[Patient, ...]:
    keys = ("firstName", "lastName", "participantId", "email", "phone", "birthDate")
    return tuple(
        Patient(*(text(person.get(key)) or "" for key in keys))
        for person in people
        if word(person.get("participantRole")) == "PATIENT"
    )


def parse_encounter(row: Any) -> Encounter | None:
    """What the encounter index keeps; None for an encounter without an appointment."""
    body = row.get("jsonBody") if isinstance(row, Mapping) else None
    if not isinstance(body, Mapping):
        return None
    appointment = body.get("currentScheduledAppointment")
    appointment = appointment if isinstance(appointment, Mapping) else {}
    event_id = text(body.get("calendarEventId")) or text(appointment.get("id"))
    encounter_id = text(row.get("id")) or text(body.get("id"))
    if not event_id or not encounter_id:
        return None
    return Encounter(
        event_id=event_id,
        encounter_id=encounter_id,
        template=text(body.get("templateName")) or text(body.get("type")),
        status=word(body.get("status")),
    )


def parse_user(row: Any, instance: str) -> WelkinUser | None:
    """A member of staff. Active: state, flag, and access to the configured environment."""
    if not isinstance(row, Mapping) or not text(row.get("id")):
        return None
    access = row.get("applicationAccess")
    instances = _list(access.get("instanceAccesses")) if isinstance(access, Mapping) else []
    because = ""
    if word(row.get("userState")) != "ACTIVE" or row.get("enabled") is not True:
        because = INACTIVE
    elif not any(entry.get("instanceName") == instance for entry in instances):
        because = NO_ACCESS
    return WelkinUser(
        id=str(row["id"]),
        email=(text(row.get("email")) or "").lower(),
        time_zone=text(row.get("timezone")),
        active=not because,
        inactive_because=because,
        roles=_permissions(row.get("roles"), instance),
        policies=_permissions(row.get("policies"), instance),
    )


def _permissions(rows: Any, instance: str) -> frozenset[str]:
    """Names of the roles or policies of a user in this environment."""
    return frozenset(
        name
        for row in _list(rows)
        if row.get("instanceName") == instance and (name := text(row.get("permissionName")))
    )


def text(value: Any) -> str | None:
    """A non-empty string, else None."""
    return value if isinstance(value, str) and value else None


def word(value: Any) -> str:
    """An enumeration's word in one spelling: `In-Person` and `IN_PERSON` are the same."""
    return value.strip().upper().replace("-", "_").replace(" ", "_") if text(value) else ""


def welkin_time(value: datetime) -> str:
    """The only form that Welkin takes: UTC with exactly three digits of fraction."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _kind(value: Any) -> str:
    """Null and unknown types count as appointments."""
    kind = word(value)
    return kind if kind in APPOINTMENT_KINDS | OTHER_KINDS else "APPOINTMENT"


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        parsed = parse_iso(value)
    except ValueError:
        return None
    if not isinstance(parsed, datetime):
        return instant(parsed, ZoneInfo("UTC"))
    return parsed


def _span(
    row: Mapping[str, Any], start: datetime, end: datetime, own: ZoneInfo | None, user: ZoneInfo
) -> Span:
    if row.get("allDayEvent") is not True:
        return Span(to_second(start), to_second(end))
    zones = [zone for zone in (own, user, ZoneInfo("UTC")) if zone is not None]
    zone = next((zone for zone in zones if _midnight(start, zone)), zones[0])
    first = start.astimezone(zone).date()
    return Span(first, max(_exclusive_end(end, zone), first + timedelta(days=1)))


def _midnight(value: datetime, zone: ZoneInfo) -> bool:
    """The day begins at this moment; where midnight is missing, a little after it."""
    return to_second(value) == instant(value.astimezone(zone).date(), zone)


def _exclusive_end(end: datetime, zone: ZoneInfo) -> date:
    """Both midnight of the day after and 23:59:59.999 of the last day are met."""
    local = end.astimezone(zone)
    return local.date() if _midnight(end, zone) else local.date() + timedelta(days=1)


def _location(info: Any) -> str | None:
    if isinstance(info, str):
        try:
            info = read_json(info)
        except ValueError:
            return None
    return text(info.get("location")) if isinstance(info, Mapping) else None


def _list(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
