"""What an approval would let go on: a dry run of one user's cycle, as a job."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from calendar_sync.admin.web import outside
from calendar_sync.admin.web.jobs import Job
from calendar_sync.admin.web.problems import Problem
from calendar_sync.core.model import Action, Hold, Platform
from calendar_sync.state import Store
from calendar_sync.sync.outcomes import OutcomeStatus
from calendar_sync.sync.runner import sync_users

RUN_ID = "preview"
SHOWN = 500


@dataclass(frozen=True)
class Item:
    """One action that would be done. Patient and time of the appointment are not shown."""

    step: str
    reason: str
    source_id: str
    ahead: bool


@dataclass(frozen=True)
class HeldItems:
    """What waits under one digest; `found` is False where the cycle no longer wants it."""

    found: bool
    counts: dict[str, int]
    items: tuple[Item, ...]
    more: int = 0


def work(
    store: Store, user_id: str, platform: Platform, digest: str
) -> Callable[[Job], Awaitable[HeldItems]]:
    """Plan the user's next full cycle and take from it what the digest names."""

    async def plan(job: Job) -> HeldItems:
        async with outside.services(store) as services:
            if platform not in services.platforms:
                raise Problem(503, outside.unusable(services.why_not(platform)))
            revision = store.config.revision()
            [outcome] = await sync_users(
                services,
                revision,
                platform,
                [user_id],
                run_id=RUN_ID,
                owner=f"preview/{job.id}",
                full=True,
                dry_run=True,
            )
            if outcome.status is OutcomeStatus.BUSY:
                raise Problem(409, "This user is being synced. Try again in a moment.")
            if outcome.status is OutcomeStatus.PAUSED:
                raise Problem(409, f"The sync of this user is paused {outcome.detail}.")
            if outcome.result.plan is None:
                why = f": {outcome.code.in_words} ({outcome.code})" if outcome.code else ""
                raise Problem(503, f"Welkin or the calendar cannot be read{why}.")
            holds = outcome.result.plan.holds
            return _listed([h for h in holds if h.digest == digest], services.clock.now(), store)

    return plan


def _listed(holds: list[Hold], now: datetime, store: Store) -> HeldItems:
    zone = store.config.revision().settings.zone()

    def item(action: Action) -> Item:
        ahead = action.span.instants(zone)[1] > now
        return Item(action.step.value, action.reason, action.source.id, ahead)

    items = [item(action) for hold in holds for action in hold.actions]
    counts = Counter(each.step for each in items)
    return HeldItems(bool(holds), dict(counts), tuple(items[:SHOWN]), max(0, len(items) - SHOWN))
