"""Error answers of Welkin: a JSON array of objects with code, component, message and details."""

from __future__ import annotations

from typing import Any

from calendar_sync_sandbox.service import Refusal, Reply

_USUAL = {
    400: ("VALIDATION_ERROR", "CALENDAR", "Request is not valid"),
    401: ("NOT_VALID_JSON_WEB_TOKEN", "AUTH", "Not valid JWT"),
    403: ("ACCESS_FOR_API_CLIENT_RESTRICTED", "AUTH", "Access for API client restricted"),
    404: ("NOT_FOUND", "COMMON", "Not found"),
    405: ("METHOD_NOT_ALLOWED", "COMMON", "Method not allowed"),
    409: ("CONFLICT", "COMMON", "Conflict"),
    429: ("TOO_MANY_REQUESTS", "COMMON", "Too many requests"),
}


def error_body(
    status: int,
    code: str | None = None,
    message: str | None = None,
    component: str | None = None,
    details: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Build the array of one error; the date is missing, as it is on some of the real ones."""
    usual = _USUAL.get(status, ("INTERNAL_SERVER_ERROR", "COMMON", "Internal server error"))
    return [
        {
            "errorCode": code or usual[0],
            "componentType": component or usual[1],
            "message": message or usual[2],
            "details": details or {},
        }
    ]


class WelkinError(Refusal):
    """An error answer of the API."""

    def __init__(
        self,
        status: int,
        code: str | None = None,
        message: str | None = None,
        component: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        """Format the answer; what is not given takes the usual words of the status."""
        super().__init__(Reply(status, error_body(status, code, message, component, details)))


def bad_request(message: str, code: str = "VALIDATION_ERROR") -> WelkinError:
    """Return the 400 for a value that cannot be taken."""
    return WelkinError(400, code, message)


def event_missing() -> WelkinError:
    """Return the 404 of a calendar event."""
    return WelkinError(404, "CALENDAR_EVENT_NOT_FOUND", "Calendar event not found", "CALENDAR")


def record_missing() -> WelkinError:
    """Return the 404 of an encounter, which is a CDT record."""
    return WelkinError(404, "DT_RECORD_NOT_FOUND", "DT record not found", "CDT")
