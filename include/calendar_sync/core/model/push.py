"""Push: what we ask a calendar system to tell us, and what it grants."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ChannelState(StrEnum):
    """Where a channel (Google) or subscription (Microsoft) stands.

    OPENING: asked for, the answer is not known. OPEN: granted. STOPPING: no longer wanted, the
    service has not confirmed it. REFUSED: the service would not open it; the code says why.
    Closed channels have no row.
    """

    OPENING = "opening"
    OPEN = "open"
    STOPPING = "stopping"
    REFUSED = "refused"


#: Notices of these are taken.
HEARD = (ChannelState.OPENING, ChannelState.OPEN)


class Told(StrEnum):
    """What a service says about a subscription itself, not about a calendar.

    https://learn.microsoft.com/graph/change-notifications-lifecycle-events
    """

    MISSED = "missed"
    REAUTHORIZE = "reauthorizationRequired"
    REMOVED = "subscriptionRemoved"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A channel that we want.

    Attributes:
        id: ours, 32 hexadecimal digits; comes back with each notice.
        token: the secret that a notice must carry.
        account: the mailbox.
        calendar: id of the calendar, `primary` for the main one; ignored where a subscription
            covers the whole mailbox.
        address: the public address of the receiver, without a slash at its end.
        until: how long we would like it to live; the service may grant less.
    """

    id: str
    token: str
    account: str
    calendar: str
    address: str
    until: datetime

    def __repr__(self) -> str:
        """Without the token."""
        return f"Wanted(id={self.id!r})"


@dataclass(frozen=True, slots=True)
class Granted:
    """A channel that a service has opened: its own id for it, and when it ends."""

    remote_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ListedChannel:
    """A subscription that a service says it has for our address; its secret is not told."""

    remote_id: str
    account: str
