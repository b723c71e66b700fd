"""YAML files that people write: read with the place of every value, so that a mistake can be named.

https://yaml.org/spec/1.2.2/ ; a key that is given twice is refused, where PyYAML takes the last.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from calendar_sync.errors import ConfigurationError

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """What a file says, and where: line and column (from 1) of each value's key, by its path."""

    value: Any
    places: Mapping[Path, tuple[int, int]] = field(default_factory=dict)

    def where(self, path: Path) -> str:
        """`line 3, column 5` of a value, or of the nearest thing around it; empty for nothing."""
        for length in range(len(path), 0, -1):
            if place := self.places.get(path[:length]):
                return f"line {place[0]}, column {place[1]}"
        return ""


def read_yaml(text: str, name: str) -> Document:
    """Parse one YAML document.

    Args:
        text: the file's content.
        name: of the file, for messages.

    Raises:
        ConfigurationError: it is not YAML, or says something twice; names line and column.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        places: dict[Path, tuple[int, int]] = {}
        if node is not None:
            _note(node, (), places)
        value = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigurationError(detail=f"{name}: {where}{error.problem}") from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise ConfigurationError(
            detail=f"{name}: line {line}: a character that YAML does not allow"
        ) from None
    except (RecursionError, ValueError):
        # ValueError: a date such as 2026-02-30.
        raise ConfigurationError(detail=f"{name}: cannot be read as YAML") from None
    finally:
        loader.dispose()
    return Document(value, places)


def _note(node: yaml.Node, path: Path, places: dict[Path, tuple[int, int]]) -> None:
    """Remember where each key of a mapping, or item of a list, stands."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value} is given twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
            here = (*path, str(key.value))
            places[here] = _place(key)
            _note(value, here, places)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            places[*path, number] = _place(item)
            _note(item, (*path, number), places)


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
