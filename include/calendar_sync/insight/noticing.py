"""Whether changes are noticed all the time, or only by the safety run."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from calendar_sync.config.settings import Settings
from calendar_sync.core.model import Platform
from calendar_sync.state import Store
from calendar_sync.state.push import RECEIVER
from calendar_sync.state.runs import WELKIN

SYSTEMS = {WELKIN: "Welkin", "google": "Google", "microsoft": "Microsoft"}
#: How often a run looks for changes where nobody else does (orchestration/dags/sync).
SAFETY_RUN_EVERY = timedelta(minutes=5)
STARTS_WITHIN = timedelta(minutes=2)


@dataclass(frozen=True)
class NoticingState:
    """One part: `welkin`, `google` or `microsoft`, or with push `receiver`, which takes notices.

    `stands_still`: the deployment has a triggerer that should do it, and does not; changes wait for
    the safety run. `last_at` is when it last looked successfully, `error` the code of its last
    failure if it has not succeeded since.
    """

    part: str
    stands_still: bool
    last_at: datetime | None
    error: str = ""
    expected_since: datetime | None = None

    def late(self, limit: timedelta, now: datetime) -> bool:
        """It has stood still for longer than that, and not because the DAG was switched off.

        Without the receiver nobody is late: polls go on.
        """
        if self.part == RECEIVER:
            return False
        moments = [at for at in (self.last_at, self.expected_since) if at is not None]
        return self.stands_still and (not moments or now - max(moments) > limit)

    @property
    def sentence(self) -> str:
        """What follows, and what to look at."""
        since = f" since {self.last_at:%Y-%m-%d %H:%M} UTC" if self.last_at is not None else ""
        if self.part == RECEIVER:
            return (
                f"The receiver of push takes no notices{since}; polls find the changes. "
                "Check that `calendar-sync receive` runs, and its log."
            )
        return (
            f"Changes in {SYSTEMS[self.part]} are looked for only every 5 minutes{since}, by a run "
            "of the DAG. Check that Airflow's triggerer runs, and its log."
        )


def noticing(store: Store, platform: Platform, now: datetime) -> tuple[NoticingState, ...]:
    """The parts that a platform needs: Welkin's feeds, its own polls, with push the receiver."""
    since = store.noticing.of(platform.value).expected_since
    # Airflow starts a trigger some time after the DAG is switched on.
    expected = since is not None and now - since >= STARTS_WITHIN
    looks = [
        NoticingState(
            name, expected and not row.alive(now), row.heartbeat_at, row.error_code or "", since
        )
        for name in (WELKIN, platform.value)
        for row in (store.noticing.of(name),)
    ]
    if (row := store.push.receiver()) is None:
        return tuple(looks)
    return (*looks, NoticingState(RECEIVER, row.silent(now), row.delivered_at, "", row.opened_at))


def silent_after(store: Store, settings: Settings, platform: Platform, now: datetime) -> timedelta:
    """A platform that nobody has looked at for longer is not being synced.

    While changes wait for the safety run, a look may be as old as the time between two of these.
    """
    parts = noticing(store, platform, now)
    still = any(part.stands_still for part in parts if part.part != RECEIVER)
    return settings.freshness.target + (SAFETY_RUN_EVERY if still else timedelta(0))


def standing_still(store: Store, now: datetime) -> list[NoticingState]:
    """The parts, each once, that should be looked at all the time and are not."""
    parts = (part for platform in Platform for part in noticing(store, platform, now))
    return list({part.part: part for part in parts if part.stands_still}.values())
