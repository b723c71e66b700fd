"""The users of a tenant of Microsoft 365, as Entra lists them.

https://learn.microsoft.com/graph/api/user-list, application permission User.Read.All.
"""

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
from calendar_sync.core.model import DirectoryAccount, DirectoryAccounts

SELECT = "id,mail,userPrincipalName,accountEnabled,userType,proxyAddresses"
# The most that Graph gives at once.
PAGE = 999
LONGEST_LIST = 2000
_SMTP = "smtp:"


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
        path, params = f"{VERSION}users", {"$select": SELECT, "$top": str(PAGE)}
        found: list[DirectoryAccount] = []
        for _ in range(LONGEST_LIST):
            body = await self._page(path, params)
            found += [account for row in body["value"] if (account := _account(row)) is not None]
            link = body.get("@odata.nextLink")
            if not isinstance(link, str) or not link:
                return DirectoryAccounts(found)
            if not link.startswith(f"{self._root}/"):
                raise TransientError(MicrosoftCode.FOREIGN_LINK)
            following = link.removeprefix(self._root)
            if following == path:
                break
            path, params = following, {}
        raise TransientError(MicrosoftCode.ENDLESS_LIST, detail="directory")

    async def _page(self, path: str, params: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            answer = await self._http.request(
                "microsoft.users.list", "GET", path, params=params, token=self._token
            )
        except TokenRejected:
            raise TenantMisconfigured(MicrosoftCode.UNAUTHORIZED, detail="directory") from None
        except TenantMisconfigured as error:
            if error.code == MicrosoftCode.DIRECTORY_DENIED:
                raise TenantMisconfigured(MicrosoftCode.DIRECTORY_DENIED, detail=_ADVICE) from None
            raise
        except (BadItem, NotFound, UserUnavailable) as error:
            raise TenantMisconfigured(
                MicrosoftCode.DIRECTORY_DENIED, detail=f"{error.code}; {_ADVICE}"
            ) from None
        body = answer.json
        if not isinstance(body, Mapping) or not isinstance(body.get("value"), list):
            raise TransientError(MicrosoftCode.UNREADABLE_PAGE, detail="directory")
        return body


_ADVICE = "the application permission User.Read.All is missing (docs/setup-microsoft.md, step 2)"


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


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return value.lower() if isinstance(value, str) else ""
