"""How many requests are in flight, and which of them are too many.

https://learn.microsoft.com/graph/throttling-limits
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter, deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from calendar_sync_sandbox.microsoft.errors import error_body
from calendar_sync_sandbox.service import Call, Reply

if TYPE_CHECKING:
    from calendar_sync_sandbox.microsoft.world import MicrosoftWorld

WINDOW = timedelta(minutes=10)
YIELDS = 3
SECONDS = 5
_MAILBOX = re.compile(
    r"/v1\.0/users/([^/]+)/(?:calendar|calendars|calendarView|events)(?:/|$)", re.IGNORECASE
)


class Traffic:
    """Counts requests from the moment they are read until their answer is sent."""

    def __init__(self, world: MicrosoftWorld) -> None:
        """Keep the world; its attributes are the limits and the results."""
        self.world = world
        self._in_flight: Counter[str] = Counter()
        self._all = 0
        self._recent: dict[str, deque[datetime]] = {}

    def mailbox_of(self, path: str) -> str | None:
        """Return the address of the mailbox that a path is about."""
        match = _MAILBOX.match(path)
        if match is None:
            return None
        try:
            return self.world.account(match[1]).email
        except KeyError:
            return match[1].lower()

    def enter(self, call: Call) -> Reply | None:
        """Count a request that has been read; return the 429 of one too many."""
        self._all += 1
        self.world.busiest = max(self.world.busiest, self._all)
        mailbox = call.user
        if mailbox is not None:
            self._in_flight[mailbox] += 1
        if not call.path.startswith("/v1.0/"):
            return None
        if self.world.app_limit is not None and self._all > self.world.app_limit:
            return self.throttled("Application is over its request limit.", "TooManyRequests")
        return self._judge(mailbox, self._in_flight[mailbox]) if mailbox else None

    def judge_part(self, mailbox: str, others: int, parts: int) -> Reply | None:
        """Judge a part of a batch beside ``others`` for its mailbox, and ``parts`` for anybody."""
        # In the place of the batch itself, which only carries them.
        at_once = self._all + parts
        self.world.busiest = max(self.world.busiest, at_once)
        if self.world.app_limit is not None and at_once > self.world.app_limit:
            return self.throttled("Application is over its request limit.", "TooManyRequests")
        return self._judge(mailbox, self._in_flight[mailbox] + others + 1)

    async def pause(self, *, in_process: bool) -> None:
        """Let other requests come before this one is answered."""
        for _ in range(YIELDS):
            await asyncio.sleep(0)
        if self.world.latency and not in_process:
            await asyncio.sleep(self.world.latency)

    def leave(self, call: Call) -> None:
        """Count a request whose answer has been sent."""
        self._all -= 1
        if call.user is not None:
            self._in_flight[call.user] -= 1

    def throttled(
        self,
        message: str = "Application is over its MailboxConcurrency limit.",
        code: str = "ApplicationThrottled",
    ) -> Reply:
        """Return a 429 that says about waiting what the world wants it to say."""
        headers = {"present": {"retry-after": str(SECONDS)}, "one": {"retry-after": "1"}}
        return Reply(429, error_body(429, code, message), headers.get(self.world.retry_after, {}))

    def _judge(self, mailbox: str, at_once: int) -> Reply | None:
        worst = self.world.worst_concurrency
        worst[mailbox] = max(worst.get(mailbox, 0), at_once)
        if at_once > self.world.mailbox_limit:
            return self.throttled()
        limit = self.world.user_limit
        if limit is None:
            return None
        now = self.world.clock.now()
        recent = self._recent.setdefault(mailbox, deque())
        while recent and recent[0] <= now - WINDOW:
            recent.popleft()
        recent.append(now)  # calls made while throttled count too
        if len(recent) > limit:
            return self.throttled("Application is over its request limit for the mailbox.")
        return None
