"""Faults that a test or the demo asks the sandbox to commit.

A fault is chosen by service, method, path and user, waits for ``after`` matching requests and
then strikes ``times`` times (``None``: until cleared). The kinds:

====================== ============================================================ ==========
kind                   what the client meets                                        details
====================== ============================================================ ==========
status                 an error answer in the service's own format                  code, reason,
                                                                                    message, body,
                                                                                    headers,
                                                                                    retry_after,
                                                                                    committed
reset_before           the connection breaks, nothing was done
reset_after            the connection breaks, the request was carried out
timeout_before         no answer, nothing was done                                  seconds
timeout_after          no answer, the request was carried out                       seconds
truncated_json         the answer ends in the middle of its JSON
html                   a load balancer's page instead of JSON                       code
empty_200              status 200 and no body; the request was carried out
latency                the right answer, late                                       seconds
token_expired          the access token used by this request stops being valid
no_cursor              a list answer without its page token, sync token or cursor
repeated_page          the answer of the previous list request of this kind again
reordered_page         the rows of a page in reverse order
zero_events            a good list answer that holds no rows
====================== ============================================================ ==========

``retry_after`` is a number of seconds, any other text verbatim, or ``"date:60"`` for an HTTP date
60 seconds ahead.
"""

from __future__ import annotations

import re
from typing import Any

from calendar_sync_sandbox.disguise import Disguises

KINDS = frozenset(
    {
        "status",
        "reset_before",
        "reset_after",
        "timeout_before",
        "timeout_after",
        "truncated_json",
        "html",
        "empty_200",
        "latency",
        "token_expired",
        "no_cursor",
        "repeated_page",
        "reordered_page",
        "zero_events",
    }
)


class ConnectionBroken(Exception):
    """Raised to an in-process caller where a real client would lose its connection.

    Attributes:
        kind: ``reset`` or ``timeout``.
        committed: whether the request had been carried out.
    """

    def __init__(self, kind: str, *, committed: bool) -> None:
        """Keep what a transport needs to choose its own exception."""
        super().__init__(f"{kind} {'after' if committed else 'before'} the request was carried out")
        self.kind = kind
        self.committed = committed


class Fault:
    """One thing that is to go wrong; see the table of this module."""

    def __init__(
        self,
        service: str = "*",
        kind: str = "status",
        method: str = "*",
        path: str = "",
        times: int | None = 1,
        after: int = 0,
        user: str | None = None,
        **details: Any,
    ) -> None:
        """Describe the fault.

        Args:
            service: ``google``, ``microsoft``, ``welkin`` or ``*``.
            kind: a word of the table.
            method: an HTTP verb or ``*``.
            path: regular expression searched in the path (which starts with ``/google``,
                ``/microsoft`` or ``/welkin``).
            times: how often it strikes; ``None`` for ever.
            after: how many matching requests pass unharmed first.
            user: only requests of this account (Google: the mailbox of the token; Microsoft: the
                one of the path).
            **details: as the table says.

        Raises:
            ValueError: for a kind that does not exist.
        """
        if kind not in KINDS:
            raise ValueError(f"unknown fault kind {kind!r}; known: {', '.join(sorted(KINDS))}")
        self.service = service
        self.kind = kind
        self.method = method.upper()
        self.path = path
        self.times = times
        self.after = after
        self.user = user
        self.details = details
        self.struck = 0
        self._path = re.compile(path)

    def matches(self, service: str, method: str, path: str, user: str | None) -> bool:
        """Say whether the request is one that this fault is meant for."""
        return (
            self.service in ("*", service)
            and self.method in ("*", method)
            and (self.user is None or self.user.lower() == (user or "").lower())
            and self._path.search(path) is not None
        )

    def as_json(self) -> dict[str, Any]:
        """Describe the fault for the control API."""
        return {
            "service": self.service,
            "kind": self.kind,
            "method": self.method,
            "path": self.path,
            "times": self.times,
            "after": self.after,
            "user": self.user,
            "struck": self.struck,
            **self.details,
        }


class Faults:
    """The faults waiting to strike, oldest first; at most one strikes a request."""

    def __init__(self) -> None:
        """Start with a healthy world."""
        self._waiting: list[Fault] = []
        self.disguises = Disguises()

    def add(self, fault: Fault) -> Fault:
        """Arm a fault and return it, so that a test can look at ``struck`` later."""
        self._waiting.append(fault)
        return fault

    def clear(self) -> None:
        """Disarm everything."""
        self._waiting.clear()

    def waiting(self) -> list[Fault]:
        """Return the armed faults."""
        return list(self._waiting)

    def strike(self, service: str, method: str, path: str, user: str | None) -> Fault | None:
        """Return the fault that this request meets, if any, and count it down."""
        for fault in self._waiting:
            if not fault.matches(service, method, path, user):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            fault.struck += 1
            if fault.times is not None and fault.struck >= fault.times:
                self._waiting.remove(fault)
            return fault
        return None
