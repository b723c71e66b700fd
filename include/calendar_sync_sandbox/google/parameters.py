"""Reading the query parameters of a request, as strictly as the API does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.google.errors import GoogleError, bad_parameter
from calendar_sync_sandbox.google.listing import Filter
from calendar_sync_sandbox.google.times import parse_rfc3339

if TYPE_CHECKING:
    from calendar_sync_sandbox.service import Call

COMMON = frozenset({
    "alt", "fields", "key", "oauth_token", "prettyPrint", "quotaUser", "userIp",
})  # fmt: skip
WRITES = frozenset({
    "sendUpdates", "sendNotifications", "maxAttendees", "supportsAttachments",
    "conferenceDataVersion", "eventLabelVersion",
})  # fmt: skip
LISTS = frozenset({
    "alwaysIncludeEmail", "eventTypes", "iCalUID", "maxAttendees", "maxResults", "orderBy",
    "pageToken", "privateExtendedProperty", "q", "sharedExtendedProperty", "showDeleted",
    "showHiddenInvitations", "singleEvents", "syncToken", "timeMax", "timeMin", "timeZone",
    "updatedMin",
})  # fmt: skip
READS = frozenset({"alwaysIncludeEmail", "maxAttendees", "timeZone"})
INSTANCES = frozenset({
    "alwaysIncludeEmail", "maxAttendees", "maxResults", "originalStart", "pageToken",
    "showDeleted", "timeMax", "timeMin", "timeZone",
})  # fmt: skip
NOT_WITH_TOKEN = (
    "iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty", "timeMin",
    "timeMax", "updatedMin",
)  # fmt: skip
EVENT_TYPES = frozenset(
    ("birthday", "default", "focusTime", "fromGmail", "outOfOffice", "workingLocation")
)


def read_filter(call: Call) -> Filter:
    """Read the parameters that choose events.

    Raises:
        GoogleError: 400 for values and combinations that the API refuses.
    """
    if call.one("syncToken") is not None:
        for name in NOT_WITH_TOKEN:
            if name in call.query:
                raise bad_parameter(name, "Not allowed together with a sync token.")
        if call.one("showDeleted") == "false":
            raise bad_parameter("showDeleted", "Not allowed together with a sync token.")
    single = read_boolean(call, "singleEvents")
    order = call.one("orderBy")
    if order not in (None, "startTime", "updated"):
        raise bad_parameter("orderBy")
    if order == "startTime" and not single:
        raise bad_parameter("orderBy", "Only possible when single events are requested.")
    types = frozenset(call.query.get("eventTypes", ()))
    if not types <= EVENT_TYPES:
        raise bad_parameter("eventTypes")
    for name in ("alwaysIncludeEmail", "showHiddenInvitations"):
        read_boolean(call, name)
    if call.one("maxAttendees") is not None:
        read_integer(call, "maxAttendees", 1, 1, 10_000)
    low, high = read_time(call, "timeMin"), read_time(call, "timeMax")
    if low is not None and high is not None and high <= low:
        raise bad_parameter("timeMax", "The specified time range is empty.", "timeRangeEmpty")
    return Filter(
        low=low,
        high=high,
        single=single,
        show_deleted=read_boolean(call, "showDeleted"),
        event_types=types,
        private=read_pairs(call, "privateExtendedProperty"),
        shared=read_pairs(call, "sharedExtendedProperty"),
        uid=call.one("iCalUID"),
        text=call.one("q"),
        updated_min=read_time(call, "updatedMin"),
    )


def read_body(call: Call) -> dict[str, Any]:
    """Read the object that was sent.

    Raises:
        GoogleError: 400 ``parseError``.
    """
    try:
        sent = json.loads(call.body)
    except ValueError:
        raise GoogleError(400, "parseError", "Parse Error") from None
    if not isinstance(sent, dict):
        raise GoogleError(400, "parseError", "Parse Error")
    return sent


def shape_of(call: Call, wanted: Filter) -> str:
    """Return what must stay the same between a first read and the reads by its token."""
    types = ",".join(sorted(wanted.event_types))
    return f"{wanted.single}|{types}|{call.one('timeZone')}|{call.one('maxResults')}"


def read_time(call: Call, name: str) -> datetime | None:
    """Read a time with an offset in UTC, None when it was not sent."""
    text = call.one(name)
    if text is None:
        return None
    # A plus sign that was not escaped arrives as a space.
    moment = parse_rfc3339(text)
    if moment is None or moment.tzinfo is None:
        if name == "originalStart" and len(text) == 10:
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        raise bad_parameter(name, "Bad Request", "badRequest")
    return moment.astimezone(UTC)


def read_boolean(call: Call, name: str) -> bool:
    """Read true or false, false when it was not sent."""
    text = call.one(name, "false")
    if text not in ("true", "false"):
        raise bad_parameter(name, f"Invalid boolean value: {str(text)[:20]}", "invalidParameter")
    return text == "true"


def read_integer(call: Call, name: str, default: int, low: int, high: int) -> int:
    """Read a number of at least ``low``; what is above ``high`` counts as ``high``."""
    text = call.one(name)
    if text is None:
        return default
    if not text.isdigit() or int(text) < low:
        raise bad_parameter(name, f"Invalid integer value: {text[:20]}", "invalidParameter")
    return min(int(text), high)


def read_pairs(call: Call, name: str) -> tuple[tuple[str, str], ...]:
    """Read constraints ``name=value`` on extended properties."""
    pairs = []
    for text in call.query.get(name, ()):
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise bad_parameter(name)
        pairs.append((key, value))
    return tuple(pairs)
