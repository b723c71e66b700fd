"""Time as an argument: real clocks in production, a virtual one in the simulation."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What the engine asks of time."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clock; `behind` another by so much, which is added."""

    def __init__(self, behind: timedelta = timedelta(0)) -> None:
        self.behind = behind

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return datetime.now(UTC) + self.behind

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
