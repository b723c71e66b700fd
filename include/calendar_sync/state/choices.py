"""What people have chosen for themselves, on all platforms; read together with the mapping."""

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection

from calendar_sync.core.model import Choices
from calendar_sync.state import tables as t
from calendar_sync.state.database import Database


class ChoiceStore:
    """Writes `user_choice`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, connection: Connection, user_id: str, chosen: Choices, now: datetime) -> None:
        """In the place of what the user chose before."""
        row = {**asdict(chosen), "at": now}
        statement = self._database.upsert(t.user_choice, ("user_id",), tuple(row))
        connection.execute(statement, {"user_id": user_id, **row})
