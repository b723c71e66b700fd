"""Subscriptions that a service lists, and what the state database knows of them.

After a lost database they are found again: the secret that a subscription sends names our channel,
and proves that our key made it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from calendar_sync.config.settings import PRIMARY
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.core.model.push import ChannelState, Listed
from calendar_sync.push.keys import channel_token, same
from calendar_sync.state.push import Channel


@dataclass(frozen=True)
class Again:
    """What a list says: `adopted` are ours and unknown here, `gone` are known and no longer there.

    `foreign` (id, account) send to our address and cannot be used: another key made them, or
    nobody wants them.
    """

    adopted: list[Channel]
    gone: list[Channel]
    foreign: list[tuple[str, str]]


def found_again(
    listed: Iterable[Listed],
    channels: Iterable[Channel],
    members: Mapping[str, MappedUser],
    key: str,
    address: str,
    now: datetime,
) -> Again:
    """Compare. All of `listed` send to `address`."""
    channels = list(channels)
    known = {each.remote_id: each for each in channels if each.remote_id}
    ids = {each.id for each in channels}
    held = {each.account.lower() for each in channels if each.state is ChannelState.OPEN}
    users = {user.account.lower(): user for user in members.values()}
    adopted: list[Channel] = []
    foreign: list[tuple[str, str]] = []
    seen: set[str] = set()
    for one in listed:
        seen.add(one.remote_id)
        channel_id, _, secret = one.secret.partition(".")
        if one.remote_id in known:
            continue
        user = users.get(one.account)
        ours = bool(channel_id) and same(secret, channel_token(key, channel_id))
        if ours and channel_id in ids:
            # Being opened: its answer is on the way.
            continue
        if not ours or user is None or one.account in held:
            foreign.append((one.remote_id, one.account))
            continue
        held.add(one.account)
        adopted.append(_adopted(one, channel_id, user, address, now))
    open_ones = (each for each in channels if each.state is ChannelState.OPEN)
    gone = [each for each in open_ones if each.remote_id not in seen]
    return Again(adopted, gone, foreign)


def _adopted(
    one: Listed, channel_id: str, user: MappedUser, address: str, now: datetime
) -> Channel:
    """Renewed in the next round: then its life is known to us, too."""
    return Channel(
        id=channel_id,
        platform=Platform.MICROSOFT.value,
        user_id=user.user_id,
        account=user.account,
        calendar=PRIMARY,
        address=address,
        state=ChannelState.OPEN,
        opened_at=now,
        remote_id=one.remote_id,
        expires_at=one.expires_at,
        next_at=now,
    )
