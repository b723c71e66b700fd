"""Push channels of the Google double: ``events.watch``, ``channels.stop``, and what they send.

https://developers.google.com/workspace/calendar/api/guides/push is the source of everything that
has no other one named here. A message has no body: its headers say which channel it belongs to,
never what changed.

Not published, so chosen here and open to a test: how far message numbers jump (1 to 3), how many
messages one edit causes (1 or 2 while the world is unfriendly), the longest life of a channel (a
longer wish is cut), how long a stopped channel goes on (``after_stop``; that it does is reported:
https://github.com/googleapis/google-api-nodejs-client/issues/1402).
"""

from __future__ import annotations

import hashlib
import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from calendar_sync_sandbox.google.delegation import SCOPE
from calendar_sync_sandbox.google.errors import GoogleError
from calendar_sync_sandbox.google.parameters import read_body, read_filter
from calendar_sync_sandbox.service import Reply

if TYPE_CHECKING:
    from calendar_sync_sandbox.google.store import Calendar, Json, Version
    from calendar_sync_sandbox.google.world import Account, GoogleWorld
    from calendar_sync_sandbox.outbox import Outbox
    from calendar_sync_sandbox.service import Call

#: Without those that are for calendars of the app's own and for public ones.
WATCH_SCOPES = frozenset(
    SCOPE + name
    for name in (
        "calendar", "calendar.readonly", "calendar.events", "calendar.events.freebusy",
        "calendar.events.owned", "calendar.events.owned.readonly", "calendar.events.readonly",
    )
)  # fmt: skip
STOP_SCOPES = WATCH_SCOPES | frozenset(
    SCOPE + name
    for name in (
        "calendar.acls", "calendar.acls.readonly", "calendar.app.created",
        "calendar.calendarlist", "calendar.calendarlist.readonly",
        "calendar.events.public.readonly", "calendar.settings", "calendar.settings.readonly",
    )
)  # fmt: skip
ID = re.compile(r"[A-Za-z0-9_\-+/=]{1,64}")
LONGEST_TOKEN = 256
LIFE = timedelta(days=7)
#: Asking too often for channels is answered so by Drive; Calendar publishes no limit.
REFUSALS = {
    "unauthorized": (
        401, "push.webhookUrlUnauthorized", "Unauthorized WebHook callback channel: {address}",
    ),
    "unsupported": (
        400, "pushNotSupportedForRequestedResource",
        "Push notifications are not supported by this resource.",
    ),
    "rate": (
        403, "subscriptionRateLimitExceeded",
        "Rate limit exceeded for creating file subscriptions.",
    ),
}  # fmt: skip


@dataclass(slots=True)
class Channel:
    """One channel.

    Attributes:
        id: chosen by the client.
        owner: who opened it; nobody else can stop it.
        calendar: what it watches.
        resource_id: opaque, the same for all channels of a calendar.
        resource_uri: the calendar as it was named in the request.
        address: where messages go.
        token: sent along, None where the client gave none.
        expires: as granted and told.
        ends: when messages end in truth; the same, until it is made to end unnoticed.
        stopped: when it was stopped.
        number: of its latest message.
    """

    id: str
    owner: Account
    calendar: Calendar
    resource_id: str
    resource_uri: str
    address: str
    token: str | None
    expires: datetime
    ends: datetime
    stopped: datetime | None = None
    number: int = 0

    def as_json(self) -> Json:
        """Describe it for the control API, without its token."""
        return {
            "id": self.id,
            "account": self.owner.email,
            "calendar": self.calendar.id,
            "resource_id": self.resource_id,
            "address": self.address,
            "expires": self.expires.isoformat(),
            "ends": self.ends.isoformat(),
            "stopped": self.stopped.isoformat() if self.stopped else None,
            "number": self.number,
        }


