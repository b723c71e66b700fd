"""The groups of the directory and who is in them.

https://learn.microsoft.com/graph/api/group-list and
https://learn.microsoft.com/graph/api/group-list-transitivemembers
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from calendar_sync_sandbox.microsoft.errors import GraphError
from calendar_sync_sandbox.microsoft.preferences import check_options, read_number
from calendar_sync_sandbox.sealed import seal, unseal
from calendar_sync_sandbox.service import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calendar_sync_sandbox.microsoft.times import Json
    from calendar_sync_sandbox.microsoft.world import MicrosoftWorld

_EQUAL = re.compile(r"mail\s+eq\s+'((?:[^']|'')*)'$", re.IGNORECASE)
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.IGNORECASE)


@dataclass(slots=True)
class Group:
    """A group; its members are addresses of users and of groups."""

    id: str
    mail: str
    members: list[str]

    def as_json(self) -> Json:
        """Write what is asked for most."""
        return {
            "id": self.id,
            "displayName": self.mail.partition("@")[0],
            "mail": self.mail,
            "mailEnabled": True,
            "securityEnabled": True,
            "groupTypes": [],
        }


class Groups:
    """All groups by address."""

    def __init__(self) -> None:
        """Start with none."""
        self.all: dict[str, Group] = {}

    def add(self, mail: str, *members: str) -> Group:
        """Make a group."""
        made = Group(str(uuid.uuid5(uuid.NAMESPACE_URL, mail.lower())), mail, list(members))
        self.all[mail.lower()] = made
        return made

    def delete(self, mail: str) -> None:
        """Delete a group."""
        del self.all[mail.lower()]


class GroupHandlers:
    """The handlers of the directory's part about groups."""

    def __init__(self, world: MicrosoftWorld) -> None:
        """Keep the world."""
        self.world = world

    def read(self, call: Call) -> Reply:
        """Answer ``/groups``."""
        check_options(call, frozenset({"$select", "$top", "$filter", "$skiptoken"}))
        rows = list(self.world.groups.all.values())
        text = call.one("$filter")
        if text is not None:
            match = _EQUAL.match(text.strip())
            if match is None:
                raise GraphError(400, "Request_UnsupportedQuery", "Unsupported filter.")
            wanted = match[1].replace("''", "'").lower()
            rows = [group for group in rows if group.mail.lower() == wanted]
        return self._page(call, "groups", [group.as_json() for group in rows])

    def transitive(self, call: Call) -> Reply:
        """Answer ``/groups/{id}/transitiveMembers``; what cannot be read has its id alone."""
        check_options(call, frozenset({"$select", "$top", "$skiptoken"}))
        wanted = call.params["group"].lower()
        if not _GUID.match(wanted):
            message = f"Invalid object identifier '{wanted[:60]}'."
            raise GraphError(400, "Request_BadRequest", message)
        for group in self.world.groups.all.values():
            if group.id == wanted:
                return self._page(call, "directoryObjects", list(self._members(group)))
        raise GraphError(
            404,
            "Request_ResourceNotFound",
            f"Resource '{wanted}' does not exist or one of its queried reference-property objects "
            "are not present.",
        )

    def _members(self, group: Group) -> Iterator[Json]:
        """Go through members of all kinds, each once, also those of groups in it."""
        users = {user.principal.lower(): user for user in self.world.users.present()}
        seen: set[str] = set()
        waiting = list(group.members)
        while waiting:
            name = waiting.pop(0).lower()
            if name in seen:
                continue
            seen.add(name)
            if name in users:
                yield {"@odata.type": "#microsoft.graph.user", **users[name].as_json()}
            elif (inner := self.world.groups.all.get(name)) is not None:
                yield {"@odata.type": "#microsoft.graph.group", **inner.as_json()}
                waiting += inner.members

    def _page(self, call: Call, kind: str, rows: list[Json]) -> Reply:
        text = call.one("$select")
        names = {name.strip() for name in (text or "").split(",") if name.strip()}
        size = min(read_number(call, "$top", 100, 999), 999)
        offset = unseal(call.one("$skiptoken") or "").get("o", 0)
        shown = [
            {k: v for k, v in row.items() if not names or k in names or k.startswith("@")}
            for row in rows[offset : offset + size]
        ]
        root = self.world.directory.graph_root
        body: Json = {"@odata.context": f"{root}/v1.0/$metadata#{kind}", "value": shown}
        if offset + size < len(rows):
            kept = {k: v[-1] for k, v in call.query.items() if k != "$skiptoken"}
            query = urlencode({**kept, "$skiptoken": seal({"o": offset + size})}, safe="$")
            path = call.path[call.path.index("/v1.0/") :]
            body["@odata.nextLink"] = f"{root}{path}?{query}"
        return Reply(200, body)
