"""What ends a wait: that nothing has moved for long, never that time has passed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from calendar_sync_sandbox.processes import ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable

    from calendar_sync_sandbox.processes import Program

PAUSE_SECONDS = 0.2
#: Looks at a program that has not computed anything meanwhile: ten minutes.
LOOKS = 3000


class Patience:
    """Counts looks at something in which nothing has moved since the look before.

    Looks, not seconds: each needs answers of what is waited for, so that a busy machine stretches
    them, and one that goes on slowly is waited for as long as it takes.

    Args:
        looks: so many in a row that show the same are too many.
    """

    def __init__(self, looks: int) -> None:
        self._looks = self._left = looks
        self._seen: object = self

    def left(self, seen: object) -> bool:
        """Note what a look has shown; False when nothing has moved for too long."""
        if seen == self._seen:
            self._left -= 1
        else:
            self._seen, self._left = seen, self._looks
        return self._left > 0


def wait_for(
    done: Callable[[], bool],
    program: Program,
    problem: str,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Wait as long as the program works at it, however slowly; `tick` is called meanwhile.

    Raises:
        ProgramError: it ended, or does nothing any more. The message begins with `problem`.
    """
    patience = Patience(LOOKS)
    while not done():
        if not program.running or not patience.left(program.worked):
            # It may have come to its end between the two looks.
            if done():
                return
            raise ProgramError(f"{problem}\n{program.tail()}".strip())
        tick()
        time.sleep(PAUSE_SECONDS)
