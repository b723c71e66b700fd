"""Google's error answers, grouped by the reaction that they need.

API errors: https://developers.google.com/workspace/calendar/api/guides/errors
Token errors: RFC 6749 `error` with Google's descriptions.
"""

from collections.abc import Mapping
from typing import Any

from calendar_sync.adapters.http import Failure
from calendar_sync.core.codes import GoogleCode
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

_USER_LIMITS = frozenset({"userRateLimitExceeded", "quotaExceeded"})
_LIMITS = _USER_LIMITS | {
    "rateLimitExceeded", "dailyLimitExceeded", "sharingRateLimitExceeded", "RATE_LIMIT_EXCEEDED",
    "subscriptionRateLimitExceeded",
}  # fmt: skip
# Used up for hours: whatever pause the answer names, asking again in this run is in vain.
_USED_UP = {
    "quotaExceeded": GoogleCode.QUOTA_EXCEEDED,
    "dailyLimitExceeded": GoogleCode.DAILY_LIMIT_EXCEEDED,
}
_TENANT = {
    "accessNotConfigured": GoogleCode.ACCESS_NOT_CONFIGURED,
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": GoogleCode.ACCESS_TOKEN_SCOPE_INSUFFICIENT,
    "insufficientPermissions": GoogleCode.INSUFFICIENT_PERMISSIONS,
    "SERVICE_DISABLED": GoogleCode.SERVICE_DISABLED,
}
_FORBIDDEN = {
    "domainPolicy": GoogleCode.DOMAIN_POLICY,
    "forbiddenForServiceAccounts": GoogleCode.FORBIDDEN_FOR_SERVICE_ACCOUNTS,
    "notACalendarUser": GoogleCode.NOT_A_CALENDAR_USER,
    "requiredAccessLevel": GoogleCode.REQUIRED_ACCESS_LEVEL,
    "userAccessDenied": GoogleCode.USER_ACCESS_DENIED,
}
# Of a channel. The first comes with status 401 as well as 400, and is not about the token.
_PUSH = {
    "push.webhookUrlUnauthorized": GoogleCode.PUSH_ADDRESS_REFUSED,
    "push.webhookUrlNotHttps": GoogleCode.PUSH_ADDRESS_REFUSED,
    "pushNotSupportedForRequestedResource": GoogleCode.PUSH_NOT_SUPPORTED,
}
# Only what is known becomes part of a code or a detail: both are shown, and a server may write
# anything into its answer.
_REASONS = (
    _LIMITS
    | _TENANT.keys()
    | _FORBIDDEN.keys()
    | _PUSH.keys()
    | {
        "authError", "backendError", "badRequest", "calendarNotFound", "conditionNotMet",
        "cannotChangeOrganizer", "cannotChangeOrganizerOfInstance", "channelIdNotUnique",
        "conflict", "deleted",
        "duplicate", "eventTypeRestriction", "forbidden", "forbiddenForNonOrganizer",
        "fullSyncRequired", "gone", "internalError", "invalid",
        "invalidParameter", "invalidSharingRequest", "invalidSyncToken",
        "malformedWorkingLocationEvent",
        "notFound", "participantIsNeitherOrganizerNorAttendee", "required",
        "timeRangeEmpty", "timeRangeTooLong", "updatedMinTooLongAgo",
    }
)  # fmt: skip
_TOKEN_ERRORS = {
    "access_denied": GoogleCode.ACCESS_DENIED,
    "admin_policy_enforced": GoogleCode.ADMIN_POLICY_ENFORCED,
    "deleted_client": GoogleCode.DELETED_CLIENT,
    "disabled_client": GoogleCode.DISABLED_CLIENT,
    "invalid_client": GoogleCode.INVALID_CLIENT,
    "invalid_grant": GoogleCode.INVALID_GRANT,
    "invalid_request": GoogleCode.INVALID_REQUEST,
    "invalid_scope": GoogleCode.INVALID_SCOPE,
    "org_internal": GoogleCode.ORG_INTERNAL,
    "unauthorized_client": GoogleCode.UNAUTHORIZED_CLIENT,
    "unsupported_grant_type": GoogleCode.UNSUPPORTED_GRANT_TYPE,
}
QUOTA_PAUSE = 3600.0


def classify(failure: Failure) -> SyncError:
    """An answer of the Calendar API."""
    status, reason = failure.status, reason_of(failure.json)
    if reason in _PUSH:
        return BadItem(_PUSH[reason])
    if status == 429 or (status == 403 and reason in _LIMITS):
        pause, code = failure.retry_after, _USED_UP.get(reason, GoogleCode.RATE_LIMITED)
        if reason in _USED_UP:
            pause = max(pause or 0.0, QUOTA_PAUSE)
        return RateLimited(code, retry_after=pause, tenant_wide=reason not in _USER_LIMITS)
    if status == 401:
        return TokenRejected(GoogleCode.TOKEN_REJECTED)
    if status == 403 and reason in _TENANT:
        return TenantMisconfigured(_TENANT[reason])
    if status == 403 and reason in {"forbiddenForNonOrganizer", "eventTypeRestriction"}:
        return BadItem(GoogleCode.REFUSED, detail=reason)
    if status == 403:
        return UserUnavailable(_FORBIDDEN.get(reason, GoogleCode.FORBIDDEN))
    if status == 404:
        return NotFound(GoogleCode.NOT_FOUND)
    if status == 410:
        if reason == "deleted":
            return NotFound(GoogleCode.DELETED, certain=True)
        return CursorExpired(GoogleCode.CURSOR_EXPIRED)
    if status == 409:
        return Duplicate(GoogleCode.DUPLICATE)
    if status == 412:
        return PreconditionFailed(GoogleCode.CHANGED_MEANWHILE)
    if status >= 500 or status == 408:
        return TransientError(GoogleCode.UNAVAILABLE, detail=str(status))
    return BadItem(GoogleCode.REFUSED, detail=reason or str(status))


def classify_token(failure: Failure) -> SyncError:
    """An answer of the token endpoint for a service account with delegation."""
    body = failure.json if isinstance(failure.json, Mapping) else {}
    error, description = str(body.get("error") or ""), str(body.get("error_description") or "")
    if failure.status == 429:
        return RateLimited(GoogleCode.TOKEN_LIMITED, retry_after=failure.retry_after)
    if failure.status >= 500 or error == "internal_failure":
        return TransientError(GoogleCode.TOKEN_UNAVAILABLE, detail=str(failure.status))
    if error == "invalid_grant" and not description.startswith("Invalid JWT"):
        return UserUnavailable(GoogleCode.ACCOUNT_REFUSED)
    if error == "invalid_request" and "prn email" in description:
        return UserUnavailable(GoogleCode.ACCOUNT_MALFORMED)
    if error == "access_denied" and "Account restricted" in description:
        return UserUnavailable(GoogleCode.ACCOUNT_RESTRICTED)
    return TenantMisconfigured(_TOKEN_ERRORS.get(error, GoogleCode.TOKEN_REFUSED))


def reason_of(body: Any) -> str:
    """The first reason that is known: of `error.errors[]`, else of `error.details[]`."""
    error = body.get("error") if isinstance(body, Mapping) else None
    for key in ("errors", "details"):
        items = error.get(key) if isinstance(error, Mapping) else None
        for item in items if isinstance(items, list) else ():
            reason = item.get("reason") if isinstance(item, Mapping) else None
            if isinstance(reason, str) and reason in _REASONS:
                return reason
    return ""
