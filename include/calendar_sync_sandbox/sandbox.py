"""The whole sandbox: all services, their faults and their log, as one ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.clock import Clock, RealClock
from calendar_sync_sandbox.faults import Faults
from calendar_sync_sandbox.google.app import GoogleApp
from calendar_sync_sandbox.google.world import GoogleWorld
from calendar_sync_sandbox.microsoft.app import MicrosoftApp
from calendar_sync_sandbox.microsoft.world import MicrosoftWorld
from calendar_sync_sandbox.outbox import Outbox
from calendar_sync_sandbox.requestlog import RequestLog
from calendar_sync_sandbox.welkin.app import WelkinApp
from calendar_sync_sandbox.welkin.world import WelkinWorld

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from calendar_sync_sandbox.organisation import Share


class Sandbox:
    """Welkin, Google and Microsoft as a test meets them.

    Everything lives in memory and in one event loop. The worlds may be changed directly while no
    request is being answered.

    Attributes:
        app: ASGI application with ``/welkin``, ``/google``, ``/microsoft`` and ``/_sandbox``.
        welkin: what Welkin holds.
        google: what Google holds.
        microsoft: what Microsoft 365 holds.
        faults: what is to go wrong.
        requests: what was asked.
        outbox: what the services send, and what happens to it on the way.
        canaries: made-up patient data that must not be found outside Welkin.
        ca: path of the CA bundle while served over HTTPS.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        seed: int = 1,
        tenant: str = "demo-care",
        instance: str = "live",
        client_name: str = "ABCDEFGHIJKL",
        client_secret: str = "sandbox-secret",  # noqa: S107 - protects nothing
        root: str = "https://localhost:8443",
    ) -> None:
        """Build all services, empty.

        Args:
            clock: what time it is; the machine's for None.
            seed: decides ids, thinned tombstones and the organisation.
            tenant: first part of Welkin's paths.
            instance: second part.
            client_name: Welkin API client.
            client_secret: its secret.
            root: base URL under which clients reach the sandbox.
        """
        self.clock: Clock = clock or RealClock()
        self.seed = seed
        self.tenant = tenant
        self.instance = instance
        self.client_name = client_name
        self.client_secret = client_secret
        self.faults = Faults()
        self.requests = RequestLog()
        self.canaries: set[str] = set()
        self.outbox = Outbox(self.clock, seed)
        self.welkin = WelkinWorld(
            self.clock, seed, instance, client_name, self.canaries, self.outbox, tenant
        )
        self.google = GoogleWorld(self.clock, seed, root, self.outbox)
        self.microsoft = MicrosoftWorld(self.clock, seed, root, self.outbox)
        self.accounts_of: dict[str, str] = {}
        self.microsoft_accounts_of: dict[str, str] = {}
        self._welkin_app = WelkinApp(
            self.welkin,
            self.faults,
            self.requests,
            tenant=tenant,
            instance=instance,
            secret=client_secret,
        )
        self._google_app = GoogleApp(self.google, self.faults, self.requests)
        self._microsoft_app = MicrosoftApp(self.microsoft, self.faults, self.requests)
        self.welkin_access = self._welkin_app.access
        self.app = self._dispatch
        self.ca: Path | None = None
        self._root = root
        self._control: Any = None

    @property
    def root(self) -> str:
        """Base URL under which clients reach the sandbox, without a slash at its end."""
        return self._root

    @root.setter
    def root(self, value: str) -> None:
        self._root = value
        self.google.delegation.root = value
        self.microsoft.directory.root = value

    @property
    def in_process(self) -> bool:
        """Whether broken connections are raised instead of being sent."""
        return self._google_app.service.in_process

    @in_process.setter
    def in_process(self, value: bool) -> None:
        for service in (self._google_app.service, self._microsoft_app.service):
            service.in_process = value
        self._welkin_app.service.in_process = value

    def organise(
        self,
        users: int = 25,
        encounters: int = 20,
        start: datetime | None = None,
        *,
        microsoft: Share = "none",
    ) -> None:
        """Fill all services with a seeded organisation; see :mod:`.organisation`."""
        from calendar_sync_sandbox.organisation import organise

        organise(
            self,
            users=users,
            encounters=encounters,
            start=start or self.clock.now(),
            microsoft=microsoft,
        )

    def users(self) -> list[dict[str, str | None]]:
        """Return Welkin's users with the mailboxes that belong to each, if there are any."""
        rows: list[dict[str, str | None]] = []
        for user in self.welkin.users.values():
            google = self.google.accounts.get(user.email.lower())
            outlook = self.microsoft.accounts.get(user.email.lower())
            rows.append(
                {
                    "welkin_user_id": user.id,
                    "email": user.email,
                    "time_zone": user.time_zone,
                    "google_account": self.accounts_of.get(user.id)
                    or (google.email if google else None),
                    "microsoft_account": self.microsoft_accounts_of.get(user.id)
                    or (outlook.email if outlook else None),
                }
            )
        return rows

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        path = scope["path"]
        if path.startswith("/google/"):
            await self._google_app.service(scope, receive, send)
        elif path.startswith("/microsoft/"):
            await self._microsoft_app.service(scope, receive, send)
        elif path.startswith("/welkin/"):
            await self._welkin_app.service(scope, receive, send)
        else:
            if self._control is None:
                from calendar_sync_sandbox.control import control_app

                self._control = control_app(self)
            await self._control(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
