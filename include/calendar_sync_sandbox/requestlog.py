"""A record of every request that reached the sandbox, without bodies."""

from __future__ import annotations

from collections import Counter, UserList
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.clock import stamp

if TYPE_CHECKING:
    from datetime import datetime

# Values of these parameters hold times, sizes and switches only; all others are logged as "*".
SAFE_QUERY_VALUES = frozenset({
    "singleEvents", "showDeleted", "maxResults", "orderBy", "timeMin", "timeMax", "updatedMin",
    "eventTypes", "timeZone", "sendUpdates", "fields", "from", "to", "includeCancelled",
    "eventType", "sort", "page", "size", "pageSize", "start", "dateStart", "dateEnd", "entity",
    "type", "userState", "includeEncounterInfo", "withCareTeam", "statuses", "startDateTime",
    "endDateTime", "$select", "$top", "$skip",
})  # fmt: skip

# Requests by another verb than GET that leave every calendar as it is.
NO_WRITES = (
    ".token", ".batch", ".freebusy.query", ".schedule.get", ".events.watch", ".channels.stop",
    ".subscriptions.create", ".subscriptions.update", ".subscriptions.delete",
    ".subscriptions.reauthorize",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One request.

    Attributes:
        seq: position in the log, from 1.
        at: when it arrived, by the sandbox clock.
        service: ``google``, ``microsoft`` or ``welkin``.
        kind: what it asked for, e.g. ``google.events.list``; ``google.unknown`` for no route.
        method: HTTP verb.
        path: path with the service's prefix.
        user: Google: the mailbox of the access token; Microsoft: that of the path; Welkin: the API
            client.
        status: the status sent; 0 when the connection was broken instead.
        query: parameters; values that could hold more than times and switches read ``*``.
        mail_risk: true for a write that could have sent mail.
        fault: kind of the fault that struck it.
    """

    seq: int
    at: datetime
    service: str
    kind: str
    method: str
    path: str
    user: str | None
    status: int
    query: dict[str, str]
    mail_risk: bool = False
    fault: str | None = None

    @property
    def is_write(self) -> bool:
        """Whether the request could change a calendar; the parts of a batch tell for themselves."""
        return self.method != "GET" and not self.kind.endswith(NO_WRITES)

    def as_json(self) -> dict[str, Any]:
        """Describe the entry for the control API."""
        return {
            "seq": self.seq,
            "at": stamp(self.at),
            "service": self.service,
            "kind": self.kind,
            "method": self.method,
            "path": self.path,
            "user": self.user,
            "status": self.status,
            "query": self.query,
            "mail_risk": self.mail_risk,
            "fault": self.fault,
        }


def safe_query(query: dict[str, list[str]]) -> dict[str, str]:
    """Keep the names of all parameters and the values of the harmless ones."""
    return {
        name: ",".join(values) if name in SAFE_QUERY_VALUES else "*"
        for name, values in query.items()
    }


class RequestLog(UserList[Entry]):
    """The log itself: a list of entries, oldest first."""

    def since(self, seq: int) -> list[Entry]:
        """Return the entries after position ``seq``."""
        return self.data[seq:]

    def count(  # type: ignore[override]
        self, kind: str | None = None, *, since: int = 0, **equal: Any
    ) -> int:
        """Count entries of a kind (all kinds for ``None``) whose attributes equal the others."""
        return sum(
            1
            for entry in self.data[since:]
            if (kind is None or entry.kind == kind)
            and all(getattr(entry, name) == value for name, value in equal.items())
        )

    def counts(self) -> dict[str, int]:
        """Return how many requests of each kind came."""
        return dict(sorted(Counter(entry.kind for entry in self).items()))

    def writes(self, service: str | None = None, *, since: int = 0) -> list[Entry]:
        """Return the requests that could change something."""
        return [
            entry
            for entry in self.data[since:]
            if entry.is_write and (service is None or entry.service == service)
        ]

    @property
    def mail_risk(self) -> list[Entry]:
        """Return the writes that could have sent e-mail."""
        return [entry for entry in self if entry.mail_risk]
