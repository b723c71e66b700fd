"""Where things are in Graph: paths, and the filter for an extended property.

https://learn.microsoft.com/graph/api/resources/calendar
"""

from urllib.parse import quote

from calendar_sync.core.model import Window, iso

VERSION = "/v1.0/"


def view(account: str, name: str, window: Window) -> tuple[str, dict[str, str]]:
    """The path of a calendar's window, and its bounds."""
    bounds = {"startDateTime": iso(window.start), "endDateTime": iso(window.end)}
    return f"{calendar(account, name)}/calendarView", bounds


def user(account: str) -> str:
    """The path of a mailbox, by its address or its object id."""
    return f"{VERSION}users/{quote(account, safe='@')}"


def calendar(account: str, name: str) -> str:
    """The path of a calendar by its id, or of the `primary` one."""
    if name == "primary":
        return f"{user(account)}/calendar"
    return f"{user(account)}/calendars/{quote(name, safe='')}"


def event(account: str, event_id: str) -> str:
    """The path of an event, in whichever calendar it is."""
    return f"{user(account)}/events/{quote(event_id, safe='')}"


def with_property(name: str, value: str) -> str:
    """A filter for events whose extended property of this name has this value."""
    return f"singleValueExtendedProperties/Any(ep: ep/id eq '{name}' and ep/value eq '{value}')"
