"""The groups of the Workspace and who is in them, for administrators.

https://developers.google.com/workspace/admin/directory/reference/rest/v1/members/list
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calendar_sync_sandbox.google.delegation import SCOPE
from calendar_sync_sandbox.google.errors import GoogleError, bad_parameter
from calendar_sync_sandbox.google.parameters import COMMON
from calendar_sync_sandbox.google.partial import select
from calendar_sync_sandbox.sealed import seal, unseal
from calendar_sync_sandbox.service import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from calendar_sync_sandbox.google.store import Json
    from calendar_sync_sandbox.google.world import GoogleWorld

GROUP_SCOPES = frozenset(
    SCOPE + name
    for name in (
        "admin.directory.group", "admin.directory.group.member",
        "admin.directory.group.member.readonly", "admin.directory.group.readonly",
    )
)  # fmt: skip
PARAMETERS = frozenset({"includeDerivedMembership", "maxResults", "pageToken", "roles"})
#: A member that stands for all users of the organisation.
EVERYBODY = "*"
LARGEST_PAGE = 200


@dataclass(slots=True)
class Group:
    """A group; its members are addresses of people and of groups, or ``EVERYBODY``."""

    email: str
    members: list[str]
    aliases: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Its immutable id."""
        return "0" + hashlib.sha256(self.email.lower().encode()).hexdigest()[:14]


class Groups:
    """All groups by address."""

    def __init__(self) -> None:
        """Start with none."""
        self.all: dict[str, Group] = {}

    def add(self, email: str, *members: str) -> Group:
        """Make a group."""
        made = self.all[email.lower()] = Group(email, list(members))
        return made

    def delete(self, email: str) -> None:
        """Delete a group; it stays a member of others only by name."""
        del self.all[email.lower()]

    def named(self, key: str) -> Group | None:
        """Return the group with this address, alias or id."""
        for group in self.all.values():
            names = {group.email.lower(), group.id, *(name.lower() for name in group.aliases)}
            if key.lower() in names:
                return group
        return None

    def members(self, group: Group, *, derived: bool) -> Iterator[str]:
        """Go through the members, each once; those of groups in it too, if ``derived``."""
        seen: set[str] = set()
        waiting = list(group.members)
        while waiting:
            name = waiting.pop(0)
            if name.lower() in seen:
                continue
            seen.add(name.lower())
            yield name
            inner = self.all.get(name.lower())
            if inner is not None and derived:
                waiting += inner.members


class GroupHandlers:
    """The handlers of the Admin SDK's part about groups; ``check`` looks at the token."""

    def __init__(self, world: GoogleWorld, check: Callable[[Call, frozenset[str]], None]) -> None:
        """Keep the world."""
        self.world = world
        self._check = check

    def members(self, call: Call) -> Reply:
        """Answer ``/admin/directory/v1/groups/{groupKey}/members``."""
        self._check(call, GROUP_SCOPES)
        for name in call.query:
            if name not in PARAMETERS and name not in COMMON:
                raise bad_parameter(name, f"Unknown parameter {name[:40]}")
        key = call.params["group"]
        group = self.world.groups.named(key)
        if group is None:
            self._refuse(key)
            raise GoogleError(404, "notFound", "Resource Not Found: groupKey")
        size = self._size(call)
        held = unseal(call.one("pageToken") or "")
        if call.one("pageToken") and held.get("k") != group.id:
            raise bad_parameter("pageToken", "Invalid Input: pageToken")
        offset = int(held.get("o", 0))
        derived = call.one("includeDerivedMembership") == "true"
        rows = list(self.world.groups.members(group, derived=derived))
        page = rows[offset : offset + size]
        body: Json = {"kind": "admin#directory#members", "etag": f'"{len(rows)}"'}
        if page:
            body["members"] = [self._as_json(name) for name in page]
        if offset + size < len(rows):
            body["nextPageToken"] = seal({"k": group.id, "o": offset + size})
        fields = call.one("fields")
        return Reply(200, select(body, fields) if fields else body)

    def _refuse(self, key: str) -> None:
        """A group of a foreign domain is not unknown but forbidden."""
        domains = {email.partition("@")[2] for email in self.world.accounts}
        if "@" in key and key.lower().partition("@")[2] not in domains:
            raise GoogleError(403, "forbidden", "Not Authorized to access this resource/api")

    def _size(self, call: Call) -> int:
        text = call.one("maxResults") or str(LARGEST_PAGE)
        if not text.isdigit() or not 1 <= int(text) <= LARGEST_PAGE:
            message = f"Invalid value '{text[:20]}'. Values must be within the range: [1, 200]"
            raise bad_parameter("maxResults", message)
        return int(text)

    def _as_json(self, name: str) -> Json:
        """Write a member; who is all users has no address, and who is elsewhere no status."""
        kind = {"kind": "admin#directory#member", "role": "MEMBER"}
        if name == EVERYBODY:
            return {**kind, "id": "C01sandbox", "type": "CUSTOMER"}
        number = hashlib.sha256(name.lower().encode()).hexdigest()[:16]
        row: Json = {**kind, "id": str(int(number, 16)), "email": name, "type": "USER"}
        if name.lower() in self.world.groups.all:
            row["type"] = "GROUP"
        account = self.world.accounts.get(name.lower())
        if account is not None:
            row["status"] = "SUSPENDED" if account.state == "suspended" else "ACTIVE"
        return row
