"""Printing: tables for people, JSON for scripts, errors on standard error."""

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy.exc import ArgumentError, DBAPIError

from calendar_sync.core.boundary import Boundary
from calendar_sync.core.errors import ConfigurationError, SyncError
from calendar_sync.core.redaction import describe, redact

FAILED = 1
USERS_FAILED = 3
# Printed as written: `:word:` is not an emoji.
console = Console(emoji=False)
errors = Console(stderr=True, emoji=False)


def as_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """One JSON document on standard output; times are ISO 8601."""
    print(json.dumps(document, indent=2, sort_keys=True, default=_plain))


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def tell_new_name(old: str, new: str) -> None:
    """Print the new name of a command on standard error."""
    typer.echo(f"`calendar-sync {old}` is now called `calendar-sync {new}`", err=True)


def renamed(command: Callable[..., None], old: str, new: str) -> Callable[..., None]:
    """The command under its old name, which prints the new one on standard error first."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        tell_new_name(old, new)
        command(*args, **options)

    return run


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table; nothing in it is read as markup, and no word (a code, an address) is broken.

    Where the terminal is too narrow for that, each row is a paragraph.
    """
    if _narrowest(columns, rows) > console.width:
        _paragraphs(title, columns, rows)
        return
    made = Table(title=title, title_justify="left")
    for column in columns:
        made.add_column(column, no_wrap=column == columns[0], overflow="fold")
    for row in rows:
        made.add_row(*("" if value is None else str(value) for value in row))
    console.print(made, markup=False)


def _narrowest(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> int:
    """The smallest width at which no word and no cell of the first column is broken."""
    widths = []
    for number, column in enumerate(columns):
        texts = [column, *(_text(row[number]) for row in rows)]
        pieces = texts if number == 0 else [word for text in texts for word in text.split()]
        widths.append(max((cell_len(piece) for piece in pieces), default=0))
    return sum(widths) + 3 * len(columns) + 1


def _paragraphs(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    said: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}
    console.print(title, style="italic", **said)
    for row in rows:
        console.print(_text(row[0]), style="bold", **said)
        for column, value in zip(columns[1:], row[1:], strict=False):
            if text := _text(value):
                console.print(f"  {column}: {text}" if column else f"  {text}", **said)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def reported() -> Boundary:
    """Turn failures into one line and exit code 1, without a traceback."""
    return Boundary(_reported)


def _reported(error: BaseException) -> BaseException:
    if isinstance(error, typer.Exit | typer.Abort) or not isinstance(error, Exception):
        return error
    lines = [describe(error)]
    if isinstance(error, ConfigurationError):
        lines = [redact(mistake) for mistake in error.mistakes] or lines
    elif isinstance(error, SyncError):
        pass
    elif isinstance(error, DBAPIError):
        lines = [_of_database(error)]
    elif isinstance(error, ArgumentError):
        said = "CALENDAR_SYNC_DATABASE_URL is no database URL: use sqlite:////folder/file.db "
        lines = [f"{said}or postgresql+psycopg://user:password@host/name"]
    elif isinstance(error, OSError) and error.filename is not None:
        lines = [f"{error.filename}: {error.strerror}"]
    else:
        # The message may contain patient data.
        lines = [f"unexpected error: {line}" for line in lines]
    return _ended(*lines)


def _ended(*lines: str) -> typer.Exit:
    """Print the reason on standard error."""
    for line in lines:
        errors.print(f"calendar-sync: {line}", style="red", markup=False, soft_wrap=True)
    return typer.Exit(FAILED)


def _of_database(error: DBAPIError) -> str:
    """Which database, and why; what a statement was about is not told."""
    name = type(error.orig).__name__
    if error.statement is None:
        # There was no statement yet: the message is only about address, name and password.
        name = f"{name}: {' '.join(redact(str(error.orig)).split())}"
    return (
        f"the state database does not answer ({name}): is its server up, and is "
        "CALENDAR_SYNC_DATABASE_URL right?"
    )


@contextlib.contextmanager
def progress_bar(text: str, *, quiet: bool) -> Iterator[Progress]:
    """A bar on standard error; nothing when quiet or not on a terminal."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    bar = Progress(*columns, TimeElapsedColumn(), console=errors, disable=quiet, transient=True)
    with bar:
        bar.add_task(text, total=None)
        yield bar
