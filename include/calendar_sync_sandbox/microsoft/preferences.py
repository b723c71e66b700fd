"""What a request prefers, and the query options that shape its answer.

https://learn.microsoft.com/graph/query-parameters
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from calendar_sync_sandbox.microsoft.errors import GraphError, bad_option
from calendar_sync_sandbox.microsoft.times import zone

if TYPE_CHECKING:
    from calendar_sync_sandbox.service import Call

UTC_ZONE = ZoneInfo("UTC")
MAX_PAGE = 1000
PROPERTY_ID = re.compile(
    r"(String|Integer|Boolean|Double|SystemTime) "
    r"(\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\} (?:Name .+|Id 0x[0-9a-f]+)|0x[0-9a-f]+)$",
    re.IGNORECASE,
)
_TEXT = r"'((?:[^']|'')*)'"
_EXPAND = re.compile(
    r"singleValueExtendedProperties\s*\(\s*\$filter\s*=\s*(.+?)\s*\)$", re.IGNORECASE
)
_ONE_ID = re.compile(rf"id\s+eq\s+{_TEXT}", re.IGNORECASE)
_ANY = re.compile(
    rf"singleValueExtendedProperties/any\(\s*(\w+)\s*:\s*\1/id\s+eq\s+{_TEXT}\s+and\s+"
    rf"\1/value\s+eq\s+{_TEXT}\s*\)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Preferences:
    """The Prefer headers of a request."""

    zone_name: str = "UTC"
    zone: ZoneInfo = UTC_ZONE
    text: bool = False
    immutable: bool = False
    page: int | None = None
    minimal: bool = False
    applied: str = ""


@lru_cache(maxsize=1024)
def preferences(header: str) -> Preferences:
    """Read a Prefer header; what is unknown is passed over, as the API does.

    Raises:
        GraphError: 400 for a time zone that the API does not know.
    """
    found: dict[str, object] = {}
    applied: list[str] = []
    for part in re.split(r",(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", header):
        name, _, value = part.strip().partition("=")
        name, value = name.strip().lower(), value.strip().strip('"')
        if name == "outlook.timezone":
            found |= {"zone_name": value, "zone": zone(value)}
        elif name == "outlook.body-content-type" and value in ("text", "html"):
            found["text"] = value == "text"
        elif name == "idtype" and value == "ImmutableId":
            found["immutable"] = True
        elif name == "odata.maxpagesize" and value.isdigit() and int(value) > 0:
            found["page"] = min(int(value), MAX_PAGE)
        elif name == "return" and value in ("minimal", "representation"):
            found["minimal"] = value == "minimal"
        else:
            continue
        applied.append(part.strip())
    return Preferences(**found, applied=", ".join(applied))  # type: ignore[arg-type]


def prefers(call: Call) -> Preferences:
    """Read the Prefer headers of a request."""
    header = call.headers.get("prefer")
    return preferences(header) if header else _NONE


_NONE = Preferences()


def read_body(call: Call) -> dict[str, Any]:
    """Read the object that was sent.

    Raises:
        GraphError: 400 for anything else.
    """
    try:
        sent = json.loads(call.body)
    except ValueError:
        sent = None
    if not isinstance(sent, dict):
        raise GraphError(400, "BadRequest", "Unable to read JSON request payload.")
    return sent


def check_options(call: Call, allowed: frozenset[str]) -> None:
    """Refuse query options that a request does not have.

    Raises:
        GraphError: 400.
    """
    for name in call.query:
        if name not in allowed:
            raise bad_option(name)


def read_select(call: Call, known: frozenset[str]) -> frozenset[str] | None:
    """Read ``$select``, None when it was not sent."""
    text = call.one("$select")
    if text is None:
        return None
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    if unknown := names - known:
        raise GraphError(
            400, "BadRequest", f"Could not find a property named '{sorted(unknown)[0][:60]}'."
        )
    return names


def read_expand(call: Call) -> frozenset[str]:
    """Read which extended properties ``$expand`` asks for, their ids in lower case."""
    text = call.one("$expand")
    if text is None:
        return frozenset()
    match = _EXPAND.match(text.strip())
    ids = _ONE_ID.findall(match[1]) if match else []
    if match is None or not ids or not _only_ors(match[1]):
        raise bad_option("$expand", "is not understood")
    return frozenset(name.replace("''", "'").lower() for name in ids)


def _only_ors(text: str) -> bool:
    return re.sub(r"\s+or\s+|\s", "", _ONE_ID.sub("", text), flags=re.IGNORECASE) == ""


def read_marker_filter(text: str) -> tuple[str, str] | None:
    """Read a filter on one extended property: its id and its value, both in lower case."""
    match = _ANY.match(text.strip())
    if match is None:
        return None
    name, value = (match[n].replace("''", "'") for n in (2, 3))
    if not PROPERTY_ID.match(name):
        raise bad_option("$filter", "names no extended property")
    return name.lower(), value.lower()


def read_number(call: Call, name: str, default: int, high: int = MAX_PAGE) -> int:
    """Read a number of at least 0 (1 for ``$top``)."""
    text = call.one(name)
    if text is None:
        return default
    if not text.isdigit() or int(text) > high or (name == "$top" and int(text) < 1):
        raise bad_option(name, "is out of range")
    return int(text)
