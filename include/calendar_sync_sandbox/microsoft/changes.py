"""What subscriptions of the Graph double send: changes in bundles, and their own ends.

https://learn.microsoft.com/graph/change-notifications-delivery-webhooks: each bundle has to be
answered 2xx within 3 s, or it is sent again for up to 4 hours. If an address has answered 100
times in 10 minutes, and a tenth of that slowly, what follows comes 10 minutes later; from 15 in 100
on, it is dropped.
https://learn.microsoft.com/graph/change-notifications-lifecycle-events: reauthorizationRequired,
subscriptionRemoved and missed go to the lifecycle URL, where there is one. When an unanswered
request for reauthorisation ends the flow is not published; here after ``grace``.
"""

from __future__ import annotations

import json
import random
from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from calendar_sync_sandbox.microsoft.directory import CALENDARS, READ_CALENDARS
from calendar_sync_sandbox.microsoft.times import stamp7

if TYPE_CHECKING:
    from collections.abc import Callable

    from calendar_sync_sandbox.microsoft.store import Mailbox, Version
    from calendar_sync_sandbox.microsoft.tenant import Tenant
    from calendar_sync_sandbox.microsoft.times import Json
    from calendar_sync_sandbox.outbox import Answer, Notice, Outbox

MOST_OF_A_BUNDLE = 50
SLOW = 2.9
COUNTED = 100
SPAN = timedelta(minutes=10)
AGAIN = timedelta(minutes=15)
HEADERS = {"content-type": "application/json; charset=utf-8"}


@dataclass(slots=True)
class Subscription:
    """One subscription.

    Attributes:
        id: a GUID.
        mailbox: whose events it tells.
        resource: as the client wrote it.
        kinds: of created, updated and deleted.
        url: where changes go.
        lifecycle_url: where the rest goes, None for nowhere.
        state: the secret that is sent along.
        immutable: which kind of ids is told.
        expires: when it ends.
        authorised: when it was last created, renewed or reauthorised.
        challenged: when its reauthorisation was first asked for, and is still missing.
        asked: when that was last asked for.
    """

    id: str
    mailbox: Mailbox
    resource: str
    kinds: frozenset[str]
    url: str
    lifecycle_url: str | None
    state: str | None
    immutable: bool
    expires: datetime
    authorised: datetime
    challenged: datetime | None = None
    asked: datetime | None = None

    def authorise(self, now: datetime) -> None:
        """Take note that the application is still allowed to."""
        self.authorised, self.challenged, self.asked = now, None, None


@dataclass(slots=True)
class Endpoint:
    """How an address answered since a moment."""

    since: datetime
    count: int = 0
    slow: int = 0

    @property
    def share(self) -> float:
        """Share of slow answers, 0 until there are enough of them."""
        return self.slow / self.count if self.count >= COUNTED else 0.0


