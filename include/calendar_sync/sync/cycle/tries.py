"""What of one user's calendars could not be read, and how often that was tried (rule 15)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from calendar_sync.core.errors import SyncError, TransientError
from calendar_sync.core.model import Platform, Source, Step
from calendar_sync.state import Store
from calendar_sync.state.items import TRIES_BEFORE_PARKING, Try

Key = tuple[Step, Source]


@dataclass(frozen=True)
class _Failure:
    content: str
    error: SyncError
    at_once: bool


class Tries:
    """The tries of one cycle in addition to the stored ones; `record` stores the result."""

    def __init__(self, store: Store, pair: tuple[str, Platform], now: datetime) -> None:
        self._store = store
        self._pair = pair
        self._now = now
        self._known = store.items.unread(*pair)
        self._failed: dict[Key, _Failure] = {}
        self._works: set[Key] = set()

    def known(self, key: Key) -> Try | None:
        """The stored tries."""
        return self._known.get(key)

    def left_alone(self, key: Key, content: str) -> bool:
        """Tried so often that it is not read now, unless it has changed since."""
        known = self._known.get(key)
        return known is not None and known.pausing(self._now) and content in ("", known.content)

    def failed(self, key: Key, content: str, error: SyncError, *, at_once: bool = False) -> bool:
        """Count a try; True if it is parked now. Without `content`, the stored one counts."""
        known = self._known.get(key)
        content = content or (known.content if known is not None else "")
        self._failed[key] = _Failure(content, error, at_once)
        again = known.tries if known is not None and known.content == content else 0
        return at_once or again + 1 >= TRIES_BEFORE_PARKING

    def forget(self, key: Key) -> None:
        """The failures do not count any more."""
        self._failed.pop(key, None)
        self._works.add(key)

    def works(self, key: Key) -> None:
        """It could be read."""
        self._works.add(key)

    def shown(self, ids: set[str]) -> None:
        """These events and series have been read: earlier failures do not count any more."""
        for key in self._known:
            if key[0] is Step.READ and key[1].id in ids:
                self._works.add(key)

    def record(self, connection: Connection) -> None:
        """Store the tries; those of items that work again are deleted."""
        items = self._store.items
        for step, source in self._works & self._known.keys() - self._failed.keys():
            items.readable(connection, self._pair, step, source)
        for (step, source), failure in self._failed.items():
            items.refused(
                connection,
                self._pair,
                step,
                source,
                failure.content,
                failure.error.code[:64],
                self._now,
                transient=isinstance(failure.error, TransientError),
                tries=TRIES_BEFORE_PARKING if failure.at_once else 1,
            )
