"""The Microsoft 365 tenant of the sandbox: its mailboxes, its switches, and what is stored.

The API and the verbs of people both write through it.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from calendar_sync_sandbox.microsoft.directory import Directory
from calendar_sync_sandbox.microsoft.groups import Groups
from calendar_sync_sandbox.microsoft.store import Change, Folder, Mailbox, Version
from calendar_sync_sandbox.microsoft.subscriptions import Subscriptions
from calendar_sync_sandbox.microsoft.users import Users
from calendar_sync_sandbox.outbox import Outbox

if TYPE_CHECKING:
    from datetime import date, datetime

    from calendar_sync_sandbox.clock import Clock
    from calendar_sync_sandbox.microsoft.times import Json, Span


class Tenant:
    """All mailboxes and how their server behaves.

    Attributes:
        unfriendly: whether deltas repeat rows, reorder them and thin what they need not tell.
        lose_tombstones: whether a deleted series, and some single events, leave no ``@removed``.
        replay: whether every delta tells the changes of the one before once more.
        series_tombstones: ``master``, ``all`` or ``seeded``: what a deleted series leaves.
        gone_location: ``alternate``, ``with`` or ``without``: the address of a 410 for a token.
        all_day_shift: ``none``, ``some`` or ``all``: mailboxes that move whole days of another
            zone into the zone asked for.
        lag_seconds: reads answer as the world was so long ago (0: at once).
        transaction_memory: seconds for which a transactionId is remembered.
        duplicate_transaction: ``return``, ``refuse`` or ``ignore`` a repeated transactionId.
        folder_exists: 409 or 400: the status for the name of a calendar that there is.
        mailbox_limit: requests in flight for one mailbox.
        app_limit: requests in flight for all, None for no limit.
        user_limit: requests in ten minutes for one mailbox, None for no limit.
        retry_after: ``present``, ``absent`` or ``one``: what a 429 says about waiting.
        latency: seconds that a request takes over HTTPS.
        worst_concurrency: most requests in flight for each mailbox so far.
        busiest: most requests in flight for all so far.
        directory: the tenant and its application.
        users: the directory's users.
        groups: its groups, and who is in them.
        subscriptions: who is told of changes.
        hidden: addresses whose busy times are shown to nobody.
    """

    def __init__(self, clock: Clock, seed: int, root: str, outbox: Outbox | None = None) -> None:
        """Start with no mailbox; without ``outbox`` nobody hears of changes."""
        self.clock = clock
        self.seed = seed
        self.random = random.Random(f"microsoft-{seed}")  # noqa: S311 - reproducible, not secret
        self.accounts: dict[str, Mailbox] = {}
        self._by_guid: dict[str, Mailbox] = {}
        self.directory = Directory(root)
        self.users = Users()
        self.groups = Groups()
        self.hidden: set[str] = set()
        self.unfriendly = True
        self.lose_tombstones = False
        self.invited_only: set[str] = set()
        self.replay = False
        self.series_tombstones = "seeded"
        self.gone_location = "alternate"
        self.all_day_shift = "some"
        self.lag_seconds = 0.0
        self.transaction_memory = 300.0
        self.duplicate_transaction = "return"
        self.folder_exists = 409
        self.mailbox_limit = 4
        self.app_limit: int | None = None
        self.user_limit: int | None = None
        self.retry_after = "present"
        self.latency = 0.0
        self.worst_concurrency: dict[str, int] = {}
        self.busiest = 0
        self.subscriptions = Subscriptions(self, outbox or Outbox(clock, seed), seed)
        self._transactions: dict[tuple[str, str], tuple[int, datetime]] = {}

    def account(self, email: str) -> Mailbox:
        """Return a mailbox by its address, in any case, or by the id of its user.

        Raises:
            KeyError: when there is none.
        """
        found = self.accounts.get(email.lower())
        if found is None:
            found = self._by_guid.get(email.lower())
        if found is None:
            raise KeyError(email)
        return found

    def calendar(self, account: str, calendar: str = "primary") -> Folder:
        """Return a calendar of a mailbox: ``primary``, or the id of another one.

        Raises:
            KeyError: when the mailbox has none of that id.
        """
        owner = self.account(account)
        return owner.primary if calendar == "primary" else owner.calendars[calendar]

    def shifts_days(self, mailbox: Mailbox) -> bool:
        """Whether the mailbox writes whole days of another zone as moments."""
        if self.all_day_shift == "some":
            return int(mailbox.guid[0], 16) % 2 == 0
        return self.all_day_shift == "all"

    def has_no_master(self, mailbox: Mailbox, version: Version) -> bool:
        """Whether its owner was invited to single occurrences of a series only."""
        return version.is_series and mailbox.id_of(version) in self.invited_only

    def create(
        self,
        mailbox: Mailbox,
        folder: int,
        fields: Json,
        span: Span,
        properties: dict[str, tuple[str, str]],
    ) -> Version:
        """Store a new event."""
        now = self.clock.now()
        version = Version(0, now, mailbox.new_key(), folder, fields, span, now, properties)
        return mailbox.put(version, now)

    def rewrite(
        self,
        mailbox: Mailbox,
        version: Version,
        fields: Json,
        span: Span,
        properties: dict[str, tuple[str, str]],
    ) -> Version:
        """Store a change of an event or of a whole series.

        A series whose rule or time changed forgets its exceptions and deleted days.
        """
        new = replace(version, fields=fields, span=span, properties=properties)
        if fields["recurrence"] != version.fields["recurrence"] or span != version.span:
            new = replace(new, changed={}, cancelled=frozenset())
        return mailbox.put(new, self.clock.now())

    def keep_exception(
        self, mailbox: Mailbox, version: Version, day: date, change: Change
    ) -> Version:
        """Store an occurrence changed on its own."""
        return mailbox.put(
            replace(version, changed={**version.changed, day: change}), self.clock.now()
        )

    def remove(self, mailbox: Mailbox, version: Version, day: date | None) -> None:
        """Delete an event, a series, or one occurrence."""
        if day is None:
            mailbox.put(replace(version, live=False), self.clock.now())
            return
        changed = {k: v for k, v in version.changed.items() if k != day}
        cancelled = version.cancelled | {day}
        mailbox.put(replace(version, changed=changed, cancelled=cancelled), self.clock.now())

    def remembered(self, mailbox: Mailbox, transaction: str) -> Version | None:
        """Return the live event that was made under a transactionId not long ago."""
        known = self._transactions.get((mailbox.guid, transaction))
        if known is None or self.duplicate_transaction == "ignore":
            return None
        key, at = known
        version = mailbox.latest(key)
        age = (self.clock.now() - at).total_seconds()
        if age > self.transaction_memory or version is None or not version.live:
            return None
        return version

    def remember(self, mailbox: Mailbox, transaction: str, version: Version) -> None:
        """Keep a transactionId for a while."""
        self._transactions[mailbox.guid, transaction] = version.key, self.clock.now()
