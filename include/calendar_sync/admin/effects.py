"""What a change of the settings would do to everybody, as a job: planned, nothing written."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from calendar_sync.admin import outside
from calendar_sync.admin.jobs import Job
from calendar_sync.admin.rendering import number, plural
from calendar_sync.preview import Effect, preview
from calendar_sync.settings import Settings
from calendar_sync.state import Store

_WORDS = {
    "create_mirror": ("mirror created", "mirrors created"),
    "update_mirror": ("mirror updated", "mirrors updated"),
    "delete_mirror": ("mirror removed", "mirrors removed"),
    "create_block": ("block created", "blocks created"),
    "update_block": ("block changed", "blocks changed"),
    "delete_block": ("block removed", "blocks removed"),
    "reschedule": ("appointment rescheduled", "appointments rescheduled"),
    "cancel": ("appointment cancelled", "appointments cancelled"),
}


@dataclass(frozen=True)
class Found:
    """The effects on all platforms; `sampled` where only some users were looked at."""

    effects: list[Effect]
    sampled: int = 0

    @property
    def sentence(self) -> str:
        """Such as: This change affects 312 users: 40 mirrors removed, 12 blocks created."""
        affected = sum(effect.affected for effect in self.effects)
        steps: Counter[str] = Counter()
        for effect in self.effects:
            steps.update(effect.steps)
        if not affected:
            return "Nothing would change for anybody."
        done = [
            f"{number(steps[step])} {words[steps[step] != 1]}"
            for step, words in _WORDS.items()
            if steps[step]
        ]
        return f"This change affects {plural(affected, 'user')}: {', '.join(done)}."


def work(store: Store, wanted: Settings, most: int) -> Callable[[Job], Awaitable[Found]]:
    """Plan the cycles of everybody, or of the first `most` users."""

    async def plan(job: Job) -> Found:
        users = sorted({row.user_id for row in store.config.mapping() if row.enabled})
        some = users[:: max(1, -(-len(users) // most))] if most else users
        job.progress(0, len(some))
        async with outside.services(store) as services:
            found = await preview(
                services,
                wanted,
                f"preview/{job.id}",
                users=some if most else (),
                progress=job.progress,
            )
        return Found(found, len(some) if most and len(some) < len(users) else 0)

    return plan
