"""Looks at other systems, off the threads that answer everybody else's requests.

Airflow's API server answers with a few dozen threads. A service that hangs must not hold them: each
kind of look has a few threads of its own, a time limit, and one place a person; who finds no place
is told to come again. A look may take longer, but the request does not wait beyond the limit.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from starlette.requests import Request

from calendar_sync.admin.web.problems import Problem

Result = TypeVar("Result")
RETRY_SECONDS = 5
#: Who finds all places taken waits so long for one.
PATIENCE = 2.0
_STEP = 0.05


def busy(status: int, detail: str) -> Problem:
    """Busy: try again."""
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return Problem(status, detail, hints=("Try again in a moment.",), headers=headers)


class Lane:
    """The threads of one kind of look.

    Args:
        name: of the threads.
        places: how many looks there are at once.
        seconds: how long an answer is waited for.
        one_each: a user gets only one place.
    """

    def __init__(self, name: str, places: int, seconds: float, *, one_each: bool = True) -> None:
        self._name = name
        self._places = places
        self._seconds = seconds
        self._one_each = one_each
        self._lock = threading.Lock()
        self._people: list[str] = []

    async def run(self, request: Request, work: Callable[[], Result]) -> Result:
        """What `work` returns, or raises.

        Raises:
            Problem: 429 while the same person's look goes on; 503 without a free place, or when
                it takes too long.
        """
        person = request.state.viewer.id
        await self._enter(person)
        done: Future[Result] = Future()
        threading.Thread(
            target=self._work, args=(person, work, done), name=self._name, daemon=True
        ).start()
        waited = asyncio.wrap_future(done)
        # The caller may be gone by now.
        waited.add_done_callback(lambda one: one.cancelled() or one.exception())
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.shield(waited)
        except TimeoutError:
            said = f"The other service did not answer within {self._seconds:.0f} seconds."
            raise busy(503, said) from None

    async def _enter(self, person: str) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            with self._lock:
                if self._one_each and person in self._people:
                    raise busy(429, "Your previous request is still running.")
                if len(self._people) < self._places:
                    self._people.append(person)
                    return
            if time.monotonic() >= end:
                raise busy(503, "Too many requests are running.")
            await asyncio.sleep(_STEP)

    def _work(self, person: str, work: Callable[[], Result], done: "Future[Result]") -> None:
        try:
            found = work()
        except BaseException as error:
            self._leave(person)
            done.set_exception(error)
        else:
            self._leave(person)
            done.set_result(found)

    def _leave(self, person: str) -> None:
        with self._lock:
            self._people.remove(person)


EXPLANATIONS = Lane("explanation", 4, 30)
TESTS = Lane("connection test", 2, 60)
RULES = Lane("mapping rules", 2, 60)
#: The types of appointments that Welkin has.
TYPES = Lane("types", 2, 10)
#: Reading what is configured: from Airflow's database, or a secrets backend far away.
READING = Lane("connections", 4, 15, one_each=False)