class Changes:
    """Sends what subscriptions tell.

    Attributes:
        all: subscriptions by id.
        count: how many each mailbox has, by the id of its user.
        challenge_after: share of a life after which reauthorisation is asked for.
        grace: how long changes are still told after the first such request.
        endpoints: how each address answers.
    """

    def __init__(self, world: Tenant, outbox: Outbox, seed: int) -> None:
        """Start without a subscription and listen to what becomes of notices."""
        self.world = world
        self.outbox = outbox
        self.random = random.Random(f"changes-{seed}")  # noqa: S311 - reproducible, not secret
        self.all: dict[str, Subscription] = {}
        self.count: Counter[str] = Counter()
        self.challenge_after = 0.75
        self.grace = timedelta(hours=1)
        self.endpoints: dict[str, Endpoint] = {}
        # Filled from any thread that edits a mailbox, emptied by the one that sends.
        self._pending: deque[tuple[Subscription, Json]] = deque()
        outbox.gather.append(self._gather)
        outbox.settled["microsoft"] = self._settled

    def attend(self, subscription: Subscription) -> None:
        """Tell what happens in a mailbox from now on."""
        watchers = subscription.mailbox.watchers

        def changed(key: int, version: Version) -> None:
            if subscription.id not in self.all:
                watchers.remove(changed)
            elif self._flows(subscription):
                self._note(subscription, key, version)

        self.all[subscription.id] = subscription
        self.count[subscription.mailbox.guid] += 1
        watchers.append(changed)

    def drop(self, subscription: Subscription) -> None:
        """Forget a subscription; a second time changes nothing."""
        if self.all.pop(subscription.id, None) is not None:
            self.count[subscription.mailbox.guid] -= 1

    def find(self, subscription_id: str) -> Subscription | None:
        """Return a living subscription, None where there is none of that id."""
        found = self.all.get(subscription_id)
        return None if found is None or found.expires <= self.world.clock.now() else found

    def of(self, account: str | None = None) -> list[Subscription]:
        """Return the living subscriptions of one mailbox or of all."""
        self._end(self.world.clock.now())
        return [
            each
            for each in self.all.values()
            if account is None or each.mailbox.email.lower() == account.lower()
        ]

    # What a test or the service itself does

    def end(self, account: str | None = None) -> int:
        """End subscriptions before their time, without a word, and return how many."""
        return self._each(account, self.drop)

    def remove(self, account: str | None = None) -> int:
        """End subscriptions and say so: ``subscriptionRemoved``."""

        def away(each: Subscription) -> None:
            self.drop(each)
            self.tell(each, "subscriptionRemoved")

        return self._each(account, away)

    def challenge(self, account: str | None = None) -> int:
        """Ask for reauthorisation now: ``reauthorizationRequired``."""
        return self._each(account, self._challenge)

    def miss(self, account: str | None = None) -> int:
        """Say that changes could not be told: ``missed``."""
        return self._each(account, lambda each: self.tell(each, "missed"))

    def tell(self, subscription: Subscription, event: str) -> None:
        """Send a lifecycle notification."""
        if subscription.lifecycle_url is None:
            return
        row = {**self._row(subscription), "lifecycleEvent": event}
        self._send("lifecycle", subscription.lifecycle_url, [(subscription, row)])

    # Inside

    def _each(self, account: str | None, act: Callable[[Subscription], object]) -> int:
        found = self.of(account)
        for each in found:
            act(each)
        return len(found)

    def _challenge(self, subscription: Subscription) -> None:
        subscription.asked = self.world.clock.now()
        subscription.challenged = subscription.challenged or subscription.asked
        self.tell(subscription, "reauthorizationRequired")

    def _flows(self, subscription: Subscription) -> bool:
        """Whether changes are told now; what happens while they are not is lost."""
        now, since = self.world.clock.now(), subscription.challenged
        return (
            now < subscription.expires
            and (since is None or now < since + self.grace)
            and subscription.mailbox.state == "ok"
            and bool({CALENDARS, READ_CALENDARS} & self.world.directory.roles)
        )

    def _note(self, subscription: Subscription, key: int, version: Version) -> None:
        mailbox = subscription.mailbox
        versions = mailbox.records[key]
        kind = "updated"
        if not version.live:
            kind = "deleted"
        elif len(versions) == 1 or not versions[-2].live:
            kind = "created"
        if kind not in subscription.kinds:
            return
        name = mailbox.id_of(version, immutable=subscription.immutable)
        path = f"Users/{mailbox.guid}/Events/{name}"
        row = {
            **self._row(subscription),
            "changeType": kind,
            "resource": path,
            "resourceData": {
                "@odata.type": "#Microsoft.Graph.Event",
                "@odata.id": path,
                "@odata.etag": version.etag,
                "id": name,
            },
        }
        twice = self.world.unfriendly and self.random.random() < 0.3
        self._pending.extend([(subscription, row)] * (2 if twice else 1))
        self.outbox.woken()

    def _row(self, subscription: Subscription) -> Json:
        return {
            "subscriptionId": subscription.id,
            "subscriptionExpirationDateTime": stamp7(subscription.expires),
            "tenantId": self.world.directory.tenant_id,
            "clientState": subscription.state,
        }

    def _gather(self, now: datetime) -> None:
        """Bundle what has happened, and do what time alone makes due."""
        self._end(now)
        for each in list(self.all.values()):
            if each.mailbox.state != "ok":
                self.drop(each)
                self.tell(each, "subscriptionRemoved")
            elif now >= self._next_challenge(each):
                self._challenge(each)
        by_url: dict[str, list[tuple[Subscription, Json]]] = {}
        while self._pending:
            subscription, row = self._pending.popleft()
            by_url.setdefault(subscription.url, []).append((subscription, row))
        for url, rows in by_url.items():
            for first in range(0, len(rows), MOST_OF_A_BUNDLE):
                self._send("change", url, rows[first : first + MOST_OF_A_BUNDLE])

    def _next_challenge(self, each: Subscription) -> datetime:
        if each.asked is not None:
            return each.asked + AGAIN
        return each.authorised + (each.expires - each.authorised) * self.challenge_after

    def _end(self, now: datetime) -> None:
        for each in [each for each in self.all.values() if each.expires <= now]:
            self.drop(each)

    def _send(self, kind: str, url: str, rows: list[tuple[Subscription, Json]]) -> None:
        share = self._endpoint(url).share
        if kind == "change" and share >= 0.15:
            self._missed({each.id for each, _ in rows})
            return
        body = json.dumps({"value": [row for _, row in rows]}).encode()
        target = ",".join(dict.fromkeys(each.id for each, _ in rows))
        delay = SPAN.total_seconds() if share >= 0.10 else 0.0
        self.outbox.add("microsoft", kind, target, url, dict(HEADERS), body, delay)

    def _endpoint(self, url: str) -> Endpoint:
        now = self.world.clock.now()
        found = self.endpoints.get(url)
        if found is None or found.since <= now - SPAN:
            found = self.endpoints[url] = Endpoint(now)
        return found

    def _settled(self, notice: Notice, answer: Answer, outcome: str) -> None:
        endpoint = self._endpoint(notice.url)
        endpoint.count += 1
        endpoint.slow += answer.status == 0 or answer.seconds > SLOW
        if outcome == "dropped" and notice.kind == "change":
            self._missed(set(notice.target.split(",")))

    def _missed(self, ids: set[str]) -> None:
        for subscription_id in sorted(ids):
            found = self.all.get(subscription_id)
            if found is not None:
                self.tell(found, "missed")
