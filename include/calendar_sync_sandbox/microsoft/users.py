"""The users of the directory and their changes.

https://learn.microsoft.com/graph/api/user-list and https://learn.microsoft.com/graph/api/user-delta
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.history import History
from calendar_sync_sandbox.microsoft.errors import GraphError, bad_option
from calendar_sync_sandbox.microsoft.preferences import check_options, prefers, read_number
from calendar_sync_sandbox.microsoft.times import Json, stamp7
from calendar_sync_sandbox.microsoft.wire import selected
from calendar_sync_sandbox.sealed import seal, unseal
from calendar_sync_sandbox.service import Call, Reply

if TYPE_CHECKING:
    from calendar_sync_sandbox.microsoft.world import MicrosoftWorld

TOKEN_LIFE = timedelta(days=7)
DEFAULT_NAMES = frozenset({
    "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone",
    "officeLocation", "preferredLanguage", "surname", "userPrincipalName", "id",
})  # fmt: skip
NAMES = frozenset({
    "accountEnabled", "createdDateTime", "displayName", "givenName", "mail", "otherMails",
    "proxyAddresses", "surname", "userPrincipalName", "userType", "id",
})  # fmt: skip
_EQUAL = re.compile(r"(mail|userPrincipalName)\s+eq\s+'((?:[^']|'')*)'$", re.IGNORECASE)
_IDS = re.compile(r"id\s+eq\s+'([^']*)'", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class User:
    """One state of a user; ``gone`` is ``changed`` while it could be restored, or ``deleted``.

    ``kind`` is Member or Guest; ``aliases`` are further addresses of the mailbox.
    """

    seq: int
    guid: str
    mail: str | None
    principal: str
    created: datetime
    enabled: bool = True
    gone: str | None = None
    kind: str = "Member"
    aliases: tuple[str, ...] = ()

    def as_json(self) -> Json:
        """Write every property that the double knows."""
        first, _, last = self.principal.partition("@")[0].partition(".")
        return {
            "id": self.guid,
            "displayName": f"{first} {last}".strip().title(),
            "givenName": first.title(),
            "surname": last.title() or None,
            "mail": self.mail,
            "userPrincipalName": self.principal,
            "accountEnabled": self.enabled,
            "createdDateTime": stamp7(self.created)[:19] + "Z",
            "otherMails": [],
            # The primary address in capitals, others not; also addresses of other kinds.
            "proxyAddresses": [
                *([f"SMTP:{self.mail}", f"SIP:{self.mail}"] if self.mail else []),
                *(f"smtp:{alias}" for alias in self.aliases),
            ],
            "userType": self.kind,
        }


class Users(History[str, User]):
    """The directory's users with every state that each of them has had."""

    def add(self, guid: str, email: str, now: datetime) -> None:
        """Add a user whose principal name is the address of the mailbox."""
        self.note(guid, User(self.seq + 1, guid, email, email, now), now)

    def set_state(self, guid: str, state: str, now: datetime) -> None:
        """Follow what happened to the mailbox."""
        gone = {"deleted": "changed", "purged": "deleted"}.get(state)
        self._change(guid, now, enabled=state != "suspended", gone=gone)

    def rename(self, guid: str, mail: str | None, now: datetime) -> None:
        """Give a user another address; the principal name stays."""
        self._change(guid, now, mail=mail)

    def move(self, guid: str, address: str, now: datetime) -> None:
        """Give a user another address and principal name."""
        self._change(guid, now, mail=address, principal=address)

    def add_alias(self, guid: str, address: str, now: datetime) -> None:
        """Give a mailbox one more address."""
        self._change(guid, now, aliases=(*self.records[guid][-1].aliases, address))

    def make_guest(self, guid: str, now: datetime) -> None:
        """Make a user a guest, with the mailbox in another tenant."""
        self._change(guid, now, kind="Guest")

    def present(self) -> list[User]:
        """Return the users that are there, oldest first."""
        states = (self.latest(guid) for guid in self.records)
        return [user for user in states if user is not None and user.gone is None]

    def _change(self, guid: str, now: datetime, **changes: Any) -> None:
        old = self.records[guid][-1]
        new = replace(old, **changes)
        if new != old:
            self.note(guid, replace(new, seq=self.seq + 1), now)


