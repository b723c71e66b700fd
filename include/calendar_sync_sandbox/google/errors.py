"""Error answers of the Google Calendar API.

https://developers.google.com/workspace/calendar/api/guides/errors
"""

from __future__ import annotations

from typing import Any

from calendar_sync_sandbox.service import Refusal, Reply

_REASONS = {
    400: ("invalid", "Bad Request"),
    401: ("authError", "Invalid Credentials"),
    403: ("forbidden", "Forbidden"),
    404: ("notFound", "Not Found"),
    405: ("httpMethodNotAllowed", "Method Not Allowed"),
    409: ("duplicate", "The requested identifier already exists."),
    410: ("deleted", "Resource has been deleted"),
    412: ("conditionNotMet", "Precondition Failed"),
    429: ("rateLimitExceeded", "Rate Limit Exceeded"),
    500: ("backendError", "Backend Error"),
    503: ("backendError", "Backend Error"),
}
_DOMAINS = {
    "rateLimitExceeded": "usageLimits",
    "userRateLimitExceeded": "usageLimits",
    "quotaExceeded": "usageLimits",
    "dailyLimitExceeded": "usageLimits",
    "accessNotConfigured": "usageLimits",
    "deleted": "calendar",
    "fullSyncRequired": "calendar",
    "timeRangeEmpty": "calendar",
    "timeRangeTooLong": "calendar",
    "notACalendarUser": "calendar",
    "forbiddenForNonOrganizer": "calendar",
}


def error_body(
    status: int,
    reason: str | None = None,
    message: str | None = None,
    location: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """Build the JSON of an error: code, message and a list of one error with its reason."""
    usual = _REASONS.get(status, ("backendError", "Backend Error"))
    reason = reason or usual[0]
    message = message or usual[1]
    item: dict[str, Any] = {
        "domain": _DOMAINS.get(reason, "global"),
        "reason": reason,
        "message": message,
    }
    if location:
        item["locationType"], item["location"] = location
    return {"error": {"code": status, "message": message, "errors": [item]}}


class GoogleError(Refusal):
    """An error answer of the API."""

    def __init__(
        self,
        status: int,
        reason: str | None = None,
        message: str | None = None,
        location: tuple[str, str] | None = None,
    ) -> None:
        """Format the answer; what is not given takes the usual words of the status."""
        super().__init__(Reply(status, error_body(status, reason, message, location)))


def bad_parameter(
    name: str, message: str = "Invalid value", reason: str = "invalid"
) -> GoogleError:
    """Return the 400 for a query parameter."""
    return GoogleError(400, reason, message, ("parameter", name))
