"""Google's error answers, grouped by the reaction that they need.

API errors: https://developers.google.com/workspace/calendar/api/guides/errors
Token errors: RFC 6749 `error` with Google's descriptions.
"""

import re
from collections.abc import Mapping
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

_USER_LIMITS = frozenset({"userRateLimitExceeded", "quotaExceeded"})
_LIMITS = _USER_LIMITS | {
    "rateLimitExceeded", "dailyLimitExceeded", "sharingRateLimitExceeded", "RATE_LIMIT_EXCEEDED",
    "subscriptionRateLimitExceeded",
}  # fmt: skip
# Used up for hours: whatever pause the answer names, asking again in this run is in vain.
_USED_UP = frozenset({"quotaExceeded", "dailyLimitExceeded"})
_TENANT = frozenset(
    {
        "accessNotConfigured", "insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "SERVICE_DISABLED",
    }
)  # fmt: skip
# Of a channel. The first comes with status 401 as well as 400, and is not about the token.
_PUSH = {
    "push.webhookUrlUnauthorized": "google_push_address_refused",
    "push.webhookUrlNotHttps": "google_push_address_refused",
    "pushNotSupportedForRequestedResource": "google_push_not_supported",
}
# Only what is known becomes part of a code or a detail: both are shown, and a server may write
# anything into its answer.
_REASONS = (
    _LIMITS
    | _TENANT
    | _PUSH.keys()
    | {
        "authError", "backendError", "badRequest", "calendarNotFound", "conditionNotMet",
        "cannotChangeOrganizer", "cannotChangeOrganizerOfInstance", "channelIdNotUnique",
        "conflict", "deleted", "domainPolicy", "duplicate", "eventTypeRestriction", "forbidden",
        "forbiddenForNonOrganizer", "forbiddenForServiceAccounts", "fullSyncRequired", "gone",
        "internalError", "invalid", "invalidParameter", "invalidSharingRequest",
        "invalidSyncToken", "malformedWorkingLocationEvent", "notACalendarUser",
        "notFound", "participantIsNeitherOrganizerNorAttendee", "required",
        "requiredAccessLevel", "timeRangeEmpty", "timeRangeTooLong", "updatedMinTooLongAgo",
        "userAccessDenied",
    }
)  # fmt: skip
_TOKEN_ERRORS = frozenset(
    {
        "access_denied", "admin_policy_enforced", "deleted_client", "disabled_client",
        "invalid_client", "invalid_grant", "invalid_request", "invalid_scope", "org_internal",
        "unauthorized_client", "unsupported_grant_type",
    }
)  # fmt: skip
QUOTA_PAUSE = 3600.0


def classify(failure: Failure) -> SyncError:
    """An answer of the Calendar API."""
    status, reason = failure.status, reason_of(failure.json)
    if reason in _PUSH:
        return BadItem(_PUSH[reason])
    if status == 429 or (status == 403 and reason in _LIMITS):
        pause, code = failure.retry_after, "google_rate_limited"
        if reason in _USED_UP:
            pause, code = max(pause or 0.0, QUOTA_PAUSE), "google_" + _snake(reason)
        return RateLimited(code, retry_after=pause, tenant_wide=reason not in _USER_LIMITS)
    if status == 401:
        return TokenRejected("google_token_rejected")
    if status == 403 and reason in _TENANT:
        return TenantMisconfigured("google_" + _snake(reason))
    if status == 403 and reason in {"forbiddenForNonOrganizer", "eventTypeRestriction"}:
        return BadItem("google_refused", detail=reason)
    if status == 403:
        return UserUnavailable("google_" + _snake(reason or "forbidden"))
    if status == 404:
        return NotFound("google_not_found")
    if status == 410:
        if reason == "deleted":
            return NotFound("google_deleted", certain=True)
        return CursorExpired("google_cursor_expired")
    if status == 409:
        return Duplicate("google_duplicate")
    if status == 412:
        return PreconditionFailed("google_changed_meanwhile")
    if status >= 500 or status == 408:
        return TransientError("google_unavailable", detail=str(status))
    return BadItem("google_refused", detail=reason or str(status))


def classify_token(failure: Failure) -> SyncError:
    """An answer of the token endpoint for a service account with delegation."""
    body = failure.json if isinstance(failure.json, Mapping) else {}
    error, description = str(body.get("error") or ""), str(body.get("error_description") or "")
    if failure.status == 429:
        return RateLimited("google_token_limited", retry_after=failure.retry_after)
    if failure.status >= 500 or error == "internal_failure":
        return TransientError("google_token_unavailable", detail=str(failure.status))
    if error == "invalid_grant" and not description.startswith("Invalid JWT"):
        return UserUnavailable("google_account_refused")
    if error == "invalid_request" and "prn email" in description:
        return UserUnavailable("google_account_malformed")
    if error == "access_denied" and "Account restricted" in description:
        return UserUnavailable("google_account_restricted")
    return TenantMisconfigured("google_" + (error if error in _TOKEN_ERRORS else "token_refused"))


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


def _snake(reason: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", reason).lower()