class UserHandlers:
    """The handlers of the directory's part of the API."""

    def __init__(self, world: MicrosoftWorld) -> None:
        """Keep the world."""
        self.world = world
        self.users = world.users

    def read(self, call: Call) -> Reply:
        """Answer ``/users``."""
        check_options(call, frozenset({"$select", "$top", "$filter", "$skiptoken"}))
        rows = self.users.present()
        text = call.one("$filter")
        if text is not None:
            match = _EQUAL.match(text.strip())
            if match is None:
                raise GraphError(400, "Request_UnsupportedQuery", "Unsupported filter.")
            wanted = match[2].replace("''", "'").lower()
            principal = match[1].lower() != "mail"
            rows = [
                u for u in rows if (u.principal if principal else u.mail or "").lower() == wanted
            ]
        names = self._names(call) or DEFAULT_NAMES
        size = min(read_number(call, "$top", 100, 999), 999)
        offset = unseal(call.one("$skiptoken") or "").get("o", 0)
        page = [selected(user.as_json(), names) for user in rows[offset : offset + size]]
        body = {"@odata.context": self._context("users"), "value": page}
        if offset + size < len(rows):
            body["@odata.nextLink"] = self._link(call, "/v1.0/users", {"o": offset + size})
        return Reply(200, body)

    def get(self, call: Call) -> Reply:
        """Answer ``/users/{id}``."""
        check_options(call, frozenset({"$select"}))
        wanted = call.params["user"].lower()
        for user in self.users.present():
            if wanted in (user.guid, user.principal.lower()):
                names = self._names(call) or DEFAULT_NAMES
                context = self._context("users/$entity")
                return Reply(200, {"@odata.context": context, **selected(user.as_json(), names)})
        raise GraphError(
            404, "Request_ResourceNotFound", f"Resource '{wanted[:60]}' does not exist."
        )

    def delta(self, call: Call) -> Reply:
        """Answer ``/users/delta``."""
        check_options(call, frozenset({"$select", "$filter", "$top", "$skiptoken", "$deltatoken"}))
        now, prefer = self.world.clock.now(), prefers(call)
        token = call.one("$skiptoken") or call.one("$deltatoken")
        held: dict[str, Any] = {"s": 0, "h": self.users.seq, "o": 0}
        if token == "latest":  # noqa: S105 - a word of the API
            held["s"] = held["h"]
        elif token is not None:
            if "$select" in call.query or "$filter" in call.query:
                raise bad_option("$select", "is part of the token")
            held = unseal(token)
            if held.get("k") != "users":
                raise GraphError(400, "Directory_InvalidDeltaToken", "The token is malformed.")
            if now - datetime.fromisoformat(held["t"]) > TOKEN_LIFE:
                raise GraphError(410, "resyncRequired", "The token has expired.")
        names = frozenset(held["n"]) if "n" in held else self._names(call)
        only = held["i"] if "i" in held else self._only(call)
        horizon = held.get("h") or self.users.seq
        rows = self._changes(held["s"], horizon, names, only, minimal=prefer.minimal)
        size = prefer.page or read_number(call, "$top", 100, 999)
        page = rows[held.get("o", 0) : held.get("o", 0) + size]
        done = held.get("o", 0) + len(page)
        keep = {"k": "users", "t": now.isoformat(), "n": sorted(names or ()), "i": only}
        body: Json = {"@odata.context": self._context("users"), "value": page}
        base = f"{self.world.directory.graph_root}/v1.0/users/delta"
        if done < len(rows):
            more = {**keep, "s": held["s"], "h": horizon, "o": done}
            body["@odata.nextLink"] = f"{base}?$skiptoken={seal(more)}"
        else:
            body["@odata.deltaLink"] = f"{base}?$deltatoken={seal({**keep, 's': horizon})}"
        return Reply(200, body)

    def _changes(
        self,
        since: int,
        horizon: int,
        names: frozenset[str] | None,
        only: list[str],
        *,
        minimal: bool,
    ) -> list[Json]:
        wanted = (names or DEFAULT_NAMES) & NAMES
        found: list[Json] = []
        for guid in self.users.changed_since(since):
            now, before = self.users.at(guid, horizon), self.users.at(guid, since)
            if now is None or (only and guid not in only):
                continue
            if now.gone:
                if since:
                    found.append({"id": guid, "@removed": {"reason": now.gone}})
                continue
            row = selected(now.as_json(), wanted)
            if before is not None and before.gone is None:
                old = selected(before.as_json(), wanted)
                if row == old:
                    continue  # only selected properties are tracked
                if minimal:
                    row = {k: v for k, v in row.items() if k == "id" or old.get(k) != v}
            found.append(row)
        return found

    def _names(self, call: Call) -> frozenset[str] | None:
        text = call.one("$select")
        names = frozenset(n.strip() for n in (text or "").split(",") if n.strip())
        if unknown := names - NAMES - DEFAULT_NAMES:
            raise GraphError(
                400, "BadRequest", f"Could not find a property named '{sorted(unknown)[0][:60]}'."
            )
        return names or None

    def _only(self, call: Call) -> list[str]:
        text = call.one("$filter")
        if text is None:
            return []
        ids = [found.lower() for found in _IDS.findall(text)]
        if not ids or len(ids) > 50:
            raise GraphError(400, "Request_UnsupportedQuery", "Unsupported filter.")
        return ids

    def _context(self, what: str) -> str:
        return f"{self.world.directory.graph_root}/v1.0/$metadata#{what}"

    def _link(self, call: Call, path: str, place: dict[str, Any]) -> str:
        from urllib.parse import urlencode

        kept = {k: v[-1] for k, v in call.query.items() if k != "$skiptoken"}
        query = urlencode({**kept, "$skiptoken": seal(place)}, safe="$")
        return f"{self.world.directory.graph_root}{path}?{query}"
