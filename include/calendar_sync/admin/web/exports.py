"""CSV that a spreadsheet opens without calculating anything."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from calendar_sync.config.documents import cell


def rows(head: Sequence[str], lines: Iterable[Sequence[object]]) -> Iterator[str]:
    """The file, line by line."""
    yield _line(head)
    for line in lines:
        yield _line([cell(value) for value in line])


def _line(values: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(values)
    return text.getvalue()
