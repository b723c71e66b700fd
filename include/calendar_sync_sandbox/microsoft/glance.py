"""Outlook's events as people see them, whatever the platform."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from calendar_sync_sandbox.calendars import Glimpse
from calendar_sync_sandbox.microsoft.times import parse, zone

if TYPE_CHECKING:
    from datetime import date

    from calendar_sync_sandbox.calendars import Json, Shown

FREE = ("free", "workingElsewhere")
UNDECIDED = ("tentativelyAccepted", "notResponded")


def fields_of(
    title: str | None, *, free: bool | None, private: bool | None, rrule: str | None
) -> Json:
    """Return the properties of the API for these; None leaves one out."""
    found: Json = {}
    if title is not None:
        found["subject"] = title
    if free is not None:
        found["showAs"] = "free" if free else "busy"
    if private is not None:
        found["sensitivity"] = "private" if private else "normal"
    if rrule is not None:
        found["recurrence"] = rrule
    return found


def glimpse_of(event: Json, marker: str, account_zone: str) -> Glimpse:
    """Look at an event of the API with times in UTC, days unshifted and its body as text."""

    def when(value: Json) -> datetime | date:
        read = parse(value["dateTime"])
        assert read is not None  # noqa: S101 - the double wrote it
        return read.date() if event["isAllDay"] else read.replace(tzinfo=UTC)

    response = event["responseStatus"]["response"]
    shown: Shown = "busy"
    if event["showAs"] in FREE or event["isCancelled"]:
        shown = "free"
    elif event["showAs"] == "tentative" or response in UNDECIDED:
        shown = "tentative"
    held = {p["id"].lower(): p["value"] for p in event.get("singleValueExtendedProperties", [])}
    return Glimpse(
        id=event["id"],
        series_id=event["seriesMasterId"],
        is_series=event["type"] == "seriesMaster",
        start=when(event["start"]),
        end=when(event["end"]),
        title=event["subject"],
        description=event["body"]["content"].replace("\r\n", "\n").removesuffix("\n"),
        marker=held.get(marker.lower()),
        private=event["sensitivity"] in ("private", "confidential"),
        shown=shown,
        declined=response == "declined",
        guests=len(event["attendees"]),
        original_start=_original(event, account_zone),
        undecided=response in UNDECIDED,
        out_of_office=event["showAs"] == "oof",
    )


def _original(event: Json, account_zone: str) -> datetime | date | None:
    text = event.get("originalStart")
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if not event["isAllDay"]:
        return moment
    name = event["originalStartTimeZone"]
    where = ZoneInfo(account_zone) if "ustom" in name else zone(name)
    return moment.astimezone(where).date()
