"""The accounts and groups of a Google Workspace, as its directory lists them.

https://developers.google.com/workspace/admin/directory/reference/rest/v1/users/list and
https://developers.google.com/workspace/admin/directory/reference/rest/v1/members/list: the API
answers an administrator only, who is impersonated with a token of its own for each scope.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

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
from calendar_sync.core.model import DirectoryAccount, DirectoryAccounts, GroupMembers

ROOT = "/admin/directory/v1"
USERS = f"{ROOT}/users"
PAGE, MEMBERS_PAGE = 500, 200
LONGEST_LIST = 2000
FIELDS = (
    "users(primaryEmail,aliases,nonEditableAliases,suspended,archived,orgUnitPath),nextPageToken"
)
_REFUSED = (BadItem, NotFound, TenantMisconfigured, TokenRejected, UserUnavailable)
_ADVICE: Mapping[Code, str] = {
    GoogleCode.ACCESS_NOT_CONFIGURED: "the Admin SDK API is not enabled in the project",
    GoogleCode.ACCOUNT_REFUSED: "directory_admin is not an active account",
    GoogleCode.ACCOUNT_MALFORMED: "directory_admin is not an active account",
}
_OF_USERS: Mapping[Code, str] = {
    **_ADVICE,
    GoogleCode.UNAUTHORIZED_CLIENT: "the scope admin.directory.user.readonly is not authorised for "
    "the client",
    GoogleCode.FORBIDDEN: "directory_admin is not an administrator who can read users",
}
_OF_GROUPS: Mapping[Code, str] = {
    **_ADVICE,
    GoogleCode.UNAUTHORIZED_CLIENT: "the scope admin.directory.group.member.readonly is not "
    "authorised for the client",
    GoogleCode.FORBIDDEN: "directory_admin is not an administrator who can read groups, or the "
    "group is of another organisation",
}
_NO_ADMIN = "the connection has no directory_admin"


class GoogleDirectory:
    """See `Directory`.

    Args:
        calendar: answers for single accounts.
        http: the client of the Admin SDK's host, None where no administrator is configured.
        token: of that administrator, for users.
        groups_token: of that administrator, for members of groups.
    """

    def __init__(
        self,
        calendar: GoogleCalendar,
        http: HttpClient | None,
        token: TokenSource | None,
        groups_token: TokenSource | None = None,
    ) -> None:
        self._calendar = calendar
        self._http = http
        self._token = token
        self._groups_token = groups_token

    async def look(self, account: str) -> None:
        """See `Directory.look`."""
        await self._calendar.look(account)

    async def accounts(self) -> DirectoryAccounts | None:
        """See `Directory.accounts`. None where the connection has no `directory_admin`."""
        if self._http is None:
            return None
        params = {"customer": "my_customer", "maxResults": str(PAGE), "fields": FIELDS}
        try:
            rows = await self._all(self._http, USERS, "users", params, self._token)
        except _REFUSED as error:
            advice = _advice(error, _OF_USERS)
            raise TenantMisconfigured(GoogleCode.DIRECTORY_DENIED, detail=advice) from None
        return DirectoryAccounts(account for row in rows if (account := _account(row)) is not None)

    async def members_of(self, group: str) -> GroupMembers:
        """See `Directory.members_of`. The group is named by its address, an alias or its id."""
        if self._http is None:
            advice = f"{_NO_ADMIN} (docs/setup-google.md, step 6)"
            raise TenantMisconfigured(GoogleCode.GROUPS_DENIED, detail=advice)
        params = {
            "includeDerivedMembership": "true",
            "maxResults": str(MEMBERS_PAGE),
            "fields": "members(email,type),nextPageToken",
        }
        path = f"{ROOT}/groups/{quote(group, safe='@')}/members"
        try:
            rows = await self._all(self._http, path, "members", params, self._groups_token)
        except NotFound:
            raise
        except _REFUSED as error:
            advice = _advice(error, _OF_GROUPS)
            raise TenantMisconfigured(GoogleCode.GROUPS_DENIED, detail=advice) from None
        members = [row for row in rows if isinstance(row, Mapping)]
        emails = (row.get("email") for row in members)
        # A member of this type has no address: it stands for all users of the organisation.
        everybody = any(row.get("type") == "CUSTOMER" for row in members)
        return GroupMembers(
            frozenset(email.lower() for email in emails if isinstance(email, str)), everybody
        )

    async def _all(
        self,
        http: HttpClient,
        path: str,
        key: str,
        params: dict[str, str],
        token: TokenSource | None,
    ) -> list[Any]:
        found: list[Any] = []
        for _ in range(LONGEST_LIST):
            kind = f"google.directory.{key}"
            answer = await http.request(kind, "GET", path, params=params, token=token)
            body = answer.json
            if not isinstance(body, Mapping):
                raise TransientError(GoogleCode.UNREADABLE_PAGE, detail="directory")
            rows = body.get(key)
            # A page without rows may still have a successor.
            found += rows if isinstance(rows, list) else []
            page = body.get("nextPageToken")
            if not isinstance(page, str) or not page:
                return found
            if page == params.get("pageToken"):
                break
            params["pageToken"] = page
        raise TransientError(GoogleCode.ENDLESS_LIST, detail="directory")


def _advice(error: SyncError, known: Mapping[Code, str]) -> str:
    return known.get(error.code, error.code) + " (docs/setup-google.md, step 6)"


def _account(row: Any) -> DirectoryAccount | None:
    address = row.get("primaryEmail") if isinstance(row, Mapping) else None
    if not isinstance(address, str) or not address:
        return None
    others: list[str] = []
    for key in ("aliases", "nonEditableAliases"):
        names = row.get(key)
        others += [name.lower() for name in names or () if isinstance(name, str)]
    unusable = next((word for word in ("suspended", "archived") if row.get(word) is True), "")
    path = row.get("orgUnitPath")
    return DirectoryAccount(
        address.lower(),
        tuple(others),
        unusable=unusable,
        org_unit=path if isinstance(path, str) else "",
    )
