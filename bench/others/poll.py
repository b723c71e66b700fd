"""`python poll.py LIBRARY FOLDER`: idle polls of all accounts, written with a library.

LIBRARY is `gcal_sync`, `google-api-python-client` or `msgraph-sdk`, each used as its own
documentation shows: tokens from the library for credentials, a list of changes since the position
of before, 16 requests at once. FOLDER is that of a served sandbox, with `accounts.json`.

A first round, which is not measured, gets tokens and positions. After each round it writes what
it took, and waits for a line before the next one, until it is ended. It imports nothing of this
project.
"""

from __future__ import annotations

import asyncio
import json
import resource
import ssl
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

AT_ONCE = 16
SCOPE = "https://www.googleapis.com/auth/calendar.events"


class Served:
    """The sandbox of a folder: its connections, its certificate, its accounts."""

    def __init__(self, folder: Path) -> None:
        self.ca = str(folder / "ca.pem")
        self.accounts: list[str] = json.loads((folder / "accounts.json").read_text())
        self._connections = json.loads((folder / "connections.json").read_text())

    def fields(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._connections[name]
        extra = found.get("extra") or {}
        return {**found, **(json.loads(extra) if isinstance(extra, str) else extra)}

    def google(self) -> tuple[dict[str, Any], str]:
        """The key of the service account, and the root of the API."""
        fields = self.fields("google_calendar_default")
        keyfile = fields["keyfile_dict"]
        return (json.loads(keyfile) if isinstance(keyfile, str) else keyfile), fields["api_root"]


def of_account(keyfile: dict[str, Any], account: str) -> Any:
    """Delegated credentials."""
    from google.oauth2.service_account import Credentials

    info: Any = Credentials.from_service_account_info
    return info(keyfile, scopes=[SCOPE], subject=account)


class ApiClient:
    """google-api-python-client in threads, with a service for each thread."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._keyfile, self._root = served.google()
        self._credentials = {one: of_account(self._keyfile, one) for one in served.accounts}
        self._positions: dict[str, str] = {}
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(AT_ONCE)

    def round(self) -> int:
        return sum(self._pool.map(self._poll, self._served.accounts))

    def _poll(self, account: str) -> int:
        import httplib2
        from google_auth_httplib2 import AuthorizedHttp
        from googleapiclient.discovery import build

        if not hasattr(self._own, "http"):
            self._own.http = httplib2.Http(ca_certs=self._served.ca)
            options = {"api_endpoint": f"{self._root}/calendar/v3/"}
            self._own.service = build("calendar", "v3", http=self._own.http, client_options=options)
        http = AuthorizedHttp(self._credentials[account], http=self._own.http)
        position = self._positions.get(account)
        given: dict[str, Any] = {"syncToken": position} if position else {}
        found = 0
        while True:
            events = self._own.service.events()
            page = events.list(calendarId="primary", **given).execute(http=http)
            found += len(page.get("items", []))
            if "nextPageToken" not in page:
                self._positions[account] = page["nextSyncToken"]
                return found
            given["pageToken"] = page["nextPageToken"]


class Several:
    """Coroutines for all accounts, so many at once."""

    async def all(self, poll: Callable[[str], Awaitable[int]], accounts: Sequence[str]) -> int:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(account: str) -> int:
            async with slots:
                return await poll(account)

        return sum(await asyncio.gather(*(one(account) for account in accounts)))


class GcalSync(Several):
    """gcal_sync, in one session of aiohttp."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._positions: dict[str, str] = {}
        self._services: dict[str, Any] = {}
        self._loop = asyncio.new_event_loop()

    def round(self) -> int:
        return self._loop.run_until_complete(self._round())

    async def _round(self) -> int:
        import aiohttp
        import google_auth_httplib2
        import httplib2
        from gcal_sync.api import GoogleCalendarService
        from gcal_sync.auth import AbstractAuth

        if not self._services:
            trust = ssl.create_default_context(cafile=self._served.ca)
            session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust))
            keyfile, root = self._served.google()
            asking = google_auth_httplib2.Request(httplib2.Http(ca_certs=self._served.ca))

            class Auth(AbstractAuth):  # type: ignore[misc]
                def __init__(self, account: str) -> None:
                    super().__init__(session, f"{root}/calendar/v3")
                    self._credentials = of_account(keyfile, account)

                async def async_get_access_token(self) -> str:
                    if not self._credentials.valid:
                        self._credentials.refresh(asking)
                    return str(self._credentials.token)

            self._services = {
                account: GoogleCalendarService(Auth(account)) for account in self._served.accounts
            }
        return await self.all(self._poll, self._served.accounts)

    async def _poll(self, account: str) -> int:
        from gcal_sync.api import SyncEventsRequest

        found = 0
        request = SyncEventsRequest(calendar_id="primary", sync_token=self._positions.get(account))
        async for page in await self._services[account].async_list_events(request):
            found += len(page.items)
            if page.sync_token:
                self._positions[account] = page.sync_token
        return found


