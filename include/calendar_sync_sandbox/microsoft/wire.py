"""Events, calendars and users as the API writes them.

https://learn.microsoft.com/graph/api/resources/event
"""

from __future__ import annotations

import html
import re
from datetime import date, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from calendar_sync_sandbox.microsoft.times import Json, Span, local, stamp7

if TYPE_CHECKING:
    from calendar_sync_sandbox.microsoft.preferences import Preferences
    from calendar_sync_sandbox.microsoft.store import Folder, Instance, Mailbox, Version

ONLY_ON_REQUEST = frozenset({"cancelledOccurrences", "exceptionOccurrences"})
EVENT_NAMES = frozenset({
    "id", "createdDateTime", "lastModifiedDateTime", "changeKey", "categories", "transactionId",
    "originalStartTimeZone", "originalEndTimeZone", "originalStart", "iCalUId",
    "reminderMinutesBeforeStart", "isReminderOn", "hasAttachments", "subject", "bodyPreview",
    "importance", "sensitivity", "isAllDay", "isCancelled", "isOrganizer", "responseRequested",
    "seriesMasterId", "showAs", "type", "webLink", "onlineMeetingUrl", "isOnlineMeeting",
    "onlineMeetingProvider", "allowNewTimeProposals", "isDraft", "hideAttendees", "recurrence",
    "onlineMeeting", "responseStatus", "body", "start", "end", "location", "locations",
    "attendees", "organizer", *ONLY_ON_REQUEST,
})  # fmt: skip
_EXCHANGES = "040000008200E00074C5B7101A82E008"
_TAG = re.compile(r"<[^>]*>")
_HEAD = re.compile(r"<head.*?</head>", re.IGNORECASE | re.DOTALL)


def event_json(
    mailbox: Mailbox,
    version: Version,
    how: Preferences,
    instance: Instance | None = None,
    *,
    shift_days: bool = False,
) -> Json:
    """Write an event, a series' master, or one of its occurrences, with all its properties."""
    fields, span = version.fields, version.span
    kind, day, at = "seriesMaster" if version.is_series else "singleInstance", None, version.at
    if instance is not None:
        kind, day, span = "occurrence", instance.day, instance.span
        if instance.change is not None:
            kind, at = "exception", instance.change.at
            fields = {**fields, **instance.change.fields}
    item_id = mailbox.id_of(version, day, immutable=how.immutable)
    written: Json = {
        "@odata.etag": version.etag,
        "id": item_id,
        "createdDateTime": stamp7(version.created),
        "lastModifiedDateTime": stamp7(at),
        "changeKey": version.change_key,
        "originalStartTimeZone": span.zone_name,
        "originalEndTimeZone": span.end_zone_name,
        "hasAttachments": False,
        "bodyPreview": _plain(fields["body"])[:255],
        "isAllDay": span.all_day,
        "isOrganizer": is_organizer(mailbox, fields),
        "isDraft": False,
        "type": kind,
        "webLink": f"https://outlook.office365.com/owa/?itemid={quote(item_id, safe='')}"
        "&exvsurl=1&path=/calendar/item",
        "onlineMeetingUrl": None,
        "onlineMeeting": None,
        **fields,
        "iCalUId": _uid(mailbox, version, day),
        "seriesMasterId": None,
        "body": _body(fields["body"], text=how.text),
        **times_json(span, how, shift_days=shift_days),
    }
    if instance is not None:
        written["recurrence"] = None
        written["seriesMasterId"] = mailbox.id_of(version, immutable=how.immutable)
        written["originalStart"] = stamp7(instance.original)
        written.pop("transactionId", None)
    return written


def occurrence_json(
    mailbox: Mailbox,
    version: Version,
    how: Preferences,
    instance: Instance,
    *,
    shift_days: bool = False,
) -> Json:
    """Write an unchanged occurrence as a delta does: bare."""
    return {
        "@odata.etag": version.etag,
        "id": mailbox.id_of(version, instance.day, immutable=how.immutable),
        "seriesMasterId": mailbox.id_of(version, immutable=how.immutable),
        "type": "occurrence",
        **times_json(instance.span, how, shift_days=shift_days),
    }