class Channels:
    """All channels, and how Google treats them.

    Attributes:
        all: channels by id, also those that ended.
        refuse: a word of ``REFUSALS`` with which every watch is refused, None for no refusal.
        unwatchable: ids of calendars that cannot be watched, as imported ones.
        life: how long a channel lives that asks for nothing.
        longest: how long one lives at most.
        after_stop: how long a stopped channel goes on.
    """

    def __init__(self, world: GoogleWorld, outbox: Outbox, seed: int) -> None:
        """Start without a channel."""
        self.world = world
        self.outbox = outbox
        self.random = random.Random(f"push-{seed}")  # noqa: S311 - reproducible, not secret
        self.all: dict[str, Channel] = {}
        self.refuse: str | None = None
        self.unwatchable: set[str] = set()
        self.life = LIFE
        self.longest = LIFE
        self.after_stop = timedelta(seconds=20)

    # What a client asks for

    def watch(self, call: Call, account: Account) -> Reply:
        """Answer ``events.watch``: open a channel and send its first message, ``sync``."""
        read_filter(call)
        named = call.params["calendar"]
        try:
            calendar = self.world.calendar(account.email, named)
        except KeyError:
            raise GoogleError(404) from None
        sent = read_body(call)
        channel_id, address, token = self._checked(sent)
        why = "unsupported" if calendar.id in self.unwatchable else self.refuse
        if why is not None:
            status, reason, message = REFUSALS[why]
            raise GoogleError(status, reason, message.format(address=address))
        expires = self._expiration(sent)
        root = f"{self.world.delegation.root}/google/calendar/v3"
        seal = hashlib.blake2b(calendar.id.encode(), digest_size=20, key=b"sandbox").hexdigest()
        channel = Channel(
            id=channel_id,
            owner=account,
            calendar=calendar,
            resource_id=f"r{seal[:26]}",
            resource_uri=f"{root}/calendars/{quote(named, safe='@')}/events?alt=json",
            address=address,
            token=token,
            expires=expires,
            ends=expires,
        )
        self.all[channel_id] = channel
        self._attend(channel)
        self._tell(channel, "sync")
        body = {
            "kind": "api#channel",
            "id": channel.id,
            "resourceId": channel.resource_id,
            "resourceUri": channel.resource_uri,
            "expiration": _milliseconds(expires),
        }
        if token is not None:
            body["token"] = token
        return Reply(200, body)

    def stop(self, call: Call, account: Account) -> Reply:
        """Answer ``channels.stop``, which needs the id and the resource's id of a live channel."""
        sent = read_body(call)
        for name in ("id", "resourceId"):
            if not sent.get(name):
                raise GoogleError(400, "required", "Required")
        channel = self.all.get(str(sent["id"]))
        if (
            channel is None
            or channel.resource_id != sent["resourceId"]
            or channel.owner is not account
            or channel.stopped is not None
            or channel.ends <= self.world.clock.now()
        ):
            name = str(sent["id"])[:64]
            raise GoogleError(
                404, "notFound", f"Channel '{name}' not found for project 'sandbox-project'"
            )
        channel.stopped = self.world.clock.now()
        return Reply(204)

    # What a test does

    def living(self, account: str | None = None) -> list[Channel]:
        """Return the channels, of one account or of all, that were neither stopped nor ended."""
        now = self.world.clock.now()
        return [
            channel
            for channel in self.all.values()
            if channel.stopped is None
            and channel.ends > now
            and (account is None or channel.owner.email.lower() == account.lower())
        ]

    def end(self, account: str | None = None) -> int:
        """End living channels before their time, without a word, and return how many."""
        ended = self.living(account)
        for channel in ended:
            channel.ends = self.world.clock.now()
        return len(ended)

    # What happens by itself

    def _attend(self, channel: Channel) -> None:
        def changed(_key: str, _version: Version) -> None:
            if self._ended(channel):
                channel.calendar.watchers.remove(changed)
            elif channel.owner.state == "ok":
                # Whoever made the change: our own writes are told too.
                twice = self.world.unfriendly and self.random.random() < 0.5
                for _ in range(2 if twice else 1):
                    self._tell(channel, "exists")

        channel.calendar.watchers.append(changed)

    def _ended(self, channel: Channel) -> bool:
        now = self.world.clock.now()
        stopped = channel.stopped is not None and now >= channel.stopped + self.after_stop
        return stopped or channel.ends <= now

    def _tell(self, channel: Channel, state: str) -> None:
        # The first message has the number 1; numbers only ever grow.
        channel.number += self.random.randint(1, 3) if channel.number else 1
        headers = {
            "content-type": "application/json; utf-8",
            "content-length": "0",
            "user-agent": "APIs-Google; "
            "(+https://developers.google.com/webmasters/APIs-Google.html)",
            "x-goog-channel-id": channel.id,
            "x-goog-channel-expiration": format_datetime(channel.expires, usegmt=True),
            "x-goog-resource-state": state,
            "x-goog-message-number": str(channel.number),
            "x-goog-resource-id": channel.resource_id,
            "x-goog-resource-uri": channel.resource_uri,
        }
        if channel.token is not None:
            headers["x-goog-channel-token"] = channel.token
        self.outbox.add("google", state, channel.id, channel.address, headers)

    def _checked(self, sent: Json) -> tuple[str, str, str | None]:
        """Check what was sent and return id, address and token."""
        channel_id, address, token = (sent.get(name) for name in ("id", "address", "token"))
        if not channel_id:
            raise GoogleError(400, "required", "Required: channel.id")
        if not isinstance(channel_id, str) or not ID.fullmatch(channel_id):
            raise GoogleError(400, "channelIdInvalid", "Invalid channel id")
        if sent.get("type") not in ("web_hook", "webhook"):
            raise GoogleError(400, "push.channelTypeNotSupported", "Channel type is not supported.")
        if not isinstance(address, str) or not address:
            raise GoogleError(400, "required", "Required: channel.address")
        if not isinstance(token, str | None) or len(token or "") > LONGEST_TOKEN:
            raise GoogleError(400, "invalid", "Invalid value for channel.token")
        scheme = "http" if self.outbox.allow_http and address.startswith("http:") else "https"
        try:
            parts = urlsplit(address)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme != scheme:
            raise GoogleError(
                400, "push.webhookUrlNotHttps", f"WebHook callback must be HTTPS: {address[:200]}"
            )
        if not parts.hostname or re.search(r"[\s\x00-\x1f]", address):
            raise GoogleError(400, "invalid", "Invalid value for channel.address")
        if channel_id in self.all:
            raise GoogleError(400, "channelIdNotUnique", f"Channel id {channel_id} not unique")
        return channel_id, address, token

    def _expiration(self, sent: Json) -> datetime:
        """Read the wish for a life; the shorter of two wishes counts, and none beyond the longest.

        ``expiration`` is milliseconds since 1970, ``params.ttl`` a number of seconds; the API
        declares both as text.
        """
        now = self.world.clock.now()
        wishes = []
        if sent.get("expiration") is not None:
            text = str(sent["expiration"])
            if not text.isdigit() or len(text) > 14:
                raise GoogleError(400, "invalid", "Invalid value for channel.expiration")
            wishes.append(datetime.fromtimestamp(int(text) / 1000, UTC))
        params = sent.get("params")
        if params is not None:
            ttl = str(params.get("ttl", "")) if isinstance(params, dict) else "?"
            if ttl:
                if not ttl.isdigit() or len(ttl) > 9:
                    raise GoogleError(400, "invalid", "Invalid value for channel.params.ttl")
                wishes.append(now + timedelta(seconds=int(ttl)))
        wish = min(wishes, default=now + self.life)
        if wish <= now:
            raise GoogleError(400, "invalid", "The channel would have expired already.")
        # Milliseconds are the finest that can be told.
        wish = min(wish, now + self.longest)
        return wish.replace(microsecond=wish.microsecond // 1000 * 1000)


def _milliseconds(moment: datetime) -> str:
    return str(round(moment.timestamp() * 1000))
