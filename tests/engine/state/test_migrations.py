"""The migrations make exactly the tables that the code uses."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from calendar_sync.core.errors import ConfigurationError
from calendar_sync.state import Database
from calendar_sync.state.migrate import _config, current, require_current, upgrade
from calendar_sync.state.tables import metadata


def test_the_migrations_are_up_to_date_with_the_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_an_upgrade_may_be_repeated(database: Database) -> None:
    assert upgrade(database) == upgrade(database) == current(database)
    require_current(database)


def test_an_empty_database_is_refused_with_the_command_that_helps(url: str) -> None:
    database = Database(url)
    with pytest.raises(ConfigurationError, match="calendar-sync db upgrade"):
        require_current(database)
    database.close()


def test_a_downgrade_leaves_nothing(database: Database) -> None:
    command.downgrade(_config(database), "base")
    assert set(inspect(database.engine).get_table_names()) <= {"alembic_version"}
    upgrade(database)
    require_current(database)
