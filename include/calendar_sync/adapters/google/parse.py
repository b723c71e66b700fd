"""From Google's event resource to our values, and from a draft to the body of a write.

Field semantics: https://developers.google.com/workspace/calendar/api/v3/reference/events
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from calendar_sync.core.identity import MARKER, TEST_PROPERTY
from calendar_sync.core.model import (
    GOOGLE_COLOURS,
    Availability,
    CalendarEvent,
    Draft,
    Row,
    Span,
    Tombstone,
    Unreadable,
    iso,
    local,
    parse_iso,
    to_second,
    whole_days,
    zone_or_none,
)
from calendar_sync.core.places import place_and_online

# What lists have asked for since the first release. A cursor that was got with these fields still
# counts: a field more changes what is shown of an event, not which events are. Settings that need
# one void it (`blocks_hash`).
_BASE = (
    "id,status,etag,updated,summary,description,start,end,transparency,visibility,eventType,"
    "attendees(self,responseStatus),recurrence,recurringEventId,originalStartTime,"
    "extendedProperties/private,iCalUID,organizer(email,self),creator/email,source/url"
)
FIELDS = f"{_BASE},location,colorId,hangoutLink,conferenceData/entryPoints/entryPointType"
SHAPE_FIELDS, LIST_FIELDS = (
    f"items({fields}),nextPageToken,nextSyncToken" for fields in (_BASE, FIELDS)
)
_NO_TIME: dict[str, str | None] = {"date": None, "dateTime": None, "timeZone": None}
INFORMATIONAL = frozenset({"workingLocation", "birthday"})


def parse_event(row: Any) -> Row | None:
    """An event or a tombstone, of which only `id` is certain; None without an id."""
    if not isinstance(row, Mapping) or not isinstance(row.get("id"), str):
        return None
    properties = _part(_part(row, "extendedProperties"), "private")
    known: dict[str, Any] = {
        "id": row["id"],
        "etag": _text(row, "etag"),
        "series_id": _text(row, "recurringEventId"),
        "original_start": _moment_text(row.get("originalStartTime")),
        "is_master": bool(row.get("recurrence")),
        "marker": _text(properties, MARKER),
        "version": _text(row, "updated") or "",
    }
    if row.get("status") == "cancelled":
        return Tombstone(**known)
    span = _span(row)
    if span is None:
        return Unreadable(**known)
    guests = row.get("attendees")
    attendees = [a for a in guests if isinstance(a, Mapping)] if isinstance(guests, list) else []
    own = next((a.get("responseStatus") for a in attendees if a.get("self") is True), None)
    has_place, online = place_and_online(_text(row, "location"), conference=_conference(row))
    kind, free = _text(row, "eventType"), row.get("transparency") == "transparent"
    unless_free = _availability(row, own)
    return CalendarEvent(
        **known,
        span=span,
        availability=Availability.FREE if free else unless_free,
        chosen_free=free and unless_free is Availability.BUSY,
        declined=own == "declined",
        informational=kind in INFORMATIONAL,
        private=_text(row, "visibility") in {"private", "confidential"},
        has_attendees=bool(attendees),
        title=str(row.get("summary") or ""),
        description=str(row.get("description") or ""),
        ical_uid=_text(row, "iCalUID"),
        organizer=_text(_part(row, "organizer"), "email"),
        creator=_text(_part(row, "creator"), "email"),
        source_url=_text(_part(row, "source"), "url"),
        has_place=has_place,
        online=online,
        out_of_office=kind == "outOfOffice",
        location=str(row.get("location") or "") if known["marker"] else "",
        colours=_colours(_text(row, "colorId")),
    )


def _text(row: Mapping[str, Any], key: str) -> str | None:
    value = row.get(key)
    return value if isinstance(value, str) else None


def _part(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = row.get(key)
    return value if isinstance(value, Mapping) else {}


def mirror_body(draft: Draft, marker: str) -> dict[str, object]:
    """The whole resource of a new mirror: no attendees, private, opaque."""
    return {
        **_ours(draft, marker),
        "start": _moment(draft.span.start, draft.time_zone),
        "end": _moment(draft.span.end, draft.time_zone),
        "reminders": _reminders(draft.reminder),
        **({"colorId": _color_id(draft.colour)} if draft.colour else {}),
    }


def mirror_changes(draft: Draft, marker: str) -> dict[str, object]:
    """What an update writes: all that is ours, and nothing that is the owner's.

    Guests and reminders are left out, and the colour unless we gave it. A PATCH merges times: what
    a mirror of whole days has, one of hours must lose; and so must one that was made a series.
    """
    return {
        **_ours(draft, marker),
        "start": _NO_TIME | _moment(draft.span.start, draft.time_zone),
        "end": _NO_TIME | _moment(draft.span.end, draft.time_zone),
        "recurrence": None,
        **({"colorId": _color_id(*draft.colours)} if draft.colours is not None else {}),
    }


def _ours(draft: Draft, marker: str) -> dict[str, object]:
    return {
        "summary": draft.title,
        "description": draft.description,
        "status": "tentative" if draft.tentative else "confirmed",
        "transparency": "opaque",
        "visibility": "private",
        "extendedProperties": {"private": {MARKER: marker}},
        **({"location": draft.location} if draft.location is not None else {}),
    }


def _reminders(wanted: str) -> dict[str, object]:
    if wanted == "default":
        return {"useDefault": True}
    if wanted == "none":
        return {"useDefault": False}
    return {"useDefault": False, "overrides": [{"method": "popup", "minutes": int(wanted)}]}


def _color_id(colour: str = "") -> str | None:
    return str(GOOGLE_COLOURS.index(colour) + 1) if colour else None


def _colours(color_id: str | None) -> tuple[str, ...]:
    """The name of the colour; the id itself, where Google has more of them by now."""
    names = {str(number): name for number, name in enumerate(GOOGLE_COLOURS, 1)}
    return (names.get(color_id, color_id),) if color_id else ()


def test_body(mark: str, title: str, span: Span) -> dict[str, object]:
    """The whole resource of a test's event: as private and silent as a mirror, and not one."""
    return {
        "summary": title,
        "start": _moment(span.start, "UTC"),
        "end": _moment(span.end, "UTC"),
        "status": "confirmed",
        "transparency": "opaque",
        "visibility": "private",
        "reminders": {"useDefault": False},
        "extendedProperties": {"private": {TEST_PROPERTY: mark}},
    }


