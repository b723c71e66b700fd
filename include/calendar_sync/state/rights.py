"""What database roles other than the owner's may do in the state database (PostgreSQL).

The owner makes and changes tables. Those who run the sync and show the pages read and write rows;
the audit log they may only add to.
"""

from collections.abc import Sequence

from calendar_sync.core.errors import ConfigurationError
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database

RECORD = frozenset({t.operation.name, t.audit_seal.name})
VERSION = "alembic_version"


def grant(database: Database, roles: Sequence[str]) -> None:
    """Give these roles what they need, and take from them whatever else they have.

    Raises:
        ConfigurationError: the state database is a SQLite file.
    """
    if database.is_sqlite:
        raise ConfigurationError(
            detail="roles are for PostgreSQL only; a SQLite file belongs to its owner"
        )
    quote = database.engine.dialect.identifier_preparer.quote
    whom = ", ".join(quote(role) for role in roles)
    with database.write() as connection:
        for table in [*t.metadata.tables, VERSION]:
            rights = "SELECT, INSERT" if table in RECORD else "SELECT, INSERT, UPDATE, DELETE"
            rights = "SELECT" if table == VERSION else rights
            connection.exec_driver_sql(f"REVOKE ALL ON {quote(table)} FROM {whom}")
            connection.exec_driver_sql(f"GRANT {rights} ON {quote(table)} TO {whom}")
        connection.exec_driver_sql(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {whom}")
