"""Every version that the records of a store have had, in the order of their changes.

Versions are what makes change tokens, stable pages and lagging reads possible: a list can be
answered as of any change number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


class Numbered(Protocol):
    """A version that knows the number of its change."""

    @property
    def seq(self) -> int:
        """The number."""
        ...


V = TypeVar("V", bound=Numbered)
K = TypeVar("K")


@dataclass(slots=True, kw_only=True)
class History(Generic[K, V]):
    """The versions of all records of one store.

    Attributes:
        seq: number of the latest change.
        records: the versions of each record, oldest first.
        journal: number of the latest change of each record, oldest first.
        changed_at: when each change came.
        watchers: told of each change, once it is stored.
    """

    seq: int = 0
    records: dict[K, list[V]] = field(default_factory=dict)
    journal: dict[K, int] = field(default_factory=dict)
    changed_at: list[tuple[int, datetime]] = field(default_factory=list)
    watchers: list[Callable[[K, V], None]] = field(default_factory=list)

    def latest(self, key: K) -> V | None:
        """Return the present state of a record."""
        versions = self.records.get(key)
        return versions[-1] if versions else None

    def at(self, key: K, seq: int) -> V | None:
        """Return the state that a record had after change ``seq``, None before its creation."""
        for version in reversed(self.records.get(key, ())):
            if version.seq <= seq:
                return version
        return None

    def horizon(self, moment: datetime) -> int:
        """Return the number of the last change made at or before a moment."""
        for seq, at in reversed(self.changed_at):
            if at <= moment:
                return seq
        return 0

    def changed_since(self, seq: int) -> list[K]:
        """Return the records that changed after ``seq``, earliest change first."""
        found = []
        for key in reversed(self.journal):
            if self.journal[key] <= seq:
                break
            found.append(key)
        return found[::-1]

    def note(self, key: K, version: V, now: datetime) -> None:
        """Store a version; its number is the one after the latest."""
        self.seq = version.seq
        self.records.setdefault(key, []).append(version)
        self.journal.pop(key, None)
        self.journal[key] = version.seq
        self.changed_at.append((version.seq, now))
        for watch in tuple(self.watchers):
            watch(key, version)
