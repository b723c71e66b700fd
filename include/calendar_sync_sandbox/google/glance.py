"""Google's events as people see them, whatever the platform."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.calendars import Glimpse
from calendar_sync_sandbox.google.times import moment_of

if TYPE_CHECKING:
    from datetime import datetime

    from calendar_sync_sandbox.calendars import Json, Shown

INFORMATIONAL = ("workingLocation", "birthday")


def fields_of(
    title: str | None, *, free: bool | None, private: bool | None, rrule: str | None
) -> Json:
    """Return the fields of the API for these; None leaves a field out."""
    found: Json = {}
    if title is not None:
        found["summary"] = title
    if free is not None:
        found["transparency"] = "transparent" if free else "opaque"
    if private is not None:
        found["visibility"] = "private" if private else "default"
    if rrule is not None:
        found["recurrence"] = [f"RRULE:{rrule}"]
    return found


def is_owner(guest: Json, owner: str) -> bool:
    """Whether it is the owner who is invited, perhaps under an earlier address."""
    return bool(guest.get("self")) or guest["email"].lower() == owner.lower()


def glimpse_of(event: Json, owner: str, zone_name: str, marker: str) -> Glimpse:
    """Look at an event of the API."""

    def when(value: Any) -> datetime | date:
        if "date" in value:
            return date.fromisoformat(value["date"])
        return moment_of(value, zone_name)

    guests = event.get("attendees", [])
    answers = {g.get("responseStatus") for g in guests if is_owner(g, owner)}
    if not event["organizer"].get("self"):
        # An invitation is undecided until it is answered.
        answers = {"tentative" if answer == "needsAction" else answer for answer in answers}
    undecided = event["status"] == "tentative" or "tentative" in answers
    shown: Shown = "tentative" if undecided else "busy"
    if event.get("transparency") == "transparent" or event["eventType"] in INFORMATIONAL:
        shown = "free"
    original = event.get("originalStartTime")
    return Glimpse(
        id=event["id"],
        series_id=event.get("recurringEventId"),
        is_series="recurrence" in event,
        start=when(event["start"]),
        end=when(event["end"]),
        title=event.get("summary", ""),
        description=event.get("description", ""),
        marker=event.get("extendedProperties", {}).get("private", {}).get(marker),
        private=event.get("visibility") in ("private", "confidential"),
        shown=shown,
        declined="declined" in answers,
        guests=len(guests),
        original_start=when(original) if original else None,
        undecided=undecided,
        out_of_office=event["eventType"] == "outOfOffice",
    )
