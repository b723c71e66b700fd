"""What database roles other than the owner's may do in the state database (PostgreSQL).

The owner makes and changes tables. Those who run the sync and show the pages read and write rows;
the audit log they may only add to. The receiver of notices counts them, and sees nothing else.
"""

from collections.abc import Sequence

from calendar_sync.core.errors import ConfigurationError
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database
from calendar_sync.state.schema import VERSION

RECORD = frozenset({t.operation.name, t.audit_seal.name})
RECEIVER = {t.push_channel.name: "SELECT, UPDATE", VERSION: "SELECT"}


def grant(database: Database, roles: Sequence[str], *, receiver: bool = False) -> None:
    """Give these roles what they need, and take from them whatever else they have.

    What they need is what the sync needs, or the `receiver` alone.

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
            rights = RECEIVER.get(table) if receiver else _rights(table)
            connection.exec_driver_sql(f"REVOKE ALL ON {quote(table)} FROM {whom}")
            if rights:
                connection.exec_driver_sql(f"GRANT {rights} ON {quote(table)} TO {whom}")
        sequences = "ALL SEQUENCES IN SCHEMA public"
        change = f"REVOKE ALL ON {sequences} FROM" if receiver else f"GRANT USAGE ON {sequences} TO"
        connection.exec_driver_sql(f"{change} {whom}")


def _rights(table: str) -> str:
    if table == VERSION:
        return "SELECT"
    return "SELECT, INSERT" if table in RECORD else "SELECT, INSERT, UPDATE, DELETE"