def times_json(span: Span, how: Preferences, *, shift_days: bool) -> Json:
    """Write start and end in the zone asked for; days stay at midnight unless they shift."""
    if span.all_day and not shift_days:
        first = span.first_day
        texts = [f"{d}T00:00:00.0000000" for d in (first, first + span.days * timedelta(days=1))]
    else:
        texts = [local(span.start, how.zone), local(span.end, how.zone)]
    return {
        "start": {"dateTime": texts[0], "timeZone": how.zone_name},
        "end": {"dateTime": texts[1], "timeZone": how.zone_name},
    }


def selected(written: Json, names: frozenset[str] | None) -> Json:
    """Keep what ``$select`` asks for, and what is always there."""
    if names is None:
        return written
    return {k: v for k, v in written.items() if k in names or k == "id" or k.startswith("@")}


def properties_json(
    version: Version, instance: Instance | None, wanted: frozenset[str]
) -> list[Json]:
    """Write the extended properties that ``$expand`` asks for and the item has."""
    held = version.properties
    if instance is not None:
        # Whether occurrences inherit those of the master is not promised; here they do not.
        held = instance.change.properties if instance.change else {}
    return [{"id": name, "value": value} for key, (name, value) in held.items() if key in wanted]


def calendar_json(mailbox: Mailbox, folder: Folder) -> Json:
    """Write a calendar."""
    owner = folder.owner or mailbox.email
    return {
        "id": folder.id,
        "name": folder.name,
        "color": "auto",
        "hexColor": "",
        "isDefaultCalendar": folder.primary,
        "changeKey": "CQAAABYAAAA=",
        "canShare": True,
        "canViewPrivateItems": True,
        "canEdit": True,
        "allowedOnlineMeetingProviders": ["teamsForBusiness"],
        "defaultOnlineMeetingProvider": "teamsForBusiness",
        "isTallyingResponses": True,
        "isRemovable": not folder.primary,
        "owner": {"name": owner.partition("@")[0], "address": owner},
    }


def is_organizer(mailbox: Mailbox, fields: Json) -> bool:
    """Whether the mailbox itself called the meeting."""
    address = fields["organizer"]["emailAddress"]["address"]
    return bool(address.lower() == mailbox.email.lower())


def cancelled_occurrences(mailbox: Mailbox, version: Version, how: Preferences) -> list[str]:
    """Name the deleted days of a series."""
    master = mailbox.id_of(version, immutable=how.immutable)
    return [f"OID.{master}.{day}" for day in sorted(version.cancelled)]


def foreign_uid(uid: str) -> str:
    """Write the id of an invitation from another system as Exchange does (MS-OXCICAL)."""
    content = b"vCal-Uid\x01\x00\x00\x00" + uid.encode() + b"\x00"
    length = len(content).to_bytes(4, "little")
    return f"{_EXCHANGES}{'0' * 40}{length.hex()}{content.hex()}".upper()


def _uid(mailbox: Mailbox, version: Version, day: date | None) -> str:
    """Its own, or that of an invitation; of an occurrence, Exchange's form has the day in it."""
    when = f"{day.year:04X}{day.month:02X}{day.day:02X}" if day else "00000000"
    owner = mailbox.guid.replace("-", "").upper()
    given = str(version.fields.get("iCalUId") or f"{_EXCHANGES}00000000{owner}{version.key:08X}")
    if not given.startswith(_EXCHANGES):
        return given
    return f"{_EXCHANGES}{when}{given[len(_EXCHANGES) + len(when) :]}"


def _body(stored: Json, *, text: bool) -> Json:
    if text:
        plain = _plain(stored)
        lines = "\r\n".join(plain.splitlines())
        return {"contentType": "text", "content": f"{lines}\r\n" if lines else ""}
    if stored["contentType"] == "html":
        return dict(stored)
    if not stored["content"]:
        return {"contentType": "html", "content": ""}
    inner = "<br>\r\n".join(html.escape(line) for line in stored["content"].splitlines())
    page = (
        '<html>\r\n<head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
        f'\r\n</head>\r\n<body>\r\n<div class="PlainText">{inner}</div>\r\n</body>\r\n</html>\r\n'
    )
    return {"contentType": "html", "content": page}


def _plain(stored: Json) -> str:
    content: str = stored["content"]
    if stored["contentType"] == "text":
        return content
    return html.unescape(_TAG.sub("", _HEAD.sub("", content))).strip()
