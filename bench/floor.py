"""What Airflow itself takes: a trigger that tells of a growing file, for dags/floor_dag.py."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from bench.setup import FLOOR_FILE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOOK_SECONDS = 0.1


class FloorTrigger(BaseEventTrigger):
    """An event whenever the file has grown."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How Airflow stores it."""
        return f"{__name__}.{type(self).__name__}", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Never ends by itself."""
        path = Path(os.environ[FLOOR_FILE])
        seen = path.stat().st_size
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if (size := path.stat().st_size) > seen:
                seen = size
                yield TriggerEvent({"size": size})  # type: ignore[no-untyped-call]
