"""How much the receiver takes on: in total, of each channel, and of what is not known."""

from collections.abc import Callable

#: Seconds of a window, and requests within it: of everybody, and of one channel.
WINDOW = 10.0
IN_TOTAL = 10_000
OF_ONE = 20
#: Seconds for which a channel that the state database does not know is not looked up again.
UNKNOWN_FOR = 30.0
MOST_UNKNOWN = 10_000


class Admission:
    """Counts in memory, for one process. `clock` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun = clock()
        self._total = 0
        self._of: dict[str, int] = {}
        self._unknown: dict[str, float] = {}

    def admits(self) -> bool:
        """One more request may be looked at."""
        self._turn()
        self._total += 1
        return self._total <= IN_TOTAL

    def admits_channel(self, channel_id: str) -> bool:
        """One more notice of this channel, whose secret was right, may be stored."""
        self._turn()
        self._of[channel_id] = count = self._of.get(channel_id, 0) + 1
        return count <= OF_ONE

    def remember_unknown(self, channel_id: str) -> None:
        """The state database has no such channel."""
        if len(self._unknown) >= MOST_UNKNOWN:
            self._unknown.clear()
        self._unknown[channel_id] = self._clock() + UNKNOWN_FOR

    def is_unknown(self, channel_id: str) -> bool:
        """It was not there a moment ago."""
        until = self._unknown.get(channel_id)
        if until is None:
            return False
        if until > self._clock():
            return True
        del self._unknown[channel_id]
        return False

    def _turn(self) -> None:
        if (now := self._clock()) - self._begun >= WINDOW:
            self._begun, self._total = now, 0
            self._of.clear()
