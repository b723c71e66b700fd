"""The end of a failed task's log: one line for whoever is on duty, instead of frames.

Airflow logs what ends a task with its traceback, through structlog. Our own errors say all that
there is to say, and their frames help no one. All other errors stay unchanged.
https://www.structlog.org/en/stable/processors.html
"""

import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from calendar_sync.core.errors import ConfigurationError, SyncError, UsersFailed
from calendar_sync.core.redaction import redact


class StateUnavailable(Exception):
    """The state database did not answer: Airflow may try the task once more."""


def shorten_failures() -> None:
    """From now on this process logs our own errors as one line."""
    # The loggers that exist hold this very list.
    processors = structlog.get_config()["processors"]
    if _shorten not in processors:
        processors.insert(0, _shorten)


def line(error: BaseException) -> str:
    """The users, what is wrong, what to do, and who can."""
    if isinstance(error, StateUnavailable):
        return (
            "all users of this task: the state database did not answer, and Airflow retries once; "
            "check its server and CALENDAR_SYNC_DATABASE_URL (responsible: the administrator of "
            f"the sync) [{error}]"
        )
    if not isinstance(error, SyncError):
        return type(error).__name__
    if isinstance(error, UsersFailed):
        return redact(error.words or error.code.in_words)
    said = error.detail if isinstance(error, ConfigurationError) else error.code.in_words
    what = f"{error.code}: {error.detail}" if said != error.detail else error.code
    return redact(f"all users of this task: {said} (responsible: {error.code.whose}) [{what}]")


def _shorten(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    found = event.get("exc_info")
    error = found if isinstance(found, BaseException) else sys.exc_info()[1] if found else None
    if isinstance(found, tuple):
        error = found[1]
    if isinstance(error, SyncError | StateUnavailable):
        del event["exc_info"]
        event["event"] = line(error)
    return event
