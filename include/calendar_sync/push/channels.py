"""Keeps the channels of one platform as they should be: opens, renews, closes.

Called again and again by whoever notices changes; nearly every call does nothing. Each round does
so much at most, so that channels are opened at a steady pace however many people are mapped.
"""

import logging
import random
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from calendar_sync.adapters.http import waiting_at_most
from calendar_sync.config.settings import Settings
from calendar_sync.core.codes import GoogleCode, MicrosoftCode
from calendar_sync.core.concurrency import together
from calendar_sync.core.errors import (
    BadItem,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    SyncError,
    TenantMisconfigured,
    TransientError,
    UserUnavailable,
)
from calendar_sync.core.model import MappedUser, Platform, iso, parse_iso
from calendar_sync.core.model.push import ChannelState, Granted, Told, Wanted
from calendar_sync.core.redaction import as_ours
from calendar_sync.push.keys import channel_token
from calendar_sync.state.config import Revision
from calendar_sync.state.push import Channel
from calendar_sync.sync.pushed import FAIR, watched
from calendar_sync.sync.roster import members
from calendar_sync.sync.services import Services

if TYPE_CHECKING:
    from calendar_sync.core.ports import PushService

logger = logging.getLogger(__name__)

#: A round so often, and so many requests in it: two a second, some thousand an hour.
EVERY = timedelta(seconds=15)
MOST = 30
AT_ONCE = 4
WAITS = 5.0
#: After so many seconds a round begins nothing more.
LONGEST = 10.0
#: A creation whose answer is not known is given up after this time.
UNKNOWN_FOR = timedelta(minutes=2)
#: Renewal begins at 4/5 of the granted life, less up to so much of it, by chance.
RENEW_AT, JITTER = 0.8, 0.1
#: While two channels overlap, the old one stays until the new one has delivered, or so long.
OVERLAP = timedelta(minutes=2)
FIRST_RETRY, LAST_RETRY = timedelta(minutes=1), timedelta(hours=1)
#: What the service refuses for good is tried once a day: somebody may have changed something.
RETRY_REFUSED = timedelta(days=1)
#: Closing is given up after so many tries: the channel ends by itself.
MOST_TRIES = 5
#: Refusals that concern everybody: one try a time is enough.
OF_ADDRESS = frozenset(
    {
        GoogleCode.PUSH_ADDRESS_REFUSED, MicrosoftCode.PUSH_ADDRESS_REFUSED,
        MicrosoftCode.PUSH_ADDRESS_SILENT,
    }
)  # fmt: skip
#: Facts of a platform. BLOCKED says what keeps all channels from being opened, and until when.
TENDED_AT, LISTED_AT, BLOCKED = "push_tended_at", "push_listed_at", "push_blocked"
LIST_EVERY = timedelta(days=1)
#: A new channel takes over what the one before it has shown.
_SHOWN = (
    "missed", "doubts", "trusted", "asked_at", "further_polls", "notices", "answered",
    "wanted_since",
)  # fmt: skip
_Place = tuple[str, str]
_Value = TypeVar("_Value")


class _Order(IntEnum):
    """What goes first when there is more to do than a round does."""

    CLOSE = 0
    RENEW = 1
    OPEN = 2


class _Action(NamedTuple):
    order: _Order
    work: Callable[[Channel], Awaitable[None]]
    channel: Channel


async def tend_channels(services: Services, revision: Revision, platform: Platform) -> int:
    """Bring the channels of a platform to what settings and mapping want; returns requests made.

    Call it as often as you like: a round takes place every 15 seconds. What one account's service
    answers is stored with its channel and raises nothing.
    """
    store, now = services.store, services.clock.now()
    settings = revision.settings
    if platform not in services.platforms:
        return 0
    if not settings.push.on and not store.push.any(platform):
        return 0
    last = _moment(store.runs.facts(platform.value).get(TENDED_AT))
    if last is not None and timedelta(0) <= now - last < EVERY:
        return 0
    store.runs.set_facts(platform.value, **{TENDED_AT: iso(now)})
    if settings.push.on:
        store.push.listen(now)
    else:
        store.push.stop_listening()
    if store.push.untold(platform, now - FAIR):
        store.push.judge(platform, now - FAIR, FAIR)
    synced = members(store, settings, platform, now).synced
    return await _Round(services, settings, platform, synced, now).tend()


