"""Notification channels of Google Calendar.

https://developers.google.com/workspace/calendar/api/guides/push. A channel cannot be prolonged, and
nothing lists channels: what is not in the state database ends by itself, after a week.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from calendar_sync.adapters.http import HttpClient, TokenSource
from calendar_sync.core.codes import GoogleCode, NetworkCode
from calendar_sync.core.errors import (
    BadItem,
    NotFound,
    OutcomeUnknown,
    TenantMisconfigured,
    TokenRejected,
    UserUnavailable,
)
from calendar_sync.core.model.push import Granted, ListedChannel, Wanted

#: Where notices go, below the address of the receiver.
PATH = "/google"


class GooglePush:
    """Channels of all accounts, each opened with the account's own delegated token."""

    renews = False
    covers_mailbox = False
    life = timedelta(days=7)

    def __init__(self, http: HttpClient, token_of: Callable[[str], TokenSource]) -> None:
        self._http = http
        self._token_of = token_of

    async def open(self, wanted: Wanted) -> Granted:
        """See `PushService.open`."""
        path = f"/calendar/v3/calendars/{quote(wanted.calendar, safe='')}/events/watch"
        body = {
            "id": wanted.id,
            "type": "web_hook",
            "address": wanted.address + PATH,
            "token": wanted.token,
            "expiration": str(int(wanted.until.timestamp() * 1000)),
        }
        answer = await self._post("channels.watch", path, body, wanted.account)
        return _granted(answer, wanted.until)

    async def renew(self, wanted: Wanted, remote_id: str) -> Granted:
        """There is no such thing."""
        raise NotImplementedError

    async def close(self, channel_id: str, remote_id: str, account: str) -> None:
        """See `PushService.close`."""
        body = {"id": channel_id, "resourceId": remote_id}
        try:
            await self._post("channels.stop", "/calendar/v3/channels/stop", body, account)
        except NotFound:
            return

    async def listed(self, address: str) -> list[ListedChannel] | None:
        """Google does not tell."""
        return None

    async def _post(self, kind: str, path: str, body: Mapping[str, str], account: str) -> Any:
        try:
            answer = await self._http.request(
                f"google.{kind}",
                "POST",
                path,
                json=body,
                token=self._token_of(account),
            )
        except BadItem as error:
            if error.detail == "channelIdNotUnique":
                # An earlier attempt has opened it, and its answer is lost: so is what stops it.
                raise OutcomeUnknown(GoogleCode.DUPLICATE) from None
            raise
        except TokenRejected:
            raise UserUnavailable(GoogleCode.UNAUTHORIZED, detail=account) from None
        except (UserUnavailable, TenantMisconfigured) as error:
            error.detail = account
            raise
        return answer.json


def _granted(body: Any, wished: datetime) -> Granted:
    """The answer. A channel without an end is taken to end as was wished."""
    resource = body.get("resourceId") if isinstance(body, Mapping) else None
    if not isinstance(resource, str) or not resource or len(resource) > 255:
        raise OutcomeUnknown(NetworkCode.UNREADABLE_ANSWER)
    end = body.get("expiration")
    if not isinstance(end, str | int) or not str(end).isdigit() or len(str(end)) > 14:
        return Granted(resource, wished)
    return Granted(resource, datetime.fromtimestamp(int(end) / 1000, UTC))
