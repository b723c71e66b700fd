"""The results of an account check, each with a sentence that says what to do."""

from enum import StrEnum

from calendar_sync.core.advice import advice as by_code
from calendar_sync.core.errors import (
    BadItem,
    NotFound,
    SyncError,
    TenantMisconfigured,
    TransientError,
    UserUnavailable,
)
from calendar_sync.core.model import INACTIVE, NO_ACCESS, WelkinUser


class AccountVerdict(StrEnum):
    """The result for one mapped user: the first that applies."""

    OK = "ok"
    WELKIN_USER_UNKNOWN = "welkin_user_unknown"
    WELKIN_USER_INACTIVE = "welkin_user_inactive"
    NO_INSTANCE_ACCESS = "no_instance_access"
    MAPPED_TWICE = "mapped_twice"
    ACCOUNT_UNKNOWN = "account_unknown"
    ACCOUNT_SUSPENDED = "account_suspended"
    NO_CALENDAR_LICENCE = "no_calendar_licence"
    CALENDAR_NOT_FOUND = "calendar_not_found"
    OUTSIDE_SCOPE = "outside_scope"
    ACCESS_DENIED = "access_denied"
    READ_ONLY = "read_only"
    CONNECTION_FAULTY = "connection_faulty"
    NOT_ANSWERING = "not_answering"


ADVICE = {
    AccountVerdict.OK: "",
    AccountVerdict.WELKIN_USER_UNKNOWN: (
        "Welkin has no user with this id: correct the mapping, or remove the row."
    ),
    AccountVerdict.WELKIN_USER_INACTIVE: (
        "The user is inactive in Welkin: activate the user there, or remove the row of the mapping."
    ),
    AccountVerdict.NO_INSTANCE_ACCESS: (
        "The user has no access to this Welkin environment: grant it there, or remove the row."
    ),
    AccountVerdict.MAPPED_TWICE: (
        "Two Welkin users are mapped to this mailbox: correct one of the rows."
    ),
    AccountVerdict.ACCOUNT_UNKNOWN: (
        "The account does not exist in the organisation's directory, or is suspended: correct "
        "the address, or have the account restored."
    ),
    AccountVerdict.ACCOUNT_SUSPENDED: (
        "The account is suspended or disabled: have it enabled, or disable the row of the mapping."
    ),
    AccountVerdict.NO_CALENDAR_LICENCE: (
        "The account has no mailbox or calendar: assign a licence, or turn the service on."
    ),
    AccountVerdict.CALENDAR_NOT_FOUND: (
        "A calendar in the settings was not found: correct `calendars`, or share the calendar."
    ),
    AccountVerdict.OUTSIDE_SCOPE: (
        "The mailbox is outside the scope that the app may reach (RBAC for Applications or an "
        "access policy): have it added."
    ),
    AccountVerdict.ACCESS_DENIED: (
        "The app has no access to this calendar: check the delegation or the consent, see the "
        "set-up instructions of the platform."
    ),
    AccountVerdict.READ_ONLY: (
        "The calendar can be read but not written: grant the permission to write events."
    ),
    AccountVerdict.CONNECTION_FAULTY: (
        "The connection does not work for any user: run `calendar-sync check`."
    ),
    AccountVerdict.NOT_ANSWERING: (
        "The service did not answer. The account is checked again next time."
    ),
}

_BY_CODE = {
    "google_account_refused": AccountVerdict.ACCOUNT_UNKNOWN,
    "google_account_malformed": AccountVerdict.ACCOUNT_UNKNOWN,
    "google_account_restricted": AccountVerdict.ACCESS_DENIED,
    "google_no_calendar": AccountVerdict.NO_CALENDAR_LICENCE,
    "google_not_acalendar_user": AccountVerdict.NO_CALENDAR_LICENCE,
    "microsoft_account_unknown": AccountVerdict.ACCOUNT_UNKNOWN,
    "microsoft_no_mailbox": AccountVerdict.NO_CALENDAR_LICENCE,
    "microsoft_no_calendar": AccountVerdict.NO_CALENDAR_LICENCE,
    "microsoft_outside_scope": AccountVerdict.OUTSIDE_SCOPE,
    "microsoft_read_only": AccountVerdict.READ_ONLY,
    "calendar_not_found": AccountVerdict.CALENDAR_NOT_FOUND,
}


def advice(code: str) -> str:
    """What to do about the code of a failure, as a sentence."""
    if code in _BY_CODE:
        return ADVICE[_BY_CODE[code]]
    said = by_code(code)
    return f"{said[:1].upper()}{said[1:]}."


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
    if isinstance(error, TenantMisconfigured):
        return AccountVerdict.CONNECTION_FAULTY
    if isinstance(error, NotFound):
        return AccountVerdict.CALENDAR_NOT_FOUND
    if isinstance(error, UserUnavailable | BadItem):
        return AccountVerdict.ACCESS_DENIED
    return AccountVerdict.NOT_ANSWERING
