"""Platforms, directions and detail levels, as the settings name them."""

from enum import StrEnum


class Platform(StrEnum):
    """The external calendar systems."""

    GOOGLE = "google"
    MICROSOFT = "microsoft"

    @property
    def label(self) -> str:
        """Its name on pages."""
        return {"google": "Google", "microsoft": "Microsoft 365"}[self.value]

    @property
    def calendars(self) -> str:
        """The name of the service that keeps its calendars."""
        return {"google": "Google Calendar", "microsoft": "Microsoft 365"}[self.value]


class Direction(StrEnum):
    """Which sides are written."""

    WELKIN_TO_CALENDAR = "welkin_to_calendar"
    CALENDAR_TO_WELKIN = "calendar_to_welkin"
    BIDIRECTIONAL = "bidirectional"

    @property
    def writes_calendar(self) -> bool:
        """Mirrors are kept."""
        return self is not Direction.CALENDAR_TO_WELKIN

    @property
    def writes_welkin(self) -> bool:
        """Blocks are kept."""
        return self is not Direction.WELKIN_TO_CALENDAR


class DetailLevel(StrEnum):
    """How much of an appointment a mirror may show."""

    BUSY = "busy"
    TYPE = "type"
    FULL = "full"


def exceeds(level: str, allowed: str) -> bool:
    """Title or description of `level` ("full/busy") shows more than `allowed` permits."""
    order = [each.value for each in DetailLevel]
    pairs = zip(level.split("/"), allowed.split("/"), strict=True)
    return any(order.index(one) > order.index(other) for one, other in pairs)
