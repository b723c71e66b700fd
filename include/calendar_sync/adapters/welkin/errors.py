"""Welkin's error answers: a JSON array of objects with `errorCode`, or anything at all.

Only what is known becomes a detail of an error: details are shown, and a server may write anything.
"""

from collections.abc import Mapping
from typing import Any

from calendar_sync.adapters.http import Failure
from calendar_sync.core.codes import WelkinCode
from calendar_sync.core.errors import (
    BadItem,
    NotFound,
    RateLimited,
    SyncError,
    TenantMisconfigured,
    TokenRejected,
    TransientError,
    UserUnavailable,
)

CODES = frozenset(
    {
        "ACCESS_DENIED", "ACCESS_FOR_API_CLIENT_RESTRICTED", "API_CLIENT_BLOCKED", "BAD_REQUEST",
        "CALENDAR_EVENT_NOT_FOUND", "CALENDAR_EVENT_NOT_MODIFIABLE", "CALENDAR_EVENT_OVERLAPS",
        "CONFLICT", "DT_RECORD_NOT_FOUND", "ENCOUNTER_NOT_MODIFIABLE", "EXTERNAL_ID_NOT_UNIQUE",
        "FORBIDDEN", "HTTP_MESSAGE_NOT_READABLE", "INTERNAL_ERROR", "INTERNAL_SERVER_ERROR",
        "METHOD_NOT_ALLOWED", "NOT_AUTHORIZED", "NOT_FOUND", "NOT_VALID_JSON_WEB_TOKEN",
        "PATIENT_NOT_FOUND", "PATIENT_PROGRAM_NOT_FOUND", "SERVICE_UNAVAILABLE", "TOKEN_EXPIRED",
        "TOO_MANY_REQUESTS", "USER_NOT_FOUND", "VALIDATION_ERROR",
    }
)  # fmt: skip


def error_code(body: Any) -> str:
    """The first known code of one or several errors; empty where there is none."""
    for error in body if isinstance(body, list) else [body]:
        code = error.get("errorCode") if isinstance(error, Mapping) else None
        if isinstance(code, str) and code in CODES:
            return code
    return ""


def classify(failure: Failure) -> SyncError:
    """The error that an answer means, with the code that Welkin names, if it is known."""
    code = error_code(failure.json)
    status = failure.status
    if status == 401:
        if code in {"TOKEN_EXPIRED", "NOT_VALID_JSON_WEB_TOKEN"}:
            return TokenRejected(WelkinCode.TOKEN_REJECTED)
        return TenantMisconfigured(WelkinCode.UNAUTHORIZED, detail=code)
    if status == 403:
        # Regions and policies may hide single users: whoever asks for everybody fails as a whole.
        return UserUnavailable(WelkinCode.ACCESS_RESTRICTED, detail=code)
    if status == 404:
        return NotFound(WelkinCode.NOT_FOUND, detail=code)
    if status == 410:
        return NotFound(WelkinCode.GONE, detail=code, certain=True)
    if status == 429:
        return RateLimited(
            WelkinCode.RATE_LIMITED, retry_after=failure.retry_after, tenant_wide=True
        )
    if status >= 500 or status in {408, 425}:
        return TransientError(WelkinCode.UNAVAILABLE, detail=str(status))
    return BadItem(WelkinCode.REFUSED, detail=code or str(status))
