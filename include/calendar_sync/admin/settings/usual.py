"""Default values of the settings, for the form."""

from collections.abc import Mapping
from functools import cache

from calendar_sync.admin.settings.forms import (
    KEY,
    SET,
    VALUE,
    Control,
    Filled,
    controls,
    entries,
    fill,
)
from calendar_sync.config.settings import Settings


@cache
def _usual() -> Filled:
    return fill(Settings())


def defaults() -> Mapping[str, str]:
    """What each setting is unless changed, in words."""
    return {control.name: _in_words(control) for control in controls() if control.kind != "group"}


def changed(filled: Filled) -> frozenset[str]:
    """The settings that are not as usual."""
    return frozenset(
        control.name
        for control in controls()
        if any(
            _plain(control, filled, name) != _plain(control, _usual(), name)
            for name in (control.name, *(control.name + mark for mark in (SET, KEY, VALUE)))
        )
    )


def _plain(control: Control, filled: Filled, name: str) -> list[str]:
    given = [value.replace("\r\n", "\n") for value in filled.get(name, [])]
    if control.kind in {"lines", "names"}:
        return entries(given)
    if control.kind == "rows":
        return [value for value in given if value.strip()]
    return sorted(given) if control.kind == "choices" else given


def _in_words(control: Control) -> str:
    given = _usual().get(control.name, [])
    if control.kind == "check":
        return "on" if given else "off"
    if control.kind in {"select", "choices"}:
        options = dict(control.options)
        return ", ".join(options[value] for value in given)
    text = ", ".join(entries(given))
    return text or ("none" if control.kind in {"lines", "names", "rows", "yaml"} else "empty")
