"""Put the parts together from credentials: one runtime for one event loop."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from calendar_sync.adapters import welkin as welkin_adapter
from calendar_sync.adapters.busy_calendar import BusyCalendar
from calendar_sync.adapters.google import (
    CALENDAR_LIST_SCOPE,
    CALENDAR_MAKING_SCOPE,
    DIRECTORY_SCOPE,
    FREEBUSY_SCOPE,
    GROUPS_SCOPE,
    SCOPE,
    GoogleCalendar,
    GoogleCalendars,
    GoogleDirectory,
    GoogleFreeBusy,
)
from calendar_sync.adapters.google import fetch_token as fetch_google_token
from calendar_sync.adapters.google.errors import classify as classify_google
from calendar_sync.adapters.google.errors import classify_token as classify_google_token
from calendar_sync.adapters.http import HttpClient, Limiter, Meter, TokenSource, waiting_at_most
from calendar_sync.adapters.microsoft import MicrosoftCalendar, MicrosoftDirectory
from calendar_sync.adapters.microsoft import fetch_token as fetch_microsoft_token
from calendar_sync.adapters.microsoft.errors import classify as classify_microsoft
from calendar_sync.adapters.microsoft.errors import classify_token as classify_microsoft_token
from calendar_sync.adapters.microsoft.schedules import MicrosoftFreeBusy
from calendar_sync.adapters.microsoft.slots import Slots
from calendar_sync.adapters.welkin import Welkin
from calendar_sync.adapters.welkin.errors import classify as classify_welkin
from calendar_sync.adapters.welkin.tokens import fetch_token as fetch_welkin_token
from calendar_sync.config.credentials import (
    GoogleCredentials,
    MicrosoftCredentials,
    WelkinCredentials,
)
from calendar_sync.config.settings import Limits, Settings
from calendar_sync.core.clock import Clock
from calendar_sync.core.identity import Identity
from calendar_sync.core.model import Platform, Window
from calendar_sync.state import Database, Store
from calendar_sync.state.runs import WELKIN, WINDOW_DAYS
from calendar_sync.sync.permits import Permits, Spaced
from calendar_sync.sync.services import Refusals, Services, why_not
from calendar_sync.sync.tokens import Fetch, OwnTokens, TokenCache

if TYPE_CHECKING:
    from calendar_sync.core.errors import ConfigurationError
    from calendar_sync.core.ports import (
        CalendarPlatform,
        CalendarService,
        CalendarSource,
        Directory,
        FreeBusy,
    )

_GoogleParts = tuple[GoogleCalendar, GoogleDirectory, GoogleFreeBusy]
_MicrosoftParts = tuple[MicrosoftCalendar, MicrosoftDirectory, MicrosoftFreeBusy]
# Whoever tries a connection is waiting for the answer.
TRIAL_WAIT = 5.0


@dataclass(frozen=True)
class Secrets:
    """Everything that comes from Airflow Connections (and Airflow's Fernet key)."""

    welkin: WelkinCredentials
    hmac_key: str = field(repr=False)
    fernet_keys: tuple[str, ...] = field(repr=False)
    google: GoogleCredentials | None = None
    microsoft: MicrosoftCredentials | None = None
    unusable: Refusals = field(default_factory=dict)

    @property
    def connected(self) -> tuple[Platform, ...]:
        """The platforms whose credentials are here."""
        found = {Platform.GOOGLE: self.google, Platform.MICROSOFT: self.microsoft}
        return tuple(platform for platform, one in found.items() if one is not None)

    def why_not(self, platform: Platform) -> "ConfigurationError":
        """Why this platform's are not."""
        return why_not(platform, self.unusable)


@asynccontextmanager
async def open_services(
    secrets: Secrets,
    database: Database,
    limits: Limits,
    *,
    clock: Clock | None = None,
    transport: Any = None,
    chance: random.Random | None = None,
    own_tokens: bool = False,
) -> AsyncIterator[Services]:
    """Clients for all configured services, closed at the end.

    `transport` is an httpx transport in place of the network; tests pass the sandbox's. With
    `own_tokens` no token of other processes is used: what tries the connections needs that.
    """
    clock = clock or database.clock()
    store = Store(database, secrets.hmac_key)
    tokens: Tokens = OwnTokens()
    if not own_tokens:
        tokens = TokenCache(store.tokens, list(secrets.fernet_keys), clock)
    client = _Clients(clock, transport, chance)
    credentials = secrets.welkin
    http = client(
        credentials.base_url,
        classify_welkin,
        credentials.verify,
        Spaced(store.rates, "welkin", limits.welkin_requests_per_second, clock).take,
    )

    async def fetch() -> Any:
        return await fetch_welkin_token(http, credentials, clock.now())

    name = f"welkin:{credentials.organisation}:{credentials.client}"
    days = store.runs.facts(WELKIN).get(WINDOW_DAYS)
    welkin = welkin_adapter.Welkin(
        http,
        credentials,
        tokens.source(name, fetch),
        chunk=timedelta(days=days) if isinstance(days, int) else None,
    )
    platforms: dict[Platform, CalendarPlatform] = {}
    directories: dict[Platform, Directory] = {}
    busy: dict[Platform, FreeBusy] = {}
    schedules: dict[Platform, FreeBusy] = {}
    if secrets.google is not None:
        rate = Permits(store.rates, "google", limits.google_requests_per_minute, clock)
        made = _google(secrets.google, tokens, clock, client, rate.take)
        platforms[Platform.GOOGLE], directories[Platform.GOOGLE], busy[Platform.GOOGLE] = made
    if secrets.microsoft is not None:
        rate = Permits(store.rates, "microsoft", limits.microsoft_requests_per_minute, clock)
        made_here = _microsoft(secrets.microsoft, tokens, clock, limits, client, rate.take)
        platforms[Platform.MICROSOFT], directories[Platform.MICROSOFT] = made_here[:2]
        schedules[Platform.MICROSOFT] = made_here[2]
    busy_calendars = {
        platform: BusyCalendar(platform, source, clock)
        for platform, source in (*busy.items(), *schedules.items())
    }
    identity = Identity(secrets.hmac_key, credentials.organisation)
    try:
        yield Services(
            welkin,
            platforms,
            store,
            identity,
            clock,
            client.meter,
            directories,
            busy,
            busy_calendars,
            secrets.unusable,
        )
    finally:
        await client.aclose()


@asynccontextmanager
async def open_welkin(credentials: WelkinCredentials, clock: Clock) -> AsyncIterator[Welkin]:
    """Welkin alone, with a token of its own: to try its connection."""
    client = _Clients(clock)
    try:
        http = client(credentials.base_url, classify_welkin, credentials.verify, None)

        async def fetch() -> Any:
            return await fetch_welkin_token(http, credentials, clock.now())

        with waiting_at_most(TRIAL_WAIT):
            yield welkin_adapter.Welkin(http, credentials, OwnTokens().source("welkin", fetch))
    finally:
        await client.aclose()


@asynccontextmanager
async def open_calendar(
    credentials: GoogleCredentials | MicrosoftCredentials, settings: Settings, clock: Clock
) -> AsyncIterator["CalendarSource"]:
    """One calendar system alone, with tokens of its own: to try its connection.

    It reads busy times alone where no user's events are read.
    """
    async with _trial(credentials, settings.limits, clock) as (calendar, _, busy):
        only_busy = all(one.block_time.source == "free_busy" for one in settings.all)
        yield BusyCalendar(calendar.platform, busy, clock) if only_busy else calendar


@asynccontextmanager
async def open_calendars(
    credentials: GoogleCredentials | MicrosoftCredentials, limits: Limits, clock: Clock
) -> AsyncIterator["CalendarService"]:
    """The calendars themselves of one system, with tokens of its own: to try its rights."""
    async with _trial(credentials, limits, clock) as (calendar, _, _):
        yield calendar.calendars


@asynccontextmanager
async def open_directory(
    credentials: GoogleCredentials | MicrosoftCredentials, limits: Limits, clock: Clock
) -> AsyncIterator[GoogleDirectory | MicrosoftDirectory]:
    """The directory of one calendar system alone, with tokens of its own: to try its rights."""
    async with _trial(credentials, limits, clock) as (_, directory, _):
        yield directory


@asynccontextmanager
async def _trial(
    credentials: GoogleCredentials | MicrosoftCredentials, limits: Limits, clock: Clock
) -> AsyncIterator[_GoogleParts | _MicrosoftParts]:
    client = _Clients(clock)
    try:
        with waiting_at_most(TRIAL_WAIT):
            if isinstance(credentials, GoogleCredentials):
                yield _google(credentials, OwnTokens(), clock, client)
            else:
                yield _microsoft(credentials, OwnTokens(), clock, limits, client)
    finally:
        await client.aclose()


async def try_welkin(credentials: WelkinCredentials, clock: Clock) -> None:
    """Authenticate and read an hour of an empty calendar: proves secret and rights.

    Raises:
        SyncError: the code says what is wrong.
    """
    async with open_welkin(credentials, clock) as welkin:
        now = clock.now()
        await welkin.events(["nobody"], Window(now, now + timedelta(hours=1)), ZoneInfo("UTC"))


class Tokens(Protocol):
    """Where the clients' tokens come from: the shared cache, or a cache of their own."""

    def source(self, name: str, fetch: Fetch) -> TokenSource:
        """The token of this name."""
        ...


class _Clients:
    """Makes the HTTP clients of one event loop, and closes them."""

    def __init__(
        self, clock: Clock, transport: Any = None, chance: random.Random | None = None
    ) -> None:
        self.meter = Meter()
        self._shared = {"clock": clock, "transport": transport, "chance": chance}
        self._made: list[HttpClient] = []

    def __call__(
        self, base_url: str, classify: Any, verify: str | bool, limiter: Any
    ) -> HttpClient:
        made = HttpClient(
            base_url,
            classify=classify,
            limiter=limiter,
            verify=verify,
            meter=self.meter,
            **self._shared,
        )
        self._made.append(made)
        return made

    async def aclose(self) -> None:
        """Close them all."""
        for made in self._made:
            await made.aclose()


def _google(
    credentials: GoogleCredentials,
    tokens: Tokens,
    clock: Clock,
    client: Callable[..., HttpClient],
    rate: Limiter | None = None,
) -> _GoogleParts:
    address = urlsplit(credentials.token_uri)
    token_http = client(
        f"{address.scheme}://{address.netloc}", classify_google_token, credentials.verify, None
    )
    http = client(credentials.api_root, classify_google, credentials.verify, rate)

    def token_of(account: str, scope: str = SCOPE, kind: str = "google") -> TokenSource:
        async def fetch() -> Any:
            return await fetch_google_token(
                token_http, credentials, address.path, account, clock.now(), scope
            )

        return tokens.source(f"{kind}:{credentials.client_email}:{account.lower()}", fetch)

    calendars = GoogleCalendars(
        http,
        token_of,
        lambda name: token_of(name, CALENDAR_LIST_SCOPE, "google-calendars"),
        lambda name: token_of(name, CALENDAR_MAKING_SCOPE, "google-making"),
    )
    calendar = GoogleCalendar(http, token_of, calendars)
    busy = GoogleFreeBusy(http, lambda name: token_of(name, FREEBUSY_SCOPE, "google-freebusy"))
    if not credentials.directory_admin:
        return calendar, GoogleDirectory(calendar, None, None), busy
    directory = GoogleDirectory(
        calendar,
        client(credentials.directory_root, classify_google, credentials.verify, None),
        token_of(credentials.directory_admin, DIRECTORY_SCOPE, "google-directory"),
        token_of(credentials.directory_admin, GROUPS_SCOPE, "google-groups"),
    )
    return calendar, directory, busy


def _microsoft(
    credentials: MicrosoftCredentials,
    tokens: Tokens,
    clock: Clock,
    limits: Limits,
    client: Callable[..., HttpClient],
    rate: Limiter | None = None,
) -> _MicrosoftParts:
    address = urlsplit(credentials.authority)
    token_http = client(
        f"{address.scheme}://{address.netloc}", classify_microsoft_token, credentials.verify, None
    )

    async def fetch() -> Any:
        return await fetch_microsoft_token(token_http, credentials, clock.now())

    http = client(credentials.root, classify_microsoft, credentials.verify, rate)
    token = tokens.source(f"microsoft:{credentials.tenant}:{credentials.client}", fetch)
    slots = Slots(limits.microsoft_concurrency)
    calendar = MicrosoftCalendar(
        http, credentials.root, token, slots, clock.now, batch=limits.microsoft_batch_size
    )
    directory = MicrosoftDirectory(calendar, http, credentials.root, token)
    return calendar, directory, MicrosoftFreeBusy(http, token, slots)
