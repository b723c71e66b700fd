"""Alembic's entry: runs on the database that `migrate.upgrade` hands over."""

from alembic import context

from calendar_sync.state.tables import metadata

# Two processes that start at once make one schema: the second waits, and finds it made.
LOCK = 7731_2026

with context.config.attributes["database"].write() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
    )
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
    with context.begin_transaction():
        context.run_migrations()
