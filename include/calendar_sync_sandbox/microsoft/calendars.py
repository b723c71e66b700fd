"""The calendars of a mailbox themselves: its list, one more, one less.

https://learn.microsoft.com/graph/api/user-list-calendars and user-post-calendars
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from calendar_sync_sandbox.microsoft.errors import GraphError, bad_property
from calendar_sync_sandbox.microsoft.preferences import (
    check_options,
    read_body,
    read_number,
    read_select,
)
from calendar_sync_sandbox.microsoft.wire import calendar_json
from calendar_sync_sandbox.service import Call, Reply

if TYPE_CHECKING:
    from calendar_sync_sandbox.microsoft.store import Mailbox
    from calendar_sync_sandbox.microsoft.times import Json
    from calendar_sync_sandbox.microsoft.world import MicrosoftWorld

LIST = frozenset({"$select", "$top", "$skip"})
PROPERTIES = frozenset({
    "id", "name", "color", "hexColor", "isDefaultCalendar", "changeKey", "canShare",
    "canViewPrivateItems", "canEdit", "allowedOnlineMeetingProviders",
    "defaultOnlineMeetingProvider", "isTallyingResponses", "isRemovable", "owner",
})  # fmt: skip
WRITABLE = frozenset({"name", "color"})
LONGEST_NAME = 255


class CalendarHandlers:
    """The handlers; the world does the work."""

    def __init__(self, world: MicrosoftWorld) -> None:
        """Answer for these mailboxes."""
        self.world = world

    def list(self, call: Call, mailbox: Mailbox) -> Reply:
        """Answer with the calendars of a mailbox and those shared with it, page by page."""
        check_options(call, LIST)
        chosen = read_select(call, PROPERTIES)
        top, skip = read_number(call, "$top", 10), read_number(call, "$skip", 0, 100_000)
        since = self.world.clock.now() - timedelta(seconds=self.world.lag_seconds)
        rows = [
            self._chosen(calendar_json(mailbox, each), chosen)
            for each in mailbox.calendars.values()
            if each.made_at is None or each.made_at <= since
        ]
        root = self.world.directory.graph_root
        context = f"{root}/v1.0/$metadata#users/calendars"
        body: Json = {"@odata.context": context, "value": rows[skip : skip + top]}
        if skip + top < len(rows):
            kept = {name: values[-1] for name, values in call.query.items()}
            query = urlencode({**kept, "$skip": skip + top}, safe="$")
            body["@odata.nextLink"] = f"{root}{call.path}?{query}"
        return Reply(200, body)

    def make(self, call: Call, mailbox: Mailbox) -> Reply:
        """Make a calendar. A mailbox has no two folders of one name in one place."""
        check_options(call, frozenset())
        sent = read_body(call)
        if unknown := sent.keys() - WRITABLE:
            raise GraphError(
                400, "BadRequest", f"The property '{sorted(unknown)[0][:60]}' cannot be set."
            )
        name = sent.get("name")
        if not isinstance(name, str) or not name.strip():
            raise bad_property("A calendar needs a name.")
        if len(name) > LONGEST_NAME:
            raise bad_property("The name of the calendar is too long.")
        mine = [each for each in mailbox.calendars.values() if not each.owner]
        if any(each.name.lower() == name.lower() for each in mine):
            raise GraphError(
                self.world.folder_exists,
                "ErrorFolderExists",
                "A folder with the specified name already exists.",
            )
        made = mailbox.add_calendar(name)
        made.made_at = self.world.clock.now()
        context = f"{self.world.directory.graph_root}/v1.0/$metadata#users/calendars/$entity"
        return Reply(201, {"@odata.context": context, **calendar_json(mailbox, made)})

    def delete(self, call: Call, mailbox: Mailbox) -> Reply:
        """Delete a calendar with everything in it."""
        check_options(call, frozenset())
        calendar = mailbox.calendars.get(call.params["calendar"])
        if calendar is None:
            raise GraphError(404)
        if calendar.primary:
            raise GraphError(
                403, "ErrorDeleteDistinguishedFolder", "Distinguished folders cannot be deleted."
            )
        self.world.delete_calendar(mailbox.email, calendar.id)
        return Reply(204)

    @staticmethod
    def _chosen(row: Json, chosen: frozenset[str] | None) -> Json:
        if chosen is None:
            return row
        return {name: value for name, value in row.items() if name in {"id", *chosen}}
