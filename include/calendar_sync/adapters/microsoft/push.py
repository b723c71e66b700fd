"""Subscriptions of Microsoft Graph to the events of a mailbox.

https://learn.microsoft.com/graph/api/resources/subscription. The client state is our id and our
secret, so that a notice can be told before the answer to the creation has come.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

from calendar_sync.adapters.http import HttpClient, TokenSource
from calendar_sync.adapters.microsoft.addresses import VERSION, user
from calendar_sync.adapters.microsoft.errors import concerning
from calendar_sync.core.codes import MicrosoftCode, NetworkCode
from calendar_sync.core.errors import (
    BadItem,
    NotFound,
    OutcomeUnknown,
    TransientError,
    UserUnavailable,
)
from calendar_sync.core.model import iso, parse_iso
from calendar_sync.core.model.push import Granted, ListedChannel, Wanted

#: Where notices go, and messages about subscriptions, below the address of the receiver.
PATH, LIFECYCLE = "/microsoft", "/microsoft/lifecycle"
# Pages disagree on the longest life: 10,080 minutes, or 4,230. Ten less leave time for the clocks.
LIFE, SHORTER_LIFE = timedelta(minutes=10_070), timedelta(minutes=4_220)
LONGEST_LIST = 1_000
_MAILBOX = re.compile(r"/?users/([^/]{1,400})/events", re.IGNORECASE)


class MicrosoftPush:
    """Subscriptions of all mailboxes, through the app's token."""

    renews = True
    covers_mailbox = True
    life = LIFE

    def __init__(
        self, http: HttpClient, root: str, token: TokenSource, now: Callable[[], datetime]
    ) -> None:
        self._http = http
        self._root = root
        self._token = token
        self._now = now

    async def open(self, wanted: Wanted) -> Granted:
        """See `PushService.open`."""
        body = {
            "changeType": "created,updated,deleted",
            "notificationUrl": wanted.address + PATH,
            "lifecycleNotificationUrl": wanted.address + LIFECYCLE,
            "resource": f"{user(wanted.account).removeprefix(VERSION)}/events",
            "clientState": client_state(wanted.id, wanted.token),
        }
        try:
            return await self._ask("create", "POST", "subscriptions", body, wanted)
        except NotFound:
            raise UserUnavailable(MicrosoftCode.ACCOUNT_UNKNOWN, detail=wanted.account) from None

    async def renew(self, wanted: Wanted, remote_id: str) -> Granted:
        """See `PushService.renew`; it answers `reauthorizationRequired`, too."""
        with _gone():
            return await self._ask("renew", "PATCH", _path(remote_id), {}, wanted)

    async def close(self, channel_id: str, remote_id: str, account: str) -> None:
        """See `PushService.close`."""
        with contextlib.suppress(NotFound), concerning(account), _gone():
            await self._http.request(
                "microsoft.subscriptions.delete",
                "DELETE",
                VERSION + _path(remote_id),
                token=self._token,
            )

    async def listed(self, address: str) -> list[ListedChannel] | None:
        """See `PushService.listed`."""
        found: list[ListedChannel] = []
        path = f"{VERSION}subscriptions"
        for _ in range(LONGEST_LIST):
            with concerning(""):
                answer = await self._http.request(
                    "microsoft.subscriptions.list", "GET", path, token=self._token
                )
            body = answer.json if isinstance(answer.json, Mapping) else {}
            rows = body.get("value")
            for row in rows if isinstance(rows, list) else ():
                if isinstance(row, Mapping) and row.get("notificationUrl") == address + PATH:
                    found += _listed(row)
            following = body.get("@odata.nextLink")
            if following is None:
                return found
            if not isinstance(following, str) or not following.startswith(self._root + "/"):
                raise TransientError(MicrosoftCode.FOREIGN_LINK)
            path = following.removeprefix(self._root)
        raise TransientError(MicrosoftCode.ENDLESS_LIST)

    async def _ask(
        self, kind: str, method: str, path: str, body: Mapping[str, str], wanted: Wanted
    ) -> Granted:
        until = wanted.until
        while True:
            try:
                with concerning(wanted.account):
                    answer = await self._http.request(
                        f"microsoft.subscriptions.{kind}",
                        method,
                        VERSION + path,
                        json={**body, "expirationDateTime": iso(until)},
                        token=self._token,
                        repeatable=method == "PATCH",
                    )
            except BadItem as error:
                shorter = self._now() + SHORTER_LIFE
                if error.code != MicrosoftCode.PUSH_LIFE_REFUSED or until <= shorter:
                    raise
                until = shorter
                continue
            return _granted(answer.json, until)


@contextlib.contextmanager
def _gone() -> Iterator[None]:
    """Of a subscription, Graph's "no such object" is about itself, not about its mailbox."""
    try:
        yield
    except UserUnavailable as error:
        if error.code != MicrosoftCode.ACCOUNT_UNKNOWN:
            raise
        raise NotFound(MicrosoftCode.NOT_FOUND) from None


def client_state(channel_id: str, token: str) -> str:
    """What comes back with each notice: 128 characters at most."""
    return f"{channel_id}.{token}"


def _path(remote_id: str) -> str:
    return f"subscriptions/{quote(remote_id, safe='')}"


def _granted(body: Any, wished: datetime) -> Granted:
    remote_id = body.get("id") if isinstance(body, Mapping) else None
    if not isinstance(remote_id, str) or not remote_id or len(remote_id) > 255:
        raise OutcomeUnknown(NetworkCode.UNREADABLE_ANSWER)
    return Granted(remote_id, _moment(body.get("expirationDateTime")) or wished)


def _listed(row: Mapping[str, Any]) -> list[ListedChannel]:
    remote_id, resource = row.get("id"), row.get("resource")
    mailbox = _MAILBOX.fullmatch(resource) if isinstance(resource, str) else None
    if not isinstance(remote_id, str) or mailbox is None:
        return []
    return [ListedChannel(remote_id, unquote(mailbox[1]).lower())]


def _moment(value: Any) -> datetime | None:
    try:
        found = parse_iso(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if isinstance(found, datetime) else None
