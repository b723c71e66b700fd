"""The calendars of mailboxes themselves: listed, made, deleted.

https://learn.microsoft.com/graph/api/user-list-calendars and user-post-calendars: application
permission Calendars.ReadWrite, which mirrors need anyway.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

from calendar_sync.adapters.http import Answer, HttpClient, TokenSource
from calendar_sync.adapters.microsoft import addresses
from calendar_sync.adapters.microsoft.errors import concerning
from calendar_sync.adapters.microsoft.slots import Slots
from calendar_sync.core.codes import Code, MicrosoftCode
from calendar_sync.core.errors import (
    BadItem,
    Duplicate,
    NotFound,
    OutcomeUnknown,
    TransientError,
    UserUnavailable,
)
from calendar_sync.core.model import CalendarEntry

LONGEST_LIST = 100
_PREFER = {"Prefer": 'IdType="ImmutableId"'}
_LIST = {"$select": "id,name,owner,isDefaultCalendar", "$top": "100"}
_EVENTS = {"$select": "id", "$top": "1"}
#: A folder of this name exists. The status is 409 or 400.
_EXISTS = "ErrorFolderExists"


class MicrosoftCalendars:
    """See `CalendarService`.

    Args:
        http: the client of Graph's host.
        root: the base URL of that client: links of pages must begin with it.
        token: the tenant's token.
        slots: the places of requests that are under way.
    """

    def __init__(self, http: HttpClient, root: str, token: TokenSource, slots: Slots) -> None:
        self._http = http
        self._root = root
        self._token = token
        self._slots = slots

    async def listed(self, account: str) -> list[CalendarEntry]:
        """See `CalendarService.listed`. Those that others share have another owner."""
        path, params, rows = f"{addresses.user(account)}/calendars", _LIST, list[Any]()
        for _ in range(LONGEST_LIST):
            some, path = _page(await self._get("list", account, path, params), self._root)
            rows += some
            if not path:
                break
            params = {}
        else:
            raise TransientError(MicrosoftCode.ENDLESS_LIST, detail=account)
        rows = [row for row in rows if isinstance(row, Mapping) and isinstance(row.get("id"), str)]
        # An account may be an object id: the main calendar says which address is the owner's.
        mine = {_owner(row) for row in rows if row.get("isDefaultCalendar")} or {account.lower()}
        return [
            CalendarEntry(row["id"], str(row.get("name", "")), _owner(row) in mine) for row in rows
        ]

    async def missing_rights(self, account: str) -> list[Code]:
        """See `CalendarService.missing_rights`. One permission is for events and calendars.

        That it covers writing, `check_access` tells.
        """
        await self.listed(account)
        return []

    async def make(self, account: str, name: str) -> str:
        """See `CalendarService.make`. A mailbox has no two calendars of one name."""
        try:
            answer = await self._request(
                "make",
                "POST",
                account,
                f"{addresses.user(account)}/calendars",
                json={"name": name},
                repeatable=False,
            )
        except Duplicate:
            raise OutcomeUnknown(MicrosoftCode.CONFLICT, detail=account) from None
        except BadItem as error:
            if error.detail == _EXISTS:
                raise OutcomeUnknown(MicrosoftCode.CONFLICT, detail=account) from None
            raise
        except UserUnavailable as error:
            if error.code == MicrosoftCode.ACCESS_DENIED:
                raise UserUnavailable(MicrosoftCode.READ_ONLY, detail=account) from None
            raise
        made = answer.json.get("id") if isinstance(answer.json, Mapping) else None
        if not isinstance(made, str) or not made:
            raise OutcomeUnknown(MicrosoftCode.UNREADABLE_PAGE, detail=account)
        return made

    async def is_empty(self, account: str, calendar: str) -> bool:
        """See `CalendarService.is_empty`."""
        path = f"{addresses.calendar(account, calendar)}/events"
        rows, _ = _page(await self._get("events", account, path, _EVENTS), self._root)
        return not rows

    async def remove(self, account: str, calendar: str) -> None:
        """See `CalendarService.remove`."""
        with contextlib.suppress(NotFound):
            path = addresses.calendar(account, calendar)
            await self._request("delete", "DELETE", account, path)

    async def _get(self, kind: str, account: str, path: str, params: Mapping[str, str]) -> Answer:
        return await self._request(kind, "GET", account, path, params=params)

    async def _request(
        self, kind: str, method: str, account: str, path: str, **more: Any
    ) -> Answer:
        with concerning(account):
            return await self._http.request(
                f"microsoft.calendars.{kind}",
                method,
                path,
                headers=_PREFER,
                token=self._token,
                slot=lambda: self._slots.of(account),
                **more,
            )


def _page(answer: Answer, root: str) -> tuple[list[Any], str]:
    """The rows, and the path of the next page; empty for none. Another host is told no token."""
    body = answer.json
    rows = body.get("value") if isinstance(body, Mapping) else None
    if not isinstance(rows, list):
        raise TransientError(MicrosoftCode.UNREADABLE_PAGE)
    link = body.get("@odata.nextLink") or ""
    if link and not (isinstance(link, str) and link.startswith(f"{root}/")):
        raise TransientError(MicrosoftCode.FOREIGN_LINK)
    return rows, link.removeprefix(root)


def _owner(row: Mapping[str, Any]) -> str:
    owner = row.get("owner")
    return str(owner.get("address", "")).lower() if isinstance(owner, Mapping) else ""
