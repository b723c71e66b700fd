"""How long Airflow waits for SQLite: copied into a home as its `airflow_local_settings.py`.

Airflow's API server records each action from its event loop. While it waits there for another
transaction, no request ends; and a request that has the transaction needs the loop to end it. So
the loop waits for a moment only, and the refused request is made again. Everybody else is patient.
"""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import Engine, create_engine, event

__all__ = ["create_metadata_engine"]

LOOP_MILLISECONDS = 250


def create_metadata_engine(
    sql_alchemy_conn: str, *, engine_args: dict[str, Any], connect_args: dict[str, Any]
) -> Engine:
    """Airflow's own function of this name, with a patience that depends on who asks."""
    engine = create_engine(sql_alchemy_conn, connect_args=connect_args, **engine_args)
    patience = round(float(str(engine.url.query.get("timeout", 5))) * 1000)

    def take(connection: Any, *_: Any) -> None:
        try:
            asyncio.get_running_loop()
            milliseconds = LOOP_MILLISECONDS
        except RuntimeError:
            milliseconds = patience
        connection.execute(f"PRAGMA busy_timeout = {milliseconds}")

    event.listen(engine, "checkout", take)
    return engine
