"""How Welkin writes its records as JSON.

The key sets are those of recorded answers: 23 keys for an event, 15 for a participant, 36 for the
body of an encounter read by patient.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from calendar_sync_sandbox.clock import stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calendar_sync_sandbox.welkin.records import (
        Encounter,
        Event,
        Json,
        Participant,
        Patient,
        Template,
        User,
    )
    from calendar_sync_sandbox.welkin.world import WelkinWorld

# The only form that Welkin takes: three fraction digits and a Z.
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
MASK = "*****"


def parse_moment(text: Any) -> datetime | None:
    """Read a time in Welkin's form, None for any other."""
    if not isinstance(text, str) or not MOMENT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def parse_any(text: Any) -> datetime | None:
    """Read a time with any precision and offset."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


def local(moment: datetime, zone: str | None) -> str:
    """Write a moment with the offset of a zone, as the derived fields have it."""
    try:
        place: tzinfo = ZoneInfo(zone) if zone else UTC
    except (KeyError, ValueError):
        # Whatever name was written, the derived fields have some offset.
        place = UTC
    return moment.astimezone(place).isoformat(timespec="milliseconds")


def event_json(world: WelkinWorld, event: Event, viewer_zone: str | None = None) -> Json:
    """Write an event, in the tenant's own way."""
    body = _event_json(world, event, viewer_zone)
    return world.habits.dialect(body) if world.habits.writes_oddly else body


def _event_json(world: WelkinWorld, event: Event, viewer_zone: str | None) -> Json:
    if event.wire is not None and viewer_zone is None:
        return event.wire
    zone = viewer_zone or event.time_zone
    body: Json = {
        "id": event.id,
        "createdBy": event.created_by,
        "createdAt": stamp(event.created),
        "updatedBy": event.updated_by,
        "updatedAt": stamp(event.updated),
        "externalId": event.external_id,
        "externalIdUpdatedAt": stamp(event.external_id_updated),
        "eventTitle": event.title,
        "eventDescription": event.description,
        "startDateTime": stamp(event.start),
        "localStartDateTime": local(event.start, zone),
        "endDateTime": stamp(event.end),
        "localEndDateTime": local(event.end, zone),
        "allDayEvent": event.all_day,
        "duration": int((event.end - event.start).total_seconds()),
        "eventType": event.type,
        "eventStatus": event.status,
        "eventMode": event.mode,
        "eventColor": event.color,
        "hostId": event.host_id,
        "timezone": event.time_zone,
        "additionalInfo": event.additional_info,
        "participants": [_participant(world, row) for row in event.participants],
    }
    if viewer_zone is None:
        event.wire = body
    return body


def _participant(world: WelkinWorld, row: Participant) -> Json:
    user = world.users.get(row.participant_id)
    patient = world.patients.get(row.participant_id)
    first: str | None = None
    last: str | None = None
    email: str | None = None
    if user is not None:
        first, last, email = user.first, user.last, user.email
    elif patient is not None:
        first, last = (MASK, MASK) if patient.masked else (patient.first, patient.last)
        email = MASK if patient.masked else f"p-{patient.id[:8]}@example.org"
    return {
        "id": row.id,
        "participantId": row.participant_id,
        "participantRole": row.role,
        "participationStatus": row.status,
        "attended": False,
        "timezone": user.time_zone if user else None,
        "firstName": first,
        "lastName": last,
        "deleted": False,
        "hasAccess": False,
        "email": email,
        "phone": None,
        "gender": None if user else "UNKNOWN",
        "birthDate": None if user else "1970-01-01T00:00:00.000Z",
        "enabled": user.enabled if user else None,
    }


def encounter_json(world: WelkinWorld, encounter: Encounter, *, by_user: bool = False) -> Json:
    """Write an encounter, as read by patient (full) or by user (without the record's own keys)."""
    event = world.events.get(encounter.event_id or "")
    template = world.templates[encounter.template]
    host = world.users.get(event.host_id) if event else None
    current = event_json(world, event) if event else None
    body: Json = {
        "type": encounter.template,
        "templateName": encounter.template,
        "templateTitle": None if by_user else template.title,
        "title": encounter.title,
        "description": encounter.description,
        "notes": encounter.notes,
        "instruction": "",
        "status": encounter.status,
        "startDatetime": stamp(encounter.opened) if encounter.opened else None,
        "endDatetime": stamp(encounter.closed) if encounter.closed else None,
        "ownerUserId": host.id if host else None,
        "ownerUserName": host.name if host else None,
        "activeUserId": encounter.active_user_id,
        "activeUserName": None,
        "calendarEventId": event.id if event else None,
        "calendarEventStartDatetime": stamp(event.start) if event else None,
        "calendarEvent": encounter.linked if current else None,
        "currentScheduledAppointment": current,
        "dispositionId": encounter.disposition_id,
    }
    if current or not by_user:
        body |= {
            "localCalendarEventStartDatetime": current["localStartDateTime"] if current else None,
            "localStartDatetime": current["localStartDateTime"] if current else None,
            "localEndDatetime": current["localEndDateTime"] if current else None,
            "local_created_at": local(event.created, None) if event else None,
            "local_updated_at": local(event.updated, None) if event else None,
        }
    if by_user:
        patient = world.patients[encounter.patient_id]
        body["patientInfo"] = {
            "patientId": patient.id,
            "firstName": MASK if patient.masked else patient.first,
            "lastName": MASK if patient.masked else patient.last,
        }
    else:
        body |= {
            "id": encounter.id,
            "created_at": stamp(encounter.created),
            "created_by": encounter.created_by,
            "created_by_name": world.name_of(encounter.created_by),
            "updated_at": stamp(encounter.updated),
            "updated_by": encounter.updated_by,
            "updated_by_name": world.name_of(encounter.updated_by),
            "external_id": encounter.external_id,
            "external_guid": None,
            "source_id": None,
            "source_name": None,
            "source_type": None,
        }
    return {
        "id": encounter.id,
        "patientId": encounter.patient_id,
        "cdtId": None if by_user else world.encounter_cdt_id,
        "version": None if by_user else 259,
        "jsonBody": body,
        "cdtName": None if by_user else "__encounter__",
    }


