"""Profiles: named sets of settings over the organisation's.

A profile gives what differs for its users. Sections and mappings are merged, key by key; every
other value, lists too, replaces the organisation's. A profile is valid if it is so together with
what it is merged into.
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

#: What a profile may give. All else is the organisation's alone.
SECTIONS = frozenset(
    {
        "direction",
        "encounter_types",
        "windows",
        "block_time",
        "calendars",
        "mirror_content",
        "mirror_moved",
        "mirror_deleted",
        "both_changed",
        "polling",
        "people_may_choose",
    }
)
#: Within these sections, only so much: sweeps ask for many accounts at once.
PARTS: Mapping[str, frozenset[str]] = {
    "polling": frozenset({"interval_seconds", "working_hours", "off_hours_interval_seconds"}),
}
#: What the settings of a profile are made without.
BESIDE = {"profiles", "mapping_rules"}
MOST = 50
LONGEST_NAME = 64
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?")

Path = tuple[str, ...]


def refusal(name: str) -> str:
    """Why no profile can have this name; empty if one can."""
    if len(name) <= LONGEST_NAME and _NAME.fullmatch(name):
        return ""
    return "a name has lower-case letters, digits, - and _, and at most 64 of them"


def outside(given: Mapping[str, Any]) -> list[Path]:
    """Paths of what a profile gives although only the organisation has it."""
    found: list[Path] = []
    for name, value in given.items():
        if name not in SECTIONS:
            found.append((name,))
        elif name in PARTS and isinstance(value, Mapping):
            found += [(name, str(part)) for part in value if part not in PARTS[name]]
    return found


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` with what `above` gives."""
    found = dict(below)
    for key, value in above.items():
        inner = found.get(key)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        found[key] = merged(inner, value) if both else value  # type: ignore[arg-type]
    return found


def as_given(given: Mapping[str, Any], valid: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a valid document where a profile gives some, as settings are stored."""
    found: dict[str, Any] = {}
    for key, value in given.items():
        inner = valid.get(key)
        if not (isinstance(value, Mapping) and isinstance(inner, Mapping)):
            found[key] = inner
        elif some := as_given(value, inner):
            found[key] = some
    return found


def under(error: ValidationError, *path: str) -> list[InitErrorDetails]:
    """The same mistakes, each within this part of a larger document."""
    return [
        mistake(problem["type"], problem["msg"], *path, *problem["loc"])
        for problem in error.errors(include_input=False, include_url=False)
    ]


def mistake(kind: str, said: str, *path: str | int) -> InitErrorDetails:
    """One mistake of a document, as pydantic lists it; the value is left out."""
    escaped: Any = said.removeprefix("Value error, ")
    return InitErrorDetails(
        type=PydanticCustomError(kind, escaped),
        loc=path,
        input=None,
    )
