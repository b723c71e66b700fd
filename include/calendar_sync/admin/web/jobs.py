"""Work that takes longer than an answer may: in a thread of this process, watched by its page.

The server's own event loop is never kept waiting. A job ends with its result, with what went wrong
in words, or, if it is cancelled or its time is over, with what it has found so far; it is
forgotten after an hour. Another process of the API server does not know it: `HERE` in its number
tells them apart.
"""

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from calendar_sync.admin.web.lanes import busy
from calendar_sync.admin.web.problems import Problem
from calendar_sync.admin.web.wording import told
from calendar_sync.core.errors import SyncError
from calendar_sync.core.redaction import describe

logger = logging.getLogger(__name__)

HERE = secrets.token_hex(4)
AT_ONCE = 2
MINUTES = 15
KEPT_SECONDS = 3600.0


@dataclass
class Job:
    """One piece of work. `title` and `problem` are words for people.

    Work that can say something before its end sets `result` meanwhile.
    """

    id: str
    kind: str
    title: str
    state: Literal["running", "done", "failed", "cancelled"] = "running"
    done: int = 0
    total: int = 0
    result: Any = None
    problem: str = ""
    ended_at: float | None = None
    person: str = ""
    _stop: Callable[[], object] | None = field(default=None, repr=False)
    _cancelled: bool = False

    def progress(self, done: int, total: int) -> None:
        """So far."""
        self.done, self.total = done, total

    def cancel(self) -> None:
        """End it at its next pause."""
        self._cancelled = True
        if self._stop is not None:
            self._stop()

    def run(self, work: Callable[["Job"], Awaitable[Any]]) -> None:
        """Do it, in an event loop of its own."""
        try:
            self.result = asyncio.run(self._limited(work))
            self.state = "done"
        except asyncio.CancelledError:
            self.state = "cancelled"
        except TimeoutError:
            self.problem = f"It took longer than {MINUTES} minutes."
            self.state = "failed" if self.result is None else "done"
        except Problem as problem:
            self.state, self.problem = "failed", problem.detail
        except SyncError as error:
            logger.warning("admin: %s: %s", self.kind, describe(error))
            self.state, self.problem = "failed", told(error)
        except Exception as error:
            logger.error("admin: %s: %s", self.kind, describe(error))
            self.state, self.problem = (
                "failed",
                "Something went wrong. See the log of the API server.",
            )
        finally:
            self.ended_at = time.monotonic()

    async def _limited(self, work: Callable[["Job"], Awaitable[Any]]) -> Any:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is not None:
            self._stop = lambda: (
                None if loop.is_closed() else loop.call_soon_threadsafe(task.cancel)
            )
        if self._cancelled:
            raise asyncio.CancelledError
        async with asyncio.timeout(MINUTES * 60):
            return await work(self)


class Jobs:
    """The jobs of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}

    def start(
        self,
        kind: str,
        title: str,
        work: Callable[[Job], Awaitable[Any]],
        person: str = "",
    ) -> Job:
        """Begin, for a person: one at a time each.

        Raises:
            Problem: 429 while something of the same person goes on, 503 when enough does.
        """
        with self._lock:
            self._forget()
            running = [job for job in self._jobs.values() if job.state == "running"]
            own = [job for job in running if person and job.person == person]
            if own or len(running) >= AT_ONCE:
                said = " and ".join(job.title for job in own or running)
                raise busy(429 if own else 503, f"Still running: {said}.")
            job = Job(f"{HERE}-{secrets.token_hex(8)}", kind, title, person=person)
            self._jobs[job.id] = job
        threading.Thread(target=job.run, args=(work,), name=kind, daemon=True).start()
        return job

    def find(self, number: str, kind: str) -> Job | None:
        """A job of this process; None for one of another, which may be asked for again.

        Raises:
            Problem: there is no such job (any more).
        """
        with self._lock:
            job = self._jobs.get(number)
        if job is not None and job.kind == kind:
            return job
        if number.partition("-")[0] != HERE:
            return None
        raise Problem(404, "This result has expired. Start again.")

    def _forget(self) -> None:
        now = time.monotonic()
        for number, job in list(self._jobs.items()):
            if job.ended_at is not None and now - job.ended_at > KEPT_SECONDS:
                del self._jobs[number]


JOBS = Jobs()