def user_json(user: User) -> Json:
    """Write a user; what is empty is missing, not null."""
    created, updated = stamp(user.created), stamp(user.updated)
    times = {"createdAt": created, "updatedAt": updated}
    body: Json = {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "timezone": user.time_zone,
        "locale": "en-US",
        "firstName": user.first,
        "lastName": user.last,
        "enabled": user.enabled,
        "userState": user.state,
        "statusType": None,
        "mfaEnabled": False,
        "ssoAccess": True,
        "passwordAccess": True,
        "terminologyName": "english",
        "allowedToReceiveCalls": False,
        "_root_user": False,
        "seats": ["GENERAL"],
        "seatAssignAllowed": True,
        "fullTerritoriesAccessInstances": list(user.instances),
        "customUserAttributes": {},
        "territories": [],
        "roles": [
            {
                "permissionName": role,
                "instanceName": name,
                "type": "SECURITY_ROLE",
                "primaryRole": role == user.roles[0],
                **times,
            }
            for name in user.instances
            for role in user.roles
        ],
        "policies": [
            {
                "permissionName": policy,
                "instanceName": name,
                "type": "SECURITY_POLICY",
                "effectiveDate": created,
                **times,
            }
            for name in user.instances
            for policy in user.policies
        ],
        "applicationAccess": {
            "id": user.id[::-1],
            "userId": user.id,
            "adminAccessEnabled": False,
            "auditSecurityAccessEnabled": False,
            "instanceAccesses": [
                {
                    "instanceId": f"instance-{name}",
                    "instanceName": name,
                    "instanceDescription": name,
                    "userEmailWithInstanceDomain": None,
                    "workshopAccessEnabled": True,
                    "auditDataAccessEnabled": False,
                    "enabledTakenPersonally": False,
                }
                for name in user.instances
            ],
            **times,
        },
        **times,
    }
    for name in ("firstName", "lastName", "timezone"):
        if body[name] is None:
            del body[name]
    return body


def patient_json(patient: Patient, created: datetime) -> Json:
    """Write a patient with the keys that matter to a calendar; the others are null."""
    return {
        "id": patient.id,
        "externalId": None,
        "externalGuid": None,
        "mrn": None,
        "firstName": MASK if patient.masked else patient.first,
        "lastName": MASK if patient.masked else patient.last,
        "middleName": None,
        "birthDate": "1970-01-01T00:00:00.000Z",
        "gender": "UNKNOWN",
        "primaryLanguage": "ENGLISH",
        "email": f"p-{patient.id[:8]}@example.org",
        "phone": None,
        "timezone": None,
        "createdAt": stamp(created),
        "updatedAt": stamp(created),
    }


def template_json(template: Template) -> Json:
    """Write an encounter template of the configuration."""
    return {
        "id": template.id,
        "name": template.name,
        "title": template.title,
        "encounterDescription": "",
        "encounterInstruction": "",
        "encounterColor": template.color,
        "type": "Async",
        "deliveryMethod": template.mode,
        "defaultDuration": template.minutes,
        "assessmentNames": [],
    }


def spring_page(rows: Sequence[Any], page: int, size: int) -> tuple[Sequence[Any], Json]:
    """Cut a page; return its rows and the envelope of calendar lists without ``content``."""
    order = {"sorted": True, "unsorted": False, "empty": False}
    total = max(1, -(-len(rows) // size)) if rows else 0
    cut = rows[page * size : (page + 1) * size]
    envelope = {
        "pageable": {
            "sort": order,
            "pageSize": size,
            "pageNumber": page,
            "offset": page * size,
            "unpaged": False,
            "paged": True,
        },
        "last": page >= total - 1,
        "totalElements": len(rows),
        "totalPages": total,
        "first": page == 0,
        "sort": order,
        "number": page,
        "numberOfElements": len(cut),
        "size": size,
        "empty": not cut,
    }
    return cut, envelope


def meta_page(rows: Sequence[Any], page: int, size: int) -> tuple[Sequence[Any], Json]:
    """Cut a page; return its rows and the ``metaInfo`` of admin and encounter lists."""
    total = -(-len(rows) // size)
    cut = rows[page * size : (page + 1) * size]
    return cut, {
        "page": page,
        "pageSize": size,
        "totalElements": len(rows),
        "numberOfElements": len(cut),
        "lastPage": page >= total - 1,
        "firstPage": page == 0,
        "totalPages": total,
    }
