"""Whether the schema is the one that this version works with; Alembic is not needed to tell."""

from functools import cache
from pathlib import Path

from sqlalchemy import String, column, inspect, select, table

from calendar_sync.core.errors import ConfigurationError
from calendar_sync.state.database import Database

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION = "alembic_version"
_CURRENT = select(column("version_num", String)).select_from(table(VERSION))


@cache
def newest() -> str:
    """The revision that the last migration leads to: its file's name begins with it."""
    return max(file.name for file in (MIGRATIONS / "versions").glob("0*.py")).partition("_")[0]


def current(database: Database) -> str | None:
    """The revision of the schema, None for an empty database."""
    with database.read() as connection:
        if not inspect(connection).has_table(VERSION):
            return None
        # Several are a damage: together they are the name of no revision.
        return " ".join(sorted(connection.scalars(_CURRENT))) or None


def require_current(database: Database) -> None:
    """Refuse to work on a schema of another version.

    Raises:
        ConfigurationError: says which command to run.
    """
    if current(database) != newest():
        raise ConfigurationError(
            detail="the state database is not up to date: run `calendar-sync db upgrade`"
        )
