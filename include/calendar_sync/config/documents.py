"""Files that people write: YAML is read with the place of every value, to name a mistake's.

https://yaml.org/spec/1.2.2/ ; a key that is given twice is refused, where PyYAML takes the last.
"""

import codecs
import pathlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

import yaml

from calendar_sync.core.bounded import HALF, LARGEST_FILE, MOST_PARTS, TooMuch
from calendar_sync.core.bounded import read_file as read_bytes
from calendar_sync.core.errors import ConfigurationError

Path = tuple[str | int, ...]
DEEPEST = 40
#: A text with a mistake is read again by the slow parser, which says better what is wrong.
_SLOWLY = 20_000
_LONGEST_NUMBER = 40
_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"
_NUMBERS = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})
_TAGS = _NUMBERS | {
    _TEXT,
    _MERGE,
    *(f"tag:yaml.org,2002:{name}" for name in ("bool", "null", "timestamp", "map", "seq")),
}
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# The parser in C reads seven times as fast, where the wheel of this machine has it.
_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WRITER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass(frozen=True)
class Document:
    """What a file says, and where: the tree keeps line and column of everything in it."""

    value: Any
    tree: yaml.Node | None = None

    def where(self, path: Path) -> str:
        """`line 3, column 5` of a value, or of the nearest thing around it; empty for nothing."""
        found, node = "", self.tree
        for step in path:
            place, node = _child(node, step)
            if place is None:
                break
            mark = place.start_mark
            found = f"line {mark.line + 1}, column {mark.column + 1}"
        return found


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node | None, yaml.Node | None]:
    """The node that names this step, and the one that holds what is there."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == step:
                return key, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None, None


def read_file(file: pathlib.Path) -> bytes:
    """The content of a file, if it is not too large.

    Raises:
        ConfigurationError: it is.
        OSError: it cannot be read.
    """
    try:
        return read_bytes(file)
    except TooMuch as error:
        raise ConfigurationError(detail=f"{file.name}: {error}") from None


def decode(content: bytes, name: str) -> str:
    """The text of a file, which must be UTF-8; a byte order mark is no part of it.

    Raises:
        ConfigurationError: it is something else; names line and column.
    """
    if content.startswith(_UTF_16):
        raise ConfigurationError(
            detail=f'{name}: the text is UTF-16 (a spreadsheet\'s "Unicode text"), not UTF-8: '
            'save it as "CSV UTF-8"'
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = _place_in(content[: error.start].decode("utf-8-sig"))
        raise ConfigurationError(detail=f"{name}: {place}: the text is not UTF-8") from None
    before, nothing, _ = text.partition("\0")
    if nothing:
        raise ConfigurationError(
            detail=f"{name}: {_place_in(before)}: a NUL character; is this a UTF-8 text file?"
        )
    return text


def _place_in(before: str) -> str:
    """Where a text stands after these characters."""
    return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


# A cell that begins like this is a formula to some spreadsheet: in full width, too.
_FORMULA = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")


def cell(value: object) -> object:
    """The value for a CSV file; text that could be taken for a formula behind an apostrophe."""
    return f"'{value}" if isinstance(value, str) and _is_formula(value) else value


def from_cell(text: str) -> str:
    """What `cell` was given."""
    return text[1:] if text.startswith("'") and _is_formula(text[1:]) else text


def _is_formula(text: str) -> bool:
    return text.lstrip(" \N{NO-BREAK SPACE}").startswith(_FORMULA)


def write_yaml(value: Any) -> str:
    """One YAML document, its keys in the order of `value`."""
    text: str = yaml.dump(value, Dumper=_WRITER, sort_keys=False, allow_unicode=True)
    return text


def read_yaml(text: str, name: str) -> Document:
    """Parse one YAML document. Its keys are texts, whatever YAML takes `on` and `1` for.

    Args:
        text: the file's content.
        name: of the file, for messages.

    Raises:
        ConfigurationError: it is not YAML, says something twice, or is too much of anything;
            names line and column.
    """
    if len(text) > LARGEST_FILE:
        raise ConfigurationError(
            detail=f"{name}: the file is larger than {LARGEST_FILE // 1024:,} KB"
        )
    try:
        return _parse(text, name, _FAST)
    except ConfigurationError:
        if len(text) > _SLOWLY:
            raise
        # The fast parser is not as good at saying what is wrong.
        return _parse(text, name, yaml.SafeLoader)


def _parse(text: str, name: str, kind: Any) -> Document:
    loader: Any = None
    try:
        _refuse_large(text, kind)
        loader = kind(text)
        node = loader.get_single_node()
        if node is not None:
            _check(node, {}, Counter())
        value = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigurationError(detail=f"{name}: {where}{error.problem}") from None
    except yaml.reader.ReaderError as error:
        place = _place_in(text[: error.position])
        raise ConfigurationError(
            detail=f"{name}: {place}: a character that YAML does not allow"
        ) from None
    except (RecursionError, ValueError, OverflowError):
        # ValueError: a date such as 2026-02-30.
        raise ConfigurationError(detail=f"{name}: cannot be read as YAML") from None
    finally:
        if loader is not None:
            loader.dispose()
    return Document(value, node)


def _refuse_large(text: str, kind: Any) -> None:
    """Refuse a text that is nested too deeply or too large.

    By events, one after the other: to put a deep tree together ends the process.
    """
    depth = 0
    for parts, event in enumerate(yaml.parse(text, Loader=kind)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST or parts > MOST_PARTS:
            problem = "nested too deeply" if depth > DEEPEST else f"more than {MOST_PARTS:,} values"
            mark: Any = event.start_mark
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _check(node: yaml.Node, seen: dict[yaml.Node, bool], pairs: Counter[yaml.Node]) -> None:
    """No mapping gives a key twice, at any depth, nothing stands in itself or is of a rare kind.

    `seen` says of each node whether it was looked at wholly: aliases lead to it again and again.
    `pairs` counts what a mapping holds with all that is merged into it.
    """
    if seen.get(node):
        return
    if node in seen:
        raise yaml.MarkedYAMLError(problem="it contains itself", problem_mark=node.start_mark)
    problem = ""
    if node.tag not in _TAGS:
        problem = "an unknown tag"
    elif isinstance(node, yaml.ScalarNode):
        if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
            problem = "a number with too many digits"
        elif HALF.search(node.value):
            problem = "a character that cannot be stored"
    if problem:
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    seen[node] = False
    if isinstance(node, yaml.MappingNode):
        _check_keys(node)
        for key, value in node.value:
            _check(key, seen, pairs)
            _check(value, seen, pairs)
            pairs[node] += _merged(value, pairs) if key.tag == _MERGE else 1
        if pairs[node] > MOST_PARTS // 10:
            problem = "too many keys"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check(item, seen, pairs)
    seen[node] = True


def _merged(value: yaml.Node, pairs: Counter[yaml.Node]) -> int:
    parts = value.value if isinstance(value, yaml.SequenceNode) else [value]
    return sum(pairs[part] + 1 for part in parts)


def _check_keys(node: yaml.MappingNode) -> None:
    keys: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key must be a text", problem_mark=key.start_mark)
        if key.value in keys:
            raise yaml.MarkedYAMLError(
                problem=f"{key.value[:100]} is given twice", problem_mark=key.start_mark
            )
        keys.add(key.value)
        if key.tag != _MERGE or key.value != "<<":
            key.tag = _TEXT
