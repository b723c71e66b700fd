"""What arrives, understood as far as needed: which channel it is for, and whether it is genuine.

Nothing else of a request is looked at, kept, logged or answered.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calendar_sync.core.model.push import Told
from calendar_sync.push.keys import channel_token, same
from calendar_sync.state.push import Heard

#: Notices in one request of Graph's; it documents no number, and batches of hundreds are seen.
MOST_TOGETHER = 1_000
#: Characters of a validation token. Those of Graph's have some 100 to 300.
LONGEST_VALIDATION = 1_024
_ID = re.compile(r"[0-9a-f]{32}")
_VALIDATION = re.compile(r"[\x20-\x7e]{1,1024}")
_SYNC = "sync"
_LONGEST_SECRET = 256


@dataclass(frozen=True)
class Genuine:
    """Notices whose secrets are right, by channel."""

    heard: tuple[tuple[str, Heard], ...] = ()


def of_google(headers: Mapping[str, str], key: str) -> Genuine:
    """A message of Google's: it has no body.

    https://developers.google.com/workspace/calendar/api/guides/push
    """
    channel_id = headers.get("x-goog-channel-id", "")
    if not _right(channel_id, headers.get("x-goog-channel-token", ""), key):
        return Genuine()
    # The first message of a channel says that it works, not that something changed.
    changes = 0 if headers.get("x-goog-resource-state") == _SYNC else 1
    return Genuine(((channel_id, Heard(changes)),))


def of_microsoft(body: Any, key: str) -> Genuine:
    """Notices of Graph's, or messages about subscriptions: those that are genuine.

    https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
    """
    rows = body.get("value") if isinstance(body, Mapping) else None
    heard: list[tuple[str, Heard]] = []
    for row in rows[:MOST_TOGETHER] if isinstance(rows, list) else ():
        said = row.get("clientState") if isinstance(row, Mapping) else None
        channel_id, _, secret = said.partition(".") if isinstance(said, str) else ("", "", "")
        if _right(channel_id, secret, key):
            heard.append((channel_id, _heard(row.get("lifecycleEvent"))))
    return Genuine(tuple(heard))


def validation_token(value: str) -> str | None:
    """A token to send back; None for what none of Graph's looks like."""
    return value if _VALIDATION.fullmatch(value) else None


def _heard(event: Any) -> Heard:
    if event is None:
        return Heard(1)
    try:
        told = Told(event)
    except ValueError:
        # A message that did not exist yet: look at the calendar, no more.
        return Heard(1)
    # A subscription that is to be prolonged has told of everything so far.
    return Heard(0 if told is Told.REAUTHORIZE else 1, told)


def _right(channel_id: str, secret: str, key: str) -> bool:
    if not _ID.fullmatch(channel_id) or len(secret) > _LONGEST_SECRET:
        return False
    return same(secret, channel_token(key, channel_id))
