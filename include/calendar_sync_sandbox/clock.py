"""The time that the sandbox lives by; a simulation passes its own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Anything that tells the time."""

    def now(self) -> datetime:
        """Return the present moment, aware and in UTC."""
        ...


class RealClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """Write a moment in UTC as both services do: milliseconds and ``Z``."""
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
