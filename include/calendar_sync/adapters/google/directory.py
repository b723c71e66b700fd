"""The accounts of a Google Workspace, as its directory lists them.

https://developers.google.com/workspace/admin/directory/reference/rest/v1/users/list: the API
answers an administrator only, who is impersonated with a token of its own scope.
"""

from collections.abc import Mapping
from typing import Any

from calendar_sync.adapters.google.client import GoogleCalendar
from calendar_sync.adapters.http import HttpClient, TokenSource
from calendar_sync.core.codes import Code, GoogleCode
from calendar_sync.core.errors import (
    BadItem,
    NotFound,
    SyncError,
    TenantMisconfigured,
    TokenRejected,
    TransientError,
    UserUnavailable,
)
from calendar_sync.core.model import DirectoryAccount, DirectoryAccounts

USERS = "/admin/directory/v1/users"
PAGE = 500
LONGEST_LIST = 2000
FIELDS = "users(primaryEmail,aliases,nonEditableAliases,suspended,archived),nextPageToken"
_REFUSED = (BadItem, NotFound, TenantMisconfigured, TokenRejected, UserUnavailable)
_ADVICE: Mapping[Code, str] = {
    GoogleCode.UNAUTHORIZED_CLIENT: "the scope admin.directory.user.readonly is not authorised for "
    "the client",
    GoogleCode.ACCESS_NOT_CONFIGURED: "the Admin SDK API is not enabled in the project",
    GoogleCode.ACCOUNT_REFUSED: "directory_admin is not an active account",
    GoogleCode.ACCOUNT_MALFORMED: "directory_admin is not an active account",
    GoogleCode.FORBIDDEN: "directory_admin is not an administrator who can read users",
}


class GoogleDirectory:
    """See `Directory`.

    Args:
        calendar: answers for single accounts.
        http: the client of the Admin SDK's host, None where no administrator is configured.
        token: of that administrator.
    """

    def __init__(
        self, calendar: GoogleCalendar, http: HttpClient | None, token: TokenSource | None
    ) -> None:
        self._calendar = calendar
        self._http = http
        self._token = token

    async def look(self, account: str) -> None:
        """See `Directory.look`."""
        await self._calendar.look(account)

    async def accounts(self) -> DirectoryAccounts | None:
        """See `Directory.accounts`. None where the connection has no `directory_admin`."""
        if self._http is None:
            return None
        params = {"customer": "my_customer", "maxResults": str(PAGE), "fields": FIELDS}
        found: list[DirectoryAccount] = []
        for _ in range(LONGEST_LIST):
            body = await self._page(self._http, params)
            users = body.get("users")
            # A page without users may still have a successor.
            rows = users if isinstance(users, list) else []
            found += [account for row in rows if (account := _account(row)) is not None]
            page = body.get("nextPageToken")
            if not isinstance(page, str) or not page:
                return DirectoryAccounts(found)
            if page == params.get("pageToken"):
                break
            params["pageToken"] = page
        raise TransientError(GoogleCode.ENDLESS_LIST, detail="directory")

    async def _page(self, http: HttpClient, params: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            answer = await http.request(
                "google.directory.users", "GET", USERS, params=params, token=self._token
            )
        except _REFUSED as error:
            raise TenantMisconfigured(GoogleCode.DIRECTORY_DENIED, detail=_advice(error)) from None
        if not isinstance(answer.json, Mapping):
            raise TransientError(GoogleCode.UNREADABLE_PAGE, detail="directory")
        return answer.json


def _advice(error: SyncError) -> str:
    return _ADVICE.get(error.code, error.code) + " (docs/setup-google.md, step 6)"


def _account(row: Any) -> DirectoryAccount | None:
    address = row.get("primaryEmail") if isinstance(row, Mapping) else None
    if not isinstance(address, str) or not address:
        return None
    others: list[str] = []
    for key in ("aliases", "nonEditableAliases"):
        names = row.get(key)
        others += [name.lower() for name in names or () if isinstance(name, str)]
    unusable = next((word for word in ("suspended", "archived") if row.get(word) is True), "")
    return DirectoryAccount(address.lower(), tuple(others), unusable=unusable)
