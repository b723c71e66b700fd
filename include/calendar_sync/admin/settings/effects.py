"""What a change of the settings would do to everybody, as a job: planned, nothing written."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from calendar_sync.admin.web import outside
from calendar_sync.admin.web.jobs import MINUTES, Job
from calendar_sync.admin.web.rendering import done, plural
from calendar_sync.config.settings import Settings
from calendar_sync.insight.step_words import STEPS
from calendar_sync.operations.preview import Effect, expected_seconds, preview
from calendar_sync.state import Store

SAMPLES = (200, 20)
#: Of the time of a job, what may be planned for.
SHARE = 0.8


@dataclass(frozen=True)
class Effects:
    """The effects on all platforms, of the users looked at; `everybody` may be more."""

    effects: list[Effect]
    looked_at: int
    everybody: int

    @property
    def sentence(self) -> str:
        """Such as: This change affects 3 users: 40 synced events deleted, 1 busy block created."""
        affected = sum(effect.affected for effect in self.effects)
        steps: Counter[str] = Counter()
        for effect in self.effects:
            steps.update(effect.steps)
        if not affected:
            return "This change affects no users."
        made = ", ".join(done(step, steps[step]) for step in STEPS if steps[step])
        return f"This change affects {plural(affected, 'user')}: {made}."


@dataclass(frozen=True)
class SampleSize:
    """So many may be looked at, all of them for 0; `seconds` is how long that takes, about."""

    most: int
    users: int
    seconds: float


def sample_sizes(users: int, rate: float) -> list[SampleSize]:
    """What fits into the time of a job, with so many requests a second to Welkin."""
    fits = int(MINUTES * 60 * SHARE / expected_seconds(1, rate))
    some = [most for most in SAMPLES if most < users and most <= fits]
    if users <= fits:
        return [_size(0, users, rate), *(_size(most, most, rate) for most in some)]
    largest = fits - fits % 100 or fits
    return [_size(most, most, rate) for most in sorted({largest, *some}, reverse=True)]


def _size(most: int, users: int, rate: float) -> SampleSize:
    return SampleSize(most, users, expected_seconds(users, rate))


def work(store: Store, wanted: Settings, most: int) -> Callable[[Job], Awaitable[Effects]]:
    """Plan the cycles of everybody, or of the first `most` users."""

    async def plan(job: Job) -> Effects:
        rows = [row.user_id for row in store.config.mapping() if row.enabled]
        users = sorted(set(rows))
        some = users[:: max(1, -(-len(users) // most))] if most else users
        sampled = len(some) < len(users)
        job.progress(0, len(some))

        def told(done: int, total: int, so_far: list[Effect]) -> None:
            job.progress(done, total)
            job.result = Effects(so_far, done, len(rows) if sampled else total)

        async with outside.services(store) as services:
            owner = f"preview/{job.id}"
            chosen = some if sampled else ()
            found = await preview(services, wanted, owner, users=chosen, progress=told)
        return replace(job.result, effects=found) if job.result else Effects(found, 0, 0)

    return plan
