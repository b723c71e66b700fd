"""Names of time zones that a server may not know: zones are renamed, and new ones are made.

All three services are told the moment itself as well, so that no write depends on the name. Whether
it is the name that a server refuses is seen by writing without it.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from calendar_sync.core.errors import BadItem

UTC = "UTC"
Made = TypeVar("Made")


class ZoneNames:
    """What one server has said about names of zones; kept by its client.

    `may_mean` tells which refusals may be about a zone (all of them unless given).
    """

    def __init__(self, may_mean: Callable[[BadItem], bool] = lambda refused: True) -> None:
        self._may_mean = may_mean
        self._innocent = {UTC}
        self._unknown: set[str] = set()

    async def write(self, name: str, send: Callable[[str], Awaitable[Made]]) -> Made:
        """Write with this name, and with UTC where the server refuses it.

        Raises:
            BadItem: refused with either.
        """
        if name in self._unknown:
            return await send(UTC)
        try:
            made = await send(name)
        except BadItem as refused:
            if name in self._innocent or not self._may_mean(refused):
                raise
        else:
            self._innocent.add(name)
            return made
        try:
            made = await send(UTC)
        except BadItem:
            self._innocent.add(name)
            raise
        self._unknown.add(name)
        return made
