"""What the demo shows while it works: lines that stay, and one that tells what goes on now."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

#: Where nothing can be written over, what goes on is told this often.
LINE_SECONDS = 10.0
TURNS = "|/-\\"


class Display:
    """Lines with the seconds since the start.

    What goes on is one line that is written over again and again; where that cannot be (no
    terminal, a terminal without control codes, CI) it is a plain line now and then.

    Args:
        out: where to write.
        clock: seconds that only grow.
    """

    def __init__(
        self, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._out = out or sys.stdout
        self._clock = clock
        self.live = (
            self._out.isatty()
            and os.environ.get("TERM", "dumb") != "dumb"
            and not os.environ.get("CI")
        )
        # Recorded, since what was printed is searched for patient data too.
        self.console = Console(
            file=self._out,
            record=True,
            highlight=False,
            emoji=False,
            soft_wrap=True,
            width=None if self.live else 100,
        )
        self._started = self._spoke = clock()
        self._turn = 0
        self._shown = False

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._started

    def say(self, text: str) -> None:
        """Print a line that stays, with the time."""
        self.print(f"{self.elapsed:6.1f} s  {text}")

    def print(self, what: object) -> None:
        """Print anything that stays."""
        self.clear()
        if isinstance(what, str):
            self.console.print(what, markup=False)
        else:
            self.console.print(what)
        self._out.flush()
        self._spoke = self._clock()

    def going_on(self, text: str) -> None:
        """Show what goes on now; called as often as one likes."""
        if self.live:
            self._turn += 1
            line = f"{TURNS[self._turn % len(TURNS)]} {self.elapsed:5.0f} s  {text}"
            self._out.write(f"\r{line[: self.console.width - 1]}\x1b[K")
            self._out.flush()
            self._shown = True
        elif self._clock() - self._spoke >= LINE_SECONDS:
            self.say(f"... {text}")

    def clear(self) -> None:
        """Take the line away that tells what goes on."""
        if self._shown:
            self._out.write("\r\x1b[K")
            self._shown = False
