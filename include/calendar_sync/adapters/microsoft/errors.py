"""Microsoft's error answers, grouped by the reaction that they need.

Graph: https://learn.microsoft.com/graph/errors
Tokens: https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from calendar_sync.adapters.http import Failure
from calendar_sync.core.errors import (
    BadItem,
    CursorExpired,
    Duplicate,
    NotFound,
    PreconditionFailed,
    RateLimited,
    SyncError,
    TenantMisconfigured,
    TokenRejected,
    TransientError,
    UserUnavailable,
)

_NO_MAILBOX = frozenset(
    {
        "MailboxNotEnabledForRESTAPI", "MailboxNotSupportedForRESTAPI",
        "MailboxNotHostedInExchange", "MailboxNotHostedInExchangeOnline",
    }
)  # fmt: skip
_NO_ACCOUNT = frozenset({"ResourceNotFound", "Request_ResourceNotFound", "ErrorInvalidUser"})
_NO_ITEM = frozenset({"ErrorInvalidIdMalformed", "ErrorItemNotFound"})
# Only what is known becomes part of a code or a detail: both are shown, and a server may write
# anything into its answer.
_CODES = (
    _NO_MAILBOX
    | _NO_ACCOUNT
    | _NO_ITEM
    | {
        "ApplicationThrottled", "AuthenticationError", "Authorization_RequestDenied", "BadRequest",
        "ErrorAccessDenied", "ErrorCalendarDurationIsTooLong",
        "ErrorCalendarEndDateIsEarlierThanStartDate", "ErrorCalendarInvalidRecurrence",
        "ErrorCalendarOccurrenceIsDeletedFromRecurrence",
        "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange", "ErrorCalendarViewRangeTooBig",
        "ErrorDuplicateTransactionId", "ErrorExceededMessageLimit", "ErrorFolderNotFound",
        "ErrorInternalServerError", "ErrorInternalServerTransientError", "ErrorInvalidParameter",
        "ErrorInvalidProperty", "ErrorInvalidPropertyRequest", "ErrorInvalidRecipients",
        "ErrorInvalidRequest", "ErrorInvalidSyncStateData", "ErrorInvalidTimeZone",
        "ErrorInvalidUrlQuery", "ErrorInvalidUrlQueryFilter", "ErrorIrresolvableConflict",
        "ErrorMailboxDataArrayTooBig", "ErrorMailboxMoveInProgress", "ErrorMailboxStoreUnavailable",
        "ErrorMessageSizeExceeded", "ErrorNonExistentMailbox", "ErrorOccurrenceCrossingBoundary",
        "ErrorPropertyUpdate", "ErrorPropertyValidationFailure", "ErrorQuotaExceeded",
        "ErrorRecurrenceHasNoOccurrence", "ErrorServerBusy", "ErrorTimeIntervalTooBig",
        "ErrorTimeoutExpired", "ErrorTooManyObjectsOpened", "Forbidden", "InefficientFilter",
        "InvalidAuthenticationToken", "MethodNotAllowed", "NotFound", "RequestBodyRead",
        "Request_BadRequest", "RequestEntityTooLarge", "SyncStateInvalid", "SyncStateNotFound",
        "TimeZoneNotSupportedException", "TooManyRequests", "UnknownError", "generalException",
        "itemNotFound", "resyncRequired", "syncStateNotFound",
    }
)  # fmt: skip
_TOKEN_ERRORS = frozenset(
    {
        "access_denied", "consent_required", "interaction_required", "invalid_client",
        "invalid_grant", "invalid_instance", "invalid_request", "invalid_resource",
        "invalid_scope", "invalid_tenant", "temporarily_unavailable", "unauthorized_client",
        "unsupported_grant_type",
    }
)  # fmt: skip
# The numbers may change: they decide nothing, they only make the message say more.
_ADVICE = {
    7000215: "the client secret is wrong (use its value, not its id)",
    7000222: "the client secret has expired: create a new one in the app registration",
    700016: "the tenant does not know this client id",
    700027: "the certificate is not that of the app registration, or its key does not match",
    90002: "the tenant does not exist",
    900023: "the tenant id is malformed",
    65001: "the app's permissions have no consent: an administrator must grant it",
    500011: "the tenant does not know the service that a token was asked for",
}
# Of a subscription, for which the code alone says too little. The beginnings of messages decide.
# https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
_PUSH = (
    ("Subscription validation request timed out", "microsoft_push_address_silent"),
    ("Subscription validation request failed", "microsoft_push_address_refused"),
    ("Subscription expiration can only be", "microsoft_push_life_refused"),
)
_NUMBER = re.compile(r"AADSTS([0-9]{1,9})\b")


def classify(failure: Failure) -> SyncError:
    """An answer of Graph. The status decides first, the code second."""
    status, code = failure.status, code_of(failure.json)
    if status == 400 and (push := _push_code(failure.json)):
        return BadItem(push)
    if status == 429:
        return RateLimited("microsoft_rate_limited", retry_after=failure.retry_after)
    if status in {503, 504, 509} and failure.retry_after is not None:
        return RateLimited("microsoft_busy", retry_after=failure.retry_after, overloaded=True)
    if status >= 500 or status == 408:
        return TransientError("microsoft_unavailable", detail=str(status))
    if status == 401:
        return TokenRejected("microsoft_token_rejected")
    if status == 403 and code == "Authorization_RequestDenied":
        return TenantMisconfigured("microsoft_directory_denied")
    if status == 403:
        return UserUnavailable("microsoft_access_denied")
    if code in _NO_MAILBOX:
        return UserUnavailable("microsoft_no_mailbox")
    if status == 404 and code in _NO_ACCOUNT:
        return UserUnavailable("microsoft_account_unknown")
    if status == 404 or code in _NO_ITEM:
        return NotFound("microsoft_not_found")
    if status == 409:
        return Duplicate("microsoft_conflict")
    if status == 410:
        return CursorExpired("microsoft_cursor_expired")
    if status == 412:
        return PreconditionFailed("microsoft_changed_meanwhile")
    return BadItem("microsoft_refused", detail=code or str(status))


def classify_token(failure: Failure) -> SyncError:
    """An answer of the token endpoint, or of the discovery before it. All concern everybody."""
    body = failure.json if isinstance(failure.json, Mapping) else {}
    error = body.get("error")
    error = error.lower() if isinstance(error, str) else ""
    error = error if error in _TOKEN_ERRORS else "token_refused"
    if failure.status == 429:
        return RateLimited("microsoft_token_limited", retry_after=failure.retry_after)
    if failure.status >= 500 or failure.status == 408 or error == "temporarily_unavailable":
        return TransientError("microsoft_token_unavailable", detail=str(failure.status))
    return TenantMisconfigured(f"microsoft_{error}", detail=_advice(body))


def _advice(body: Mapping[str, Any]) -> str:
    match = _NUMBER.match(str(body.get("error_description") or ""))
    return _ADVICE.get(int(match[1]), f"AADSTS{match[1]}") if match else ""


def _push_code(body: Any) -> str:
    error = body.get("error") if isinstance(body, Mapping) else None
    message = error.get("message") if isinstance(error, Mapping) else None
    if not isinstance(message, str):
        return ""
    return next((code for begins, code in _PUSH if begins in message[:200]), "")


def code_of(body: Any) -> str:
    """`error.code`, where it is known."""
    error = body.get("error") if isinstance(body, Mapping) else None
    code = error.get("code") if isinstance(error, Mapping) else None
    return code if isinstance(code, str) and code in _CODES else ""


@contextlib.contextmanager
def concerning(account: str) -> Iterator[None]:
    """Failures name the account; the token is everybody's, and a fresh one is refused, too."""
    try:
        yield
    except TokenRejected:
        raise TenantMisconfigured("microsoft_unauthorized", detail=account) from None
    except UserUnavailable as error:
        error.detail = account
        raise


@contextlib.contextmanager
def listing(account: str, calendar: str) -> Iterator[None]:
    """What is wrong with a list without a cursor is wrong with the calendar."""
    try:
        yield
    except BadItem as error:
        raise UserUnavailable("microsoft_list_refused", detail=error.detail) from None
    except NotFound:
        if calendar == "primary":
            raise UserUnavailable("microsoft_no_calendar", detail=account) from None
        raise
