"""What ends a wait: that nothing has moved for long, never that time has passed."""

from __future__ import annotations


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
