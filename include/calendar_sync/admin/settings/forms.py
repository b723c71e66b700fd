"""A form made from the settings' model: what it asks for, from settings and back to a document.

Names of inputs are the dotted names of the settings. `#set` is the box that says whether a section
that may be missing is there; `#key` and `#value` are the two columns of a mapping's rows.
"""

import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import time
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from calendar_sync.admin.settings.words import ROWS, about, choice, name_of
from calendar_sync.config.documents import write_yaml
from calendar_sync.config.sections import explanations
from calendar_sync.config.settings import Settings
from calendar_sync.core.model import Platform

SET, KEY, VALUE = "#set", "#key", "#value"
Kind = Literal[
    "check",
    "select",
    "number",
    "text",
    "long",
    "time",
    "choices",
    "lines",
    "names",
    "rows",
    "yaml",
    "group",
]
#: One form: what each input holds; several values for boxes and rows.
Filled = Mapping[str, list[str]]

#: The sections of the page in their order, each with a word on what it is about.
SECTIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Direction", "", ("direction",)),
    ("Encounter types", "", ("encounter_types",)),
    ("Block time", "", ("block_time",)),
    ("Event details", "", ("mirror_content",)),
    (
        "Changes made by hand",
        "What happens when a synced event is changed in the calendar.",
        ("mirror_moved", "mirror_deleted", "both_changed"),
    ),
    ("Calendars", "", ("calendars",)),
    ("Profiles", "", ("profiles", "people_may_choose")),
    ("Mapping rules", "", ("mapping_rules",)),
    ("How far ahead and back", "", ("windows",)),
    ("Users who leave, and deletions", "", ("on_unmapped", "deletion_guard")),
    ("How often, and when it is late", "", ("polling", "notice", "push", "freshness", "time_zone")),
    ("Notifications", "", ("notify",)),
    ("Rates and sizes", "Rarely need a change.", ("limits",)),
)
#: What an organisation decides first: these sections are open, the others folded.
EVERYDAY = frozenset({"direction", "encounter_types", "block_time", "mirror_content"})
#: Folded within an open section.
RARE = frozenset(
    {
        "encounter_types.exclude",
        "encounter_types.unknown_type",
        "block_time.working_elsewhere",
        "block_time.out_of_office",
        "block_time.all_day_kinds",
        "block_time.all_day_write",
        "block_time.block_edited",
        "block_time.duplicates",
        "block_time.report_overlaps",
        "block_time.buffers",
        "block_time.ignore_external",
        "block_time.instances_per_series",
        "mirror_content.type_titles",
        "mirror_content.places",
        "mirror_content.link_hosts",
        "mirror_content.colours",
        "mirror_content.categories",
        "mirror_content.reminder",
        "mirror_content.buffers",
        "mirror_content.tentative",
    }
)
#: Names that are picked from what Welkin has, with others and patterns beside them.
PICKED = frozenset({"encounter_types.include", "encounter_types.exclude"})


