"""Bring the schema to the newest revision (Alembic)."""

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from calendar_sync.core.errors import ConfigurationError
from calendar_sync.state.database import Database, close_to_others

# It tells at INFO which dialect it runs on, in every task's log.
logging.getLogger("alembic").setLevel(logging.WARNING)

MIGRATIONS = Path(__file__).parent / "migrations"


def _config(database: Database) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["database"] = database
    return config


def upgrade(database: Database) -> str:
    """Apply what is missing; returns the revision reached."""
    close_to_others(database)
    command.upgrade(_config(database), "head")
    return current(database) or ""


def current(database: Database) -> str | None:
    """The revision of the schema, None for an empty database."""
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def require_current(database: Database) -> None:
    """Refuse to work on a schema of another version.

    Raises:
        ConfigurationError: says which command to run.
    """
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    if current(database) != head:
        raise ConfigurationError(
            detail="the state database is not up to date: run `calendar-sync db upgrade`"
        )
