"""The result of an account check, from Welkin's list of users or from an error.

What each result means is said where the codes are (`core/codes`).
"""

from calendar_sync.core.codes import AccountVerdict, Code, GoogleCode, MicrosoftCode
from calendar_sync.core.errors import (
    BadItem,
    ConfigurationError,
    NotFound,
    SyncError,
    TenantMisconfigured,
    TransientError,
    UserUnavailable,
)
from calendar_sync.core.model import INACTIVE, NO_ACCESS, WelkinUser

_BY_CODE: dict[Code, AccountVerdict] = {
    GoogleCode.ACCOUNT_REFUSED: AccountVerdict.ACCOUNT_UNKNOWN,
    GoogleCode.ACCOUNT_MALFORMED: AccountVerdict.ACCOUNT_UNKNOWN,
    GoogleCode.ACCOUNT_RESTRICTED: AccountVerdict.ACCESS_DENIED,
    GoogleCode.NO_CALENDAR: AccountVerdict.NO_CALENDAR_LICENCE,
    GoogleCode.NOT_A_CALENDAR_USER: AccountVerdict.NO_CALENDAR_LICENCE,
    MicrosoftCode.ACCOUNT_UNKNOWN: AccountVerdict.ACCOUNT_UNKNOWN,
    MicrosoftCode.NO_MAILBOX: AccountVerdict.NO_CALENDAR_LICENCE,
    MicrosoftCode.NO_CALENDAR: AccountVerdict.NO_CALENDAR_LICENCE,
    MicrosoftCode.OUTSIDE_SCOPE: AccountVerdict.OUTSIDE_SCOPE,
    MicrosoftCode.READ_ONLY: AccountVerdict.READ_ONLY,
    AccountVerdict.CALENDAR_NOT_FOUND: AccountVerdict.CALENDAR_NOT_FOUND,
}


def of_welkin(user: WelkinUser | None) -> AccountVerdict:
    """The verdict from Welkin's list of users."""
    if user is None:
        return AccountVerdict.WELKIN_USER_UNKNOWN
    if user.active:
        return AccountVerdict.OK
    found = {
        INACTIVE: AccountVerdict.WELKIN_USER_INACTIVE,
        NO_ACCESS: AccountVerdict.NO_INSTANCE_ACCESS,
    }
    return found.get(user.inactive_because, AccountVerdict.WELKIN_USER_UNKNOWN)


def of_error(error: SyncError) -> AccountVerdict:
    """The verdict from the error of a request."""
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    if isinstance(error, TransientError):
        return AccountVerdict.NOT_ANSWERING
    if isinstance(error, TenantMisconfigured | ConfigurationError):
        return AccountVerdict.CONNECTION_FAULTY
    if isinstance(error, NotFound):
        return AccountVerdict.CALENDAR_NOT_FOUND
    if isinstance(error, UserUnavailable | BadItem):
        return AccountVerdict.ACCESS_DENIED
    return AccountVerdict.NOT_ANSWERING
