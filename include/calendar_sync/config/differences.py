"""What differs between two states of the settings, and taking a change over to a newer one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calendar_sync.config.documents import write_yaml
from calendar_sync.config.settings import Settings, parse

Path = tuple[str, ...]
#: Sections that decide nothing about mirrors and blocks.
WITHOUT_EFFECT = frozenset(
    {"limits", "mapping_rules", "polling", "notice", "push", "freshness", "notify"}
)


@dataclass(frozen=True)
class Rebased:
    """A change on top of newer settings; `overruled` are the names that both sides changed."""

    settings: Settings
    overruled: tuple[str, ...]


def differences(one: Settings, other: Settings) -> dict[str, tuple[Any, Any]]:
    """Both values of each setting that differs, by its dotted name; None where it is not set."""
    return {".".join(path): values for path, values in _differences(one, other).items()}


def in_words(value: Any) -> str:
    """One value of a setting as people write it."""
    if value is None:
        return "not set"
    if value == "":
        return "empty"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(each) for each in value) or "none"
    if isinstance(value, dict):
        return write_yaml(value).strip() if value else "none"
    return str(value)


def rebase(base: Settings, mine: Settings, newest: Settings) -> Rebased:
    """What `mine` changes of `base`, done to `newest`: where both changed, mine holds.

    Raises:
        ConfigurationError: together they make no valid settings.
    """
    change, theirs = _differences(base, mine), _differences(base, newest)
    document = newest.model_dump(mode="json")
    for path, (_, value) in change.items():
        _put(document, path, value, isset=path in _flat((), mine.model_dump(mode="json")))
    for name in base.profiles.keys() - mine.profiles.keys():
        document["profiles"].pop(name, None)
    both = [path for path in change if path in theirs and theirs[path] != change[path]]
    return Rebased(parse(document), tuple(sorted(".".join(path) for path in both)))


def with_profiles(settings: Settings, others: Mapping[str, Mapping[str, Any]]) -> Settings:
    """These settings, and of the other profiles those whose names they do not have.

    Raises:
        ConfigurationError: one of them is not valid over these settings.
    """
    missing = {name: given for name, given in others.items() if name not in settings.profiles}
    if not missing:
        return settings
    document = settings.model_dump(mode="json")
    return parse(document | {"profiles": {**missing, **settings.profiles}})


def _differences(one: Settings, other: Settings) -> dict[Path, tuple[Any, Any]]:
    before = _flat((), one.model_dump(mode="json"))
    after = _flat((), other.model_dump(mode="json"))
    return {
        path: (before.get(path), after.get(path))
        for path in {**before, **after}
        if before.get(path) != after.get(path)
    }


def _flat(prefix: Path, value: Any) -> dict[Path, Any]:
    # A profile that gives nothing yet is there all the same.
    empty_profile = not value and len(prefix) == 2 and prefix[0] == "profiles"
    if not isinstance(value, Mapping) or empty_profile:
        return {prefix: value}
    found: dict[Path, Any] = {}
    for key, inner in value.items():
        found |= _flat((*prefix, str(key)), inner)
    return found


def _put(document: dict[str, Any], path: Path, value: Any, *, isset: bool) -> None:
    for name in path[:-1]:
        inner = document.get(name)
        if not isinstance(inner, dict):
            inner = document[name] = {}
        document = inner
    if isset:
        document[path[-1]] = value
    else:
        document.pop(path[-1], None)
