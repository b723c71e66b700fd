"""Processes of one story that work side by side in one event loop, are slow, freeze and die.

A request waits before it is sent and before its answer arrives; the story says which goes on next.
A process that is killed can send nothing and store nothing from then on: whatever it would do on
its way out, a real one would not have done either.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from typing import Any, cast

import httpx
from sqlalchemy import Connection, update

from calendar_sync.config.settings import parse
from calendar_sync.state import Database
from calendar_sync.state import tables as t
from calendar_sync.state.config import Revision
from calendar_sync.state.shared import LEASE_SECONDS
from calendar_sync.sync.runtime import open_services
from calendar_sync.sync.services import Services
from tests.harness import Killed, World

#: So many turns of the event loop, and whoever waits for no request has gone as far as it can.
TURNS = 12


class Process(httpx.AsyncBaseTransport):
    """One process: its way to the servers, to the state database, and its clock.

    `doom`: after so many requests and transactions it is killed. `owner`: whose leases it renews,
    unless it is `frozen`.
    """

    def __init__(self, crowd: "Crowd", owner: str = "") -> None:
        self.crowd, self.owner = crowd, owner
        self.dead = self.frozen = False
        self.doom: int | None = None
        self.database = cast("Database", _Dying(self))

    def now(self) -> datetime:
        return self.crowd.world.clock.now()

    def monotonic(self) -> float:
        return self.crowd.world.clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Moments pass at once; longer waits end when the story has come so far."""
        if seconds < 1:
            self.crowd.world.clock.advance(seconds)
            await asyncio.sleep(0)
        else:
            await self.crowd.until(self, self.now() + timedelta(seconds=seconds))
        self.live()

    def live(self) -> None:
        if self.dead:
            raise Killed

    def strikes(self) -> bool:
        """It is killed at this request or transaction; some are carried out all the same."""
        self.live()
        if self.doom is not None:
            self.doom -= 1
            if self.doom < 0:
                self.dead = True
                return True
        return False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self.crowd.turn(self, reads=request.method == "GET")
        act = self.crowd.before_write
        if act is not None and self.owner and self.crowd.writes(request):
            self.crowd.before_write = None
            await act(self)
        struck = self.strikes()
        if struck and self.crowd.fate.random() < 0.5:
            raise Killed
        response = await self.crowd.world.transport.handle_async_request(request)
        if struck:
            raise Killed
        await self.crowd.turn(self)
        self.live()
        return response

    @asynccontextmanager
    async def services(self) -> AsyncIterator[tuple[Services, Revision]]:
        world = self.crowd.world
        async with open_services(
            world.secrets(),
            self.database,
            parse(world.document).limits,
            clock=self,
            transport=self,
            chance=world.chance,
        ) as services:
            yield services, services.store.config.revision()


class _Dying:
    """The state database, as far as its process lives."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def __getattr__(self, name: str) -> Any:
        return getattr(self._process.crowd.world.database, name)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        struck = self._process.strikes()
        if struck and self._process.crowd.fate.random() < 0.5:
            raise Killed
        with self._process.crowd.world.database.write() as connection:
            yield connection
        if struck:
            raise Killed

    @contextmanager
    def read(self) -> Iterator[Connection]:
        self._process.live()
        with self._process.crowd.world.database.read() as connection:
            yield connection


class Crowd:
    """All processes. While `hurried`, nobody waits for a turn."""

    def __init__(self, world: World, fate: random.Random) -> None:
        self.world, self.fate = world, fate
        self.hurried = False
        #: What happens once, before the next request by which a task writes.
        self.before_write: Callable[[Process], Awaitable[None]] | None = None
        self.alive: list[Process] = []
        self._waiting: list[tuple[Process, asyncio.Future[None]]] = []
        self._sleeping: list[tuple[datetime, Process, asyncio.Future[None]]] = []
        self._working: set[asyncio.Task[None]] = set()

    def start(self, owner: str = "") -> Process:
        process = Process(self, owner)
        self.alive.append(process)
        return process

    def end(self, process: Process) -> None:
        """It is no more; what waits of it finds out."""
        process.dead, process.frozen = True, False
        if process in self.alive:
            self.alive.remove(process)
        for of, future in self._waiting:
            if of is process and not future.done():
                future.set_result(None)
        for _, of, future in self._sleeping:
            if of is process and not future.done():
                future.set_result(None)

    def work(self, what: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do this beside everything else; a bug in it ends the story."""
        task = asyncio.create_task(what)
        self._working.add(task)
        return task

    @staticmethod
    def writes(request: httpx.Request) -> bool:
        """It changes a calendar or Welkin."""
        questions = ("token", "api_clients", "$batch", "freeBusy")
        return request.method != "GET" and not any(word in str(request.url) for word in questions)

    @property
    def busy(self) -> bool:
        return bool(self._working)

    async def turn(self, process: Process, *, reads: bool = False) -> None:
        if self.hurried or self.fate.random() < 0.5:
            return
        if reads and self.fate.random() < 0.01:
            process.frozen = True
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((process, future))
        await future

    async def until(self, process: Process, moment: datetime) -> None:
        future = asyncio.get_running_loop().create_future()
        self._sleeping.append((moment, process, future))
        await future

    def pass_time(self, seconds: float) -> None:
        """Whoever lives and is not frozen renews its leases meanwhile."""
        clock = self.world.clock
        while seconds > 0:
            step = min(seconds, LEASE_SECONDS / 3)
            clock.advance(step)
            seconds -= step
            self._renew()
        for moment, process, future in list(self._sleeping):
            if moment <= clock.now() and not process.frozen and not future.done():
                future.set_result(None)
        self._sleeping = [one for one in self._sleeping if not one[2].done()]

    def _renew(self) -> None:
        owners = [one.owner for one in self.alive if one.owner and not one.frozen]
        if not owners:
            return
        now = self.world.clock.now()
        lease = t.lease.c
        with self.world.database.write() as connection:
            connection.execute(
                update(t.lease)
                .where(lease.owner.in_(owners), lease.expires_at > now)
                .values(expires_at=now + timedelta(seconds=LEASE_SECONDS))
            )

    async def go_on(self, times: int) -> None:
        """So many of those who wait have their turn; raises what went wrong."""
        for _ in range(times):
            self._waiting = [one for one in self._waiting if not one[1].done()]
            ready = [one for one in self._waiting if self.hurried or not one[0].frozen]
            if ready:
                self.fate.choice(ready)[1].set_result(None)
            for _ in range(TURNS):
                await asyncio.sleep(0)
        for task in [task for task in self._working if task.done()]:
            self._working.discard(task)
            task.result()

    def thaw(self) -> None:
        for process in self.alive:
            process.frozen = False
