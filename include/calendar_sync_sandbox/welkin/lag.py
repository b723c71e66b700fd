"""Reads that lag behind writes by seconds, as replicas do."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calendar_sync_sandbox.welkin.records import Event


class History:
    """What events were before each write of the last moments; kept only while reads lag."""

    def __init__(self) -> None:
        """Start without a past."""
        self._before: dict[str, list[tuple[datetime, Event | None]]] = {}

    def note(self, event_id: str, before: Event | None, now: datetime, lag: float) -> None:
        """Keep the state that a write at `now` replaces (None: the event was not there)."""
        if lag:
            oldest = now - timedelta(seconds=2 * lag)
            kept = [item for item in self._before.get(event_id, []) if item[0] > oldest]
            self._before[event_id] = [*kept, (now, copy.copy(before))]

    def as_of(self, events: Mapping[str, Event], moment: datetime) -> dict[str, Event]:
        """All events as they were at that moment."""
        found = dict(events)
        for event_id, versions in self._before.items():
            then = next((before for until, before in versions if until > moment), ...)
            if then is None:
                found.pop(event_id, None)
            elif then is not ...:
                found[event_id] = then
        return found
