"""The whole engine against the sandbox, in one process, under a virtual clock."""

import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx
import psycopg
from cryptography.fernet import Fernet
from sqlalchemy import URL, Connection, Engine

from calendar_sync.config.credentials import (
    Fields,
    google_credentials,
    microsoft_credentials,
    welkin_credentials,
)
from calendar_sync.config.settings import parse
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.state import Database
from calendar_sync.state.migrate import upgrade
from calendar_sync.sync.runner import PassResult, run_pass
from calendar_sync.sync.runtime import Secrets, open_services
from calendar_sync.sync.services import Services
from calendar_sync_sandbox import Sandbox
from calendar_sync_sandbox.calendars import CalendarWorld
from calendar_sync_sandbox.faults import ConnectionBroken

START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
FERNET_KEY = Fernet.generate_key().decode()
IN_MEMORY = "sqlite:///:memory:"
HMAC_KEY = "made-up-key-of-the-tests"


class VirtualClock:
    """Time that passes only when somebody waits; the sandbox and the engine share it."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._elapsed = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float = 0.0, **parts: float) -> None:
        step = timedelta(seconds=seconds) + timedelta(**parts)
        self._now += step
        self._elapsed += step.total_seconds()


class Killed(BaseException):
    """The process ends here: not an Exception, so that nothing can handle it."""


class SandboxTransport(httpx.AsyncBaseTransport):
    """Hands requests to the sandbox; `kill_at` ends the process at that request.

    `kill_after` says whether the request was still carried out.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._inner = httpx.ASGITransport(app=sandbox.app, raise_app_exceptions=True)
        self.count = 0
        self.kill_at: int | None = None
        self.kill_after = False
        self.dead = False
        self.after_request: Callable[[], None] = lambda: None

    def revive(self) -> None:
        self.dead, self.kill_at = False, None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.dead:
            raise Killed
        self.count += 1
        dies = self.kill_at is not None and self.count >= self.kill_at
        if dies and not self.kill_after:
            self.dead = True
            raise Killed
        try:
            response = await self._inner.handle_async_request(request)
            self.after_request()
        except ConnectionBroken as broken:
            self.after_request()
            if broken.kind == "timeout":
                raise httpx.ReadTimeout("", request=request) from None
            raise httpx.ReadError("", request=request) from None
        if dies:
            self.dead = True
            raise Killed
        return response


def sandbox_secrets(sandbox: Sandbox, hmac_key: str, fernet_key: str) -> Secrets:
    """What the connections to a sandbox in the same process would hold."""
    keyfile = sandbox.google.keyfile()
    welkin = Fields(
        host=sandbox.root + "/welkin",
        login=sandbox.client_name,
        password=sandbox.client_secret,
        extra={"tenant": sandbox.tenant, "instance": sandbox.instance},
    )
    google = Fields(
        extra={
            "keyfile_dict": keyfile,
            "api_root": sandbox.root + "/google",
            "directory_root": sandbox.root + "/google",
            "directory_admin": next(
                (each.email for each in sandbox.google.accounts.values() if each.admin), ""
            ),
        }
    )
    directory = sandbox.microsoft.directory
    microsoft = Fields(
        host=directory.graph_root,
        login=directory.client_id,
        password=directory.client_secret,
        extra={"tenant_id": directory.tenant_id, "authority": directory.authority},
    )
    return Secrets(
        welkin=welkin_credentials(welkin),
        hmac_key=hmac_key,
        fernet_keys=(fernet_key,),
        google=google_credentials(google),
        microsoft=microsoft_credentials(microsoft),
    )


def fresh(url: str) -> Database:
    """A state database without rows; migrations run once for each kind, the others are copies.

    What is at `url` is replaced; there need not be anything.
    """
    database = Database(url)
    if url == IN_MEMORY:
        _share_compiled(database)
        with database.engine.connect() as connection:
            _raw(connection).deserialize(_migrated())
    elif database.is_sqlite:
        copy = sqlite3.connect(":memory:")
        copy.deserialize(_migrated())
        with database.engine.connect() as connection:
            copy.backup(_raw(connection))
        copy.close()
    else:
        _copy_template(database.url)
    return database