class AtHand:
    """A credential's token for as long as it is valid.

    The library's own cache does not find what came from an authority with a port, as here.
    """

    def __init__(self, credential: Any) -> None:
        self._credential: Any = credential
        self._token: Any = None

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        if self._token is None or self._token.expires_on - 300 < time.time():
            self._token = await self._credential.get_token(*scopes, **options)
        return self._token


class GraphSdk(Several):
    """msgraph-sdk, whose own middleware stays as it is."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._positions: dict[str, str] = {}
        self._client: Any = None
        self._loop = asyncio.new_event_loop()

    def round(self) -> int:
        return self._loop.run_until_complete(self._round())

    async def _round(self) -> int:
        if self._client is None:
            self._client = self._made()
        return await self.all(self._poll, self._served.accounts)

    def _made(self) -> Any:
        import httpx
        from azure.identity.aio import ClientSecretCredential
        from kiota_authentication_azure.azure_identity_authentication_provider import (
            AzureIdentityAuthenticationProvider,
        )
        from msgraph import GraphRequestAdapter, GraphServiceClient
        from msgraph_core import GraphClientFactory

        fields = self._served.fields("microsoft_graph_default")
        root = str(fields["host"]).removesuffix("/v1.0")
        credential: Any = ClientSecretCredential(
            fields["tenant_id"],
            fields["login"],
            fields["password"],
            authority=fields["authority"],
            disable_instance_discovery=True,
            connection_verify=self._served.ca,
        )
        at_hand: Any = AtHand(credential)
        provider = AzureIdentityAuthenticationProvider(
            at_hand,
            scopes=[f"{root}/.default"],
            allowed_hosts=[httpx.URL(root).host],
        )
        trust = ssl.create_default_context(cafile=self._served.ca)
        http = GraphClientFactory.create_with_default_middleware(
            client=httpx.AsyncClient(verify=trust, timeout=30)
        )
        adapter = GraphRequestAdapter(provider, client=http)
        adapter.base_url = f"{root}/v1.0"
        return GraphServiceClient(request_adapter=adapter)

    async def _poll(self, account: str) -> int:
        from kiota_abstractions.base_request_configuration import RequestConfiguration
        from msgraph.generated.users.item.calendar_view.delta.delta_request_builder import (
            DeltaRequestBuilder,
        )

        delta = self._client.users.by_user_id(account).calendar_view.delta
        now = datetime.now(UTC)
        window = DeltaRequestBuilder.DeltaRequestBuilderGetQueryParameters(
            start_date_time=f"{now - timedelta(days=1):%Y-%m-%dT00:00:00Z}",
            end_date_time=f"{now + timedelta(days=60):%Y-%m-%dT00:00:00Z}",
        )
        if position := self._positions.get(account):
            page = await delta.with_url(position).get()
        else:
            page = await delta.get(
                request_configuration=RequestConfiguration(query_parameters=window)
            )
        found = len(page.value or [])
        while page.odata_next_link:
            page = await delta.with_url(page.odata_next_link).get()
            found += len(page.value or [])
        self._positions[account] = page.odata_delta_link
        return found


LIBRARIES: dict[str, Callable[[Served], ApiClient | GcalSync | GraphSdk]] = {
    "gcal_sync": GcalSync,
    "google-api-python-client": ApiClient,
    "msgraph-sdk": GraphSdk,
}


def cpu() -> float:
    """Processor seconds of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_memory_mb() -> float:
    """The most memory that it ever had."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    """Prepare, then a round for each line that comes."""
    library, folder = sys.argv[1], Path(sys.argv[2])
    polling = LIBRARIES[library](Served(folder))
    print(json.dumps({"first": polling.round()}), flush=True)
    while sys.stdin.readline():
        begun, before = time.perf_counter(), cpu()
        changed = polling.round()
        told = {
            "wall": time.perf_counter() - begun,
            "cpu": cpu() - before,
            "memory_mb": peak_memory_mb(),
            "outcome": {"changed": changed},
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
