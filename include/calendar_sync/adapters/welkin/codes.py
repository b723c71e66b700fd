"""Error codes of Welkin's answers: a JSON array of objects with `errorCode`, or anything at all.

Only what is known becomes a detail of an error: details are shown, and a server may write anything.
"""

from collections.abc import Mapping
from typing import Any

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
