"""The user mapping as a file, CSV or YAML, by the end of its name.

CSV (https://www.rfc-editor.org/rfc/rfc4180) has a header with the names of the columns; a value
that a spreadsheet would calculate stands behind an apostrophe, which reading takes away. YAML is a
list of rows with the same names as keys, or such a list under `users` beside the `revision` that
it was made from. A file with a mistake is refused as a whole, and every mistake is named with its
line and column.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from calendar_sync.config.documents import (
    Document,
    Path,
    cell,
    decode,
    from_cell,
    read_yaml,
    write_yaml,
)
from calendar_sync.config.mapping.rows import COLUMNS, LATER, REQUIRED, Place, Rows
from calendar_sync.core.model import MappedUser

REVISION, USERS = "revision", "users"
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


class Format(StrEnum):
    """How a mapping is written down."""

    CSV = "csv"
    YAML = "yaml"


@dataclass(frozen=True)
class MappingFile:
    """What a file says. `based_on` is the revision that it was made from, where it says so."""

    users: list[MappedUser]
    based_on: int | None = None


def format_of(name: str) -> Format:
    """YAML for `.yaml` and `.yml`, CSV for everything else."""
    return Format.YAML if name.lower().endswith((".yaml", ".yml")) else Format.CSV


def read_mapping(content: bytes, name: str, staff: Mapping[str, str] | None = None) -> MappingFile:
    """The rows of a mapping file.

    Args:
        content: the file's bytes, UTF-8.
        name: the file's name, which decides the format.
        staff: ids of Welkin users by lower-case e-mail address.

    Raises:
        ConfigurationError: names line and column of each mistake.
    """
    text = decode(content, name)
    rows = Rows({} if staff is None else staff)
    if format_of(name) is Format.YAML:
        based_on = _read_yaml(text, name, rows)
    else:
        based_on = None
        _read_csv(text, rows)
    rows.refuse(name)
    return MappingFile(rows.users, based_on)


def write_mapping(
    users: Iterable[MappedUser],
    form: Format,
    *,
    emails: Mapping[str, str] | None = None,
    revision: int = 0,
) -> str:
    """The file that `read_mapping` reads.

    Args:
        users: its rows.
        form: CSV or YAML.
        emails: addresses by Welkin user id.
        revision: of the mapping that the rows are; only YAML has a place for it.
    """
    rows = [_row(user, emails or {}) for user in users]
    if form is Format.YAML:
        kept = [{key: value for key, value in row.items() if value != ""} for row in rows]
        return write_yaml({REVISION: revision, USERS: kept})
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        values = {**row, "enabled": str(row["enabled"]).lower()}
        writer.writerow({name: cell(value) for name, value in values.items()})
    return out.getvalue()


def _row(user: MappedUser, emails: Mapping[str, str]) -> dict[str, Any]:
    return {
        "welkin_user_id": user.user_id,
        "email": emails.get(user.user_id, ""),
        "platform": user.platform.value,
        "account": user.account,
        "enabled": user.enabled,
        "direction": user.direction.value if user.direction else "",
        "profile": user.profile,
        "busy_calendars": " ".join(user.busy_calendars),
        "mirrors_calendar": user.mirrors_calendar,
    }


# --- CSV ----------------------------------------------------------------------------------------


def _read_csv(text: str, rows: Rows) -> None:
    # Any of the three ends of lines, also the one of old Macs.
    text = io.StringIO(text, newline=None).read()
    reader = csv.reader(io.StringIO(text), strict=True)
    line = 1
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        for column, said in _header(names):
            rows.problem(_at(1), column, said)
        if rows.problems:
            return
        while True:
            line = reader.line_num + 1
            values = next(reader, None)
            if values is None:
                return
            _add(line, [from_cell(value.strip()) for value in values], names, rows)
    except csv.Error as error:
        opened = _open_quote(text, line)
        said = "the quote that starts here is not closed" if opened else str(error)
        rows.problem(lambda _: opened or f"line {line}", "", said)


def _at(line: int) -> Place:
    return lambda column: f"line {line}, {column}" if column else f"line {line}"


def _add(line: int, values: list[str], names: list[str], rows: Rows) -> None:
    if not any(values):
        return  # spreadsheets leave such lines at the end
    if len(values) > len(names):
        rows.problem(_at(line), "", "too many values")
        return
    rows.add(_at(line), dict(zip(names, values, strict=False)), LATER - set(names))


def _header(names: list[str]) -> list[tuple[str, str]]:
    """What is wrong with it, by column."""
    if len(names) == 1:
        for separator, word in _SEPARATORS.items():
            if separator in names[0]:
                said = (
                    f"the values are separated by {word}; commas are needed (in a spreadsheet: "
                    "the list separator of the system's region, or save as YAML)"
                )
                return [("", said)]
    given = Counter(names)
    problems = [
        (name[:100] or "nothing", "unknown column") for name in names if name not in COLUMNS
    ]
    problems += [(n[:100] or "nothing", "given twice") for n in sorted(given) if given[n] > 1]
    return problems + [(name, "missing column") for name in sorted(REQUIRED - set(names))]


def _open_quote(text: str, line: int) -> str:
    """Where the quote begins that swallows the rest of the file; empty where none does."""
    place, quoted, column = "", False, 0
    for character in "".join(text.splitlines(keepends=True)[line - 1 :]):
        column += 1
        if character == '"':
            quoted = not quoted
            place = f"line {line}, column {column}"
        elif character == "\n":
            line, column = line + 1, 0
    return place if quoted else ""


# --- YAML ---------------------------------------------------------------------------------------


def _read_yaml(text: str, name: str, rows: Rows) -> int | None:
    document = read_yaml(text, name)
    value, based_on = document.value, None
    path: Path = ()
    if isinstance(value, dict):
        based_on = _revision(document, rows)
        for unknown in value.keys() - {REVISION, USERS}:
            rows.problem(
                _in(document, ()),
                str(unknown),
                f"{str(unknown)[:100]} is not one of {REVISION}, {USERS}",
            )
        value, path = value.get(USERS), (USERS,)
    if not isinstance(value, list):
        rows.problem(lambda _: document.where(path) or "line 1", "", "a list of users is expected")
        return None
    for number, row in enumerate(value):
        _add_yaml(document, (*path, number), row, rows)
    return based_on


def _revision(document: Document, rows: Rows) -> int | None:
    found = document.value.get(REVISION)
    if found is None or (isinstance(found, int) and not isinstance(found, bool)):
        return found
    rows.problem(_in(document, ()), REVISION, f"{REVISION} must be a number")
    return None


def _in(document: Document, path: Path) -> Place:
    return lambda column: document.where((*path, column) if column else path)


def _add_yaml(document: Document, path: Path, row: Any, rows: Rows) -> None:
    def place(column: str) -> str:
        return f"{document.where((*path, column) if column else path)}" + (
            f", {column[:100]}" if column else ""
        )

    if not isinstance(row, dict):
        rows.problem(place, "", f"the keys of a user are {', '.join(COLUMNS)}")
        return
    before = rows.wrong
    values: dict[str, str] = {}
    for key, value in row.items():
        if key not in COLUMNS:
            rows.problem(place, str(key), "unknown")
        elif text := _text(value, key):
            values[key] = text[0]
        else:
            rows.problem(place, key, "a text is expected: put it in quotes")
    if rows.wrong == before:
        rows.add(place, values)


def _text(value: Any, key: str) -> tuple[str] | None:
    """A value as CSV would have it; YAML reads an id such as 0123 as a number, which loses it."""
    if value is None:
        return ("",)
    if key == "enabled" and isinstance(value, bool):
        return (str(value),)
    if key == "busy_calendars" and isinstance(value, list):
        return (" ".join(value),) if all(isinstance(one, str) for one in value) else None
    return (value.strip(),) if isinstance(value, str) else None
