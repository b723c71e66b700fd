"""From Graph's event resource to our values, and from a draft to the body of a write.

Field semantics: https://learn.microsoft.com/graph/api/resources/event
"""

import contextlib
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

from calendar_sync.adapters.microsoft.zones import windows_name, zone_of
from calendar_sync.core.model import (
    Availability,
    CalendarEvent,
    Draft,
    Removed,
    Row,
    Span,
    Unreadable,
    iso,
    parse_iso,
    to_second,
    whole_days,
)
from calendar_sync.core.places import place_and_online

#: The extended property of a mirror that holds its marker.
PROPERTY = "String {3f1c0a5e-6d0b-4c7e-9a54-5a0c1f0d7b21} Name calendarSync"
#: That of what a test of the sync makes, which is no mirror.
TEST_PROPERTY = "String {3f1c0a5e-6d0b-4c7e-9a54-5a0c1f0d7b21} Name calendarSyncTest"
# What decides if a cursor still counts: deltas take no other fields than these. Settings that use
# what was added later void it (`blocks_hash`).
SHAPE_SELECT = (
    "id,subject,body,start,end,isAllDay,showAs,sensitivity,isCancelled,responseStatus,type,"
    "seriesMasterId,originalStart,originalStartTimeZone,attendees,organizer,iCalUId,recurrence,"
    "transactionId,createdDateTime,lastModifiedDateTime"
)
SELECT = f"{SHAPE_SELECT},location,categories,isOnlineMeeting"
EXPAND = f"singleValueExtendedProperties($filter=id eq '{PROPERTY}')"
_PRIVATE = frozenset({"private", "confidential"})
_UNDECIDED = frozenset({"tentativelyAccepted", "notResponded"})
_FREE = frozenset({"free", "workingElsewhere"})
_IN_SERIES = frozenset({"occurrence", "exception"})
LONGEST_SUBJECT = 255
NOON = timedelta(hours=12)


def parse_event(row: Any, *, listed: bool = False) -> Row | None:
    """An event; None without an id. `listed`: a row of a delta, which shows no markers.

    Deltas also say "removed" of what has left their window, and tell of an occurrence its time
    only. Markers need no look where an event cannot be a mirror: all of ours are private.
    """
    if not isinstance(row, Mapping) or not _text(row, "id"):
        return None
    if "@removed" in row:
        return Removed(row["id"])
    kind, response = _text(row, "type"), _text(_part(row, "responseStatus"), "response")
    span, private = _span(row), _text(row, "sensitivity") in _PRIVATE
    decided = row.get("isCancelled") is not True and response not in _UNDECIDED
    in_series = kind in _IN_SERIES
    known: dict[str, Any] = {
        "id": row["id"],
        "etag": _text(row, "@odata.etag"),
        "series_id": _text(row, "seriesMasterId") if in_series else None,
        "original_start": _original_start(row, span) if in_series else None,
        "is_master": kind == "seriesMaster",
        "marker": _marker(row),
        "version": _version(_text(row, "lastModifiedDateTime") or ""),
        "key": _text(row, "transactionId"),
    }
    if span is None:
        return Unreadable(**known)
    place = _text(_part(row, "location"), "displayName")
    # Deltas and answers to writes show no markers; mirrors are private.
    may_be_ours = private or known["marker"] is not None
    has_place, online = place_and_online(place, conference=row.get("isOnlineMeeting") is True)
    return CalendarEvent(
        **known,
        span=span,
        availability=_availability(row, response),
        declined=response == "declined",
        private=private,
        chosen_free=decided and _text(row, "showAs") == "free",
        working_elsewhere=decided and _text(row, "showAs") == "workingElsewhere",
        personal=_text(row, "sensitivity") == "personal",
        has_attendees=bool(row.get("attendees")),
        title=_text(row, "subject") or "",
        description=_description(row.get("body")),
        ical_uid=_text(row, "iCalUId"),
        organizer=_text(_part(_part(row, "organizer"), "emailAddress"), "address"),
        has_place=has_place,
        online=online,
        out_of_office=_text(row, "showAs") == "oof",
        unread=listed and private,
        location=(place or "") if may_be_ours else "",
        colours=_categories(row.get("categories")),
    )


def mirror_body(draft: Draft, marker: str) -> dict[str, object]:
    """The whole content of a new mirror: no attendees, private, busy."""
    return {
        **mirror_changes(draft, marker),
        "attendees": [],
        **_reminder(draft.reminder),
        **({"categories": [draft.colour]} if draft.colour else {}),
    }


def mirror_changes(draft: Draft, marker: str) -> dict[str, object]:
    """What an update writes: never guests or reminders, and categories only if we gave one."""
    return {
        "subject": draft.title[:LONGEST_SUBJECT],
        "body": {"contentType": "text", "content": draft.description},
        **_times(draft.span, draft.time_zone),
        "showAs": "tentative" if draft.tentative else "busy",
        "sensitivity": "private",
        "singleValueExtendedProperties": [{"id": PROPERTY, "value": marker}],
        **({"location": {"displayName": draft.location}} if draft.location is not None else {}),
        **({"categories": list(draft.colours)} if draft.colours is not None else {}),
    }


