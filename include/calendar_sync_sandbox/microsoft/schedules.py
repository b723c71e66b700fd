"""``getSchedule`` of the Graph double: the items of up to 20 mailboxes' main calendars.

https://learn.microsoft.com/graph/api/calendar-getschedule. More addresses, and more than 62 days,
are refused as observed (https://github.com/microsoftgraph/microsoft-graph-docs/issues/7047); what
is wrong with one mailbox stands in its place. Items have no ids, and are not merged.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from calendar_sync_sandbox.microsoft.errors import GraphError
from calendar_sync_sandbox.microsoft.preferences import read_body
from calendar_sync_sandbox.microsoft.times import Json, parse, stamp7, zone
from calendar_sync_sandbox.service import Call, Reply

if TYPE_CHECKING:
    from calendar_sync_sandbox.microsoft.store import Mailbox
    from calendar_sync_sandbox.microsoft.world import MicrosoftWorld

MOST = 20
LONGEST = timedelta(days=62)
NAMES = frozenset({"schedules", "startTime", "endTime", "availabilityViewInterval"})


class Schedules:
    """The handler."""

    def __init__(self, world: MicrosoftWorld) -> None:
        """Keep the world."""
        self.world = world

    def answer(self, call: Call, mailbox: Mailbox) -> Reply:
        """Answer a question."""
        sent = read_body(call)
        if unknown := sorted(sent.keys() - NAMES):
            raise GraphError(400, "RequestBodyRead", f"Unknown property {unknown[0][:60]}.")
        names = sent.get("schedules")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise GraphError(400, "ErrorInvalidParameter", "Schedules are required.")
        if len(names) > MOST:
            raise GraphError(400, "ErrorMailboxDataArrayTooBig", "Too many mailboxes.")
        low, high = _moment(sent.get("startTime")), _moment(sent.get("endTime"))
        if high <= low:
            raise GraphError(400, "ErrorInvalidParameter", "The end is not after the start.")
        if high - low > LONGEST:
            raise GraphError(400, "ErrorTimeIntervalTooBig", "The time window is too large.")
        rows = [self._row(name, low, high) for name in names]
        context = (
            f"{self.world.directory.graph_root}/v1.0/$metadata#Collection(scheduleInformation)"
        )
        return Reply(200, {"@odata.context": context, "value": rows})

    def _row(self, name: str, low: datetime, high: datetime) -> Json:
        try:
            mailbox = self.world.account(name)
        except KeyError:
            mailbox = None
        if mailbox is None or mailbox.state != "ok" or name.lower() in self.world.hidden:
            error = {
                "message": "Unable to resolve e-mail address to an Active Directory object.",
                "responseCode": "ErrorMailRecipientNotFound",
            }
            return {"scheduleId": name, "error": error}
        items = [
            _item(event, mailbox.time_zone)
            for event in self.world.expanded(name.lower(), low, high)
        ]
        return {
            "scheduleId": name,
            "availabilityView": "",
            "scheduleItems": [item for item in items if item is not None],
        }


def _item(event: Json, zone_name: str) -> Json | None:
    if event["isCancelled"] or event["responseStatus"]["response"] == "declined":
        return None
    sides: dict[str, Any] = {}
    for side in ("start", "end"):
        moment = parse(event[side]["dateTime"])
        assert moment is not None  # noqa: S101 - the double wrote it
        if event["isAllDay"]:
            local = datetime.combine(moment.date(), time(), ZoneInfo(zone_name))
            moment = local.astimezone(UTC)
        sides[side] = {"dateTime": stamp7(moment).rstrip("Z"), "timeZone": "UTC"}
    return {"status": event["showAs"], "isPrivate": event["sensitivity"] == "private", **sides}


def _moment(value: Any) -> datetime:
    moment = parse(value.get("dateTime", "")) if isinstance(value, dict) else None
    if moment is None:
        raise GraphError(400, "ErrorInvalidParameter", "A time is not valid.")
    where = zone(value.get("timeZone", "UTC"))
    return moment.replace(tzinfo=moment.tzinfo or where).astimezone(UTC)
