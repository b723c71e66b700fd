"""What the services send to somebody else's address: kept until due, lost, doubled, retried.

Nothing is sent from here. In a test, notices wait until it delivers them
(:meth:`Outbox.deliver`), or takes them with :meth:`Outbox.due` and settles them by hand. In the
served sandbox :mod:`.courier` does that all the time.

How each service tries again:

========= ========= ======================= ===================================================
service   waits for tries again after       source
========= ========= ======================= ===================================================
google    10 s      500, 502, 503, 504,     https://developers.google.com/workspace/calendar/
                    no answer               api/guides/push (the pauses are not published)
microsoft 3 s       anything but 2xx        https://learn.microsoft.com/graph/
                                            change-notifications-delivery-webhooks (for 4 hours)
welkin    10 s      5xx, no answer          recorded audit rows (the pauses are not known)
========= ========= ======================= ===================================================
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.clock import stamp

if TYPE_CHECKING:
    from calendar_sync_sandbox.clock import Clock

REMEMBERED = 50_000
NOBODY = 0


@dataclass(slots=True, kw_only=True)
class Notice:
    """One request to somebody else's address.

    Attributes:
        seq: number, from 1, in the order in which they were made.
        service: ``google``, ``microsoft`` or ``welkin``.
        kind: ``sync`` or ``exists``; ``change`` or ``lifecycle``; an event's subtype.
        target: the channel, the subscriptions (with commas) or the automation.
        url: where to.
        headers: as sent.
        body: as sent.
        made: when it was made.
        due: not before.
        tries: how often it was sent.
    """

    seq: int
    service: str
    kind: str
    target: str
    url: str
    headers: dict[str, str]
    body: bytes
    made: datetime
    due: datetime
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the address answered; status 0 where nobody did in time."""

    status: int = NOBODY
    body: bytes = b""
    content_type: str = ""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether it counts as delivered."""
        return 200 <= self.status < 300 or self.status == 102


@dataclass(frozen=True, slots=True)
class Delivery:
    """One line of the log; ``outcome`` is delivered, again, dropped or lost."""

    at: datetime
    seq: int
    service: str
    kind: str
    target: str
    status: int
    tries: int
    outcome: str

    def as_json(self) -> dict[str, Any]:
        """Describe it for the control API."""
        return {**asdict(self), "at": stamp(self.at)}


@dataclass(slots=True)
class Trouble:
    """What happens to the notices of one service on their way.

    Attributes:
        delay_seconds: how late they are.
        lose: share that is never sent.
        double: share that is sent twice.
        shuffle: whether those that are due come in another order.
        dead: whether the address seems not to answer.
    """

    delay_seconds: float = 0.0
    lose: float = 0.0
    double: float = 0.0
    shuffle: bool = False
    dead: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """How long a service waits for an answer, and after which pauses it tries again."""

    seconds: float
    pauses: tuple[float, ...]
    tries_again: Callable[[int], bool]


POLICIES: Mapping[str, Policy] = {
    "google": Policy(
        10.0,
        tuple(float(2**n) for n in range(9)),
        lambda status: status in (NOBODY, 500, 502, 503, 504),
    ),
    "microsoft": Policy(3.0, (10.0, 60.0, 300.0, *[600.0] * 23), lambda _: True),
    "welkin": Policy(10.0, (10.0,) * 5, lambda status: status == NOBODY or status >= 500),
}
#: Sends headers and a body to an address by POST and waits so many seconds for the answer.
Post = Callable[[str, Mapping[str, str], bytes, float], Awaitable[Answer]]


async def nobody(url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> Answer:
    """Be the address that never answers."""
    return Answer()


class Outbox:
    """All notices that wait, and what became of the others.

    Attributes:
        post: sends one notice; nobody answers until a test or the courier sets it.
        allow_http: whether an address may begin with ``http:``; real services refuse it.
        trust: PEM file of authorities that the courier trusts besides the usual ones.
        trouble: what happens on the way, by service.
        deliveries: the log, the latest at its end.
        gather: asked for more before anything is sent: what only time makes due.
        settled: told, by service, of each attempt and whether it was the last.
        woken: called when a notice is added, from any thread.
    """

    def __init__(self, clock: Clock, seed: int) -> None:
        """Start empty; ``seed`` decides what is lost, doubled and shuffled."""
        self.clock = clock
        self.random = random.Random(f"outbox-{seed}")  # noqa: S311 - reproducible, not secret
        self.post: Post = nobody
        self.allow_http = False
        self.trust: str | None = None
        self.trouble = {name: Trouble() for name in POLICIES}
        self.deliveries: deque[Delivery] = deque(maxlen=REMEMBERED)
        self.gather: list[Callable[[datetime], None]] = []
        self.settled: dict[str, Callable[[Notice, Answer, str], None]] = {}
        self.woken: Callable[[], None] = lambda: None
        self._waiting: list[Notice] = []
        self._made = 0
        self._lock = Lock()

    def add(
        self,
        service: str,
        kind: str,
        target: str,
        url: str,
        headers: dict[str, str],
        body: bytes = b"",
        delay: float = 0.0,
    ) -> None:
        """Let a notice wait for ``delay`` seconds and whatever the service's trouble adds."""
        trouble, now = self.trouble[service], self.clock.now()
        copies = 2 if trouble.double and self.random.random() < trouble.double else 1
        lost = bool(trouble.lose) and self.random.random() < trouble.lose
        due = now + timedelta(seconds=delay + trouble.delay_seconds)
        with self._lock:
            for _ in range(copies):
                self._made += 1
                notice = Notice(
                    seq=self._made, service=service, kind=kind, target=target, url=url,
                    headers=headers, body=body, made=now, due=due,
                )  # fmt: skip
                if lost:
                    self._note(notice, NOBODY, "lost")
                else:
                    self._waiting.append(notice)
        self.woken()

    def waiting(self) -> list[Notice]:
        """Return what waits, the earliest due first."""
        self._gather()
        with self._lock:
            return sorted(self._waiting, key=lambda notice: (notice.due, notice.seq))

    def next_due(self) -> datetime | None:
        """Return when the next notice is due, None when none waits."""
        waiting = self.waiting()
        return waiting[0].due if waiting else None

    def due(self) -> list[Notice]:
        """Take what is due now out of the outbox; each one must be settled."""
        now = self.clock.now()
        found = [notice for notice in self.waiting() if notice.due <= now]
        with self._lock:
            taken = {notice.seq for notice in found}
            self._waiting = [notice for notice in self._waiting if notice.seq not in taken]
        if any(self.trouble[notice.service].shuffle for notice in found):
            self.random.shuffle(found)
        return found

    def settle(self, notice: Notice, answer: Answer) -> str:
        """Say what an address answered.

        Returns:
            ``delivered``, ``again`` (it waits for the next try) or ``dropped``.
        """
        policy = POLICIES[notice.service]
        notice.tries += 1
        outcome = "dropped"
        if answer.good:
            outcome = "delivered"
        elif policy.tries_again(answer.status) and notice.tries <= len(policy.pauses):
            outcome = "again"
            pause = policy.pauses[notice.tries - 1]
            notice.due = self.clock.now() + timedelta(seconds=pause)
        with self._lock:
            if outcome == "again":
                self._waiting.append(notice)
            self._note(notice, answer.status, outcome)
        hear = self.settled.get(notice.service)
        if hear is not None:
            hear(notice, answer, outcome)
        return outcome

    async def send(self, notice: Notice) -> str:
        """Send one notice that was taken out, and settle it."""
        answer = Answer()
        if not self.trouble[notice.service].dead:
            seconds = POLICIES[notice.service].seconds
            answer = await self.post(notice.url, notice.headers, notice.body, seconds)
        return self.settle(notice, answer)

    async def deliver(self) -> list[Delivery]:
        """Send what is due now, one after the other, and what that makes due at once.

        Returns:
            What became of each.
        """
        done: list[Delivery] = []
        while found := self.due():
            for notice in found:
                await self.send(notice)
                done.append(self.deliveries[-1])
        return done

    def clear(self) -> None:
        """Throw away what waits."""
        with self._lock:
            self._waiting.clear()

    def _gather(self) -> None:
        now = self.clock.now()
        for gather in self.gather:
            gather(now)

    def _note(self, notice: Notice, status: int, outcome: str) -> None:
        self.deliveries.append(
            Delivery(
                self.clock.now(), notice.seq, notice.service, notice.kind, notice.target, status,
                notice.tries, outcome,
            )
        )  # fmt: skip
