"""The one filter that every log line of this package passes.

Nothing confidential should reach a log in the first place; the filter is the net under it: it
cuts tokens and query strings, and replaces the text of exceptions that are not ours.
"""

import logging
import re
import traceback
from collections.abc import Callable
from typing import Any

from calendar_sync.core.errors import SyncError, UnexpectedError

PACKAGE = "calendar_sync"
_RULES = (
    (re.compile(r"(?i)\bbearer\s+[\w.~+/=-]+"), "Bearer …"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), "…"),
    (re.compile(r"(https?://[^\s?\"']+)\?[^\s\"']*"), r"\1?…"),
    (re.compile(r"-----BEGIN[^-]*-----.*?(-----END[^-]*-----|$)", re.S), "…"),
)


class RedactingFilter(logging.Filter):
    """Rewrites records in place; never drops one."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact message and exception."""
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = describe(record.exc_info[1])
            record.msg = f"{record.msg} [{record.exc_text}]"
            record.exc_info = None
        return True


def redact(text: str) -> str:
    """Without tokens, keys and query strings."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def describe(error: BaseException) -> str:
    """An exception in words that may be logged: ours in full, others by type and place."""
    if isinstance(error, SyncError):
        return redact(str(error))
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "calendar_sync" in frame.filename] or list(frames)
    where = f" at {own[-1].filename.rpartition('/')[2]}:{own[-1].lineno}" if own else ""
    return f"{type(error).__name__}{where}"


def as_ours(error: Exception) -> SyncError:
    """Our own error unchanged; any other becomes one that says only its type and place."""
    return error if isinstance(error, SyncError) else UnexpectedError(detail=describe(error))


def install() -> None:
    """Redact every record of this package from now on, and let its loggers speak.

    Importing the package does it; commands, tasks and pages do it again, since a host that
    configures its logging may replace the factory, and silences loggers that were made before.
    A filter on a logger does not see what its children log, so records are made by a factory that
    passes ours through it; those of other packages stay as they are.
    """
    make = logging.getLogRecordFactory()
    if not isinstance(make, _Factory):
        logging.setLogRecordFactory(_Factory(make))
    for name, logger in [*logging.root.manager.loggerDict.items()]:
        if isinstance(logger, logging.Logger) and _is_ours(name):
            logger.disabled = False


class _Factory:
    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make
        self._filter = RedactingFilter()

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._make(*args, **kwargs)
        # `logging.makeLogRecord` asks for a record without a name and fills it afterwards.
        if _is_ours(str(record.name)):
            self._filter.filter(record)
        return record


def _is_ours(name: str) -> bool:
    return name == PACKAGE or name.startswith(PACKAGE + ".")
