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


class Verdict(StrEnum):
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
    Verdict.OK: "",
    Verdict.WELKIN_USER_UNKNOWN: (
        "Welkin has no user with this id: correct the mapping, or remove the row."
    ),
    Verdict.WELKIN_USER_INACTIVE: (
        "The user is inactive in Welkin: activate the user there, or remove the row of the mapping."
    ),
    Verdict.NO_INSTANCE_ACCESS: (
        "The user has no access to this Welkin environment: grant it there, or remove the row."
    ),
    Verdict.MAPPED_TWICE: ("Two Welkin users are mapped to this mailbox: correct one of the rows."),
    Verdict.ACCOUNT_UNKNOWN: (
        "The account does not exist in the organisation's directory, or is suspended: correct "
        "the address, or have the account restored."
    ),
    Verdict.ACCOUNT_SUSPENDED: (
        "The account is suspended or disabled: have it enabled, or disable the row of the mapping."
    ),
    Verdict.NO_CALENDAR_LICENCE: (
        "The account has no mailbox or calendar: assign a licence, or turn the service on."
    ),
    Verdict.CALENDAR_NOT_FOUND: (
        "A calendar in the settings was not found: correct `calendars`, or share the calendar."
    ),
    Verdict.OUTSIDE_SCOPE: (
        "The mailbox is outside the scope that the app may reach (RBAC for Applications or an "
        "access policy): have it added."
    ),
    Verdict.ACCESS_DENIED: (
        "The app has no access to this calendar: check the delegation or the consent, see the "
        "set-up instructions of the platform."
    ),
    Verdict.READ_ONLY: (
        "The calendar can be read but not written: grant the permission to write events."
    ),
    Verdict.CONNECTION_FAULTY: (
        "The connection does not work for any user: run `calendar-sync check`."
    ),
    Verdict.NOT_ANSWERING: ("The service did not answer. The account is checked again next time."),
}

_BY_CODE = {
    "google_account_refused": Verdict.ACCOUNT_UNKNOWN,
    "google_account_malformed": Verdict.ACCOUNT_UNKNOWN,
    "google_account_restricted": Verdict.ACCESS_DENIED,
    "google_not_acalendar_user": Verdict.NO_CALENDAR_LICENCE,
    "microsoft_account_unknown": Verdict.ACCOUNT_UNKNOWN,
    "microsoft_no_mailbox": Verdict.NO_CALENDAR_LICENCE,
    "microsoft_no_calendar": Verdict.NO_CALENDAR_LICENCE,
    "microsoft_outside_scope": Verdict.OUTSIDE_SCOPE,
    "microsoft_read_only": Verdict.READ_ONLY,
    "calendar_not_found": Verdict.CALENDAR_NOT_FOUND,
}


def advice(code: str) -> str:
    """What to do about the code of a failure, as a sentence."""
    if code in _BY_CODE:
        return ADVICE[_BY_CODE[code]]
    said = by_code(code)
    return f"{said[:1].upper()}{said[1:]}."


def of_welkin(user: WelkinUser | None) -> Verdict:
    """The verdict from Welkin's list of users."""
    if user is None:
        return Verdict.WELKIN_USER_UNKNOWN
    if user.active:
        return Verdict.OK
    found = {INACTIVE: Verdict.WELKIN_USER_INACTIVE, NO_ACCESS: Verdict.NO_INSTANCE_ACCESS}
    return found.get(user.inactive_because, Verdict.WELKIN_USER_UNKNOWN)


def of_error(error: SyncError) -> Verdict:
    """The verdict from the error of a request."""
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    if isinstance(error, TransientError):
        return Verdict.NOT_ANSWERING
    if isinstance(error, TenantMisconfigured):
        return Verdict.CONNECTION_FAULTY
    if isinstance(error, NotFound):
        return Verdict.CALENDAR_NOT_FOUND
    if isinstance(error, UserUnavailable | BadItem):
        return Verdict.ACCESS_DENIED
    return Verdict.NOT_ANSWERING
