"""The migrations make exactly the tables that the code uses."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Integer, inspect, select, text

from calendar_sync.core.errors import ConfigurationError
from calendar_sync.state import Database
from calendar_sync.state.migrate import _config, upgrade
from calendar_sync.state.schema import MIGRATIONS, current, newest, require_current
from calendar_sync.state.tables import link, metadata

NAMES = ("kind", "platform", "state", "remote_id", "creation_key")
LATER = ("colour", "before_minutes", "after_minutes")


def test_the_migrations_are_up_to_date_with_the_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_newest_revision_is_alembics_head() -> None:
    assert newest() == ScriptDirectory(str(MIGRATIONS)).get_current_head()


def test_a_schema_of_two_revisions_is_refused(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("INSERT INTO alembic_version VALUES ('0001')"))
    with pytest.raises(ConfigurationError, match="not up to date"):
        require_current(database)


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


def test_the_keys_of_interrupted_creations_move_to_a_column_of_their_own(url: str) -> None:
    """Google's ids are such keys; blocks and Exchange's events are named by the other side."""
    database = Database(url)
    command.upgrade(_config(database), "0007")
    rows = [
        ("mirror", "google", "intent", "key"), ("mirror", "microsoft", "intent", "key"),
        ("block", "google", "intent", "key"), ("block", "google", "live", "w1"),
    ]  # fmt: skip
    taken = {"id", *NAMES, *LATER}
    other = [c.name for c in link.columns if not c.nullable and c.name not in taken]
    values = {name: 0 if isinstance(link.c[name].type, Integer) else "" for name in other}
    values |= {"created_at": "2026-03-02 15:00:00", "updated_at": "2026-03-02 15:00:00"}
    names = ", ".join([*NAMES[:-1], *values])
    marks = ", ".join(f":{name}" for name in [*NAMES[:-1], *values])
    with database.engine.begin() as connection:
        for number, row in enumerate(rows):
            known = dict(zip(NAMES, row, strict=False)) | values | {"source_id": str(number)}
            connection.execute(text(f"INSERT INTO link ({names}) VALUES ({marks})"), known)  # noqa: S608
    upgrade(database)
    query = select(link.c.remote_id, link.c.creation_key).order_by(link.c.source_id)
    with database.engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(query)]
    assert found == [("key", "key"), ("", "key"), ("", "key"), ("w1", "")]
    command.downgrade(_config(database), "0007")
    with database.engine.connect() as connection:
        old = connection.scalars(text("SELECT remote_id FROM link ORDER BY source_id")).all()
    assert old == [remote_id for *_, remote_id in rows]
    database.close()
