"""What a change of the settings would do: everybody's cycle is planned under them, nothing written.

What waits to be done anyway is part of it: it is what the next runs would do.
"""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from calendar_sync.config.settings import Settings
from calendar_sync.core.codes import Code, SyncCode
from calendar_sync.core.model import ChangeLink, Platform
from calendar_sync.state.config import Revision, blocks_hash
from calendar_sync.sync.outcomes import OutcomeStatus, UserOutcome
from calendar_sync.sync.roster import members
from calendar_sync.sync.runner import sync_users
from calendar_sync.sync.services import Services

BATCH = 20
# What the cycle of a user asks of Welkin: the slower of the two sides, where many are looked at.
REQUESTS = 5
RUN_ID = "preview"


Progress = Callable[[int, int, "list[Effect]"], None]


@dataclass
class Effect:
    """The effect on one platform.

    `planned` counts actions by step and reason, `affected` the users with at least one, `skipped`
    appointments that get no mirror by the rule that says so, `failed` accounts that could not be
    read, with the code.
    """

    platform: Platform
    users: int = 0
    affected: int = 0
    planned: Counter[tuple[str, str]] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    held: int = 0
    failed: dict[str, Code] = field(default_factory=dict)

    def add(self, outcome: UserOutcome) -> None:
        """Count one user."""
        self.users += 1
        if outcome.status in {OutcomeStatus.FAILED, OutcomeStatus.BUSY}:
            self.failed[outcome.account or outcome.user_id] = outcome.code or SyncCode.LEASE_HELD
            return
        made = outcome.result.plan
        if made is None:
            return
        actions = [action for action in made.actions if not isinstance(action, ChangeLink)]
        self.planned.update((action.step.value, action.reason) for action in actions)
        self.affected += bool(actions)
        self.skipped.update(outcome.result.skipped)
        self.held += outcome.result.held

    @property
    def steps(self) -> dict[str, int]:
        """How many actions of each step."""
        found: Counter[str] = Counter()
        for (step, _), count in self.planned.items():
            found[step] += count
        return dict(found)


async def preview(
    services: Services,
    settings: Settings,
    owner: str,
    *,
    users: Collection[str] = (),
    progress: Progress = lambda done, total, so_far: None,
) -> list[Effect]:
    """Plan the cycles of everybody (or of `users`) under these settings, on all platforms in turn.

    `progress` is told how many were looked at, of how many, and the effects so far.

    Raises:
        SyncError: no user can be read.
    """
    revision = Revision(0, settings, blocks_hash(settings))
    now = services.clock.now()
    work: list[tuple[Effect, list[str]]] = []
    for error in services.unusable.values():
        raise error
    for platform in services.platforms:
        people = members(services.store, settings, platform, now)
        wanted = sorted(people.synced.keys() | people.leaving)
        wanted = [user for user in wanted if user in users] if users else wanted
        work.append((Effect(platform), wanted))
    total, done = sum(len(wanted) for _, wanted in work), 0
    for first in range(0, max((len(wanted) for _, wanted in work), default=0), BATCH):
        for effect, wanted in work:
            batch = wanted[first : first + BATCH]
            for outcome in await sync_users(
                services,
                revision,
                effect.platform,
                batch,
                run_id=RUN_ID,
                owner=owner,
                full=True,
                dry_run=True,
            ):
                effect.add(outcome)
            done += len(batch)
            progress(done, total, [effect for effect, _ in work if effect.users])
    return [effect for effect, wanted in work if wanted]


def expected_seconds(users: int, welkin_requests_per_second: float) -> float:
    """About how long it takes for so many."""
    return users * REQUESTS / welkin_requests_per_second
