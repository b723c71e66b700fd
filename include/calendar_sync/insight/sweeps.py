"""How far sweeps of Google accounts reach."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from calendar_sync.config.settings import Settings
from calendar_sync.core.codes import code_of
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.core.plurals import plural
from calendar_sync.state import Store
from calendar_sync.sync.freshness import poll_requests
from calendar_sync.sync.swept import Swept, pace, refused


@dataclass(frozen=True)
class SweepCoverage:
    """While there should be sweeps of a platform: how often, and of how many accounts.

    `unseen` accounts are polled on their own, since their busy times are not shown. `refused` is
    the code with which sweeps as a whole were refused; then there are none.
    """

    seconds: float
    seen: int
    unseen: int
    refused: str = ""

    @property
    def sentence(self) -> str:
        """The same in words."""
        if self.refused:
            return (
                f"New events of Google accounts are found late: {code_of(self.refused).in_words}. "
                "Authorise the scope calendar.freebusy (docs/setup-google.md, step 7), or set "
                f"polling.sweep to off. [{self.refused}]"
            )
        return (
            f"one question for many accounts every {self.seconds:.0f} s; "
            f"{plural(self.seen, 'account')} seen, {self.unseen} not"
        )


def sweep_coverage(
    store: Store,
    settings: Settings,
    platform: Platform,
    synced: Collection[MappedUser],
    now: datetime,
) -> SweepCoverage | None:
    """None where there are to be no sweeps."""
    wanted = pace(settings, platform, poll_requests(settings, synced), 0, now)
    if wanted is None:
        return None
    if code := refused(store, platform, now):
        return SweepCoverage(wanted.sweeps.total_seconds(), 0, len(synced), code)
    found = Swept.read(store, settings, platform, synced, now)
    seen = sum(found.sees(user) for user in synced)
    return SweepCoverage(wanted.sweeps.total_seconds(), seen, len(synced) - seen)
