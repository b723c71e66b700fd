"""The first fill inside the sandbox's own process: how idle accounts come to be, quickly.

The engine is the real one; only the network and the rate limit are left out. Time stands still
some hours ago meanwhile, so that the feeds are quiet by the time somebody measures.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.harness import SandboxTransport, sandbox_secrets

from bench.setup import FERNET_KEY, HMAC_KEY, settings
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.state import Database, Store
from calendar_sync.state.migrate import upgrade
from calendar_sync.sync.runner import run_pass
from calendar_sync.sync.runtime import open_services

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from calendar_sync_sandbox import Sandbox

BEFORE = timedelta(hours=6)
PASSES = 10


class BenchClock:
    """Stands still some hours ago until `go_live`; the sandbox and the engine share it."""

    def __init__(self) -> None:
        self._now: datetime | None = datetime.now(UTC) - BEFORE

    def now(self) -> datetime:
        """The moment before, or the real one."""
        return self._now or datetime.now(UTC)

    def monotonic(self) -> float:
        """Real seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Nobody needs to wait for a server in the same process."""
        await asyncio.sleep(0)

    def advance(self, minutes: float) -> None:
        """Let time pass before going live."""
        assert self._now is not None
        self._now += timedelta(minutes=minutes)

    def go_live(self) -> None:
        """From now on this is the machine's clock."""
        self._now = None


def fill(
    sandbox: Sandbox, clock: BenchClock, target: Path, platforms: Sequence[Platform]
) -> dict[str, int]:
    """Bring every account in step and write the state database to `target`.

    Returns:
        What was written, by kind.

    Raises:
        RuntimeError: a user failed, or there is still work after several passes.
    """
    database = Database("sqlite:///:memory:")
    upgrade(database)
    try:
        done = fill_into(sandbox, clock, database, platforms)
        _copy(database, target)
    finally:
        database.close()
    return done


def fill_into(
    sandbox: Sandbox, clock: BenchClock, database: Database, platforms: Sequence[Platform]
) -> dict[str, int]:
    """`fill` with a state database that is there, and empty."""
    sandbox.in_process = True
    try:
        return asyncio.run(_fill(sandbox, clock, database, platforms))
    finally:
        sandbox.in_process = False


def _copy(database: Database, target: Path) -> None:
    with contextlib.closing(sqlite3.connect(target)) as copy, database.read() as connection:
        source: Any = connection.connection.dbapi_connection
        source.backup(copy)


async def _fill(
    sandbox: Sandbox, clock: BenchClock, database: Database, platforms: Sequence[Platform]
) -> dict[str, int]:
    # As many requests as the machine can make: the rate is for servers far away.
    limits = settings().limits.model_copy(update={"welkin_requests_per_second": 1e6})
    secrets = sandbox_secrets(sandbox, HMAC_KEY, FERNET_KEY)
    transport = SandboxTransport(sandbox)
    done: dict[str, int] = {}
    async with open_services(
        secrets, database, limits, clock=clock, transport=transport
    ) as services:
        store, now = services.store, clock.now()
        store.config.save_settings(settings(), "bench", now)
        store.config.edit_mapping(lambda _: everybody(sandbox, platforms), "bench", now)
        for number in range(PASSES):
            idle = True
            for platform in platforms:
                result = await run_pass(
                    services,
                    store.config.revision(),
                    platform,
                    run_id=f"fill-{platform.value}-{number}",
                    owner="fill",
                )
                if result.failed or result.fault:
                    raise RuntimeError(f"the fill failed: {result.fault or result.failed[0]}")
                for step, count in result.done.items():
                    done[str(step)] = done.get(str(step), 0) + count
                idle = idle and not result.outcomes
            clock.advance(minutes=10)
            if number == 0:
                # The feeds begin a little before the last change, which so far was a long fill.
                _book_one(sandbox, clock)
            elif idle:
                return done
    raise RuntimeError(f"still at work after {PASSES} passes")


def _book_one(sandbox: Sandbox, clock: BenchClock) -> None:
    start = clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(days=30)
    host = next(iter(sandbox.welkin.users))
    sandbox.welkin.book_encounter(host, start, start + timedelta(minutes=20))


def everybody(sandbox: Sandbox, platforms: Sequence[Platform]) -> list[MappedUser]:
    """The mapping of all members of staff who have a mailbox on one of the platforms."""
    return [
        MappedUser(row["welkin_user_id"] or "", platform, account.lower())
        for platform in platforms
        for row in sandbox.users()
        if (account := row[f"{platform.value}_account"])
    ]


def empty_state(sandbox: Sandbox, target: Path, platforms: Sequence[Platform]) -> None:
    """A state database that knows settings and mapping, and nothing else."""
    database = Database(f"sqlite:///{target}")
    upgrade(database)
    try:
        store, now = Store(database, HMAC_KEY), sandbox.clock.now()
        store.config.save_settings(settings(), "bench", now)
        store.config.edit_mapping(lambda _: everybody(sandbox, platforms), "bench", now)
    finally:
        database.close()