@dataclass
class _Round:
    """One look at all channels of a platform, and what has to be done about them."""

    services: Services
    settings: Settings
    platform: Platform
    members: Mapping[str, MappedUser]
    now: datetime
    requests: int = 0
    _todo: list[_Action] = field(default_factory=list)
    _refused: dict[_Place, list[Channel]] = field(default_factory=lambda: defaultdict(list))
    _blocked: bool = False
    _chance: random.Random = field(default_factory=random.SystemRandom)

    def __post_init__(self) -> None:
        """Where the requests go, and until when."""
        self.service: PushService = self.services.platforms[self.platform].push
        self.store = self.services.store.push
        self.key = self.services.identity.push_key
        self._until = self.services.clock.monotonic() + LONGEST

    async def tend(self) -> int:
        """Close what is not wanted, then renew, then open."""
        channels = self.store.channels(self.platform)
        if self.settings.push.on and await self._list_again(channels):
            channels = self.store.channels(self.platform)
        self._plan(channels)
        facts = self.services.store.runs.facts(self.platform.value)
        self._before = facts.get(BLOCKED) or {}
        until = _moment(self._before.get("until"))
        self._blocked = until is not None and until > self.now
        if self._blocked or self.services.store.runs.fault(self.platform) is not None:
            self._todo = [each for each in self._todo if each.order is _Order.CLOSE]
        self._todo.sort(key=lambda each: each.order)
        await together((self._do(action) for action in self._todo[:MOST]), AT_ONCE)
        return self.requests

    async def _do(self, action: _Action) -> None:
        if self.services.clock.monotonic() >= self._until:
            return
        if action.order is _Order.CLOSE or not self._blocked:
            await action.work(action.channel)

    # --- what is wanted -----------------------------------------------------------------------

    def _plan(self, channels: Iterable[Channel]) -> None:
        wanted = self._wanted()
        kept: dict[_Place, list[Channel]] = defaultdict(list)
        past: dict[_Place, Channel] = {}
        for channel in channels:
            place = (channel.user_id, channel.calendar)
            fits = (
                place in wanted
                and channel.account == wanted[place]
                and channel.address == self.settings.push.address
            )
            if self._over(channel):
                self.store.drop(channel.id)
                past[place] = channel
            elif channel.state is ChannelState.STOPPING:
                if not self._later(channel):
                    self._todo.append(_Action(_Order.CLOSE, self._close, channel))
            elif channel.state is ChannelState.REFUSED:
                if fits:
                    self._refused[place].append(channel)
                else:
                    self.store.drop(channel.id)
            elif fits:
                kept[place].append(channel)
            elif channel.state is ChannelState.OPEN:
                self._stop(channel)
        for place, account in sorted(wanted.items()):
            self._keep(place, account, kept[place], past.get(place))

    def _wanted(self) -> dict[_Place, str]:
        """The account of each (user, calendar) that shall have a channel."""
        if not self.settings.push.on:
            return {}
        return {
            (user_id, calendar): user.account
            for user_id, user in self.members.items()
            for calendar in watched(self.settings, user)
        }

    def _over(self, channel: Channel) -> bool:
        """Nothing is open any more, or nobody can know."""
        if channel.state is ChannelState.OPENING:
            return self.now - channel.opened_at >= UNKNOWN_FOR
        if channel.expires_at is not None and channel.expires_at <= self.now:
            return True
        return channel.told == Told.REMOVED

    def _stop(self, channel: Channel) -> None:
        self.store.stopping([channel.id], self.now)
        self._todo.append(_Action(_Order.CLOSE, self._close, channel))

    def _keep(
        self, place: _Place, account: str, living: list[Channel], past: Channel | None
    ) -> None:
        """One channel for this place: open, renew, or let the newer of two take over."""
        refused = self._refused.get(place, [])
        if any(self._later(each) for each in refused):
            return
        if not living:
            before = max([*refused, *([past] if past else [])], key=_opened, default=None)
            draft = self._draft(place, account, before)
            self._todo.append(_Action(_Order.OPEN, self._open, draft))
            return
        living.sort(key=_opened)
        newest = living[-1]
        if newest.state is not ChannelState.OPEN:
            return
        proved = newest.delivered_at is not None or self.now - newest.opened_at >= OVERLAP
        for old in living[:-1] if proved else []:
            self._stop(old)
        if self._later(newest):
            return
        if self.service.renews:
            self._todo.append(_Action(_Order.RENEW, self._renew, newest))
        else:
            draft = self._draft(place, account, newest)
            self._todo.append(_Action(_Order.RENEW, self._open, draft))

    def _later(self, channel: Channel) -> bool:
        return channel.next_at is not None and channel.next_at > self.now

    def _draft(self, place: _Place, account: str, before: Channel | None) -> Channel:
        """A channel to be opened."""
        user_id, calendar = place
        shown = {name: getattr(before, name) for name in _SHOWN} if before is not None else {}
        if before is not None and before.state is ChannelState.REFUSED:
            shown["tries"] = before.tries
        return Channel(
            id=uuid.uuid4().hex,
            platform=self.platform.value,
            user_id=user_id,
            account=account,
            calendar=calendar,
            address=self.settings.push.address,
            state=ChannelState.OPENING,
            opened_at=self.now,
            **shown,
        )

    # --- requests -----------------------------------------------------------------------------

    async def _open(self, channel: Channel) -> None:
        for refused in self._refused.get((channel.user_id, channel.calendar), ()):
            self.store.drop(refused.id)
        # Before the service knows the id: its first message may come before its answer.
        self.store.add(channel)
        try:
            self._grant(channel, await self._ask(self.service.open(self._wish(channel))))
        except OutcomeUnknown:
            return
        except SyncError as error:
            self._note(channel, ChannelState.REFUSED, error)

    async def _renew(self, channel: Channel) -> None:
        try:
            renewed = await self._ask(self.service.renew(self._wish(channel), channel.remote_id))
            self._grant(channel, renewed)
        except NotFound:
            # Ended without a word; the next round opens another.
            self.store.drop(channel.id)
        except SyncError as error:
            self._note(channel, ChannelState.OPEN, error)

    async def _close(self, channel: Channel) -> None:
        try:
            await self._ask(self.service.close(channel.id, channel.remote_id, channel.account))
        except (NotFound, UserUnavailable, BadItem):
            # Nothing of ours can be done there: it ends by itself, and is refused until then.
            pass
        except SyncError as error:
            if channel.tries + 1 < MOST_TRIES:
                self._note(channel, ChannelState.STOPPING, error)
                return
        self.store.drop(channel.id)

    async def _ask(self, request: Awaitable[_Value]) -> _Value:
        self.requests += 1
        try:
            with waiting_at_most(WAITS):
                return await request
        except Exception as caught:
            raise as_ours(caught) from None

    def _wish(self, channel: Channel) -> Wanted:
        return Wanted(
            channel.id,
            channel_token(self.key, channel.id),
            channel.account,
            channel.calendar,
            channel.address,
            self.now + self.service.life,
        )

    def _grant(self, channel: Channel, granted: Granted) -> None:
        life = max(granted.expires_at - self.now, timedelta(0))
        share = RENEW_AT - JITTER * self._chance.random()
        self.store.granted(channel.id, granted, self.now + life * share)
        if self._before:
            self._before = {}
            self.services.store.runs.take_fact(self.platform.value, BLOCKED)

    def _note(self, channel: Channel, state: ChannelState, error: SyncError) -> None:
        """Store what was refused, and when it is tried again."""
        everybody = error.code in OF_ADDRESS or isinstance(error, TenantMisconfigured)
        tries = self._before.get("tries", 0) if everybody else channel.tries
        pause = min(FIRST_RETRY * 2 ** min(tries, 10), LAST_RETRY)
        if isinstance(error, RateLimited) and error.retry_after is not None:
            pause = max(pause, timedelta(seconds=error.retry_after))
        elif not everybody and not isinstance(error, TransientError):
            pause = RETRY_REFUSED if isinstance(error, BadItem) else LAST_RETRY
        again = self.now + pause
        if everybody and not self._blocked:
            self._blocked = True
            said = {"code": error.code, "until": iso(again), "tries": tries + 1}
            self.services.store.runs.set_facts(self.platform.value, **{BLOCKED: said})
        self.store.refused(channel.id, state, error.code, channel.tries + 1, again)
        logger.info("push: %s for %s: %s", state.value, channel.account, error.code)

    # --- a lost database, and what ended without a word ---------------------------------------

    async def _list_again(self, channels: list[Channel]) -> bool:
        """Once a day, and where nothing is known: what does the service say is open?"""
        runs, name = self.services.store.runs, self.platform.value
        last = _moment(runs.facts(name).get(LISTED_AT))
        known = any(each.state is ChannelState.OPEN for each in channels)
        if last is not None and self.now - last < (LIST_EVERY if known else LAST_RETRY):
            return False
        runs.set_facts(name, **{LISTED_AT: iso(self.now)})
        self.store.forget_delays(self.now)
        address = self.settings.push.address
        try:
            listed = await self._ask(self.service.listed(address))
        except SyncError as error:
            logger.info("push: the list of subscriptions of %s: %s", name, error.code)
            return False
        if listed is None:
            self.requests -= 1
            return False
        known_ids = {each.remote_id for each in channels}
        opening = {each.account for each in channels if each.state is ChannelState.OPENING}
        foreign = [
            each
            for each in listed
            if each.remote_id not in known_ids and each.account not in opening
        ]
        # After a lost database: whose notices nobody can tell any more are opened anew.
        for one in foreign[:MOST]:
            try:
                await self._ask(self.service.close("", one.remote_id, one.account))
            except SyncError as error:
                logger.info("push: a subscription of %s stays: %s", one.account, error.code)
        if len(foreign) > MOST:
            runs.take_fact(name, LISTED_AT)
        there = {each.remote_id for each in listed}
        gone = [
            each
            for each in channels
            if each.state is ChannelState.OPEN
            and each.remote_id not in there
            and self.now - each.opened_at >= OVERLAP
        ]
        for channel in gone:
            self.store.drop(channel.id)
        return bool(gone)


def _opened(channel: Channel) -> datetime:
    return channel.opened_at


def _moment(value: Any) -> datetime | None:
    found = parse_iso(value) if isinstance(value, str) else None
    return found if isinstance(found, datetime) else None
