"""The calendars of a mailbox themselves: its list, one more, one less.

https://developers.google.com/workspace/calendar/api/v3/reference/calendarList and /calendars
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from calendar_sync_sandbox.google.delegation import MAKING_SCOPE
from calendar_sync_sandbox.google.errors import GoogleError, bad_parameter
from calendar_sync_sandbox.google.parameters import read_body, read_boolean, read_integer
from calendar_sync_sandbox.sealed import seal, unseal
from calendar_sync_sandbox.service import Call, Reply

if TYPE_CHECKING:
    from calendar_sync_sandbox.google.store import Calendar, Json
    from calendar_sync_sandbox.google.world import Account, GoogleWorld

LISTS = frozenset({"maxResults", "pageToken", "showHidden", "showDeleted", "minAccessRole"})
LONGEST_NAME = 254


class CalendarHandlers:
    """The handlers; the world does the work."""

    def __init__(self, world: GoogleWorld) -> None:
        """Answer for these mailboxes."""
        self.world = world

    def list(self, call: Call, account: Account) -> Reply:
        """Answer with the calendars that the account sees, page by page."""
        size = read_integer(call, "maxResults", 100, 1, 250)
        hidden = read_boolean(call, "showHidden")
        held = unseal(call.one("pageToken") or "")
        if call.one("pageToken") is not None and held.get("k") != "calendars":
            raise bad_parameter("pageToken", "Invalid page token value.")
        since = self.world.clock.now() - timedelta(seconds=self.world.lag_seconds)
        rows = [
            self._entry(each, account)
            for each in account.calendars.values()
            if (hidden or not each.hidden) and (each.made_at is None or each.made_at <= since)
        ]
        first = held.get("o", 0)
        body: Json = {
            "kind": "calendar#calendarList",
            "etag": f'"p{len(rows):016d}"',
            "items": rows[first : first + size],
        }
        if first + size < len(rows):
            body["nextPageToken"] = seal({"k": "calendars", "o": first + size})
        else:
            body["nextSyncToken"] = seal({"k": "calendarList"})
        return Reply(200, body)

    def get(self, call: Call, account: Account) -> Reply:
        """Answer with one calendar."""
        return Reply(200, self._written(self._found(call, account)))

    def insert(self, call: Call, account: Account) -> Reply:
        """Make a calendar; two may have the same name."""
        name = read_body(call).get("summary")
        if not isinstance(name, str) or not name.strip():
            raise GoogleError(400, "required", "Missing title.")
        if len(name) > LONGEST_NAME:
            raise GoogleError(400, "invalid", "Invalid value")
        made = self.world.add_calendar(account.email, name)
        # A calendar is in no zone but UTC until it is told so.
        made.time_zone, made.by_client = "UTC", True
        made.made_at = self.world.clock.now()
        return Reply(200, self._written(made))

    def delete(self, call: Call, account: Account) -> Reply:
        """Delete a calendar with everything in it."""
        calendar = self._found(call, account)
        if calendar.primary:
            raise GoogleError(400, "invalid", "Cannot delete the primary calendar.")
        if calendar.owner.lower() != account.email.lower():
            raise GoogleError(403)
        scopes = self.world.delegation.grants[call.bearer].scopes
        if scopes == {MAKING_SCOPE} and not calendar.by_client:
            raise GoogleError(
                403, "insufficientPermissions", "Request had insufficient authentication scopes."
            )
        self.world.delete_calendar(account.email, calendar.id)
        return Reply(204)

    def _found(self, call: Call, account: Account) -> Calendar:
        try:
            return self.world.calendar(account.email, call.params["calendar"])
        except KeyError:
            raise GoogleError(404) from None

    def _entry(self, calendar: Calendar, account: Account) -> Json:
        return {
            "kind": "calendar#calendarListEntry",
            "etag": f'"{calendar.seq:016d}"',
            "id": calendar.id,
            "summary": calendar.summary,
            "timeZone": calendar.time_zone,
            "colorId": "14",
            "backgroundColor": "#9fe1e7",
            "foregroundColor": "#000000",
            "selected": True,
            # Whoever may manage a calendar is called its owner, too.
            "accessRole": "owner",
            "defaultReminders": [],
            **({"primary": True} if calendar.primary else {"dataOwner": calendar.owner}),
            **({"hidden": True} if calendar.hidden else {}),
        }

    def _written(self, calendar: Calendar) -> Json:
        return {
            "kind": "calendar#calendar",
            "etag": f'"{calendar.seq:016d}"',
            "id": calendar.id,
            "summary": calendar.summary,
            "timeZone": calendar.time_zone,
            **({} if calendar.primary else {"dataOwner": calendar.owner}),
        }
