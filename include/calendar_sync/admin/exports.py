"""CSV that a spreadsheet opens without calculating anything."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

# A cell that begins like this is a formula to some spreadsheet: in full width, too.
_FORMULA = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")


def safe(value: object) -> object:
    """The value; text that could be taken for a formula behind an apostrophe."""
    if isinstance(value, str) and value.lstrip(" \N{NO-BREAK SPACE}").startswith(_FORMULA):
        return f"'{value}"
    return value


def rows(head: Sequence[str], lines: Iterable[Sequence[object]]) -> Iterator[str]:
    """The file, line by line."""
    yield _line(head)
    for line in lines:
        yield _line([safe(value) for value in line])


def _line(values: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(values)
    return text.getvalue()
