"""What push means for polls: who is asked at once, who less often, and what it failed to tell.

A notice says that something changed, and nothing else counts of it: the poll that follows decides
whether there is work. Losing all of them loses no change, since polls go on.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from calendar_sync.config.settings import PRIMARY, Calendars, Settings
from calendar_sync.core.model import MappedUser, Platform, Step, parse_iso
from calendar_sync.core.model.push import ChannelState
from calendar_sync.state import Store
from calendar_sync.state.marks import Pair, UserSync
from calendar_sync.state.push import Channel, PushStanding

#: Notices make an account be polled so often at most, whoever sends them; and once more for each
#: time that the sync itself wrote there, or that the poll before found a change.
EVERY = timedelta(minutes=1)
#: They make Welkin's feeds be read so often at most.
FEEDS_EVERY = timedelta(seconds=5)
#: Steps of a cycle that notices tell of.
CALENDAR_WRITES = frozenset({Step.CREATE_MIRROR, Step.UPDATE_MIRROR, Step.DELETE_MIRROR})
#: A notice that comes within this time of the poll that found the change was merely slow.
FAIR = timedelta(minutes=3)
LONGEST_DELAY = timedelta(hours=4)


def watched(settings: Settings, user: MappedUser) -> tuple[str, ...]:
    """Which calendars of an account have channels: Microsoft's tell of a whole mailbox.

    None where only busy times are read: channels tell of events.
    """
    if settings.of(user.profile).block_time.source == "free_busy":
        return ()
    if user.platform is Platform.GOOGLE:
        return settings.calendars_for(user).all
    return (PRIMARY,)


def written_calendar(calendars: Calendars, platform: Platform) -> str:
    """The one of them that tells of mirrors."""
    return calendars.mirrors if platform is Platform.GOOGLE else PRIMARY


@dataclass(frozen=True)
class Found:
    """A poll found changes in one calendar; `version` is when the newest was made, as text."""

    calendar: str
    version: str = ""


@dataclass(frozen=True)
class Pushed:
    """What notices mean for polls of one platform at one moment; empty while push is off.

    While the receiver does not run, no notice is relied upon.

    `channels` are those of the users to be polled.
    """

    platform: Platform
    settings: Settings = field(default_factory=Settings)
    stretched: timedelta = timedelta(0)
    standing: Mapping[str, PushStanding] = field(default_factory=dict)
    channels: Mapping[str, list[Channel]] = field(default_factory=dict)

    @classmethod
    def read(
        cls,
        store: Store,
        settings: Settings,
        platform: Platform,
        now: datetime,
        users: Collection[str] | None = None,
    ) -> "Pushed":
        """As the state database has it, without channels; of these users alone, if given."""
        if not settings.push.on:
            return cls(platform)
        standing = store.push.standing(platform, now, now - EVERY, users)
        silent = store.push.receiver_silent(now)
        stretched = timedelta(0) if silent else pushed_interval(settings, platform)
        return cls(platform, settings, stretched, standing)

    def polling(self, store: Store, users: Iterable[str]) -> "Pushed":
        """The same, with the channels of these users, as they are before they are polled."""
        users = [user_id for user_id in users if user_id in self.standing]
        channels: dict[str, list[Channel]] = defaultdict(list)
        for channel in store.push.channels(self.platform, users) if users else ():
            channels[channel.user_id].append(channel)
        return replace(self, channels=channels)

    def interval(self, user: MappedUser, plain: timedelta) -> timedelta:
        """Time between two polls of an account, `plain` where notices cannot be relied upon."""
        found = self.standing.get(user.user_id)
        if found is None:
            return plain
        reliable = found.healthy >= max(1, len(watched(self.settings, user)))
        return max(plain, self.stretched) if reliable else plain

    def wanted(self, user_id: str) -> bool:
        """A notice came, and the last poll because of one is a minute ago.

        The notice of the sync's own write does not count, nor one that was right: a person's edit
        right after it waits for no minute.
        """
        found = self.standing.get(user_id)
        return found is not None and found.wanted

    def record(
        self,
        store: Store,
        connection: Connection,
        *,
        asked: Collection[Pair],
        answered: Collection[Pair],
        found: Mapping[Pair, Found],
        states: Mapping[Pair, UserSync],
        now: datetime,
    ) -> None:
        """Note what one round of polls has answered, in the caller's transaction.

        Args:
            store: the state database.
            connection: the transaction.
            asked: everybody polled.
            answered: those whose calendars answered.
            found: those of them where something had changed.
            states: as they were before the round.
            now: the time.
        """
        if not self.channels:
            return
        wanted = [c for pair in asked for c in self._of(pair[0]) if c.wanted]
        store.push.asked(connection, {each.id for each in wanted}, now, now - EVERY)
        users = {user_id for user_id, _ in answered}
        seen = {each.id: each.notices for each in wanted if each.user_id in users}
        store.push.answer(connection, seen, now)
        told: dict[str, float | None] = {}
        untold: set[str] = set()
        for pair, what in found.items():
            concerned = [each for each in self._of(pair[0]) if self._tells_of(each, what)]
            if any(each.wanted for each in concerned):
                told |= {each.id: _delay(each, what) for each in concerned if each.wanted}
            else:
                state = states.get(pair)
                before = state.last_poll_at if state is not None else None
                untold |= {each.id for each in concerned if _should_have_told(each, before)}
        store.push.found(connection, told, untold, self.platform, now)

    def _of(self, user_id: str) -> Iterable[Channel]:
        return self.channels.get(user_id, ())

    def _tells_of(self, channel: Channel, found: Found) -> bool:
        return self.platform is not Platform.GOOGLE or channel.calendar == found.calendar


def _should_have_told(channel: Channel, before: datetime | None) -> bool:
    """It worked once, and was open all the time in which the change may have been made."""
    return (
        channel.state is ChannelState.OPEN
        and channel.delivered_at is not None
        and before is not None
        and channel.opened_at <= before
    )


def _delay(channel: Channel, found: Found) -> float | None:
    """Seconds from the change to its notice; None where they do not belong together."""
    try:
        made = parse_iso(found.version)
    except ValueError:
        return None
    if not isinstance(made, datetime) or channel.wanted_since is None:
        return None
    delay = channel.wanted_since - made
    # Clocks differ, and the newest change may have come after the first notice.
    return max(0.0, delay.total_seconds()) if delay <= LONGEST_DELAY else None


def pushed_interval(settings: Settings, platform: Platform) -> timedelta:
    """Time between two polls of an account whose notices come; zero for no stretching.

    Microsoft promises no time within which it tells of events: its mailboxes are polled as ever.
    """
    if settings.push.on and platform is Platform.GOOGLE:
        return timedelta(seconds=settings.push.poll_seconds)
    return timedelta(0)


def feeds_wanted(store: Store, now: datetime) -> int | None:
    """Welkin has told of a change: so many notices, to hand to `feeds_read`; None for nothing."""
    told = store.push.welkin()
    if told is None or not told.wanted:
        return None
    if told.asked_at is not None and now - told.asked_at < FEEDS_EVERY:
        return None
    return told.notices


def feeds_read(store: Store, notices: int, now: datetime) -> None:
    """The feeds were read because of these notices."""
    store.push.welkin_answered(notices, now)
