"""Error answers of Microsoft Graph.

https://learn.microsoft.com/graph/errors
"""

from __future__ import annotations

from typing import Any

from calendar_sync_sandbox.service import Refusal, Reply

_USUAL = {
    400: ("BadRequest", "The request is malformed or incorrect."),
    401: ("InvalidAuthenticationToken", "Access token is empty."),
    403: ("ErrorAccessDenied", "Access is denied. Check credentials and try again."),
    404: ("ErrorItemNotFound", "The specified object was not found in the store."),
    405: ("BadRequest", "The OData request is not supported."),
    409: ("ErrorIrresolvableConflict", "The operation conflicts with another one."),
    410: ("SyncStateNotFound", "The sync state generation is not found."),
    412: (
        "ErrorIrresolvableConflict",
        "The send or update operation could not be performed because the change key passed in "
        "the request does not match the current change key for the item.",
    ),
    429: ("ApplicationThrottled", "Application is over its MailboxConcurrency limit."),
    500: ("InternalServerError", "An internal server error occurred."),
    503: ("ErrorServerBusy", "The server cannot service this request right now."),
    504: ("UnknownError", "The gateway did not get an answer in time."),
}


def error_body(status: int, code: str | None = None, message: str | None = None) -> dict[str, Any]:
    """Build the JSON of an error; what is not given takes the usual words of the status."""
    usual = _USUAL.get(status, ("UnknownError", "Something went wrong."))
    return {"error": {"code": code or usual[0], "message": message or usual[1]}}


class GraphError(Refusal):
    """An error answer of the API."""

    def __init__(
        self,
        status: int,
        code: str | None = None,
        message: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Format the answer."""
        super().__init__(Reply(status, error_body(status, code, message), headers or {}))


def bad_option(name: str, message: str = "is not supported by this request") -> GraphError:
    """Return the 400 for a query option."""
    return GraphError(400, "ErrorInvalidUrlQuery", f"The query option '{name[:60]}' {message}.")


def bad_property(message: str) -> GraphError:
    """Return the 400 for a value that a property cannot have."""
    return GraphError(400, "ErrorPropertyValidationFailure", message)
