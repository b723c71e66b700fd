"""Turning what a client sends into the event that the mailbox stores.

https://learn.microsoft.com/graph/api/user-post-events and https://learn.microsoft.com/graph/api/event-update
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.microsoft import recurrence
from calendar_sync_sandbox.microsoft.errors import GraphError, bad_property
from calendar_sync_sandbox.microsoft.preferences import PROPERTY_ID
from calendar_sync_sandbox.microsoft.wire import EVENT_NAMES

if TYPE_CHECKING:
    from calendar_sync_sandbox.microsoft.store import Mailbox, Properties
    from calendar_sync_sandbox.microsoft.times import Json, Span

NEVER = "0001-01-01T00:00:00Z"
MAX_ATTENDEES = 500
SUBJECT = 255
# Not documented: a guess on the safe side.
PLACE = 255
ENUMS = {
    "importance": ("low", "normal", "high"),
    "sensitivity": ("normal", "personal", "private", "confidential"),
    "showAs": ("free", "tentative", "busy", "oof", "workingElsewhere", "unknown"),
    "onlineMeetingProvider": (
        "unknown", "skypeForBusiness", "skypeForConsumer", "teamsForBusiness",
    ),
}  # fmt: skip
SWITCHES = (
    "isReminderOn", "responseRequested", "hideAttendees", "allowNewTimeProposals",
    "isOnlineMeeting",
)  # fmt: skip
WRITABLE = frozenset({
    "subject", "body", "start", "end", "isAllDay", "recurrence", "attendees", "location",
    "locations", "categories", "reminderMinutesBeforeStart", "transactionId",
    "singleValueExtendedProperties", *ENUMS, *SWITCHES,
})  # fmt: skip
LOCATION_NAMES = frozenset({
    "displayName", "locationType", "uniqueId", "uniqueIdType", "address", "coordinates",
    "locationEmailAddress", "locationUri", "@odata.type",
})  # fmt: skip
NO_PLACE: Json = {
    "displayName": "", "locationType": "default", "uniqueIdType": "unknown", "address": {},
    "coordinates": {},
}  # fmt: skip


def blank(mailbox: Mailbox) -> Json:
    """Return the properties of an event that nothing was said about."""
    return {
        "categories": [],
        "reminderMinutesBeforeStart": 15,
        "isReminderOn": True,
        "subject": "",
        "importance": "normal",
        "sensitivity": "normal",
        "isCancelled": False,
        "responseRequested": True,
        "showAs": "busy",
        "isOnlineMeeting": False,
        "onlineMeetingProvider": "unknown",
        "allowNewTimeProposals": True,
        "hideAttendees": False,
        "recurrence": None,
        "responseStatus": {"response": "organizer", "time": NEVER},
        "body": {"contentType": "html", "content": ""},
        "location": NO_PLACE,
        "locations": [],
        "attendees": [],
        "organizer": person(mailbox.email),
    }


def person(address: str, name: str | None = None) -> Json:
    """Write a recipient."""
    return {"emailAddress": {"name": name or address.partition("@")[0], "address": address}}


def check_names(sent: Json, *, creating: bool) -> None:
    """Refuse properties that an event has not, or that a client cannot set.

    Raises:
        GraphError: 400.
    """
    for name in sent:
        if name in WRITABLE or name.startswith("@odata."):
            continue
        if name in EVENT_NAMES:
            raise bad_property(f"The property '{name}' is read-only.")
        raise GraphError(
            400,
            "RequestBodyRead",
            f"The property '{name[:60]}' does not exist on type 'microsoft.graph.event'.",
        )
    if "transactionId" in sent and not creating:
        raise bad_property("The property 'transactionId' can be set at creation only.")


def read_fields(sent: Json) -> Json:
    """Check the properties sent, but times, rule and extended ones, and write them as stored.

    Raises:
        GraphError: 400.
    """
    found: Json = {}
    for name, allowed in ENUMS.items():
        if name in sent:
            if sent[name] not in allowed:
                raise GraphError(
                    400, "RequestBodyRead", f"Cannot convert the literal of '{name}' to its type."
                )
            found[name] = sent[name]
    for name in SWITCHES:
        if name in sent:
            found[name] = _of(bool, sent, name)
    if "subject" in sent:
        subject = sent["subject"]
        found["subject"] = _of(str, sent, "subject")[:SUBJECT] if subject is not None else ""
    if "transactionId" in sent and sent["transactionId"] is not None:
        found["transactionId"] = _of(str, sent, "transactionId")
    if "reminderMinutesBeforeStart" in sent:
        minutes = _of(int, sent, "reminderMinutesBeforeStart")
        if minutes < 0:
            raise bad_property("A reminder comes before the start.")
        found["reminderMinutesBeforeStart"] = minutes
    if "categories" in sent:
        found["categories"] = [str(each) for each in _of(list, sent, "categories")]
    if "body" in sent:
        found["body"] = _read_body(sent["body"])
    if "attendees" in sent:
        found["attendees"] = [_read_attendee(each) for each in _of(list, sent, "attendees")]
        if len(found["attendees"]) > MAX_ATTENDEES:
            raise bad_property("An event has at most 500 attendees.")
    if "locations" in sent:
        found["locations"] = [_read_place(each) for each in _of(list, sent, "locations")]
        found["location"] = found["locations"][0] if found["locations"] else NO_PLACE
    if "location" in sent:
        place = _read_place(sent["location"] or {})
        found["location"], found["locations"] = place, [place] if place["displayName"] else []
    return found


def read_properties(sent: Json) -> Properties:
    """Read the extended properties sent, by their id in lower case."""
    found: Properties = {}
    rows = sent.get("singleValueExtendedProperties")
    for row in rows if isinstance(rows, list) else []:
        name = row.get("id") if isinstance(row, dict) else None
        if not isinstance(name, str) or not PROPERTY_ID.match(name):
            raise GraphError(
                400, "ErrorInvalidPropertyRequest", "The id of an extended property is malformed."
            )
        if not isinstance(row.get("value"), str):
            raise bad_property("The value of an extended property is text.")
        found[name.lower()] = (name, row["value"])
    if rows is not None and not isinstance(rows, list):
        raise bad_property("singleValueExtendedProperties is a list.")
    return found


def settled(rule: Any, span: Span) -> tuple[Json | None, Span]:
    """Check a rule and let the series begin on the first day that the rule has."""
    if rule is None:
        return None, span
    read = recurrence.read_recurrence(rule, span.first_day, span.zone_name)
    return begun(read, span)


def begun(rule: Json, span: Span) -> tuple[Json, Span]:
    """Let a series begin on the first day that its rule has."""
    first = recurrence.begin(rule)
    spread = {**rule["range"], "startDate": first.isoformat()}
    return {**rule, "range": spread}, span.on(first)


def _of(kind: type, sent: Json, name: str) -> Any:
    value = sent[name]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise GraphError(400, "RequestBodyRead", f"Cannot read the value of '{name}'.")
    return value


def _read_body(value: Any) -> Json:
    if not isinstance(value, dict) or value.keys() - {"contentType", "content", "@odata.type"}:
        raise GraphError(400, "RequestBodyRead", "Cannot read the value of 'body'.")
    kind = str(value.get("contentType", "text")).lower()
    content = value.get("content", "")
    if kind not in ("text", "html") or not isinstance(content, str | None):
        raise GraphError(400, "RequestBodyRead", "Cannot read the value of 'body'.")
    return {"contentType": kind, "content": content or ""}


def _read_attendee(value: Any) -> Json:
    address = value.get("emailAddress") if isinstance(value, dict) else None
    if not isinstance(address, dict) or "@" not in str(address.get("address", "")):
        raise bad_property("An attendee needs an address.")
    kind = value.get("type", "required")
    if kind not in ("required", "optional", "resource"):
        raise GraphError(400, "RequestBodyRead", "Cannot read the value of 'attendees'.")
    return {
        "type": kind,
        "status": value.get("status") or {"response": "none", "time": NEVER},
        **person(address["address"], address.get("name")),
    }


def _read_place(value: Any) -> Json:
    if not isinstance(value, dict) or value.keys() - LOCATION_NAMES:
        raise GraphError(400, "RequestBodyRead", "Cannot read the value of 'location'.")
    if len(value.get("displayName") or "") > PLACE:
        raise bad_property("The name of a location is too long.")
    return {**NO_PLACE, **{k: v for k, v in value.items() if not k.startswith("@")}}
