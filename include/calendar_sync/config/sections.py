"""What all sections of the settings have in common."""

import difflib
from collections.abc import Set
from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict

#: The context of what was accepted before: see `settings.parse`.
STORED = {"stored": True}


class Section(BaseModel):
    """A part of the settings. Each field is explained below it: the admin pages show that text."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def nearest(name: str, known: Set[str]) -> str:
    """The end of a message: the known name that is most like a wrong one, if any is."""
    found = difflib.get_close_matches(name[:100], sorted(known), n=1, cutoff=0.5)
    return f", did you mean {found[0]}?" if found else ""


def matches(value: str | None, patterns: tuple[str, ...]) -> bool:
    """Some pattern fits, in either case. Only * and ? are wildcards.

    A bracket, which fnmatch knows too, is part of a name.
    """
    if value is None:
        return False
    value = value.casefold()
    names = (pattern.casefold().replace("[", "[[]") for pattern in patterns)
    return any(fnmatchcase(value, name) for name in names)
