"""What addresses may carry. A form sends every field, so an empty one means "not asked for"."""

from datetime import UTC, date, datetime
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from fastapi import Path, Query
from pydantic import AfterValidator, BeforeValidator, Field

from calendar_sync.core.model import Platform, Step

Value = TypeVar("Value")


def _none(value: Any) -> Any:
    return None if value == "" else value


def _no_zero(value: str) -> str:
    """PostgreSQL takes no NUL in text: nothing has one in its name."""
    if "\x00" in value:
        raise ValueError("contains a character that is not allowed")
    return value


def _near(value: datetime) -> datetime:
    """Far ones overflow in zones."""
    if not 2000 <= value.year <= 2199:
        raise ValueError("is outside the years 2000 to 2199")
    return value


def _zone(value: str) -> str:
    if value and value not in available_timezones():
        raise ValueError("is not a time zone")
    return value


def in_zone(value: datetime | None, zone: str) -> datetime | None:
    """A time without a zone, as a browser's field sends it, is one of this zone (or UTC)."""
    if value is None:
        return None
    if value.tzinfo is None:
        value = value.replace(tzinfo=ZoneInfo(zone) if zone else UTC)
    return value.astimezone(UTC)


_Text = Annotated[str, AfterValidator(_no_zero)]
Text = Annotated[_Text, Query(max_length=320)]
#: Welkin's ids are opaque; none has a space, a control character or a slash.
UserId = Annotated[str, Path(max_length=64, pattern=r"^[^\x00-\x20\x7f/]+$")]
AnyPlatform = Annotated[Platform | None, BeforeValidator(_none), Query()]
AnyStep = Annotated[Step | None, BeforeValidator(_none), Query()]
AnyTime = Annotated[
    Annotated[datetime, AfterValidator(_near)] | None, BeforeValidator(_none), Query()
]
AnyDay = Annotated[date | None, BeforeValidator(_none), Query()]
#: The name of a zone, as browsers know it.
Zone = Annotated[str, AfterValidator(_zone), Query(max_length=64)]
#: Numbers of rows, as large as both databases can keep.
RowNumber = Annotated[int, Field(ge=1, le=2**63 - 1)]
#: The same, where none is one, too.
Key = Annotated[RowNumber | None, BeforeValidator(_none), Query()]
PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
