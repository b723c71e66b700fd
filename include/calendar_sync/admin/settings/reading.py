"""A filled form as settings; mistakes are shown beside their inputs."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from calendar_sync.admin.settings.forms import (
    KEY,
    SET,
    VALUE,
    Control,
    Filled,
    controls,
    entries,
    sections,
)
from calendar_sync.config.documents import read_yaml
from calendar_sync.config.settings import MOST_VALUES, Calendars, Settings
from calendar_sync.core.bounded import TooMuch, refuse_deep
from calendar_sync.core.errors import ConfigurationError

#: Fields of the page that are no settings.
OWN = frozenset({"csrf_token", "based_on"})
MOST_MISTAKES = 100
_INCOMPLETE = "is missing in the request"


@dataclass(frozen=True)
class Filling:
    """The form as it came: settings, or what is wrong by the name of the input."""

    filled: Filled
    settings: Settings | None = None
    mistakes: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many mistakes."""
        return sum(len(said) for said in self.mistakes.values())


def read(filled: Filled) -> Filling:
    """The settings that a filled form means. Unknown and missing inputs are refused, too."""
    mistakes: dict[str, list[str]] = defaultdict(list)
    known: set[str] = set()
    document: dict[str, Any] = {}
    for control in (each for section in sections() for each in section.controls):
        value = _read(control, filled, known, mistakes)
        if value is not None:
            document[control.name] = value
    for name in sorted(filled.keys() - known - OWN)[:MOST_MISTAKES]:
        mistakes[""].append(f"{name[:100]} is not a setting")
    settings = None
    try:
        refuse_deep(document, most=MOST_VALUES)
        settings = Settings.model_validate(document)
    except TooMuch as error:
        mistakes[""].append(f"The form is too large: {error}")
    except ValidationError as error:
        names = {control.name for control in controls()}
        for problem in error.errors(include_input=False, include_url=False)[:MOST_MISTAKES]:
            name, said = _place(problem, names)
            mistakes[name].append(said)
    found = {name: list(dict.fromkeys(said)) for name, said in mistakes.items()}
    return Filling(filled, None if found else settings, found)


def _read(control: Control, filled: Filled, known: set[str], mistakes: dict[str, list[str]]) -> Any:
    """The value that the model takes; None where it is not to be set."""
    name = control.name
    if control.kind == "group":
        if control.optional:
            known.add(name + SET)
        values = {
            inner.name.rpartition(".")[2]: value
            for inner in control.inner
            if (value := _read(inner, filled, known, mistakes)) is not None
        }
        if control.optional and not filled.get(name + SET):
            _forget(mistakes, name)
            return None
        if name.startswith("calendars.") and values == _USUAL:
            return None
        return values
    if control.kind == "rows":
        known |= {name + KEY, name + VALUE}
        return _rows(control, filled, mistakes)
    known.add(name)
    given = filled.get(name, [])
    if control.kind == "check":
        return bool(given)
    if control.kind == "choices":
        return [value for value in given if value]
    if control.kind == "names" and given:
        return entries(given)
    if len(given) != 1:
        mistakes[name].append(_INCOMPLETE if not given else "is given twice")
        return None
    return _value(control, given[0], mistakes)


_USUAL = Calendars().model_dump(mode="json")


def _value(control: Control, text: str, mistakes: dict[str, list[str]]) -> Any:
    if control.kind == "lines":
        return [line.strip() for line in text.splitlines() if line.strip()]
    if control.kind == "yaml":
        try:
            found = read_yaml(text, "").value if text.strip() else None
            refuse_deep(found, most=MOST_VALUES)
        except ConfigurationError as error:
            mistakes[control.name].append(error.detail.removeprefix(": "))
            return None
        except TooMuch as error:
            mistakes[control.name].append(f"{error}.")
            return None
        return found
    if control.kind == "number" and not text.strip():
        mistakes[control.name].append("Enter a number.")
        return None
    if control.kind == "select" and text == "":
        return None
    # A browser sends line ends of its own; the model keeps what else there is.
    return text.strip() if control.kind in {"number", "time"} else text.replace("\r\n", "\n")


def _rows(control: Control, filled: Filled, mistakes: dict[str, list[str]]) -> dict[str, str]:
    keys = [key.strip() for key in filled.get(control.name + KEY, [])]
    values = [value.strip() for value in filled.get(control.name + VALUE, [])]
    found: dict[str, str] = {}
    if len(keys) != len(values):
        mistakes[control.name].append(_INCOMPLETE)
        return found
    for key, value in zip(keys, values, strict=True):
        if not key and not value:
            continue
        if not key or not value:
            mistakes[control.name].append(f"{key or value}: fill in both sides of the row.")
        elif key in found:
            mistakes[control.name].append(f"{key} is given twice.")
        found[key] = value
    return found


def _forget(mistakes: dict[str, list[str]], name: str) -> None:
    """A section that is switched off cannot be wrong."""
    for inner in [key for key in mistakes if key.startswith(f"{name}.")]:
        del mistakes[inner]


def _place(problem: Any, names: set[str]) -> tuple[str, str]:
    """The input that a mistake belongs to, and the mistake in words."""
    path = [str(part) for part in problem["loc"]]
    name, rest = "", path
    for length in range(len(path), 0, -1):
        if ".".join(path[:length]) in names:
            name, rest = ".".join(path[:length]), path[length:]
            break
    said = str(problem["msg"]).removeprefix("Value error, ")
    said = f"{said[:1].upper()}{said[1:]}" + ("" if said.endswith((".", "?")) else ".")
    word = "Rule" if name == "mapping_rules" else "Line"
    where = " ".join(
        f"{word} {int(part) + 1}" if part.isdecimal() and len(part) < 9 else part[:100]
        for part in rest
        if part != "[key]"
    )
    return name, f"{where}: {said}" if where else said
