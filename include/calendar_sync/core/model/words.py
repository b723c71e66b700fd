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


#: What a mirror may show beside its texts, as a level names it: "type/busy+place".
PLACE, LINK = "place", "link"
#: The colours of events in Google Calendar, in the order of their ids from 1.
GOOGLE_COLOURS = (
    "lavender",
    "sage",
    "grape",
    "flamingo",
    "banana",
    "tangerine",
    "peacock",
    "graphite",
    "blueberry",
    "basil",
    "tomato",
)


def exceeds(level: str, allowed: str) -> bool:
    """A mirror of `level` ("full/busy", "type/busy+link") shows more than `allowed` permits."""
    order = [each.value for each in DetailLevel]
    (one, *shown), (other, *permitted) = level.split("+"), allowed.split("+")
    pairs = zip(one.split("/"), other.split("/"), strict=True)
    more = any(order.index(text) > order.index(limit) for text, limit in pairs)
    return more or not set(shown) <= set(permitted)


def located(level: str) -> bool:
    """We have written the location of a mirror of this level: a place or a join link."""
    return "+" in level
