"""One sweep: ask Google when everybody is busy, fifty calendars in a request, and see who changed.

The future is asked for in parts of some weeks, as Google limits the time of one request: the first
part each time, the others more rarely. Parts begin at midnight, UTC. A day later the old part is
still within what is asked for, so that the end of a day changes nobody.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from calendar_sync.adapters.http import waiting_at_most
from calendar_sync.config.settings import PRIMARY
from calendar_sync.core.concurrency import together
from calendar_sync.core.errors import BadItem, SyncError, TenantMisconfigured, UserUnavailable
from calendar_sync.core.model import MappedUser, Platform, Window
from calendar_sync.core.ports import BusyTimes
from calendar_sync.state.config import Revision
from calendar_sync.state.sweeps import Key, SweptCalendar
from calendar_sync.sync.services import Services
from calendar_sync.sync.swept import REFUSED, REFUSED_AT

logger = logging.getLogger(__name__)

DAYS = "sweep_days"
LONGEST, SHORTEST = 60, 7
WAITS = 5.0
#: So many accounts of a request are tried as the one that asks.
ASKING = 3
TOO_LONG = "timeRangeTooLong"


@dataclass
class SweepResult:
    """Calendars that were asked about, and how many of them were not shown; whose have changed."""

    asked: int = 0
    unseen: int = 0
    changed: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Item:
    user: MappedUser
    calendar: str

    @property
    def id(self) -> str:
        """The primary calendar of an account has its address as its id."""
        return self.user.account if self.calendar == PRIMARY else self.calendar


@dataclass
class Sweep:
    """Sweeps of one platform that offers them."""

    services: Services
    revision: Revision
    platform: Platform

    @property
    def days(self) -> int:
        """How many days one request covers, as far as was learnt."""
        found = self.services.store.runs.facts(self.platform.value).get(DAYS)
        return found if isinstance(found, int) else LONGEST

    @property
    def parts(self) -> int:
        """Into how many parts the time that blocks are made for is divided."""
        ahead = max(one.windows.blocks_future_days for one in self.revision.settings.all)
        return max(1, -(-ahead // self.days))

    async def run(self, users: Iterable[MappedUser], part: int = 0) -> SweepResult:
        """Ask for one part of everybody's future, and count what has changed.

        What cannot be asked is left for the polls. A refusal of the whole is noted for an hour.
        """
        settings = self.revision.settings
        items = [_Item(user, name) for user in users for name in settings.calendars_for(user).all]
        most, result = self.services.free_busy[self.platform].most, SweepResult()
        groups = [items[first : first + most] for first in range(0, len(items), most)]
        days, today = self.days, self.services.clock.now().astimezone(UTC).date()
        try:
            await together(
                (self._group(group, part, days, today, result) for group in groups),
                self.revision.settings.limits.poll_concurrency,
            )
        except TenantMisconfigured as error:
            logger.warning("%s refuses to tell busy times: %s", self.platform.value, error.code)
            now = self.services.clock.now().isoformat()
            facts = {REFUSED: error.code.value, REFUSED_AT: now}
            self.services.store.runs.set_facts(self.platform.value, **facts)
        except BadItem as error:
            if error.detail != TOO_LONG or days <= SHORTEST:
                raise
            shorter = {DAYS: max(SHORTEST, days // 2)}
            self.services.store.runs.set_facts(self.platform.value, **shorter)
        return result

    async def _group(
        self, items: list[_Item], part: int, days: int, today: date, result: SweepResult
    ) -> None:
        window = Window(
            _window(today - timedelta(days=1), part, days).start, _window(today, part, days).end
        )
        result.asked += len(items)
        times = await self._ask(items, window)
        store, now = self.services.store, self.services.clock.now()
        known = store.sweeps.calendars(item.user.user_id for item in items)
        seen, same = [], []
        for item in items:
            busy = times.get(item.id)
            if busy is None:
                result.unseen += 1
                continue
            one = self._seen(item, busy, part, days, today, known, now)
            seen.append(one)
            if one.changes:
                result.changed.add(item.user.user_id)
            elif part == 0:
                same.append(item.user.user_id)
        with store.database.write() as connection:
            store.sweeps.save(connection, seen)
            store.marks.in_step(connection, self.platform, set(same) - result.changed, now)

    async def _ask(self, items: list[_Item], window: Window) -> Mapping[str, BusyTimes | None]:
        """In the name of the configured account, or of one of these."""
        chosen = self.revision.settings.polling.sweep_as
        accounts = [chosen] if chosen else list(dict.fromkeys(i.user.account for i in items))
        for account in accounts[:ASKING]:
            try:
                with waiting_at_most(WAITS):
                    ids = list(dict.fromkeys(item.id for item in items))
                    return await self.services.free_busy[self.platform].busy(account, ids, window)
            except (TenantMisconfigured, BadItem):
                raise
            except UserUnavailable:
                continue
            except SyncError as error:
                logger.info("a sweep was not answered: %s", error.code)
                break
        return defaultdict(lambda: None)

    def _seen(
        self,
        item: _Item,
        busy: BusyTimes,
        part: int,
        days: int,
        today: date,
        known: Mapping[Key, SweptCalendar],
        now: datetime,
    ) -> SweptCalendar:
        user = item.user
        before = known.get((user.user_id, item.calendar, part))
        same = (
            before is not None
            and before.account == user.account
            and 0 <= (today - before.day).days <= 1
            and before.hash == self._hash(busy, _window(before.day, part, days))
        )
        return SweptCalendar(
            user.user_id,
            item.calendar,
            part,
            user.account,
            self._hash(busy, _window(today, part, days)),
            today,
            now,
            changes=0 if same else 1,
        )

    def _hash(self, busy: BusyTimes, window: Window) -> str:
        """A keyed hash of the busy time in the window, however it is divided."""
        merged: list[tuple[datetime, datetime]] = []
        for start, end in busy:
            first, last = max(start, window.start), min(end, window.end)
            if last <= first:
                continue
            if merged and first <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(merged[-1][1], last)
            else:
                merged.append((first, last))
        texts = [f"{int(start.timestamp())}-{int(end.timestamp())}" for start, end in merged]
        return self.services.identity.hash("busy", *texts)


def _window(day: date, part: int, days: int) -> Window:
    """A part of the future, as it stands on a day."""
    midnight = datetime.combine(day, time(), UTC)
    return Window(
        midnight + timedelta(days=part * days), midnight + timedelta(days=(part + 1) * days)
    )
