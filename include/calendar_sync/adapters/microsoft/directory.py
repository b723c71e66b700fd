"""The users and groups of a tenant of Microsoft 365, as Entra lists them.

https://learn.microsoft.com/graph/api/user-list, application permission User.Read.All, and
https://learn.microsoft.com/graph/api/group-list-transitivemembers, GroupMember.Read.All.
"""

import re
from collections.abc import Mapping
from typing import Any

from calendar_sync.adapters.http import HttpClient, TokenSource
from calendar_sync.adapters.microsoft.addresses import VERSION
from calendar_sync.adapters.microsoft.client import MicrosoftCalendar
from calendar_sync.core.codes import MicrosoftCode
from calendar_sync.core.errors import (
    BadItem,
    NotFound,
    TenantMisconfigured,
    TokenRejected,
    TransientError,
    UserUnavailable,
)
from calendar_sync.core.model import DirectoryAccount, DirectoryAccounts, GroupMembers

SELECT = "id,mail,userPrincipalName,accountEnabled,userType,proxyAddresses"
# The most that Graph gives at once.
PAGE = 999
LONGEST_LIST = 2000
_SMTP = "smtp:"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ADVICE = "the application permission User.Read.All is missing (docs/setup-microsoft.md, step 2)"
_OF_GROUPS = (
    "the application permission GroupMember.Read.All is missing (docs/setup-microsoft.md, step 2)"
)


class MicrosoftDirectory:
    """See `Directory`.

    Args:
        calendar: answers for single mailboxes.
        http: the client of Graph's host.
        root: the base URL of that client: links of pages must begin with it.
        token: the tenant's token.
    """

    def __init__(
        self, calendar: MicrosoftCalendar, http: HttpClient, root: str, token: TokenSource
    ) -> None:
        self._calendar = calendar
        self._http = http
        self._root = root
        self._token = token

    async def look(self, account: str) -> None:
        """See `Directory.look`."""
        await self._calendar.look(account)

    async def accounts(self) -> DirectoryAccounts:
        """See `Directory.accounts`. Every tenant has a directory; it may be closed to the app."""
        params = {"$select": SELECT, "$top": str(PAGE)}
        try:
            rows = await self._all("microsoft.users.list", f"{VERSION}users", params)
        except TenantMisconfigured as error:
            if error.code == MicrosoftCode.DIRECTORY_DENIED:
                raise TenantMisconfigured(MicrosoftCode.DIRECTORY_DENIED, detail=_ADVICE) from None
            raise
        except (BadItem, NotFound, UserUnavailable) as error:
            raise TenantMisconfigured(
                MicrosoftCode.DIRECTORY_DENIED, detail=f"{error.code}; {_ADVICE}"
            ) from None
        return DirectoryAccounts(account for row in rows if (account := _account(row)) is not None)

    async def members_of(self, group: str) -> GroupMembers:
        """See `Directory.members_of`. The group is named by its object id or its address.

        Members of all kinds are listed: a cast to users would be answered from an index that may
        be out of date.
        """
        try:
            group_id = group if _ID.fullmatch(group) else await self._group_id(group)
            path = f"{VERSION}groups/{group_id}/transitiveMembers"
            params = {"$select": "id", "$top": str(PAGE)}
            rows = await self._all("microsoft.groups.members", path, params)
        except TenantMisconfigured as error:
            if error.code == MicrosoftCode.DIRECTORY_DENIED:
                raise TenantMisconfigured(MicrosoftCode.GROUPS_DENIED, detail=_OF_GROUPS) from None
            raise
        except UserUnavailable as error:
            if error.code == MicrosoftCode.ACCOUNT_UNKNOWN:
                raise NotFound(MicrosoftCode.NOT_FOUND) from None
            raise TenantMisconfigured(
                MicrosoftCode.GROUPS_DENIED, detail=f"{error.code}; {_OF_GROUPS}"
            ) from None
        except BadItem as error:
            raise TenantMisconfigured(
                MicrosoftCode.GROUPS_DENIED, detail=f"{error.code}; {_OF_GROUPS}"
            ) from None
        return GroupMembers(frozenset(name for row in rows if (name := _id(row))))

    async def _group_id(self, address: str) -> str:
        """The object id of the group with this address.

        Raises:
            NotFound: there is none, or more than one.
        """
        quoted = address.replace("'", "''")
        params = {"$filter": f"mail eq '{quoted}'", "$select": "id"}
        rows = await self._all("microsoft.groups.list", f"{VERSION}groups", params)
        found = [name for row in rows if (name := _id(row))]
        if len(found) != 1 or not _ID.fullmatch(found[0]):
            raise NotFound(MicrosoftCode.NOT_FOUND)
        return found[0]

    async def _all(self, kind: str, path: str, params: Mapping[str, str]) -> list[Any]:
        found: list[Any] = []
        for _ in range(LONGEST_LIST):
            try:
                answer = await self._http.request(
                    kind, "GET", path, params=params, token=self._token
                )
            except TokenRejected:
                raise TenantMisconfigured(MicrosoftCode.UNAUTHORIZED, detail="directory") from None
            body = answer.json
            if not isinstance(body, Mapping) or not isinstance(body.get("value"), list):
                raise TransientError(MicrosoftCode.UNREADABLE_PAGE, detail="directory")
            found += body["value"]
            link = body.get("@odata.nextLink")
            if not isinstance(link, str) or not link:
                return found
            if not link.startswith(f"{self._root}/"):
                raise TransientError(MicrosoftCode.FOREIGN_LINK)
            following = link.removeprefix(self._root)
            if following == path:
                break
            path, params = following, {}
        raise TransientError(MicrosoftCode.ENDLESS_LIST, detail="directory")


def _account(row: Any) -> DirectoryAccount | None:
    if not isinstance(row, Mapping):
        return None
    principal, mail = _text(row, "userPrincipalName"), _text(row, "mail")
    if not principal:
        return None
    proxies = row.get("proxyAddresses")
    texts = [each.lower() for each in proxies or () if isinstance(each, str)]
    others = [text.removeprefix(_SMTP) for text in texts if text.startswith(_SMTP)]
    return DirectoryAccount(
        principal, tuple(filter(None, (mail, *others))), _text(row, "id"), _unusable(row, mail)
    )


def _unusable(row: Mapping[str, Any], mail: str) -> str:
    if row.get("accountEnabled") is False:
        return "disabled"
    if row.get("userType") == "Guest":
        # The mailbox of a guest is in another tenant.
        return "guest"
    return "" if mail else "no mailbox"


def _id(row: Any) -> str:
    return _text(row, "id") if isinstance(row, Mapping) else ""


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return value.lower() if isinstance(value, str) else ""
