"""Turning what a client sends into the event that the calendar stores.

The rules are those of https://developers.google.com/workspace/calendar/api/v3/reference/events and
its guides on ids, extended properties and status events.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.clock import stamp
from calendar_sync_sandbox.google import recurrence
from calendar_sync_sandbox.google.errors import GoogleError
from calendar_sync_sandbox.google.times import moment_of, normalise

if TYPE_CHECKING:
    from calendar_sync_sandbox.google.store import Calendar, Json

ID = re.compile(r"[a-v0-9]{5,1024}$")
WRITABLE = frozenset({
    "summary", "description", "location", "colorId", "eventLabelId", "start", "end", "recurrence",
    "transparency", "visibility", "attendees", "extendedProperties", "reminders", "status",
    "guestsCanInviteOthers", "guestsCanModify", "guestsCanSeeOtherGuests", "anyoneCanAddSelf",
    "source", "attachments", "workingLocationProperties", "outOfOfficeProperties",
    "focusTimeProperties", "birthdayProperties",
})  # fmt: skip
SHARED_BY_GUESTS = WRITABLE - {
    "attendees", "reminders", "transparency", "visibility", "colorId", "extendedProperties",
    "eventLabelId",
}  # fmt: skip
STATUS_PROPERTIES = {
    "workingLocation": "workingLocationProperties",
    "outOfOffice": "outOfOfficeProperties",
    "focusTime": "focusTimeProperties",
}
ENUMS = {
    "status": ("confirmed", "tentative", "cancelled"),
    "transparency": ("opaque", "transparent"),
    "visibility": ("default", "public", "private", "confidential"),
    "eventType": (
        "default", "birthday", "focusTime", "fromGmail", "outOfOffice", "workingLocation",
    ),
}  # fmt: skip
RESPONSES = ("needsAction", "declined", "tentative", "accepted")
TEXTS = ("summary", "description", "location", "colorId", "iCalUID", "id")
# What an event keeps through a full update, because no client can set it.
KEPT = (
    "kind", "etag", "id", "htmlLink", "created", "updated", "creator", "organizer", "iCalUID",
    "sequence", "eventType", "recurringEventId", "originalStartTime", "hangoutLink",
    "conferenceData", "privateCopy", "locked",
)  # fmt: skip


def new_event(calendar: Calendar, sent: Json, event_id: str, now: datetime) -> Json:
    """Build a new event from the fields sent, all of them checked.

    Raises:
        GoogleError: 400 with the reason.
    """
    check_fields(sent)
    kind = sent.get("eventType", "default")
    me = {"email": calendar.owner if calendar.primary else calendar.id, "self": True}
    body: Json = {
        "kind": "calendar#event",
        "etag": "",
        "id": event_id,
        "status": "confirmed",
        "htmlLink": f"https://www.google.com/calendar/event?eid={event_id}",
        "created": stamp(now),
        "updated": stamp(now),
        "creator": {"email": calendar.owner, **({"self": True} if calendar.primary else {})},
        "organizer": me,
        "iCalUID": sent.get("iCalUID") or f"{event_id}@google.com",
        "sequence": 0,
        "reminders": {"useDefault": True},
        "eventType": kind,
    }
    body.update({k: v for k, v in sent.items() if k in WRITABLE and v is not None})
    return finish(calendar, body)


def replaced(calendar: Calendar, old: Json, sent: Json) -> Json:
    """Return the event after a full update: what was not sent is gone."""
    check_fields(sent)
    if sent.get("eventType", old["eventType"]) != old["eventType"]:
        raise GoogleError(400, "eventTypeRestriction", "The event type cannot be changed.")
    body = {k: old[k] for k in KEPT if k in old}
    body["status"] = old["status"] if old["status"] == "cancelled" else "confirmed"
    body["reminders"] = {"useDefault": True}
    body.update({k: v for k, v in sent.items() if k in WRITABLE and v is not None})
    return _resequenced(old, finish(calendar, body))


def patched(calendar: Calendar, old: Json, sent: Json) -> Json:
    """Return the event after a partial update: objects merge, null removes, arrays are replaced."""
    if sent.get("eventType", old["eventType"]) != old["eventType"]:
        raise GoogleError(400, "eventTypeRestriction", "The event type cannot be changed.")
    body = merge(old, {k: v for k, v in sent.items() if k in WRITABLE})
    check_fields(body)
    return _resequenced(old, finish(calendar, body))


def merge(old: Json, changes: Json) -> Json:
    """Merge as PATCH does."""
    merged = dict(old)
    for name, value in changes.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(old.get(name), dict):
            merged[name] = merge(old[name], value)
        else:
            merged[name] = value
    return merged


def guest_may_write(old: Json, new: Json) -> None:
    """Refuse a change that only the organiser may make.

    Raises:
        GoogleError: 403 ``forbiddenForNonOrganizer``.
    """
    if old["organizer"].get("self") or old.get("guestsCanModify"):
        return
    if any(old.get(name) != new.get(name) for name in SHARED_BY_GUESTS):
        raise GoogleError(
            403,
            "forbiddenForNonOrganizer",
            "Shared properties can only be changed by the organizer of the event.",
        )


def check_fields(sent: Json) -> None:
    """Check types, enumerations and limits of what was sent; unknown names are ignored."""
    for name, allowed in ENUMS.items():
        if sent.get(name) is not None and sent[name] not in allowed:
            raise GoogleError(400, "invalid", f"Invalid value for {name}")
    for name in TEXTS:
        if sent.get(name) is not None and not isinstance(sent[name], str):
            raise GoogleError(400, "invalid", f"Invalid value for {name}")
    attendees = sent.get("attendees")
    if attendees is not None:
        if not isinstance(attendees, list):
            raise GoogleError(400, "invalid", "Invalid value for attendees")
        for guest in attendees:
            if not isinstance(guest, dict) or "@" not in str(guest.get("email", "")):
                raise GoogleError(400, "required", "Missing attendee email.")
            if guest.get("responseStatus", "accepted") not in RESPONSES:
                raise GoogleError(400, "invalid", "Invalid attendee response.")
    if sent.get("recurrence") is not None:
        recurrence.check(sent["recurrence"])
    if sent.get("extendedProperties") is not None:
        _check_properties(sent["extendedProperties"])


def finish(calendar: Calendar, body: Json) -> Json:
    """Normalise times, drop what equals its default, apply the rules between fields."""
    if "recurringEventId" in body:
        body.pop("recurrence", None)
    body["start"] = normalise(body.get("start"), "start", calendar.time_zone)
    body["end"] = normalise(body.get("end"), "end", calendar.time_zone)
    if ("date" in body["start"]) != ("date" in body["end"]):
        raise GoogleError(400, "invalid", "Start and end times must either both be date or time.")
    start = moment_of(body["start"], calendar.time_zone)
    end = moment_of(body["end"], calendar.time_zone)
    # A whole day may end where it begins.
    if end < start or (end == start and "date" not in body["start"]):
        raise GoogleError(400, "timeRangeEmpty", "The specified time range is empty.")
    for name, default in (("transparency", "opaque"), ("visibility", "default"), ("summary", "")):
        if body.get(name) == default:
            del body[name]
    if "attendees" in body:
        body["attendees"] = [_guest(calendar, guest) for guest in body["attendees"]]
        if not body["attendees"]:
            del body["attendees"]
    _check_kind(calendar, body, end - start)
    return body


def check_zones(sent: Json, unknown: frozenset[str]) -> None:
    """Refuse unknown zones, and a timed series without the zone in which it repeats."""
    for which in ("start", "end"):
        value = sent.get(which)
        if not isinstance(value, dict):
            continue
        if value.get("timeZone") in unknown:
            raise GoogleError(400, "invalid", f"Invalid time zone definition for {which} time.")
        if sent.get("recurrence") and value.get("dateTime") and not value.get("timeZone"):
            raise GoogleError(400, "required", f"Missing time zone definition for {which} time.")


def _guest(calendar: Calendar, guest: Json) -> Json:
    known = {"responseStatus": "needsAction", **guest}
    known.pop("self", None)
    if str(guest["email"]).lower() == calendar.owner.lower():
        known["self"] = True
    return known


def _check_kind(calendar: Calendar, body: Json, length: timedelta) -> None:
    kind = body["eventType"]
    if kind in STATUS_PROPERTIES:
        if STATUS_PROPERTIES[kind] not in body:
            raise GoogleError(400, "required", f"Missing {STATUS_PROPERTIES[kind]}.")
        if not calendar.primary:
            raise GoogleError(400, "eventTypeRestriction", "Only possible on primary calendars.")
        free = body.get("transparency") == "transparent"
        if kind == "workingLocation":
            if not free or body.get("visibility") != "public":
                raise GoogleError(400, "invalid", "A working location is public and transparent.")
        elif free or "date" in body["start"]:
            raise GoogleError(400, "invalid", f"A {kind} event is timed and opaque.")
    elif kind == "birthday" and ("date" not in body["start"] or length > timedelta(hours=25)):
        raise GoogleError(400, "invalid", "A birthday is a single day.")


def _check_properties(properties: Any) -> None:
    if not isinstance(properties, dict):
        raise GoogleError(400, "invalid", "Invalid extended properties.")
    count = size = 0
    for half in ("private", "shared"):
        values = properties.get(half) or {}
        if not isinstance(values, dict):
            raise GoogleError(400, "invalid", "Invalid extended properties.")
        for name, value in values.items():
            if not isinstance(value, str):
                raise GoogleError(400, "invalid", "Extended property values are text.")
            if len(name) > 44 or len(value) > 1024:
                raise GoogleError(400, "invalid", "Extended property too long.")
            count += 1
            size += len(name) + len(value)
    if count > 300 or size > 32 * 1024:
        raise GoogleError(400, "invalid", "Too many extended properties.")


def _resequenced(old: Json, new: Json) -> Json:
    if any(old.get(name) != new.get(name) for name in ("start", "end", "recurrence", "status")):
        new["sequence"] = old["sequence"] + 1
    return new
