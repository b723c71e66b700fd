"""`python -m bench.receiver`: how fast the receiver of push answers, at a steady rate.

The receiver is a process of its own, as in production; the sender begins a request whenever its
moment has come, whether or not earlier ones are answered, so that a slow answer makes no room for
itself. Half of the notices are Google's, half Graph's; they are spread over a thousand channels.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.engine.push.conftest import KEY, channel, google, microsoft
from tests.harness import HMAC_KEY, fresh
from tests.servers import PostgresServer

from calendar_sync.core.model import Platform
from calendar_sync.push.keys import KEY_VARIABLE
from calendar_sync.state import Database, Store
from calendar_sync.state import tables as t

RATE = 200
SECONDS = 20
CHANNELS = 1_000


@dataclass(frozen=True)
class Answers:
    """Milliseconds, sorted, and how many answers were not the expected ones."""

    name: str
    milliseconds: list[float]
    wrong: int

    def share(self, share: float) -> float:
        return self.milliseconds[
            min(len(self.milliseconds) - 1, int(len(self.milliseconds) * share))
        ]


def measure(name: str, url: str, folder: Path) -> Answers:
    """One database."""
    database = fresh(url)
    store = Store(database, HMAC_KEY).push
    rows = [
        channel(number, Platform.GOOGLE if number % 2 else Platform.MICROSOFT)
        for number in range(CHANNELS)
    ]
    for row in rows:
        store.add(row)
    socket = folder / f"{name}.sock"
    environment = os.environ | {"CALENDAR_SYNC_DATABASE_URL": url, KEY_VARIABLE: KEY}
    program = Path(sys.executable).with_name("calendar-sync")
    command = [str(program), "receive", "--uds", str(socket)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            found = asyncio.run(_send(name, socket))
        finally:
            process.send_signal(signal.SIGTERM)
    assert _stored(database) == len(found.milliseconds), "a notice was answered and not stored"
    database.close()
    return found


def _stored(database: Database) -> int:
    with database.read() as connection:
        return sum(row.notices for row in connection.execute(t.push_channel.select()))


async def _send(name: str, socket: Path) -> Answers:
    took: list[float] = []
    wrong = 0
    transport = httpx.AsyncHTTPTransport(uds=str(socket), limits=httpx.Limits(max_connections=100))

    async def one(client: httpx.AsyncClient, number: int) -> None:
        nonlocal wrong
        of_google = number % 2 == 1
        which = channel(number % CHANNELS, Platform.GOOGLE if of_google else Platform.MICROSOFT)
        begun = time.perf_counter()
        if of_google:
            answer = await client.post("/google", headers=google(which))
        else:
            answer = await client.post("/microsoft", json=microsoft(which))
        took.append((time.perf_counter() - begun) * 1000)
        wrong += answer.status_code != (204 if of_google else 202)

    async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(RATE * SECONDS):
                await asyncio.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
                group.create_task(one(client, number))
    return Answers(name, sorted(took), wrong)


def main() -> int:
    """Measure both databases and print a table."""
    with tempfile.TemporaryDirectory(prefix="calendar-sync-bench-") as name:
        folder = Path(name)
        found = [measure("SQLite", f"sqlite:///{folder}/state.db", folder)]
        with PostgresServer() as server:
            found.append(measure("PostgreSQL", server.create_database(), folder))
    print(f"{RATE} notices a second for {SECONDS} s; answers in milliseconds")
    print("| database | notices | p50 | p95 | p99 | slowest | wrong |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for one in found:
        shares = " | ".join(f"{one.share(share):.1f}" for share in (0.5, 0.95, 0.99, 1.0))
        print(f"| {one.name} | {len(one.milliseconds):,} | {shares} | {one.wrong} |")
    return int(any(one.wrong for one in found))


if __name__ == "__main__":
    sys.exit(main())
