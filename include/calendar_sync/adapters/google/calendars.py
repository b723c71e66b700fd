"""The calendars of accounts themselves: listed, made, deleted.

https://developers.google.com/workspace/calendar/api/v3/reference/calendarList/list and
calendars/insert. Neither is allowed by the scope for events: each has a token of its own, so that
who needs no further calendar needs no further scope.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from calendar_sync.adapters.http import Answer, HttpClient, TokenSource
from calendar_sync.core.codes import Code, GoogleCode
from calendar_sync.core.errors import (
    NotFound,
    OutcomeUnknown,
    TenantMisconfigured,
    TokenRejected,
    TransientError,
    UserUnavailable,
)
from calendar_sync.core.model import CalendarEntry

LONGEST_LIST = 100
_LIST = {
    # A calendar that its owner has hidden is there all the same.
    "showHidden": "true",
    "maxResults": "250",
    "fields": "items(id,summary,accessRole,dataOwner,primary),nextPageToken",
}
_EVENTS = {"maxResults": "10", "fields": "items(id),nextPageToken"}
#: What is answered where a scope was not authorised.
_NO_SCOPE = frozenset(
    {
        GoogleCode.ACCESS_DENIED,
        GoogleCode.ACCESS_TOKEN_SCOPE_INSUFFICIENT,
        GoogleCode.INSUFFICIENT_PERMISSIONS,
        GoogleCode.INVALID_SCOPE,
        GoogleCode.UNAUTHORIZED_CLIENT,
    }
)

TokenOf = Callable[[str], TokenSource]


class GoogleCalendars:
    """See `CalendarService`.

    Args:
        http: the client of the Calendar API.
        for_events: an account's token with the scope `calendar.events`.
        for_lists: one with `calendar.calendarlist.readonly`.
        for_made: one with `calendar.app.created`.
    """

    def __init__(
        self, http: HttpClient, for_events: TokenOf, for_lists: TokenOf, for_made: TokenOf
    ) -> None:
        self._http = http
        self._for_events = for_events
        self._for_lists = for_lists
        self._for_made = for_made

    async def listed(self, account: str) -> list[CalendarEntry]:
        """See `CalendarService.listed`."""
        with _concerning(account, GoogleCode.CALENDAR_LIST_DENIED):
            token, path = self._for_lists(account), "/calendar/v3/users/me/calendarList"
            rows = await self._all("calendarList.list", path, _LIST, token)
        return [
            CalendarEntry(row["id"], str(row.get("summary", "")), _owned(row, account))
            for row in rows
            if isinstance(row, Mapping) and isinstance(row.get("id"), str)
        ]

    async def missing_rights(self, account: str) -> list[Code]:
        """See `CalendarService.missing_rights`: Google gives no token for a missing scope."""
        missing: list[Code] = []
        for needed, ask in (
            (GoogleCode.CALENDAR_LIST_DENIED, self.listed),
            (GoogleCode.CALENDAR_MAKING_DENIED, self._token_for_making),
        ):
            try:
                await ask(account)
            except UserUnavailable as error:
                if error.code != needed:
                    raise
                missing.append(needed)
        return missing

    async def _token_for_making(self, account: str) -> None:
        with _concerning(account, GoogleCode.CALENDAR_MAKING_DENIED):
            await self._for_made(account).get()

    async def make(self, account: str, name: str) -> str:
        """See `CalendarService.make`. Google makes two of one name if it is asked twice."""
        with _concerning(account, GoogleCode.CALENDAR_MAKING_DENIED):
            answer = await self._http.request(
                "google.calendars.insert",
                "POST",
                "/calendar/v3/calendars",
                json={"summary": name},
                token=self._for_made(account),
                repeatable=False,
            )
        made = answer.json.get("id") if isinstance(answer.json, Mapping) else None
        if not isinstance(made, str) or not made:
            raise OutcomeUnknown(GoogleCode.UNREADABLE_PAGE, detail=account)
        return made

    async def is_empty(self, account: str, calendar: str) -> bool:
        """See `CalendarService.is_empty`. A page may be empty and still have a successor."""
        path = f"/calendar/v3/calendars/{quote(calendar, safe='')}/events"
        with _concerning(account):
            return not await self._all("events.list", path, _EVENTS, self._for_events(account))

    async def remove(self, account: str, calendar: str) -> None:
        """See `CalendarService.remove`. Only what was made with this service account can be."""
        with _concerning(account, GoogleCode.CALENDAR_MAKING_DENIED), contextlib.suppress(NotFound):
            await self._http.request(
                "google.calendars.delete",
                "DELETE",
                f"/calendar/v3/calendars/{quote(calendar, safe='')}",
                token=self._for_made(account),
            )

    async def _all(
        self, kind: str, path: str, params: Mapping[str, str], token: TokenSource
    ) -> list[Any]:
        found: list[Any] = []
        params = dict(params)
        for _ in range(LONGEST_LIST):
            answer = await self._http.request(
                f"google.{kind}", "GET", path, params=params, token=token
            )
            rows, page = _page(answer)
            found += rows
            if not page:
                return found
            params["pageToken"] = page
        raise TransientError(GoogleCode.ENDLESS_LIST)


def _page(answer: Answer) -> tuple[list[Any], str]:
    body = answer.json
    items = body.get("items", []) if isinstance(body, Mapping) else None
    if not isinstance(items, list):
        raise TransientError(GoogleCode.UNREADABLE_PAGE)
    page = body.get("nextPageToken")
    return items, page if isinstance(page, str) else ""


def _owned(row: Mapping[str, Any], account: str) -> bool:
    """Whoever may manage a shared calendar has the role `owner`, too: `dataOwner` is one person."""
    owner = row.get("dataOwner")
    theirs = isinstance(owner, str) and owner.lower() != account.lower()
    return row.get("accessRole") == "owner" and not theirs


@contextlib.contextmanager
def _concerning(account: str, needed: GoogleCode | None = None) -> Iterator[None]:
    """Failures name the account; where a scope is missing, they are about who needs it."""
    try:
        yield
    except TokenRejected:
        raise UserUnavailable(GoogleCode.UNAUTHORIZED, detail=account) from None
    except TenantMisconfigured as error:
        if needed is not None and error.code in _NO_SCOPE:
            raise UserUnavailable(needed, detail=account) from None
        error.detail = account
        raise
    except UserUnavailable as error:
        error.detail = account
        raise