def _availability(row: Mapping[str, Any], own: Any) -> Availability:
    """What an event is that its owner does not show as free."""
    if row.get("status") == "tentative" or own == "tentative":
        return Availability.TENTATIVE
    # An invitation that waits for an answer, as on Exchange; one's own event waits for none.
    if own == "needsAction" and _part(row, "organizer").get("self") is not True:
        return Availability.TENTATIVE
    return Availability.BUSY


def _conference(row: Mapping[str, Any]) -> bool:
    """Meet, or another service: its links are not looked at."""
    return bool(_text(row, "hangoutLink") or _part(row, "conferenceData").get("entryPoints"))


def _span(row: Mapping[str, Any]) -> Span | None:
    start, end = _parsed(row.get("start")), _parsed(row.get("end"))
    if start is None or end is None or isinstance(start, datetime) != isinstance(end, datetime):
        return None
    return Span(start, end) if isinstance(start, datetime) else whole_days(start, end)


def _parsed(moment: Any) -> Any:
    """`{"date"}` or `{"dateTime", "timeZone"}`; an instant without an offset takes the zone."""
    if not isinstance(moment, Mapping):
        return None
    value = moment.get("date") or moment.get("dateTime")
    if not isinstance(value, str):
        return None
    try:
        parsed = parse_iso(value)
    except ValueError:
        zone = zone_or_none(_text(moment, "timeZone"))
        try:
            naive = datetime.fromisoformat(value)
            if zone is None or naive.tzinfo is not None:
                return None
            parsed = parse_iso(naive.replace(tzinfo=zone).isoformat())
        except (ValueError, OverflowError):
            return None
    return to_second(parsed) if isinstance(parsed, datetime) else parsed


def _moment_text(moment: Any) -> str | None:
    value = _parsed(moment)
    return None if value is None else iso(value)


def _moment(value: Any, zone: str) -> dict[str, str]:
    if isinstance(value, datetime):
        place = zone_or_none(zone)
        shown = local(value, place) if place is not None else value
        return {"dateTime": shown.isoformat(), "timeZone": zone if place is not None else "UTC"}
    return {"date": value.isoformat()}
