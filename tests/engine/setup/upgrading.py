"""What processes of their own do at the same time: they import this, and nothing of Airflow."""

from calendar_sync.state import Database
from calendar_sync.state.migrate import upgrade


def upgraded(url: str) -> str:
    """The version of the schema after bringing a state database there."""
    database = Database(url)
    try:
        return upgrade(database)
    finally:
        database.close()