def _copy_template(url: URL) -> None:
    """Put a copy of a migrated PostgreSQL database there."""
    template = _template(url.set(database="postgres"))
    with psycopg.connect(_conninfo(url.set(database="postgres")), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{url.database}"'.encode())
        # By copying its files, which is faster than writing them to the log; since PostgreSQL 15.
        how = "STRATEGY FILE_COPY" if connection.info.server_version >= 150_000 else ""
        made = f'CREATE DATABASE "{url.database}" TEMPLATE {template} {how}'
        connection.execute(made.encode())


@cache
def _template(server: URL) -> str:
    name = "migrated"
    with psycopg.connect(_conninfo(server), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    database = Database(server.set(database=name).render_as_string(hide_password=False))
    upgrade(database)
    database.close()
    return name


def _conninfo(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


@cache
def _first() -> Engine:
    """The engine whose compiled statements all databases in memory use."""
    engine = Database(IN_MEMORY).engine
    engine.connect().close()
    return engine


def _share_compiled(database: Database) -> None:
    """Statements are compiled once: an engine keeps its own, and each world has one."""
    database.engine.dialect = _first().dialect
    database.engine._compiled_cache = _first()._compiled_cache


@cache
def _migrated() -> bytes:
    database = Database(IN_MEMORY)
    upgrade(database)
    with database.engine.connect() as connection:
        copy: bytes = _raw(connection).serialize()
    database.close()
    return copy


def _raw(connection: Connection) -> Any:
    return connection.connection.driver_connection


class World:
    """A sandbox, a state database and an engine between them."""

    def __init__(
        self,
        *,
        settings: dict[str, Any] | None = None,
        database_url: str = IN_MEMORY,
        seed: int = 1,
        clock: VirtualClock | None = None,
    ) -> None:
        self.clock = clock or VirtualClock()
        self.sandbox = Sandbox(clock=self.clock, seed=seed)
        self.sandbox.in_process = True
        self.transport = SandboxTransport(self.sandbox)
        self.transport.after_request = self._note
        self.database = fresh(database_url)
        self.chance = random.Random(seed)  # noqa: S311 - seeded on purpose
        self.document = settings or {}
        self.runs = 0
        self._our_blocks: set[str] = set()
        self.our_mirrors: set[str] = set()

    @property
    def welkin(self) -> Any:
        return self.sandbox.welkin

    @property
    def google(self) -> Any:
        return self.sandbox.google

    @property
    def microsoft(self) -> Any:
        return self.sandbox.microsoft

    def calendars(self, platform: Platform) -> CalendarWorld:
        """All mailboxes of one platform."""
        return self.google if platform is Platform.GOOGLE else self.microsoft  # type: ignore[no-any-return]

    def secrets(self) -> Secrets:
        return sandbox_secrets(self.sandbox, HMAC_KEY, FERNET_KEY)

    @asynccontextmanager
    async def services(self) -> AsyncIterator[Services]:
        settings = parse(self.document)
        async with open_services(
            self.secrets(),
            self.database,
            settings.limits,
            clock=self.clock,
            transport=self.transport,
            chance=self.chance,
        ) as services:
            # Whatever else has saved settings, a world has those of its document.
            config = services.store.config
            if not (newest := config.revision()).id or newest.settings != settings:
                config.save_settings(settings, "tests", self.clock.now())
            yield services

    async def with_services(self, work: Callable[[Services], Awaitable[Any]]) -> Any:
        async with self.services() as services:
            return await work(services)

    async def map_everybody(self) -> None:
        users = [
            MappedUser(row["welkin_user_id"] or "", Platform.GOOGLE, account.lower())
            for row in self.sandbox.users()
            if (account := row["google_account"])
        ]
        await self.map(users)

    async def map(self, users: list[MappedUser]) -> None:
        async with self.services() as services:
            services.store.config.edit_mapping(lambda _: users, "tests", self.clock.now())

    async def sync(self, platform: Platform = Platform.GOOGLE, **options: Any) -> PassResult:
        """One pass of one platform as the CLI and the DAG run it."""
        self.runs += 1
        async with self.services() as services:
            return await run_pass(
                services,
                services.store.config.revision(),
                platform,
                run_id=f"run-{self.runs}",
                owner=f"owner-{self.runs}",
                **options,
            )

    @property
    def our_blocks(self) -> set[str]:
        """Ids of all Welkin events that ever carried our external id."""
        self.note_blocks()
        return self._our_blocks

    def _note(self) -> None:
        """Whatever was just made is ours, also if nobody got to know of it."""
        self.note_blocks()
        entry = self.sandbox.requests[-1]
        if entry.kind == "microsoft.events.create" and entry.user is not None:
            self.our_mirrors |= {event.id for event in self.microsoft.mirrors(entry.user)}

    def note_blocks(self) -> None:
        self._our_blocks |= {
            event.id
            for event in self.welkin.events.values()
            if (event.external_id or "").startswith("calsync-")
        }

    def writes(self, since: int = 0) -> list[Any]:
        """Requests that changed something on either side, as the sandbox saw them."""
        return [entry for entry in self.sandbox.requests.since(since) if entry.is_write]
