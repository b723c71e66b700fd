"""Rows that are not as the rest of the sandbox believes: what a client must be able to meet.

The world behind the servers is sound: it keeps moments that a computer can hold. A disguise changes
what is shown of one item, whoever asks for it and by whatever route: dates at the edge of the
calendar, keys that are missing, values of another type.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class Disguises:
    """What is shown instead, by the id of an item; a value of None shows null."""

    def __init__(self) -> None:
        """Show everything unchanged."""
        self._shown: dict[str, Json] = {}

    def put(self, item_id: str, **shown: Any) -> None:
        """Show these keys of the item instead of its own."""
        self._shown[item_id] = shown

    def drop(self, item_id: str) -> None:
        """Show the item unchanged again."""
        self._shown.pop(item_id, None)

    def over(self, body: Any) -> Any:
        """The answer to send; the original is not changed."""
        if not self._shown:
            return body
        if isinstance(body, list):
            return [self.over(part) for part in body]
        if not isinstance(body, dict):
            return body
        shown = {key: self.over(value) for key, value in body.items()}
        return {**shown, **self._shown.get(str(body.get("id")), {})}
