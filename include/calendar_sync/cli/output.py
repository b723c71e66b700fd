"""Printing: tables for people, JSON for scripts, errors on the other stream."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy.exc import DBAPIError

from calendar_sync.boundary import Boundary
from calendar_sync.errors import SyncError
from calendar_sync.redaction import describe

FAILED = 1
USERS_FAILED = 3
# What people have written is printed as it is: colons around a word make no picture.
console = Console(emoji=False)
errors = Console(stderr=True, emoji=False)


def as_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """One JSON document on standard output."""
    print(json.dumps(document, indent=2, sort_keys=True, default=str))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table; nothing in it is read as markup, the first column is never broken."""
    made = Table(title=title, title_justify="left")
    for column in columns:
        made.add_column(column, no_wrap=column == columns[0], overflow="fold")
    for row in rows:
        made.add_row(*("" if value is None else str(value) for value in row))
    console.print(made, markup=False)


def reported() -> Boundary:
    """Turn failures into one line and exit code 1, without a traceback."""
    return Boundary(_reported)


def _reported(error: BaseException) -> BaseException:
    if isinstance(error, typer.Exit | typer.Abort) or not isinstance(error, Exception):
        return error
    if isinstance(error, SyncError):
        errors.print(f"calendar-sync: {describe(error)}", style="red", markup=False, soft_wrap=True)
    elif isinstance(error, DBAPIError):
        name = type(error.orig).__name__
        errors.print(f"calendar-sync: state database: {name}", style="red", markup=False)
    else:
        # The text of a foreign exception may hold what must not be printed.
        errors.print(f"calendar-sync: unexpected: {describe(error)}", style="red", markup=False)
    return typer.Exit(FAILED)


@contextlib.contextmanager
def progress_bar(text: str, *, quiet: bool) -> Iterator[Progress]:
    """A bar on standard error; nothing when quiet or not on a terminal."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    bar = Progress(*columns, TimeElapsedColumn(), console=errors, disable=quiet, transient=True)
    with bar:
        bar.add_task(text, total=None)
        yield bar
