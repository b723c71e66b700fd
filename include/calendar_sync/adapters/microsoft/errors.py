"""Microsoft's error answers, grouped by the reaction that they need.

Graph: https://learn.microsoft.com/graph/errors
Tokens: https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from calendar_sync.adapters.http import Failure
from calendar_sync.core.codes import MicrosoftCode
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
        "ErrorDuplicateTransactionId", "ErrorExceededMessageLimit", "ErrorFolderExists",
        "ErrorFolderNotFound", "ErrorInternalServerError", "ErrorInternalServerTransientError",
        "ErrorInvalidParameter", "ErrorInvalidProperty", "ErrorInvalidPropertyRequest",
        "ErrorInvalidRecipients",
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
_TOKEN_ERRORS = {
    "access_denied": MicrosoftCode.ACCESS_DENIED,
    "consent_required": MicrosoftCode.CONSENT_REQUIRED,
    "interaction_required": MicrosoftCode.INTERACTION_REQUIRED,
    "invalid_client": MicrosoftCode.INVALID_CLIENT,
    "invalid_grant": MicrosoftCode.INVALID_GRANT,
    "invalid_instance": MicrosoftCode.INVALID_INSTANCE,
    "invalid_request": MicrosoftCode.INVALID_REQUEST,
    "invalid_resource": MicrosoftCode.INVALID_RESOURCE,
    "invalid_scope": MicrosoftCode.INVALID_SCOPE,
    "invalid_tenant": MicrosoftCode.INVALID_TENANT,
    "unauthorized_client": MicrosoftCode.UNAUTHORIZED_CLIENT,
    "unsupported_grant_type": MicrosoftCode.UNSUPPORTED_GRANT_TYPE,
}
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
    ("Subscription validation request timed out", MicrosoftCode.PUSH_ADDRESS_SILENT),
    ("Subscription validation request failed", MicrosoftCode.PUSH_ADDRESS_REFUSED),
    ("Subscription expiration can only be", MicrosoftCode.PUSH_LIFE_REFUSED),
)
_NUMBER = re.compile(r"AADSTS([0-9]{1,9})\b")


def classify(failure: Failure) -> SyncError:
    """An answer of Graph. The status decides first, the code second."""
    status, code = failure.status, code_of(failure.json)
    if status == 400 and (push := _push_code(failure.json)):
        return BadItem(push)
    if status == 429:
        return RateLimited(MicrosoftCode.RATE_LIMITED, retry_after=failure.retry_after)
    if status in {503, 504, 509} and failure.retry_after is not None:
        return RateLimited(MicrosoftCode.BUSY, retry_after=failure.retry_after, overloaded=True)
    if status >= 500 or status == 408:
        return TransientError(MicrosoftCode.UNAVAILABLE, detail=str(status))
    if status == 401:
        return TokenRejected(MicrosoftCode.TOKEN_REJECTED)
    if status == 403 and code == "Authorization_RequestDenied":
        return TenantMisconfigured(MicrosoftCode.DIRECTORY_DENIED)
    if status == 403:
        return UserUnavailable(MicrosoftCode.ACCESS_DENIED)
    if code in _NO_MAILBOX:
        return UserUnavailable(MicrosoftCode.NO_MAILBOX)
    if status == 404 and code in _NO_ACCOUNT:
        return UserUnavailable(MicrosoftCode.ACCOUNT_UNKNOWN)
    if status == 404 or code in _NO_ITEM:
        return NotFound(MicrosoftCode.NOT_FOUND)
    if status == 409:
        return Duplicate(MicrosoftCode.CONFLICT)
    if status == 410:
        return CursorExpired(MicrosoftCode.CURSOR_EXPIRED)
    if status == 412:
        return PreconditionFailed(MicrosoftCode.CHANGED_MEANWHILE)
    return BadItem(MicrosoftCode.REFUSED, detail=code or str(status))


def classify_token(failure: Failure) -> SyncError:
    """An answer of the token endpoint, or of the discovery before it. All concern everybody."""
    body = failure.json if isinstance(failure.json, Mapping) else {}
    said = body.get("error")
    error = said.lower() if isinstance(said, str) else ""
    if failure.status == 429:
        return RateLimited(MicrosoftCode.TOKEN_LIMITED, retry_after=failure.retry_after)
    if failure.status >= 500 or failure.status == 408 or error == "temporarily_unavailable":
        return TransientError(MicrosoftCode.TOKEN_UNAVAILABLE, detail=str(failure.status))
    return TenantMisconfigured(
        _TOKEN_ERRORS.get(error, MicrosoftCode.TOKEN_REFUSED), detail=_advice(body)
    )


def _advice(body: Mapping[str, Any]) -> str:
    match = _NUMBER.match(str(body.get("error_description") or ""))
    return _ADVICE.get(int(match[1]), f"AADSTS{match[1]}") if match else ""


def _push_code(body: Any) -> MicrosoftCode | None:
    error = body.get("error") if isinstance(body, Mapping) else None
    message = error.get("message") if isinstance(error, Mapping) else None
    if not isinstance(message, str):
        return None
    return next((code for begins, code in _PUSH if begins in message[:200]), None)


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
        raise TenantMisconfigured(MicrosoftCode.UNAUTHORIZED, detail=account) from None
    except UserUnavailable as error:
        error.detail = account
        raise


@contextlib.contextmanager
def listing(account: str, calendar: str) -> Iterator[None]:
    """What is wrong with a list without a cursor is wrong with the calendar."""
    try:
        yield
    except BadItem as error:
        raise UserUnavailable(MicrosoftCode.LIST_REFUSED, detail=error.detail) from None
    except NotFound:
        if calendar == "primary":
            raise UserUnavailable(MicrosoftCode.NO_CALENDAR, detail=account) from None
        raise