@dataclass(frozen=True)
class Control:
    """One input, or (kind "group") a section with inputs of its own."""

    name: str
    label: str
    help: str
    kind: Kind
    options: tuple[tuple[str, str], ...] = ()
    limits: Mapping[str, object] = field(default_factory=dict)
    inner: tuple["Control", ...] = ()
    optional: bool = False
    usual: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """For labels and anchors."""
        return "s-" + self.name.replace(".", "-").replace("_", "-")

    @property
    def rare(self) -> bool:
        """Folded away within its section."""
        return self.name in RARE


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    title: str
    help: str
    controls: tuple[Control, ...]

    @property
    def id(self) -> str:
        """For anchors."""
        return "part-" + "-".join(word for word in self.title.lower().split() if word.isalpha())

    @property
    def everyday(self) -> bool:
        """Open from the start."""
        return any(control.name in EVERYDAY for control in self.controls)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of everything in it."""
        return tuple(control.name for control in controls(self.controls))


@cache
def sections() -> tuple[Section, ...]:
    """Every setting of the model, in sections."""
    named = {name for _, _, names in SECTIONS for name in names}
    rest = tuple(name for name in Settings.model_fields if name not in named)
    parts = [*SECTIONS, ("Others", "", rest)] if rest else [*SECTIONS]
    return tuple(
        Section(title, said, _controls(Settings, names=names)) for title, said, names in parts
    )


def controls(found: tuple[Control, ...] | None = None) -> Iterator[Control]:
    """All controls, groups before what is in them."""
    if found is None:
        found = tuple(control for section in sections() for control in section.controls)
    for control in found:
        yield control
        yield from controls(control.inner)


def _controls(
    model: type[BaseModel], prefix: str = "", names: Iterable[str] | None = None
) -> tuple[Control, ...]:
    """Of these fields of a model; without names, of all."""
    fields, told = model.model_fields, explanations(model)
    return tuple(
        _of_type(path, name_of(path), about(path, told.get(name, "")), info.annotation, info)
        for name in (fields if names is None else names)
        for path, info in [(f"{prefix}{name}", fields[name])]
    )


def _of_type(path: str, label: str, said: str, kind: Any, info: FieldInfo | None) -> Control:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        [some] = [each for each in inner if each is not type(None)]
        return _group(path, label, said, some, optional=True)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _group(path, label, said, kind)
    if origin is dict:
        return _of_mapping(path, label, said, *inner)
    if origin is tuple:
        if isinstance(inner[0], type) and issubclass(inner[0], BaseModel):
            return Control(path, label, said, "yaml")
        if get_origin(inner[0]) is Literal:
            return Control(path, label, said, "choices", _options(path, inner[0]))
        return Control(path, label, said, "names" if path in PICKED else "lines")
    if origin is Literal or (isinstance(kind, type) and issubclass(kind, Enum)):
        return Control(path, label, said, "select", _options(path, kind))
    if kind is bool:
        return Control(path, label, said, "check")
    if kind in {int, float}:
        return Control(path, label, said, "number", limits=_limits(kind, info))
    if kind is time:
        return Control(path, label, said, "time")
    if kind is str:
        # An input of one line would take the line breaks out of a template.
        return Control(path, label, said, "long" if path.endswith(".template") else "text")
    raise TypeError(f"{path}: no input for {kind}")


def _group(
    path: str, label: str, said: str, model: type[BaseModel], *, optional: bool = False
) -> Control:
    inner = _controls(model, f"{path}.")
    # What a section that is not there begins with, once it is wanted.
    usual = {
        name: str(info.default) if isinstance(info.default, time) else info.default
        for name, info in model.model_fields.items()
        if not info.is_required()
    }
    return Control(
        path, label, said, "group", inner=inner, optional=optional, usual=usual if optional else {}
    )


def _of_mapping(path: str, label: str, said: str, key: Any, value: Any) -> Control:
    if key is Platform:
        inner = []
        for platform in Platform:
            name = f"{path}.{platform.value}"
            one = _of_type(name, name_of(name), "", value, None)
            if one.kind == "select":
                options = (("", choice(name, "")), *one.options)
                one = Control(one.name, one.label, one.help, "select", options)
            inner.append(one)
        return Control(path, label, said, "group", inner=tuple(inner))
    if value is str:
        return Control(path, label, said, "rows", (ROWS.get(path, ("Name", "Value")),))
    return Control(path, label, said, "yaml")


def _options(path: str, kind: Any) -> tuple[tuple[str, str], ...]:
    values = get_args(kind) or tuple(each.value for each in kind)
    return tuple((str(value), choice(path, str(value))) for value in values)


def _limits(kind: type, info: FieldInfo | None) -> dict[str, object]:
    found: dict[str, object] = {"step": "1" if kind is int else "any"}
    for each in info.metadata if info is not None else ():
        for sign, attribute in (("ge", "min"), ("le", "max")):
            if (value := getattr(each, sign, None)) is not None:
                found[attribute] = value
    return found


# --- from settings to what the inputs hold ------------------------------------------------------


def fill(settings: Settings) -> dict[str, list[str]]:
    """What the form shows for these settings."""
    document = settings.model_dump(mode="json")
    # A platform without calendars of its own is shown with those that it has.
    for platform in Platform:
        shown = settings.calendars_of(platform).model_dump(mode="json")
        document["calendars"].setdefault(platform.value, shown)
    found: dict[str, list[str]] = {}
    for control in (each for section in sections() for each in section.controls):
        _fill(control, document[control.name], found)
    return found


def _fill(control: Control, value: Any, found: dict[str, list[str]]) -> None:
    name = control.name
    if control.kind == "group":
        if control.optional:
            found[name + SET] = ["on"] if value is not None else []
        for inner in control.inner:
            of_inner = (control.usual if value is None else value).get(
                inner.name.rpartition(".")[2]
            )
            _fill(inner, of_inner, found)
    elif control.kind == "check":
        found[name] = ["on"] if value else []
    elif control.kind == "rows":
        found[name + KEY], found[name + VALUE] = list(value or {}), list((value or {}).values())
    elif control.kind == "choices":
        found[name] = list(value or ())
    elif control.kind in {"lines", "names"}:
        found[name] = ["\n".join(value or ())]
    elif control.kind == "yaml":
        found[name] = [write_yaml(value) if value else ""]
    elif control.kind == "time":
        found[name] = [str(value)[:5] if value else ""]
    else:
        found[name] = ["" if value is None else str(value)]


def entries(given: Iterable[str]) -> list[str]:
    """The names in the values of one input: one on each line, each name once."""
    lines = (line.strip() for value in given for line in value.splitlines())
    return list(dict.fromkeys(line for line in lines if line))
