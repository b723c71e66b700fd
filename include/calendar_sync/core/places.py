"""Whether the location of an event is a place, or only says how to join a meeting online.

The text itself is used for nothing else, and kept nowhere.
"""

import re

_ADDRESS = re.compile(r"https?://\S+", re.IGNORECASE)
_BETWEEN = re.compile(r"[;\n]")
_EDGES = " \t\r,.()<>"
_ONLINE = frozenset({"google meet", "skype meeting", "webex", "zoom", "zoom meeting"})
# Exchange continues in the language of the mailbox.
_TEAMS = "microsoft teams"


def place_and_online(location: str | None, *, conference: bool) -> tuple[bool, bool]:
    """Whether the event has a place, and whether it is held online. It may be both."""
    text, addresses = _ADDRESS.subn("", location or "")
    parts = [part.strip(_EDGES).casefold() for part in _BETWEEN.split(text)]
    named = [part for part in parts if part]
    has_place = not all(_is_online(part) for part in named)
    return has_place, conference or (not has_place and bool(named or addresses))


def _is_online(part: str) -> bool:
    return part in _ONLINE or part.startswith(_TEAMS)
