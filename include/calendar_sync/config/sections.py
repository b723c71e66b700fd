"""What all sections of the settings have in common."""

import ast
import difflib
import inspect
import textwrap
from collections.abc import Set
from fnmatch import fnmatchcase
from itertools import pairwise

from pydantic import BaseModel, ConfigDict

#: The context of what was accepted before: see `settings.parse`.
STORED = {"stored": True}


class Section(BaseModel):
    """A part of the settings. Each field is explained below it: the admin pages show that text."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def explanations(section: type[BaseModel]) -> dict[str, str]:
    """What stands below the fields of a section, by their names.

    pydantic would read it (`use_attribute_docstrings`) in each process, which takes longer than to
    import all else that the settings need.
    """
    try:
        source = textwrap.dedent(inspect.getsource(section))
    except OSError:
        return {}  # only the compiled module is installed
    [made] = ast.parse(source).body
    assert isinstance(made, ast.ClassDef)  # noqa: S101 - narrows the type
    found = {}
    for field, below in pairwise(made.body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = inspect.cleandoc(text)
    return found


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
