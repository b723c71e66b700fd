"""Bring the schema to the newest revision (Alembic)."""

import logging

from alembic import command
from alembic.config import Config

from calendar_sync.state.database import Database, close_to_others
from calendar_sync.state.schema import MIGRATIONS, current

# It tells at INFO which dialect it runs on, in every task's log.
logging.getLogger("alembic").setLevel(logging.WARNING)


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
