"""Ids as Exchange makes them: long, case-sensitive, of two kinds for one item.

An immutable id stays while the item lives in its mailbox. The other kind names the calendar too,
so it is another one after a move. https://learn.microsoft.com/graph/outlook-immutable-id
"""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import dataclass
from datetime import date

_IMMUTABLE = "AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A_"
_MUTABLE = "AAMkADIwMjYw-_"
_CALENDAR = "AQMkADIwMjYw-_"


@dataclass(frozen=True, slots=True)
class Place:
    """What an id stands for: an item, one day of a series, and the calendar if it names one."""

    key: int
    day: date | None
    folder: int | None


class Ids:
    """The ids of one mailbox."""

    def __init__(self, mailbox: str) -> None:
        """Make the part that all ids of the mailbox share."""
        digest = hashlib.blake2b(mailbox.encode(), digest_size=48).digest()
        self._shared = base64.urlsafe_b64encode(digest).decode()

    def item(self, key: int, day: date | None = None) -> str:
        """Return the immutable id of an item or of one day of a series."""
        return _IMMUTABLE + self._shared + _pack(key, day, 0)

    def item_in(self, folder: int, key: int, day: date | None = None) -> str:
        """Return the id that holds while the item stays in a calendar."""
        return _MUTABLE + self._shared + _pack(key, day, folder + 1)

    def calendar(self, folder: int) -> str:
        """Return the id of a calendar, which is always immutable."""
        return _CALENDAR + self._shared + _pack(0, None, folder + 1)

    def read(self, text: str) -> Place | None:
        """Say what an id of this mailbox stands for; None for any other text."""
        for prefix in (_IMMUTABLE, _MUTABLE):
            start = prefix + self._shared
            if not text.startswith(start):
                continue
            packed = text[len(start) :]
            try:
                key, ordinal, folder, _ = struct.unpack(">IIIB", base64.urlsafe_b64decode(packed))
            except (ValueError, struct.error):
                return None
            day = date.fromordinal(ordinal) if ordinal else None
            if _pack(key, day, folder) != packed or (folder == 0) != (prefix == _IMMUTABLE):
                return None
            return Place(key, day, folder - 1 if folder else None)
        return None


def _pack(key: int, day: date | None, folder: int) -> str:
    raw = struct.pack(">IIIB", key, day.toordinal() if day else 0, folder, 0xFB)
    return base64.urlsafe_b64encode(raw).decode()
