"""How fast the receiver of push answers, at a steady rate.

The receiver is a process of its own, as in production; the sender begins a request whenever its
moment has come, whether or not earlier ones are answered, so that a slow answer makes no room for
itself. Half of the notices are Google's, half Graph's; they are spread over a thousand channels.

`python -m bench --receiver` measures this alone and replaces its section of the page.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil
from tests.engine.push.conftest import KEY, channel, google, microsoft
from tests.harness import HMAC_KEY, fresh
from tests.servers import PostgresServer

from bench.measure import BenchError
from bench.page import met, table, wrapped
from bench.results import Kept, Results
from calendar_sync.core.model import Platform
from calendar_sync.push.keys import KEY_VARIABLE
from calendar_sync.state import Database, Store
from calendar_sync.state import tables as t

if TYPE_CHECKING:
    from bench.scale import Scale

HEADING = "## The receiver of notices"
RATE = 200
SECONDS = 15
CHANNELS = 1_000
#: Promised: so long takes an answer, of a hundred all but one.
P99_MILLISECONDS = 50


@dataclass(frozen=True)
class Answers:
    """Milliseconds, sorted, and how many answers were not the expected ones."""

    name: str
    milliseconds: list[float]
    wrong: int
    cpu: float = 0.0

    def share(self, share: float) -> float:
        return self.milliseconds[
            min(len(self.milliseconds) - 1, int(len(self.milliseconds) * share))
        ]


@dataclass
class Receiver(Kept):
    """Both databases, with what is needed to read them."""

    answers: list[Answers] = field(default_factory=list)

    @classmethod
    def load_from(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        stored = json.loads(path.read_text())
        return cls(**{**stored, "answers": [Answers(**one) for one in stored["answers"]]})


def measure(folder: Path, scale: Scale) -> Receiver:
    """Both databases, one after the other."""
    about = Results.begin(scale)
    found = Receiver(about.date, about.load_before)
    found.answers.append(_answers("SQLite", f"sqlite:///{folder}/receiver.db", folder))
    with PostgresServer() as server:
        found.answers.append(_answers("PostgreSQL", server.create_database(), folder))
    return found


def section(found: Receiver) -> str:
    """A table, and what was promised."""
    parts = [
        HEADING,
        f"""Measured on {found.date} (load {found.load:.1f} before the start): {RATE} notices a
second for {SECONDS} s, spread over {CHANNELS:,} channels, half of them Google's, half Microsoft's.
The receiver is a process of its own; sender and database are on the same machine. An answer means
that the notice is stored. Milliseconds from the moment at which a notice should have been sent:""",
        table(
            ("database", "notices", "median", "p95", "p99", "slowest", "CPU of the receiver, s"),
            [
                (
                    one.name,
                    f"{len(one.milliseconds):,}",
                    *(f"{one.share(share):.1f}" for share in (0.5, 0.95, 0.99, 1.0)),
                    f"{one.cpu:.1f}",
                )
                for one in found.answers
            ],
        ),
        table(
            ("", "target", "measured", ""),
            [
                (
                    f"answers with {one.name}, p99",
                    f"<= {P99_MILLISECONDS} ms",
                    f"{one.share(0.99):.0f} ms",
                    met(one.share(0.99) <= P99_MILLISECONDS),
                )
                for one in found.answers
            ],
        ),
    ]
    return "\n\n".join(wrapped(part) for part in parts) + "\n"


def _answers(name: str, url: str, folder: Path) -> Answers:
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
            before = _cpu(process)
            found = asyncio.run(_send(name, socket))
            found = replace(found, cpu=_cpu(process) - before)
        finally:
            process.send_signal(signal.SIGTERM)
    if found.wrong or _stored(database) != len(found.milliseconds):
        raise BenchError(f"{name}: {found.wrong} wrong answers, {_stored(database)} notices stored")
    database.close()
    return found


def _cpu(process: subprocess.Popen[str]) -> float:
    times = psutil.Process(process.pid).cpu_times()
    return times.user + times.system


def _stored(database: Database) -> int:
    with database.read() as connection:
        return sum(row.notices for row in connection.execute(t.push_channel.select()))


def _request(number: int) -> tuple[bytes, bytes]:
    """The whole request, and how its answer begins."""
    platform = Platform.GOOGLE if number % 2 else Platform.MICROSOFT
    which = channel(number, platform)
    if platform is Platform.GOOGLE:
        path, headers, body, status = "/google", google(which), b"", 204
    else:
        body = json.dumps(microsoft(which)).encode()
        path, headers, status = "/microsoft", {"Content-Type": "application/json"}, 202
    headers = {"Host": "receiver", "Content-Length": str(len(body)), **headers}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body, f"HTTP/1.1 {status} ".encode()


async def _send(name: str, socket: Path) -> Answers:
    """Plain sockets: a client library would take more of the machine than the receiver."""
    took: list[float] = []
    wrong = 0
    requests = [_request(number) for number in range(CHANNELS)]
    free: asyncio.LifoQueue[Any] = asyncio.LifoQueue()

    async def one(number: int, moment: float) -> None:
        nonlocal wrong
        if free.empty():
            free.put_nowait(await asyncio.open_unix_connection(socket))
        reader, writer = await free.get()
        request, begins = requests[number % CHANNELS]
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        # From when it should have been sent: what the sender itself was late by counts, too.
        took.append((time.perf_counter() - moment) * 1000)
        wrong += not answer.startswith(begins)
        free.put_nowait((reader, writer))

    begun = time.perf_counter() + 0.1
    async with asyncio.TaskGroup() as group:
        for number in range(RATE * SECONDS):
            moment = begun + number / RATE
            await asyncio.sleep(max(0.0, moment - time.perf_counter()))
            group.create_task(one(number, moment))
    while not free.empty():
        _, writer = free.get_nowait()
        writer.close()
    return Answers(name, sorted(took), wrong)