def _reminder(wanted: str) -> dict[str, object]:
    if wanted == "default":
        return {}  # Exchange takes that of the mailbox
    if wanted == "none":
        return {"isReminderOn": False}
    return {"isReminderOn": True, "reminderMinutesBeforeStart": int(wanted)}


def _categories(value: Any) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def test_body(mark: str, title: str, span: Span) -> dict[str, object]:
    """The whole content of a test's event: as private and silent as a mirror, and not one."""
    return {
        "subject": title,
        **_times(span, "UTC"),
        "showAs": "busy",
        "sensitivity": "private",
        "isReminderOn": False,
        "attendees": [],
        "singleValueExtendedProperties": [{"id": TEST_PROPERTY, "value": mark}],
    }


def _times(span: Span, time_zone: str) -> dict[str, object]:
    """Instants in UTC; days at the midnights of the user's zone, by its Windows name."""
    if isinstance(span.start, datetime) and isinstance(span.end, datetime):
        start, end = (
            {"dateTime": iso(to_second(moment)).removesuffix("Z"), "timeZone": "UTC"}
            for moment in (span.start, span.end)
        )
        return {"start": start, "end": end, "isAllDay": False}
    zone = windows_name(time_zone)
    start, end = (
        {"dateTime": f"{day.isoformat()}T00:00:00", "timeZone": zone}
        for day in (span.start, span.end)
    )
    return {"start": start, "end": end, "isAllDay": True}


def _availability(row: Mapping[str, Any], response: str | None) -> Availability:
    shown = _text(row, "showAs")
    if shown in _FREE or row.get("isCancelled") is True:
        return Availability.FREE
    # Exchange shows unanswered invitations as tentative, unless the user has changed that.
    if shown == "tentative" or response in _UNDECIDED:
        return Availability.TENTATIVE
    return Availability.BUSY


def _span(row: Mapping[str, Any]) -> Span | None:
    try:
        start, end = _moment(_part(row, "start")), _moment(_part(row, "end"))
        if row.get("isAllDay") is True:
            zone = row.get("originalStartTimeZone")
            return whole_days(_day(start, zone), _day(end, zone))
    except (ValueError, OverflowError):
        # The first and the last day that can be written stand for "none": other zones lack them.
        return None
    return Span(start, end)


def _moment(value: Mapping[str, Any]) -> datetime:
    """A local time and its zone, as an instant of whole seconds."""
    local = datetime.fromisoformat(_text(value, "dateTime") or "")
    if local.tzinfo is None:
        local = local.replace(tzinfo=zone_of(value.get("timeZone")))
    return to_second(local.astimezone(UTC))


def _day(moment: datetime, zone: Any) -> date:
    """The date that an all-day event means: a midnight, or for some mailboxes one of their zone."""
    if (moment.hour, moment.minute) == (0, 0):
        return moment.date()
    return (moment.astimezone(zone_of(zone)) + NOON).date()


def _original_start(row: Mapping[str, Any], span: Span | None) -> str | None:
    """The start that the rule gives; a bare occurrence has not been moved from its own."""
    try:
        value = parse_iso(_text(row, "originalStart") or "")
        if span is not None and span.all_day and isinstance(value, datetime):
            value = _day(value, row.get("originalStartTimeZone"))
    except (ValueError, OverflowError):
        return iso(span.start) if span is not None else None
    return iso(to_second(value) if isinstance(value, datetime) else value)


def _version(changed: str) -> str:
    """Texts that sort by time: Graph may omit zeros at the end of a fraction."""
    seconds, _, fraction = changed.removesuffix("Z").partition(".")
    return f"{seconds}.{fraction:0<7}Z" if seconds else ""


def _marker(row: Mapping[str, Any]) -> str | None:
    """Property ids are compared without case."""
    properties = row.get("singleValueExtendedProperties")
    for entry in properties if isinstance(properties, list) else ():
        if isinstance(entry, Mapping) and str(entry.get("id")).lower() == PROPERTY.lower():
            return _text(entry, "value")
    return None


def _description(body: Any) -> str:
    content = _text(body, "content") if isinstance(body, Mapping) else None
    if not content:
        return ""
    if body.get("contentType") == "html":
        reader = _Words()
        # A marked section that is none; newer versions of Python take it for a comment.
        with contextlib.suppress(AssertionError):
            reader.feed(content)
            reader.close()
        content = "".join(reader.words)
    return content.replace("\r\n", "\n").strip()


class _Words(HTMLParser):
    """The words of a page; its line ends count as such."""

    BREAKS = frozenset({"br", "p", "div", "li", "tr"})
    HIDDEN = frozenset({"head", "style", "script", "title"})

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._hidden += tag in self.HIDDEN
        if tag in self.BREAKS and self.words:
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in self.HIDDEN and self._hidden > 0

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)


def _text(row: Mapping[str, Any], key: str) -> str | None:
    value = row.get(key)
    return value if isinstance(value, str) else None


def _part(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = row.get(key)
    return value if isinstance(value, Mapping) else {}
