"""A row that cannot be read affects only itself: only its id is kept."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from calendar_sync.core.model import Row, Unreadable
from calendar_sync.core.redaction import describe

logger = logging.getLogger(__name__)


def id_of(row: Any) -> str:
    """The row's id, empty where it has none."""
    found = row.get("id") if isinstance(row, Mapping) else None
    return found if isinstance(found, str) else ""


def note(error: Exception, what: str, row: Any) -> str:
    """Log a bug's place and the row's id, never its content; returns the id."""
    row_id = id_of(row)
    logger.warning("%s %s cannot be read: %s", what, row_id or "without id", describe(error))
    return row_id


def read_event(read: Callable[[Any], Row | None], row: Any, what: str) -> Row | None:
    """An event of a calendar. One that trips us up is there, and nothing is known of it."""
    try:
        return read(row)
    except Exception as error:
        row_id = note(error, what, row)
        return Unreadable(row_id) if row_id else None
